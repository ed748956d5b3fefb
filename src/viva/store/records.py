"""What the store gives back: plain frozen records, one for each table that a person meets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, cast

from viva.language import Language, Text

if TYPE_CHECKING:
    from viva.grading import Grade
    from viva.grading.opinion import Opinion

Way = Literal["text", "ink", "spoken"]


@dataclass(frozen=True)
class StoredGrade:
    """One grading of an attempt; the newest one that was not taken back counts."""

    id: str
    attempt: str
    created_at: datetime
    grade: Grade


@dataclass(frozen=True)
class StoredOpinion:
    """A second opinion on an attempt; ``score`` is in 0..1, as Viva summed its marks up at the time."""

    id: str
    attempt: str
    created_at: datetime
    score: float
    opinion: Opinion


@dataclass(frozen=True)
class Attempt:
    """One answer as it was given. ``seconds`` is how long it took; ``grade`` is the one that counts now."""

    id: str
    question: str
    language: Language
    way: Way
    text: str
    ink: Any
    seconds: float | None
    session: str | None
    created_at: datetime
    grade: Grade | None = None


@dataclass(frozen=True)
class StoredReview:
    """A review with its id and the attempt that it rates, if it rates one."""

    id: str
    question: str
    attempt: str | None
    rating: int
    at: datetime


@dataclass(frozen=True)
class Session:
    """One sitting: which questions, in which order. ``finished_at`` is None while it goes on."""

    id: str
    mode: str
    params: dict[str, Any]
    questions: tuple[str, ...]
    started_at: datetime
    finished_at: datetime | None
    time_limit_seconds: int | None


@dataclass(frozen=True)
class MyAnswer:
    """One version of the learner's own prepared answer."""

    id: str
    question: str
    language: Language
    text: str
    created_at: datetime


@dataclass(frozen=True)
class Draft:
    """What stood in the answer field when it was last seen."""

    question: str
    language: Language
    text: str
    ink: Any
    updated_at: datetime


@dataclass(frozen=True)
class Action:
    """A step that can be undone (``done``) or done again (``undone``)."""

    id: str
    kind: str
    label: Text
    at: datetime
    state: Literal["done", "undone"]


@dataclass(frozen=True)
class Totals:
    """All of a learner's answers and reviews that count; ``seconds`` were spent on answering."""

    answers: int
    seconds: float
    reviews: int


def grade_from(row: dict[str, Any]) -> Grade:
    """The :class:`~viva.grading.Grade` in a row of ``grades``; fields of other versions are passed over."""
    from viva.grading import Grade, MisconceptionMark, PointMark

    return Grade(
        score=row["score"],
        points=tuple(PointMark(**_only(PointMark, point)) for point in row["points"]),
        misconceptions=tuple(
            MisconceptionMark(**_only(MisconceptionMark, mark)) for mark in row["misconceptions"]
        ),
        copied=row["copied"],
        rating=row["rating"],
        grader=row["grader"],
    )


def opinion_from(row: dict[str, Any]) -> Opinion:
    """The :class:`~viva.grading.opinion.Opinion` in a row of ``opinions``; fields of other versions are passed over."""
    from viva.grading import PointMark
    from viva.grading.opinion import Opinion

    points, refused = (
        tuple(PointMark(**_only(PointMark, mark)) for mark in row[column]) for column in ("points", "refused")
    )
    return Opinion(row["judge"], points, refused, row["seconds"])


def _only(kind: type, fields: dict[str, Any]) -> dict[str, Any]:
    return {name: fields[name] for name in kind.__dataclass_fields__ if name in fields}  # type: ignore[attr-defined]


def grade_fields(grade: Grade | dict[str, Any], grader: str | None = None) -> dict[str, Any]:
    """``grade`` as the columns of ``grades``; a dict has the fields of :class:`~viva.grading.Grade`."""
    from dataclasses import asdict

    fields = dict(grade) if isinstance(grade, dict) else asdict(cast(Any, grade))
    return {
        "grader": grader or fields.get("grader") or "offline-1",
        "score": float(fields["score"]),
        "rating": int(fields.get("rating", 1)),
        "copied": bool(fields.get("copied", False)),
        "points": list(fields.get("points", ())),
        "misconceptions": list(fields.get("misconceptions", ())),
    }
