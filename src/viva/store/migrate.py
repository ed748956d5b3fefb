"""Which version a database has, and the way from there to this one."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from viva.store import tables
from viva.store.database import Database
from viva.store.errors import StoreError

SCRIPTS = Path(__file__).parent / "migrations"


def version(database: Database) -> str | None:
    """The schema's revision, or None for an empty database.

    Raises:
        StoreError: the database holds something else, or a newer Viva wrote it.
    """
    try:
        with database.engine.connect() as connection:
            found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    except DBAPIError as error:
        database.check(error)
        found = None
    if found in tables.REVISIONS:
        return str(found)
    if found is not None and str(found).startswith("viva_"):
        raise StoreError(
            ko=f"이 데이터베이스({database.name})는 더 새로운 버전의 Viva가 만들었어요({found}). Viva를 업데이트한 뒤 다시 열어 주세요.",
            en=f"{database.name} was written by a newer version of Viva ({found}); update Viva, then open it again.",
        )
    if found is not None or _holds_tables(database):
        raise StoreError(
            ko=f"이 데이터베이스({database.name})는 Viva의 것이 아니에요. 다른 파일을 지정해 주세요.",
            en=f"{database.name} is a database, but not one of Viva's; name another file.",
        )
    return None


def upgrade(database: Database) -> None:
    """Brings an empty or older database to this version, all in one transaction.

    Raises:
        StoreError: a step failed; the database is as it was.
    """
    with database.write(foreign_keys=False) as connection:
        try:
            _run(connection)
        except DBAPIError as error:
            database.check(error)
            raise StoreError(
                ko=f"데이터베이스({database.name})를 이번 버전에 맞게 바꾸지 못했고, 데이터는 그대로예요({error.orig}).",
                en=f"{database.name} could not be brought to this version and is unchanged ({error.orig}).",
            ) from error


def _run(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    command.upgrade(config, "head")


def _holds_tables(database: Database) -> bool:
    names = set(inspect(database.engine).get_table_names())
    return bool(names - {"alembic_version"})
