"""What strangers get: other hosts, other origins, missing tokens, hostile bodies."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from viva.store import Store
from viva.web.app import create_app
from viva.web.guard import CONTENT_SECURITY_POLICY

LOCAL = "http://localhost"


@pytest.fixture
def client(home: Path) -> TestClient:
    app = create_app(Store.open(home / "viva.db"), warm=False)
    return TestClient(app, base_url=LOCAL, raise_server_exceptions=False, follow_redirects=False)


def token(client: TestClient) -> str:
    return str(client.get("/api/token").json()["csrf"])


def post(client: TestClient, path: str, **data: object) -> object:
    return client.post(path, data={"csrf": token(client), **data}, headers={"origin": LOCAL})


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "10.0.0.1"])
def test_another_host_name_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/practice", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["localhost", "localhost:8470", "127.0.0.1:1", "[::1]:8470", "[::1]"])
def test_the_names_of_this_machine_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:1234", "null", "http://localhost.evil"])
def test_a_form_of_another_site_is_refused(client: TestClient, origin: str) -> None:
    answer = client.post("/language", data={"csrf": token(client), "language": "en"}, headers={"origin": origin})
    assert answer.status_code == 403


def test_a_request_that_the_browser_calls_cross_site_is_refused(client: TestClient) -> None:
    answer = client.post("/language", data={"csrf": token(client), "language": "en"}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403


@pytest.mark.parametrize("wrong", ["", "0" * 64, "한글"])
def test_without_the_pages_token_nothing_is_written(client: TestClient, wrong: str) -> None:
    answer = client.post("/language", data={"csrf": wrong, "language": "en"}, headers={"origin": LOCAL})
    assert answer.status_code == 403
    assert client.post("/api/attempts", json={"attempt": str(uuid.uuid4()), "question": "softmax", "text": "x"}).status_code == 403


def test_the_token_of_another_browser_does_not_fit(client: TestClient) -> None:
    stolen = token(client)
    client.cookies.clear()
    token(client)
    assert client.post("/language", data={"csrf": stolen, "language": "en"}, headers={"origin": LOCAL}).status_code == 403


def test_every_page_carries_the_policy_and_no_inline_script_or_style(client: TestClient) -> None:
    post(client, "/welcome", language="ko")
    for path in ("/practice", "/outline", "/progress", "/settings", "/packs", "/questions/softmax", "/print", "/nowhere"):
        answer = client.get(path)
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY, path
        assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", answer.text), path
        assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", answer.text), path


def test_the_way_back_after_switching_the_language_stays_on_this_site(client: TestClient) -> None:
    for back in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"):
        answer = post(client, "/language", language="en", back=back)
        assert answer.headers["location"] == "/", back  # type: ignore[attr-defined]
    assert post(client, "/language", language="ko", back="/outline?q=x").headers["location"] == "/outline?q=x"  # type: ignore[attr-defined]


def test_a_page_that_is_not_there_says_so_in_the_chosen_language(client: TestClient) -> None:
    post(client, "/welcome", language="en")
    missing = client.get("/questions/no-such-question")
    assert missing.status_code == 404 and "There is no question" in missing.text
    post(client, "/language", language="ko")
    assert "질문이 없습니다" in client.get("/questions/no-such-question").text
    assert client.get("/api/questions/nope").json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        {"attempt": "not a uuid", "question": "softmax", "text": "x"},
        {"attempt": str(uuid.uuid4()), "question": "no-such", "text": "x"},
        {"attempt": str(uuid.uuid4()), "question": "softmax", "way": "telepathy"},
        {"attempt": str(uuid.uuid4()), "question": "softmax", "way": "ink", "ink": {"pages": "<script>"}},
        {"attempt": str(uuid.uuid4()), "question": "softmax", "seconds": -1},
        {"attempt": str(uuid.uuid4()), "question": "softmax", "text": "x" * 200_001},
        {"attempt": str(uuid.uuid4()), "question": "softmax", "session": "none-such"},
        [],
        "text",
    ],
)
def test_a_bad_answer_is_refused_with_one_sentence_and_stores_nothing(client: TestClient, body: object) -> None:
    answer = client.post("/api/attempts", json=body, headers={"x-csrf-token": token(client), "origin": LOCAL})
    assert 400 <= answer.status_code < 500, answer.text
    assert isinstance(answer.json()["error"], str) and "\n" not in answer.json()["error"]
    assert client.get("/api/stats").json()["answers"] == 0


def test_handing_in_the_same_attempt_twice_stores_it_once(client: TestClient) -> None:
    body = {"attempt": str(uuid.uuid4()), "question": "softmax", "text": "합이 1인 확률로 바꿉니다.", "seconds": 12}
    headers = {"x-csrf-token": token(client), "origin": LOCAL}
    assert client.post("/api/attempts", json=body, headers=headers).status_code == 201
    assert client.post("/api/attempts", json=body, headers=headers).status_code == 201
    assert client.get("/api/stats").json()["answers"] == 1
    different = client.post("/api/attempts", json={**body, "text": "다른 답"}, headers=headers)
    assert different.status_code >= 400 and client.get("/api/stats").json()["answers"] == 1


def test_what_the_learner_writes_is_shown_as_text(client: TestClient) -> None:
    post(client, "/welcome", language="ko")
    hostile = '<img src=x onerror=alert(1)><script>alert(1)</script> $\\href{javascript:alert(1)}{x}$ [a](javascript:alert(1))'
    identity = str(uuid.uuid4())
    headers = {"x-csrf-token": token(client), "origin": LOCAL}
    client.post("/api/attempts", json={"attempt": identity, "question": "softmax", "text": hostile}, headers=headers)
    post(client, "/questions/softmax/mine", text=hostile)
    for path in (f"/attempts/{identity}", "/questions/softmax", "/print?mine=1"):
        page = client.get(path)
        assert page.status_code == 200
        assert "<img" not in page.text and "<script>alert" not in page.text and 'href="javascript' not in page.text, path


def test_a_body_over_the_limit_is_refused(client: TestClient) -> None:
    headers = {"x-csrf-token": token(client), "origin": LOCAL, "content-type": "application/json", "content-length": str(40 * 1024 * 1024)}
    assert client.post("/api/attempts", content=b"{}", headers=headers).status_code == 413


def test_the_openapi_description_lists_the_routes_of_the_api(client: TestClient) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    assert {"/api/questions", "/api/grade", "/api/attempts", "/api/stats", "/api/export"} <= set(paths)
    assert all(path.startswith("/api/") for path in paths)
