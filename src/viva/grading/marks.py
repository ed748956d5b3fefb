"""The words of a grade: what is said of each point, of misconceptions, and of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["made", "partly", "missed", "backwards"]
STATUSES: tuple[Status, ...] = ("made", "partly", "missed", "backwards")


@dataclass(frozen=True)
class PointMark:
    """One point's mark. ``quote`` is verbatim from the answer (``answer[start:end]``), empty where missed."""

    id: str
    status: Status
    quote: str = ""
    start: int = 0
    end: int = 0
    why: str = ""
    """What the mark was read from, for the learner to check; empty where nothing was."""
    confidence: float = 1.0
    """How likely the mark is to be right, in 0..1; the learner's own marks are 1."""
    by: Literal["grader", "learner"] = "grader"
    worth: float | None = None
    """What the mark counts in the score, −0.25..1, where the grader is not sure of it; None counts as its status does."""


@dataclass(frozen=True)
class MisconceptionMark:
    """A known wrong statement that the answer makes."""

    id: str
    quote: str
    start: int
    end: int
    confidence: float = 1.0


@dataclass(frozen=True)
class Grade:
    """``score`` is in 0..1; ``rating`` is the suggested one: 1 again, 2 hard, 3 good, 4 easy."""

    score: float
    points: tuple[PointMark, ...]
    misconceptions: tuple[MisconceptionMark, ...] = ()
    copied: bool = False
    rating: int = 1
    grader: str = "offline-2"
