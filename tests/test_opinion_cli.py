"""``viva grade --judge``: the language model of the settings, or of the environment, in the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_model import FakeModel, fake_model
from test_cli import viva

from viva.grading.language_model import parse_settings
from viva.store import Store
from viva.web import judging

pytestmark = pytest.mark.slow  # every test starts processes of its own

ANSWER = "ReLU는 양수에서 기울기가 1이라 신호가 그대로 전달돼요. 그래서 깊은 층까지 학습됩니다."
QUOTE = "ReLU는 양수에서 기울기가 1이라 신호가 그대로 전달돼요"

pytest.importorskip("any_llm", reason="the extra viva[llm] is not installed")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROVIDER", "MODEL", "BASE_URL", "API_KEY", "TIMEOUT"):
        monkeypatch.delenv(f"VIVA_LLM_{name}", raising=False)


@pytest.fixture
def model() -> Iterator[FakeModel]:
    with fake_model() as running:
        running.reply = [{"id": "relu-slope", "status": "made", "quote": QUOTE}, {"id": "relu-costs", "status": "made", "quote": "지어낸 인용입니다"}]
        yield running


def graded(*options: str, lang: str = "ko") -> Any:
    return viva("grade", "relu-vs-sigmoid", "--lang", "ko", *options, stdin=ANSWER, lang=lang)


def set_up(model: FakeModel, home: Path) -> None:
    with Store.open(home / "viva.db") as store:
        judging.keep(store.learner(), parse_settings("openai", "fake-1", model.url))


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_without_settings_it_says_where_to_set_it_up_and_grades_all_the_same(lang: str, model: FakeModel) -> None:
    ran = graded("--judge", lang=lang)
    assert ran.returncode == 1 and "%" in ran.stdout
    assert "VIVA_LLM_PROVIDER" in ran.stderr and "Traceback" not in ran.stderr


def test_the_settings_of_the_app_are_used_and_what_is_sent_is_said_first(model: FakeModel, home: Path) -> None:
    set_up(model, home)
    plain = json.loads(graded("--json").stdout)
    assert model.requests == [], "only --judge asks"
    ran = graded("--judge", "--json", lang="en")
    assert ran.returncode == 0, ran.stderr
    assert "sending the question, its points and this answer to fake-1 at 127.0.0.1" in ran.stderr and "on this machine" in ran.stderr
    both = json.loads(ran.stdout)
    (opinion,) = both.pop("opinions")
    assert both == plain, "the offline grade stays as it is"
    marks = {mark["id"]: mark for mark in opinion["points"]}
    assert (marks["relu-slope"]["status"], marks["relu-costs"]["status"]) == ("made", "missed")
    assert QUOTE in marks["relu-slope"]["quote"] and opinion["judge"].startswith("fake-1 (")
    assert [mark["id"] for mark in opinion["refused"] if mark["quote"]] == ["relu-costs"]


def test_the_environment_overrides_the_settings(model: FakeModel, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(model, home)
    monkeypatch.setenv("VIVA_LLM_MODEL", "another-model")
    ran = graded("--judge")
    assert ran.returncode == 0 and "another-model" in ran.stdout and QUOTE in ran.stdout
    assert model.sent()["model"] == "another-model"


def test_switched_off_in_the_app_it_is_off_here_too(model: FakeModel, home: Path) -> None:
    set_up(model, home)
    with Store.open(home / "viva.db") as store:
        judging.keep(store.learner(), None)
    assert graded("--judge").returncode == 1 and model.requests == []


def test_an_error_is_one_sentence_beside_the_offline_grade(model: FakeModel, home: Path) -> None:
    set_up(model, home)
    model.mode = "error"
    ran = graded("--judge", lang="en")
    assert ran.returncode == 1 and "HTTP 500" in ran.stderr and "Traceback" not in ran.stderr
    assert "% of the points" in ran.stdout


def test_a_setting_of_the_environment_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVA_LLM_PROVIDER", "openai")
    monkeypatch.setenv("VIVA_LLM_MODEL", "m")
    monkeypatch.setenv("VIVA_LLM_BASE_URL", "localhost")
    ran = graded("--judge", lang="en")
    assert ran.returncode == 1 and "http" in ran.stderr and "Traceback" not in ran.stderr
