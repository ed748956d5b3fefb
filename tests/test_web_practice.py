"""A session seen through the pages, without a browser."""

from __future__ import annotations

import uuid
from pathlib import Path

from fastapi.testclient import TestClient

from viva.store import Store
from viva.web.app import create_app

LOCAL = "http://localhost"


def test_a_question_answered_again_in_a_session_ends_with_its_newest_answer(home: Path) -> None:
    app = create_app(Store.open(home / "viva.db"), warm=False)
    client = TestClient(app, base_url=LOCAL, follow_redirects=False)
    headers = {"x-csrf-token": client.get("/api/token").json()["csrf"], "origin": LOCAL}
    session = app.state.viva.learner.start_session("list", ["softmax", "dropout"])
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    for attempt in (first, second):
        body = {"attempt": attempt, "question": "softmax", "text": "합이 1인 확률로 바꿉니다.", "session": session.id}
        assert client.post("/api/attempts", json=body, headers=headers).status_code == 201
    page = client.get(f"/practice/{session.id}/end").text
    assert f'href="/attempts/{second}"' in page
    assert f'href="/attempts/{first}"' not in page
