"""Our own byte-pair encoding against the `tokenizers` package: the same vocabulary, merges and ids."""

from __future__ import annotations

import json
import os
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from viva.data.bpe import (
    BytePairEncoding,
    apply_merges,
    byte_letters,
    from_letters,
    learn,
    split,
    to_letters,
)

# Unassigned characters are left out: the package's Unicode tables and this Python's may be of different years.
CHARACTERS = st.characters(exclude_categories=("Cs", "Cn"))
TEXTS = st.lists(st.text(CHARACTERS, max_size=40), max_size=6)
FEW_LETTERS = st.lists(st.text("ab c", max_size=24), max_size=8)  # repetitions and ties by the dozen
MIXED = [
    "저는 2026년에 3번째 면접을 봤어요. 저는 면접이 좋아요!",
    "Low, lower, lowest: it's the newest; they'll widen  the widest.",
    "🙂🙂 👩‍👩‍👧 naïve café — 你好 ½ Ⅷ ²",
    "",
    "a",
    " ",
    "I",
    "\n\n\t 한 글 자",
]


def package(
    texts: list[str], vocab_size: int, min_frequency: int = 0, special: tuple[str, ...] = ()
) -> Tokenizer:
    """GPT-2's tokeniser as the package trains it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(special),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def package_merges(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def assert_same(
    texts: list[str], vocab_size: int, min_frequency: int = 0, special: tuple[str, ...] = ()
) -> None:
    ours = BytePairEncoding.train(texts, vocab_size, min_frequency=min_frequency, special_tokens=special)
    theirs = package(texts, vocab_size, min_frequency, special)
    assert ours.merges == package_merges(theirs)
    assert ours.vocabulary == theirs.get_vocab()
    for text in texts:
        ids = ours.encode(text)
        assert ids == theirs.encode(text).ids
        assert ours.decode(ids) == text


# ------------------------------------------------------------------------------------------------- the same merges


@pytest.mark.parametrize("vocab_size", [256, 257, 300, 600])
def test_korean_english_emoji_empty_and_one_letter_words_give_the_packages_merges(vocab_size: int) -> None:
    assert_same(MIXED, vocab_size)


@given(TEXTS, st.integers(0, 60), st.integers(0, 3))
def test_any_texts_give_the_packages_merges(texts: list[str], merges: int, min_frequency: int) -> None:
    assert_same(texts, 256 + merges, min_frequency)


@settings(max_examples=300)
@given(FEW_LETTERS, st.integers(0, 60))
@example(["aaaaaaaa aaaa aaa aa a"], 20)
@example(["abababab babab aabb abba"], 30)
def test_ties_and_repetitions_give_the_packages_merges(texts: list[str], merges: int) -> None:
    assert_same(texts, 256 + merges)


def test_special_tokens_come_first_and_move_the_ids_as_in_the_package() -> None:
    assert_same(MIXED, 320, special=("<|endoftext|>", "<|pad|>"))
    ours = BytePairEncoding.train(MIXED, 320, special_tokens=("<|endoftext|>", "<|pad|>"))
    assert ours.vocabulary["<|endoftext|>"] == 0
    assert ours.vocabulary["!"] == 2


@given(
    st.dictionaries(st.text("abcd한글", min_size=1, max_size=12), st.integers(1, 5), max_size=12),
    st.integers(6, 60),
)
def test_on_characters_too_the_merges_are_the_packages(words: dict[str, int], vocab_size: int) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False)
    tokenizer.train_from_iterator([" ".join([word] * often) for word, often in words.items()], trainer)
    vocabulary, merges = learn(words, vocab_size)
    assert merges == package_merges(tokenizer)
    assert vocabulary == tokenizer.get_vocab()


def mirrored(*parts: str) -> str:
    folder = os.environ.get("VIVA_DATA_DIR")
    path = Path(folder, *parts) if folder else None
    if path is None or not path.is_file():
        pytest.skip(f"{'/'.join(parts)} is not in VIVA_DATA_DIR")
    return path.read_text(encoding="utf-8")


def test_tiny_shakespeare_gives_the_packages_merges_and_ids() -> None:
    text = mirrored("tinyshakespeare", "input.txt")
    assert_same([text], 5_000)


def test_korean_film_reviews_give_the_packages_merges_and_ids() -> None:
    lines = mirrored("nsmc", "ratings_train.txt").split("\n")[1:4_001]
    assert_same([line.split("\t")[1] for line in lines], 2_000)


# ------------------------------------------------------------------------------------------- the algorithm itself


def slow_learn(words: dict[str, int], merges: int) -> list[tuple[str, str]]:
    """The definition: count everything anew before each merge. Ids as in `learn`, so that ties fall alike."""
    spelt = {word: list(word) for word in words}
    ids = {
        letter: index for index, letter in enumerate(sorted({letter for word in words for letter in word}))
    }
    learnt: list[tuple[str, str]] = []
    for _ in range(merges):
        count: Counter[tuple[str, str]] = Counter()
        for word, parts in spelt.items():
            for pair in pairwise(parts):
                count[pair] += words[word]
        if not count:
            break
        best = min(count, key=lambda pair: (-count[pair], ids[pair[0]], ids[pair[1]]))
        learnt.append(best)
        ids.setdefault("".join(best), len(ids))
        spelt = {word: apply_merges(parts, {best: 0}) for word, parts in spelt.items()}
    return learnt


@given(st.dictionaries(st.text("abcd", min_size=1, max_size=9), st.integers(1, 9), max_size=12))
def test_counting_by_differences_finds_what_counting_anew_finds(words: dict[str, int]) -> None:
    slow = slow_learn(words, 12)
    letters = {letter for word in words for letter in word}
    if len({left + right for left, right in slow}) == len(slow):  # no token spelt by two merges: see `learn`
        assert learn(words, len(letters) + len(slow))[1] == slow


def test_sennrichs_own_example() -> None:
    """The words of Sennrich et al. 2016, Algorithm 1, with its end-of-word mark as one character.

    (es, t) and (t, ·) both occur 9 times; the paper's listing takes the first met, ours the smaller ids.
    """
    words = {"low·": 5, "lower·": 2, "newest·": 6, "widest·": 3}
    vocabulary, merges = learn(words, 100)
    assert merges[:3] == [("e", "s"), ("t", "·"), ("es", "t·")]
    assert {"est·", "lo", "low", "newest·", "widest·"} <= set(vocabulary)


def test_equal_counts_go_to_the_smaller_ids() -> None:
    assert learn({"cd": 1, "ab": 1, "ac": 1}, 5)[1] == [("a", "b")]


def test_a_word_is_merged_by_rank_then_from_the_left() -> None:
    assert apply_merges("aaaaa", {("a", "a"): 0}) == ["aa", "aa", "a"]
    assert apply_merges("abc", {("a", "b"): 1, ("b", "c"): 0}) == ["a", "bc"]
    assert apply_merges("", {}) == []
    assert apply_merges("a", {("a", "a"): 0}) == ["a"]


def test_rare_pairs_are_left_alone() -> None:
    assert learn({"ab": 2, "cd": 1}, 100, min_frequency=2)[1] == [("a", "b")]


# ----------------------------------------------------------------------------------------------- words and bytes


@settings(max_examples=400)
@given(st.text(CHARACTERS, max_size=60))
@example("I'll pay  30원!\n\n'sno \x85 \x1c\u200b1²Ⅷa̐  ")
def test_words_are_the_packages_words(text: str) -> None:
    theirs = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(text)
    assert [to_letters(word) for word in split(text)] == [word for word, _ in theirs]
    assert "".join(split(text)) == text


def test_words_of_the_docstring() -> None:
    assert split("I'll pay  30원!") == ["I", "'ll", " pay", " ", " 30", "원", "!"]


def test_each_byte_has_one_letter_and_they_are_the_packages() -> None:
    assert set(byte_letters().values()) == set(pre_tokenizers.ByteLevel.alphabet())
    assert len(set(byte_letters().values())) == 256
    assert byte_letters()[ord(" ")] == "Ġ"


@given(st.text(CHARACTERS))
def test_letters_come_back_as_text(text: str) -> None:
    assert from_letters(to_letters(text)) == text


# -------------------------------------------------------------------------------------------- encoding, decoding


TRAINED = BytePairEncoding.train(MIXED, 350, special_tokens=("<|endoftext|>",))
PACKAGED = package(MIXED, 350, special=("<|endoftext|>",))


@given(st.text(st.characters(exclude_categories=("Cs",))))
@example("<|endoftext|>")
def test_any_text_survives_the_round_trip(text: str) -> None:
    ids = TRAINED.encode(text)
    assert TRAINED.decode(ids) == text
    assert all(0 < index < TRAINED.vocab_size for index in ids)  # 0 is the special token: no text makes it


@given(st.lists(st.integers(1, TRAINED.vocab_size - 1), max_size=12))
def test_broken_bytes_decode_as_in_the_package(ids: list[int]) -> None:
    assert TRAINED.decode(ids) == PACKAGED.decode(ids)


def test_special_tokens_are_left_out_of_the_text() -> None:
    assert TRAINED.decode([0, *TRAINED.encode("low"), 0]) == "low"


def test_bad_input_is_told_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="token id 350 is outside the vocabulary of 350"):
        TRAINED.decode([350])
    with pytest.raises(TypeError, match=r"a bytes was given; expected a text \(str\)"):
        TRAINED.encode(b"low")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="texts is one string"):
        BytePairEncoding.train("low lower", 300)
    with pytest.raises(
        ValueError, match="a vocabulary of 200 is smaller than its 256 single symbols and 0 special tokens"
    ):
        BytePairEncoding.train(["low"], 200)
