"""What a learner chose about studying, and the learner's day that follows from it.

A learner's day begins at ``day_start_hour`` local time (04:00 unless told), so an answer at one in the morning belongs to
the evening before. Local time is UTC plus a fixed offset: whoever reads the settings passes the offset that holds now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

FINAL_DAYS = 7
"""The longest final stretch before an interview, in days."""
_FURTHEST_OFFSET = 18 * 60
_LEAST_RETENTION, _MOST_RETENTION = 0.5, 0.99


@dataclass(frozen=True)
class StudySettings:
    """``retention`` is the wanted chance of recall when a question comes up, in 0.5..0.99.

    ``begun`` is the day on which preparing for this interview began, where known: the shorter the preparation, the
    shorter its final stretch.

    Raises:
        ValueError: a value is out of its range.
    """

    new_per_day: int = 10
    interview: date | None = None
    retention: float = 0.9
    utc_offset_minutes: int = 0
    day_start_hour: int = 4
    begun: date | None = None

    def __post_init__(self) -> None:
        if self.new_per_day < 0:
            raise ValueError(f"new_per_day is {self.new_per_day}; give 0 or more new questions a day")
        if not _LEAST_RETENTION <= self.retention <= _MOST_RETENTION:
            raise ValueError(f"retention is {self.retention}; give a share between {_LEAST_RETENTION} and {_MOST_RETENTION}")
        if abs(self.utc_offset_minutes) > _FURTHEST_OFFSET:
            raise ValueError(f"utc_offset_minutes is {self.utc_offset_minutes}; give minutes, such as 540 for Seoul")
        if not 0 <= self.day_start_hour <= 23:
            raise ValueError(f"day_start_hour is {self.day_start_hour}; give an hour between 0 and 23")

    def day_of(self, moment: datetime) -> date:
        """The learner's day that ``moment`` (aware) belongs to."""
        return (in_utc(moment) + timedelta(minutes=self.utc_offset_minutes, hours=-self.day_start_hour)).date()

    def start_of(self, day: date) -> datetime:
        """When the learner's ``day`` begins, in UTC; it lasts 24 hours."""
        return datetime.combine(day, time(self.day_start_hour), UTC) - timedelta(minutes=self.utc_offset_minutes)

    def days_left(self, now: datetime) -> int | None:
        """Days until the interview: 0 on its day; None where none is set or it is over."""
        if self.interview is None:
            return None
        left = (self.interview - self.day_of(now)).days
        return left if left >= 0 else None

    @property
    def final_days(self) -> int:
        """The length of the final stretch, in days: a third of the preparation, at least 1 and at most 7."""
        if self.interview is None or self.begun is None:
            return FINAL_DAYS
        return final_stretch((self.interview - self.begun).days)


def final_stretch(days: int) -> int:
    """How many of the ``days`` before an interview its final stretch takes."""
    return max(1, min(FINAL_DAYS, days // 3))


def in_utc(moment: datetime) -> datetime:
    """``moment`` in UTC.

    Raises:
        ValueError: it has no time zone, so it does not say when it is.
    """
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        raise ValueError(f"the time {moment.isoformat()} has no time zone; give it in UTC")
    return moment.astimezone(UTC)
