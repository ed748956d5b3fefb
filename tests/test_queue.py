"""Which questions come next: six ways of practising, and what holds for all of them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva.study.cards import Card, Rating, Review
from viva.study.queue import EXAM_QUESTIONS, MODES, Item, build_queue
from viva.study.schedule import is_due, rebuild, review_card
from viva.study.settings import StudySettings

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SETTINGS = StudySettings()
TOPICS = ("activations", "training", "vision")


def bank(count: int) -> list[Item]:
    return [Item(f"q{n}", TOPICS[n % 3], 1 + n % 3, n) for n in range(count)]


def card(key: str, *, due: timedelta, stability: float = 10.0, state: int = 2, lapses: int = 0, difficulty: float = 5.0) -> Card:
    """A card that is due so long after NOW."""
    step = None if state == 2 else 0
    return Card(key, state, step, stability, difficulty, NOW + due, NOW - 20 * DAY, 3, lapses)


def cards_of(*found: Card) -> dict[str, Card]:
    return {each.question: each for each in found}


@st.composite
def situations(draw: st.DrawFn) -> dict[str, object]:
    """A list in some order, reviews of some of it and of questions that are gone, and settings."""
    items = draw(st.permutations(bank(draw(st.integers(0, 24)))))
    known = [f"q{n}" for n in range(28)]
    times = st.floats(0, 60).map(lambda days: NOW - days * DAY)
    reviews = draw(st.lists(st.builds(Review, st.sampled_from(known), st.sampled_from(Rating), times), max_size=60))
    interview = draw(st.none() | st.integers(-3, 30).map(lambda days: NOW.date() + days * DAY))
    settings = StudySettings(new_per_day=draw(st.integers(0, 12)), interview=interview, utc_offset_minutes=540)
    return {
        "items": items,
        "cards": rebuild(reviews),
        "settings": settings,
        "new_today": draw(st.integers(0, 14)),
        "seed": draw(st.integers(0, 5)),
        "topic": draw(st.none() | st.sampled_from(TOPICS)),
        "limit": draw(st.none() | st.integers(0, 30)),
        "weak": draw(st.dictionaries(st.sampled_from(known), st.floats(0, 1.5), max_size=8)),
    }


@given(st.sampled_from(MODES), situations())
def test_every_queue_holds_known_questions_once_each_of_the_topic_and_within_the_limit(
    mode: str, situation: dict[str, object]
) -> None:
    if mode == "topic" and situation["topic"] is None:
        situation["topic"] = "vision"
    queue = build_queue(mode, now=NOW, **situation)  # type: ignore[arg-type]
    known = {item.key: item for item in situation["items"]}  # type: ignore[attr-defined]
    assert len(set(queue)) == len(queue)
    assert set(queue) <= set(known)
    assert situation["topic"] is None or all(known[key].topic == situation["topic"] for key in queue)
    assert situation["limit"] is None or len(queue) <= situation["limit"]  # type: ignore[operator]


@given(st.sampled_from(MODES), situations(), st.randoms(use_true_random=False))
def test_the_same_seed_gives_the_same_queue_however_the_list_is_handed_over(
    mode: str, situation: dict[str, object], order: object
) -> None:
    situation["topic"] = situation["topic"] or "training"
    other = dict(situation, items=list(situation["items"]))  # type: ignore[call-overload]
    order.shuffle(other["items"])  # type: ignore[attr-defined]
    assert build_queue(mode, now=NOW, **situation) == build_queue(mode, now=NOW, **other)  # type: ignore[arg-type]


@given(situations())
def test_due_today_is_everything_due_then_new_ones_in_list_order_up_to_the_daily_limit(situation: dict[str, object]) -> None:
    situation.update(limit=None, topic=None)
    cards: dict[str, Card] = situation["cards"]  # type: ignore[assignment]
    settings: StudySettings = situation["settings"]  # type: ignore[assignment]
    items: list[Item] = sorted(situation["items"], key=lambda item: item.order)  # type: ignore[call-overload]
    queue = build_queue("due", now=NOW, **situation)  # type: ignore[arg-type]
    due = {item.key for item in items if item.key in cards and is_due(cards[item.key], settings, NOW)}
    assert set(queue[: len(due)]) == due
    room = max(0, settings.new_per_day - int(situation["new_today"]))  # type: ignore[call-overload]
    assert queue[len(due) :] == [item.key for item in items if item.key not in cards][:room]


def test_a_day_late_comes_first_for_a_young_memory() -> None:
    cards = cards_of(
        card("q0", due=-3 * DAY, stability=300.0),
        card("q1", due=-1 * DAY, stability=2.0),
        card("q2", due=-2 * DAY, stability=20.0),
    )
    assert build_queue("due", bank(3), cards, NOW, SETTINGS) == ["q1", "q2", "q0"]


def test_questions_being_learnt_come_after_the_due_ones_by_their_time() -> None:
    cards = cards_of(
        card("q0", due=timedelta(minutes=-1), state=1),
        card("q1", due=timedelta(minutes=-9), state=3),
        card("q2", due=timedelta(minutes=+1), state=1),
        card("q3", due=timedelta(hours=5)),
        card("q4", due=DAY),
    )
    assert build_queue("due", bank(6), cards, NOW, SETTINGS) == ["q3", "q1", "q0", "q5"]


def test_questions_met_today_leave_less_room_for_new_ones() -> None:
    queue = build_queue("due", bank(20), {}, NOW, StudySettings(new_per_day=5), new_today=3)
    assert queue == ["q0", "q1"]
    assert build_queue("due", bank(20), {}, NOW, StudySettings(new_per_day=5), new_today=9) == []


def test_the_interview_brings_questions_up_that_fsrs_would_leave_for_later() -> None:
    cards = {f"q{n}": card(f"q{n}", due=90 * DAY) for n in range(20)}
    assert build_queue("due", bank(20), cards, NOW, SETTINGS) == []
    settings = StudySettings(interview=date(2026, 3, 11))
    assert sorted(build_queue("due", bank(20), cards, NOW, settings)) == sorted(cards)


def test_the_list_is_gone_through_in_its_own_order_whatever_was_answered() -> None:
    items = bank(9)
    assert build_queue("list", reversed(items), cards_of(card("q3", due=DAY)), NOW, SETTINGS) == [item.key for item in items]
    assert build_queue("topic", reversed(items), {}, NOW, SETTINGS, topic="training") == ["q1", "q4", "q7"]
    assert build_queue("topic", items, {}, NOW, SETTINGS, topic="nothing here") == []


def test_shuffling_loses_nothing_and_seeds_differ() -> None:
    items = bank(30)
    queues = [build_queue("shuffled", items, {}, NOW, SETTINGS, seed=seed) for seed in range(4)]
    assert all(sorted(queue) == sorted(item.key for item in items) for queue in queues)
    assert len({tuple(queue) for queue in queues}) == 4


def test_the_weakest_come_first_and_what_was_never_met_is_left_out() -> None:
    cards = cards_of(
        card("q0", due=DAY),
        card("q1", due=DAY, lapses=2),
        card("q2", due=DAY),
        card("q3", due=DAY, difficulty=9.0),
    )
    queue = build_queue("weak", bank(8), cards, NOW, SETTINGS, weak={"q2": 0.5, "q5": 1.5, "q0": 0.0})
    assert queue == ["q5", "q2", "q1", "q3", "q0"]


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 99))
def test_an_exam_has_its_number_of_questions_balanced_over_the_topics(count: int, size: int, seed: int) -> None:
    items = [Item(f"q{n}", "large" if n > 5 else ("small" if n > 2 else "tiny"), 1, n) for n in range(size)]
    queue = build_queue("exam", items, {}, NOW, SETTINGS, seed=seed, limit=count)
    assert len(queue) == min(count, size)
    topics = {item.key: item.topic for item in items}
    drawn = Counter(topics[key] for key in queue)
    sizes = Counter(topics.values())
    for topic, found in drawn.items():
        # A topic falls behind another by more than one only where it has no more questions.
        assert all(found >= other - 1 for other in drawn.values()) or found == sizes[topic]


def test_a_short_exam_may_come_from_any_topic() -> None:
    drawn = {build_queue("exam", bank(9), {}, NOW, SETTINGS, seed=seed, limit=1)[0] for seed in range(60)}
    assert {TOPICS[int(key[1:]) % 3] for key in drawn} == set(TOPICS)


def test_an_exam_without_a_number_asks_ten() -> None:
    assert len(build_queue("exam", bank(40), {}, NOW, SETTINGS)) == EXAM_QUESTIONS == 10


def test_a_key_listed_twice_is_asked_once() -> None:
    items = [*bank(3), *bank(3)]
    for mode in ("due", "list", "shuffled", "exam"):
        assert sorted(build_queue(mode, items, {}, NOW, SETTINGS)) == ["q0", "q1", "q2"]


def test_what_cannot_be_meant_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"'random' is not a way of practising; use one of due, topic, list"):
        build_queue("random", bank(3), {}, NOW, SETTINGS)
    with pytest.raises(ValueError, match="needs the topic"):
        build_queue("topic", bank(3), {}, NOW, SETTINGS)
    with pytest.raises(ValueError, match="limit is -1"):
        build_queue("list", bank(3), {}, NOW, SETTINGS, limit=-1)


def test_ten_thousand_questions_are_queued_like_seventy() -> None:
    items = [Item(f"q{n}", f"t{n % 14}", 1, n) for n in range(10_000)]
    ripe = review_card(None, Review("q0", Rating.easy, NOW - 20 * DAY))
    cards = {f"q{n}": Card(f"q{n}", 2, None, 5.0 + n % 7, 5.0, ripe.due, ripe.last_review, 1, 0) for n in range(9_000)}
    queue = build_queue("due", items, cards, NOW, StudySettings(interview=date(2026, 4, 10)))
    assert len(queue) == 9_010
    assert set(queue[:9_000]) == set(cards)
    stabilities = [cards[key].stability or 0 for key in queue[:9_000]]
    assert stabilities == sorted(stabilities)
