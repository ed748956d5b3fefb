"""Cues, compiled: from ``도함수 | 기울기 + 1/4 | 0.25`` to keys that can be looked up.

A cue is ideas joined by `` + ``, an idea is wordings joined by `` | `` (the spaces belong to the operators, so
``p(h|v)`` and ``a+b`` stay whole). A wording becomes rows of elements; an element is the set of keys of which one has
to be said. A cue without operators is a phrase, and each of its content words is an idea of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple

from viva.bank import Question
from viva.bank.schema import Cues
from viva.grading.clauses import NEGATION, Reading, read
from viva.grading.lexicon import synonyms
from viva.grading.morphology import Token, has_hangul, is_predicate, words
from viva.grading.normaliser import normalise
from viva.language import Language

Element = frozenset[str]

Mode = Literal["wide", "plain", "strict"]
"""How a cue is read: with synonyms of its words; by its words and the glossary's names alone; or, for cues of what is
wrong, word for word in the order given (see :class:`Wording`)."""


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
    strict: bool = False
    """Its words have to come in this order and close together, no synonym will do and small words count: for cues
    of what is wrong, where a false alarm costs more than a miss."""


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
    denies: bool = False
    """One of its ideas is a bare negation, so a denial in the answer is what it asks for."""


class Asked(NamedTuple):
    """The question's own words: repeating them says nothing."""

    keys: frozenset[str]
    squeezed: str


@lru_cache(maxsize=1024)
def question_words(question: Question, languages: tuple[Language, ...]) -> Asked:
    """What the question itself says, in ``languages``."""
    texts = [text for language in languages if (text := getattr(question.question, language))]
    readings = [read(text) for text in texts]
    return Asked(frozenset(key for r in readings for key in r.index), "\n".join(r.source.squeezed[0] for r in readings))


def compile_cues(cues: Cues, order: tuple[Language, ...], *, strict: bool = False) -> tuple[Cue, ...]:
    """The cues to try, in ``order``: the first language's with synonyms, the second's as they stand.

    Compiled cues are kept by their text, so a warm question costs look-ups only. Where none of the languages in
    ``order`` has a cue, those of the other one are used.
    """
    compiled: list[Cue | None] = []
    for at, language in enumerate(order):
        mode: Mode = "strict" if strict else "wide" if at == 0 else "plain"
        compiled += [compile_cue(text, mode) for text in cues.get(language)]
    if not compiled:
        compiled = [compile_cue(text, "strict" if strict else "wide") for text in (*cues.ko, *cues.en)]
    return tuple(cue for cue in compiled if cue is not None)


