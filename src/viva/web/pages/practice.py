"""Welcome, the practice page, and the question itself: the way from opening the app to an answer."""

from __future__ import annotations

import json
import random
import uuid
from datetime import date
from typing import Annotated, Any, cast, get_args

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from viva.exchange.ink import Ink
from viva.grading import blank_grade
from viva.language import Language, Text, parse_language
from viva.store import Attempt, Learner, Session
from viva.store.records import Way
from viva.study.plan import plan_days
from viva.study.queue import MODES, build_queue
from viva.web import desk
from viva.web.render import language_of, page, state
from viva.web.state import AppState, now

router = APIRouter()
MAX_ANSWER_CHARACTERS = 200_000
SECONDS_PER_QUESTION = 150


@router.get("/")
def home(request: Request) -> Response:
    chosen = state(request).learner.settings().get("language")
    return RedirectResponse("/practice" if chosen else "/welcome", 303)


@router.get("/welcome")
def welcome(request: Request) -> HTMLResponse:
    return page(request, "welcome.html", today=date.today(), error=None)


@router.post("/welcome")
def choose(request: Request, language: Annotated[str, Form()], interview: Annotated[str, Form()] = "") -> Response:
    learner = state(request).learner
    learner.set_setting("language", parse_language(language))
    if interview.strip():
        try:
            day = desk.parse_interview(interview, date.today())
            if learner.settings().get("interview") != day.isoformat():
                learner.set_settings(desk.interview_values(day, date.today()), Text(ko="면접일 바꾸기", en="change of the interview date"))
        except desk.FormError as error:
            return page(request, "welcome.html", status=422, today=date.today(), error=error.text, language=parse_language(language))
    return RedirectResponse("/practice", 303)


@router.post("/language")
def switch_language(request: Request, language: Annotated[str, Form()], back: Annotated[str, Form()] = "/") -> Response:
    state(request).learner.set_setting("language", parse_language(language))
    return RedirectResponse(desk.own_path(back), 303)


@router.get("/practice")
def start_page(request: Request) -> HTMLResponse:
    viva = state(request)
    learner, moment = viva.learner, now()
    if "language" not in learner.settings():
        return RedirectResponse("/welcome", 303)  # type: ignore[return-value]
    cards = learner.cards()
    settings = desk.study_settings(learner)
    met = desk.new_today(learner, moment)
    today = build_queue("due", desk.queue_items(viva.bank), cards, moment, settings, new_today=met)
    new = sum(key not in cards for key in today)
    days = plan_days(desk.queue_items(viva.bank), cards, moment, settings, new_today=met)
    return page(
        request,
        "practice.html",
        tab="practice",
        queue=today,
        new=new,
        due=len(today) - new,
        minutes=max(1, round(len(today) * SECONDS_PER_QUESTION / 60)),
        seen=sum(question.key in cards for question in viva.bank),
        total=len(viva.bank),
        plan=days,
        days_left=settings.days_left(moment),
        interview=settings.interview,
        open_session=_open_session(learner),
        next_due=desk.next_due(cards, settings, moment),
        moment=moment,
        topics=viva.bank.topics,
        modes=MODES,
    )


