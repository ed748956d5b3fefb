"""A learner at a browser: the steps that the page tests take, in the words of the app.

Whatever else a test looks at, a visit also fails when a request leaves the machine, when the page writes an error to its
console, when a script throws, or when the content security policy refuses something: :func:`at_the_browser` checks all four.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from viva.bank import Bank, load_bank

Error = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install 'viva[test]'").Error
LANGUAGES = ("ko", "en")
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1180, "height": 800}
WAIT_MS = 10_000

# In a learner's own words: some points made, some left out.
OWN_WORDS = {
    "ko": "시그모이드는 미분하면 최대 0.25라서 층이 깊어질수록 기울기가 작아집니다. ReLU는 양수에서 기울기가 1이라 신호가 그대로 전달돼요.",
    "en": "The derivative of the sigmoid is at most 0.25, so gradients shrink with depth. ReLU has a slope of 1 for positive inputs, so it keeps the signal.",
}
SECOND_WORDS = {
    "ko": "시그모이드는 미분하면 최대 0.25라서 층이 깊어질수록 기울기가 작아집니다. 그래서 He 초기화와 함께 ReLU를 써요.",
    "en": "The derivative of the sigmoid is at most 0.25, so gradients shrink with depth. That is why ReLU is used with He initialisation.",
}
QUESTION = "relu-vs-sigmoid"

_bank: list[Bank] = []


def bank() -> Bank:
    """The built-in questions, read once for all tests."""
    if not _bank:
        _bank.append(load_bank([])[0])
    return _bank[0]


def plain(markdown: str) -> str:
    """The start of a Markdown text that also stands in the page's HTML: up to the first mark-up or formula."""
    return re.split(r"[$*`_\[<&'\"]", markdown.strip())[0].strip()


class Learner:
    """One person with one browser window. ``page`` is Playwright's page; the methods are what a person would do."""

    def __init__(self, app: Any, context: Any, language: str) -> None:
        self.app = app
        self.context = context
        self.language = language
        self.page = context.new_page()
        self.trouble: list[str] = []
        self.forgiven: list[str] = []

    # ---- looking around ---------------------------------------------------------------------------------------
    def open(self, path: str) -> Any:
        response = self.page.goto(self.app.url + path)
        return response

    def say(self, ko: str, en: str) -> str:
        return ko if self.language == "ko" else en

    def path(self) -> str:
        return urlsplit(self.page.url).path

    def api(self, path: str) -> Any:
        """What ``/api`` says to this browser."""
        return self.page.evaluate("path => fetch(path).then(answer => answer.json())", f"/api{path}")

    def until(self, script: str, argument: Any = None) -> Any:
        """Waits until the function is true in the page, a promise being waited for; returns its value."""
        deadline = time.monotonic() + WAIT_MS / 1000
        while True:
            try:
                value = self.page.evaluate(script, argument)
            except Error as error:
                # Between two pages there is nothing to ask.
                if "context was destroyed" not in str(error):
                    raise
                value = None
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"still not so after {WAIT_MS / 1000:.0f} s on {self.page.url}: {script}")
            self.page.wait_for_timeout(20)

    def see(self, selector: str, text: str | None = None) -> Any:
        """Waits until ``selector`` (containing ``text``) is visible and returns its locator."""
        found = self.page.locator(selector, has_text=text) if text else self.page.locator(selector)
        found.first.wait_for(state="visible", timeout=WAIT_MS)
        return found.first

    def forgive(self, pattern: str) -> None:
        """Console errors that match ``pattern`` belong to this test, such as those of a server that was stopped."""
        self.forgiven.append(pattern)

    # ---- practising -------------------------------------------------------------------------------------------
    def ask(self, *keys: str, mode: str = "one") -> str:
        """Opens a session over ``keys`` at its first question; returns the session's id."""
        session = self.app.store.learner().start_session(mode, list(keys or (QUESTION,)))
        self.open(f"/practice/{session.id}/1")
        self.ready()
        return session.id

    def ready(self) -> None:
        """Waits until the page of a question has been taken over by its script."""
        self.until("() => document.querySelector('#answer')?.dataset.ready === '1'")

    def answer(self, words: str) -> None:
        """Types ``words``, hands them in with the keyboard and waits for the page after it."""
        self.page.fill("textarea[name=text]", words)
        self.hand_in()

    def hand_in(self) -> None:
        before = self.page.url
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_url(lambda url: url != before, timeout=WAIT_MS)

    def marks(self) -> list[str]:
        """The mark of each point on the reveal, in order."""
        return self.page.eval_on_selector_all(
            "#points li:not(.wrong)", "items => items.map(item => item.querySelector('[aria-pressed=true]').value)"
        )

    def mark(self, place: int, status: str) -> None:
        """Overrules the mark of the point at ``place`` (from 0) and waits until the page has followed."""
        self.page.locator("#points li:not(.wrong)").nth(place).locator(f"button.{status}").click()
        self.settled()

    def settled(self) -> None:
        """Waits until no mark is on its way any more."""
        self.until("() => document.querySelector('#main') && !document.querySelector('#main[aria-busy]')")

    def suggested(self) -> int | None:
        button = self.page.locator("[data-suggested]")
        return int(button.get_attribute("value")) if button.count() else None

    def rate(self, number: int) -> None:
        before = self.page.url
        self.page.keyboard.press(str(number))
        self.page.wait_for_url(lambda url: url != before, timeout=WAIT_MS)

    def undo(self) -> None:
        """Presses U and waits until the page says that the step is undone."""
        self.page.keyboard.press("u")
        self.page.wait_for_url("**done=undone**", timeout=WAIT_MS)

    def stored(self) -> Any:
        """The learner's data as the server has it."""
        return self.app.store.learner()


@contextmanager
def at_the_browser(app: Any, chromium: Any, language: str | None = "ko", **options: Any) -> Iterator[Learner]:
    """A browser window of its own, with the language already chosen (None: as on the very first visit)."""
    if language is not None:
        app.store.learner().set_setting("language", language)
    locale = "en-GB" if language == "en" else "ko-KR"
    context = chromium.new_context(**{"viewport": DESK, "locale": locale, **options})
    context.set_default_timeout(WAIT_MS)
    learner = Learner(app, context, language or "ko")
    _watch(context, learner)
    try:
        yield learner
        trouble = [line for line in learner.trouble if not any(re.search(pattern, line) for pattern in learner.forgiven)]
        assert not trouble, "the visit left trouble behind:\n" + "\n".join(trouble)
    finally:
        context.close()


def _watch(context: Any, learner: Learner) -> None:
    def request(sent: Any) -> None:
        if not sent.url.startswith((learner.app.url + "/", "data:", "blob:")):
            learner.trouble.append(f"left the machine: {sent.method} {sent.url}")

    def console(message: Any) -> None:
        # Refusals of the content security policy are console errors, too.
        if message.type == "error":
            learner.trouble.append(f"console: {message.text}")

    context.on("request", request)
    context.on("console", console)
    context.on("weberror", lambda error: learner.trouble.append(f"script: {error.error}"))
