"""Asking for a second opinion on an answer, and setting up who is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from viva.grading.language_model import parse_settings
from viva.grading.opinion import OpinionError
from viva.language import Text
from viva.web import desk, judging
from viva.web.pages.settings import draw
from viva.web.render import language_of, state
from viva.web.state import now

router = APIRouter()
Errand = Callable[[], Text | None]


@router.post("/attempts/{attempt_id}/opinion")
async def ask(request: Request, attempt_id: str, seen: Annotated[int, Form(ge=0)] = 0) -> Response:
    """Asks the learner's judge and comes back when it has answered, or has not in time.

    ``seen`` is how many opinions the page had when the button was pressed: a second press of it sends nothing more.
    """
    errand = await run_in_threadpool(_errand, request, attempt_id, seen)
    if isinstance(errand, Response):
        return errand
    await _run(request, attempt_id, errand)
    failed = state(request).errands.ended(attempt_id) is not None
    return RedirectResponse(f"/attempts/{attempt_id}{'?opinion=failed' if failed else ''}#opinion", 303)


@router.post("/settings/opinion")
async def set_up(
    request: Request,
    switch: Annotated[str, Form()] = "off",
    provider: Annotated[str, Form()] = "",
    model: Annotated[str, Form()] = "",
    base_url: Annotated[str, Form()] = "",
    action: Annotated[str, Form()] = "save",
) -> Response:
    typed = {"provider": provider, "model": model, "base_url": base_url}
    errand = await run_in_threadpool(_set_up, request, switch == "on", typed)
    if isinstance(errand, Response):
        return errand
    if action != "try" or errand is None:
        return RedirectResponse("/settings?done=settings#opinion", 303)
    await _run(request, judging.TRY, errand)
    return RedirectResponse("/settings?tried=1#opinion", 303)


async def _run(request: Request, key: str, errand: Errand) -> None:
    # Waiting here holds no thread, so that nobody else's page waits; and a browser that leaves does not stop the errand.
    await asyncio.shield(asyncio.wrap_future(state(request).errands.run(key, errand)))


def _errand(request: Request, attempt_id: str, seen: int) -> Errand | Response:
    """What asking about this answer takes; a response where there is nothing to ask."""
    viva, language = state(request), language_of(request)
    learner = viva.learner
    attempt = learner.attempt(attempt_id)
    if attempt is None:
        raise HTTPException(404, Text(ko="그런 답이 없습니다.", en="There is no such answer.").get(language))
    question = viva.bank.get(attempt.question)
    session = learner.session(attempt.session) if attempt.session else None
    if question is None or (session is not None and desk.exam_goes_on(session, learner, now())):
        return RedirectResponse(f"/attempts/{attempt.id}", 303)
    if attempt.way != "text" or not attempt.text.strip() or not question.points:
        nothing = Text(ko="글로 쓴 답과 요점이 있어야 다른 의견을 물을 수 있습니다.", en="A second opinion takes a typed answer and points.")
        raise HTTPException(422, nothing.get(language))
    settings = judging.chosen(learner)
    if settings is None:
        off = Text(ko="다른 의견이 꺼져 있습니다. 설정에서 누구에게 물을지 정해 주세요.", en="The second opinion is switched off. Say in the settings whom to ask.")
        raise HTTPException(409, off.get(language))
    if len(learner.opinions_of(attempt.id)) != seen and not viva.errands.is_under_way(attempt.id):
        return RedirectResponse(f"/attempts/{attempt.id}#opinion", 303)
    return lambda: judging.fetch(learner, settings, attempt, question)


def _set_up(request: Request, on: bool, typed: dict[str, str]) -> Errand | Response | None:
    """Keeps the settings; what trying them takes, nothing where they were switched off, a page where they cannot be used."""
    learner, language = state(request).learner, language_of(request)
    if not on:
        judging.keep(learner, None)
        return None
    try:
        settings = parse_settings(**typed)
    except OpinionError as error:
        return draw(request, error=error.sentence(language), typed=typed)
    judging.keep(learner, settings)
    return lambda: judging.try_out(settings, language)