@router.post("/practice/start")
def start(
    request: Request,
    mode: Annotated[str, Form()],
    topic: Annotated[str, Form()] = "",
    key: Annotated[str, Form()] = "",
    count: Annotated[str, Form()] = "10",
    minutes: Annotated[str, Form()] = "30",
    pack: Annotated[str, Form()] = "",
    extra: Annotated[str, Form()] = "0",
) -> Response:
    viva = state(request)
    try:
        questions = desk.parse_number(count, 1, 500, Text(ko="문제 수", en="Number of questions"))
        time_limit = desk.parse_number(minutes, 1, 600, Text(ko="시간(분)", en="Minutes"))
        more = desk.parse_number(extra, 0, 100, Text(ko="새 질문", en="New questions"))
    except desk.FormError as error:
        raise HTTPException(422, error.text.get(language_of(request))) from None
    learner, moment = viva.learner, now()
    if mode == "one":
        if key not in viva.bank:
            raise HTTPException(404, desk.no_question(language_of(request), key))
        keys = [key]
    elif mode == "topic" and topic not in viva.bank.by_topic:
        raise HTTPException(422, Text(ko="연습할 주제를 골라 주세요.", en="Choose a topic to practise.").get(language_of(request)))
    elif mode in MODES:
        keys = build_queue(
            mode, [item for item in desk.queue_items(viva.bank) if not pack or item.key.startswith(f"{pack}.")], learner.cards(), moment,
            desk.study_settings(learner, extra_new=more),
            new_today=desk.new_today(learner, moment), seed=random.SystemRandom().randrange(2**31),
            topic=topic or None, limit=questions if mode == "exam" else None, weak=desk.weak_points(learner) if mode == "weak" else {},
        )  # fmt: skip
    else:
        raise HTTPException(422, Text(ko=f"'{mode}'라는 연습 방법은 없습니다.", en=f"There is no way of practising called '{mode}'.").get(language_of(request)))
    if not keys:
        return RedirectResponse("/practice?empty=1", 303)
    limit = time_limit * 60 if mode == "exam" else None
    session = learner.start_session(mode, keys, params={"topic": topic} if topic else {}, time_limit_seconds=limit)
    return RedirectResponse(f"/practice/{session.id}/1", 303)


@router.get("/practice/{session_id}")
def resume(request: Request, session_id: str) -> Response:
    """The answer that still waits for its rating, or the first question without an answer, or the session's end."""
    learner = state(request).learner
    session = _session(request, session_id)
    waiting = desk.unrated(session, learner) if session.mode != "exam" else None
    if waiting is not None:
        return RedirectResponse(f"/attempts/{waiting.id}", 303)
    place = desk.first_open(session, learner)
    return RedirectResponse(f"/practice/{session.id}/{place}" if place else f"/practice/{session.id}/end", 303)


@router.get("/practice/{session_id}/end")
def end(request: Request, session_id: str) -> HTMLResponse:
    viva = state(request)
    learner = viva.learner
    session = _session(request, session_id)
    given = desk.attempts_in(session, learner)
    rows = [_result(viva, learner, place, key, given.get(key)) for place, key in enumerate(session.questions, 1)]
    if session.finished_at is None and (session.mode == "exam" or all(row["attempt"] for row in rows)):
        learner.finish_session(session.id)
    answered = [row for row in rows if row["attempt"]]
    scores = [row["grade"].score for row in answered if row["grade"] and (row["attempt"].way == "text" or row["grade"].grader == "learner")]
    return page(
        request, "end.html", tab="practice", session=session, rows=rows, answered=len(answered),
        score=sum(scores) / len(scores) if scores else None, seconds=sum(row["attempt"].seconds or 0 for row in answered),
        unrated=[row for row in answered if not row["rated"]], open_place=next((row["place"] for row in rows if not row["attempt"]), None),
    )  # fmt: skip


@router.get("/practice/{session_id}/{place}")
def ask(request: Request, session_id: str, place: int) -> Response:
    viva = state(request)
    learner, moment = viva.learner, now()
    session = _session(request, session_id)
    if not 1 <= place <= len(session.questions):
        return RedirectResponse(f"/practice/{session.id}/end", 303)
    key = session.questions[place - 1]
    question = viva.bank.get(key)
    if question is None:
        return page(request, "gone.html", status=410, tab="practice", key=key, onward=f"/practice/{session.id}/{place + 1}")
    left = desk.seconds_left(session, moment)
    if left is not None and left <= 0:
        return RedirectResponse(f"/practice/{session.id}/end", 303)
    language = language_of(request)
    viva.prepare(key, language)
    answers = learner.my_answers(key)
    return page(
        request, "ask.html", tab="practice", session=session, place=place, total=len(session.questions), question=question,
        topic=viva.bank.topic(question.topic), days_left=desk.days_left(learner, moment), seconds_left=left,
        attempt_id=str(uuid.uuid4()), draft=learner.draft(key, language), prepared=bool(answers),
        answered=desk.attempts_in(session, learner).get(key),
    )  # fmt: skip


