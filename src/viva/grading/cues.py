"""Cues, compiled: from ``도함수 | 기울기 + 1/4 | 0.25`` to keys that can be looked up.

A cue is ideas joined by `` + ``, an idea is wordings joined by `` | `` (the spaces belong to the operators, so
``p(h|v)`` and ``a+b`` stay whole). A wording becomes rows of elements; an element is the set of keys of which one has
to be said. A cue without operators is a phrase, and each of its content words is an idea of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from viva.bank import Question
from viva.bank.schema import Cues
from viva.grading.clauses import Reading, read
from viva.grading.lexicon import synonyms
from viva.grading.morphology import has_hangul, is_predicate
from viva.language import LANGUAGES, Language

Element = frozenset[str]


@dataclass(frozen=True)
class Wording:
    """One way of naming an idea."""

    text: str
    rows: tuple[tuple[Element, ...], ...]
    squeezed: str = ""
    """For formulas and Hangul: what to look for in the squeezed reading; empty where that would be too loose."""
    negated: bool = False
    opposite: tuple[tuple[Element, ...], ...] = ()
    """Rows that say the contrary (decrease for increase)."""


@dataclass(frozen=True)
class Idea:
    """What one part of a cue asks for."""

    text: str
    wordings: tuple[Wording, ...]


@dataclass(frozen=True)
class Cue:
    """``needed`` ideas make the point, ``half`` of them make it partly."""

    text: str
    ideas: tuple[Idea, ...]
    needed: int
    half: int
    phrase: bool = False


@dataclass(frozen=True)
class PointCues:
    """The compiled cues of one point, or of a misconception (no ``opposite``)."""

    id: str
    cues: dict[Language, tuple[Cue, ...]]
    opposite: dict[Language, tuple[Cue, ...]]


@dataclass(frozen=True)
class QuestionCues:
    points: tuple[PointCues, ...]
    misconceptions: tuple[PointCues, ...]
    asked: frozenset[str]
    """Keys of the question's own words: repeating them says nothing."""


@lru_cache(maxsize=512)
def compile_question(question: Question) -> QuestionCues:
    """The cues of ``question``, compiled once (questions are frozen, so they are their own cache key)."""
    texts = [text for text in (question.question.ko, question.question.en) if text]
    asked = {key for text in texts for key in read(text).index}
    return QuestionCues(
        tuple(PointCues(p.id, _compile(p.cues), _compile(p.opposite)) for p in question.points),
        tuple(PointCues(m.id, _compile(m.cues), {}) for m in question.misconceptions),
        frozenset(asked),
    )


def _compile(cues: Cues) -> dict[Language, tuple[Cue, ...]]:
    return {language: tuple(cue for text in cues.get(language) if (cue := compile_cue(text)) is not None) for language in LANGUAGES}


