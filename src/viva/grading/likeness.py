"""How alike the clauses of an answer are to example sentences.

A sentence is a row of *items*: its content words, negations and formulas, each with the concepts that it falls under. An
example and a *unit* of the answer (a clause, a sentence, two neighbouring sentences) are compared four ways:

* ``covered``: the share of the example's items, by weight, that the unit says;
* ``contrary``: the share that it says denied or with the opposite word (*grows* for *shrinks*);
* ``ordered``: the share of the example's ordered pairs of items that the unit has in the same order, in one clause;
* ``exchanged``: the share that it has the other way round (*A beats B*, *B beats A*).

Words weigh by how few of the question's examples contain them, so what all of them speak of decides nothing.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from viva.grading.clauses import NEGATION, Reading, read
from viva.grading.lexicon import synonyms
from viva.grading.normaliser import squeeze

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

SYNONYM, MISSPELT, REWRITTEN = 0.8, 0.7, 0.75
"""What a synonym, a misspelt word and a formula that shares most of its signs are worth, where the word itself is worth 1."""
LEAST_RARITY = 0.6
"""What a word weighs at least that all examples share: the names of what is set against each other are such words."""
PAIR_REACH = 4
"""Items up to so many places apart make an ordered pair."""
VERBATIM = 0.85
"""From here on a clause is an example said again."""
MOST_FORMULAS = 40
"""So many different formulas of an answer are compared."""
MOST_UNITS = 160
"""An answer of more clauses than that (a quarter of an hour of speech) is compared by those that share most with the examples."""

_FORMULA = re.compile(r"[a-z0-9α-ωà-ÿ∂√|()'^_.·]+(?:\s?[-+=/≤≥<>→←·^|]\s?[a-z0-9α-ωà-ÿ∂√|()'^_.·]+)+")
_SIGN = re.compile(r"[-+=/≤≥^|√<>]")


class Item(NamedTuple):
    """One word, negation or formula of a sentence; ``token`` is its place in the reading."""

    key: str
    concepts: frozenset[str]
    denied: bool
    segment: int
    sentence: int
    token: int


class Unit(NamedTuple):
    """Items ``places`` of the answer, compared as one: tokens ``first..last``."""

    places: Ints
    first: int
    last: int


def items_of(reading: Reading) -> list[Item]:
    """The items of ``reading`` in order; none where it has no words."""
    if not reading.tokens:
        return []
    concepts: dict[int, set[str]] = defaultdict(set)
    for span in reading.spans:
        for at in range(span.first, span.last + 1):
            concepts[at].add(span.key)
    found = []
    for at, token in enumerate(reading.tokens):
        if token.kind == "content":
            found.append(Item(token.key, frozenset(concepts[at]), at in reading.denied, reading.segment[at], reading.sentence[at], at))
        elif token.kind == "negation" and at not in reading.conceded:
            found.append(Item(NEGATION, frozenset(), False, reading.segment[at], reading.sentence[at], at))
    for match in _FORMULA.finditer(reading.source.text):
        plain = squeeze(match[0])[0].strip(".'")
        if len(plain) > 2 and _SIGN.search(plain):
            at = reading.at(match.start())
            found.append(Item("f:" + plain, frozenset(), False, reading.segment[at], reading.sentence[at], at))
    found.sort(key=lambda item: item.token)
    return found


@dataclass(frozen=True)
class Sentence:
    """An example as it is compared: ``owner`` is the id of the point or misconception that it speaks of."""

    owner: str
    status: str
    words: str
    local: bool = False
    """Whether it is the learner's own."""


