"""What the cues say of an answer: the marks that can be read off its words, before they are weighed with what is alike.

For each point the cues of the session's language are looked for, then those of the other. See the README in this folder for a
worked example.
"""

from __future__ import annotations

from dataclasses import dataclass

from viva.bank import Question
from viva.bank.schema import Misconception, Point
from viva.grading.binding import crossed, is_everyday, is_true_anyway, misstated, swaps, truths
from viva.grading.clauses import Reading
from viva.grading.cues import Cue, compile_cues, question_words
from viva.grading.directions import is_reversed
from viva.grading.formulas import misstated_formula
from viva.grading.marks import MisconceptionMark, PointMark, Status
from viva.grading.matcher import Found, Hit, Matching, best_windows, fullest
from viva.grading.quotes import span_of
from viva.language import Language, Text

_LISTED = Text(ko="낱말은 있지만 문장으로 말하지 않았어요.", en="The words are there, but nothing is said with them.")
_TERSE = Text(ko="메모처럼 낱말만 적혀 있어요. 문장으로 말해 보세요.", en="Noted down rather than said; say it as a sentence.")


@dataclass(frozen=True)
class ByCues:
    """What the cues find: a mark for each point, and the misconceptions that are stated."""

    points: tuple[PointMark, ...]
    misconceptions: tuple[MisconceptionMark, ...]


def mark_by_cues(question: Question, reading: Reading, answer: str, language: Language, order: tuple[Language, ...]) -> ByCues:
    """The marks that the cues in the languages of ``order`` give ``answer``, read as ``reading``; reasons are in ``language``."""
    matching = Matching(reading, question_words(question, order))
    windows = {point.id: fullest(matching, compile_cues(point.cues, order)) for point in question.points}
    made = {point.id: _made(matching, question, point, windows[point.id]) for point in question.points}
    points = tuple(_mark(matching, question, point, order, windows[point.id], made, answer, language) for point in question.points)
    wrong = (_misconception(matching, entry, order, answer) for entry in question.misconceptions)
    return ByCues(points, tuple(mark for mark in wrong if mark is not None))


def _made(matching: Matching, question: Question, point: Point, windows: list[Found]) -> Found | None:
    """The best place where the point is stated, of its own subject."""
    for found in windows:
        enough = found.straight >= found.cue.needed or _all_but_weak(matching, question, found)
        if enough and _earns(matching, found) and matching.is_statement(found.first, found.last) and not crossed(matching, question, point, found):
            return found
    return None


def _all_but_weak(matching: Matching, question: Question, found: Found) -> bool:
    """Whether only an everyday word of a cue of three or more ideas is left unsaid, and all of it in one sentence."""
    if len(found.cue.ideas) < 3 or found.cue.phrase or found.straight < found.cue.needed - 1 or found.contrary:
        return False
    if matching.reading.sentence[found.first] != matching.reading.sentence[found.last]:
        return False
    missing = next(idea for idea, hit in zip(found.cue.ideas, found.hits, strict=True) if hit is None)
    said = sum(hit is not None and not is_everyday(idea) for idea, hit in zip(found.cue.ideas, found.hits, strict=True))
    return is_everyday(missing) and said >= 2 and missing is not found.cue.ideas[-1]


def _mark(
    matching: Matching, question: Question, point: Point, order: tuple[Language, ...], windows: list[Found],
    all_made: dict[str, Found | None], answer: str, language: Language,
) -> PointMark:
    cues = compile_cues(point.cues, order)
    full = [f for f in windows if f.straight >= f.cue.needed and _earns(matching, f)]
    made = all_made[point.id]
    said = _opposite(matching, point, order)
    if said is not None and (made is None or _same_place(made, said)):
        return _quoted(matching.reading, point.id, "backwards", said, answer, language)
    if made is not None and (slip := _formula(matching, question, point, windows)) is not None:
        return _quoted(matching.reading, point.id, "backwards", slip, answer, language)
    if made is not None and is_reversed(matching, question, point, made):
        return _quoted(matching.reading, point.id, "backwards", made, answer, language)
    if made is not None:
        return _quoted(matching.reading, point.id, "made", made, answer, language)
    turned = next((f for f in windows if _turned_round(matching, f) and not crossed(matching, question, point, f)), None)
    turned = turned or _formula(matching, question, point, windows) or _accused(matching, question, point, cues, all_made)
    if turned is not None:
        return _quoted(matching.reading, point.id, "backwards", turned, answer, language)
    note = next((f for f in full if matching.form(f.first, f.last) == "note" and not crossed(matching, question, point, f)), None)
    half = (f for f in windows if _is_half(matching, f) and matching.is_statement(f.first, f.last) and not crossed(matching, question, point, f))
    partly = note or next(half, None)
    if partly is not None:
        return _quoted(matching.reading, point.id, "partly", partly, answer, language)
    return PointMark(point.id, "missed", why=_LISTED.get(language) if full else "")


def _formula(matching: Matching, question: Question, point: Point, windows: list[Found]) -> Found | None:
    """The point's formula with a wrong sign, where the model answer has no such formula."""
    place = misstated_formula(matching.reading, point)
    if place is None or not windows or any(misstated_formula(truth.reading, point) is not None for truth in truths(question, matching.korean)):
        return None
    tokens = matching.reading.tokens
    word = matching.reading.source.text[tokens[place[0]].start : tokens[place[1]].end]
    return Found(windows[0].cue, (Hit(*place, True, word, turned=True),), *place)


