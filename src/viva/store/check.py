"""The integrity check: what is wrong with a database, said item by item, and the one repair that is safe.

Everything a person wrote is in append-only tables and is only ever reported on. The cards follow from the reviews, so
they alone can be computed anew, and only when asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from sqlalchemy import JSON, Connection, Table, cast, select, text
from sqlalchemy import Text as SqlText

from viva.language import Text
from viva.store import scheduling, sqlite
from viva.store.errors import DamagedError
from viva.store.store import Store
from viva.store.tables import (
    APPEND_ONLY,
    RETRACTABLE,
    REVISIONS,
    attempts,
    learners,
    metadata,
    retractions,
    reviews,
)
from viva.store.triggers import names_query, trigger_names
from viva.study.cards import Card


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. ``kind`` is file, version, trigger, reference, json or card; ``repaired`` says whether
    it was just put right."""

    kind: str
    text: Text
    repaired: bool = False


def check_store(store: Store, repair: bool = False) -> list[Finding]:
    """What is wrong with the database; an empty list means nothing is.

    With ``repair`` the cards that differ from the reviews are computed anew; nothing else is touched.

    Raises:
        StoreError: the database is locked or cannot be reached.
    """
    found: list[Finding] = []
    names: dict[str, str] = {}

    def look(section: Callable[[Connection], Iterable[Finding]], writing: bool = False) -> None:
        try:
            with store.database.write() if writing else store.database.read() as connection:
                found.extend(section(connection))
        except DamagedError as error:
            if not any(finding.kind == "file" for finding in found):
                found.append(Finding("file", error.text))

    def know(connection: Connection) -> Iterable[Finding]:
        names.update({row.id: row.name for row in connection.execute(select(learners.c.id, learners.c.name))})
        return ()

    look(lambda connection: _file(store, connection))
    look(_version)
    look(lambda connection: _triggers(store, connection))
    look(_references)
    look(_json)
    look(know)
    repair = repair and not any(
        finding.kind == "file" for finding in found
    )  # a damaged file is left as it is
    for learner, name in names.items():
        look(partial(_cards, learner=learner, name=name, repair=repair), writing=repair)
    return found


def _file(store: Store, connection: Connection) -> Iterator[Finding]:
    if store.database.path is None:
        return
    for problem in sqlite.integrity_problems(connection):
        yield Finding(
            "file", Text(ko=f"파일이 손상되었어요: {problem}", en=f"The file is damaged: {problem}")
        )
    for problem in sqlite.foreign_key_problems(connection):
        yield Finding("reference", Text(ko=f"끊어진 참조: {problem}", en=f"A broken reference: {problem}"))


def _version(connection: Connection) -> Iterator[Finding]:
    found = connection.scalars(text("SELECT version_num FROM alembic_version")).all()
    if found != [REVISIONS[-1]]:
        yield Finding(
            "version",
            Text(
                ko=f"버전 기록이 {found}인데 {REVISIONS[-1]}이어야 해요.",
                en=f"The recorded version is {found}; it must be {REVISIONS[-1]}.",
            ),
        )


def _triggers(store: Store, connection: Connection) -> Iterator[Finding]:
    there = set(connection.scalars(text(names_query(store.database.dialect))))
    for table in APPEND_ONLY:
        for name in trigger_names(table):
            if name not in there:
                yield Finding(
                    "trigger",
                    Text(
                        ko=f"{table} 표의 기록을 지켜 주는 트리거({name})가 없어요.",
                        en=f"The trigger {name}, which keeps the rows of {table} from being changed, is missing.",
                    ),
                )


def _references(connection: Connection) -> Iterator[Finding]:
    for name, table in RETRACTABLE.items():
        lost = select(retractions.c.row_id).where(
            retractions.c.table_name == name, retractions.c.row_id.not_in(select(table.c.id))
        )
        for row in connection.scalars(lost.distinct()):
            yield _lost("retractions", row, name, row)
    unknown = select(retractions.c.id, retractions.c.table_name).where(
        retractions.c.table_name.not_in(RETRACTABLE)
    )
    for row, name in connection.execute(unknown):
        yield _lost("retractions", row, "database", name)
    other = (
        select(reviews.c.id, reviews.c.attempt)
        .join(attempts, attempts.c.id == reviews.c.attempt)
        .where((attempts.c.learner != reviews.c.learner) | (attempts.c.question != reviews.c.question))
    )
    for row, attempt in connection.execute(other):
        yield Finding(
            "reference",
            Text(
                ko=f"복습 기록({row})이 다른 질문이나 다른 사람의 답({attempt})을 가리켜요.",
                en=f"Review {row} rates the answer {attempt}, which belongs to another question or learner.",
            ),
        )


def _lost(table: str, row: str, target: str, missing: str) -> Finding:
    return Finding(
        "reference",
        Text(
            ko=f"{table} 표의 줄({row})이 {target}에 없는 줄({missing})을 가리켜요.",
            en=f"{table} row {row} refers to {missing}, which is not in {target}.",
        ),
    )


def _json(connection: Connection) -> Iterator[Finding]:
    for table in metadata.sorted_tables:
        keys = list(table.primary_key.columns)
        for column in table.columns:
            if isinstance(column.type, JSON):
                yield from _unparsable(connection, table, column, keys)


def _unparsable(connection: Connection, table: Table, column: Any, keys: list[Any]) -> Iterator[Finding]:
    query = (
        select(cast(column, SqlText), *keys).where(column.is_not(None)).execution_options(stream_results=True)
    )
    for row in connection.execute(query):
        try:
            json.loads(row[0])
        except (ValueError, TypeError) as error:
            key = " ".join(map(str, row[1:]))
            yield Finding(
                "json",
                Text(
                    ko=f"{table.name} {key}의 {column.name} 값을 읽을 수 없어요: {error}",
                    en=f"{table.name} {key}: its {column.name} cannot be read: {error}",
                ),
            )


def _cards(connection: Connection, learner: str, name: str, repair: bool) -> list[Finding]:
    stored, right = scheduling.read_cards(connection, learner), scheduling.computed(connection, learner)
    found = []
    for question in sorted(stored.keys() | right.keys()):
        if stored.get(question) != right.get(question):
            ko, en = _difference(stored.get(question), right.get(question))
            difference = Text(
                ko=f"{name}의 카드({question})가 복습 기록과 달라요: {ko}.",
                en=f"The card {question} of {name} differs from its reviews: {en}.",
            )
            found.append(Finding("card", difference, repaired=repair))
    if repair and found:
        scheduling.rebuild(connection, learner)
    return found


def _difference(stored: Card | None, right: Card | None) -> tuple[str, str]:
    if stored is None:
        return "카드가 없어요", "it is missing"
    if right is None:
        return "복습 기록이 없는데 카드가 있어요", "it has no reviews"
    differing = [
        field.name for field in fields(Card) if getattr(stored, field.name) != getattr(right, field.name)
    ]
    ko = ", ".join(f"{name}: {getattr(stored, name)} → {getattr(right, name)}" for name in differing)
    en = ", ".join(f"{name} is {getattr(stored, name)}, not {getattr(right, name)}" for name in differing)
    return ko, en
