"""The learner's own examples: what the words of an answer count as since the learner overruled their mark.

They are read out of the grades and stored nowhere else, so that undo, redo, export and import hold for them as for every
grade. An overruled mark is one that the newest grade of a typed answer has from the learner and that differs from the
grader's first one; its words are its quote, or for a point marked as missed the words that the grader had read it from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, exists, select

from viva.grading import Grade
from viva.grading.examples import Example
from viva.grading.grade import LEARNER, languages_of
from viva.grading.marks import STATUSES, PointMark, Status
from viva.language import Language
from viva.store.records import grade_from
from viva.store.retracting import effective
from viva.store.tables import attempts, grades

LONGEST = 400
"""Characters; what is longer is no clause that another answer could be like."""
MOST = 200
"""Of each question the newest so many count, so that grading stays quick."""


@dataclass(frozen=True)
class OwnExample:
    """What ``example.words`` count as at ``question``. ``was`` is the grader's mark; ``attempts`` are the answers
    in which the learner said so, the newest first, and ``at`` is when."""

    question: str
    example: Example
    was: Status
    at: datetime
    attempts: tuple[str, ...]


def read_examples(connection: Connection, learner: str, question: str | None = None) -> list[OwnExample]:
    """The examples at ``question`` (None: at all), newest first; of the same words about a point the newest mark."""
    overruled = grades.alias("overruled")
    query = (
        select(attempts.c.question, attempts.c.language, grades)
        .join(attempts, attempts.c.id == grades.c.attempt)
        .where(attempts.c.learner == learner, attempts.c.way == "text")
        .where(exists().where(overruled.c.attempt == attempts.c.id, overruled.c.grader == LEARNER))
        .where(effective(attempts), effective(grades))
        .order_by(grades.c.attempt, grades.c.created_at, grades.c.id)
    )
    if question is not None:
        query = query.where(attempts.c.question == question)
    rows = connection.execute(query).mappings()
    found = [entry for _, of_one in groupby(rows, lambda row: row["attempt"]) for entry in _overruled(of_one)]
    return _newest_of_each(sorted(found, key=lambda entry: entry.at, reverse=True))


def _overruled(rows: Iterable[Mapping[Any, Any]]) -> Iterator[OwnExample]:
    """The examples in one answer, from its grades, oldest first."""
    first: dict[str, PointMark] = {}
    newest: dict[str, PointMark] = {}
    since: dict[str, datetime] = {}
    row: Mapping[Any, Any] = {}
    for row in rows:
        marks = {mark.id: mark for mark in grade_from(dict(row)).points}
        if not first and row["grader"] != LEARNER:
            first = marks
        since = {
            id: since[id] if newest.get(id) == mark else row["created_at"] for id, mark in marks.items()
        }
        newest = marks
    for id, mark in newest.items():
        before = first.get(id, PointMark(id, "missed"))
        words = _words(mark, before)
        if mark.by == "learner" and mark.status != before.status and mark.status in STATUSES and words:
            example = Example(id, mark.status, words, _language(words, row["language"]))
            yield OwnExample(row["question"], example, before.status, since[id], (row["attempt"],))


def _words(mark: PointMark, before: PointMark) -> str:
    quote = before.quote if mark.status == "missed" else mark.quote
    # An imported file may have anything here, and every later answer is held against it.
    words = " ".join(quote.split()) if isinstance(quote, str) else ""
    return words if len(words) <= LONGEST else ""


def _language(words: str, language: Language) -> Language:
    return languages_of(words.lower(), language)[0][0]


def _newest_of_each(found: list[OwnExample]) -> list[OwnExample]:
    kept: dict[tuple[str, str, str], OwnExample] = {}
    counts: dict[str, int] = {}
    for entry in found:
        key = (entry.question, entry.example.point, entry.example.words)
        if key in kept:
            kept[key] = replace(kept[key], attempts=(*kept[key].attempts, *entry.attempts))
        elif counts.get(entry.question, 0) < MOST:
            kept[key] = entry
            counts[entry.question] = counts.get(entry.question, 0) + 1
    return list(kept.values())


def first_grades(connection: Connection, learner: str, ids: Iterable[str]) -> dict[str, Grade]:
    """What the grader said of each of these attempts before anyone overruled it."""
    rows = connection.execute(
        select(grades)
        .join(attempts, attempts.c.id == grades.c.attempt)
        .where(attempts.c.learner == learner, grades.c.attempt.in_(list(ids)), grades.c.grader != LEARNER)
        .where(effective(grades))
        .order_by(grades.c.created_at.desc(), grades.c.id.desc())
    ).mappings()
    return {row["attempt"]: grade_from(dict(row)) for row in rows}  # earlier rows overwrite later ones
