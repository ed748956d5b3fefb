"""The learner's own mark for a point: the words of the answer that it stands on, and taking it back.

A browser counts text in UTF-16 units, Python in characters: "😀" is two of the one and one of the other.
"""

from __future__ import annotations

from dataclasses import replace

from viva.bank import Question
from viva.grading import Grade, PointMark, Status, regrade
from viva.grading.grade import LEARNER, likeliest
from viva.grading.scorer import conclude
from viva.language import Text
from viva.store import Attempt
from viva.store.examples import LONGEST

UNUSABLE = {
    "outside": Text(ko="고른 말을 이 답에서 찾지 못했습니다. 내 답 안에서 다시 골라 주세요.", en="The words you selected are not in this answer; select some within it."),
    "long": Text(ko=f"고른 말이 {LONGEST}자를 넘습니다. 그 요점을 말한 부분만 골라 주세요.", en=f"You selected more than {LONGEST} characters; select only what speaks of the point."),
}
"""Why a selection was passed over, and what to do."""


CLOSEST = Text(
    ko="요점에 가장 가까운 말을 골랐어요. 이 말이 아니면 답에서 고른 뒤 다시 눌러 주세요.",
    en="The words closest to the point; if it was others, select them in your answer and press again.",
)


class UnusableSelection(ValueError):
    """A selection that cannot be the words of a mark; ``reason`` is a key of :data:`UNUSABLE`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(UNUSABLE[reason].en)


def units(text: str) -> int:
    """The length of ``text`` as a browser counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def selected(text: str, start: str, end: str) -> tuple[int, int] | None:
    """The characters of ``text`` between two places that a browser sent, without spaces around them; None where it sent none.

    Raises:
        UnusableSelection: they are no places within ``text``, hold no words, or hold more than :data:`LONGEST` characters.
    """
    if not start and not end:
        return None
    whole = text.encode("utf-16-le", "surrogatepass")
    if not all(place.isascii() and place.isdecimal() and len(place) < 10 for place in (start, end)):
        raise UnusableSelection("outside")
    low, high = 2 * int(start), 2 * int(end)
    if not low < high <= len(whole):
        raise UnusableSelection("outside")
    # A place in the middle of a pair of surrogates is the place before it.
    first, last = (len(whole[:place].decode("utf-16-le", "ignore")) for place in (low, high))
    words = text[first:last]
    if not words.strip():
        raise UnusableSelection("outside")
    first, last = first + len(words) - len(words.lstrip()), last - len(words) + len(words.rstrip())
    if last - first > LONGEST:
        raise UnusableSelection("long")
    return first, last


def overruled(
    question: Question, attempt: Attempt, grade: Grade, first: Grade, point: str, status: Status, chosen: tuple[int, int] | None
) -> Grade:
    """``grade`` with the learner's mark for ``point``, which stands on ``attempt.text[chosen[0]:chosen[1]]``; where nothing was
    chosen on the words of the mark before, of the grader's ``first`` one, or on the clause that comes closest to the point.

    Raises:
        ValueError: the question has no such point, or there is no such mark.
    """
    known = {mark.id for mark in grade.points}
    # A point that was added to an imported question after the answer was graded.
    added = tuple(PointMark(entry.id, "missed") for entry in question.points if entry.id not in known)
    marked = regrade(question, replace(grade, points=(*grade.points, *added)), {point: status})
    if status == "missed" or attempt.way != "text":
        return marked
    mark, now, before = (mark_of(given, point) for given in (marked, grade, first))
    start, end, why = now.start, now.end, now.why if now.by == "learner" or now.status == status else ""
    if chosen is not None:
        start, end, why = *chosen, ""
    elif not now.quote and before.quote:
        start, end, why = before.start, before.end, ""
    elif not now.quote:
        start, end = likeliest(question, attempt.text, attempt.language, point)
        why = CLOSEST.get(attempt.language) if end > start else ""
    if (status, start, end) == (before.status, before.start, before.end):
        why = before.why
    return _with(marked, replace(mark, quote=attempt.text[start:end], start=start, end=end, why=why))


def taken_back(question: Question, grade: Grade, first: Grade, point: str) -> Grade:
    """``grade`` with the grader's ``first`` mark for ``point`` in the place of the learner's; score and rating follow."""
    back = _with(grade, mark_of(first, point))
    return conclude(question, back.points, back.misconceptions, back.copied, LEARNER)


def mark_of(grade: Grade, point: str) -> PointMark:
    return next((mark for mark in grade.points if mark.id == point), PointMark(point, "missed"))


def _with(grade: Grade, mark: PointMark) -> Grade:
    return replace(grade, points=tuple(mark if old.id == mark.id else old for old in grade.points))
