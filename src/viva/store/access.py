"""The two ways in for one learner: reading, and writing under the learner's lock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Connection, Table, select

from viva.store.database import Database
from viva.store.errors import StoreError
from viva.store.tables import learners
from viva.store.undo import Handler


class Access:
    """What every part of a learner's interface stands on. It holds no data, so it may be kept and shared."""

    def __init__(self, database: Database, handlers: Mapping[str, Handler], identity: str, name: str) -> None:
        self._database = database
        self._handlers = handlers
        self.id = identity
        self.name = name

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._database.read() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._database.write() as connection:
            # Where several processes may write at once (PostgreSQL), this row is the learner's lock.
            connection.execute(select(learners.c.id).where(learners.c.id == self.id).with_for_update())
            yield connection

    def _require(
        self, connection: Connection, table: Table, id: str, ko: str, en: str, question: str | None = None
    ) -> None:
        where = [table.c.id == id, table.c.learner == self.id]
        where += [] if question is None else [table.c.question == question]
        if connection.scalar(select(table.c.id).where(*where)) is None:
            raise unknown(ko, en, id)


def unknown(ko: str, en: str, id: str) -> StoreError:
    return StoreError(ko=f"id가 {id}인 {ko}을 찾을 수 없어요.", en=f"There is no {en} with the id {id}.")
