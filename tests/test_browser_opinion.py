"""A second opinion in a real browser: set up, asked for, seen beside the offline marks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser_learner import LANGUAGES, OWN_WORDS, PHONE, Learner, at_the_browser
from fake_model import FakeModel, fake_model
from test_browser_access import AXE, axe

pytestmark = pytest.mark.browser
pytest.importorskip("any_llm", reason="the extra viva[llm] is not installed")

QUOTES = {"ko": "ReLU는 양수에서 기울기가 1이라 신호가 그대로 전달돼요", "en": "ReLU has a slope of 1 for positive inputs, so it keeps the signal"}
INVENTED = {"ko": "죽은 뉴런이 생긴다는 단점도 있습니다", "en": "Its price is that some units die"}


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeModel]:
    for name in ("VIVA_LLM_API_KEY", "VIVA_LLM_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    with fake_model() as running:
        yield running


def replies(model: FakeModel, language: str) -> None:
    model.reply = [{"id": "relu-slope", "status": "partly", "quote": QUOTES[language]}, {"id": "relu-costs", "status": "made", "quote": INVENTED[language]}]


def set_up(learner: Learner, model: FakeModel) -> None:
    """Switches the second opinion on, with the keyboard and the mouse, and tries it."""
    page = learner.page
    learner.open("/settings")
    learner.see("#opinion", learner.say("꺼져 있어서", "It is off"))
    page.locator("#opinion input[value=on]").check()
    page.fill("#opinion input[name=provider]", "openai")
    page.fill("#opinion input[name=model]", "fake-1")
    page.fill("#opinion input[name=base_url]", model.url)
    page.click("#opinion button[value=save]")
    page.wait_for_url("**/settings?done=settings#opinion")
    learner.see("#opinion", learner.say("이 컴퓨터 밖으로는 아무것도 나가지 않습니다", "Nothing leaves this machine"))
    assert model.requests == []


def asking(learner: Learner) -> None:
    """Waits until the page says that the model is being asked."""
    learner.see("#opinion [data-asking]", "fake-1")
    learner.see("#ask-opinion[aria-disabled=true]")


def for_everyone(learner: Learner) -> list[str]:
    """What axe finds on the page, in the light and in the dark."""
    if not AXE.is_file():
        return []
    found = axe(learner)
    learner.page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    found += axe(learner, runOnly=["color-contrast", "target-size"])
    learner.page.emulate_media(color_scheme="light", reduced_motion="reduce")
    return found


def fits(learner: Learner) -> bool:
    return bool(learner.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("size", [{"width": 1180, "height": 800}, PHONE], ids=["desk", "phone"])
def test_set_up_ask_and_see_both(app: Any, chromium: Any, model: FakeModel, language: str, size: dict[str, int]) -> None:
    replies(model, language)
    with at_the_browser(app, chromium, language, viewport=size, color_scheme="light", reduced_motion="reduce") as learner:
        page = learner.page
        set_up(learner, model)
        assert fits(learner) and for_everyone(learner) == []
        learner.ask()
        learner.answer(OWN_WORDS[language])
        attempt = learner.path().rsplit("/", 1)[1]
        before, suggested = learner.marks(), learner.suggested()
        model.seconds = 1.5
        page.dblclick("#ask-opinion")
        asking(learner)
        learner.see("#point-relu-slope .second")
        assert len(model.requests) == 1, "two clicks are one question"
        assert (learner.marks(), learner.suggested()) == (before, suggested)
        slope = page.locator("#point-relu-slope .second").inner_text()
        assert QUOTES[language] in slope
        assert (learner.say("다름", "differs") in slope) == (before[1] != "partly")
        assert INVENTED[language] in page.locator("#point-relu-costs .second").last.inner_text()
        assert fits(learner) and for_everyone(learner) == []
        assert [mark.status for mark in learner.stored().current_grade(attempt).grade.points] == before


def test_a_mark_pressed_while_the_model_thinks_is_kept_and_the_opinion_comes_all_the_same(app: Any, chromium: Any, model: FakeModel) -> None:
    replies(model, "ko")
    with at_the_browser(app, chromium, "ko") as learner:
        set_up(learner, model)
        learner.ask()
        learner.answer(OWN_WORDS["ko"])
        model.seconds = 3.0
        learner.page.click("#ask-opinion")
        asking(learner)
        learner.mark(3, "made")
        asking(learner)
        learner.see("#point-relu-slope .second")
        assert learner.marks()[3] == "made"
        assert len(model.requests) == 1


def test_what_goes_wrong_is_seen_where_one_asked(app: Any, chromium: Any, model: FakeModel) -> None:
    model.mode = "error"
    with at_the_browser(app, chromium, "en") as learner:
        set_up(learner, model)
        learner.ask()
        learner.answer(OWN_WORDS["en"])
        before = learner.marks()
        learner.page.focus("#ask-opinion")
        learner.page.keyboard.press("Enter")
        learner.see("#opinion [role=alert]", "HTTP 500")
        assert learner.marks() == before
        learner.page.locator("#opinion [role=alert]").wait_for(state="visible")
        model.mode = "good"
        replies(model, "en")
        learner.page.click("#ask-opinion")
        learner.see("#point-relu-slope .second")
        assert learner.page.locator("#opinion [role=alert]").count() == 0


def test_trying_the_settings_says_what_came_of_it(app: Any, chromium: Any, model: FakeModel) -> None:
    model.mode = "bad key"
    with at_the_browser(app, chromium, "ko", viewport=PHONE) as learner:
        set_up(learner, model)
        learner.page.click("#opinion button[value=try]")
        learner.see("#tried", "VIVA_LLM_API_KEY")
        assert fits(learner)
