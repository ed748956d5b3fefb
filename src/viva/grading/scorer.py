"""From marks to a score and a suggested rating.

The score is the weighted mean of the points (made 1, partly 0.5, missed 0, backwards −0.25), less 0.15 for each
misconception, kept within 0..1. Where the grader is not sure, a point counts as what its marks are worth on average, the likelier ones
weighing more (:func:`expected`); a learner's own mark counts in full. The rating is *again* below 0.35, *hard* below 0.6, *good* below 0.85, else *easy*; an
answer with something backwards or a misconception is never *easy*, and a copy of the model answer at most *hard*.
"""

from __future__ import annotations

from collections.abc import Sequence

from viva.bank import Question
from viva.grading.marks import STATUSES, Grade, MisconceptionMark, PointMark, Status

WORTH: dict[Status, float] = {"made": 1.0, "partly": 0.5, "missed": 0.0, "backwards": -0.25}
MISCONCEPTION_COST = 0.15
SHARPNESS = 2.0
"""Chances are raised to this power before they are averaged: 0.9 counts almost as certain, 0.55 hardly more than even."""
AGAIN, HARD, GOOD = 0.35, 0.60, 0.85


def total(question: Question, points: Sequence[PointMark], misconceptions: Sequence[MisconceptionMark]) -> float:
    """The score in 0..1; a question without points scores 0."""
    weights = {point.id: point.weight for point in question.points}
    whole = sum(weights.values())
    if not whole:
        return 0.0
    earned = sum(weights.get(mark.id, 0) * (WORTH[mark.status] if mark.worth is None else mark.worth) for mark in points)
    return round(min(1.0, max(0.0, earned / whole - MISCONCEPTION_COST * len(misconceptions))), 4)


def expected(chances: Sequence[float]) -> float:
    """What a point is worth whose marks (:data:`~viva.grading.marks.STATUSES`) have these ``chances``."""
    sharp = [chance**SHARPNESS for chance in chances]
    return round(sum(WORTH[status] * part for status, part in zip(STATUSES, sharp, strict=True)) / sum(sharp), 2)


def suggest(score: float, points: Sequence[PointMark], misconceptions: Sequence[MisconceptionMark], copied: bool) -> int:
    """The suggested rating: 1 again, 2 hard, 3 good, 4 easy."""
    if score < AGAIN:
        return 1
    if score < HARD or copied:
        return 2
    flawed = bool(misconceptions) or any(mark.status == "backwards" for mark in points)
    return 3 if score < GOOD or flawed else 4


def conclude(
    question: Question, points: Sequence[PointMark], misconceptions: Sequence[MisconceptionMark], copied: bool, grader: str
) -> Grade:
    """The grade that follows from the marks."""
    score = total(question, points, misconceptions)
    return Grade(score, tuple(points), tuple(misconceptions), copied, suggest(score, points, misconceptions, copied), grader)
