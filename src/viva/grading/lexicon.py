"""Which words mean the same: the glossary's terms and the synonyms of everyday predicates, as keys laid over tokens.

A token row keeps its own keys; on top lie *concepts*: ``term:vanishing-gradient`` over two tokens, ``=decrease`` over
``줄어들``. A cue that names a concept is met by any of its names in either language.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from viva.bank.glossary import glossary
from viva.grading.morphology import Token, has_hangul, stem

SYNONYMS_FILE = Path(__file__).parent / "synonyms.yaml"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Span(NamedTuple):
    """Tokens ``first..last`` (inclusive) say ``key``."""

    first: int
    last: int
    key: str


@dataclass(frozen=True)
class Synonyms:
    """``groups`` of a single word's key, ``phrases`` of several, and which group says the ``opposite`` of which."""

    groups: dict[str, tuple[str, ...]]
    phrases: dict[str, tuple[tuple[tuple[str, ...], str], ...]]
    opposite: dict[str, str]


@lru_cache(maxsize=1)
def synonyms() -> Synonyms:
    """The built-in synonyms, read once."""
    data = yaml.load(SYNONYMS_FILE.read_text(encoding="utf-8"), Loader=_Loader)
    groups: dict[str, list[str]] = {}
    phrases: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    opposite: dict[str, str] = {}
    for name, entry in data.items():
        key = "=" + name
        if "not" in entry:
            opposite[key] = "=" + entry["not"]
        for word in entry["words"]:
            keys = tuple(part if has_hangul(part) else stem(part.lower()) for part in str(word).split())
            if len(keys) == 1:
                groups.setdefault(keys[0], []).append(key)
            else:
                phrases.setdefault(keys[0], []).append((keys, key))
    return Synonyms({k: tuple(v) for k, v in groups.items()}, {k: tuple(v) for k, v in phrases.items()}, opposite)


def concepts(text: str, tokens: Sequence[Token]) -> tuple[Span, ...]:
    """The concepts in ``text`` over its ``tokens``: terms (nested ones too) and synonym groups, by place."""
    starts = [token.start for token in tokens]
    spans: set[Span] = set()
    for hit in glossary().find(text):
        inside = _inside(tokens, starts, hit.start, hit.end)
        if inside:
            spans.add(Span(*inside, "term:" + hit.term))
    table = synonyms()
    for at, token in enumerate(tokens):
        if token.kind not in ("content", "glue", "relation") or token.tag[0] in "JE":
            continue
        for key in table.groups.get(token.key, ()):
            spans.add(Span(at, at, key))
        for phrase, key in table.phrases.get(token.key, ()):
            end = at + len(phrase)
            if tuple(t.key for t in tokens[at:end]) == phrase:
                spans.add(Span(at, end - 1, key))
    return tuple(sorted(spans))


def _inside(tokens: Sequence[Token], starts: Sequence[int], start: int, end: int) -> tuple[int, int] | None:
    """First and last token that overlap ``start:end``; glue at the end (a particle) is left out."""
    first = bisect_left(starts, start)
    while first > 0 and tokens[first - 1].end > start:
        first -= 1
    last = first
    while last + 1 < len(tokens) and tokens[last + 1].start < end:
        last += 1
    if first >= len(tokens) or tokens[first].start >= end:
        return None
    return first, last
