"""What has been written survives a closed tab and a dead server, and arrives once."""

from __future__ import annotations

from typing import Any

import pytest
from browser_learner import OWN_WORDS, QUESTION, Learner, at_the_browser

pytestmark = pytest.mark.browser
SERVER_GONE = r"Failed to load resource|net::ERR_|Failed to fetch"


def test_a_closed_tab_loses_no_word(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        learner.ask()
        path = learner.path()
        learner.page.locator("textarea").press_sequentially("시그모이드는 기울기가 0.25보다 작아서", delay=5)
        learner.page.wait_for_timeout(100)
        learner.page.close()
        learner.page = learner.context.new_page()
        learner.open(path)
        learner.ready()
        assert learner.page.input_value("textarea") == "시그모이드는 기울기가 0.25보다 작아서"
        learner.see("#saved", "쓰던 답을 불러왔습니다")


def test_a_draft_typed_here_is_there_on_another_device(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        learner.page.clock.install()
        learner.ask()
        learner.page.fill("textarea", "The sigmoid saturates.")
        learner.page.clock.run_for(2500)
        learner.until("() => document.querySelector('#saved').textContent === 'Saved'")
        with at_the_browser(app, chromium, "en") as tablet:
            tablet.open(learner.path())
            tablet.ready()
            assert tablet.page.input_value("textarea") == "The sigmoid saturates."


def test_an_answer_handed_in_leaves_no_draft(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        learner.page.clock.install()
        learner.ask()
        learner.page.fill("textarea", OWN_WORDS["en"])
        learner.page.clock.run_for(2500)
        learner.until("() => document.querySelector('#saved').textContent === 'Saved'")
        learner.hand_in()
        learner.ask()
        assert learner.page.input_value("textarea") == ""


def under_the_worker(learner: Learner) -> None:
    """Opens a page and waits until the service worker looks after it."""
    learner.open("/practice")
    learner.until("() => navigator.serviceWorker.controller !== null")


def test_a_dead_server_loses_no_word_and_the_answer_arrives_once(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        page = learner.page
        learner.forgive(SERVER_GONE)
        under_the_worker(learner)
        learner.ask()
        page.fill("textarea", "The sigmoid saturates,")
        app.stop()
        page.locator("textarea").press_sequentially(" ReLU does not.")
        page.reload()
        learner.ready()
        assert page.input_value("textarea") == "The sigmoid saturates, ReLU does not."
        page.keyboard.press("Control+Enter")
        learner.see("#saved", "Your answer is kept on this device and is sent when it is back.")
        app.start()
        page.wait_for_url("**/attempts/*")
        assert page.locator("[aria-labelledby=own-title] .said").inner_text() == "The sigmoid saturates, ReLU does not."
        assert learner.api("/stats")["answers"] == 1
        learner.open("/practice")
        learner.until("() => new Promise(resolve => { const open = indexedDB.open('viva', 1); open.onsuccess = () => { const all = open.result.transaction('outbox').objectStore('outbox').count(); all.onsuccess = () => { open.result.close(); resolve(all.result === 0); }; }; })")
        assert learner.api("/stats")["answers"] == 1


def test_an_answer_kept_in_a_closed_tab_arrives_at_the_next_visit(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        learner.forgive(SERVER_GONE)
        learner.ask()
        learner.page.fill("textarea", OWN_WORDS["en"])
        app.stop()
        learner.page.keyboard.press("Control+Enter")
        learner.see("#saved", "kept on this device")
        learner.page.close()
        app.start()
        learner.page = learner.context.new_page()
        learner.open("/outline")
        learner.until("() => fetch('/api/stats').then(answer => answer.json()).then(stats => stats.answers === 1)")
        assert [attempt.text for attempt in learner.stored().attempts_of(QUESTION)] == [OWN_WORDS["en"]]


def test_handing_in_again_after_a_reload_stores_the_answer_once(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        learner.forgive(SERVER_GONE)
        session = learner.ask(QUESTION, "dropout", mode="list")
        learner.page.fill("textarea", OWN_WORDS["en"])
        app.stop()
        learner.page.keyboard.press("Control+Enter")
        learner.see("#saved", "kept on this device")
        learner.page.close()
        app.start()
        # The page of the question comes fresh from the server; the waiting answer goes on there by itself.
        learner.page = learner.context.new_page()
        learner.page.goto(f"{app.url}/practice/{session}/1")
        learner.page.wait_for_url("**/attempts/*")
        learner.open("/practice")
        learner.open("/progress")
        assert learner.page.locator("dl.figures dd").first.inner_text() == "1"


def test_the_very_first_page_can_be_reloaded_without_a_server(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        learner.forgive(SERVER_GONE)
        learner.ask()
        learner.until("path => caches.open('viva-1').then(cache => cache.match(path)).then(kept => !!kept)", learner.path())
        learner.page.fill("textarea", "기울기가 줄지 않습니다.")
        app.stop()
        learner.page.reload()
        learner.ready()
        assert learner.page.input_value("textarea") == "기울기가 줄지 않습니다."
        app.start()
