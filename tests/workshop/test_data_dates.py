"""Dates to ISO and strings reversed: every format says one date, splits share no day and no string."""

from __future__ import annotations

import re
from datetime import date, datetime

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from viva.data.dates import FIRST, FORMATS, LAST, TWO_FIGURES, VOCABULARY, Dates, days_of, ordinal
from viva.data.reversal import Reversal
from viva.data.sequences import BOS, EOS, PAD, Vocabulary, collate, pair

DAYS = st.dates(FIRST, LAST)
MONTH_WORDS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
KOREAN = ["일월", "이월", "삼월", "사월", "오월", "유월", "칠월", "팔월", "구월", "시월", "십일월", "십이월"]


def read(text: str) -> date:
    """A date by the rules of the docstring, without knowing which format wrote it."""
    text = re.sub(r"\(.\)$| .요일$", "", text)
    text = re.sub(r"^[A-Z][a-z]+day, ", "", text)
    if re.fullmatch(r"\d{8}", text):
        return datetime.strptime(text, "%Y%m%d").date()
    if "년" in text:
        year, month, day = re.fullmatch(r"(\d+)년 (\S+월) (\d+)일", text).groups()  # type: ignore[union-attr]
        number = KOREAN.index(month) + 1 if month in KOREAN else int(month[:-1])
        return date(full(year), number, int(day))
    if word := re.search("[A-Z][a-z]+", text):
        month = next(n for n, name in enumerate(MONTH_WORDS, 1) if word.group() in (name, name[:3]))
        day, year = re.findall(r"\d+", text)
        return date(full(year), month, int(day))
    parts = re.findall(r"\d+", text)
    if "/" in text and len(parts[0]) != 4:
        parts = [parts[2], parts[0], parts[1]]
    return date(full(parts[0]), int(parts[1]), int(parts[2]))


def full(year: str) -> int:
    return int(year) if len(year) == 4 else int(year) + (1900 if int(year) >= 69 else 2000)


# --------------------------------------------------------------------------------------------------------- dates


@pytest.mark.parametrize("name", FORMATS)
@given(day=DAYS)
def test_every_format_says_its_date_and_no_other(name: str, day: date) -> None:
    if FORMATS[name].short_year and day.year not in TWO_FIGURES:
        return
    assert read(FORMATS[name].write(day)) == day


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_called_by_how_it_writes_the_fifth_of_march(name: str) -> None:
    assert FORMATS[name].write(date(2026, 3, 5)) == name


@given(DAYS, st.sampled_from(sorted(FORMATS)))
def test_the_vocabulary_knows_every_character(day: date, name: str) -> None:
    text = FORMATS[name].write(day)
    assert VOCABULARY.decode(VOCABULARY.encode(text)) == text


def test_no_day_is_in_two_splits_and_none_is_lost() -> None:
    parts = [set(days_of("train")), set(days_of("validation")), set(days_of("test"))]
    assert sum(map(len, parts)) == len(set.union(*parts)) == (LAST - FIRST).days + 1
    for part, share in zip(parts, (0.8, 0.1, 0.1), strict=True):
        assert len(part) / 43_464 == pytest.approx(share, abs=0.01)


def test_training_never_shows_a_test_date_in_any_format() -> None:
    training = Dates("train", 3_000)
    shown = {training.texts(index)[1] for index in range(len(training))}
    assert len(shown) > 2_000
    assert not shown & {day.isoformat() for day in days_of("test")}


@pytest.mark.parametrize("seed", [0, 7])
def test_examples_are_true_and_use_all_formats(seed: int) -> None:
    dates = Dates("test", 600, seed=seed)
    shapes = set()
    for index in range(len(dates)):
        text, iso = dates.texts(index)
        assert read(text).isoformat() == iso
        shapes.add(re.sub(r"\d+", "9", text))
    assert len(shapes) > 60  # twelve months in words, seven days in words


