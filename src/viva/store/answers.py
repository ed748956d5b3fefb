"""Attempts and their grades, read and written as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from viva.store.clock import after, new_id
from viva.store.database import clean, to_json
from viva.store.errors import StoreError
from viva.store.records import Attempt, StoredGrade, grade_from
from viva.store.retracting import effective
from viva.store.tables import attempts, grades

WAYS = ("text", "ink", "spoken")


def attempt_values(given: dict[str, Any]) -> dict[str, Any]:
    """``given`` as it will be stored.

    Raises:
        StoreError: the id or the way is not one that can be stored.
    """
    identity = str(given["id"])
    if not 0 < len(identity) <= 64 or not identity.replace("-", "").isalnum():
        raise StoreError(
            ko=f"답의 id로 {identity!r} 값을 쓸 수 없어요. 64자 이하의 UUID를 보내 주세요.",
            en=f"The answer's id {identity!r} cannot be used; send a UUID of at most 64 characters.",
        )
    if given["way"] not in WAYS:
        raise StoreError(
            ko=f"답하는 방법은 text, ink, spoken 중 하나여야 하는데 {given['way']!r}예요.",
            en=f"There is no way of answering called {given['way']!r}; it is text, ink or spoken.",
        )
    return {**given, "id": identity, "text": clean(given["text"])}


def same(stored: Mapping[Any, Any], given: dict[str, Any]) -> bool:
    """Whether a second request with the same id says the same; its seconds may differ."""
    plain = all(
        stored[name] == given[name] for name in ("learner", "session", "question", "language", "way", "text")
    )
    return plain and to_json(stored["ink"]) == to_json(given["ink"])


def read_attempts(
    connection: Connection, learner: str, *where: Any, limit: int | None = None
) -> list[Attempt]:
    """The attempts, newest first, each with the grade that counts."""
    rows = (
        connection.execute(
            select(attempts)
            .where(attempts.c.learner == learner, effective(attempts), *where)
            .order_by(attempts.c.created_at.desc(), attempts.c.id.desc())
            .limit(limit)
        )
        .mappings()
        .all()
    )
    marks = current_grades(connection, [row["id"] for row in rows])
    return [_attempt(row, marks.get(row["id"])) for row in rows]


def _attempt(row: Mapping[Any, Any], mark: StoredGrade | None) -> Attempt:
    fields = {name: value for name, value in row.items() if name != "learner"}
    return Attempt(**fields, grade=mark.grade if mark else None)


def current_grades(connection: Connection, ids: Iterable[str]) -> dict[str, StoredGrade]:
    """The grade that counts of each of these attempts that has one."""
    found: dict[str, StoredGrade] = {}
    wanted = list(ids)
    for start in range(0, len(wanted), 500):
        rows = connection.execute(
            select(grades)
            .where(grades.c.attempt.in_(wanted[start : start + 500]), effective(grades))
            .order_by(grades.c.created_at, grades.c.id)
        ).mappings()
        for row in rows:  # later rows overwrite earlier ones
            found[row["attempt"]] = StoredGrade(
                row["id"], row["attempt"], row["created_at"], grade_from(dict(row))
            )
    return found


def latest_grades(
    connection: Connection, learner: str, limit: int, *where: Any
) -> list[tuple[str, StoredGrade]]:
    """(question, grade that counts) of the newest ``limit`` graded attempts, newest first."""
    rank = func.row_number().over(
        partition_by=grades.c.attempt, order_by=(grades.c.created_at.desc(), grades.c.id.desc())
    )
    newest = (
        select(attempts.c.id, attempts.c.question, attempts.c.created_at.label("answered"))
        .where(attempts.c.learner == learner, effective(attempts), *where)
        .order_by(attempts.c.created_at.desc(), attempts.c.id.desc())
        .limit(limit)
        .subquery()
    )
    ranked = (
        select(newest.c.question, newest.c.answered, grades, rank.label("rank"))
        .join(newest, newest.c.id == grades.c.attempt)
        .where(effective(grades))
        .subquery()
    )
    query = (
        select(ranked).where(ranked.c.rank == 1).order_by(ranked.c.answered.desc(), ranked.c.attempt.desc())
    )
    return [
        (row["question"], StoredGrade(row["id"], row["attempt"], row["created_at"], grade_from(dict(row))))
        for row in connection.execute(query).mappings()
    ]


def insert_grade(connection: Connection, attempt: str, fields: dict[str, Any]) -> StoredGrade:
    row = {
        "id": new_id(),
        "attempt": attempt,
        "created_at": after(connection, grades.c.created_at, grades.c.attempt == attempt),
        **fields,
    }
    connection.execute(grades.insert().values(row))
    return StoredGrade(row["id"], attempt, row["created_at"], grade_from(row))
