"""Settings, undo, and the learner's data: export, import, backups."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, HTTPException, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from viva.exchange.learner import LearnerDocumentError
from viva.language import Text, parse_language
from viva.web import desk, transfer
from viva.web.render import language_of, page, state
from viva.web.state import now

router = APIRouter()
THEMES = ("auto", "light", "dark")


@router.get("/settings")
def settings_page(request: Request, saved: int = 0, imported: str = "") -> HTMLResponse:
    viva = state(request)
    return page(
        request, "settings.html", tab="settings", study=desk.study_settings(viva.learner), themes=THEMES, saved=saved, imported=imported,
        backups=viva.store.list_backups()[:12], place=viva.store.database.path, today=date.today(), steps=viva.learner.undo_list(),
    )  # fmt: skip


@router.post("/settings")
def save_settings(
    request: Request,
    language: Annotated[str, Form()],
    interview: Annotated[str, Form()] = "",
    new_per_day: Annotated[int, Form(ge=0, le=200)] = desk.NEW_PER_DAY,
    retention: Annotated[int, Form(ge=70, le=97)] = 90,
    theme: Annotated[str, Form()] = "auto",
) -> Response:
    learner = state(request).learner
    try:
        day = desk.parse_interview(interview) if interview.strip() else None
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    wanted: dict[str, Any] = {
        "language": parse_language(language), "new_per_day": new_per_day,
        "retention": retention / 100, "theme": theme if theme in THEMES else "auto",
    }  # fmt: skip
    before = {"new_per_day": desk.NEW_PER_DAY, "retention": desk.RETENTION, "theme": "auto", **learner.settings()}
    wanted = {name: value for name, value in wanted.items() if before.get(name) != value}
    chosen_day = day.isoformat() if day else None
    if chosen_day != before.get("interview"):
        wanted["interview"] = chosen_day
        if day is not None:
            wanted["begun"] = date.today().isoformat()
    if wanted:
        learner.set_settings(wanted, Text(ko="설정 바꾸기", en="change of the settings"))
    return RedirectResponse("/settings?saved=1&done=settings", 303)


@router.post("/undo")
def undo(request: Request, back: Annotated[str, Form()] = "/practice") -> Response:
    undone = state(request).learner.undo()
    state(request).reload()
    return RedirectResponse(_with_notice(desk.own_path(back), "undone" if undone else "nothing"), 303)


@router.post("/redo")
def redo(request: Request, back: Annotated[str, Form()] = "/practice") -> Response:
    done = state(request).learner.redo()
    state(request).reload()
    return RedirectResponse(_with_notice(desk.own_path(back), "redone" if done else "nothing"), 303)


@router.get("/export")
def export(request: Request) -> Response:
    viva = state(request)
    name = f"viva-{now():%Y-%m-%d}.json"
    return Response(
        transfer.export_learner(viva.learner, viva.packs_folder),
        media_type="application/json",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


@router.post("/settings/import")
def import_data(request: Request, file: Annotated[UploadFile, File()]) -> Response:
    viva = state(request)
    try:
        transfer.import_learner(viva.learner, viva.packs_folder, file.file.read())
    except LearnerDocumentError as error:
        raise HTTPException(422, error.text.get(language_of(request))) from None
    viva.reload()
    return RedirectResponse("/settings?imported=1", 303)


@router.post("/settings/backup")
def backup(request: Request) -> Response:
    state(request).store.backup()
    return RedirectResponse("/settings?saved=2#backups", 303)


def _with_notice(path: str, notice: str) -> str:
    base, _, fragment = path.partition("#")
    address, _, query = base.partition("?")
    kept = "&".join(part for part in query.split("&") if part and not part.startswith("done="))
    return f"{address}?{kept + '&' if kept else ''}done={notice}" + (f"#{fragment}" if fragment else "")


