"""Asking for a second opinion on the pages: off until set up, beside the offline grade, never instead of it."""

from __future__ import annotations

import contextlib
import html
import json
import re
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fake_model import FakeModel, fake_model
from fastapi.testclient import TestClient
from live_app import LiveApp

from viva.language import Text
from viva.store import Store
from viva.store.opinions import JUDGE
from viva.web import judging
from viva.web.app import create_app
from viva.web.judging import AT_ONCE, Errands

LOCAL = "http://localhost"
KEY = "relu-vs-sigmoid"
ANSWER = "시그모이드는 미분하면 최대 0.25라서 층이 깊어질수록 기울기가 작아집니다. ReLU는 양수에서 기울기가 1이라 신호가 그대로 전달돼요."
QUOTE = "ReLU는 양수에서 기울기가 1이라 신호가 그대로 전달돼요"
POINTS = ("sigmoid-slope", "relu-slope", "scale-and-weights", "other-gains", "relu-costs")

pytest.importorskip("any_llm", reason="the extra viva[llm] is not installed")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VIVA_LLM_API_KEY", "VIVA_LLM_TIMEOUT", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def model() -> Iterator[FakeModel]:
    with fake_model() as running:
        running.reply = [{"id": "relu-slope", "status": "made", "quote": QUOTE}, {"id": "relu-costs", "status": "made", "quote": "죽은 <b>뉴런</b>이 생깁니다"}]
        running.reply += [{"id": id, "status": "missed", "quote": ""} for id in POINTS if id not in ("relu-slope", "relu-costs")]
        yield running


class Visitor:
    """A learner's requests, with the token that writing needs."""

    def __init__(self, home: Path, language: str = "ko") -> None:
        self.app = create_app(Store.open(home / "viva.db"), warm=False)
        self.client = TestClient(self.app, base_url=LOCAL, follow_redirects=False)
        self.learner = self.app.state.viva.learner
        self.token = self.client.get("/api/token").json()["csrf"]
        self.learner.set_setting("language", language)

    def get(self, path: str) -> str:
        answer = self.client.get(path, follow_redirects=True)
        assert answer.status_code == 200, answer.text
        return html.unescape(answer.text)

    def post(self, path: str, **data: object) -> Any:
        return self.client.post(path, data={"csrf": self.token, **data}, headers={"origin": LOCAL})

    def answered(self, text: str = ANSWER, key: str = KEY, **fields: Any) -> str:
        attempt = str(uuid.uuid4())
        body = {"attempt": attempt, "question": key, "text": text, "language": "ko", **fields}
        answer = self.client.post("/api/attempts", json=body, headers={"x-csrf-token": self.token, "origin": LOCAL})
        assert answer.status_code == 201, answer.text
        return attempt

    def set_up(self, fake: FakeModel, **fields: str) -> Any:
        return self.post("/settings/opinion", **{"switch": "on", "provider": "openai", "model": "fake-1", "base_url": fake.url, **fields})

    def ask(self, attempt: str, seen: int = 0) -> Any:
        return self.post(f"/attempts/{attempt}/opinion", seen=seen)


@pytest.fixture
def visitor(home: Path) -> Visitor:
    return Visitor(home)


def second(page: str, point: str) -> str:
    """What the page says of ``point`` in the name of the second opinion."""
    item = page.split(f'id="point-{point}"')[1].split("</li>")[0]
    return re.sub(r"<[^>]+>", "", " ".join(re.findall(r'<small class="second">(.*?)</small>', item, re.DOTALL)))


