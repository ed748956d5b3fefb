"""All of a learner's data as rows that JSON can hold, out and in.

Rows carry their own ids, so the same file imported twice adds nothing. The learner is left out: an import belongs to
whoever imports it. So are the cards, which follow from the reviews.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select, update

from viva.store import scheduling, undo
from viva.store.clock import utc
from viva.store.errors import StoreError
from viva.store.retracting import effective, retract_all
from viva.store.tables import (
    Moment,
    actions,
    attempts,
    drafts,
    grades,
    my_answers,
    retractions,
    reviews,
    sessions,
    settings,
)

TABLES = (settings, sessions, attempts, grades, reviews, my_answers, retractions, actions, drafts)
"""In the order in which rows refer to each other."""


def export(connection: Connection, learner: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of ``learner``, by table; times are ISO 8601 texts."""
    return {
        table.name: [
            {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items() if name != "learner"}
            for row in connection.execute(_mine(table, learner)).mappings()
        ]
        for table in TABLES
    }


def _mine(table: Table, learner: str) -> Any:
    if table is grades:
        return select(grades).join(attempts, attempts.c.id == grades.c.attempt).where(attempts.c.learner == learner).order_by(grades.c.id)
    return select(table).where(table.c.learner == learner).order_by(*table.primary_key.columns)


def add(connection: Connection, learner: str, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, int]:
    """Adds the rows that are not there yet; how many, by table.

    A setting that is set here stays; of two drafts the newer one stays; the undo stack comes along only to a learner
    that has none. Where two copies rated the same attempt differently, the later rating counts.

    Raises:
        StoreError: a table or a column is unknown or missing, a value does not fit, or a row differs from the stored
            one with the same id. The caller's transaction is to be rolled back.
    """
    unknown = set(tables) - {table.name for table in TABLES}
    if unknown:
        raise _refused(", ".join(sorted(unknown)), 0, "모르는 표예요", "this version of Viva has no such table")
    share = scheduling.retention(connection, learner)
    counts: dict[str, int] = {}
    for table in TABLES:
        given = [_read(table, number, row) for number, row in enumerate(tables.get(table.name, ()), start=1)]
        if table is actions and connection.scalar(select(func.count()).where(actions.c.learner == learner)):
            given = []
        counts[table.name] = _add_table(connection, table, learner, given)
    _keep_one_rating_per_attempt(connection, learner)
    undo.prune(connection, learner)
    questions = {row["question"] for row in tables.get("reviews", ())}
    questions |= _questions_of(connection, [row["row_id"] for row in tables.get("retractions", ())])
    everything = len(questions) > 200 or scheduling.retention(connection, learner) != share
    scheduling.rebuild(connection, learner, None if everything else questions)
    return counts


def _read(table: Table, number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    names = {column.name for column in table.columns if column.name != "learner"}
    if not isinstance(row, Mapping) or set(row) != names:
        wanted = ", ".join(sorted(names))
        raise _refused(table.name, number, f"열은 {wanted}이어야 해요", f"its columns must be {wanted}")
    found = dict(row)
    for column in table.columns:
        value = found.get(column.name)
        if column.name == "learner" or (value is None and column.nullable):
            continue
        try:
            if isinstance(column.type, Moment):
                found[column.name] = utc(datetime.fromisoformat(value))  # type: ignore[arg-type]
            elif column.type.python_type in (str, bool) and not isinstance(value, column.type.python_type):
                raise ValueError(f"{value!r}")
            elif column.type.python_type in (int, float) and (isinstance(value, bool) or not isinstance(value, (int, float))):
                raise ValueError(f"{value!r}")
        except (TypeError, ValueError) as error:
            raise _refused(
                table.name, number, f"{column.name}의 값이 맞지 않아요 ({error})", f"the value of {column.name} does not fit ({error})"
            ) from error
    return found


def _add_table(connection: Connection, table: Table, learner: str, given: list[dict[str, Any]]) -> int:
    keys = [column.name for column in table.primary_key.columns if column.name != "learner"]
    owned = "learner" in table.columns
    stored: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for start in range(0, len(given), 500):
        wanted = {row[keys[0]] for row in given[start : start + 500]}
        query = select(table).where(table.c[keys[0]].in_(wanted))
        if len(keys) > 1 or keys[0] != "id":
            query = query.where(table.c.learner == learner)
        for row in connection.execute(query).mappings():
            stored[tuple(row[key] for key in keys)] = row
    new: dict[tuple[Any, ...], dict[str, Any]] = {}
    for number, row in enumerate(given, start=1):
        key = tuple(row[name] for name in keys)
        mine = {"learner": learner, **row} if owned else row
        known = stored.get(key) or new.get(key)
        if known is None:
            new[key] = mine
        elif dict(known) != mine:
            _settle(connection, table, number, known, mine)
    for start in range(0, len(new), 5000):
        connection.execute(insert(table), list(new.values())[start : start + 5000])
    return len(new)


def _settle(connection: Connection, table: Table, number: int, stored: Mapping[str, Any], given: dict[str, Any]) -> None:
    """Two rows with one key: what may differ is settled, the rest is refused."""
    if table is settings or table is actions:
        return
    if table is drafts:
        if given["updated_at"] > stored["updated_at"]:
            same = [drafts.c[name] == stored[name] for name in ("learner", "question", "language")]
            connection.execute(update(drafts).where(*same).values(given))
        return
    if table is sessions and {**stored, "finished_at": None} == {**given, "finished_at": None}:
        if stored["finished_at"] is None:
            connection.execute(
                update(sessions).where(sessions.c.id == stored["id"]).values(finished_at=given["finished_at"])
            )
        return
    raise _refused(
        table.name,
        number,
        f"id가 {stored['id']}인 줄이 여기에 이미 다른 내용으로 있어요",
        f"a different row with the id {stored['id']} is stored here already",
    )


def _keep_one_rating_per_attempt(connection: Connection, learner: str) -> None:
    mine = (reviews.c.learner == learner, effective(reviews), reviews.c.attempt.is_not(None))
    doubled = select(reviews.c.attempt).where(*mine).group_by(reviews.c.attempt).having(func.count() > 1)
    for attempt in connection.scalars(doubled).all():
        query = select(reviews.c.id).where(*mine, reviews.c.attempt == attempt)
        retract_all(
            connection, learner, "reviews", connection.scalars(query.order_by(reviews.c.at, reviews.c.id)).all()[:-1]
        )


def _questions_of(connection: Connection, ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(ids), 500):
        found.update(connection.scalars(select(reviews.c.question).where(reviews.c.id.in_(ids[start : start + 500]))))
    return found


def _refused(table: str, number: int, ko: str, en: str) -> StoreError:
    return StoreError(
        ko=f"가져오지 않았어요. {table} 표의 {number}번째 줄: {ko}.",
        en=f"Nothing was imported: {table}, row {number}: {en}.",
    )
