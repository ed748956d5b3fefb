"""Tokenisers trained in place: round trips, limits, BERT's frames, masking, and the explained WordPiece."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from viva.data.bpe import BytePairEncoding
from viva.data.masking import IGNORED, mask_tokens, sentence_pairs
from viva.data.padding import pad
from viva.data.tokenisers import (
    BERT_SPECIALS,
    END_OF_TEXT,
    Tokeniser,
    byte_level_bpe,
    character_tokeniser,
    wordpiece,
    wordpiece_tokeniser,
)

CORPUS = [
    "이 영화는 정말 재미있어요. 배우들의 연기가 좋아요!",
    "정말 재미없는 영화. 시간이 아까워요...",
    "the network learns, the networks learned; learning is unlearning.",
    "it's a low, lower, lowest 30% — 🙂",
    "영화 the 영화 network 재미 network",
] * 3
BYTES = byte_level_bpe(CORPUS, 400)
PIECES = wordpiece_tokeniser(CORPUS, 260)
LETTERS = character_tokeniser(CORPUS)
ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)


# ---------------------------------------------------------------------------------------------------- byte level


@settings(max_examples=300)
@given(ANY_TEXT)
@example("<|endoftext|>")
@example("\x00\r\n  \u3000한\u1112\u1161\u11ab")
def test_any_text_survives_the_byte_level(text: str) -> None:
    assert BYTES.decode(BYTES.encode(text)) == text


@given(ANY_TEXT)
@example("a<|endoftext|>b")
def test_no_text_makes_a_special_token(text: str) -> None:
    assert not set(BYTES.special_ids) & set(BYTES.encode(text))
    assert PIECES.id("[MASK]") not in PIECES.encode(text + "[MASK]")


def test_our_own_bpe_gives_the_same_ids() -> None:
    ours = BytePairEncoding.train(CORPUS, 400, special_tokens=[END_OF_TEXT], min_frequency=2)
    for text in [*CORPUS, "처음 보는 text 🙃"]:
        assert ours.encode(text) == BYTES.encode(text)


def test_a_bigger_vocabulary_never_makes_a_text_longer() -> None:
    small, large = byte_level_bpe(CORPUS, 280), byte_level_bpe(CORPUS, 360)
    assert all(len(large.encode(text)) <= len(small.encode(text)) for text in CORPUS)
    assert (small.vocab_size, large.vocab_size) == (280, 360)


# ----------------------------------------------------------------------------------------------------- WordPiece


def explained(tokeniser: Tokeniser, text: str) -> list[str]:
    package = tokeniser.package
    words = package.pre_tokenizer.pre_tokenize_str(package.normalizer.normalize_str(text))
    vocabulary = tokeniser.vocabulary
    return [piece for word, _ in words for piece in wordpiece(word, vocabulary)]


@settings(max_examples=300)
@given(st.one_of(ANY_TEXT, st.text("영화재미 networklearnsu.,", max_size=40)))
@example("network" * 40)
@example("unlearning 재미있는영화 [MASK]")
def test_the_explained_wordpiece_is_the_packages(text: str) -> None:
    assert [PIECES.token(index) for index in PIECES.encode(text)] == explained(PIECES, text)


def test_longest_match_comes_first_and_is_greedy() -> None:
    vocabulary = {
        piece: index for index, piece in enumerate(["un", "unle", "##learn", "##arn", "##ing", "u", "##n"])
    }
    assert wordpiece("unlearning", vocabulary) == ["unle", "##arn", "##ing"]
    assert wordpiece("unn", vocabulary) == ["un", "##n"]
    assert wordpiece("unlex", vocabulary) == ["[UNK]"]
    assert wordpiece("", vocabulary) == []


def test_special_tokens_are_the_first_five_ids() -> None:
    assert [PIECES.id(token) for token in BERT_SPECIALS] == [0, 1, 2, 3, 4]
    assert PIECES.pad_id == 0


def test_hangul_is_not_taken_apart() -> None:
    assert "영화" in PIECES.vocabulary
    assert PIECES.decode(PIECES.encode("영화 network")) == "영화 network"


def test_upper_case_is_kept_unless_asked() -> None:
    corpus = ["The THE the Cat"] * 3
    assert "THE" in wordpiece_tokeniser(corpus, 60).vocabulary
    low = wordpiece_tokeniser(corpus, 60, lowercase=True)
    assert low.decode(low.encode("THE Cat")) == "the cat"


def test_training_again_in_another_process_gives_the_same_vocabulary() -> None:
    code = (
        "from viva.data.tokenisers import wordpiece_tokeniser as w; import json;"
        f"print(json.dumps(w({CORPUS!r}, 260, limit_alphabet=60).vocabulary))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(other) == wordpiece_tokeniser(CORPUS, 260, limit_alphabet=60).vocabulary


@given(st.integers(150, 400))
def test_the_vocabulary_has_its_limit(limit: int) -> None:
    assert wordpiece_tokeniser(CORPUS, limit).vocab_size <= limit


def test_a_limited_alphabet_leaves_rare_letters_unknown() -> None:
    tokeniser = wordpiece_tokeniser(["aaa bbb ab", "xyz"], 20, limit_alphabet=2, min_frequency=1)
    assert tokeniser.encode("xyz") == [tokeniser.id("[UNK]")]
    assert tokeniser.id("[UNK]") not in tokeniser.encode("abba")


# ------------------------------------------------------------------------------------------- frames and batches


def test_a_pair_has_berts_frame_and_segments() -> None:
    ids, segments = PIECES.encode_pair("영화", "the network")
    words = [PIECES.token(index) for index in ids]
    assert words == ["[CLS]", "영화", "[SEP]", "the", "network", "[SEP]"]
    assert segments == [0, 0, 0, 1, 1, 1]


def slow_cut(first: list[int], second: list[int], room: int) -> tuple[list[int], list[int]]:
    """One token at a time, from the longer, as BERT's data preparation does."""
    first, second = list(first), list(second)
    while len(first) + len(second) > room:
        (first if len(first) > len(second) else second).pop()
    return first, second


