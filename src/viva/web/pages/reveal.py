"""The reveal: the learner's answer beside the model answer, point by point, and the rating that schedules the next time."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, cast

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup, escape

from viva.bank import Question
from viva.grading import STATUSES, Grade, Status, blank_grade
from viva.language import Text
from viva.store import Attempt
from viva.study.cards import Rating
from viva.study.compare import word_diff
from viva.study.schedule import intervals
from viva.web import desk, judging
from viva.web.marking import UNUSABLE, UnusableSelection, overruled, selected, units
from viva.web.render import language_of, page, state
from viva.web.state import now

router = APIRouter()
UNDERLINED = ("backwards", "made", "partly")
EARLIER_SHOWN = 10


@router.get("/attempts/{attempt_id}")
def show(request: Request, attempt_id: str, done: str = "", words: str = "", opinion: str = "") -> Response:
    viva = state(request)
    learner, moment = viva.learner, now()
    attempt, question = _attempt(request, attempt_id)
    if question is None:
        return page(request, "gone.html", status=410, tab="practice", key=attempt.question, onward="/practice")
    grade = desk.grade_of(attempt, question)
    session = learner.session(attempt.session) if attempt.session else None
    if session is not None and desk.exam_goes_on(session, learner, moment):
        return RedirectResponse(f"/practice/{session.id}", 303)
    settings = desk.study_settings(learner)
    card = learner.card(question.key)
    rated = desk.rating_of(learner, attempt.id)
    place = session.questions.index(question.key) + 1 if session and question.key in session.questions else None
    earlier = [other for other in learner.attempts_of(question.key, limit=EARLIER_SHOWN + 5) if other.id != attempt.id and other.created_at <= attempt.created_at]
    prepared = [mine for mine in learner.my_answers(question.key) if mine.text.strip()]
    return page(
        request,
        "reveal.html",
        tab="practice",
        attempt=attempt,
        question=question,
        topic=viva.bank.topic(question.topic),
        session=session,
        place=place,
        grade=grade,
        marks={mark.id: mark for mark in grade.points},
        found={mark.id: mark for mark in grade.misconceptions},
        own=marked_answer(attempt, grade),
        prepared=prepared[0] if prepared else None,
        earlier=[_earlier(question, other, attempt) for other in earlier[:EARLIER_SHOWN]],
        earlier_count=f"{EARLIER_SHOWN}+" if len(earlier) > EARLIER_SHOWN else len(earlier),
        rated=rated,
        suggested=_suggested(attempt, grade),
        intervals=_spans(intervals(card, question.key, moment, settings)) if rated is None else {},
        onward=f"/practice/{session.id}" if session and session.mode != "one" else "/practice",
        passed_over=UNUSABLE.get(words) if done == "mark" else None,
        own_examples=len(learner.own_examples(question.key)),
        opinion=judging.on_answer(learner, viva.errands, attempt, question, grade, failed=opinion == "failed"),
        labs={claim.id: claim for claim in question.claims},
    )


@router.post("/attempts/{attempt_id}/marks")
def overrule(
    request: Request,
    attempt_id: str,
    point: Annotated[str, Form()],
    status: Annotated[str, Form()],
    start: Annotated[str, Form()] = "",
    end: Annotated[str, Form()] = "",
) -> Response:
    """The learner's own mark for one point; score and suggested rating follow.

    ``start`` and ``end`` are where the words that were selected for it stand in the answer, in UTF-16 units.
    """
    learner = state(request).learner
    attempt, question = _attempt(request, attempt_id)
    if question is None or status not in STATUSES or point not in {p.id for p in question.points}:
        raise HTTPException(422, Text(ko="그런 요점이나 표시는 없습니다.", en="There is no such point or mark.").get(language_of(request)))
    chosen, passed_over = None, ""
    try:
        chosen = selected(attempt.text, start, end) if attempt.way == "text" else None
    except UnusableSelection as error:
        passed_over = f"&words={error.reason}"
    first = learner.first_grades([attempt.id]).get(attempt.id) or blank_grade(question)
    grade = overruled(question, attempt, desk.grade_of(attempt, question), first, point, cast(Status, status), chosen)
    learner.add_grade(attempt.id, grade, grader="learner")
    return RedirectResponse(f"/attempts/{attempt.id}?done=mark{passed_over}#points", 303)


@router.post("/attempts/{attempt_id}/rate")
def rate(request: Request, attempt_id: str, rating: Annotated[int, Form(ge=1, le=4)]) -> Response:
    learner = state(request).learner
    attempt, _ = _attempt(request, attempt_id)
    learner.add_review(attempt.question, Rating(rating), attempt.id)
    session = learner.session(attempt.session) if attempt.session else None
    if session is None or session.mode == "one":
        return RedirectResponse(f"/attempts/{attempt.id}?done=rate" if session else "/practice?done=rate", 303)
    place = desk.first_open(session, learner)
    if session.mode == "exam" or place is None:
        return RedirectResponse(f"/practice/{session.id}/end?done=rate", 303)
    return RedirectResponse(f"/practice/{session.id}/{place}?done=rate", 303)


def marked_answer(attempt: Attempt, grade: Grade) -> Markup:
    """The answer as HTML, with the words behind each mark underlined: made, partly, backwards or a misconception.

    Each paragraph says in ``data-at`` where it begins, in UTF-16 units, so that a selection can be found in the answer again.
    """
    spans = [(mark.by != "learner", mark.status, mark.start, mark.end, mark.id) for mark in grade.points if mark.end > mark.start and mark.status != "missed"]
    spans += [(True, "backwards", mark.start, mark.end, mark.id) for mark in grade.misconceptions]
    text = attempt.text or ""
    shown: list[tuple[int, int, str, str]] = []
    # Where marks share words, the learner's own come first, then what was turned round as the most useful thing to see.
    for _, status, start, end, name in sorted(spans, key=lambda span: (span[0], UNDERLINED.index(span[1]), span[2])):
        if end <= len(text) and all(end <= other[0] or start >= other[1] for other in shown):
            shown.append((start, end, status, name))
    html, at, begun = [], 0, 0
    for paragraph in text.split("\n\n"):
        if paragraph.strip():
            html.append(Markup('<p data-at="{}">{}</p>').format(begun, _paragraph(text, at, at + len(paragraph), sorted(shown))))
        at, begun = at + len(paragraph) + 2, begun + units(paragraph) + 2
    return Markup("").join(html)


def _paragraph(text: str, start: int, end: int, shown: list[tuple[int, int, str, str]]) -> Markup:
    """``text[start:end]`` with the parts of ``shown`` that lie in it."""
    at, parts = start, []
    for first, last, status, name in shown:
        first, last = max(first, start), min(last, end)
        if first < last:
            parts += [escape(text[at:first]), Markup('<mark class="{}" data-mark="{}">{}</mark>').format(status, name, text[first:last])]
            at = last
    parts.append(escape(text[at:end]))
    return Markup("").join(parts).replace("\n", Markup("<br>"))


def _attempt(request: Request, attempt_id: str) -> tuple[Attempt, Question | None]:
    viva = state(request)
    attempt = viva.learner.attempt(attempt_id)
    if attempt is None:
        raise HTTPException(404, Text(ko="그런 답이 없습니다.", en="There is no such answer.").get(language_of(request)))
    return attempt, viva.bank.get(attempt.question)


def _suggested(attempt: Attempt, grade: Grade) -> int | None:
    """A handwritten or spoken answer suggests nothing until the learner has marked it."""
    if attempt.way != "text" and grade.grader != "learner":
        return None
    return grade.rating


def _spans(times: dict[Rating, timedelta]) -> dict[int, timedelta]:
    return {int(rating): delta for rating, delta in times.items()}


def _earlier(question: Question, other: Attempt, current: Attempt) -> dict[str, Any]:
    same_way = other.way == current.way == "text"
    return {
        "attempt": other,
        "grade": desk.grade_of(other, question),
        "difference": word_diff(other.text or "", current.text or "") if same_way and other.text and current.text else None,
    }
