"""The numbers of the progress page."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import fsrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva.grading.grade import Grade, PointMark, Status
from viva.study import progress
from viva.study.cards import Card, Rating, Review
from viva.study.plan import plan_days
from viva.study.queue import Item
from viva.study.schedule import rebuild, review_card
from viva.study.settings import StudySettings

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SEOUL = StudySettings(utc_offset_minutes=540)
ITEMS = [Item("a", "vision", 1, 0), Item("b", "vision", 2, 1), Item("c", "training", 1, 2)]
times = st.floats(0, 40).map(lambda days: NOW - days * DAY)
histories = st.lists(st.builds(Review, st.sampled_from("abcd"), st.sampled_from(Rating), times), max_size=40)


def grade(**marks: Status) -> Grade:
    return Grade(0.5, tuple(PointMark(point, status) for point, status in marks.items()))


@given(histories, st.integers(1, 50))
def test_each_review_of_the_days_shown_is_counted_on_its_day(reviews: list[Review], days: int) -> None:
    found = progress.reviews_by_day(reviews, NOW, SEOUL, days)
    today = SEOUL.day_of(NOW)
    assert [day.date for day in found] == [today - n * DAY for n in reversed(range(days))]
    expected = Counter(SEOUL.day_of(review.at) for review in reviews)
    assert [day.total for day in found] == [expected[day.date] for day in found]


def test_reviews_by_day_tells_the_ratings_apart_and_knows_the_learners_night() -> None:
    at_one_in_seoul = datetime(2026, 3, 9, 16, tzinfo=UTC)
    reviews = [Review("a", Rating.again, at_one_in_seoul), Review("a", Rating.easy, NOW), Review("b", Rating.easy, NOW)]
    assert progress.reviews_by_day(reviews, NOW, SEOUL, 2) == [
        progress.ReviewDay(date(2026, 3, 9), again=1),
        progress.ReviewDay(date(2026, 3, 10), easy=2),
    ]


@given(histories, st.integers(1, 60))
def test_what_is_due_by_day_puts_overdue_questions_on_today(reviews: list[Review], days: int) -> None:
    cards = rebuild(reviews)
    found = progress.due_by_day(cards, NOW, SEOUL, days)
    today = SEOUL.day_of(NOW)
    assert [day.date for day in found] == [today + n * DAY for n in range(days)]
    expected = Counter(max(today, SEOUL.day_of(card.due)) for card in cards.values())
    assert [day.due for day in found] == [expected[day.date] for day in found]


def test_the_interview_moves_what_is_due() -> None:
    cards = {"a": Card("a", 2, None, 90.0, 5.0, NOW + 80 * DAY, NOW - 10 * DAY, 4, 0)}
    assert sum(day.due for day in progress.due_by_day(cards, NOW, SEOUL, 10)) == 0
    soon = StudySettings(utc_offset_minutes=540, interview=date(2026, 3, 20))
    assert sum(day.due for day in progress.due_by_day(cards, NOW, soon, 10)) == 1


def test_coverage_counts_what_was_met_per_topic() -> None:
    cards = rebuild([Review("a", Rating.again, NOW), Review("gone", Rating.good, NOW)])
    assert progress.coverage_by_topic(ITEMS, cards) == {
        "vision": progress.Coverage(1, 2),
        "training": progress.Coverage(0, 1),
    }
    assert progress.coverage_by_topic([], cards) == {}


def test_retention_is_the_mean_of_what_fsrs_expects_and_nothing_is_said_of_unmet_topics() -> None:
    cards = rebuild([Review("a", Rating.easy, NOW - 8 * DAY), Review("b", Rating.good, NOW - 2 * DAY)])
    peer = fsrs.Scheduler()
    expected = [
        peer.get_card_retrievability(
            fsrs.Card(card_id=0, due=NOW, stability=card.stability, last_review=card.last_review), NOW
        )
        for card in cards.values()
    ]
    found = progress.retention_by_topic(ITEMS, cards, NOW)
    assert found["vision"] == pytest.approx(sum(expected) / 2)
    assert found["training"] is None


@given(histories)
def test_retention_is_a_share_and_falls_with_time(reviews: list[Review]) -> None:
    cards = rebuild(reviews)
    today = progress.retention_by_topic(ITEMS, cards, NOW)
    later = progress.retention_by_topic(ITEMS, cards, NOW + 30 * DAY)
    for topic, chance in today.items():
        assert (chance is None) == (later[topic] is None)
        assert chance is None or 0 < (later[topic] or 0) < chance <= 1


@given(histories)
def test_true_retention_counts_only_reviews_of_cards_in_review(reviews: list[Review]) -> None:
    cards: dict[str, Card] = {}
    counted = []
    for review in sorted(reviews, key=lambda review: review.at):
        before = cards.get(review.question)
        if before is not None and before.state == 2:
            counted.append(review.rating != Rating.again)
        cards[review.question] = review_card(before, review)
    assert progress.true_retention(iter(reviews)) == (sum(counted) / len(counted) if counted else None)


def test_true_retention_since_a_day_still_knows_what_came_before() -> None:
    reviews = [
        Review("a", Rating.easy, NOW - 30 * DAY),
        Review("a", Rating.again, NOW - 20 * DAY),
        Review("a", Rating.good, NOW - 19 * DAY),
        Review("a", Rating.good, NOW - 5 * DAY),
    ]
    assert progress.true_retention(reviews) == 0.5
    assert progress.true_retention(reviews, since=NOW - 6 * DAY) == 1.0
    assert progress.true_retention(reviews, since=NOW) is None


def test_a_streak_is_not_broken_by_a_day_that_has_only_begun() -> None:
    def days(*ago: int) -> list[Review]:
        return [Review("a", Rating.good, NOW - n * DAY) for n in ago]

    assert progress.streak([], NOW, SEOUL) == 0
    assert progress.streak(days(0), NOW, SEOUL) == 1
    assert progress.streak(days(1, 2), NOW, SEOUL) == 2
    assert progress.streak(days(0, 1, 2, 4, 5), NOW, SEOUL) == 3
    assert progress.streak(days(2, 3), NOW, SEOUL) == 0


def test_practising_past_midnight_keeps_the_streak() -> None:
    nights = [datetime(2026, 3, day, 16, 30, tzinfo=UTC) for day in (7, 8, 9)]  # half past one in Seoul
    assert progress.streak([Review("a", Rating.good, at) for at in nights], nights[-1], SEOUL) == 3


def test_the_points_missed_most_often_come_first_with_their_newest_mark() -> None:
    newest_first = [
        ("relu", grade(quarter="made", sparse="missed")),
        ("relu", grade(quarter="missed", sparse="backwards", dying="made")),
        ("adam", grade(quarter="missed", bias="partly")),
        ("relu", grade(quarter="missed", sparse="missed")),
    ]
    assert progress.most_missed_points(newest_first) == [
        progress.MissedPoint("relu", "sparse", 3, 3, "missed"),
        progress.MissedPoint("relu", "quarter", 2, 3, "made"),
        progress.MissedPoint("adam", "quarter", 1, 1, "missed"),
    ]
    assert len(progress.most_missed_points(newest_first, limit=1)) == 1
    assert len(progress.most_missed_points(newest_first, limit=None)) == 3
    assert progress.most_missed_points([]) == []


def test_among_points_missed_equally_often_the_larger_share_wins() -> None:
    found = progress.most_missed_points([("q", grade(a="made", b="missed")), ("q", grade(a="missed"))])
    assert [(point.point, point.asked) for point in found] == [("b", 1), ("a", 2)]


def test_time_spent_adds_up_what_was_measured() -> None:
    @dataclass(frozen=True)
    class Attempt:
        created_at: datetime
        seconds: float | None

    attempts = [Attempt(NOW, 90.5), Attempt(NOW - DAY, None), Attempt(NOW - 2 * DAY, 30.0)]
    assert progress.time_spent(attempts) == 120.5
    assert progress.time_spent(attempts, since=NOW - DAY) == 90.5


def test_every_row_is_plain_json() -> None:
    rows = [
        *progress.reviews_by_day([Review("a", Rating.hard, NOW)], NOW, SEOUL, 1),
        *progress.due_by_day({}, NOW, SEOUL, 1),
        *progress.coverage_by_topic(ITEMS[:1], {}).values(),
        *progress.most_missed_points([("q", grade(a="missed"))]),
        *plan_days(ITEMS[:1], {}, NOW, SEOUL, days=1),
    ]
    assert json.loads(json.dumps([row.to_json() for row in rows])) == [
        {"date": "2026-03-10", "again": 0, "hard": 1, "good": 0, "easy": 0},
        {"date": "2026-03-10", "due": 0},
        {"seen": 0, "total": 1},
        {"question": "q", "point": "a", "missed": 1, "asked": 1, "last_status": "missed"},
        {"date": "2026-03-10", "due": 0, "new": 1, "final": False},
    ]