def _accused(
    matching: Matching, question: Question, point: Point, cues: tuple[Cue, ...], made: dict[str, Found | None]
) -> Found | None:
    """Where the point's predicate is said of the other subject, or with another number.

    What earns another point in the same place is no mistake, and neither is what the model answer says too.
    """
    others = [found for key, found in made.items() if found is not None and key != point.id]
    for kind, find in (("swap", swaps), ("number", misstated)):
        for cue in cues:
            for found in find(matching, question, point, cue):
                key = next(hit for hit in reversed(found.hits) if hit is not None)
                if (
                    _earns(matching, found)
                    and matching.is_statement(found.first, found.last)
                    and not matching.is_question(found)
                    and not matching.is_denied_window(found)
                    and not matching.is_refuted(found)
                    and not any(hit is not None and hit.first <= key.last and key.first <= hit.last for other in others for hit in other.hits)
                    and not is_true_anyway(question, matching.korean, point, cue, kind)
                ):
                    return found
    return None


def _earns(matching: Matching, found: Found) -> bool:
    """Whether more is said than the question's own words again."""
    return any(matching.is_new(hit) for hit in found.hits if hit is not None and not hit.contrary)


def _is_half(matching: Matching, found: Found) -> bool:
    """Whether half of the ideas stand there; a 0, 1 or 2 is in too many sentences to count for one."""
    telling = sum(hit is not None and not hit.contrary and hit.word.strip() not in ("0", "1", "2") for hit in found.hits)
    return found.straight >= found.cue.half and telling >= 2 and _earns(matching, found)


def _opposite(matching: Matching, point: Point, order: tuple[Language, ...]) -> Found | None:
    """The tightest place where one of the point's ``opposite`` cues is said."""
    cues = compile_cues(point.opposite, order, strict=True)
    found = [window for cue in cues for window in best_windows(matching, cue, one_segment=True) if _says_wrong(matching, window)]
    return min(found, key=lambda f: (f.width, f.first), default=None)


def _turned_round(matching: Matching, found: Found) -> bool:
    """Whether all ideas of the cue stand in one segment, but some of them denied or in the other direction."""
    segments = matching.reading.segment
    straight = [hit for hit in found.hits if hit is not None and not hit.contrary]
    contrary = [hit for hit in found.hits if hit is not None and hit.contrary]
    return (
        len(found.cue.ideas) >= (3 if any(hit.turned for hit in contrary) else 2)
        and bool(contrary)
        and not any(hit.first <= other.last and other.first <= hit.last for hit in contrary for other in straight)
        and found.straight >= found.contrary
        and found.straight + found.contrary >= found.cue.needed
        and segments[found.first] == segments[found.last]
        and _earns(matching, found)
        and matching.is_statement(found.first, found.last)
    )


def _says_wrong(matching: Matching, window: Found) -> bool:
    """Whether all of a wrong statement stands there, undenied, and nobody calls it a misunderstanding."""
    return (
        window.straight >= window.cue.needed
        and _earns(matching, window)
        and not matching.is_question(window)
        and matching.is_statement(window.first, window.last)
        and not matching.is_denied_window(window)
        and not matching.is_refuted(window)
    )


def _same_place(made: Found, against: Found) -> bool:
    """Whether the point is made only where it is said backwards, and no more tightly."""
    overlap = made.first <= against.last and against.first <= made.last
    return overlap and against.width <= made.width


def _misconception(matching: Matching, entry: Misconception, order: tuple[Language, ...], answer: str) -> MisconceptionMark | None:
    for cue in compile_cues(entry.cues, order, strict=True):
        for window in best_windows(matching, cue, one_segment=True):
            if _says_wrong(matching, window):
                start, end = span_of(matching.reading, window.first, window.last, answer)
                return MisconceptionMark(entry.id, answer[start:end], start, end)
    return None


def _quoted(reading: Reading, point: str, status: Status, found: Found, answer: str, language: Language) -> PointMark:
    start, end = span_of(reading, found.first, found.last, answer)
    return PointMark(point, status, answer[start:end], start, end, _why(reading, status, found, language))


def _why(reading: Reading, status: Status, found: Found, language: Language) -> str:
    said = ", ".join(dict.fromkeys(f"‘{hit.word.strip()}’" for hit in found.hits if hit is not None and not (status == "partly" and hit.contrary)))
    open_ideas = [idea.text for idea, hit in zip(found.cue.ideas, found.hits, strict=False) if hit is None or hit.contrary]
    missing = ", ".join(f"‘{text}’" for text in dict.fromkeys(open_ideas))
    if status == "backwards":
        text = Text(ko=f"{said}: 방향이 거꾸로예요.", en=f"{said}: the other way round.")
    elif status == "partly" and not missing:
        text = Text(ko=f"찾은 말: {said}. {_TERSE.ko}", en=f"Found {said}. {_TERSE.en}")
    elif status == "partly":
        text = Text(ko=f"찾은 말: {said}. 아직 없는 말: {missing}.", en=f"Found {said}; not yet {missing}.")
    else:
        text = Text(ko=f"찾은 말: {said}.", en=f"Found {said}.")
    why = text.get(language)
    if reading.source.truncated:
        why += Text(ko=" 답의 앞 20,000자만 읽었어요.", en=" Only the first 20,000 characters were read.").get(language)
    return why
