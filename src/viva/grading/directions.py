"""Whether a clause that makes a point says the contrary of the point's direction.

Cues often leave the direction to the reader. The point's own sentence has it: *a larger rate may raise the loss*. A
clause that has a direction's opposite, not the direction itself, and that no truth of the question shares, is backwards.
"""

from __future__ import annotations

from functools import lru_cache

from viva.bank import Question
from viva.bank.schema import Point
from viva.grading.binding import truths
from viva.grading.clauses import Reading, read
from viva.grading.cues import Cue
from viva.grading.lexicon import synonyms
from viva.grading.matcher import Found, Matching, best_windows


@lru_cache(maxsize=4096)
def directions_of(point: Point, korean: bool) -> frozenset[str]:
    """The directions that the point's sentence takes, in either language."""
    found = [_directions(read(text)) for text in (point.text.ko if korean else None, point.text.en) if text]
    return frozenset[str]().union(*found)


_TELLING = frozenset("=" + name for name in ["increase", "decrease", "maximise", "minimise", "fast", "slow", "positive", "negative", "strong", "weak", "easy", "hard", "stable", "unstable", "cheap", "costly", "at-most", "at-least"])
"""Directions that are said of something; sizes and places (small, many, before) stand in every second clause."""


def _directions(reading: Reading) -> frozenset[str]:
    table = synonyms().opposite
    return frozenset(key for key in reading.index if key in table and key in _TELLING)


def is_reversed(matching: Matching, question: Question, point: Point, found: Found) -> bool:
    """Whether ``found`` says the opposite of a direction of ``point``, and no truth of the question does so, too."""
    return _says_opposite(matching, point, found) and not _true_too(question, matching.korean, point, found.cue)


@lru_cache(maxsize=20_000)
def _true_too(question: Question, korean: bool, point: Point, cue: Cue) -> bool:
    return any(
        _says_opposite(matching, point, found)
        for matching in truths(question, korean)
        for found in best_windows(matching, cue)
        if found.straight >= cue.needed - 1
    )


def _says_opposite(matching: Matching, point: Point, found: Found) -> bool:
    """Whether the segments of ``found`` say the opposite of a direction of ``point`` and not the direction."""
    wanted = directions_of(point, matching.korean)
    if not wanted:
        return False
    reading = matching.reading
    table = synonyms().opposite
    segments = {reading.segment[at] for hit in found.hits if hit is not None for at in (hit.first, hit.last)}
    said = {
        key
        for key, places in reading.index.items()
        if key in table and key in _TELLING and any(reading.segment[first] in segments and first not in reading.denied for first, _ in places)
    }
    denied = any(reading.segment[at] in segments for at in reading.negations)
    opposed = {table[key] for key in wanted}
    return not denied and bool(said & (opposed - wanted)) and not said & wanted