@given(st.integers(0, 12), st.integers(0, 12), st.integers(3, 30))
def test_a_pair_too_long_loses_the_end_of_the_longer_text(first: int, second: int, max_length: int) -> None:
    ids, segments = PIECES.encode_pair("the " * first, "network " * second, max_length=max_length)
    left, right = slow_cut([PIECES.id("the")] * first, [PIECES.id("network")] * second, max_length - 3)
    assert ids == [2, *left, 3, *right, 3]
    assert segments == [0] * (len(left) + 2) + [1] * (len(right) + 1)
    assert len(ids) <= max_length


def test_a_text_is_cut_but_never_its_frame() -> None:
    ids = PIECES.encode("the network learns", specials=True, max_length=3)
    assert ids == [PIECES.id("[CLS]"), PIECES.id("the"), PIECES.id("[SEP]")]
    assert len(BYTES.encode("the network learns", max_length=2)) == 2


@given(st.lists(st.text("the network 영화", max_size=20), max_size=5))
def test_a_batch_is_its_texts_one_by_one(texts: list[str]) -> None:
    batch = PIECES.encode_batch(texts)
    assert batch.ids.dtype == torch.int64 and batch.mask.dtype == torch.bool
    assert batch.ids.shape == batch.mask.shape == batch.segments.shape
    for row, mask, text in zip(batch.ids, batch.mask, texts, strict=True):
        assert row[mask].tolist() == PIECES.encode(text, specials=True)
        assert (row[~mask] == PIECES.pad_id).all()
        assert bool((mask.long().diff() <= 0).all())  # padding is on the right
    assert batch.lengths.tolist() == [len(PIECES.encode(text, specials=True)) for text in texts]


def test_a_batch_of_pairs_has_segments() -> None:
    batch = PIECES.encode_batch(["영화", "the the the"], ["network", ""])
    for index, (first, second) in enumerate([("영화", "network"), ("the the the", "")]):
        ids, segments = PIECES.encode_pair(first, second)
        assert batch.ids[index, : len(ids)].tolist() == ids
        assert batch.segments[index, : len(ids)].tolist() == segments


def test_padding_no_rows_and_empty_rows() -> None:
    assert pad([]).ids.shape == (0, 0)
    assert pad([[], []]).mask.shape == (2, 0)
    batch = pad([[5, 6, 7], [], [8]], padding=9)
    assert batch.ids.tolist() == [[5, 6, 7], [9, 9, 9], [8, 9, 9]]
    assert batch.mask.tolist() == [[True] * 3, [False] * 3, [True, False, False]]
    with pytest.raises(ValueError, match=r"segments of lengths \[1\] for rows of \[2\]"):
        pad([[1, 2]], segments=[[0]])


