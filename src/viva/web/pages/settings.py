"""Settings, undo, and the learner's data: export, import, backups."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, HTTPException, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from viva.exchange.learner import LearnerDocumentError
from viva.language import Text, parse_language
from viva.web import desk, judging, transfer
from viva.web.render import language_of, page, state
from viva.web.state import now

router = APIRouter()
THEMES = ("auto", "light", "dark")


@router.get("/settings")
def settings_page(request: Request, imported: str = "", tried: str = "") -> HTMLResponse:
    return draw(request, imported=imported, tried=bool(tried))


def draw(request: Request, *, imported: str = "", error: str = "", tried: bool = False, typed: dict[str, str] | None = None) -> HTMLResponse:
    """The page; with ``error`` as a refusal, with ``typed`` in the fields of the second opinion."""
    viva = state(request)
    return page(
        request, "settings.html", status=422 if error else 200, error=error, tab="settings", study=desk.study_settings(viva.learner), themes=THEMES, imported=imported,
        backups=viva.store.list_backups()[:12], place=viva.store.database.path, today=date.today(), steps=viva.learner.undo_list(),
        judge=judging.in_settings(viva.learner, viva.errands, tried=tried, typed=typed),
    )  # fmt: skip


@router.post("/settings")
def save_settings(
    request: Request,
    language: Annotated[str, Form()],
    interview: Annotated[str, Form()] = "",
    new_per_day: Annotated[str, Form()] = str(desk.NEW_PER_DAY),
    retention: Annotated[str, Form()] = "90",
    theme: Annotated[str, Form()] = "auto",
) -> Response:
    learner = state(request).learner
    before = {"new_per_day": desk.NEW_PER_DAY, "retention": desk.RETENTION, "theme": "auto", **learner.settings()}
    try:
        # A date that is over may stay as it is while something else is changed.
        changed = interview.strip() != (before.get("interview") or "")
        day = desk.parse_interview(interview, date.today()) if interview.strip() and changed else None
        new = desk.parse_number(new_per_day, 0, 200, Text(ko="하루에 볼 새 질문", en="New questions a day"))
        recall = desk.parse_number(retention, 70, 97, Text(ko="목표 기억률", en="Target recall"))
    except desk.FormError as error:
        return draw(request, error=error.text.get(language_of(request)))
    wanted: dict[str, Any] = {
        "language": parse_language(language), "new_per_day": new,
        "retention": recall / 100, "theme": theme if theme in THEMES else "auto",
    }  # fmt: skip
    wanted = {name: value for name, value in wanted.items() if before.get(name) != value}
    if changed:
        wanted |= desk.interview_values(day, date.today())
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


