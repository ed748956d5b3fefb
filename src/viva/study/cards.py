"""The vocabulary of studying: a rating, a review, a card."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


class Rating(IntEnum):
    """How well it went, on FSRS's scale. The grade suggests it, the learner decides."""

    again = 1
    hard = 2
    good = 3
    easy = 4


@dataclass(frozen=True)
class Review:
    """One rating of one question at one time (UTC). Reviews are never changed, only added."""

    question: str
    rating: Rating
    at: datetime


@dataclass(frozen=True)
class Card:
    """The scheduling state of one question for one learner; a pure function of its reviews.

    ``state`` is FSRS's: 1 learning, 2 review, 3 relearning. ``stability`` is in days, ``difficulty`` in 1..10.
    """

    question: str
    state: int
    step: int | None
    stability: float | None
    difficulty: float | None
    due: datetime
    last_review: datetime | None
    reviews: int = 0
    lapses: int = 0