@router.post("/practice/{session_id}/{place}")
def answer(
    request: Request,
    session_id: str,
    place: int,
    attempt: Annotated[str, Form(max_length=64)],
    text: Annotated[str, Form()] = "",
    way: Annotated[str, Form()] = "text",
    ink: Annotated[str, Form()] = "",
    seconds: Annotated[float, Form(ge=0, le=864_000)] = 0,
) -> Response:
    """The form's own way to hand in an answer; with scripts the page uses ``POST /api/attempts`` instead."""
    session = _session(request, session_id)
    if not 1 <= place <= len(session.questions):
        raise HTTPException(404, Text(ko="이 연습에는 그 순서의 질문이 없습니다.", en="This session has no question at that place.").get(language_of(request)))
    strokes = json.loads(ink) if ink else None
    save_answer(request, attempt, session.questions[place - 1], way, text, strokes, seconds, session)
    if session.mode == "exam":
        return RedirectResponse(f"/practice/{session.id}/{place + 1}", 303)
    return RedirectResponse(f"/attempts/{attempt}", 303)


def save_answer(
    request: Request, attempt: str, key: str, way: str, text: str, ink: Any, seconds: float, session: Session | None, language: Language | None = None
) -> str:
    """Grades an answer and stores it; handing in the same attempt twice stores it once. Returns the attempt's id.

    Raises:
        HTTPException: 404 no such question; 413 too long; 422 bad strokes or an unknown way of answering.
    """
    viva = state(request)
    language = language or language_of(request)
    if key not in viva.bank:
        raise HTTPException(404, desk.no_question(language, key))
    if way not in get_args(Way):
        raise HTTPException(422, f"way: '{way}' is not one of text, ink, spoken")
    if len(text) > MAX_ANSWER_CHARACTERS:
        raise HTTPException(413, Text(ko=f"답이 {len(text):,}자입니다. {MAX_ANSWER_CHARACTERS:,}자까지 쓸 수 있습니다.", en=f"The answer has {len(text):,} characters; up to {MAX_ANSWER_CHARACTERS:,} are kept.").get(language))
    try:
        uuid.UUID(attempt)
        strokes = Ink.model_validate(ink).model_dump(mode="json") if ink else None
    except (ValidationError, ValueError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise HTTPException(422, first) from None
    learner = viva.learner
    learner.add_attempt(
        id=attempt, question=key, language=language, way=cast(Way, way), text=text, ink=strokes, seconds=seconds,
        session=session.id if session else None,
        grade=viva.grade(key, text, language) if way == "text" else blank_grade(viva.bank[key]),
    )  # fmt: skip
    if learner.draft(key, language) is not None:
        learner.delete_draft(key, language)
    return attempt


def _session(request: Request, session_id: str) -> Session:
    session = state(request).learner.session(session_id)
    if session is None:
        raise HTTPException(404, Text(ko="그런 연습이 없습니다. 연습 화면에서 새로 시작해 주세요.", en="There is no such session. Start a new one from the practice page.").get(language_of(request)))
    return session


def _open_session(learner: Learner) -> dict[str, Any] | None:
    for session in learner.sessions(limit=5, unfinished=True):
        if session.mode != "one":
            left = desk.seconds_left(session, now())
            place = desk.first_open(session, learner)
            if (place or (session.mode != "exam" and desk.unrated(session, learner))) and (left is None or left > 0):
                return {"id": session.id, "place": place or len(session.questions), "total": len(session.questions), "mode": session.mode}
    return None


def _result(viva: AppState, learner: Learner, place: int, key: str, attempt: Attempt | None) -> dict[str, Any]:
    return {
        "place": place,
        "key": key,
        "question": viva.bank.get(key),
        "attempt": attempt,
        "grade": attempt.grade if attempt else None,
        "rated": desk.rating_of(learner, attempt.id) if attempt else None,
    }