# ---- off, until it is set up ---------------------------------------------------------------------------------------
def test_it_is_off_and_nothing_can_be_sent_until_somebody_sets_it_up(visitor: Visitor, model: FakeModel) -> None:
    attempt = visitor.answered()
    assert "ask-opinion" not in visitor.get(f"/attempts/{attempt}")
    assert "지금은 꺼져 있어서 아무것도 보내지 않습니다" in visitor.get("/settings")
    visitor.set_up(model, switch="off")
    assert JUDGE not in visitor.learner.settings()
    refused = visitor.ask(attempt)
    assert refused.status_code == 409 and "꺼져 있습니다" in refused.text
    visitor.learner.set_setting(JUDGE, {"provider": "openai", "model": "m", "base_url": model.url})
    assert visitor.ask(attempt).status_code == 409, "settings without a switch are off"
    assert model.requests == []


@pytest.mark.parametrize("value", [None, [], "on", {"on": True}, {"on": True, "provider": 5, "model": [], "base_url": {}}, {"on": True, "provider": "openai", "model": "m", "base_url": "file:///etc/passwd"}])
def test_a_stored_setting_of_another_shape_means_off(visitor: Visitor, value: object) -> None:
    visitor.learner.set_setting(JUDGE, value)
    attempt = visitor.answered()
    assert "ask-opinion" not in visitor.get(f"/attempts/{attempt}")
    visitor.get("/settings")


@pytest.mark.parametrize(
    ("language", "fields", "said"),
    [
        ("ko", {"base_url": "http://localhost:1/v1"}, "이 컴퓨터 밖으로는 아무것도 나가지 않습니다"),
        ("en", {"base_url": "http://localhost:1/v1"}, "Nothing leaves this machine"),
        ("ko", {"base_url": "https://models.example/v1"}, "models.example의 fake-1에 보냅니다"),
        ("en", {"base_url": "https://models.example/v1"}, "to fake-1 at models.example. Nothing else of yours is sent"),
        ("en", {"base_url": "http://192.168.0.9:8000/v1"}, "unencrypted"),
        ("en", {"base_url": ""}, "at api.openai.com"),
        ("ko", {"provider": "anthropic", "base_url": ""}, "anthropic의 fake-1에 보냅니다"),
    ],
)
def test_both_pages_say_what_is_sent_and_where_to(home: Path, model: FakeModel, language: str, fields: dict[str, str], said: str) -> None:
    visitor = Visitor(home, language)
    assert visitor.set_up(model, **fields).status_code == 303
    attempt = visitor.answered()
    assert said in visitor.get("/settings")
    assert said in visitor.get(f"/attempts/{attempt}")
    assert model.requests == [], "looking sends nothing"


def test_settings_that_cannot_be_used_come_back_with_a_sentence_and_are_not_kept(visitor: Visitor, model: FakeModel) -> None:
    for fields in ({"base_url": "http://me:secret@host/v1"}, {"model": " "}, {"provider": "<script>"}):
        refused = visitor.set_up(model, **fields)
        assert refused.status_code == 422 and 'role="alert"' in refused.text
        assert "<script>" not in refused.text.replace('<script type="module"', "")
        typed = {"provider": "openai", "model": "fake-1", "base_url": model.url, **fields}
        assert all(f'value="{html.escape(value)}"' in refused.text for value in typed.values()), "what was typed is not lost"
    assert JUDGE not in visitor.learner.settings()


def test_switching_off_keeps_the_fields_and_undo_switches_on_again(visitor: Visitor, model: FakeModel) -> None:
    visitor.set_up(model)
    visitor.set_up(model, switch="off", model="ignored")
    assert visitor.learner.settings()[JUDGE] == {"provider": "openai", "model": "fake-1", "base_url": model.url, "on": False}
    assert 'value="fake-1"' in visitor.get("/settings")
    visitor.learner.undo()
    assert judging.chosen(visitor.learner) is not None