class ExampleSet:
    """The examples of one question, compiled: rows of items and pairs over a common list of word types.

    Words weigh as in ``like`` where that is given: a handful of sentences cannot tell which of their words are rare.
    """

    def __init__(self, sentences: Iterable[Sentence], asked: str = "", like: ExampleSet | None = None) -> None:
        rows = [(sentence, row) for sentence in sentences if (row := _row(sentence.words))]
        self.sentences: tuple[Sentence, ...] = tuple(sentence for sentence, _ in rows)
        self.owner = np.array([sentence.owner for sentence in self.sentences])
        self.status = np.array([sentence.status for sentence in self.sentences])
        self.asked = frozenset(item.key for item in items_of(read(asked)))
        self._rarity: dict[str, float] = like._rarity if like is not None else _rarity(row for _, row in rows)
        types: dict[tuple[str, frozenset[str]], int] = {}
        kind: list[int] = []
        weight: list[float] = []
        denied: list[bool] = []
        starts: list[int] = []
        pairs: list[tuple[int, int, int, float]] = []
        for number, (_, row) in enumerate(rows):
            base = len(kind)
            starts.append(base)
            for item in row:
                kind.append(types.setdefault((item.key, item.concepts), len(types)))
                weight.append(self.rarity(item.key))
                denied.append(item.denied)
            for a in range(len(row)):
                for b in range(a + 1, min(a + 1 + PAIR_REACH, len(row))):
                    if row[a].sentence == row[b].sentence:
                        pairs.append((number, base + a, base + b, math.sqrt(weight[base + a] * weight[base + b] / (b - a))))
        self.types = tuple(types)
        self.kind = np.array(kind, dtype=np.int64)
        self.weight = np.array(weight)
        self.denied = np.array(denied, dtype=bool)
        self.starts = np.array(starts, dtype=np.int64)
        table = np.array(pairs) if pairs else np.zeros((0, 4))
        self.pair_of, self.pair_a, self.pair_b = (table[:, column].astype(np.int64) for column in range(3))
        self.pair_weight = table[:, 3]
        self.contains = np.zeros((len(rows), len(types)), dtype=bool)
        self.contains[np.repeat(np.arange(len(rows)), np.diff([*starts, len(kind)])), self.kind] = True
        self.total = np.add.reduceat(self.weight, self.starts) if starts else np.zeros(0)
        self.pair_total = np.bincount(self.pair_of, self.pair_weight, len(rows)) + 1e-9

    def __len__(self) -> int:
        return len(self.sentences)

    @cached_property
    def owners(self) -> tuple[str, ...]:
        """The points that made and backwards examples speak of, in order."""
        return tuple(dict.fromkeys(sentence.owner for sentence in self.sentences if sentence.status in ("made", "backwards")))

    def said_by(self, owner: str, status: str, mark: str, left_out: Flags | None) -> frozenset[str]:
        """The keys that begin with ``mark`` ('f:' formulas, '#' numbers) in the examples of ``owner`` with ``status``."""
        if left_out is None and (owner, status, mark) in self._said_by:
            return self._said_by[owner, status, mark]
        chosen = (self.owner == owner) & (self.status == status)
        if left_out is not None:
            chosen &= ~left_out
        types = np.flatnonzero(self.contains[chosen].any(axis=0)) if chosen.any() else ()
        found = frozenset(key for place in types if (key := self.types[place][0]).startswith(mark))
        if left_out is None:
            self._said_by[owner, status, mark] = found
        return found

    @cached_property
    def _said_by(self) -> dict[tuple[str, str, str], frozenset[str]]:
        return {}

    @cached_property
    def odds(self) -> tuple[Floats, Floats]:
        return self.odds_without(np.zeros(len(self), dtype=bool))

    def odds_without(self, left_out: Flags) -> tuple[Floats, Floats]:
        """For each of :attr:`owners` and each type two log odds, from the examples that are not ``left_out``.

        The first says how much likelier the type is where the point is spoken of than where others are, the second how much
        likelier in what makes the point than in what has it backwards (naive Bayes with smoothed counts).
        """
        topical, leaning = (np.zeros((len(self.owners), len(self.types))) for _ in range(2))
        spoken = np.isin(self.status, ("made", "backwards")) & ~left_out
        for row, owner in enumerate(self.owners):
            own = self.owner == owner
            made, backwards, others = own & spoken & (self.status == "made"), own & spoken & (self.status == "backwards"), ~own & spoken
            m, b, o = (self.contains[chosen].sum(axis=0) for chosen in (made, backwards, others))
            topical[row] = np.log((m + b + 0.3) / (made.sum() + backwards.sum() + 1)) - np.log((o + 0.3) / (others.sum() + 1))
            leaning[row] = np.log((m + 0.5) / (made.sum() + 1)) - np.log((b + 0.5) / (backwards.sum() + 1))
        return topical, leaning

    def rarity(self, key: str) -> float:
        return self._rarity.get(key, self._rarity[""])

    @cached_property
    def _by_key(self) -> dict[str, list[int]]:
        table: dict[str, list[int]] = defaultdict(list)
        for place, (key, concepts) in enumerate(self.types):
            table[key].append(place)
            for concept in concepts:
                table["+" + concept].append(place)
        return table

    @cached_property
    def _grams(self) -> dict[str, list[int]]:
        table: dict[str, list[int]] = defaultdict(list)
        for place, (key, _) in enumerate(self.types):
            for gram in _bigrams(key):
                table[gram].append(place)
        return table

    @cached_property
    def _gram_counts(self) -> list[int]:
        return [len(_bigrams(key)) for key, _ in self.types]

    def matches(self, key: str, concepts: frozenset[str]) -> list[tuple[int, float, bool]]:
        """The types that a word of the answer says: their place, how well, and whether it says the opposite."""
        opposite = synonyms().opposite
        found: dict[int, tuple[float, bool]] = {}
        for concept in concepts:
            other = opposite.get(concept)
            for place in self._by_key.get("+" + other, ()) if other else ():
                found[place] = (SYNONYM, True)
        for concept in concepts:
            worth = 1.0 if concept.startswith("term:") else SYNONYM
            for place in self._by_key.get("+" + concept, ()):
                if found.get(place, (0.0, False))[0] <= worth:
                    found[place] = (worth, False)
        for place in self._by_key.get(key, ()):
            found[place] = (1.0, False)
        if not found and len(key) >= (5 if key.isascii() else 3):
            found = {place: (REWRITTEN if key.startswith("f:") else MISSPELT, False) for place in self._misspelt(key)}
        return [(place, worth, turned) for place, (worth, turned) in found.items()]

    def _misspelt(self, key: str) -> list[int]:
        grams = _bigrams(key)
        shared = Counter(place for gram in grams for place in self._grams.get(gram, ()))
        formula = key.startswith("f:")
        least = 0.8 if formula else 0.65 if key.isascii() else 0.7
        return [
            place
            for place, count in shared.items()
            if self.types[place][0].startswith("f:") == formula and 2 * count / (len(grams) + self._gram_counts[place]) >= least
        ]


