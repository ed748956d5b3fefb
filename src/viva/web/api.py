"""The same data as JSON, under ``/api``; described at ``/api/openapi.json``.

Reading needs nothing. Writing needs the token of ``GET /api/token`` in the header ``X-CSRF-Token`` (with the cookie it came with).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, HTTPException, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, ValidationError

from viva.exchange.ink import Ink, to_inkml, to_svg
from viva.language import Language
from viva.study.cards import Rating
from viva.web import desk, present, stats, transfer
from viva.web.guard import csrf_token
from viva.web.pages.practice import MAX_ANSWER_CHARACTERS, save_answer
from viva.web.render import language_of, state
from viva.web.state import now

DESCRIPTION = "Questions, grading and a learner's answers, on this machine. Everything here is also a page or a command."
router = APIRouter(prefix="/api", tags=["viva"])


class AnswerIn(BaseModel):
    """An answer to hand in; ``attempt`` is a UUID of the caller's, so that sending it twice stores it once."""

    attempt: str = Field(max_length=64)
    question: str = Field(max_length=200)
    way: Literal["text", "ink", "spoken"] = "text"
    text: str = Field(default="", max_length=MAX_ANSWER_CHARACTERS)
    ink: dict[str, Any] | None = None
    seconds: float = Field(default=0, ge=0, le=864_000)
    session: str | None = Field(default=None, max_length=64)
    language: Language | None = Field(default=None, description="what the answer is graded in; the learner's language where it is left out")


class GradeIn(BaseModel):
    """An answer to grade without keeping it."""

    question: str = Field(max_length=200)
    answer: str = Field(max_length=MAX_ANSWER_CHARACTERS)
    language: Language = "ko"


class DraftIn(BaseModel):
    """What has been written so far."""

    text: str = Field(default="", max_length=MAX_ANSWER_CHARACTERS)
    ink: dict[str, Any] | None = None


@router.get("/token")
def token(request: Request) -> dict[str, str]:
    """The token for writing requests of this browser or client."""
    return {"csrf": csrf_token(request)}


@router.get("/questions")
def questions(request: Request, topic: str | None = None) -> list[dict[str, Any]]:
    """All questions, or those of one topic: as ``viva questions --json``."""
    return [present.question(question) for question in state(request).bank if topic in (None, question.topic)]


@router.get("/questions/{key}")
def question(request: Request, key: str) -> dict[str, Any]:
    """One question with its model answer and misconceptions: as ``viva show ID --json``."""
    found = state(request).bank.get(key)
    if found is None:
        raise HTTPException(404, desk.no_question(language_of(request), key))
    return present.question(found, whole=True)


@router.post("/grade")
def grade(request: Request, body: GradeIn) -> dict[str, Any]:
    """Grades an answer without keeping it, with the learner's own examples; the shape is that of ``viva grade ID --json``."""
    viva = state(request)
    if body.question not in viva.bank:
        raise HTTPException(404, desk.no_question(language_of(request), body.question))
    return present.grade(viva.grade(body.question, body.answer, body.language))


@router.post("/attempts", status_code=201)
def attempts(request: Request, body: AnswerIn) -> dict[str, str]:
    """Hands in an answer. It is stored when this returns; sending it again changes nothing."""
    learner = state(request).learner
    session = learner.session(body.session) if body.session else None
    if body.session and session is None:
        raise HTTPException(404, f"There is no session '{body.session}'.")
    save_answer(request, body.attempt, body.question, body.way, body.text, body.ink, body.seconds, session, body.language)
    onward = f"/attempts/{body.attempt}"
    if session is not None and session.mode == "exam" and body.question in session.questions:
        onward = f"/practice/{session.id}/{session.questions.index(body.question) + 2}"
    return {"attempt": body.attempt, "next": onward}


@router.get("/attempts/{attempt_id}")
def attempt(request: Request, attempt_id: str) -> dict[str, Any]:
    """An answer with its newest grade."""
    learner = state(request).learner
    found = learner.attempt(attempt_id)
    if found is None:
        raise HTTPException(404, "There is no such answer.")
    return {**present.attempt(found), "grade": present.grade(found.grade) if found.grade else None}


@router.get("/attempts/{attempt_id}/ink.{kind}")
def ink(request: Request, attempt_id: str, kind: Literal["svg", "inkml"]) -> Response:
    """The strokes of a handwritten answer as a picture (SVG) or as InkML."""
    found = state(request).learner.attempt(attempt_id)
    if found is None or not found.ink:
        raise HTTPException(404, "There is no handwriting in this answer.")
    strokes = Ink.model_validate(found.ink)
    body, media = (to_svg(strokes), "image/svg+xml") if kind == "svg" else (to_inkml(strokes), "application/inkml+xml")
    return Response(body, media_type=media, headers={"content-disposition": f'attachment; filename="{found.question}.{kind}"'})


@router.post("/attempts/{attempt_id}/rating")
def rating(request: Request, attempt_id: str, value: Annotated[int, Body(embed=True, ge=1, le=4)]) -> dict[str, Any]:
    """Rates an answer: 1 again, 2 hard, 3 good, 4 easy. Rating it again replaces the rating."""
    learner = state(request).learner
    found = learner.attempt(attempt_id)
    if found is None:
        raise HTTPException(404, "There is no such answer.")
    _, card = learner.add_review(found.question, Rating(value), found.id)
    return {"question": card.question, "due": card.due.isoformat(), "state": card.state}


@router.put("/drafts/{key}", status_code=204)
def keep_draft(request: Request, key: str, body: DraftIn) -> Response:
    """Keeps what has been written so far, so that another device can go on with it."""
    viva = state(request)
    if key not in viva.bank:
        raise HTTPException(404, desk.no_question(language_of(request), key))
    try:
        strokes = Ink.model_validate(body.ink).model_dump(mode="json") if body.ink else None
    except ValidationError as error:
        raise HTTPException(422, error.errors()[0]["msg"]) from None
    language = language_of(request)
    if body.text or strokes:
        viva.learner.save_draft(key, language, body.text, strokes)
    else:
        viva.learner.delete_draft(key, language)
    return Response(status_code=204)


@router.get("/stats")
def statistics(request: Request) -> dict[str, Any]:
    """As ``viva stats --json``."""
    viva = state(request)
    return stats.as_json(stats.collect(viva.learner, viva.bank, now()), language_of(request))


@router.get("/export")
def export(request: Request) -> Response:
    """All of the learner's data: as ``viva export``."""
    viva = state(request)
    return Response(transfer.export_learner(viva.learner, viva.packs_folder), media_type="application/json")