# ---------------------------------------------------------------------------------------------------- characters


def test_tiny_shakespeare_has_65_characters() -> None:
    folder = os.environ.get("VIVA_DATA_DIR")
    path = Path(folder or "", "tinyshakespeare", "input.txt")
    if not folder or not path.is_file():
        pytest.skip("tinyshakespeare/input.txt is not in VIVA_DATA_DIR")
    text = path.read_text(encoding="utf-8")
    tokeniser = character_tokeniser(text)
    assert tokeniser.vocab_size == 65
    assert tokeniser.decode(tokeniser.encode(text[:5000])) == text[:5000]


@given(st.text(sorted(set("".join(CORPUS))), max_size=50))
def test_known_characters_survive_the_round_trip_one_id_each(text: str) -> None:
    ids = LETTERS.encode(text)
    assert len(ids) == len(text)
    assert LETTERS.decode(ids) == text


def test_character_ids_follow_the_code_points_after_the_special_tokens() -> None:
    tokeniser = character_tokeniser("cab", specials=["[PAD]"])
    assert tokeniser.encode("abc") == [1, 2, 3]
    assert tokeniser.pad_id == 0
    assert tokeniser.decode([0, 1, 0]) == "a"


# --------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("tokeniser", [BYTES, PIECES, LETTERS], ids=["bytes", "pieces", "letters"])
def test_one_json_file_brings_a_tokeniser_back(tokeniser: Tokeniser, tmp_path: Path) -> None:
    path = tmp_path / "tokeniser.json"
    tokeniser.save(path)
    again = Tokeniser.load(path)
    assert again.vocabulary == tokeniser.vocabulary
    assert (again.kind, again.specials) == (tokeniser.kind, tokeniser.specials)
    for text in CORPUS:
        assert again.encode(text) == tokeniser.encode(text)
        assert again.decode(again.encode(text)) == tokeniser.decode(tokeniser.encode(text))
    if tokeniser is not LETTERS:  # text stays text after the file, too
        assert not set(again.special_ids) & set(again.encode(END_OF_TEXT)) - {
            again.package.token_to_id("[UNK]")
        }


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"kind": "wordpiece"}', "\x00"])
def test_a_file_that_is_no_tokeniser_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="is no tokeniser"):
        Tokeniser.load(path)


# ----------------------------------------------------------------------------------------------------- bad input


def test_bad_input_is_told_in_a_sentence() -> None:
    with pytest.raises(ValueError, match=f"token id 5000 is outside the vocabulary of {BYTES.vocab_size}"):
        BYTES.decode([5000])
    with pytest.raises(ValueError, match="token id -1 is outside"):
        PIECES.decode(torch.tensor([-1]))
    with pytest.raises(ValueError, match=r"ids of shape \(1, 2\) were given; expected \(T,\)"):
        BYTES.decode(torch.tensor([[1, 2]]))
    for broken in (None, 3, b"bytes"):
        with pytest.raises(TypeError, match=r"expected a text \(str\)"):
            BYTES.encode(broken)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="texts is one string"):
        PIECES.encode_batch("one")
    with pytest.raises(TypeError, match="texts is one string"):
        byte_level_bpe("one", 300)
    with pytest.raises(ValueError, match="a vocabulary of 256 is smaller than 1 special token and 256 bytes"):
        byte_level_bpe(CORPUS, 256)
    with pytest.raises(ValueError, match="a vocabulary of 50 is smaller than 5 special tokens"):
        wordpiece_tokeniser(CORPUS, 50)
    with pytest.raises(ValueError, match="the character 'Ω' is not among the"):
        LETTERS.encode("Ω")
    with pytest.raises(ValueError, match="the corpus is empty"):
        character_tokeniser("")
    with pytest.raises(ValueError, match="2 texts were given with 1 second texts"):
        PIECES.encode_batch(["a", "b"], ["c"])
    with pytest.raises(ValueError, match="max_length 1 has no room for the 2 special tokens"):
        PIECES.encode("the", specials=True, max_length=1)
    with pytest.raises(ValueError, match=r"has no \[CLS\] and \[SEP\]"):
        BYTES.encode_pair("a", "b")
    with pytest.raises(ValueError, match="'nothing' is not among the"):
        BYTES.id("nothing")


