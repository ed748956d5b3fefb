"""The days ahead, until the interview: what comes up on each, how many new questions to meet, and whether it all fits.

Up to 500 questions the plan plays the days through as if every answer were rated *good*, so a question counts on every
day on which it would come up. Above that it counts each question once, on the day it is due now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice

from viva.study.cards import Card, Rating, Review
from viva.study.queue import Item
from viva.study.rows import Row
from viva.study.schedule import REVIEW_STATE, Horizon, review_card
from viva.study.settings import StudySettings, final_stretch

DAYS_WITHOUT_INTERVIEW = 30
MOST_DAYS = 366
MOST_PROJECTED = 500
_DAY = timedelta(days=1)
_STEPS_A_DAY = 8
"""More than the learning steps of one day; a guard, so that no setting of FSRS can hold the projection up."""


@dataclass(frozen=True)
class DayPlan(Row):
    """One of the learner's days: questions that come up again, questions met for the first time.

    ``final`` says that the day lies in the final stretch before the interview.
    """

    date: date
    due: int
    new: int
    final: bool = False


@dataclass(frozen=True)
class Plan(Row):
    """The days from today to the eve of the interview, or 30 days where there is none.

    ``needed_per_day`` new questions a day bring each question up once before the last third of the days left, or before the
    final stretch where that is shorter (0 without an interview); ``fits`` says whether the daily limit allows that. ``projected`` is False for a plain count of what is due now.
    """

    days: tuple[DayPlan, ...]
    unseen: int
    needed_per_day: int
    fits: bool
    days_left: int | None
    projected: bool

    def __iter__(self) -> Iterator[DayPlan]:
        return iter(self.days)

    def __len__(self) -> int:
        return len(self.days)


def days_left(now: datetime, settings: StudySettings) -> int | None:
    """Days until the interview: 0 on its day; None where none is set or it is over."""
    return settings.days_left(now)


def plan_days(
    items: Iterable[Item],
    cards: Mapping[str, Card],
    now: datetime,
    settings: StudySettings,
    days: int | None = None,
    *,
    new_today: int = 0,
) -> Plan:
    """The plan of at most ``days`` days from today; cards of questions not in ``items`` do not count.

    ``new_today`` questions were met for the first time today and leave less of today's limit.
    """
    left = settings.days_left(now)
    length = min(max(1, left), MOST_DAYS) if left is not None else DAYS_WITHOUT_INTERVIEW
    length = length if days is None else max(1, min(days, length if left is not None else MOST_DAYS))
    unique = dict.fromkeys(item.key for item in sorted(items, key=lambda item: item.order))
    known = [cards[key] for key in unique if key in cards]
    unseen = [key for key in unique if key not in cards]

    limit = settings.new_per_day
    capacity = [max(0, limit - new_today)] + [limit] * (length - 1)
    new = [0] * length
    starts: list[tuple[str, int]] = []
    waiting = iter(unseen)
    for day, room in enumerate(capacity):
        met = list(islice(waiting, room))
        new[day] = len(met)
        starts += [(key, day) for key in met]

    projected = len(unique) <= MOST_PROJECTED
    due = _projected(known, starts, length, now, settings) if projected else _counted(known, length, now, settings)
    today = settings.day_of(now)
    meeting = None if left is None else max(1, left - min(settings.final_days, final_stretch(left)))
    needed, fits = _needed(len(unseen), new_today, limit, meeting)
    return Plan(
        days=tuple(
            DayPlan(today + day * _DAY, due[day], new[day], left is not None and left - day <= settings.final_days)
            for day in range(length)
        ),
        unseen=len(unseen),
        needed_per_day=needed,
        fits=fits,
        days_left=left,
        projected=projected,
    )


def _needed(unseen: int, new_today: int, limit: int, days: int | None) -> tuple[int, bool]:
    """The least daily limit that meets ``unseen`` questions within ``days``, and whether ``limit`` is that much."""
    if days is None or unseen == 0:
        return 0, True
    needed = -(-(unseen + new_today) // days)
    if days > 1 and (elsewhere := -(-unseen // (days - 1))) <= new_today:
        # Today had its share already; the other days carry the rest.
        needed = elsewhere
    return needed, limit >= needed


def _projected(
    known: list[Card], starts: list[tuple[str, int]], length: int, now: datetime, settings: StudySettings
) -> list[int]:
    """Per day, how many questions come up, every answer being rated good."""
    due = [0] * length
    horizons = _horizons(now, settings, length)
    for card in known:
        _play(card, due, horizons)
    for key, day in starts:
        card = review_card(None, Review(key, Rating.good, horizons[day].now), settings.retention)
        _play(_finished_for_the_day(card, horizons[day]), due, horizons)
    return due


def _horizons(now: datetime, settings: StudySettings, length: int) -> list[Horizon]:
    """The learner sits down now, and then every day at this time."""
    return [Horizon(settings, now + day * _DAY) for day in range(length)]


def _play(card: Card, due: list[int], horizons: list[Horizon]) -> None:
    first = horizons[0]
    while True:
        day = max(0, (first.due(card) - first.day_start) // _DAY)
        if day >= len(due):
            return
        due[day] += 1
        if card.state == REVIEW_STATE:
            card = review_card(card, Review(card.question, Rating.good, horizons[day].now), first.settings.retention)
        card = _finished_for_the_day(card, horizons[day])


def _finished_for_the_day(card: Card, horizon: Horizon) -> Card:
    """The card after the learning steps that are left in this day, each rated good when it comes up."""
    for _ in range(_STEPS_A_DAY):
        if card.state == REVIEW_STATE and card.due >= horizon.day_end:
            return card
        at = max(horizon.now, min(card.due, horizon.day_end - timedelta(seconds=1)))
        card = review_card(card, Review(card.question, Rating.good, at), horizon.settings.retention)
    return card


def _counted(known: list[Card], length: int, now: datetime, settings: StudySettings) -> list[int]:
    """Per day, how many of the cards are due on it as things stand; what is overdue counts today."""
    due = [0] * length
    horizon = Horizon(settings, now)
    for card in known:
        day = max(0, (horizon.due(card) - horizon.day_start) // _DAY)
        if day < length:
            due[day] += 1
    return due
