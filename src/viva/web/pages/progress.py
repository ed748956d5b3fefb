"""The progress page: every picture with its numbers."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from viva.web import stats
from viva.web.render import page, state
from viva.web.state import now

router = APIRouter()


@router.get("/progress")
def progress_page(request: Request) -> HTMLResponse:
    viva = state(request)
    return page(request, "progress.html", tab="progress", stats=stats.collect(viva.learner, viva.bank, now()), bank=viva.bank)
