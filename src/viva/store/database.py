"""One database: its engine, and the two ways in, :meth:`Database.read` and :meth:`Database.write`.

Reading takes a pooled connection and sees one consistent state. Writing takes the process's single write lock first,
because threads that queue here wait milliseconds where SQLite's own queue makes some of them wait half a second.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.exc import DBAPIError, OperationalError, StatementError
from sqlalchemy.pool import QueuePool

from viva.store import sqlite
from viva.store.errors import StoreError
from viva.store.home import DATABASE, private_folder, viva_home

_locks: dict[str, threading.Lock] = {}
_writing = threading.local()


class Database:
    """The database at a URL or a path; without either, ``viva.db`` in :func:`~viva.store.home.viva_home`.

    Raises:
        StoreError: the folder cannot be made, or the URL names a database that Viva does not speak.
    """

    def __init__(self, url_or_path: str | Path | None = None) -> None:
        if isinstance(url_or_path, str) and "://" in url_or_path:
            url = make_url(url_or_path)
        else:
            path = Path(url_or_path).expanduser().absolute() if url_or_path else viva_home() / DATABASE
            url = make_url("sqlite://").set(database=str(path))
        self.dialect = url.get_backend_name()
        if self.dialect not in ("sqlite", "postgresql"):
            raise StoreError(
                ko=f"Viva는 SQLite와 PostgreSQL만 써요. 다른 것({self.dialect})은 쓸 수 없어요.",
                en=f"Viva speaks SQLite and PostgreSQL, not {self.dialect!r}; give it a path or a postgresql:// address.",
            )
        self.path = Path(url.database or DATABASE).absolute() if self.dialect == "sqlite" else None
        self.name = str(self.path) if self.path else url.render_as_string(hide_password=True)
        if self.path is not None:
            private_folder(self.path.parent)
        self.engine = create_engine(
            url,
            poolclass=QueuePool,
            pool_size=8,
            max_overflow=56,
            json_serializer=to_json,
            **(
                {"connect_args": {"check_same_thread": False, "timeout": sqlite.BUSY_SECONDS}}
                if self.path
                else {}
            ),
        )
        if self.path is not None:
            sqlite.configure(self.engine)
        self._lock = _locks.setdefault(self.name, threading.Lock())

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of the database until it is left.

        Raises:
            StoreError: the database is locked, damaged or cannot be reached.
        """
        try:
            with self.engine.connect() as connection:
                yield connection
        except StatementError as error:
            self.check(error)
            raise

    @contextmanager
    def write(self, *, foreign_keys: bool = True) -> Iterator[Connection]:
        """A connection in a transaction that is committed when it is left without an error, else rolled back.

        ``foreign_keys=False`` is for migrations, which may recreate tables; they are checked before the commit.

        Raises:
            StoreError: the database is locked, damaged, full or cannot be reached.
        """
        if getattr(_writing, "now", False):
            raise RuntimeError("a write inside a write would wait for itself; do both in one transaction")
        try:
            with self._lock, self.engine.connect() as connection:
                _writing.now = True
                connection.execution_options(**{sqlite.WRITE: True})
                if self.path is not None and not foreign_keys:
                    sqlite.set_foreign_keys(connection.connection.driver_connection, False)
                try:
                    with connection.begin():
                        yield connection
                        if self.path is not None and not foreign_keys:
                            self._refuse_broken_keys(connection)
                finally:
                    _writing.now = False
                    if self.path is not None and not foreign_keys:
                        sqlite.set_foreign_keys(connection.connection.driver_connection, True)
        except StatementError as error:
            self.check(error)
            raise

    def check(self, error: StatementError) -> None:
        """Raises the sentence for ``error`` where it has one.

        Raises:
            StoreError: the machine's or the data's trouble, in words.
        """
        if isinstance(error.orig, (ValueError, TypeError)) and not isinstance(error, DBAPIError):
            raise StoreError(
                ko=f"저장할 수 없는 값이 있어요({error.orig}).",
                en=f"There is a value that cannot be stored ({error.orig}).",
            ) from error
        if self.path is not None and error.orig is not None:
            sentence = sqlite.explain(error.orig, self.name)
            if sentence is not None:
                raise sentence from error
        elif isinstance(error, OperationalError):
            why = str(error.orig).strip().splitlines()[0]
            raise StoreError(
                ko=f"{self.name}에 연결할 수 없어요({why}).", en=f"{self.name} cannot be reached ({why})."
            ) from error

    def close(self) -> None:
        self.engine.dispose()

    def _refuse_broken_keys(self, connection: Connection) -> None:
        problems = sqlite.foreign_key_problems(connection)
        if problems:
            raise StoreError(
                ko=f"참조가 끊어지게 되어 데이터베이스({self.name})를 바꾸지 않았어요({problems[0]}).",
                en=f"{self.name} was left as it is, because a reference would break ({problems[0]}).",
            )


def to_json(value: Any) -> str:
    """JSON as it is stored: readable Korean, and no value that JSON does not have.

    Raises:
        ValueError: a number that is not finite.
    """
    return clean(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def clean(text: str) -> str:
    """``text`` with halves of surrogate pairs joined or replaced, and NULs replaced: what UTF-8 and PostgreSQL take."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")
