"""What the learner has done and how well it holds: the numbers of the progress page and of ``viva stats``.

All of it is counted from reviews, cards, grades and attempts as they are; nothing is kept. Days are the learner's
(see :mod:`viva.study.settings`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Protocol

import fsrs

from viva.grading.grade import PointMark, Status
from viva.study.cards import Card, Rating, Review
from viva.study.queue import Item
from viva.study.rows import Row
from viva.study.schedule import REVIEW_STATE, Horizon, scheduler, to_fsrs
from viva.study.settings import StudySettings, in_utc

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class ReviewDay(Row):
    """The reviews of one of the learner's days, by rating."""

    date: date
    again: int = 0
    hard: int = 0
    good: int = 0
    easy: int = 0

    @property
    def total(self) -> int:
        return self.again + self.hard + self.good + self.easy


@dataclass(frozen=True)
class DueDay(Row):
    """How many questions are due on one of the learner's days."""

    date: date
    due: int


@dataclass(frozen=True)
class Coverage(Row):
    """How many of a topic's questions were answered and rated at least once."""

    seen: int
    total: int


@dataclass(frozen=True)
class MissedPoint(Row):
    """A point and how often it was missed or turned round, of the times it was asked. ``last_status`` is its newest mark."""

    question: str
    point: str
    missed: int
    asked: int
    last_status: Status


class Marked(Protocol):
    """A grade, as far as the points go."""

    @property
    def points(self) -> Iterable[PointMark]: ...


class Timed(Protocol):
    """An attempt, as far as its time goes; ``seconds`` is None where nobody measured."""

    @property
    def created_at(self) -> datetime: ...
    @property
    def seconds(self) -> float | None: ...


def reviews_by_day(reviews: Iterable[Review], now: datetime, settings: StudySettings, days: int = 30) -> list[ReviewDay]:
    """The last ``days`` days, today last, days without a review included."""
    counted: Counter[tuple[int, Rating]] = Counter()
    begin = settings.start_of(settings.day_of(now)) - (days - 1) * _DAY
    for review in reviews:
        if (place := (in_utc(review.at) - begin) // _DAY) >= 0:
            counted[place, review.rating] += 1
    first = settings.day_of(begin)
    return [
        ReviewDay(first + place * _DAY, **{rating.name: counted[place, rating] for rating in Rating})
        for place in range(days)
    ]


def due_by_day(cards: Mapping[str, Card], now: datetime, settings: StudySettings, days: int = 30) -> list[DueDay]:
    """The next ``days`` days, today first: what is due on each as things stand; what is overdue counts today."""
    horizon = Horizon(settings, now)
    counted = Counter(max(0, (horizon.due(card) - horizon.day_start) // _DAY) for card in cards.values())
    today = settings.day_of(now)
    return [DueDay(today + place * _DAY, counted[place]) for place in range(days)]


def coverage_by_topic(items: Iterable[Item], cards: Mapping[str, Card]) -> dict[str, Coverage]:
    """Per topic, in the order of ``items``: questions with a card, and all."""
    totals: dict[str, int] = {}
    seen: dict[str, int] = {}
    for item in items:
        totals[item.topic] = totals.get(item.topic, 0) + 1
        seen[item.topic] = seen.get(item.topic, 0) + (item.key in cards)
    return {topic: Coverage(seen[topic], total) for topic, total in totals.items()}


def retention_by_topic(
    items: Iterable[Item], cards: Mapping[str, Card], now: datetime, retention: float = 0.9
) -> dict[str, float | None]:
    """Per topic, the mean chance (0..1) that a question answered before would be recalled ``now``, as FSRS estimates it.

    None for a topic of which nothing was answered. Questions never met do not pull the mean down: that is coverage.
    """
    judge, at = scheduler(retention), in_utc(now)
    chances: dict[str, list[float]] = {}
    for item in items:
        topic = chances.setdefault(item.topic, [])
        card = cards.get(item.key)
        if card is not None and card.stability is not None:
            topic.append(judge.get_card_retrievability(to_fsrs(card), at))
    return {topic: sum(found) / len(found) if found else None for topic, found in chances.items()}


def true_retention(reviews: Iterable[Review], since: datetime | None = None) -> float | None:
    """The share (0..1) of reviews not rated *again*, among those of cards in the review state; None without any.

    What it should come to is the retention in the settings. ``reviews`` is the whole history, in any order; those before
    ``since`` decide a card's state, but are not counted.
    """
    states: dict[str, tuple[int, int | None]] = {}
    asked = recalled = 0
    for review in sorted(reviews, key=lambda review: review.at):
        state, step = states.get(review.question, _UNSEEN)
        if state == REVIEW_STATE and (since is None or review.at >= since):
            asked += 1
            recalled += review.rating != Rating.again
        states[review.question] = _next_state(state, step, int(review.rating))
    return recalled / asked if asked else None


def streak(reviews: Iterable[Review], now: datetime, settings: StudySettings) -> int:
    """How many days in a row have a review, up to today; a today without one (yet) does not break it."""
    offset = timedelta(minutes=settings.utc_offset_minutes, hours=-settings.day_start_hour)
    studied = {(in_utc(review.at) + offset).date() for review in reviews}
    day = settings.day_of(now)
    if day not in studied:
        day -= _DAY
    length = 0
    while day in studied:
        length += 1
        day -= _DAY
    return length


def most_missed_points(grades: Iterable[tuple[str, Marked]], limit: int | None = 20) -> list[MissedPoint]:
    """The points missed most often, of ``grades`` given as (question, grade), newest first.

    Missed and backwards count; partly does not. Ties go to the point that is missed in the larger share of answers, then to
    the one met last. Points never missed are left out.
    """
    last: dict[tuple[str, str], Status] = {}
    asked: Counter[tuple[str, str]] = Counter()
    missed: Counter[tuple[str, str]] = Counter()
    for question, grade in grades:
        for mark in grade.points:
            point = (question, mark.id)
            last.setdefault(point, mark.status)
            asked[point] += 1
            missed[point] += mark.status in ("missed", "backwards")
    # ``last`` is in the order of meeting, newest first, and sorting keeps that order among equals.
    worst = sorted((point for point in last if missed[point]), key=lambda point: (-missed[point], asked[point]))
    return [MissedPoint(*point, missed[point], asked[point], last[point]) for point in worst[:limit]]


def time_spent(attempts: Iterable[Timed], since: datetime | None = None) -> float:
    """Seconds spent on answers, those from ``since`` on or all."""
    return sum(attempt.seconds or 0.0 for attempt in attempts if since is None or attempt.created_at >= since)


_UNSEEN: tuple[int, int | None] = (int(fsrs.State.Learning), 0)
_ANY_DAY = datetime(2000, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=64)
def _next_state(state: int, step: int | None, rating: int) -> tuple[int, int | None]:
    """FSRS's own next state and step, asked once each: they depend on neither the times nor the memory's strength."""
    card = fsrs.Card(card_id=0, state=fsrs.State(state), step=step, stability=1.0, difficulty=5.0, due=_ANY_DAY, last_review=_ANY_DAY)
    after, _ = scheduler().review_card(card, fsrs.Rating(rating), _ANY_DAY + _DAY)
    return int(after.state), after.step
