"""What changed from one answer to the next."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva.study import compare
from viva.study.compare import word_diff

words = st.sampled_from(["기울기가", "기울기는", "작다", "small", "1/4", ".", ",", "?", " ", "  ", "\n", "\n\n", "σ(x)", "e\u0301", "🙂", ". "])
texts = st.lists(words, max_size=30).map("".join) | st.text(max_size=40)


def old_of(changes: list[compare.Change]) -> str:
    return "".join(text for op, text in changes if op != "insert")


def new_of(changes: list[compare.Change]) -> str:
    return "".join(text for op, text in changes if op != "delete")


def assert_well_formed(changes: list[compare.Change]) -> None:
    assert all(text for _, text in changes)
    ops = [op for op, _ in changes]
    assert all(first != second for first, second in pairwise(ops))
    assert ("insert", "delete") not in set(pairwise(ops))


@given(texts, texts)
def test_both_texts_can_be_read_back_from_the_difference(old: str, new: str) -> None:
    changes = word_diff(old, new)
    assert (old_of(changes), new_of(changes)) == (old, new)
    assert_well_formed(changes)


@given(st.lists(words, max_size=60).map("".join), st.lists(words, max_size=60).map("".join))
def test_both_texts_can_be_read_back_however_little_is_compared(old: str, new: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for most in (0, 20, 200):
            patch.setattr(compare, "MOST_PAIRS", most)
            changes = word_diff(old, new)
            assert (old_of(changes), new_of(changes)) == (old, new)
            assert_well_formed(changes)


@given(texts)
def test_a_text_does_not_differ_from_itself(text: str) -> None:
    assert word_diff(text, text) == ([("equal", text)] if text else [])
    assert word_diff("", text) == ([("insert", text)] if text else [])
    assert word_diff(text, "") == ([("delete", text)] if text else [])


def test_a_korean_word_with_another_particle_is_a_changed_word() -> None:
    assert word_diff("기울기가 0.25를 넘지 않아요", "기울기는 0.25를 넘지 않아요") == [
        ("delete", "기울기가"),
        ("insert", "기울기는"),
        ("equal", " 0.25를 넘지 않아요"),
    ]


def test_a_full_stop_added_leaves_its_word_alone() -> None:
    assert word_diff("It saturates", "It saturates.") == [("equal", "It saturates"), ("insert", ".")]


def test_neighbouring_changed_words_read_as_one_change() -> None:
    assert word_diff("the slope gets small here", "the slope becomes tiny here") == [
        ("equal", "the slope "),
        ("delete", "gets small"),
        ("insert", "becomes tiny"),
        ("equal", " here"),
    ]


def test_a_space_between_two_insertions_is_not_called_deleted() -> None:
    assert word_diff("( )", "(x y)") == [
        ("equal", "("),
        ("insert", "x"),
        ("equal", " "),
        ("insert", "y"),
        ("equal", ")"),
    ]


def test_a_new_paragraph_is_not_drawn_into_a_change() -> None:
    changes = word_diff("one\n\ntwo", "three\n\nfour")
    assert ("equal", "\n\n") in changes


def test_in_a_long_text_one_changed_word_is_still_found() -> None:
    draw = random.Random(3)
    sentences = [" ".join(f"word{draw.randrange(4000)}" for _ in range(12)) + ". " for _ in range(1200)]
    old = "".join(sentences)
    changed = list(sentences)
    changed[100] = "first change. "
    changed[700] = changed[700].replace("word", "term", 1)
    changes = word_diff(old, "".join(changed))
    assert len(old) > 100_000
    assert (old_of(changes), new_of(changes)) == (old, "".join(changed))
    assert sum(len(text) for op, text in changes if op == "insert") < 60


@pytest.mark.parametrize("words", [2, 90, 30_000])
def test_two_texts_of_a_hundred_thousand_letters_that_have_little_in_common_come_back_whole(words: int) -> None:
    draw = random.Random(words)
    old, new = (" ".join(str(draw.randrange(words)) for _ in range(20_000)) for _ in range(2))
    changes = word_diff(old, new)
    assert (old_of(changes), new_of(changes)) == (old, new)
