"""Packs: importing a list that somebody keeps as text, looking at what was understood, and keeping it."""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, Form, HTTPException, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from viva.bank.cache import load_pack_kept
from viva.exchange import ImportFailed, ImportReport, build_pack, pack_topics, read_list, write_pack
from viva.language import Language, Text
from viva.web.render import language_of, page, state
from viva.web.state import AppState, pack_folders

router = APIRouter()
MAX_UPLOAD_BYTES = 20 * 1024 * 1024
_TOKEN = re.compile(r"^[0-9a-f]{32}$")


@router.get("/packs")
def packs_page(request: Request) -> HTMLResponse:
    viva = state(request)
    packs = [load_pack_kept(folder, folder.name, viva.cache_folder) for folder in pack_folders(viva.packs_folder)]
    return page(request, "packs.html", tab="settings", packs=packs, report=None, problems=viva.problems)


@router.post("/packs/preview")
def preview(request: Request, file: Annotated[UploadFile, File()]) -> Response:
    """Reads the list and shows what was understood, line by line; nothing is kept yet but the file itself."""
    viva, language = state(request), language_of(request)
    raw = file.file.read(MAX_UPLOAD_BYTES + 1)
    name = Path(file.filename or "list.txt").name[:120]
    try:
        report = read_list(raw, name, language=language)
    except ImportFailed as error:
        raise HTTPException(422, error.sentence(language)) from None
    token = secrets.token_hex(16)
    folder = _uploads(viva)
    (folder / token).write_bytes(name.encode() + b"\n" + raw)
    return page(request, "packs.html", tab="settings", packs=[], report=report, token=token, name=name, title=Path(name).stem, problems=())


@router.post("/packs")
def keep(request: Request, token: Annotated[str, Form()], title: Annotated[str, Form(max_length=120)]) -> Response:
    viva, language = state(request), language_of(request)
    path = _uploads(viva) / token
    if not _TOKEN.match(token) or not path.is_file():
        raise HTTPException(410, Text(ko="가져오던 파일이 남아 있지 않습니다. 파일을 다시 골라 주세요.", en="The uploaded file is gone. Choose it again.").get(language))
    name, _, raw = path.read_bytes().partition(b"\n")
    report = read_list(raw, name.decode(), language=language)
    pack = save_pack(report, title.strip() or Path(name.decode()).stem, viva.packs_folder, language)
    path.unlink(missing_ok=True)
    viva.learner.record_action("import-pack", Text(ko="목록 가져오기", en="import of a list"), {"name": pack, "aside": f".removed-{pack}-{secrets.token_hex(4)}"})
    viva.reload()
    return RedirectResponse("/packs?done=import", 303)


@router.post("/packs/{name}/remove")
def remove(request: Request, name: str) -> Response:
    """Moves a pack out of sight; undo brings it back, and no answer to its questions is lost."""
    viva = state(request)
    folder = viva.packs_folder / name
    if folder not in pack_folders(viva.packs_folder):
        raise HTTPException(404, Text(ko="그런 팩이 없습니다.", en="There is no such pack.").get(language_of(request)))
    aside = viva.packs_folder / f".removed-{name}-{secrets.token_hex(4)}"
    shutil.move(folder, aside)
    viva.learner.record_action("remove-pack", Text(ko="목록 치우기", en="removal of a list"), {"name": name, "aside": aside.name})
    viva.reload()
    return RedirectResponse("/packs?done=remove", 303)


def save_pack(report: ImportReport, title: str, packs_folder: Path, language: Language) -> str:
    """Writes what was read as a new pack and returns its name, made from the title and free of clashes."""
    base = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40] or "list"
    name, number = base, 2
    while (packs_folder / name).exists() or name == "viva":
        name, number = f"{base}-{number}", number + 1
    questions = build_pack(report, name, Text.model_validate({language: title}))
    packs_folder.mkdir(parents=True, exist_ok=True)
    write_pack(packs_folder / name, Text.model_validate({language: title}), pack_topics(report, name), questions)
    return name


def _uploads(viva: AppState) -> Path:
    folder = viva.packs_folder / ".uploads"
    folder.mkdir(parents=True, exist_ok=True)
    for old in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)[:-20]:
        old.unlink(missing_ok=True)
    return folder
