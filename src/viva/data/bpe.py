"""Byte-pair encoding in one sitting: a vocabulary between letters and words.

Sennrich, Haddow, Birch 2016, *Neural Machine Translation of Rare Words with Subword Units*, section 3.2; on
bytes as in Radford et al. 2019 (GPT-2), section 2.2. Training starts from single symbols and repeats one
step: count every pair of neighbours in every word (weighted by how often the word occurs), and make the most
frequent pair one new symbol:

    (l, r) = argmax over pairs  Σ_words count(word) · #{i : word[i] = l, word[i+1] = r};   vocabulary += l + r

The list of merges, in order, is the whole model. Encoding a word replays it: while two neighbours are in the
list, join the pair that was learnt first. A text becomes words first (`split`), so no token ever crosses a
word's border.

    "low lower"  -> ["low", " lower"] -> bytes, one printable character each: "low", "Ġlower" -> merges -> ids

On bytes nothing is unknown: 256 symbols spell every text, Korean (3 bytes a syllable) and emoji (4 bytes)
included.

Ties are broken so that every run agrees: of two pairs equally frequent, the one whose left symbol has the
smaller id wins, then the smaller right id; ids are given in the order special tokens, alphabet by code point,
merges as they are learnt. That is the rule of the `tokenizers` package, and the merges are the same as its
own (`tokenisers.py` uses the package for its speed; this file is the explanation, and the tests hold the two
together).
"""

from __future__ import annotations

import heapq
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

Pair = tuple[str, str]


# ---------------------------------------------------------------------------------------------- bytes as letters


def byte_letters() -> dict[int, str]:
    """Every byte as one printable character: GPT-2's table, so that tokens can be read, sorted and kept in
    JSON.

    The 188 bytes that Latin-1 prints keep their own character; the other 68 (control characters, space, soft
    hyphen ...) take the code points from 256 on, in order: a space becomes ``Ġ`` (256 + 32), a line feed
    ``Ċ``.
    """
    printable = [
        *range(0x21, 0x7F),
        *range(0xA1, 0xAD),
        *range(0xAE, 0x100),
    ]  # "!" to "~", "¡" to "¬", "®" to "ÿ"
    letters = {byte: chr(byte) for byte in printable}
    for place, byte in enumerate(byte for byte in range(256) if byte not in letters):
        letters[byte] = chr(256 + place)
    return letters


BYTE_TO_LETTER = byte_letters()
LETTER_TO_BYTE = {letter: byte for byte, letter in BYTE_TO_LETTER.items()}
_AS_LATIN = {byte: letter for byte, letter in BYTE_TO_LETTER.items()}  # str.translate: code point -> letter


def to_letters(text: str) -> str:
    """The UTF-8 bytes of ``text``, a character each: ``"é a"`` -> ``"Ã©Ġa"``."""
    return text.encode("utf-8").decode("latin-1").translate(_AS_LATIN)


def from_letters(letters: str) -> str:
    """The way back; bytes that are no UTF-8 (a syllable cut in two) become U+FFFD."""
    return bytes(LETTER_TO_BYTE[letter] for letter in letters).decode("utf-8", errors="replace")


# ------------------------------------------------------------------------------------------------ text to words