@lru_cache(maxsize=20_000)
def compile_cue(text: str) -> Cue | None:
    """``text`` compiled; None where it holds nothing that could be said."""
    parts = [part.strip() for part in re.split(r"\s\+\s", text) if part.strip()]
    if len(parts) > 1 or re.search(r"\s\|\s", text):
        ideas = tuple(idea for part in parts if (idea := _idea(part)).wordings)
        if not ideas:
            return None
        return Cue(text, ideas, needed=len(ideas), half=max(2, -(-len(ideas) // 2)))
    return _phrase(text)


def _idea(part: str) -> Idea:
    texts = [wording.strip() for wording in re.split(r"\s\|\s", part) if wording.strip()]
    wordings = tuple(w for t in texts if (w := compile_wording(t)).rows or w.squeezed)
    return Idea(texts[0] if texts else part, wordings)


def _phrase(text: str) -> Cue | None:
    """A cue without operators: short ones as one wording, sentences word by word."""
    reading = _best_reading(text)
    elements = [(at, element) for row in _rows(reading)[:1] for at, element in row]
    if len(elements) <= 3:
        whole = compile_wording(text)
        return Cue(text, (Idea(text, (whole,)),), 1, 2) if whole.rows or whole.squeezed else None
    ideas = []
    for first, element in elements:
        token = reading.tokens[first]
        word = reading.source.text[token.start : token.end]
        ideas.append(Idea(word, (Wording(word, ((element,),), negated=first in reading.denied, opposite=_opposites(((element,),))),)))
    return Cue(text, tuple(ideas), needed=_share(len(ideas), 0.7), half=_share(len(ideas), 0.45), phrase=True)


def _share(count: int, part: float) -> int:
    return max(2, -int(-count * part // 1))


@lru_cache(maxsize=50_000)
def compile_wording(text: str) -> Wording:
    """One wording, with Korean stems (``가까``, ``줄지 않``) completed before they are cut."""
    reading = _best_reading(text)
    rows = tuple(tuple(element for _, element in row) for row in _rows(reading))
    formula = _is_formula(reading)
    squeezed = ""
    whole = reading.source
    plain = read_plain(text)
    if formula or len(re.findall("[가-힣]", plain)) >= 2:
        squeezed = plain
    if formula and not any(len(token.key) >= 3 and token.key[0] != "#" for token in reading.tokens):
        rows = ()
    if not whole.text.strip():
        return Wording(text, ())
    negated = bool(reading.negations)
    return Wording(text, rows, squeezed, negated, () if negated else _opposites(rows))


def read_plain(text: str) -> str:
    """``text`` as it is looked for in a squeezed reading."""
    from viva.grading.normaliser import normalise

    return normalise(text).squeezed[0]


def _best_reading(text: str) -> Reading:
    """``text`` read as it stands or, for a Korean stem, with the ending that makes it a word; fewest words win."""
    plain = read(text)
    if not has_hangul(text[-1:]):
        return plain
    last = plain.tokens[-1] if plain.tokens else None
    best, cost = plain, _content(plain) + (0.5 if last is not None and last.tag in ("EF", "EC") else 0.1)
    for ending, extra in (("다", 0.0), ("운", 0.2)):
        longer = read(text + ending)
        stem_ends = len(longer.source.text) - len(ending)
        stems = [token for token in longer.tokens if is_predicate(token) and token.tag[0] == "V" and token.end in (stem_ends, stem_ends + 1) and token.start < stem_ends]
        if stems and _content(longer) + extra < cost:
            best, cost = longer, _content(longer) + extra
    return best


def _content(reading: Reading) -> int:
    return sum(token.kind == "content" for token in reading.tokens)


def _rows(reading: Reading) -> list[list[tuple[int, Element]]]:
    """The elements of a wording: once with multi-word terms as one element, once word by word."""
    wanted = [at for at, token in enumerate(reading.tokens) if token.kind == "content"]
    if not wanted:
        wanted = [at for at, token in enumerate(reading.tokens) if token.kind == "glue"]
    singles: dict[int, set[str]] = {at: {reading.tokens[at].key} for at in wanted}
    longest: dict[int, tuple[int, set[str]]] = {}
    for span in reading.spans:
        if span.first == span.last and span.first in singles:
            singles[span.first].add(span.key)
        elif span.first in singles and span.last > span.first:
            last, keys = longest.get(span.first, (span.last, set()))
            if span.last > last:
                last, keys = span.last, set()
            if span.last == last:
                longest[span.first] = (last, keys | {span.key})
    covered: list[tuple[int, Element]] = []
    at = -1
    for place in wanted:
        if place <= at:
            continue
        if place in longest:
            at, keys = longest[place]
            covered.append((place, frozenset(keys)))
        else:
            covered.append((place, frozenset(singles[place])))
    literal = [(place, frozenset(singles[place])) for place in wanted]
    return [covered] if covered == literal or not literal else [covered, literal]


def _opposites(rows: Sequence[tuple[Element, ...]]) -> tuple[tuple[Element, ...], ...]:
    """``rows`` with a word of direction turned round; empty where there is none."""
    table = synonyms().opposite
    turned: list[tuple[Element, ...]] = []
    for row in rows:
        for place, element in enumerate(row):
            other = frozenset(table[key] for key in element if key in table)
            if other:
                turned.append((*row[:place], other, *row[place + 1 :]))
    return tuple(turned)


_FORMULA = re.compile(r"[=^√+/()|'∂∇≤≥<>⊙σηαβγλμεθρφ]|(?<=[a-z0-9])\s?-\s?(?=[a-z0-9](?![a-z]))")


def _is_formula(reading: Reading) -> bool:
    text = reading.source.text
    tokens = [token for token in reading.tokens if token.kind in ("content", "glue")]
    return _FORMULA.search(text) is not None and not has_hangul(text) and not (len(tokens) == 1 and tokens[0].tag == "N") and len(text) > 1
