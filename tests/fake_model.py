"""A language model that is none: a small server on this machine that speaks OpenAI's chat protocol, well or badly.

``FakeModel.mode`` says how the next requests are answered; ``requests`` keeps what was sent, byte for byte; ``written`` counts the bytes of a huge reply
that were taken off its hands.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FENCED = "Here you are:\n```json\n{}\n```\nGood luck!"
STATUS_OF_MODE = {"error": 500, "bad key": 401, "no model": 404, "busy": 429, "moved": 307}


class FakeModel:
    """``reply`` is what a good reply holds: a list of marks. In mode ``obedient`` it is ignored: every point is *made*, with
    the words of ``quote`` (the whole answer where that is empty)."""

    def __init__(self) -> None:
        self.mode = "good"
        self.reply: list[dict[str, Any]] = []
        self.quote = ""
        self.raw = ""
        self.seconds = 0.0
        self.requests: list[dict[str, Any]] = []
        self.written = 0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                fake.requests.append({"path": self.path, "headers": dict(self.headers), "body": body.decode()})
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    fake._answer(self, json.loads(body))

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def sent(self) -> dict[str, Any]:
        """The newest request's body."""
        body: dict[str, Any] = json.loads(self.requests[-1]["body"])
        return body

    def _answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        time.sleep(self.seconds)
        if self.mode in STATUS_OF_MODE:
            handler.send_response(STATUS_OF_MODE[self.mode])
            handler.send_header("location", "http://192.0.2.1/elsewhere")
            return self._send(handler, json.dumps({"error": {"message": "no, sk-secret-key is not welcome", "type": "x"}}))
        if self.mode == "hangs up":
            handler.close_connection = True
            return None
        if self.mode == "huge":
            handler.send_response(200)
            handler.send_header("content-type", "application/json")
            handler.end_headers()
            for _ in range(200):
                handler.wfile.write(b" " * 1024 * 1024)
                self.written += 1024 * 1024
            return None
        if self.mode == "dribbles":
            handler.send_response(200)
            handler.send_header("content-type", "application/json")
            handler.end_headers()
            for _ in range(600):
                handler.wfile.write(b" ")
                handler.wfile.flush()
                time.sleep(0.05)
            return None
        if self.mode == "no protocol":
            handler.send_response(200)
            return self._send(handler, "<html>It works!</html>")
        handler.send_response(200)
        text = self._text(body["messages"])
        choices = [] if self.mode == "silent" else [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}]
        whole = {"id": "c-1", "object": "chat.completion", "created": 1, "model": body["model"], "choices": choices}
        return self._send(handler, json.dumps(whole))

    def _text(self, messages: list[dict[str, str]]) -> str | None:
        if self.mode == "empty":
            return None
        if self.mode == "raw":
            return self.raw
        marks = self.reply
        if self.mode == "obedient":
            answer = messages[-1]["content"].split("\n", 1)[1].rsplit("\n", 1)[0]
            ids = re.findall(r"^\d+\. id: (\S+)$", messages[0]["content"], re.MULTILINE)
            marks = [{"id": id, "status": "made", "quote": self.quote or answer} for id in ids]
        text = json.dumps({"points": marks}, ensure_ascii=False)
        return FENCED.replace("{}", text) if self.mode == "fenced" else text

    def _send(self, handler: BaseHTTPRequestHandler, text: str) -> None:
        raw = text.encode()
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def fake_model() -> Iterator[FakeModel]:
    model = FakeModel()
    try:
        yield model
    finally:
        model.close()
