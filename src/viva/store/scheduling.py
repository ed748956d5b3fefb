"""The cards: a cache of what the reviews say, written in the same transaction as the review.

:mod:`viva.study.schedule` does the thinking; here its cards are read and written quickly, as rows.
"""

from __future__ import annotations

from collections.abc import Collection
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select, update

from viva.store.retracting import effective
from viva.store.tables import cards, reviews, settings
from viva.study.cards import Card, Rating, Review
from viva.study.settings import StudySettings

RETENTION = "retention"
"""The setting that the cards depend on besides the reviews: the share of answers to be remembered when due."""

_CARD = (
    cards.c.question,
    cards.c.state,
    cards.c.step,
    cards.c.stability,
    cards.c.difficulty,
    cards.c.due,
    cards.c.last_review,
    cards.c.reviews,
    cards.c.lapses,
)
_FIELDS = tuple(column.name for column in _CARD)
_read_fields = attrgetter(*_FIELDS)
_RATINGS = {int(rating): rating for rating in Rating}


def read_cards(connection: Connection, learner: str) -> dict[str, Card]:
    """Every card, by its question."""
    rows = connection.execute(select(*_CARD).where(cards.c.learner == learner))
    found: dict[str, Card] = {}
    for question, state, step, stability, difficulty, due, last_review, count, lapses in rows:
        # Ten thousand at once: filling a frozen dataclass past its __init__ takes a third of the time.
        card = found[question] = object.__new__(Card)
        fields = card.__dict__
        fields["question"], fields["state"], fields["step"] = question, state, step
        fields["stability"], fields["difficulty"] = stability, difficulty
        fields["due"], fields["last_review"] = due, last_review
        fields["reviews"], fields["lapses"] = count, lapses
    return found


def read_card(connection: Connection, learner: str, question: str) -> Card | None:
    row = connection.execute(
        select(*_CARD).where(cards.c.learner == learner, cards.c.question == question)
    ).first()
    return None if row is None else Card(*row)


def read_reviews(connection: Connection, learner: str, *where: ColumnElement[bool]) -> list[Review]:
    """The reviews that count, in the order in which they apply."""
    rows = connection.execute(
        select(reviews.c.question, reviews.c.rating, reviews.c.at)
        .where(reviews.c.learner == learner, effective(reviews), *where)
        .order_by(reviews.c.at, reviews.c.id)
    )
    return [Review(question, _RATINGS[rating], at) for question, rating, at in rows]


def retention(connection: Connection, learner: str) -> float:
    """The learner's setting, where it is one that can be studied with, else the default."""
    found = connection.scalar(
        select(settings.c.value).where(settings.c.learner == learner, settings.c.key == RETENTION)
    )
    try:
        return float(StudySettings(retention=found).retention)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return StudySettings.retention


def computed(connection: Connection, learner: str, *where: ColumnElement[bool]) -> dict[str, Card]:
    """The cards that follow from the reviews that count, whatever the cache says."""
    from viva.study.schedule import rebuild as replay

    return replay(read_reviews(connection, learner, *where), retention(connection, learner))


def add(connection: Connection, learner: str, review: Review) -> Card:
    """Carries one card over ``review``, which is already among the rows."""
    card = read_card(connection, learner, review.question)
    if card is not None and (card.last_review is None or card.last_review >= review.at):
        rebuild(connection, learner, {review.question})  # a review from before the newest one
        card = read_card(connection, learner, review.question)
        assert card is not None
        return card
    from viva.study.schedule import review_card

    card = review_card(card, review, retention(connection, learner))
    _write(connection, learner, card)
    return card


def rebuild(connection: Connection, learner: str, questions: Collection[str] | None = None) -> None:
    """Computes the cards of ``questions`` (or all) anew from the reviews that count."""
    if questions is None:
        connection.execute(delete(cards).where(cards.c.learner == learner))
        found = computed(connection, learner)
        if found:
            connection.execute(cards.insert(), [_values(learner, card) for card in found.values()])
        return
    for question in questions:
        card = computed(connection, learner, reviews.c.question == question).get(question)
        if card is None:
            connection.execute(delete(cards).where(cards.c.learner == learner, cards.c.question == question))
        else:
            _write(connection, learner, card)


def _write(connection: Connection, learner: str, card: Card) -> None:
    values = _values(learner, card)
    mine = (cards.c.learner == learner, cards.c.question == card.question)
    if connection.execute(update(cards).where(*mine).values(values)).rowcount == 0:
        connection.execute(cards.insert().values(values))


def _values(learner: str, card: Card) -> dict[str, Any]:
    return {"learner": learner, **dict(zip(_FIELDS, _read_fields(card), strict=True))}
