"""Taking an append-only row back, and bringing it back again, by adding a row that says so."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from sqlalchemy import ColumnElement, Connection, Table, and_, exists, or_, select

from viva.store.clock import after, new_id
from viva.store.tables import RETRACTABLE, attempts, grades, retractions


@lru_cache
def effective(table: Table) -> ColumnElement[bool]:
    """The condition that a row of ``table`` counts: it was never taken back, or was brought back since."""
    taken, later = retractions.alias("taken"), retractions.alias("later")
    newer = or_(later.c.at > taken.c.at, and_(later.c.at == taken.c.at, later.c.id > taken.c.id))
    same = and_(later.c.table_name == taken.c.table_name, later.c.row_id == taken.c.row_id)
    retracted = select(taken.c.row_id).where(
        taken.c.table_name == table.name, taken.c.restored.is_(False), ~exists().where(same, newer)
    )
    return table.c.id.not_in(retracted)


def retract(connection: Connection, learner: str, table: str, row: str, *, restore: bool = False) -> None:
    """Takes the row back (or brings it back); does nothing where that is so already."""
    mine = (retractions.c.table_name == table, retractions.c.row_id == row)
    newest = connection.scalar(
        select(retractions.c.restored)
        .where(*mine)
        .order_by(retractions.c.at.desc(), retractions.c.id.desc())
        .limit(1)
    )
    counts = newest is None or newest
    if counts == restore:
        return
    connection.execute(
        retractions.insert().values(
            id=new_id(),
            learner=learner,
            table_name=table,
            row_id=row,
            at=after(connection, retractions.c.at, *mine),
            restored=restore,
        )
    )


def retract_all(connection: Connection, learner: str, table: str, rows: Iterable[str]) -> None:
    for row in rows:
        retract(connection, learner, table, row)


def owns(connection: Connection, learner: str, table: str, row: str) -> bool:
    """Whether the row is there and is the learner's own."""
    found = RETRACTABLE[table]
    query = select(found.c.id).where(found.c.id == row)
    if found is grades:
        query = query.join(attempts, attempts.c.id == grades.c.attempt)
    owner = attempts.c.learner if found is grades else found.c.learner
    return connection.scalar(query.where(owner == learner)) is not None