# ------------------------------------------------------------------------------------------------------- masking


def masked(ids: torch.Tensor, seed: int = 0, **options: object) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    settings_ = {"vocab_size": 100, "mask_id": 4, "special_ids": range(5), "generator": generator, **options}
    return mask_tokens(ids, **settings_)  # type: ignore[arg-type]


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 30))
def test_special_tokens_and_padding_are_never_chosen(seed: int, rows: int, length: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(100, (rows, length), generator=generator)
    mask = torch.rand(rows, length, generator=generator) < 0.7
    before = ids.clone()
    inputs, labels = masked(ids, seed, mask=mask, probability=1.0)
    assert torch.equal(ids, before)
    forbidden = (ids < 5) | ~mask
    assert (labels[forbidden] == IGNORED).all() and torch.equal(inputs[forbidden], ids[forbidden])
    assert torch.equal(labels[~forbidden], ids[~forbidden])  # probability 1: all others are asked
    assert not ((inputs < 4) & ~forbidden).any()  # a random token is never a special one


def test_the_shares_are_15_80_10_10() -> None:
    ids = torch.randint(5, 1000, (400, 1000), generator=torch.Generator().manual_seed(1))
    inputs, labels = masked(ids, vocab_size=1000)
    chosen = labels != IGNORED
    hidden, same = inputs[chosen] == 4, inputs[chosen] == ids[chosen]
    assert chosen.float().mean().item() == pytest.approx(0.15, abs=0.003)
    assert hidden.float().mean().item() == pytest.approx(0.8, abs=0.006)
    assert same.float().mean().item() == pytest.approx(0.1 + 0.1 / 995, abs=0.006)
    replaced = inputs[chosen][~hidden & ~same]
    assert len(replaced.unique()) > 950  # spread over the whole vocabulary
    assert torch.equal(inputs[~chosen], ids[~chosen])


def test_one_seed_masks_in_one_way() -> None:
    ids = torch.randint(5, 100, (8, 64), generator=torch.Generator().manual_seed(2))
    assert all(torch.equal(a, b) for a, b in zip(masked(ids, 3), masked(ids, 3), strict=True))
    assert not torch.equal(masked(ids, 3)[0], masked(ids, 4)[0])


def test_bad_masking_is_told_in_a_sentence() -> None:
    ids = torch.full((2, 3), 50)
    with pytest.raises(TypeError, match=r"ids of dtype torch\.int32 were given; expected torch.int64"):
        masked(ids.int())
    with pytest.raises(ValueError, match=r"mask is torch.bool \(2, 4\); expected torch.bool \(2, 3\)"):
        masked(ids, mask=torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="token ids from 50 to 50 in a vocabulary of 20"):
        masked(ids, vocab_size=20)
    with pytest.raises(ValueError, match="two shares of at most 1 together"):
        masked(ids, masked=0.8, random=0.3)
    with pytest.raises(ValueError, match="mask_id 100 is outside the vocabulary of 100"):
        masked(ids, mask_id=100)


@given(st.lists(st.integers(0, 6), min_size=2, max_size=8), st.integers(0, 1000))
def test_half_of_the_pairs_follow_and_half_are_strangers(lengths: list[int], seed: int) -> None:
    documents = [[f"{number}:{at}" for at in range(length)] for number, length in enumerate(lengths)]
    if sum(length > 0 for length in lengths) < 2:
        with pytest.raises(ValueError, match="expected 2 or more"):
            sentence_pairs(documents)
        return
    pairs = sentence_pairs(documents, generator=torch.Generator().manual_seed(seed))
    neighbours = sum(max(0, length - 1) for length in lengths)
    assert len(pairs) == neighbours
    assert sum(pair.label for pair in pairs) == neighbours // 2
    for first, second, label in pairs:
        (number, at), (other, place) = (map(int, name.split(":")) for name in (first, second))
        assert (other != number) if label else (other == number and place == at + 1)


def test_strangers_come_from_everywhere() -> None:
    documents = [[f"{number}:{at}" for at in range(200)] for number in range(3)]
    pairs = sentence_pairs(documents, generator=torch.Generator().manual_seed(0))
    strangers = [pair.second.split(":")[0] for pair in pairs if pair.label and pair.first.startswith("1:")]
    assert 0.3 < strangers.count("0") / len(strangers) < 0.7
