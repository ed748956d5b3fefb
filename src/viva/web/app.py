"""Puts the site together."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from viva import __version__
from viva.store import Store, StoreError
from viva.web import api
from viva.web.guard import LOOPBACK_NAMES, Guard, require_token
from viva.web.pages import examples, opinion, outline, packs, practice, progress, reveal, settings
from viva.web.render import STATIC, language_of, page
from viva.web.state import AppState, default_packs
from viva.web.steps import register

log = logging.getLogger("viva")
BACKUP_EVERY_SECONDS = 3600


class _Static(StaticFiles):
    """Built files carry their time of building in the address, so a browser may keep them for good."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def create_app(
    store: Store | None = None, packs_folder: Path | None = None, *, allowed_hosts: Iterable[str] = LOOPBACK_NAMES, warm: bool = True
) -> FastAPI:
    """The site over ``store`` (the learner's own where none is given).

    Raises:
        StoreError: the database cannot be opened; the message says why and what to do.
    """
    store = store or Store.open()
    stop = threading.Event()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        def keep_backups() -> None:
            while not stop.is_set():
                try:
                    store.maybe_backup()
                except (StoreError, OSError):
                    log.exception("the automatic backup failed; the next try is in an hour")
                stop.wait(BACKUP_EVERY_SECONDS)

        threading.Thread(target=keep_backups, name="viva-backups", daemon=True).start()
        if warm:
            app.state.viva.warm_up()
        yield
        stop.set()

    app = FastAPI(
        title="Viva", version=__version__, description=api.DESCRIPTION, lifespan=lifespan,
        docs_url=None, redoc_url=None, openapi_url="/api/openapi.json", dependencies=[Depends(require_token)],
    )  # fmt: skip
    app.state.viva = AppState(store, packs_folder or default_packs(store))
    register(store, app.state.viva.packs_folder)
    app.state.secret = _secret(store)
    for part in (practice, reveal, examples, opinion, outline, progress, packs, settings):
        app.include_router(part.router, include_in_schema=False)
    app.include_router(api.router)
    app.mount("/static", _Static(directory=STATIC, check_dir=False), name="static")
    app.add_middleware(Guard, allowed_hosts=allowed_hosts)

    @app.get("/service-worker.js", include_in_schema=False)
    def service_worker() -> Response:
        # Served from the root, so that its scope is the whole site.
        return Response((STATIC / "service-worker.js").read_bytes(), media_type="text/javascript", headers={"cache-control": "no-cache"})

    @app.get("/health", include_in_schema=False)
    def health() -> dict[str, str]:
        return {"viva": __version__}

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> Response:
        return _error(request, error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    def bad_request(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
        return _error(request, 422, f"{where}: {first['msg']}")

    @app.exception_handler(StoreError)
    def store_error(request: Request, error: StoreError) -> Response:
        try:
            language = language_of(request)
        except StoreError:
            language = "en"
        return _error(request, 503, error.get(language))

    return app


def _error(request: Request, status: int, sentence: str, headers: Any = None) -> Response:
    if request.url.path.startswith("/api") or "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"error": sentence}, status_code=status, headers=headers)
    try:
        return page(request, "error.html", status=status, code=status, sentence=sentence)
    except StoreError:
        # Without a database there are no settings to draw the frame with.
        from html import escape

        return HTMLResponse(f"<!doctype html><meta charset='utf-8'><title>Viva</title><p>{escape(sentence)}</p>", status_code=status)


def _secret(store: Store) -> bytes:
    """The key behind the CSRF tokens: kept beside the database, so that open pages survive a restart."""
    if store.database.path is None:
        return secrets.token_bytes(32)
    path = store.database.path.parent / "secret"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        kept = path.read_bytes()
        return kept if len(kept) >= 32 else secrets.token_bytes(32)
    with os.fdopen(descriptor, "wb") as file:
        secret = secrets.token_bytes(32)
        file.write(secret)
    return secret
