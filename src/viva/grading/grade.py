"""What grading says of an answer (contract; the grader fills it)."""

from __future__ import annotations

from dataclasses import dataclass, replace  # noqa: F401
from typing import Literal

from viva.bank import Question
from viva.language import Language

Status = Literal["made", "partly", "missed", "backwards"]


@dataclass(frozen=True)
class PointMark:
    """One point's mark. ``quote`` is verbatim from the answer (``answer[start:end]``), empty where missed."""

    id: str
    status: Status
    quote: str = ""
    start: int = 0
    end: int = 0
    why: str = ""
    """Which cue was found, for the learner to check; empty where nothing was."""


@dataclass(frozen=True)
class MisconceptionMark:
    """A known wrong statement that the answer makes."""

    id: str
    quote: str
    start: int
    end: int


@dataclass(frozen=True)
class Grade:
    """``score`` is in 0..1; ``rating`` is the suggested one: 1 again, 2 hard, 3 good, 4 easy."""

    score: float
    points: tuple[PointMark, ...]
    misconceptions: tuple[MisconceptionMark, ...] = ()
    copied: bool = False
    rating: int = 1
    grader: str = "offline-1"


def grade(question: Question, answer: str, language: Language) -> Grade:
    raise NotImplementedError


def regrade(question: Question, grade: Grade, statuses: dict[str, Status], *, copied: bool | None = None) -> Grade:
    """``grade`` with the learner's own marks in ``statuses``; score and suggested rating follow."""
    raise NotImplementedError