# GPT-2's pattern asks for Unicode classes (\p{L}, \p{N}) that `re` does not know. So the pattern is asked of the
# text's *shadow*, as long as the text, in which an ASCII character of its class stands for each other character.
_WORD = re.compile(r"'(?:[stmd]|re|ve|ll)| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+", re.ASCII)
_SPACES = frozenset("\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))))


class _Shadow(dict[int, str]):
    """Code point -> the ASCII character that stands for its class; filled as characters are met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if code < 128:
            shadow = character
        elif character in _SPACES:
            shadow = "\t"  # not " ": only U+0020 may open a word
        else:
            shadow = {"L": "x", "N": "0"}.get(unicodedata.category(character)[0], "!")
        self[code] = shadow
        return shadow


_SHADOW = _Shadow()


def split(text: str) -> list[str]:
    """``text`` cut into words as GPT-2 does; joined they are the text again.

    A word is a run of letters, of digits or of other signs, with the single space before it; an English
    contraction (``'s``, ``'ll`` ...) stands alone; of a run of spaces the last belongs to the word that
    follows. ``"I'll pay  30원!"`` -> ``["I", "'ll", " pay", " ", " 30", "원", "!"]``. Letters are Unicode's as
    this Python knows them: a letter newer than its tables counts as a sign.
    """
    shadow = text.translate(_SHADOW)
    return [text[match.start() : match.end()] for match in _WORD.finditer(shadow)]


# ------------------------------------------------------------------------------------------------------ learning


def learn(
    words: Mapping[str, int],
    vocab_size: int,
    *,
    alphabet: Iterable[str] = (),
    special_tokens: Sequence[str] = (),
    min_frequency: int = 0,
) -> tuple[dict[str, int], list[Pair]]:
    """Merges learnt from ``words`` (word -> how often it occurs): ``(vocabulary, merges)``, token -> id and
    the pairs in order.

    Stops when the vocabulary has ``vocab_size`` tokens, when nothing is left to merge, or when the best pair
    occurs fewer than ``min_frequency`` times. ``alphabet``: single characters to have besides those of the
    words.

    Counting anew after each merge would take (merges × text). Only the words that hold the merged pair
    change, and in them only the neighbours; so ``count`` is kept up to date by differences, ``where`` says
    which words to look at, and a heap finds the best pair. A heap cannot lower an entry, so an entry whose
    count is out of date is put back with the new one. One core learns 5,000 tokens from 1.1 MB of Shakespeare
    in 0.6 s, 8,000 from 1.2 MB of Korean reviews in 3.4 s.
    """
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(special_tokens))}
    letters = sorted({letter for word in words for letter in word} | set(alphabet))
    for letter in letters:
        vocabulary.setdefault(letter, len(vocabulary))
    if len(vocabulary) > vocab_size:
        raise ValueError(
            f"a vocabulary of {vocab_size} is smaller than its {len(letters)} single symbols and "
            f"{len(vocabulary) - len(letters)} special tokens: ask for {len(vocabulary)} or more, or train on bytes"
        )
    tokens = list(vocabulary)  # id -> token

    spelt = [[vocabulary[letter] for letter in word] for word in words]  # ids, rewritten as merges happen
    often = list(words.values())
    count: Counter[tuple[int, int]] = Counter()
    where: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    for index, ids in enumerate(spelt):
        for pair in pairwise(ids):
            count[pair] += often[index]
            where[pair].add(index)

    # (-count, pair, age, words): the smallest is the most frequent pair, then the smallest ids. The age only keeps
    # Python from comparing two sets.
    heap = [(-count[pair], pair, age, where[pair]) for age, pair in enumerate(where)]
    heapq.heapify(heap)
    age = len(heap)
    merges: list[Pair] = []
    while heap and len(vocabulary) < vocab_size:
        negative, pair, _, holders = heapq.heappop(heap)
        if -negative != count[pair]:
            age += 1
            heapq.heappush(heap, (-count[pair], pair, age, holders))
            continue
        if count[pair] < max(1, min_frequency):
            break
        left, right = tokens[pair[0]], tokens[pair[1]]
        new = vocabulary.setdefault(left + right, len(vocabulary))  # "a"+"bc" and "ab"+"c" are one token
        if new == len(tokens):
            tokens.append(left + right)
        merges.append((left, right))

        fresh: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
        for index in holders:
            for changed, by in _merge_in_place(spelt[index], pair, new):
                count[changed] += by * often[index]
                if by > 0:
                    fresh[changed].add(index)
        for changed, found in fresh.items():
            if count[changed] > 0:
                age += 1
                heapq.heappush(heap, (-count[changed], changed, age, found))
    return vocabulary, merges


def _merge_in_place(ids: list[int], pair: tuple[int, int], new: int) -> list[tuple[tuple[int, int], int]]:
    """Join every ``pair`` in ``ids``, left to right; the neighbours' pairs that went (-1) and came (+1).

    ``x l r y`` -> ``x N y``: (x, l) and (r, y) lose one, (x, N) and (N, y) gain one.
    """
    left, right = pair
    changes = []
    at = 0
    while at < len(ids) - 1:
        if ids[at] == left and ids[at + 1] == right:
            ids[at : at + 2] = [new]
            if at > 0:
                changes += [((ids[at - 1], left), -1), ((ids[at - 1], new), 1)]
            if at < len(ids) - 1:
                changes += [((right, ids[at + 1]), -1), ((new, ids[at + 1]), 1)]
        at += 1
    return changes


def apply_merges(word: Iterable[str], ranks: Mapping[Pair, int]) -> list[str]:
    """A word's tokens: while any two neighbours have a rank, join the pair of the lowest rank, the leftmost
    first.

    Quadratic in the word's length, which for words is nothing; the package keeps a heap.
    """
    parts = list(word)
    while len(parts) > 1:
        rank, at = min((ranks.get(pair, len(ranks)), at) for at, pair in enumerate(pairwise(parts)))
        if rank == len(ranks):
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


# ------------------------------------------------------------------------------------------------------ the whole


@dataclass(frozen=True)
class BytePairEncoding:
    """A trained byte-level BPE: ``encode`` text to ids, ``decode`` ids to text; ``decode(encode(text)) ==
    text``.

    ``vocabulary``: token (in byte letters) -> id; ``merges``: the pairs in the order learnt;
    ``special_tokens`` have ids but are never produced from text, so a text cannot smuggle one in.
    """

    vocabulary: dict[str, int]
    merges: list[Pair]
    special_tokens: tuple[str, ...] = ()
    _known: dict[str, list[int]] = field(default_factory=dict, repr=False, compare=False)  # words met before

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        special_tokens: Sequence[str] = (),
        min_frequency: int = 0,
    ) -> BytePairEncoding:
        """Learn from ``texts``; ``vocab_size`` counts the 256 bytes and the special tokens too.

        Raises ValueError where ``vocab_size`` has no room for those, TypeError for one string (its letters
        would be texts).
        """
        if isinstance(texts, str):
            raise TypeError("texts is one string; expected several texts: pass [text]")
        words = Counter(word for text in texts for word in split(_checked(text)))
        vocabulary, merges = learn(
            {to_letters(word): often for word, often in words.items()},
            vocab_size,
            alphabet=BYTE_TO_LETTER.values(),
            special_tokens=special_tokens,
            min_frequency=min_frequency,
        )
        return cls(vocabulary, merges, tuple(special_tokens))

    @property
    def vocab_size(self) -> int:
        return len(self.vocabulary)

    @cached_property
    def ranks(self) -> dict[Pair, int]:
        return {pair: rank for rank, pair in enumerate(self.merges)}

    @cached_property
    def tokens(self) -> dict[int, str]:
        """id -> token, in byte letters."""
        return {index: token for token, index in self.vocabulary.items()}

    def tokenise(self, text: str) -> list[str]:
        """The tokens of ``text`` in byte letters, for example ``"low lower"`` -> ``["low", "Ġlow", "er"]``."""
        return [self.tokens[index] for index in self.encode(text)]

    def encode(self, text: str) -> list[int]:
        """Ids of ``text``; words met before come from a table. Raises TypeError where ``text`` is no string."""
        ids: list[int] = []
        for word in split(_checked(text)):
            known = self._known.get(word)
            if known is None:
                known = [self.vocabulary[part] for part in apply_merges(to_letters(word), self.ranks)]
                self._known[word] = known
            ids += known
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ``ids``; special tokens are left out. Raises ValueError for an id outside the vocabulary."""
        letters = []
        for index in ids:
            token = self.tokens.get(int(index))
            if token is None:
                raise ValueError(f"token id {int(index)} is outside the vocabulary of {self.vocab_size}")
            if token not in self.special_tokens:
                letters.append(token)
        return from_letters("".join(letters))


def _checked(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"a {type(text).__name__} was given; expected a text (str)")
    return text