class Likeness:
    """An answer held against a set of examples: arrays of one row a unit and one column an example.

    Examples in ``without`` (a flag each) count as unlike everything: where an answer is graded that they were taken from.
    """

    def __init__(self, examples: ExampleSet, reading: Reading, without: Flags | None = None) -> None:
        self.examples = examples
        self._without = without
        self.items = items_of(reading)
        said, turned = self._said()
        self.units = _units(self.items, np.asarray((said > 0).any(axis=0)))
        shape = (len(self.units), len(examples))
        self.covered, self.contrary, self.ordered, self.exchanged = (np.zeros(shape) for _ in range(4))
        segment = np.array([item.segment for item in self.items], dtype=np.int64)
        straight, contrary = np.where(turned, 0.0, said), np.where(turned, said, 0.0)
        for number, unit in enumerate(self.units):
            self._compare(number, unit.places, straight, contrary, segment)
        self._said_straight, self._said_contrary = straight, contrary

    @cached_property
    def odds(self) -> tuple[Floats, Floats]:
        """How much each unit (row) speaks of each of the examples' owners (column), and how much it leans to making the point.

        Both are sums over the unit's words of what each is worth by :meth:`ExampleSet.odds_without`.
        """
        topical, leaning = self.examples.odds if self._without is None else self.examples.odds_without(self._without)
        straight, contrary = self._said_straight**2, self._said_contrary**2
        weight = np.maximum((straight + contrary).sum(axis=0), 1e-9)
        said = np.maximum(topical, 0.0) @ (straight + contrary) / weight
        leans = leaning @ (straight - contrary) / weight
        return np.array([said[:, unit.places].sum(axis=1) for unit in self.units]), np.array([leans[:, unit.places].sum(axis=1) for unit in self.units])

    def says_more(self, unit: int) -> bool:
        """Whether the unit says a word of the examples that the question does not."""
        places = self.units[unit].places
        told: list[bool] = np.asarray((self._said_straight[:, places] + self._said_contrary[:, places]).any(axis=0)).tolist()
        return any(known and self.items[place].key not in self.examples.asked for place, known in zip(places, told, strict=True))

    def denials(self, unit: int, example: int | None) -> float:
        """How many more negations the unit has than an example, at most 2 either way."""
        if example is None:
            return 0.0
        row = _row(self.examples.sentences[example].words)
        mine, theirs = (sum(item.key == NEGATION for item in items) for items in ((self.items[place] for place in self.units[unit].places), row))
        return float(max(-2, min(2, mine - theirs)))

    def denies(self, unit: int, example: int) -> bool:
        """Whether the unit is the example with a negation more, and little else."""
        return (
            self.denials(unit, example) >= 1
            and self.covered[unit, example] + self.contrary[unit, example] >= VERBATIM
            and self.ordered[unit, example] + self.contrary[unit, example] >= VERBATIM - 0.2
            and len(self.units[unit].places) <= self.examples.contains[example].sum() + 4
        )

    def unnamed(self, unit: int, example: int | None) -> float:
        """The share of the names in an example (terms, words of the question) that the unit does not say."""
        if example is None:
            return 0.0
        types = self.examples.types
        names = [place for place in np.flatnonzero(self.examples.contains[example]) if types[place][0] in self.examples.asked or any(c.startswith("term:") for c in types[place][1])]
        if not names:
            return 0.0
        places = self.units[unit].places
        said = (self._said_straight[np.ix_(names, places)] + self._said_contrary[np.ix_(names, places)]).any(axis=1)
        return float(1.0 - said.mean())

    def formula(self, owner: str, status: str) -> float:
        """How alike the answer's formulas come to those of the examples of ``owner`` with ``status``, 0..1 (1 is the same formula)."""
        theirs = self.examples.said_by(owner, status, "f:", self._without)
        return max((_dice(mine, other) for mine in self._formulas for other in theirs), default=0.0)

    @cached_property
    def _formulas(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(item.key for item in self.items if item.key.startswith("f:")))[:MOST_FORMULAS]

    def other_number(self, owner: str, unit: int, example: int) -> bool:
        """Whether the unit has a number that no example makes the point with, in place of one of ``example``."""
        numbers = {item.key for place in self.units[unit].places if (item := self.items[place]).key[0] == "#"}
        known = self.examples.said_by(owner, "made", "#", self._without)
        asked = {key for place in np.flatnonzero(self.examples.contains[example]) if (key := self.examples.types[place][0])[0] == "#"}
        return bool(asked - numbers) and bool(numbers - known)

    @cached_property
    def sentences(self) -> Ints:
        """The units that are one whole sentence, and so do not overlap."""
        sentence = [item.sentence for item in self.items]
        return np.array(
            [
                number
                for number, (places, *_) in enumerate(self.units)
                if sentence[places[0]] == sentence[places[-1]]
                and (places[0] == 0 or sentence[places[0] - 1] != sentence[places[0]])
                and (places[-1] + 1 == len(sentence) or sentence[places[-1] + 1] != sentence[places[-1]])
            ],
            dtype=np.int64,
        )

    @cached_property
    def alike(self) -> Floats:
        """One figure for each unit and example, about 0..1."""
        alike = 0.55 * self.covered + 0.45 * self.ordered - 0.4 * self.contrary - 0.1 * self.exchanged
        return alike if self._without is None else np.where(self._without, -1.0, alike)

    def _said(self) -> tuple[Floats, Flags]:
        """For each type of the examples and item of the answer: how well it is said, and whether turned round or denied."""
        examples = self.examples
        said = np.zeros((len(examples.types), len(self.items)))
        turned = np.zeros(said.shape, dtype=bool)
        known: dict[tuple[str, frozenset[str]], list[tuple[int, float, bool]]] = {}
        for column, item in enumerate(self.items):
            name = (item.key, item.concepts)
            if name not in known:
                known[name] = examples.matches(item.key, item.concepts)
            for place, worth, opposite in known[name]:
                said[place, column] = worth
                turned[place, column] = opposite != item.denied
        return said, turned

    def _compare(self, number: int, places: Ints, straight: Floats, contrary: Floats, segment: Ints) -> None:
        e = self.examples
        with_it, against_it = straight[:, places], contrary[:, places]
        where, other = with_it.argmax(axis=1), against_it.argmax(axis=1)
        row = np.arange(len(with_it))
        best, worst = with_it[row, where][e.kind], against_it[row, other][e.kind]
        hit = np.where(e.denied, worst, best)
        miss = np.where(e.denied, best, worst)
        place = places[np.where(e.denied, other[e.kind], where[e.kind])]
        self.covered[number] = np.add.reduceat(e.weight * hit, e.starts) / e.total
        self.contrary[number] = np.add.reduceat(e.weight * np.where(hit >= miss, 0.0, miss), e.starts) / e.total
        a, b = place[e.pair_a], place[e.pair_b]
        apart = np.maximum(1.0, np.abs(a - b) / PAIR_REACH)
        worth = e.pair_weight * hit[e.pair_a] * hit[e.pair_b] * np.where(segment[a] == segment[b], 1.0, 0.5) / np.sqrt(apart)
        self.ordered[number] = np.bincount(e.pair_of, worth * (a < b), len(e)) / e.pair_total
        self.exchanged[number] = np.bincount(e.pair_of, worth * (a > b), len(e)) / e.pair_total