def test_trying_it_sends_a_made_up_answer_and_says_what_came_of_it(visitor: Visitor, model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor.answered()
    model.reply = [{"id": "probabilities", "status": "made", "quote": "점수를 모두 더하면 1이 되는 확률로 바꿉니다"}, {"id": "exponential", "status": "missed"}]
    tried = visitor.set_up(model, action="try")
    page = visitor.get(tried.headers["location"])
    assert "잘 돼요" in page and "2개 가운데 1개" in page
    (request,) = model.requests
    assert ANSWER not in request["body"]
    model.mode = "bad key"
    page = visitor.get(visitor.set_up(model, action="try").headers["location"])
    assert "VIVA_LLM_API_KEY" in page.split('id="tried"')[1] and "잘 돼요" not in page


def test_the_key_is_kept_nowhere(visitor: Visitor, model: FakeModel, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("VIVA_LLM_API_KEY", "sk-only-in-the-environment")
    visitor.set_up(model, action="try")
    attempt = visitor.answered()
    visitor.ask(attempt)
    model.mode = "bad key"
    visitor.ask(attempt, seen=1)
    assert "sk-only-in-the-environment" in json.dumps(model.requests[-1]["headers"])
    pages = [visitor.get(path) for path in ("/settings", f"/attempts/{attempt}?opinion=failed", "/export")]
    assert all("sk-only-in-the-environment" not in page for page in pages)
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b"sk-only-in-the-environment" not in kept and model.url.encode() in kept


# ---- asking --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("language", ["ko", "en"])
def test_its_marks_stand_beside_the_offline_marks_and_change_nothing(home: Path, model: FakeModel, language: str) -> None:
    visitor = Visitor(home, language)
    visitor.set_up(model)
    attempt = visitor.answered()
    before = visitor.learner.current_grade(attempt)
    said = visitor.ask(attempt)
    assert said.status_code == 303 and said.headers["location"] == f"/attempts/{attempt}#opinion"
    page = visitor.get(f"/attempts/{attempt}")
    assert visitor.learner.current_grade(attempt) == before
    (kept,) = visitor.learner.opinions_of(attempt)
    weights = {point.id: point.weight for point in visitor.app.state.viva.bank[KEY].points}
    assert kept.score == round(weights["relu-slope"] / sum(weights.values()), 4)
    assert "fake-1 (127.0.0.1:" in page and f"{round(100 * kept.score)}%" in page.split('id="opinion"')[1]
    word = {"ko": ("말함", "빠짐", "다름", "받아들이지 않음"), "en": ("made", "missed", "differs", "Refused")}[language]
    assert word[0] in second(page, "relu-slope") and QUOTE in second(page, "relu-slope")
    offline = {mark.id: mark.status for mark in before.grade.points}  # type: ignore[union-attr]
    for mark in kept.opinion.points:
        assert (word[2] in second(page, mark.id)) == (mark.status != offline[mark.id]), mark.id
    assert word[3] in second(page, "relu-costs") and "죽은 <b>뉴런</b>이 생깁니다" in page, "the refused quote is shown, as text"


def test_what_the_model_writes_is_shown_as_text(visitor: Visitor, model: FakeModel) -> None:
    hostile = "<script>alert(1)</script>"
    model.reply = [{"id": "relu-slope", "status": hostile, "quote": hostile}, {"id": "relu-costs", "status": "made", "quote": hostile}]
    visitor.set_up(model, model=hostile)
    attempt = visitor.answered()
    visitor.ask(attempt)
    raw = visitor.client.get(f"/attempts/{attempt}").text
    assert hostile not in raw and html.escape(hostile) in raw


def test_what_is_sent_holds_nothing_of_the_learner_but_this_answer(visitor: Visitor, model: FakeModel, home: Path) -> None:
    visitor.answered("다른 질문에 쓴 은밀한 답", "softmax")
    visitor.answered("같은 질문에 예전에 쓴 은밀한 답")
    visitor.learner.save_my_answer(KEY, "ko", "준비해 둔 은밀한 답")
    visitor.learner.save_draft(KEY, "ko", "쓰다 만 은밀한 글")
    visitor.set_up(model)
    attempt = visitor.answered()
    visitor.ask(attempt)
    (request,) = model.requests
    everything = json.dumps(json.loads(request["body"]), ensure_ascii=False) + json.dumps(request["headers"])
    assert ANSWER in everything
    for private in ("은밀한", attempt, visitor.learner.id, str(home), "사용자", visitor.token):
        assert private not in everything


def test_pressing_twice_sends_once_and_asking_again_sends_again(visitor: Visitor, model: FakeModel) -> None:
    visitor.set_up(model)
    attempt = visitor.answered()
    assert visitor.ask(attempt).status_code == visitor.ask(attempt).status_code == 303
    assert len(model.requests) == 1 and len(visitor.learner.opinions_of(attempt)) == 1
    assert 'name="seen" value="1"' in visitor.get(f"/attempts/{attempt}")
    visitor.ask(attempt, seen=1)
    assert len(model.requests) == 2 and len(visitor.learner.opinions_of(attempt)) == 2


def test_two_presses_at_the_same_time_wait_for_one_errand(visitor: Visitor, model: FakeModel) -> None:
    visitor.set_up(model)
    attempt = visitor.answered()
    model.seconds = 1.0
    answers: list[Any] = []
    presses = [threading.Thread(target=lambda: answers.append(visitor.ask(attempt))) for _ in range(2)]
    for press in presses:
        press.start()
    for press in presses:
        press.join(60)
    assert [answer.headers["location"] for answer in answers] == [f"/attempts/{attempt}#opinion"] * 2
    assert len(model.requests) == 1 and len(visitor.learner.opinions_of(attempt)) == 1


def test_other_pages_are_served_while_a_model_thinks(app: LiveApp, model: FakeModel) -> None:
    learner = app.store.learner()
    learner.set_setting("language", "ko")
    judging.keep(learner, judging.parse_settings("openai", "fake-1", model.url))
    kept = [learner.add_attempt(question=KEY, language="ko", text=ANSWER + " " * place) for place in range(AT_ONCE + 2)]
    model.seconds = 30.0
    with httpx2.Client(base_url=app.url) as client:
        token = client.get("/api/token").json()["csrf"]

        def press(attempt: str) -> None:
            # The app stops while the model is still thinking.
            with httpx2.Client(base_url=app.url, cookies=dict(client.cookies)) as own, contextlib.suppress(httpx2.HTTPError):
                answers.append(own.post(f"/attempts/{attempt}/opinion", data={"csrf": token}, timeout=60))

        answers: list[Any] = []
        for attempt in kept[:AT_ONCE]:
            threading.Thread(target=press, args=(attempt.id,), daemon=True).start()
        for _ in range(400):
            if len(model.requests) == AT_ONCE:
                break
            time.sleep(0.05)
        assert len(model.requests) == AT_ONCE and answers == []
        assert client.get("/practice", timeout=20).status_code == 200
        waiting = client.get(f"/attempts/{kept[0].id}", timeout=20).text
        assert "기다렸다가 보기" in waiting
        busy = client.post(f"/attempts/{kept[-1].id}/opinion", data={"csrf": token}, follow_redirects=True, timeout=20)
        assert "많아요" in busy.text and len(model.requests) == AT_ONCE
        assert answers == [], "everything above came back before any of the models did"


# ---- when it goes wrong -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("mode", "ko", "en"),
    [
        ("error", "HTTP 500", "HTTP 500"),
        ("bad key", "VIVA_LLM_API_KEY", "VIVA_LLM_API_KEY"),
        ("hangs up", "연결이 끊겼어요", "broke off"),
        ("raw", "읽을 수 없어요", "cannot be read"),
    ],
)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_an_error_brings_the_page_back_with_the_offline_grade_and_a_sentence(home: Path, model: FakeModel, language: str, mode: str, ko: str, en: str) -> None:
    visitor = Visitor(home, language)
    visitor.set_up(model)
    attempt = visitor.answered()
    before = visitor.learner.current_grade(attempt)
    model.mode = mode
    failed = visitor.ask(attempt)
    assert failed.headers["location"] == f"/attempts/{attempt}?opinion=failed#opinion"
    page = visitor.get(failed.headers["location"])
    assert (ko if language == "ko" else en) in page.split('id="opinion"')[1]
    assert 'id="ask-opinion"' in page and visitor.learner.opinions_of(attempt) == []
    assert visitor.learner.current_grade(attempt) == before
    model.mode = "good"
    assert visitor.ask(attempt).headers["location"] == f"/attempts/{attempt}#opinion"
    assert 'role="alert"' not in visitor.get(f"/attempts/{attempt}?opinion=failed").split('id="opinion"')[1].split("</section>")[0]
    assert len(visitor.learner.opinions_of(attempt)) == 1


def test_out_of_time_the_page_comes_back_and_says_how_to_wait_longer(visitor: Visitor, model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor.set_up(model)
    attempt = visitor.answered()
    visitor.ask(attempt)  # the library is loaded now
    monkeypatch.setenv("VIVA_LLM_TIMEOUT", "0.5")
    model.seconds = 30.0
    began = time.monotonic()
    page = visitor.get(visitor.ask(attempt, seen=1).headers["location"])
    assert time.monotonic() - began < 25
    assert "0.5초 안에" in page and "VIVA_LLM_TIMEOUT" in page


def test_a_time_limit_that_is_none_is_said_and_nothing_sent(visitor: Visitor, model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor.set_up(model)
    attempt = visitor.answered()
    monkeypatch.setenv("VIVA_LLM_TIMEOUT", "a while")
    page = visitor.get(visitor.ask(attempt).headers["location"])
    assert "VIVA_LLM_TIMEOUT" in page and model.requests == []


def test_without_the_extra_both_pages_say_how_to_install_it(visitor: Visitor, model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    from viva.grading import language_model

    visitor.set_up(model)
    attempt = visitor.answered()
    monkeypatch.setattr(language_model.importlib.util, "find_spec", lambda name: None)
    assert 'pip install "viva[llm]"' in visitor.get("/settings")
    assert 'pip install "viva[llm]"' in visitor.get(visitor.ask(attempt).headers["location"])


def test_what_cannot_be_judged_is_refused_and_not_sent(visitor: Visitor, model: FakeModel) -> None:
    visitor.set_up(model)
    assert visitor.ask(str(uuid.uuid4())).status_code == 404
    blank = visitor.answered(" ")
    spoken = visitor.answered("", way="spoken")
    for attempt in (blank, spoken):
        assert "ask-opinion" not in visitor.get(f"/attempts/{attempt}")
        assert visitor.ask(attempt).status_code == 422
    assert visitor.client.post(f"/attempts/{blank}/opinion", data={"seen": 0}, headers={"origin": LOCAL}).status_code == 403
    assert visitor.ask(blank, seen=-1).status_code == 422
    assert model.requests == []


def test_during_an_exam_nothing_is_asked(visitor: Visitor, model: FakeModel) -> None:
    visitor.set_up(model)
    session = visitor.learner.start_session("exam", [KEY, "dropout"], time_limit_seconds=600)
    attempt = visitor.answered(session=session.id)
    assert visitor.ask(attempt).headers["location"] == f"/attempts/{attempt}"
    assert model.requests == []


# ---- errands -------------------------------------------------------------------------------------------------------
def test_an_errand_that_breaks_ends_and_can_be_run_again() -> None:
    errands = Errands()

    def broken() -> None:
        raise RuntimeError("no such thing")

    errands.run("a", broken).result(10)
    assert errands.ended("a").failed and not errands.is_under_way("a")  # type: ignore[union-attr]
    errands.run("a", lambda: None).result(10)
    assert errands.ended("a") is None
    errands.run("a", lambda: Text(ko="됐어요", en="done")).result(10)
    assert errands.ended("a") == (Text(ko="됐어요", en="done"), False)