def test_a_choice_of_formats() -> None:
    dates = Dates("train", 200, formats=("3/5/26",))
    assert all(re.fullmatch(r"\d+/\d+/\d\d", dates.texts(index)[0]) for index in range(200))
    with pytest.raises(ValueError, match=r"formats \['heute'\]: expected some of '2026년 3월 5일'"):
        Dates("train", formats=("heute",))
    with pytest.raises(ValueError, match="expected some of"):
        Dates("train", formats=())


def test_ordinals() -> None:
    assert [ordinal(day) for day in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 30, 31)] == (
        ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "23rd", "30th", "31st"]
    )


# ------------------------------------------------------------------------------------------------------ reversal


@given(st.sampled_from(["train", "validation", "test"]), st.integers(0, 999), st.integers(0, 5))
def test_a_target_is_its_source_backwards(split: str, index: int, seed: int) -> None:
    data = Reversal(split, 1_000, shortest=3, longest=9, seed=seed)  # type: ignore[arg-type]
    source, target = data.texts(index)
    assert target == source[::-1] and 3 <= len(source) <= 9 and source.isalpha()
    ids = data[index]
    assert ids.source[:-1].tolist() == ids.target[1:-1].flip(0).tolist()


def test_no_string_is_in_two_splits_even_where_there_are_few() -> None:
    sets = [Reversal(split, 800, shortest=2, longest=2) for split in ("train", "validation", "test")]  # type: ignore[arg-type]
    parts = [{data.texts(index)[0] for index in range(len(data))} for data in sets]
    assert all(parts) and not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]


# ------------------------------------------------------------------------------------------------------- batches


def test_ids_begin_with_pad_bos_eos() -> None:
    vocabulary = Vocabulary("ba")
    assert vocabulary.tokens == ("<pad>", "<bos>", "<eos>", "a", "b")
    example = pair(vocabulary, "ab", "ba")
    assert example.source.tolist() == [3, 4, EOS]
    assert example.target.tolist() == [BOS, 4, 3, EOS]
    assert example.source.dtype == torch.int64


@pytest.mark.parametrize(
    "data", [Dates("validation", 8), Reversal("validation", 8)], ids=["dates", "reversal"]
)
def test_a_padded_batch_decodes_to_its_texts(data: Dates | Reversal) -> None:
    batch = next(iter(DataLoader(data, batch_size=8, collate_fn=collate)))
    assert batch.source.dtype == batch.target.dtype == torch.int64
    assert batch.source_mask.dtype == torch.bool and batch.source_mask.shape == batch.source.shape
    for row in range(8):
        texts = (data.vocabulary.decode(batch.source[row]), data.vocabulary.decode(batch.target[row]))
        assert texts == data.texts(row)
    assert torch.equal(batch.source_mask, batch.source != PAD)
    assert torch.equal(batch.target_mask, batch.target != PAD)
    assert (batch.target[:, 0] == BOS).all()
    assert ((batch.target == EOS).sum(1) == 1).all()


def test_an_example_depends_on_seed_split_and_index_alone() -> None:
    for kind in (Dates, Reversal):
        assert kind("train", 10).texts(3) == kind("train", 99).texts(3)
        assert [kind("train", 10).texts(i) for i in range(10)] != [
            kind("train", 10, seed=1).texts(i) for i in range(10)
        ]


def test_bad_input_is_told_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="has the character 'é', which is not among the"):
        VOCABULARY.encode("5 février 2026")
    with pytest.raises(ValueError, match="token id 29 is outside the vocabulary of 29"):
        Reversal.vocabulary.decode([29])
    for kind in (Dates, Reversal):
        with pytest.raises(IndexError, match="10 was asked for; there are 10"):
            kind("train", 10)[10]
        with pytest.raises(ValueError, match="split 'dev': expected train, validation, test"):
            kind("dev")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="length -1"):
            kind("train", -1)
    with pytest.raises(ValueError, match="lengths from 1 to 5: expected 2 <= shortest <= longest"):
        Reversal(shortest=1, longest=5)
