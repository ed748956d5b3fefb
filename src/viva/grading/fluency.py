"""Whether words follow each other as they do in sentences.

A table tells how much more often two kinds of word stand side by side in sentences than chance would have it. Shuffled words and
lists of keywords score low, speech and terse notes do not. The table is fitted with the weights (:mod:`viva.grading.fit`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from viva.grading.clauses import Reading, read
from viva.grading.morphology import Token

UNSEEN = -2.0
"""Log ratio of a pair that no sentence has."""
LEAST = 3
_EDGE = "^"


def neighbours(tokens: Sequence[Token]) -> list[tuple[str, str]]:
    """The kinds of the tokens that meet where one word ends and the next begins; sentences begin and end with an edge.

    A kind is Kiwi's tag (with the particle or ending itself), an English function word, or a class of word. What stands within one
    Korean word says nothing: it stays together when words are shuffled.
    """
    pairs = []
    left, end = _EDGE, -1
    for token in tokens:
        kind = _kind(token)
        if left == _EDGE or kind == _EDGE or token.start > end or token.kind == "break":
            pairs.append((left, kind))
        left, end = kind, token.end
    return [pair for pair in (*pairs, (left, _EDGE)) if pair != (_EDGE, _EDGE)]


def _kind(token: Token) -> str:
    if token.kind == "break":
        return "," if token.key == "," else _EDGE
    if (token.tag == "L" and token.kind in ("glue", "negation")) or token.tag[0] in "JE":
        return token.key if token.tag == "L" else token.tag[0] + token.key
    return token.tag


def fluency(tokens: Sequence[Token], table: Mapping[str, float]) -> float:
    """The mean log ratio of neighbouring kinds in ``tokens``; about 0 for words at random, 1 for sentences."""
    ratios = [table.get(f"{a} {b}", UNSEEN) for a, b in neighbours(tokens)]
    return sum(ratios) / len(ratios) if ratios else 0.0


def fit_table(sentences: Iterable[str]) -> dict[str, float]:
    """Log ratios of the pairs that stand side by side at least :data:`LEAST` times in ``sentences``."""
    pairs: Counter[tuple[str, str]] = Counter()
    for sentence in sentences:
        reading: Reading = read(sentence)
        pairs.update(neighbours(reading.tokens))
    first: Counter[str] = Counter()
    second: Counter[str] = Counter()
    for (a, b), count in pairs.items():
        first[a] += count
        second[b] += count
    total = sum(pairs.values())
    return {
        f"{a} {b}": round(max(UNSEEN, min(3.0, math.log(count * total / (first[a] * second[b])))), 2)
        for (a, b), count in sorted(pairs.items())
        if count >= LEAST
    }
