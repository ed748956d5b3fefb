"""The learner's day: where it begins, and what the settings refuse."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva.study.settings import StudySettings, final_stretch, in_utc

SEOUL = StudySettings(utc_offset_minutes=540)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
some_settings = st.builds(StudySettings, utc_offset_minutes=st.integers(-720, 840), day_start_hour=st.integers(0, 23))


def seoul(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=timezone(timedelta(hours=9)))


def test_one_in_the_morning_in_seoul_belongs_to_the_evening_before() -> None:
    assert SEOUL.day_of(seoul(10, 1)) == date(2026, 3, 9)
    assert SEOUL.day_of(seoul(10, 3, 59)) == date(2026, 3, 9)
    assert SEOUL.day_of(seoul(10, 4)) == date(2026, 3, 10)


def test_the_day_starts_at_four_local_time() -> None:
    assert SEOUL.start_of(date(2026, 3, 10)) == datetime(2026, 3, 9, 19, tzinfo=UTC)
    assert StudySettings(utc_offset_minutes=-480).start_of(date(2026, 3, 10)) == datetime(2026, 3, 10, 12, tzinfo=UTC)
    assert StudySettings(utc_offset_minutes=540, day_start_hour=0).day_of(seoul(10, 1)) == date(2026, 3, 10)


@given(moments, some_settings)
def test_every_moment_lies_in_exactly_its_day(moment: datetime, settings: StudySettings) -> None:
    day = settings.day_of(moment)
    assert settings.start_of(day) <= moment < settings.start_of(day + timedelta(days=1))


@given(moments, st.integers(-720, 840))
def test_the_zone_a_moment_is_written_in_changes_nothing(moment: datetime, minutes: int) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert SEOUL.day_of(elsewhere) == SEOUL.day_of(moment)


def test_days_left_counts_the_learners_days_and_ends_with_the_interview() -> None:
    settings = StudySettings(utc_offset_minutes=540, interview=date(2026, 3, 12))
    assert settings.days_left(seoul(10, 12)) == 2
    assert settings.days_left(seoul(10, 1)) == 3
    assert settings.days_left(seoul(12, 12)) == 0
    assert settings.days_left(seoul(13, 12)) is None
    assert SEOUL.days_left(seoul(13, 12)) is None


@pytest.mark.parametrize(("days", "stretch"), [(-3, 1), (0, 1), (1, 1), (5, 1), (6, 2), (12, 4), (20, 6), (21, 7), (300, 7)])
def test_the_final_stretch_is_a_third_of_the_preparation_up_to_a_week(days: int, stretch: int) -> None:
    interview = date(2026, 3, 12)
    assert final_stretch(days) == stretch
    assert StudySettings(interview=interview, begun=interview - timedelta(days=days)).final_days == stretch


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="2026-03-10T12:00:00 has no time zone"):
        in_utc(datetime(2026, 3, 10, 12))


@pytest.mark.parametrize(
    "wrong",
    [{"new_per_day": -1}, {"retention": 0.2}, {"retention": 1.0}, {"retention": float("nan")},
     {"utc_offset_minutes": 2000}, {"day_start_hour": 24}],
)  # fmt: skip
def test_settings_out_of_range_are_refused_by_name(wrong: dict[str, float]) -> None:
    (name, value), = wrong.items()
    with pytest.raises(ValueError, match=f"^{name} is {value}; give"):
        StudySettings(**wrong)  # type: ignore[arg-type]
