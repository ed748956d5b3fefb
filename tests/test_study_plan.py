"""The days ahead: what comes up, what is new, and whether it fits before the interview."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from viva.study import plan as plan_module
from viva.study.cards import Card, Rating, Review
from viva.study.plan import DAYS_WITHOUT_INTERVIEW, days_left, plan_days
from viva.study.queue import Item, build_queue
from viva.study.schedule import rebuild, review_card
from viva.study.settings import StudySettings

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
TODAY = NOW.date()
DAY = timedelta(days=1)


def bank(count: int) -> list[Item]:
    return [Item(f"q{n}", "vision", 1, n) for n in range(count)]


def until(days: int, new_per_day: int = 10, begun: int | None = None) -> StudySettings:
    start = None if begun is None else TODAY - begun * DAY
    return StudySettings(new_per_day=new_per_day, interview=TODAY + days * DAY, begun=start)


@st.composite
def histories(draw: st.DrawFn) -> dict[str, Card]:
    times = st.floats(0, 40).map(lambda days: NOW - days * DAY)
    key = st.integers(0, 14).map(lambda n: f"q{n}")
    return rebuild(draw(st.lists(st.builds(Review, key, st.sampled_from(Rating), times), max_size=30)))


def lived_through(items: list[Item], cards: dict[str, Card], settings: StudySettings, days: int) -> list[tuple[int, int]]:
    """(due, new) per day when a learner takes the queue of each day, and everything in it goes well."""
    cards, seen = dict(cards), []
    for day in range(days):
        now = NOW + day * DAY
        end = settings.start_of(settings.day_of(now) + DAY)
        due: set[str] = set()
        new: set[str] = set()
        while now < end:
            for key in build_queue("due", items, cards, now, settings, new_today=len(new)):
                (due if key in cards and key not in new else new).add(key)
                cards[key] = review_card(cards.get(key), Review(key, Rating.good, now), settings.retention)
            now = min((card.due for card in cards.values() if card.state != 2 and card.due > now), default=end)
        seen.append((len(due), len(new)))
    return seen


def test_the_plan_runs_from_today_to_the_eve_of_the_interview() -> None:
    plan = plan_days(bank(5), {}, NOW, until(12))
    assert [day.date for day in plan] == [TODAY + n * DAY for n in range(12)]
    assert plan.days_left == 12 == days_left(NOW, until(12))
    assert [day.final for day in plan] == [False] * 5 + [True] * 7


def test_a_short_preparation_has_a_short_final_stretch() -> None:
    assert [day.final for day in plan_days(bank(5), {}, NOW, until(6, begun=0))] == [False] * 4 + [True] * 2


def test_without_an_interview_or_after_it_the_plan_shows_a_month_and_asks_for_nothing() -> None:
    for settings in (StudySettings(new_per_day=0), until(-1, new_per_day=0)):
        plan = plan_days(bank(5), {}, NOW, settings)
        assert len(plan) == DAYS_WITHOUT_INTERVIEW
        assert (plan.days_left, plan.needed_per_day, plan.fits) == (None, 0, True)
        assert not any(day.final or day.new or day.due for day in plan)


def test_on_the_day_of_the_interview_there_is_still_today() -> None:
    plan = plan_days(bank(5), {}, NOW, until(0))
    assert [day.date for day in plan] == [TODAY]
    assert plan.needed_per_day == 5


def test_an_interview_in_a_hundred_years_does_not_make_a_plan_of_a_hundred_years() -> None:
    assert len(plan_days(bank(5), {}, NOW, until(36500))) == 366


def test_a_number_of_days_shortens_the_plan_but_never_passes_the_interview() -> None:
    assert len(plan_days(bank(5), {}, NOW, until(12), days=4)) == 4
    assert len(plan_days(bank(5), {}, NOW, until(12), days=40)) == 12
    assert len(plan_days(bank(5), {}, NOW, StudySettings(), days=40)) == 40


def test_seventy_questions_in_thirty_days_need_four_a_day() -> None:
    assert plan_days(bank(70), {}, NOW, until(30)).needed_per_day == 4  # 23 days before the last week
    assert plan_days(bank(70), {}, NOW, until(30, new_per_day=4)).fits
    assert not plan_days(bank(70), {}, NOW, until(30, new_per_day=3)).fits


@given(st.integers(0, 120), st.integers(0, 60), st.integers(0, 20))
def test_what_is_needed_per_day_is_enough_and_one_less_is_not(unseen: int, left: int, new_today: int) -> None:
    needed = plan_days(bank(unseen), {}, NOW, until(left), new_today=new_today).needed_per_day
    meeting = max(1, left - min(7, max(1, left // 3)))

    def met(limit: int) -> int:
        return max(0, limit - new_today) + limit * (meeting - 1)

    assert met(needed) >= unseen
    assert unseen == 0 or met(needed - 1) < unseen
    plan = plan_days(bank(unseen), {}, NOW, until(left, new_per_day=needed), new_today=new_today)
    assert plan.fits
    assert sum(day.new for day in plan.days[:meeting]) == unseen


@given(st.integers(0, 60), st.integers(0, 12), st.integers(0, 15))
def test_new_questions_follow_the_daily_limit_until_none_is_left(count: int, limit: int, new_today: int) -> None:
    plan = plan_days(bank(count), {}, NOW, until(20, new_per_day=limit), new_today=new_today)
    assert plan.days[0].new <= max(0, limit - new_today)
    assert all(day.new <= limit for day in plan)
    assert sum(day.new for day in plan) == min(count, max(0, limit - new_today) + 19 * limit)
    assert plan.unseen == count


@hypothesis_settings(max_examples=15, deadline=None)
@given(histories(), st.none() | st.integers(1, 12), st.integers(0, 6))
def test_the_plan_is_what_a_learner_sees_who_takes_each_days_queue_and_does_well(
    cards: dict[str, Card], left: int | None, limit: int
) -> None:
    settings = StudySettings(new_per_day=limit, interview=None if left is None else TODAY + left * DAY)
    days = 8 if left is None else left
    plan = plan_days(bank(15), cards, NOW, settings, days=days)
    assert [(day.due, day.new) for day in plan] == lived_through(bank(15), cards, settings, days)


def test_above_two_thousand_questions_due_ones_are_counted_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = {f"q{n}": Card(f"q{n}", 2, None, 3.0, 5.0, NOW + (n - 2) * DAY, NOW - 9 * DAY, 2, 0) for n in range(6)}
    assert plan_days(bank(6), cards, NOW, StudySettings()).projected
    monkeypatch.setattr(plan_module, "MOST_PROJECTED", 5)
    plan = plan_days(bank(6), cards, NOW, StudySettings())
    assert not plan.projected
    assert [day.due for day in plan][:5] == [3, 1, 1, 1, 0]


def test_cards_of_questions_that_are_gone_do_not_count() -> None:
    gone = {"gone": Card("gone", 2, None, 3.0, 5.0, NOW, NOW - 3 * DAY, 2, 0)}
    assert all(day.due == 0 for day in plan_days(bank(2), gone, NOW, StudySettings(new_per_day=0)))


def test_a_plan_is_plain_json() -> None:
    plan = plan_days(bank(12), {}, NOW, until(3, new_per_day=4))
    data = json.loads(json.dumps(plan.to_json()))
    assert data["days"][0] == {"date": "2026-03-10", "due": 0, "new": 4, "final": True}
    assert (data["unseen"], data["needed_per_day"], data["fits"]) == (12, 6, False)