def _rarity(rows: Iterable[Sequence[Item]]) -> dict[str, float]:
    """How few examples contain each key, as a logarithm; under the empty key that of a word that none contains."""
    count: Counter[str] = Counter()
    number = 0
    for row in rows:
        count.update({item.key for item in row})
        number += 1
    rarity = {key: max(LEAST_RARITY, math.log((number + 1) / (seen + 0.5)) / 2) for key, seen in count.items()}
    rarity[""] = max(LEAST_RARITY, math.log(number + 1) / 2) if number else 1.0
    rarity[NEGATION] = 1.0
    return rarity


def _units(items: Sequence[Item], telling: Flags) -> list[Unit]:
    """Sentences, neighbouring sentences and clauses of at least two items."""
    sentence = np.array([item.sentence for item in items], dtype=np.int64)
    segment = np.array([item.segment for item in items], dtype=np.int64)
    bounds: dict[tuple[int, int], None] = {}
    numbers, first = np.unique(sentence, return_index=True)
    last = np.append(first[1:], len(items)) - 1
    for at in range(len(numbers)):
        bounds[int(first[at]), int(last[at])] = None
        if at + 1 < len(numbers):
            bounds[int(first[at]), int(last[at + 1])] = None
    _, first = np.unique(segment, return_index=True)
    last = np.append(first[1:], len(items)) - 1
    for a, b in zip(first, last, strict=True):
        if b > a:
            bounds[int(a), int(b)] = None
    spans = list(bounds)
    if len(spans) > MOST_UNITS:
        worth = np.concatenate(([0], np.cumsum(telling)))
        spans = sorted(sorted(spans, key=lambda s: (-(worth[s[1] + 1] - worth[s[0]]) / math.sqrt(s[1] - s[0] + 1), s))[:MOST_UNITS])
    return [Unit(np.arange(a, b + 1), items[a].token, items[b].token) for a, b in spans]


@lru_cache(maxsize=4096)
def _row(words: str) -> tuple[Item, ...]:
    return tuple(items_of(read(words)))


@lru_cache(maxsize=20_000)
def _dice(a: str, b: str) -> float:
    if a == b:
        return 1.0
    first, second = _bigrams(a[1:]), _bigrams(b[1:])
    return min(0.95, 2 * len(first & second) / max(1, len(first) + len(second)))


def _bigrams(key: str) -> frozenset[str]:
    """Pairs of neighbouring letters; of jamo in Hangul, where a slip of the finger changes one of two or three in a syllable."""
    if not key.isascii():
        key = unicodedata.normalize("NFD", key)
    return frozenset(key[at : at + 2] for at in range(len(key) - 1))
