"""Formulas that are nearly right: the point's own formula with one sign or operator exchanged.

``w ← w + η∇f`` for ``w ← w − η∇f`` has every letter of the truth. Each operator of a point's formulas is varied in turn;
an answer that has such a variant, and nowhere the formula itself, has misstated it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from viva.bank.schema import Point
from viva.grading.clauses import Reading
from viva.grading.normaliser import normalise, squeeze

SHORTEST = 4
"""Characters of a formula, squeezed; shorter ones occur inside others."""

_CALM = "[^가-힣,;:.!? ]"
_FORMULA = re.compile(rf"{_CALM}+(?:\s?[←=+\-/<>≤≥∝]\s?{_CALM}+)+")
_OPERATORS = "+-/<>≤≥√^"
_LETTERS = re.compile("[a-zα-ω∇]")


@lru_cache(maxsize=4096)
def formulas_of(point: Point) -> tuple[str, ...]:
    """The formulas of a point's sentence and cues, squeezed."""
    texts = [text for text in (point.text.ko, point.text.en, *point.cues.ko, *point.cues.en) if text]
    found: dict[str, None] = {}
    for text in texts:
        for piece in re.split(r"\s[|+]\s", text):
            for match in _FORMULA.finditer(normalise(piece).text):
                plain = squeeze(match[0])[0]
                if len(plain) >= SHORTEST and len(_LETTERS.findall(plain)) >= 2 and not re.search("[a-z]{5}", plain):
                    found[plain] = None
    return tuple(found)


@lru_cache(maxsize=4096)
def _variants(point: Point) -> re.Pattern[str] | None:
    patterns = []
    for formula in formulas_of(point):
        for at, char in enumerate(formula):
            if char in _OPERATORS and 0 < at < len(formula) - 1:
                other = "".join(re.escape(op) for op in _OPERATORS[:6] if op != char)
                patterns.append(re.escape(formula[:at]) + f"[{other}]" + re.escape(formula[at + 1 :]))
    return re.compile("(?<![a-zα-ω0-9])(?:" + "|".join(patterns) + ")") if patterns else None


def misstated_formula(reading: Reading, point: Point) -> tuple[int, int] | None:
    """First and last token of a formula of ``point`` with one operator exchanged; None where the right one stands, too."""
    pattern = _variants(point)
    if pattern is None:
        return None
    text, places = reading.source.squeezed
    match = pattern.search(text)
    if match is None or any(formula in text for formula in formulas_of(point)):
        return None
    return reading.at(places[match.start()]), reading.at(places[match.end() - 1])
