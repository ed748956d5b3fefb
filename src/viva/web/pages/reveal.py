"""The reveal: the learner's answer beside the model answer, point by point, and the rating that schedules the next time."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup, escape

from viva.bank import Question
from viva.grading import Grade, regrade
from viva.language import Text
from viva.store import Attempt
from viva.study.cards import Rating
from viva.study.compare import word_diff
from viva.study.schedule import intervals
from viva.web import desk
from viva.web.render import language_of, page, state
from viva.web.state import now

router = APIRouter()
STATUSES = ("made", "partly", "missed", "backwards")
UNDERLINED = ("backwards", "made", "partly")
EARLIER_SHOWN = 10


@router.get("/attempts/{attempt_id}")
def show(request: Request, attempt_id: str) -> Response:
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
        labs={claim.id: claim for claim in question.claims},
    )


@router.post("/attempts/{attempt_id}/marks")
def overrule(
    request: Request, attempt_id: str, point: Annotated[str, Form()], status: Annotated[str, Form()]
) -> Response:
    """The learner's own mark for one point; score and suggested rating follow."""
    learner = state(request).learner
    attempt, question = _attempt(request, attempt_id)
    if question is None or status not in STATUSES or point not in {p.id for p in question.points}:
        raise HTTPException(422, Text(ko="그런 요점이나 표시는 없습니다.", en="There is no such point or mark.").get(language_of(request)))
    grade = desk.grade_of(attempt, question)
    learner.add_grade(attempt.id, regrade(question, grade, {point: status}), grader="learner")  # type: ignore[dict-item]
    return RedirectResponse(f"/attempts/{attempt.id}?done=mark#points", 303)


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
    """The answer as HTML, with the words behind each mark underlined: made, partly, backwards or a misconception."""
    spans = [(mark.start, mark.end, mark.status, mark.id) for mark in grade.points if mark.end > mark.start and mark.status != "missed"]
    spans += [(mark.start, mark.end, "backwards", mark.id) for mark in grade.misconceptions]
    text, at, parts = attempt.text or "", 0, []
    shown: list[tuple[int, int, str, str]] = []
    # Where marks share words, what was turned round is the most useful thing to see, then what was made.
    for span in sorted(spans, key=lambda span: (UNDERLINED.index(span[2]), span[0])):
        if span[1] <= len(text) and all(span[1] <= other[0] or span[0] >= other[1] for other in shown):
            shown.append(span)
    for start, end, status, name in sorted(shown):
        parts += [escape(text[at:start]), Markup('<mark class="{}" data-mark="{}">{}</mark>').format(status, name, text[start:end])]
        at = end
    parts.append(escape(text[at:]))
    paragraphs = Markup("").join(parts).split("\n\n")
    return Markup("").join(Markup("<p>{}</p>").format(Markup(p.replace("\n", "<br>"))) for p in paragraphs if p.strip())


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
