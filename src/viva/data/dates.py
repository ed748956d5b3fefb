"""Dates as people write them, to ISO 8601: a translation task that two cores can learn to the last character.

    "2026년 3월 5일", "March 5, 2026", "5 Mar 2026", "3/5/26", "26.3.5." -> "2026-03-05"

Ids by `sequences`: source (S,) characters and <eos>; target (12,): <bos>, ten characters, <eos>. What it asks
of a model: to copy (digits), to look up (March, 삼월 → 03), to fill in (26 → 2026, 5 → 05) and to reorder (day
and month first). A model that is right on every character of every test date has learnt the formats, not the
dates: a calendar day belongs to one split by its hash alone, in whichever format it is written.

No date can be read in two ways: where it is written with numbers only, full stops mean year.month.day (Korean)
and slashes month/day/year (American), or year/month/day where four figures come first. Two figures of a year
mean 2000 to 2068 for 00 to 68, and 1969 to 1999 for 69 to 99 (POSIX ``%y``); formats of that kind are used for
those years only.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from typing import Literal, NamedTuple

from torch.utils.data import Dataset

from viva.data import splits
from viva.data.sequences import Pair, Vocabulary, pair

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
FIRST, LAST = date(1950, 1, 1), date(2068, 12, 31)
TWO_FIGURES = range(1969, 2069)

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SHORT_MONTHS = tuple(month[:3] for month in MONTHS)
KOREAN_MONTHS = (
    "일월",
    "이월",
    "삼월",
    "사월",
    "오월",
    "유월",
    "칠월",
    "팔월",
    "구월",
    "시월",
    "십일월",
    "십이월",
)
KOREAN_DAYS = "월화수목금토일"


def ordinal(day: int) -> str:
    """``1st``, ``2nd``, ``3rd``, ``4th``, ``11th``, ``21st``."""
    ending = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


class Format(NamedTuple):
    """A way to write a date; ``short_year`` where it gives only two figures of the year."""

    write: Callable[[date], str]
    short_year: bool = False


FORMATS: dict[str, Format] = {
    # Korean
    "2026년 3월 5일": Format(lambda d: f"{d.year}년 {d.month}월 {d.day}일"),
    "2026년 03월 05일": Format(lambda d: f"{d.year}년 {d.month:02}월 {d.day:02}일"),
    "2026년 3월 5일 목요일": Format(
        lambda d: f"{d.year}년 {d.month}월 {d.day}일 {KOREAN_DAYS[d.weekday()]}요일"
    ),
    "2026년 3월 5일(목)": Format(lambda d: f"{d.year}년 {d.month}월 {d.day}일({KOREAN_DAYS[d.weekday()]})"),
    "2026년 삼월 5일": Format(lambda d: f"{d.year}년 {KOREAN_MONTHS[d.month - 1]} {d.day}일"),
    "26년 3월 5일": Format(lambda d: f"{d.year % 100:02}년 {d.month}월 {d.day}일", short_year=True),
    "2026. 3. 5.": Format(lambda d: f"{d.year}. {d.month}. {d.day}."),
    "2026.03.05": Format(lambda d: f"{d.year}.{d.month:02}.{d.day:02}"),
    "26.3.5.": Format(lambda d: f"{d.year % 100:02}.{d.month}.{d.day}.", short_year=True),
    # English
    "March 5, 2026": Format(lambda d: f"{MONTHS[d.month - 1]} {d.day}, {d.year}"),
    "Mar 5, 2026": Format(lambda d: f"{SHORT_MONTHS[d.month - 1]} {d.day}, {d.year}"),
    "5 March 2026": Format(lambda d: f"{d.day} {MONTHS[d.month - 1]} {d.year}"),
    "5 Mar 2026": Format(lambda d: f"{d.day} {SHORT_MONTHS[d.month - 1]} {d.year}"),
    "the 5th of March, 2026": Format(lambda d: f"the {ordinal(d.day)} of {MONTHS[d.month - 1]}, {d.year}"),
    "Thursday, March 5, 2026": Format(
        lambda d: f"{DAYS[d.weekday()]}, {MONTHS[d.month - 1]} {d.day}, {d.year}"
    ),
    "3/5/2026": Format(lambda d: f"{d.month}/{d.day}/{d.year}"),
    "3/5/26": Format(lambda d: f"{d.month}/{d.day}/{d.year % 100:02}", short_year=True),
    "5-Mar-26": Format(lambda d: f"{d.day}-{SHORT_MONTHS[d.month - 1]}-{d.year % 100:02}", short_year=True),
    # Machines
    "2026/03/05": Format(lambda d: f"{d.year}/{d.month:02}/{d.day:02}"),
    "20260305": Format(lambda d: f"{d.year}{d.month:02}{d.day:02}"),
}

VOCABULARY = Vocabulary(
    "".join([*MONTHS, *DAYS, *KOREAN_MONTHS, KOREAN_DAYS, "0123456789", "년월일요 .,/-()", "the of stndrdth"])
)


@cache
def days_of(split: Split) -> tuple[date, ...]:
    """The days from 1950 to 2068 that belong to ``split``: about 80, 10 and 10 % of 43,465, everywhere the same."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r}: expected {', '.join(SPLITS)}")
    every = (FIRST + timedelta(days=count) for count in range((LAST - FIRST).days + 1))
    return tuple(day for day in every if splits.assign(day.isoformat()) == SPLITS.index(split))


class Dates(Dataset[Pair]):
    """``length`` dates of one split, each in a random one of `FORMATS`; the i-th is the same every time.

    ``texts(i)`` gives the two strings, ``[i]`` their ids. Raises ValueError for a split or a format that is
    none, IndexError outside 0 <= i < length.
    """

    vocabulary = VOCABULARY

    def __init__(
        self,
        split: Split = "train",
        length: int = 20_000,
        *,
        formats: tuple[str, ...] = tuple(FORMATS),
        seed: int = 0,
    ) -> None:
        strange = [name for name in formats if name not in FORMATS]
        if strange or not formats:
            raise ValueError(
                f"formats {strange or '()'}: expected some of {', '.join(repr(name) for name in FORMATS)}"
            )
        if length < 0:
            raise ValueError(f"length {length}: expected 0 or more")
        self.split, self.length, self.seed = split, length, seed
        self.formats = [FORMATS[name] for name in formats]
        self.days = days_of(split)
        if all(format.short_year for format in self.formats):
            self.days = tuple(day for day in self.days if day.year in TWO_FIGURES)

    def __len__(self) -> int:
        return self.length

    def texts(self, index: int) -> tuple[str, str]:
        """The date as written, and in ISO 8601."""
        if not 0 <= index < self.length:
            raise IndexError(f"date {index} was asked for; there are {self.length}, from 0 on")
        draw = random.Random(f"{self.seed} {self.split} {index}")
        day = draw.choice(self.days)
        fitting = [format for format in self.formats if day.year in TWO_FIGURES or not format.short_year]
        return draw.choice(fitting).write(day), day.isoformat()

    def __getitem__(self, index: int) -> Pair:
        return pair(VOCABULARY, *self.texts(index))
