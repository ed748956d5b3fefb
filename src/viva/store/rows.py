"""All of a learner's data as rows that JSON can hold, out and in.

Rows carry their own ids, so the same file imported twice adds nothing. The learner is left out: an import belongs to
whoever imports it. So are the cards, which follow from the reviews.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from viva.store import scheduling, undo
from viva.store.errors import StoreError
from viva.store.incoming import refused, values
from viva.store.opinions import JUDGE, switched_off
from viva.store.retracting import effective, owns, retract_all
from viva.store.tables import (
    actions,
    attempts,
    drafts,
    grades,
    my_answers,
    opinions,
    retractions,
    reviews,
    sessions,
    settings,
)

TABLES = (settings, sessions, attempts, grades, opinions, reviews, my_answers, retractions, actions, drafts)
"""In the order in which rows refer to each other."""
_CHUNK = 500  # well below the number of values that any SQLite takes in one statement
_MANY = 200  # so many questions are quicker computed all at once


def export(connection: Connection, learner: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of ``learner``, by table; times are ISO 8601 texts."""
    return {
        table.name: [_json_safe(row) for row in connection.execute(_mine(table, learner)).mappings()]
        for table in TABLES
    }


def _json_safe(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if name != "learner"
    }


def _mine(table: Table, learner: str) -> Select[Any]:
    if table is grades or table is opinions:
        owned = select(table).join(attempts, attempts.c.id == table.c.attempt)
        return owned.where(attempts.c.learner == learner).order_by(table.c.id)
    return select(table).where(table.c.learner == learner).order_by(*table.primary_key.columns)


def add(
    connection: Connection, learner: str, tables: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, int]:
    """Adds the rows that are not there yet; how many, by table.

    A setting that is set here stays; of two drafts the newer one stays. Where two copies rated the same attempt
    differently, the later rating counts. The undo stack comes along only to a learner that has none, without the steps
    that reach outside the database. A judge that is set up in the file is switched off here.

    Raises:
        StoreError: a table or a column is unknown or missing, a value does not fit, a row refers to one that is
            missing, or a row differs from the stored one with the same id. The caller's transaction is rolled back.
    """
    unknown = sorted(set(tables) - {table.name for table in TABLES})
    if unknown:
        raise refused(
            unknown[0], None, "이번 버전의 Viva에는 없는 표예요", "this version of Viva has no such table"
        )
    share = scheduling.retention(connection, learner)
    counts: dict[str, int] = {}
    for table in TABLES:
        given = [values(table, number, row) for number, row in enumerate(tables.get(table.name, ()), start=1)]
        if table is settings:
            given = [switched_off(row) for row in given]
        if table is actions:
            given = _usable_actions(connection, learner, given)
        try:
            counts[table.name] = _add_table(connection, table, learner, given)
        except IntegrityError as error:
            raise refused(
                table.name,
                None,
                f"맞지 않는 줄이 있어요 ({error.orig})",
                f"a row does not fit ({error.orig})",
            ) from error
    _refuse_strangers(connection, learner, tables)
    _keep_one_rating_per_attempt(connection, learner)
    undo.prune(connection, learner)
    questions = {row["question"] for row in tables.get("reviews", ())}
    questions |= _questions_of(connection, [row["row_id"] for row in tables.get("retractions", ())])
    everything = len(questions) > _MANY or scheduling.retention(connection, learner) != share
    scheduling.rebuild(connection, learner, None if everything else questions)
    return counts


