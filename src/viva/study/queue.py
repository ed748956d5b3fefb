"""Which questions come next, and in which order: one function, six ways of practising.

====================  =================================================================================================
``due``               what is due, the most overdue for its stability first; then what is being learnt; then new ones
``topic``             one topic, in list order
``list``              the whole list, in order
``shuffled``          the whole list, shuffled by the seed
``weak``              what was answered before, the weakest first
``exam``              ``limit`` questions (10), spread over the topics, drawn by the seed
====================  =================================================================================================

A topic narrows any of them, and a limit cuts any of them short.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Literal, get_args

from viva.study.cards import Card
from viva.study.schedule import REVIEW_STATE, Horizon
from viva.study.settings import StudySettings

Mode = Literal["due", "topic", "list", "shuffled", "weak", "exam"]
MODES: tuple[Mode, ...] = get_args(Mode)
EXAM_QUESTIONS = 10
LAPSE_WEIGHT = 0.2
"""A lapse counts as much as a fifth of a question's points missed; from five lapses on it is a question missed."""


@dataclass(frozen=True, slots=True)
class Item:
    """What a queue knows of a question. ``order`` is its place in the list."""

    key: str
    topic: str
    level: int
    order: int


def build_queue(
    mode: str,
    items: Iterable[Item],
    cards: Mapping[str, Card],
    now: datetime,
    settings: StudySettings,
    *,
    new_today: int = 0,
    seed: int = 0,
    topic: str | None = None,
    limit: int | None = None,
    weak: Mapping[str, float] | None = None,
) -> list[str]:
    """The keys to practise, in order, each at most once; cards of questions that are not in ``items`` are passed over.

    ``new_today`` is how many questions were met for the first time today and counts towards the daily limit, which only
    the mode ``due`` keeps. ``weak`` gives the share of a question's points missed at its last answer (0 none, 1 all).

    Raises:
        ValueError: an unknown mode, the mode ``topic`` without a topic, or a negative limit.
    """
    if mode not in MODES:
        raise ValueError(f"'{mode}' is not a way of practising; use one of {', '.join(MODES)}")
    if mode == "topic" and not topic:
        raise ValueError("the mode 'topic' needs the topic to practise")
    if limit is not None and limit < 0:
        raise ValueError(f"limit is {limit}; give 0 or more questions")
    unique = {item.key: item for item in items if topic is None or item.topic == topic}
    wanted = sorted(unique.values(), key=attrgetter("order"))
    keys = [item.key for item in wanted]
    match mode:
        case "due":
            keys = _due(keys, cards, now, settings, max(0, settings.new_per_day - new_today))
        case "shuffled":
            random.Random(seed).shuffle(keys)
        case "weak":
            keys = _weakest_first(keys, cards, weak or {})
        case "exam":
            keys = _exam(wanted, seed, EXAM_QUESTIONS if limit is None else limit)
    return keys if limit is None else keys[:limit]


def _due(keys: list[str], cards: Mapping[str, Card], now: datetime, settings: StudySettings, new: int) -> list[str]:
    horizon = Horizon(settings, now)
    overdue: list[tuple[float, str]] = []
    learning: list[tuple[datetime, str]] = []
    unseen: list[str] = []
    for key in keys:
        card = cards.get(key)
        if card is None:
            unseen.append(key)
        elif card.state == REVIEW_STATE:
            due = horizon.due(card)
            if due < horizon.day_end:
                # A day late means much to a memory of two days and little to one of a year.
                overdue.append(((due - horizon.now).total_seconds() / (card.stability or 1.0), key))
        elif (due := horizon.due(card)) <= horizon.now:
            learning.append((due, key))
    overdue.sort(key=lambda entry: entry[0])
    learning.sort(key=lambda entry: entry[0])
    return [key for _, key in overdue] + [key for _, key in learning] + unseen[:new]


def _weakest_first(keys: list[str], cards: Mapping[str, Card], weak: Mapping[str, float]) -> list[str]:
    def weakness(key: str) -> float:
        card = cards.get(key)
        return weak.get(key, 0.0) + LAPSE_WEIGHT * min(card.lapses if card else 0, 5)

    def difficulty(key: str) -> float:
        card = cards.get(key)
        return (card.difficulty if card else None) or 0.0

    met = [key for key in keys if key in cards or key in weak]
    return sorted(met, key=lambda key: (-weakness(key), -difficulty(key)))


def _exam(items: list[Item], seed: int, count: int) -> list[str]:
    """``count`` keys, one from each topic in turn until there are enough."""
    draw = random.Random(seed)
    chapters: dict[str, list[str]] = {}
    for item in items:
        chapters.setdefault(item.topic, []).append(item.key)
    piles = list(chapters.values())
    draw.shuffle(piles)
    for pile in piles:
        draw.shuffle(pile)
    drawn: list[str] = []
    while piles and len(drawn) < count:
        for pile in piles:
            drawn.append(pile.pop())
        piles = [pile for pile in piles if pile]
    drawn = drawn[:count]
    draw.shuffle(drawn)
    return drawn
