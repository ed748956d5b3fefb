"""Whether a point's predicate is said of the point's own subject, with the point's own numbers.

Three readings of a window: it is *crossed* when what the cue says is said of the other side of a contrast; a *swap* is
the cue without its subject, said of the other side; a number is *misstated* when all else of the cue stands there and
another number takes its place. A swap or a misstatement that the question's own model answer contains is no accusation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from viva.bank import Question
from viva.bank.schema import Point
from viva.grading.clauses import Reading, read
from viva.grading.contrasts import BOTH, Contrast, contrasts, governors
from viva.grading.cues import Asked, Cue, Idea
from viva.grading.matcher import Found, Hit, Matching, best_windows
from viva.language import Language

_NUMBER = re.compile(r"\d+(?:[.,/]\d+)*\s?%?|[영일]|zero|one|half|quarter|절반|하나")
_PLAIN = ("#0", "#1", "#2")


@lru_cache(maxsize=2048)
def sides_of(point: Point) -> tuple[tuple[Contrast, int], ...]:
    """The contrasts of which the point's own sentence names one side only."""
    found = []
    for contrast in contrasts():
        named = [contrast.named(text) for text in (point.text.ko, point.text.en) if text]
        sides = frozenset().union(*named)
        if len(sides) == 1:
            found.append((contrast, next(iter(sides))))
    return tuple(found)


@lru_cache(maxsize=20_000)
def _names_of(text: str) -> dict[str, int]:
    """Which side of which contrast the wording ``text`` names."""
    return {contrast.name: side for contrast in contrasts() if (side := contrast.is_name(text)) is not None}


def subjects_of(cue: Cue) -> dict[str, tuple[int, int]]:
    """For each contrast the first idea of ``cue`` that names one side only: its place and the side."""
    found: dict[str, tuple[int, int]] = {}
    both: set[str] = set()
    for place, idea in enumerate(cue.ideas):
        sides: dict[str, set[int]] = {}
        for wording in idea.wordings:
            for name, side in _names_of(wording.text).items():
                sides.setdefault(name, set()).add(side)
        for name, named in sides.items():
            if len(named) == 1 and name not in both:
                found.setdefault(name, (place, next(iter(named))))
            elif name not in found:
                both.add(name)
    return found


@lru_cache(maxsize=20_000)
def is_everyday(idea: Idea) -> bool:
    """Whether an idea is a word that stands in answers to any question: a predicate with synonyms, a 0, 1 or 2."""

    def plain(rows: tuple[tuple[frozenset[str], ...], ...]) -> bool:
        return any(len(row) == 1 and all(key[0] == "=" or key in _PLAIN or "=" + key in row[0] or _grouped(row[0]) for key in row[0]) for row in rows)

    return sum(plain(wording.rows) for wording in idea.wordings) * 2 > len(idea.wordings)


def _grouped(element: frozenset[str]) -> bool:
    return any(key[0] == "=" for key in element) and not any(key.startswith("term:") for key in element)


@lru_cache(maxsize=20_000)
def bindings(point: Point, cue: Cue) -> tuple[tuple[Contrast, int, int | None], ...]:
    """The contrasts that bind ``cue``: contrast, side and the place of the idea that names it (None: the point does)."""
    own = dict(sides_of(point))
    subjects = subjects_of(cue)
    bound: list[tuple[Contrast, int, int | None]] = []
    for contrast in contrasts():
        if contrast.name in subjects:
            place, side = subjects[contrast.name]
            bound.append((contrast, side, place))
        elif contrast in own:
            bound.append((contrast, own[contrast], None))
    return tuple(bound)


def governor(matching: Matching, contrast: Contrast, hit: Hit) -> int | None:
    """The side that governs ``hit``; :data:`BOTH` where it spans clauses of both."""
    table = matching.governors.get(contrast.name)
    if table is None:
        table = matching.governors[contrast.name] = governors(matching.reading, contrast)
    sides = {table[at] for at in range(hit.first, hit.last + 1)}
    return next(iter(sides)) if len(sides) == 1 else BOTH


def crossed(matching: Matching, question: Question, point: Point, found: Found) -> bool:
    """Whether what ``found`` says is said of the other side."""
    return any(
        _is_crossed(matching, found, contrast, side, place) and _is_trusted(question, matching.korean, found.cue, contrast.name, side, place)
        for contrast, side, place in bindings(point, found.cue)
    )


@lru_cache(maxsize=20_000)
def _is_trusted(question: Question, korean: bool, cue: Cue, name: str, side: int, subject: int | None) -> bool:
    """Whether a contrast may be held against ``cue``: it may not where the question's own truths would be crossed."""
    contrast = next(contrast for contrast in contrasts() if contrast.name == name)
    for matching in truths(question, korean):
        full = [found for found in best_windows(matching, cue) if found.straight >= cue.needed]
        if full and all(_is_crossed(matching, found, contrast, side, subject) for found in full):
            return False
    return True


