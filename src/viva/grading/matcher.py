"""What of a cue an answer says, where, and whether it says it or denies it.

A *hit* is one place where an idea is named, straight or contrary (denied, or with the word of direction turned round).
A cue is *found* in a window of two neighbouring sentences; wrong statements (opposites and misconceptions) have to
stand in one segment, so that a contrast (``…지만``, ``whereas …``) does not tie one half's subject to the other's
predicate.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from viva.grading.clauses import NEGATION, Reading, glue_ratio
from viva.grading.cues import Asked, Cue, Element, Idea, Wording
from viva.grading.normaliser import squeeze

SLACK = 4
"""How many words may stand between the words of one wording."""
STRICT_GAP = 3
"""How far apart, in tokens, the words of a strict wording may follow each other."""
ANCHORS, CROWD = 200, 12
"""How many places of a cue are looked at in an answer, and how many of one idea in a sentence: bounds, not rules."""
REACH = 60
"""How many tokens the ideas of a cue may lie apart."""


LIST_GLUE = 0.33
"""Below so many particles, endings and function words for each content word, a sentence is no sentence."""
LIST_GLUE_EN = 0.25
STOPPED_GLUE, LISTED_GLUE = 0.1, 0.2
"""The same for a sentence that ends with a full stop, without commas (``AdamW decouples weight decay from v.``) or with."""
NOTE_WORDS = (3, 8)
"""A line of so many content words without glue is a terse note, worth *partly*; longer ones are lists."""

Form = Literal["list", "note", "statement"]
_FORMS: tuple[Form, ...] = ("list", "note", "statement")


_BARE_NEGATION: tuple[Element, ...] = (frozenset({NEGATION}),)


class Hit(NamedTuple):
    """Tokens ``first..last`` name an idea; ``contrary`` says the opposite of it."""

    first: int
    last: int
    contrary: bool
    word: str
    turned: bool = False
    """Contrary by another word (a direction, a missing 'not') rather than by a negation."""


@dataclass
class Matching:
    """An answer's reading with what has been looked up in it."""

    reading: Reading
    asked: Asked
    _hits: dict[int, tuple[Idea, tuple[Hit, ...]]] = field(default_factory=dict)
    _forms: dict[int, Form] = field(default_factory=dict)
    governors: dict[str, tuple[int | None, ...]] = field(default_factory=dict)
    """Which side of a contrast governs each token, once it was asked for (see :mod:`viva.grading.contrasts`)."""

    @cached_property
    def korean(self) -> bool:
        """Whether the answer has Hangul; one without is held against English truths alone, and needs no Korean morphology."""
        return _HANGUL.search(self.reading.source.text) is not None

    def hits(self, idea: Idea) -> tuple[Hit, ...]:
        """Every place where ``idea`` is named."""
        known = self._hits.get(id(idea))
        if known is None:
            found = tuple(dict.fromkeys(hit for wording in idea.wordings for hit in self._wording_hits(wording)))
            known = self._hits[id(idea)] = (idea, found)  # the idea is kept so that its id stays its own
        return known[1]

    def is_new(self, hit: Hit) -> bool:
        """Whether the hit says something that the question's own text does not."""
        tokens = self.reading.tokens[hit.first : hit.last + 1]
        surface = squeeze(self.reading.source.text[tokens[0].start : tokens[-1].end])[0]
        if len(surface) > 1 and surface in self.asked.squeezed:
            return False
        said = (token for token in tokens if token.tag[0] not in "JE" and token.kind != "break")
        return any((NEGATION if token.kind == "negation" else token.key) not in self.asked.keys for token in said)

    def is_question(self, found: Found) -> bool:
        """Whether the window's last sentence asks rather than says."""
        last = self.reading.by_sentence[self.reading.sentence[found.last]][1]
        return self.reading.tokens[last].key == "?"

    def form(self, first: int, last: int) -> Form:
        """The weakest form among the sentences of ``first..last``."""
        forms = [self._form_of(number) for number in range(self.reading.sentence[first], self.reading.sentence[last] + 1)]
        return min(forms, key=_FORMS.index)

    def is_statement(self, first: int, last: int) -> bool:
        return self.form(first, last) == "statement"

    @cached_property
    def _downwards(self) -> bool:
        """Whether the answer is a list written downwards: a word or two a line, and little that ties them."""
        content, ratio = glue_ratio(self.reading.tokens)
        return content < NOTE_WORDS[0] * len(self.reading.by_sentence) and ratio < LIST_GLUE

    def _form_of(self, number: int) -> Form:
        known = self._forms.get(number)
        if known is None:
            bounds = self.reading.by_sentence
            at = bounds[number]
            inside = self.reading.tokens[at[0] : at[1] + 1]
            content, ratio = glue_ratio(inside)
            enough = LIST_GLUE if any(token.tag[0] in "JEVN" and len(token.tag) > 1 for token in inside) else LIST_GLUE_EN
            stopped = inside[-1].kind == "break" and inside[-1].key in ".!?;"
            commas = sum(token.key == "," for token in inside)
            listed = commas > 0
            chopped = commas >= 5 and content <= 2 * (commas + 1) and ratio < 2 * LIST_GLUE
            if self._downwards or chopped:
                known = "list"
            elif ratio >= enough or (stopped and ratio >= (LISTED_GLUE if listed else STOPPED_GLUE)):
                known = "statement"
            elif NOTE_WORDS[0] <= content <= NOTE_WORDS[1] and not listed:
                known = "note"
            elif content < NOTE_WORDS[0]:  # a word or two: judged with the lines around it
                wide = (bounds.get(number - 1, at)[0], bounds.get(number + 1, at)[1])
                known = "statement" if glue_ratio(self.reading.tokens[wide[0] : wide[1] + 1])[1] >= enough else "list"
            else:
                known = "list"
            self._forms[number] = known
        return known

    def _wording_hits(self, wording: Wording) -> list[Hit]:
        reading = self.reading
        found: list[Hit] = []
        places = [place for row in wording.rows for place in self._row_places(row, wording.strict)]
        places += self._squeezed_places(wording.squeezed, wording.strict) if wording.squeezed else []
        for first, last in dict.fromkeys(places):
            word = reading.source.text[reading.tokens[first].start : reading.tokens[last].end]
            if wording.negated:
                inside = any(first <= at <= last for at in reading.negations)
                if inside or reading.near_negation(first, last):
                    nearby = [at for at in reading.negations if first - 5 <= at <= last + 5 and reading.segment[at] in (reading.segment[first], reading.segment[last])]
                    found.append(Hit(min(first, *nearby), max(last, *nearby), False, word))
                else:
                    found.append(Hit(first, last, True, word, turned=True))
            else:
                found.append(Hit(first, last, self._is_denied(first, last, wording), word))
        if wording.rows == (_BARE_NEGATION,) and not wording.strict:
            for at in sorted(reading.conceded):
                found.append(Hit(at, at, True, reading.source.text[reading.tokens[at].start : reading.tokens[at].end], turned=True))
        for row in wording.opposite:
            for first, last in self._row_places(row):
                if not any(at in reading.denied for at in range(first, last + 1)):
                    word = reading.source.text[reading.tokens[first].start : reading.tokens[last].end]
                    found.append(Hit(first, last, True, word, turned=True))
        return found

    def _is_denied(self, first: int, last: int, wording: Wording) -> bool:
        reading = self.reading
        if wording.strict:
            if any(NEGATION in element for row in wording.rows for element in row):
                return False
            if any(first - 2 <= at < first and reading.tokens[at].tag[0] == "L" for at in reading.negations):
                return True
        return any(at in reading.denied for at in range(first, last + 1))

    def _places(self, element: Element) -> list[tuple[int, int]]:
        index = self.reading.index
        return sorted({place for key in element for place in index.get(key, ())})

    def _row_places(self, row: tuple[Element, ...], ordered: bool = False) -> list[tuple[int, int]]:
        """Where all elements of a wording stand together in one sentence, in their order or in any."""
        options = [self._places(element) for element in row]
        if not options or not all(options):
            return []
        if len(options) == 1:
            return options[0]
        if ordered:
            return self._ordered_places(options)
        rarest = min(range(len(options)), key=lambda i: len(options[i]))
        limit = 2 * len(row) + SLACK
        found = []
        for first, last in options[rarest][:400]:
            low, high = first, last
            for i, places in enumerate(options):
                if i == rarest:
                    continue
                nearest = min(places, key=lambda place: (_distance(place, low, high), place))
                low, high = min(low, nearest[0]), max(high, nearest[1])
                if high - low > limit:
                    break
            else:
                if self.reading.sentence[low] == self.reading.sentence[high]:
                    found.append((low, high))
        return found

    def _ordered_places(self, options: list[list[tuple[int, int]]]) -> list[tuple[int, int]]:
        found = []
        for first, last in options[0][:400]:
            high = last
            for places in options[1:]:
                following = next((place for place in places if place[0] > high), None)
                if following is None or following[0] - high > STRICT_GAP or self._broken(high, following[0]):
                    break
                high = following[1]
            else:
                if self.reading.sentence[first] == self.reading.sentence[high]:
                    found.append((first, high))
        return found

    def _broken(self, first: int, last: int) -> bool:
        return any(token.kind == "break" for token in self.reading.tokens[first:last])

    def is_denied_window(self, found: Found) -> bool:
        """Whether a negation that none of the found wordings contains stands in the window, or just behind it."""
        inside = {at for hit in found.hits if hit is not None for at in range(hit.first, hit.last + 1)}
        return any(
            found.first - 1 <= at <= (found.last + 3 if self.reading.tokens[at].tag[0] == "L" else found.last)
            and at not in inside
            and self.reading.segment[at] in (self.reading.segment[found.first], self.reading.segment[found.last])
            for at in self.reading.negations
        )

    def is_refuted(self, found: Found) -> bool:
        """Whether the sentence calls something a myth or a mistake that the wording itself does not."""
        inside = {at for hit in found.hits if hit is not None for at in range(hit.first, hit.last + 1)}
        places = (first for first, _ in self.reading.index.get("=refuted", ()))
        return any(at not in inside and self.reading.sentence[at] == self.reading.sentence[found.last] for at in places)

    def _squeezed_places(self, wanted: str, strict: bool) -> list[tuple[int, int]]:
        reading = self.reading
        text, places = reading.source.squeezed
        plain = reading.source.text
        found: list[tuple[int, int]] = []
        at = text.find(wanted)
        while at >= 0 and len(found) < 50:
            start, end = places[at], places[at + len(wanted) - 1] + 1
            before, after = plain[start - 1 : start], plain[end : end + 1]
            goes_on = strict and (plain[end : end + 4].lstrip(" )]}")[:1] in ("/", "^") or "," in plain[start:end])
            if not goes_on and _stands_alone(wanted, before, after, start in reading.word_starts):
                found.append((reading.at(start), reading.at(end - 1)))
            at = text.find(wanted, at + 1)
        return found


