"""Whose predicate is it? Subjects that questions set against each other, and which of them governs each clause.

``contrasts.yaml`` holds pairs (BERT and GPT, training and test time). In an answer each clause is governed by the
side it names as its subject; a clause that names neither goes on about the side before. A side that is only compared
with (``BERT와 달리``, ``than GPT``) governs nothing, and where both are named together nobody does.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from viva.grading.clauses import Reading
from viva.grading.morphology import Token, words
from viva.grading.normaliser import normalise

CONTRASTS_FILE = Path(__file__).parent / "contrasts.yaml"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

BOTH = -1
"""The governor of a clause that is about both sides, or about one nobody can tell."""

_COMPARED_KO = words("보다 처럼 달리 대신 비하 반면 아니 만큼 대비 비교")
_COMPARED_EN = words("than unlike like versus vs from instead not")
_AND = words("and while but whereas then")


@dataclass(frozen=True)
class Contrast:
    """A pair of subjects; ``sides`` find the names of each in normalised text."""

    name: str
    sides: tuple[re.Pattern[str], re.Pattern[str]]
    when: bool
    """The sides are times or conditions, which may follow what they govern."""

    def named(self, text: str) -> frozenset[int]:
        """The sides that ``text`` names."""
        plain = _plain(text)
        return frozenset(side for side, pattern in enumerate(self.sides) if pattern.search(plain))

    def is_name(self, text: str) -> int | None:
        """The side whose name ``text`` is."""
        plain = _plain(text)
        return next((side for side, pattern in enumerate(self.sides) if pattern.fullmatch(plain)), None)


@lru_cache(maxsize=20_000)
def _plain(text: str) -> str:
    return normalise(text).text.strip()


class Mention(NamedTuple):
    first: int
    last: int
    side: int


@lru_cache(maxsize=1)
def contrasts() -> tuple[Contrast, ...]:
    """The built-in contrasts, read once."""
    data = yaml.load(CONTRASTS_FILE.read_text(encoding="utf-8"), Loader=_Loader)
    return tuple(
        Contrast(name, (_pattern(entry["one"]), _pattern(entry["other"])), bool(entry.get("when"))) for name, entry in data.items()
    )


def _pattern(names: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(_one(str(name)) for name in sorted(names, key=lambda name: -len(str(name)))))


def _one(name: str) -> str:
    plain = re.escape(normalise(name).text).replace(r"\ ", r"[\s-]?").replace(r"\-", r"[\s-]?")
    before = r"(?<![가-힣])" if "가" <= plain[:1] <= "힣" else r"(?<![a-z0-9])"
    return before + plain + ("" if "가" <= name[-1:] <= "힣" else r"(?![a-z0-9])")


def governors(reading: Reading, contrast: Contrast) -> tuple[int | None, ...]:
    """For each token the side that governs it: 0, 1, :data:`BOTH`, or None where nothing was named yet."""
    mentions = mentions_of(reading, contrast)
    tokens = reading.tokens
    result: list[int | None] = []
    governor: int | None = None
    start = 0
    for end in (*_clause_ends(reading, mentions), len(tokens)):
        if start >= end:
            continue
        if start and contrast.when and reading.sentence[start] != reading.sentence[start - 1]:
            governor = None
        said = _governor(tokens, [m for m in mentions if start <= m.first < end], start)
        governor = governor if said is None else said
        result += [governor] * (end - start)
        start = end
    return tuple(result)


def mentions_of(reading: Reading, contrast: Contrast) -> list[Mention]:
    """Where ``reading`` names a side; a name inside a longer one is not one."""
    starts = reading.starts
    found: list[tuple[int, int, int]] = []
    for side, pattern in enumerate(contrast.sides):
        found += [(match.start(), match.end(), side) for match in pattern.finditer(reading.source.text)]
    longest = [
        one for one in found if not any(o is not one and o[0] <= one[0] and one[1] <= o[1] and o[1] - o[0] > one[1] - one[0] for o in found)
    ]
    mentions = []
    for start, end, side in sorted(longest):
        first = reading.at(start)
        mentions.append(Mention(first, max(first, bisect_left(starts, end) - 1), side))
    return mentions


def _clause_ends(reading: Reading, mentions: list[Mention]) -> list[int]:
    """The tokens at which a clause begins: segments, commas, ``and`` between two statements."""
    tokens, segment = reading.tokens, reading.segment
    lasts, firsts = {m.last for m in mentions}, {m.first for m in mentions}
    ends = []
    for at in range(1, len(tokens)):
        before = tokens[at - 1]
        joins = at - 2 in lasts and at in firsts
        opens = (before.kind == "break" and before.key != ",") or (before.tag == "L" and before.key in _AND) or before.key == ","
        if segment[at] != segment[at - 1] or (opens and not joins) or (before.tag == "EC" and before.key in ("고", "며", "으며", "지만")):
            ends.append(at)
    return ends


def _governor(tokens: tuple[Token, ...], mentions: list[Mention], start: int) -> int | None:
    heads = [m for m in mentions if not _is_compared(tokens, m)]
    if not heads:
        return None
    if len({m.side for m in heads}) == 1:
        return heads[0].side
    topics = {m.side for m in heads if _is_topic(tokens, m)}
    if len(topics) == 1:
        one = next(m for m in heads if _is_topic(tokens, m))
        joined = any(m.side != one.side and 0 < one.first - m.last <= 2 for m in heads)
        return BOTH if joined else one.side
    if not topics and heads[0].first <= start + 2 and heads[1].first - heads[0].last > 2 and tokens[heads[0].first].tag[0] == "L":
        return heads[0].side
    return BOTH


def _is_topic(tokens: tuple[Token, ...], mention: Mention) -> bool:
    following = tokens[mention.last + 1 : mention.last + 2]
    return bool(following) and following[0].tag in ("JX", "JKS") and following[0].key in ("은", "는", "이", "가", "도")


def _is_compared(tokens: tuple[Token, ...], mention: Mention) -> bool:
    after = tokens[mention.last + 1 : mention.last + 4]
    if any(token.key in _COMPARED_KO and token.tag[0] != "L" for token in after):
        return True
    before = tokens[max(0, mention.first - 2) : mention.first]
    return any(token.tag == "L" and (token.key in _COMPARED_EN or token.kind == "negation") for token in before)