def _is_crossed(matching: Matching, found: Found, contrast: Contrast, side: int, subject: int | None) -> bool:
    said = [(idea, hit) for at, (idea, hit) in enumerate(zip(found.cue.ideas, found.hits, strict=True)) if at != subject and hit is not None and not hit.contrary]
    said = [(idea, hit) for idea, hit in said if not _names(contrast, matching.reading, hit)]
    if not said:
        return False
    telling = [hit for idea, hit in said if not is_everyday(idea)] or [said[-1][1]]
    sides = {governor(matching, contrast, hit) for hit in telling}
    return (1 - side in sides and side not in sides) or governor(matching, contrast, said[-1][1]) == 1 - side


def _names(contrast: Contrast, reading: Reading, hit: Hit) -> bool:
    text = reading.source.text[reading.tokens[hit.first].start : reading.tokens[hit.last].end]
    return any(pattern.search(text) for pattern in contrast.sides)


def swaps(matching: Matching, question: Question, point: Point, cue: Cue) -> Iterator[Found]:
    """Where the cue, but for its subject, is said of the other side of a contrast."""
    if cue.phrase or cue.denies:
        return
    for contrast, side, subject in bindings(point, cue):
        if not _mentions_other(matching, contrast, side):
            continue
        ideas = tuple(idea for at, idea in enumerate(cue.ideas) if at != subject)
        if not ideas or all(is_everyday(idea) for idea in ideas):
            continue
        rest = replace(cue, ideas=ideas, needed=len(ideas), half=len(ideas))
        for found in best_windows(matching, rest)[:6]:
            one_sentence = matching.reading.sentence[found.first] == matching.reading.sentence[found.last]
            if found.straight >= rest.needed and one_sentence and _is_crossed(matching, found, contrast, side, None):
                yield found


def _mentions_other(matching: Matching, contrast: Contrast, side: int) -> bool:
    return contrast.sides[1 - side].search(matching.reading.source.text) is not None


def misstated(matching: Matching, question: Question, point: Point, cue: Cue) -> Iterator[Found]:
    """Where all of a cue but its number is said in one segment, with another number in the number's place."""
    if cue.phrase or cue.denies or len(cue.ideas) < 2:
        return
    places = [at for at, idea in enumerate(cue.ideas) if all(_NUMBER.fullmatch(wording.text.strip()) for wording in idea.wordings)]
    if len(places) != 1:
        return
    ideas = tuple(idea for at, idea in enumerate(cue.ideas) if at != places[0])
    if all(is_everyday(idea) for idea in ideas):
        return
    right = {(hit.first, hit.last) for hit in matching.hits(cue.ideas[places[0]])}
    right_sentences = {matching.reading.sentence[first] for first, _ in right}
    rest = replace(cue, ideas=ideas, needed=len(ideas), half=len(ideas))
    for found in best_windows(matching, rest, one_segment=True)[:4]:
        if found.straight < rest.needed or matching.reading.sentence[found.first] in right_sentences:
            continue
        at = _other_number(matching, found)
        if at is not None and not crossed(matching, question, point, found):
            token = matching.reading.tokens[at]
            word = matching.reading.source.text[token.start : token.end]
            yield found._replace(hits=(*found.hits, Hit(at, at, True, word, turned=True)), first=min(found.first, at), last=max(found.last, at))


def _other_number(matching: Matching, found: Found) -> int | None:
    """A number of its own (no ordinal, no name) within four tokens behind the window, in its segment."""
    reading = matching.reading
    for at in range(found.last + 1, min(len(reading.tokens), found.last + 5)):
        token = reading.tokens[at]
        if token.tag != "N" or reading.segment[at] != reading.segment[found.last] or any(h is not None and h.first <= at <= h.last for h in found.hits):
            continue
        before = reading.source.text[token.start - 1 : token.start]
        after = reading.source.text[token.end : token.end + 1]
        if (before in "-_^/(" and before) or (after.isalpha() and after.isascii()) or after in "-^/":
            continue
        return at
    return None


@lru_cache(maxsize=512)
def truths(question: Question, korean: bool) -> tuple[Matching, ...]:
    """The question's model answers, points and corrections, read: what no accusation may hit. English ones first."""
    languages: tuple[Language, ...] = ("en", "ko") if korean else ("en",)
    texts = [question.answer.get(language) for language in languages if question.answer is not None and question.answer.has(language)]
    for language in languages:
        lines = [getattr(point.text, language) or "" for point in question.points]
        lines += [getattr(entry.correction, language) or "" for entry in question.misconceptions]
        texts.append("\n".join(line.rstrip(".") + "." for line in lines if line))
    return tuple(Matching(read(text), Asked(frozenset(), "")) for text in texts)


@lru_cache(maxsize=20_000)
def is_true_anyway(question: Question, korean: bool, point: Point, cue: Cue, kind: str) -> bool:
    """Whether the same accusation could be read out of the question's own truths."""
    find = swaps if kind == "swap" else misstated
    return any(next(find(matching, question, point, cue), None) is not None for matching in truths(question, korean))