def _distance(place: tuple[int, int], low: int, high: int) -> int:
    return max(0, low - place[1], place[0] - high)


_HANGUL = re.compile("[가-힣]")


def _stands_alone(wanted: str, before: str, after: str, starts_word: bool) -> bool:
    """Whether a squeezed find is a word or formula of its own rather than a piece of a longer one."""
    first, last = wanted[0], wanted[-1]
    if _HANGUL.match(first):
        syllables = len(_HANGUL.findall(wanted))
        if before and _HANGUL.match(before) and syllables < 3 and not starts_word:
            return False
    elif first.isalnum() and ((before.isalnum() and not _HANGUL.match(before)) or before in ("^", "√")):
        return False
    return not (last.isalnum() and not _HANGUL.match(last) and after.isalnum() and not _HANGUL.match(after))


class Found(NamedTuple):
    """The best window of a cue: the hit of each idea (None where it is not there)."""

    cue: Cue
    hits: tuple[Hit | None, ...]
    first: int
    last: int

    @property
    def straight(self) -> int:
        return sum(hit is not None and not hit.contrary for hit in self.hits)

    @property
    def contrary(self) -> int:
        return sum(hit is not None and hit.contrary for hit in self.hits)

    @property
    def width(self) -> int:
        return self.last - self.first


