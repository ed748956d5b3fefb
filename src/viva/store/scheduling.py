"""The cards: a cache of what the reviews say, written in the same transaction as the review.

:mod:`viva.study.schedule` does the thinking; here its cards are read and written quickly, as rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select, update

from viva.store.retracting import effective
from viva.store.tables import cards, reviews, settings
from viva.study.cards import Card, Rating, Review

RETENTION = "retention"
"""The setting that the cards depend on besides the reviews: the share of answers to be remembered when due."""
DEFAULT_RETENTION = 0.9

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
    return {row[0]: Card(*row) for row in rows}


def read_card(connection: Connection, learner: str, question: str) -> Card | None:
    row = connection.execute(select(*_CARD).where(cards.c.learner == learner, cards.c.question == question)).first()
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
    """The learner's setting, where it is a share between 0 and 1, else the default."""
    found = connection.scalar(
        select(settings.c.value).where(settings.c.learner == learner, settings.c.key == RETENTION)
    )
    usable = isinstance(found, (int, float)) and not isinstance(found, bool) and 0 < found < 1
    return float(found) if usable else DEFAULT_RETENTION  # type: ignore[arg-type]


def replay(history: Iterable[Review], share: float) -> dict[str, Card]:
    """The cards that ``history``, oldest first, leads to at a retention of ``share``."""
    from viva.study.schedule import review_card

    found: dict[str, Card] = {}
    for review in history:
        found[review.question] = review_card(found.get(review.question), review, share)
    return found


def add(connection: Connection, learner: str, review: Review) -> Card:
    """Carries one card over ``review``, which is already among the rows."""
    from viva.study.schedule import review_card

    card = read_card(connection, learner, review.question)
    if card is not None and (card.last_review is None or card.last_review >= review.at):
        rebuild(connection, learner, {review.question})  # a review from before the newest one
        card = read_card(connection, learner, review.question)
        assert card is not None
        return card
    card = review_card(card, review, retention(connection, learner))
    _write(connection, learner, card)
    return card


def rebuild(connection: Connection, learner: str, questions: Collection[str] | None = None) -> None:
    """Computes the cards of ``questions`` (or all) anew from the reviews that count."""
    share = retention(connection, learner)
    if questions is None:
        connection.execute(delete(cards).where(cards.c.learner == learner))
        found = replay(read_reviews(connection, learner), share)
        if found:
            connection.execute(cards.insert(), [_values(learner, card) for card in found.values()])
        return
    for question in questions:
        card = replay(read_reviews(connection, learner, reviews.c.question == question), share).get(question)
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
