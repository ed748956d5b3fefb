"""Who may talk to the app, and what a page may do.

The app listens on the loopback address, but any page open in the same browser can send requests there. Four fences:
the Host header has to be a name of this machine (DNS rebinding), the Origin of every writing request has to be the app
itself, a writing request carries a token that only the app's own pages know (CSRF), and a strict content security policy
keeps scripts of others out of the pages. Bodies are bounded.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
COOKIE = "viva_browser"
MAX_BODY_BYTES = 32 * 1024 * 1024
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """ASGI middleware: Host, Origin, body size, headers, and the cookie that the CSRF token is bound to."""

    def __init__(self, app: ASGIApp, *, allowed_hosts: Iterable[str] = LOOPBACK_NAMES) -> None:
        self.app = app
        self.allowed_hosts = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refuse(scope["method"], headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        scope.setdefault("state", {})
        cookie = _cookie(headers.get("cookie", ""), COOKIE)
        fresh = None if _plausible(cookie) else secrets.token_urlsafe(24)
        scope["state"]["browser"] = fresh or cookie
        received = 0

        async def bounded_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(413, "The request is larger than 32 MB.")
            return message

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    out.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    out.setdefault("cache-control", "no-store")
                if fresh is not None:
                    out.append("set-cookie", f"{COOKIE}={fresh}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000")
            await send(message)

        await self.app(scope, bounded_receive, send_with_headers)

    def _refuse(self, method: str, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "").lower()
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if name not in self.allowed_hosts:
            return PlainTextResponse(f"This app does not answer to the name '{name[:80]}'. Open it at http://localhost.", 400)
        if method in SAFE_METHODS:
            return None
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host:
            return PlainTextResponse("Refused: the request comes from another site.", 403)
        if origin is None and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("Refused: the request comes from another site.", 403)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            return PlainTextResponse("The request is larger than 32 MB.", 413)
        return None


def csrf_token(request: Request) -> str:
    """The token that a form of this browser has to send back as ``csrf`` or in the header ``X-CSRF-Token``."""
    secret: bytes = request.app.state.secret
    return hmac.new(secret, request.state.browser.encode(), hashlib.sha256).hexdigest()


async def require_token(request: Request) -> None:
    """A dependency of every route that writes.

    Raises:
        HTTPException: 403, the token is missing or of another browser.
    """
    if request.method in SAFE_METHODS:
        return
    sent = request.headers.get("x-csrf-token")
    if sent is None and "form" in request.headers.get("content-type", ""):
        value = (await request.form()).get("csrf")
        sent = value if isinstance(value, str) else None
    if sent is None or not hmac.compare_digest(sent.encode(), csrf_token(request).encode()):
        raise HTTPException(403, "The page is out of date: reload it and try again.")


def _cookie(header: str, name: str) -> str:
    for part in header.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return ""


def _plausible(value: str) -> bool:
    return 24 <= len(value) <= 64 and all(c.isascii() and (c.isalnum() or c in "-_") for c in value)