@lru_cache(maxsize=20_000)
def compile_cue(text: str, mode: Mode) -> Cue | None:
    """``text`` compiled; None where it holds nothing that could be said."""
    parts = [part.strip() for part in re.split(r"\s\+\s", text) if part.strip()]
    if len(parts) > 1 or re.search(r"\s\|\s", text):
        ideas = tuple(idea for part in parts if (idea := _idea(part, mode)).wordings)
        if not ideas:
            return None
        denies = any(row == (frozenset({NEGATION}),) for idea in ideas for wording in idea.wordings for row in wording.rows)
        return Cue(text, ideas, needed=len(ideas), half=max(2, -(-len(ideas) // 2)), denies=denies)
    return _phrase(text, mode)


def _idea(part: str, mode: Mode) -> Idea:
    texts = [wording.strip() for wording in re.split(r"\s\|\s", part) if wording.strip()]
    wordings = tuple(w for t in texts if (w := compile_wording(t, mode)).rows or w.squeezed)
    return Idea(texts[0] if texts else part, wordings)


def _phrase(text: str, mode: Mode) -> Cue | None:
    """A cue without operators: short ones as one wording, sentences word by word."""
    reading = _best_reading(text)
    elements = [(at, element) for row in _rows(reading, mode)[:1] for at, element in row]
    if len(elements) <= (9 if mode == "strict" else 3):
        whole = compile_wording(text, mode)
        return Cue(text, (Idea(text, (whole,)),), 1, 2) if whole.rows or whole.squeezed else None
    ideas = []
    for first, element in elements:
        token = reading.tokens[first]
        word = reading.source.text[token.start : token.end]
        turned = _opposites(((element,),)) if mode == "wide" else ()
        ideas.append(Idea(word, (Wording(word, ((element,),), negated=first in reading.denied, opposite=turned),)))
    return Cue(text, tuple(ideas), needed=_share(len(ideas), 0.7), half=_share(len(ideas), 0.45), phrase=True)


def _share(count: int, part: float) -> int:
    return max(2, -int(-count * part // 1))


@lru_cache(maxsize=50_000)
def compile_wording(text: str, mode: Mode) -> Wording:
    """One wording, with Korean stems (``가까``, ``줄지 않``) completed before they are cut."""
    strict = mode == "strict"
    reading = _best_reading(text)
    rows = tuple(tuple(element for _, element in row) for row in _rows(reading, mode))
    formula = _is_formula(reading)
    plain = normalise(text).squeezed[0]
    syllables = len(_HANGUL.findall(plain))
    squeezed = plain if formula or syllables >= 2 or (strict and syllables and len(plain) > 1) else ""
    wordless = not any(len(token.key) >= 3 and token.key[0] != "#" for token in reading.tokens)
    if formula and (strict or wordless):
        rows = ()
    if strict and not _is_stem(reading):
        rows = ()
    only_negation = rows == ((frozenset({NEGATION}),),)
    negated = bool(reading.negations) and not strict and not only_negation
    turned = () if negated or mode != "wide" else _opposites(rows)
    return Wording(text, rows, "" if only_negation else squeezed, negated, turned, strict)


def _is_stem(reading: Reading) -> bool:
    """Whether the words of a strict wording may be matched as words.

    Korean that ends in an ending or a particle (``나눈다``, ``0이 된``, ``Q로``) is meant as it stands; so is a wording
    of small words alone.
    """
    if not reading.tokens or not has_hangul(reading.source.text):
        return True
    if not any(token.kind in ("content", "negation") for token in reading.tokens):
        return False
    last = reading.tokens[-1].tag
    return (last not in ("EF", "EC", "ETM") and last[0] != "J") or reading.completed


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
            best, cost = replace(longer, completed=True), _content(longer) + extra
    return best


def _content(reading: Reading) -> int:
    return sum(token.kind == "content" for token in reading.tokens)


def _rows(reading: Reading, mode: Mode) -> list[list[tuple[int, Element]]]:
    """The elements of a wording: once with multi-word terms as one element, once word by word."""
    wanted = [at for at, token in enumerate(reading.tokens) if token.kind == "content" or (mode == "strict" and _counts(token))]
    if not wanted:  # a light verb (보지 않), then a bare negation (없), then any small word (on)
        wanted = [at for at, token in enumerate(reading.tokens) if token.kind == "glue" and token.tag in ("VV", "VA", "NNG", "NNB", "MAG")]
    if not wanted:
        wanted = [at for at, token in enumerate(reading.tokens) if token.kind == "negation"]
    if not wanted:
        wanted = [at for at, token in enumerate(reading.tokens) if token.kind == "glue" and token.tag[0] not in "JE"]
    singles: dict[int, set[str]] = {
        at: {NEGATION if reading.tokens[at].kind == "negation" else reading.tokens[at].key} for at in wanted
    }
    longest: dict[int, tuple[int, set[str]]] = {}
    for span in reading.spans:
        if mode != "wide" and span.key[0] == "=":
            continue
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
    return [row for row in ([covered] if covered == literal else [covered, literal]) if row]


_SMALL_EN = words("a an the it its this that")
_HEAVY_KO = words("만 밖에 조차 처럼 보다 까지 부터 마다 같이")


def _counts(token: Token) -> bool:
    """Whether a small word matters in a strict wording: ``only``, ``with``, 만, 처럼 do; articles and 은/는 do not."""
    if token.kind == "negation":
        return True
    if token.kind != "glue":
        return False
    if token.tag[0] == "L":
        return token.key not in _SMALL_EN
    return token.key in _HEAVY_KO or token.tag[0] in "NM" or token.tag in ("VV", "VA")


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


_HANGUL = re.compile("[가-힣]")
_FORMULA = re.compile(r"[=^√+/()|'∂∇≤≥<>⊙σηαβγλμεθρφ]|(?<=[a-z0-9])\s?-\s?(?=[a-z0-9](?![a-z]))")


def _is_formula(reading: Reading) -> bool:
    text = reading.source.text
    tokens = [token for token in reading.tokens if token.kind in ("content", "glue")]
    return _FORMULA.search(text) is not None and not has_hangul(text) and not (len(tokens) == 1 and tokens[0].tag == "N") and len(text) > 1
