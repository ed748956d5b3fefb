"""Whether an answer has the two sides of a contrast exchanged.

From the question's own truths (model answers and points) each side's *own words* are learned: those that are only ever
said of it. An answer that says one side's own words of the other, at least twice and far more often than rightly, has
the roles exchanged, and what it says there of the points is backwards.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from viva.bank import Question
from viva.grading.binding import sides_of, truths
from viva.grading.contrasts import BOTH, Contrast, contrasts, governors, mentions_of
from viva.grading.matcher import Found, Matching

LEAST, TIMES = 2, 2
"""So many words said of the wrong side, and so many times as many as of the right one, are an exchange."""
SHARE = 0.15
"""And at least this share of all the words said of either side: a long answer meets two by chance."""
FAR_MORE = 2
"""A word is one side's own when it is said of it more than so many times as often as of the other."""
_COMMON = frozenset(("=use", "=each", "=cause", "=allow", "=give", "=contain", "=produce", "=take", "=look", "=consist", "=often", "=more", "=describe"))


@dataclass(frozen=True)
class Exchange:
    """The tokens that an answer says of the wrong side of ``contrast``."""

    contrast: str
    wrong: frozenset[int]


@lru_cache(maxsize=512)
def own_words(question: Question, korean: bool) -> tuple[tuple[Contrast, tuple[frozenset[str], frozenset[str]]], ...]:
    """For each contrast that the question's truths name on both sides, the words said of one side only."""
    learned = []
    for contrast in contrasts():
        if not _is_asked(question, contrast):
            continue
        texts = [matching.reading.source.text for matching in truths(question, korean)]
        if not all(any(pattern.search(text) for text in texts) for pattern in contrast.sides):
            continue
        said: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        for matching in truths(question, korean):
            table = governors(matching.reading, contrast)
            for key, places in matching.reading.index.items():
                for first, last in places:
                    if contrast_names(matching, contrast, first, last):
                        continue
                    side = table[first] if table[first] == table[last] else BOTH
                    if side is None or any(at in matching.reading.denied for at in range(first, last + 1)):
                        continue
                    if side != BOTH:
                        said[side][key] += 1
        own = (_mostly(said[0], said[1]), _mostly(said[1], said[0]))
        if all(own):
            learned.append((contrast, own))
    return tuple(learned)


def _is_asked(question: Question, contrast: Contrast) -> bool:
    """Whether the contrast is the question's own: it names both sides, or has points about each of them."""
    if any(len(contrast.named(text)) == 2 for text in (question.question.ko, question.question.en) if text):
        return True
    return {side for point in question.points for known, side in sides_of(point) if known is contrast} == {0, 1}


def _mostly(here: Counter[str], there: Counter[str]) -> frozenset[str]:
    return frozenset(key for key, count in here.items() if count > FAR_MORE * there[key])


def contrast_names(matching: Matching, contrast: Contrast, first: int, last: int) -> bool:
    """Whether tokens ``first..last`` name a side rather than say something of it."""
    tokens = matching.reading.tokens
    text = matching.reading.source.text[tokens[first].start : tokens[last].end]
    return any(pattern.search(text) for pattern in contrast.sides)


def exchanges(matching: Matching, question: Question) -> tuple[Exchange, ...]:
    """The contrasts whose sides the answer has exchanged."""
    found = []
    reading = matching.reading
    for contrast, own in own_words(question, matching.korean):
        if not all(pattern.search(reading.source.text) for pattern in contrast.sides):
            continue
        table = governors(reading, contrast)
        names = {at for mention in mentions_of(reading, contrast) for at in range(mention.first, mention.last + 1)}
        wrong: set[int] = set()
        right: set[int] = set()
        governed = sum(side in (0, 1) and token.kind == "content" for side, token in zip(table, reading.tokens, strict=True))
        for key, places in reading.index.items():
            side = 0 if key in own[0] else 1 if key in own[1] else None
            if side is None or key in _COMMON:
                continue
            for first, last in places:
                if reading.tokens[first].kind != "content" or any(at in reading.denied for at in range(first, last + 1)):
                    continue
                if first in names:
                    continue
                if table[first] == side:
                    right.update(range(first, last + 1))
                elif table[first] == 1 - side:
                    wrong.update(range(first, last + 1))
        wrong, right = wrong - right, right - wrong
        if len(wrong) >= max(LEAST, SHARE * governed) and len(wrong) >= TIMES * len(right):
            found.append(Exchange(contrast.name, frozenset(wrong)))
    return tuple(found)


def is_exchanged(found: Found, exchanged: tuple[Exchange, ...]) -> bool:
    """Whether a hit of ``found`` is a word said of the wrong side."""
    places = {at for hit in found.hits if hit is not None for at in range(hit.first, hit.last + 1)}
    return any(places & exchange.wrong for exchange in exchanged)