def _usable_actions(
    connection: Connection, learner: str, given: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    if connection.scalar(select(func.count()).where(actions.c.learner == learner)):
        return []
    # A payload for something outside the database is not to be trusted from a file, and speaks of another machine.
    # Nor may undoing a step from a file switch a judge on.
    return [
        row
        for row in given
        if all(move["move"] != "call" and move.get("key") != JUDGE for move in row["payload"])
    ]


def _add_table(connection: Connection, table: Table, learner: str, given: list[dict[str, Any]]) -> int:
    keys = [column.name for column in table.primary_key.columns if column.name != "learner"]
    owned = "learner" in table.columns
    stored: dict[tuple[Any, ...], dict[str, Any]] = {}
    for start in range(0, len(given), _CHUNK):
        query = select(table).where(
            table.c[keys[0]].in_({row[keys[0]] for row in given[start : start + _CHUNK]})
        )
        if keys[0] != "id":
            query = query.where(table.c.learner == learner)
        for found in connection.execute(query).mappings():
            stored[tuple(found[key] for key in keys)] = dict(found)
    new: dict[tuple[Any, ...], dict[str, Any]] = {}
    for number, row in enumerate(given, start=1):
        key = tuple(row[name] for name in keys)
        mine = {**row, "learner": learner} if owned else row
        if key in stored:
            if stored[key] != mine:
                _settle(connection, table, number, stored[key], mine)
        elif new.setdefault(key, mine) != mine:
            raise _conflict(table, number, row, "이 파일에", "in this file")
    fresh = list(new.values())
    for start in range(0, len(fresh), _CHUNK * 10):
        connection.execute(insert(table), fresh[start : start + _CHUNK * 10])
    return len(fresh)


def _settle(
    connection: Connection, table: Table, number: int, stored: dict[str, Any], given: dict[str, Any]
) -> None:
    """Two rows with one key: what may differ is settled, the rest is refused."""
    if table is settings:
        return
    if table is drafts:
        if given["updated_at"] > stored["updated_at"]:
            same = [drafts.c[name] == stored[name] for name in ("learner", "question", "language")]
            connection.execute(update(drafts).where(*same).values(given))
        return
    if table is sessions and {**stored, "finished_at": None} == {**given, "finished_at": None}:
        if stored["finished_at"] is None:
            ended = (
                update(sessions).where(sessions.c.id == stored["id"]).values(finished_at=given["finished_at"])
            )
            connection.execute(ended)
        return
    raise _conflict(table, number, given, "여기에", "here")


def _conflict(table: Table, number: int, row: Mapping[str, Any], ko: str, en: str) -> StoreError:
    key = " ".join(str(row[column.name]) for column in table.primary_key.columns if column.name != "learner")
    return refused(
        table.name,
        number,
        f"id가 {key}인 줄이 {ko} 이미 다른 내용으로 있어요",
        f"{key} is {en} already, with other content",
    )


def _refuse_strangers(connection: Connection, learner: str, tables: Mapping[str, Any]) -> None:
    """Rows may refer only to rows of the same learner, however their ids were come by."""
    for table, column, target in (
        (attempts, attempts.c.session, sessions),
        (reviews, reviews.c.attempt, attempts),
    ):
        query = select(table.c.id).join(target, target.c.id == column)
        found = connection.scalar(
            query.where(table.c.learner == learner, target.c.learner != learner).limit(1)
        )
        if found is not None:
            raise refused(
                table.name,
                None,
                f"id가 {found}인 줄이 다른 사람의 기록을 가리켜요",
                f"{found} refers to somebody else's row",
            )
    wanted = {("retractions", row["table_name"], row["row_id"]) for row in tables.get("retractions", ())}
    wanted |= {("grades", "grades", row["id"]) for row in tables.get("grades", ())}
    wanted |= {("opinions", "attempts", row["attempt"]) for row in tables.get("opinions", ())}
    for table_name, target_name, row in sorted(wanted):
        if not owns(connection, learner, target_name, row):
            raise refused(
                table_name,
                None,
                f"id가 {row}인 줄이 이 사람의 기록에 없어요",
                f"{row} is not among this learner's rows",
            )


def _keep_one_rating_per_attempt(connection: Connection, learner: str) -> None:
    mine = (reviews.c.learner == learner, effective(reviews), reviews.c.attempt.is_not(None))
    doubled = select(reviews.c.attempt).where(*mine).group_by(reviews.c.attempt).having(func.count() > 1)
    for attempt in connection.scalars(doubled).all():
        query = (
            select(reviews.c.id)
            .where(*mine, reviews.c.attempt == attempt)
            .order_by(reviews.c.at, reviews.c.id)
        )
        retract_all(connection, learner, "reviews", connection.scalars(query).all()[:-1])


def _questions_of(connection: Connection, ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(ids), _CHUNK):
        query = select(reviews.c.question).where(reviews.c.id.in_(ids[start : start + _CHUNK]))
        found.update(connection.scalars(query))
    return found
