"""When a question comes up again: FSRS through the ``fsrs`` package, capped by the date of the interview.

FSRS (https://github.com/open-spaced-repetition/py-fsrs) sets a card's due time from its reviews, without fuzz, so a card is
a pure function of its reviews. An interview puts a ceiling on that: each question gets a *slot*, one day of the final
stretch (the last week before the interview, or the last third of a shorter preparation), chosen by a hash of its key so
that the days are evenly filled and the slot never moves. A card that was last reviewed before its slot comes up no later than
in it; one that was reviewed in or after it has had its last round, and FSRS alone decides.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache

import fsrs

from viva.study.cards import Card, Rating, Review
from viva.study.settings import StudySettings, in_utc

REVIEW_STATE = int(fsrs.State.Review)
LEARNING_STEPS = (timedelta(minutes=10),)
_DAY = timedelta(days=1)


@lru_cache(maxsize=32)
def scheduler(retention: float = 0.9) -> fsrs.Scheduler:
    """FSRS with its default parameters and one learning step of ten minutes.

    FSRS's own first step of one minute is for flash cards; an interview answer takes two or three minutes to give, and asking
    the same question again right after its model answer would only test the last thing read.
    """
    return fsrs.Scheduler(desired_retention=retention, learning_steps=LEARNING_STEPS, relearning_steps=LEARNING_STEPS, enable_fuzzing=False)


def review_card(card: Card | None, review: Review, retention: float = 0.9) -> Card:
    """The card after ``review``; ``card`` is None before the first one.

    A review that is older than the card's last one (the clock was set back) counts as made at that last one. Its
    exact place in the history is only taken by :func:`rebuild`.

    Raises:
        ValueError: the review is another question's, or its time has no time zone.
    """
    if card is None:
        at = in_utc(review.at)
        return _from_fsrs(_reviewed(_unseen(at), review.rating, at, retention), review.question, 1, 0)
    if card.question != review.question:
        raise ValueError(f"a review of '{review.question}' cannot change the card of '{card.question}'; pass that question's card")
    at = in_utc(review.at)
    if card.last_review is not None:
        at = max(at, in_utc(card.last_review))
    after = _reviewed(to_fsrs(card), review.rating, at, retention)
    return _from_fsrs(after, card.question, card.reviews + 1, card.lapses + _is_lapse(card.state, review.rating))


def rebuild(reviews: Iterable[Review], retention: float = 0.9) -> dict[str, Card]:
    """All cards from all reviews, in any order: sorted by time, ties as they came."""
    decks: dict[str, tuple[fsrs.Card, int, int]] = {}
    for review in sorted(reviews, key=lambda review: in_utc(review.at)):
        at = in_utc(review.at)
        card, count, lapses = decks.get(review.question) or (_unseen(at), 0, 0)
        lapses += _is_lapse(card.state, review.rating)
        decks[review.question] = (_reviewed(card, review.rating, at, retention), count + 1, lapses)
    return {question: _from_fsrs(card, question, count, lapses) for question, (card, count, lapses) in decks.items()}


def intervals(card: Card | None, question: str, now: datetime, settings: StudySettings) -> dict[Rating, timedelta]:
    """How long until ``question`` would come up again, for each rating given now: what the buttons show."""
    horizon = Horizon(settings, now)
    spans = {}
    for rating in Rating:
        after = review_card(card, Review(question, rating, now), settings.retention)
        spans[rating] = max(horizon.due(after) - now, timedelta(0))
    return spans


class Horizon:
    """Due times as seen at ``now``, with the interview in view. Made once, asked for many cards."""

    def __init__(self, settings: StudySettings, now: datetime) -> None:
        self.settings = settings
        self.now = in_utc(now)
        today = settings.day_of(now)
        self.day_start = settings.start_of(today)
        self.day_end = self.day_start + _DAY
        # On the day of the interview what was left undone stays due; from the day after FSRS alone decides.
        self._capped = settings.interview is not None and today <= settings.interview
        self._slots: tuple[datetime, ...] = ()
        if settings.interview is not None and self._capped:
            self._interview_starts = settings.start_of(settings.interview)
            self._slots = tuple(self._interview_starts - k * _DAY for k in range(1, settings.final_days + 1))

    def due(self, card: Card) -> datetime:
        """FSRS's due time, or the start of the card's slot where that comes first."""
        if not self._capped or card.last_review is None:
            return card.due
        number = zlib.crc32(card.question.encode())
        slot = self._slots[number % len(self._slots)]
        if card.last_review >= slot:
            if card.reviews > 1:
                return card.due
            # Met only once, and already inside the final stretch: the round that is still owed lies in the last third
            # of what was left then.
            left = (self._interview_starts + _DAY - card.last_review) // _DAY
            slot = self._interview_starts - (1 + number % max(1, left // 3)) * _DAY
            if card.last_review >= slot:
                return card.due
        return min(card.due, slot)

    def is_due(self, card: Card) -> bool:
        """Whether the card is due now: in review any time of the learner's day, in learning to the minute."""
        return self.due(card) < self.day_end if card.state == REVIEW_STATE else self.due(card) <= self.now


def effective_due(card: Card, settings: StudySettings, now: datetime) -> datetime:
    """When ``card`` comes up, in UTC: FSRS's due time, capped so that the question comes round before the interview."""
    return Horizon(settings, now).due(card)


def is_due(card: Card, settings: StudySettings, now: datetime) -> bool:
    """Whether ``card`` is due now; see :meth:`Horizon.is_due`."""
    return Horizon(settings, now).is_due(card)


def to_fsrs(card: Card) -> fsrs.Card:
    """The same state as the ``fsrs`` package keeps it."""
    return fsrs.Card(
        card_id=0,
        state=fsrs.State(card.state),
        step=card.step,
        stability=card.stability,
        difficulty=card.difficulty,
        due=in_utc(card.due),
        last_review=in_utc(card.last_review) if card.last_review else None,
    )


def _unseen(at: datetime) -> fsrs.Card:
    # An id and a due time are passed because fsrs would ask the clock for them, and sleep to keep its ids apart.
    return fsrs.Card(card_id=0, due=at)


def _reviewed(card: fsrs.Card, rating: Rating, at: datetime, retention: float) -> fsrs.Card:
    return scheduler(retention).review_card(card, fsrs.Rating(int(rating)), at)[0]


def _is_lapse(state: int, rating: Rating) -> bool:
    return state == REVIEW_STATE and rating == Rating.again


def _from_fsrs(card: fsrs.Card, question: str, reviews: int, lapses: int) -> Card:
    return Card(
        question=question,
        state=int(card.state),
        step=card.step,
        stability=card.stability,
        difficulty=card.difficulty,
        due=card.due,
        last_review=card.last_review,
        reviews=reviews,
        lapses=lapses,
    )
