"""Points drawn from an answer: its sentences, at most eight, each as a text to show and a phrase to listen for.

Sentences end where Korean and English end them; not after ``e.g.``, within brackets, code or a formula. A fragment too short to
be a point joins its neighbour. When there are too many, what stands deepest goes first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from viva.bank import Cues, Point
from viva.exchange.clean import plain
from viva.language import Language, Text

MAX_POINTS = 8
MAX_POINT_CHARACTERS = 600
_SHORT = 9  # characters that are letters or digits; '역전파' alone or 'Yes.' is no point

_BLOCK = re.compile(r"^(?P<indent>\s*)(?:[-*+]|\d{1,9}[.)])\s+(?P<text>.*)$")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|ex|etc|vs|cf|fig|eq|eqs|al|dr|mr|mrs|ms|prof|no|vol|sec|ch|approx|resp|w\.r\.t|a\.k\.a|st|dept|est|inc)|\b[A-Za-z]|예)\.$",
    re.IGNORECASE,
)
_END = re.compile(r"[.!?。？！]+[\"'”’)\]*_]*(?=\s|$)|(?<=[다요죠음함됨임까])[.!?](?=[가-힣A-Z(])|。")
_OPAQUE = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$|`[^`]+`|\([^()]*\)|（[^（）]*）|https?://\S+", re.DOTALL)
_TABLE_RULE = re.compile(r"^\s*\|?\s*:?-{3,}")


@dataclass(frozen=True)
class _Unit:
    """A sentence, how deep its bullet stands, and the number of the bullet or paragraph that it is from."""

    text: str
    depth: int
    block: int


def points_of(answer: str, language: Language) -> tuple[Point, ...]:
    """The points of ``answer`` (Markdown), ids ``p1`` …, weight 2. None where it says nothing."""
    units = _few(_merged(_units(answer)))
    points: list[Point] = []
    for unit in units:
        text = unit.text if len(unit.text) <= MAX_POINT_CHARACTERS else unit.text[: MAX_POINT_CHARACTERS - 1].rstrip() + "…"
        cue = cue_of(text)
        if cue:
            cues = Cues(ko=(cue,)) if language == "ko" else Cues(en=(cue,))
            points.append(Point(id=f"p{len(points) + 1}", weight=2, text=Text.model_validate({language: text}), cues=cues))
    return tuple(points)


def cue_of(text: str) -> str:
    """``text`` as a plain phrase: the cue grammar's operators `` + `` and `` | `` lose their meaning."""
    out: list[str] = []
    glue = ""
    for word in plain(text).rstrip(".!?。 ").split():
        word = word.strip("|")
        if word in ("", "+"):
            glue = word or "|"
        elif glue and out:
            out[-1] += glue + word
            glue = ""
        else:
            out.append(word)
            glue = ""
    return " ".join(out)


def sentences(text: str) -> list[str]:
    """The sentences of one line or paragraph."""
    opaque = iter([match.span() for match in _OPAQUE.finditer(text)] + [(len(text) + 1, len(text) + 1)])
    shut = next(opaque)
    out, start = [], 0
    for match in _END.finditer(text):
        at, end = match.start(), match.end()
        while shut[1] <= at + 1:
            shut = next(opaque)
        before = text[max(start, at - 12) : at + 1]
        if shut[0] <= at or _ABBREVIATION.search(before) or text[start:at].strip().isdigit():
            continue
        out.append(text[start:end].strip())
        start = end
    out.append(text[start:].strip())
    return [sentence for sentence in out if sentence]


def _units(answer: str) -> list[_Unit]:
    units: list[_Unit] = []
    block = 0
    indents: list[int] = []
    paragraph: list[str] = []
    fenced = ""

    def flush() -> None:
        nonlocal block
        if paragraph:
            block += 1
            units.extend(_Unit(text, max(0, len(indents) - 1), block) for text in sentences(" ".join(paragraph)))
        paragraph.clear()

    for line in answer.split("\n"):
        fence = re.match(r"\s*(`{3,}|~{3,})", line)
        if fence and (not fenced or fence.group(1).startswith(fenced)):
            flush()
            fenced = "" if fenced else fence.group(1)
            continue
        if fenced or _TABLE_RULE.match(line):
            continue
        if not line.strip():
            flush()
            continue
        item = _BLOCK.match(line)
        if item:
            flush()
            depth = len(item["indent"])
            while indents and indents[-1] >= depth:
                indents.pop()
            indents.append(depth)
            paragraph.append(item["text"].strip())
        else:
            if not line.startswith(" ") and not paragraph:
                indents.clear()
            paragraph.append(line.strip().lstrip(">#").strip().strip("|").replace(" | ", ", "))
    flush()
    return units


def _merged(units: list[_Unit]) -> list[_Unit]:
    """Joins a sentence that is too short to the next one of its bullet, or to the one before."""
    out: list[_Unit] = []
    for unit in units:
        if out and out[-1].block == unit.block and (_size(out[-1].text) < _SHORT or _size(unit.text) < _SHORT):
            out[-1] = _Unit(f"{out[-1].text} {unit.text}", unit.depth, unit.block)
        else:
            out.append(unit)
    worth = [unit for unit in out if _size(unit.text) >= _SHORT]
    return worth or [unit for unit in out if _size(unit.text) >= 2]


def _few(units: list[_Unit]) -> list[_Unit]:
    """At most eight: only the upper bullets, then only the first sentence of each, then the first eight."""
    for depth in range(max((unit.depth for unit in units), default=0), 0, -1):
        if len(units) <= MAX_POINTS:
            return units
        units = [unit for unit in units if unit.depth < depth] or units
    if len(units) > MAX_POINTS:
        firsts = [unit for i, unit in enumerate(units) if i == 0 or units[i - 1].block != unit.block]
        units = firsts if len(firsts) >= 3 else units
    return units[:MAX_POINTS]


def _size(text: str) -> int:
    """Letters and digits, a Hangul syllable counting for two and a half letters."""
    return int(sum(2.5 if "가" <= sign <= "힣" else 1 for sign in text if sign.isalnum()))