def best_windows(matching: Matching, cue: Cue, *, one_segment: bool = False) -> list[Found]:
    """The fullest window of ``cue`` around each of its hits, fullest and then tightest first."""
    reading = matching.reading
    hits = [matching.hits(idea) for idea in cue.ideas]
    if cue.denies:
        hits = [tuple(hit._replace(contrary=hit.contrary and hit.turned) for hit in of_idea) for of_idea in hits]
    if sum(map(bool, hits)) < min(cue.half, cue.needed):
        return []
    scope = reading.segment if one_segment else reading.sentence
    grouped = [_by_scope(of_idea, scope) for of_idea in hits]
    anchors = sorted({hit for of_idea in hits for hit in of_idea})
    windows: dict[tuple[int, int], Found] = {}
    for anchor in anchors[:: 1 + len(anchors) // ANCHORS]:
        chosen: list[Hit | None] = []
        for of_idea in grouped:
            here = scope[anchor.first]
            near = of_idea.get(here, ()) if one_segment else (*of_idea.get(here, ()), *of_idea.get(here + 1, ()))
            near = tuple(hit for hit in near if abs(hit.first - anchor.first) <= REACH)
            chosen.append(min(near, key=lambda hit: _preference(hit, anchor)) if near else None)
        present = [hit for hit in chosen if hit is not None]
        if not present:
            continue
        first, last = min(hit.first for hit in present), max(hit.last for hit in present)
        if scope[last] - scope[first] > (0 if one_segment else 1):
            continue
        windows.setdefault((first, last), Found(cue, tuple(chosen), first, last))
    return sorted(windows.values(), key=lambda f: (-f.straight, -f.contrary, f.width, f.first))


def _by_scope(hits: Sequence[Hit], scope: Sequence[int]) -> dict[int, tuple[Hit, ...]]:
    """The hits of each sentence or segment, at most :data:`CROWD` of each (repeating a word adds nothing)."""
    groups: dict[int, list[Hit]] = {}
    for hit in hits:
        group = groups.setdefault(scope[hit.first], [])
        if len(group) < CROWD:
            group.append(hit)
    return {number: tuple(group) for number, group in groups.items()}


def _preference(hit: Hit, anchor: Hit) -> tuple[bool, int, Hit]:
    return hit.contrary, _distance((hit.first, hit.last), anchor.first, anchor.last), hit


def fullest(matching: Matching, cues: Sequence[Cue]) -> list[Found]:
    """The windows of all ``cues``, the best share of ideas first."""
    found = [window for cue in cues for window in best_windows(matching, cue)[:8]]
    return sorted(found, key=lambda f: (-(f.straight >= f.cue.needed), -f.straight / f.cue.needed, f.width, f.first))
