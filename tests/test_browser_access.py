"""For everyone: keyboard alone, screen reader (axe), a phone of 360 px, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_learner import DESK, LANGUAGES, OWN_WORDS, PHONE, QUESTION, Learner, at_the_browser, bank

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parent.parent
AXE = ROOT / "client" / "node_modules" / "axe-core" / "axe.min.js"
LIST = "# Lists\n\nA loose line.\n\n## What is a list?\n\nA list is a sequence. It has an order.\n\n## And a question without an answer?\n"
STROKES = [
    [[30 + 9 * step, 60 + (step % 5) * 6, 40 * step, 0.2 + 0.06 * (step % 9)] for step in range(12)],
    [[40 + 7 * step, 150 - (step % 4) * 9, 900 + 40 * step, 0.7] for step in range(14)],
]


def answer_by_hand(learner: Learner) -> str:
    """Hands in a handwritten answer as the pad does; returns the path of its reveal."""
    return learner.page.evaluate(
        """async ([question, strokes]) => {
          const { csrf } = await (await fetch('/api/token')).json();
          const ink = { device: 'pen', width: 320, height: 374, pages: [strokes.map(points => ({ tool: 'pen', points }))] };
          const answer = await fetch('/api/attempts', { method: 'POST', headers: { 'content-type': 'application/json', 'x-csrf-token': csrf },
            body: JSON.stringify({ attempt: crypto.randomUUID(), question, way: 'ink', ink, seconds: 42 }) });
          return (await answer.json()).next; }""",
        [QUESTION, STROKES],
    )


def tour(learner: Learner, folder: Path) -> Iterator[str]:
    """Leads through every page in the states that matter; yields the name of each once it stands."""
    page = learner.page
    learner.open("/welcome")
    yield "welcome"
    learner.open("/practice")
    yield "practice, empty"
    learner.open("/progress")
    yield "progress, empty"
    learner.ask(QUESTION, "dropout", mode="list")
    yield "ask, typing"
    page.click("#tab-ink")
    page.locator("[data-pad] canvas").wait_for()
    yield "ask, handwriting"
    page.click("#tab-spoken")
    learner.see("#way-spoken")
    yield "ask, speaking"
    page.click("#tab-text")
    learner.answer(OWN_WORDS[learner.language] + learner.say(" 출력이 0과 1 사이로 막혀 있어서 기울기가 작아지는 거예요.", " The output is bounded between 0 and 1, so the gradient is small."))
    first = learner.path()
    learner.until("() => [...document.querySelectorAll('.math')].every(span => span.querySelector('.katex'))")
    yield "reveal"
    learner.rate(3)
    learner.ready()
    yield "ask, after a rating"
    answer = bank()[QUESTION].answer
    assert answer is not None
    learner.ask()
    learner.answer(answer.get(learner.language))
    page.locator("details.earlier summary").first.click()
    yield "reveal, copied, with an earlier answer"
    learner.open(answer_by_hand(learner))
    learner.see("[data-replay] canvas")
    yield "reveal, handwritten"
    learner.mark(0, "partly")
    yield "reveal, marked by the learner"
    learner.open(first)
    yield "reveal, rated"
    learner.open("/practice")
    yield "practice"
    learner.open("/outline")
    page.click(f"#q-{QUESTION} summary")
    learner.see(f"#q-{QUESTION} .short")
    yield "outline"
    learner.open(f"/questions/{QUESTION}")
    page.fill("#mine textarea", OWN_WORDS[learner.language])
    page.click("#mine button")
    page.wait_for_url("**done=mine*")
    yield "question, with my answer"
    learner.open("/progress")
    yield "progress"
    session = learner.stored().start_session("exam", [QUESTION], time_limit_seconds=600)
    learner.open(f"/practice/{session.id}/end")
    yield "end"
    learner.open("/settings?done=settings")
    yield "settings"
    list_file = folder / "list.md"
    list_file.write_text(LIST, encoding="utf-8")
    learner.open("/packs")
    page.set_input_files("input[name=file]", list_file)
    page.click("form.stack button.go")
    page.wait_for_url("**/packs/preview")
    yield "a list, read"
    page.click("form.stack button.go")
    page.wait_for_url("**/packs?done=import")
    yield "packs"
    learner.open("/outline")
    key = page.locator("details.q").last.get_attribute("id").removeprefix("q-")
    learner.open(f"/questions/{key}/edit")
    yield "edit"
    learner.open("/print?topic=activations")
    yield "print"
    learner.open("/glossary")
    yield "glossary"
    learner.forgive("404")
    learner.open("/questions/none-such")
    yield "error"
    learner.open("/practice")
    page.keyboard.press("?")
    learner.see("#keys")
    yield "help"


def axe(learner: Learner, **options: Any) -> list[str]:
    """What axe finds on the page as it stands, as lines; only what it calls serious or critical."""
    # Evaluated, not added as an element: the page's policy allows no script but its own.
    learner.page.evaluate(AXE.read_text(encoding="utf-8") + ";undefined")
    found = learner.page.evaluate("options => axe.run(document, { resultTypes: ['violations'], ...options })", options)
    return [
        f"{violation['id']} ({violation['impact']}): {node['target']} {node['failureSummary'].splitlines()[-1].strip()}"
        for violation in found["violations"] if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"][:5]
    ]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_for_everyone_at_a_desk_and_on_a_phone_in_light_and_dark(
    app: Any, chromium: Any, language: str, tmp_path: Path
) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: run `npm ci` in client/")
    wrong = []
    with at_the_browser(app, chromium, language, color_scheme="light", reduced_motion="reduce", has_touch=True) as learner:
        page = learner.page
        for name in tour(learner, tmp_path):
            wrong += [f"{name}: {line}" for line in axe(learner)]
            page.emulate_media(color_scheme="dark", reduced_motion="reduce")
            page.set_viewport_size(PHONE)
            wrong += [f"{name}, dark, on a phone: {line}" for line in axe(learner, runOnly=["color-contrast", "target-size"])]
            dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
            if dark != "rgb(21, 21, 19)":
                wrong.append(f"{name}: the background in the dark is {dark}")
            width, widest = page.evaluate(
                """() => [document.documentElement.scrollWidth, [...document.querySelectorAll('main *')].filter(one =>
                one.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map(one => one.outerHTML.slice(0, 90))]"""
            )
            if width > PHONE["width"]:
                wrong.append(f"{name}: {width} px wide because of {widest}")
            page.emulate_media(color_scheme="light", reduced_motion="reduce")
            page.set_viewport_size(DESK)
    assert not wrong, "\n".join(wrong)


# ---- keyboard ---------------------------------------------------------------------------------------------------
REACHABLE = """() => { let number = 0; return [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')].filter(one =>
    !one.disabled && one.tabIndex >= 0 && one.type !== 'hidden' && one.checkVisibility({ visibilityProperty: true })).map(one => one.dataset.tabbed = String(number++)); }"""
FOCUSED = """() => { const one = document.activeElement; if (!one || one === document.body) return null;
    const style = getComputedStyle(one), box = one.getBoundingClientRect(), plain = document.querySelector('textarea:not(:focus)');
    return { number: one.dataset.tabbed ?? one.outerHTML.slice(0, 80), html: one.outerHTML.slice(0, 80),
      shown: (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1) || (one.matches('textarea') && style.borderTopColor === 'rgb(59, 91, 219)'),
      inView: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth }; }"""


def tab_through(learner: Learner) -> None:
    """Presses Tab until it comes round; everything must be reached, in the order of the page, with its focus to be seen."""
    page = learner.page
    expected = page.evaluate(REACHABLE)
    # Tab starts from the top of the page, wherever the focus was.
    page.evaluate("() => { const top = document.createElement('span'); top.tabIndex = -1; document.body.prepend(top); top.focus(); }")
    seen = []
    for _ in range(len(expected) + 5):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None or focused["number"] in seen:
            break
        assert focused["shown"], f"the focus cannot be seen on {focused['html']}"
        assert focused["inView"], f"the focus is out of view on {focused['html']}"
        seen.append(focused["number"])
    assert seen == expected


def test_tab_reaches_everything_on_the_asking_page(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko", color_scheme="light", reduced_motion="reduce") as learner:
        learner.ask(QUESTION, "dropout", mode="list")
        tab_through(learner)
        learner.page.keyboard.press("Alt+2")
        learner.page.locator("[data-pad] canvas").wait_for()
        tab_through(learner)
        learner.page.keyboard.press("Alt+3")
        learner.see("#way-spoken")
        tab_through(learner)


def test_tab_reaches_everything_on_the_reveal(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en", color_scheme="light", reduced_motion="reduce") as learner:
        learner.ask()
        learner.answer(OWN_WORDS["en"])
        learner.until("() => [...document.querySelectorAll('.math')].every(span => span.querySelector('.katex'))")
        tab_through(learner)


def test_a_whole_question_with_the_keyboard_alone(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        page = learner.page
        learner.open("/practice")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        page.keyboard.press("Enter")
        page.wait_for_url("**/practice/*/1")
        learner.ready()
        assert page.evaluate("document.activeElement.name") == "text", "one has to click before one can type"
        page.keyboard.type("Layers trained by backpropagation.")
        learner.hand_in()
        # A mark by keyboard: the focus stays on it, so that the next press changes it again.
        page.locator("#points li").nth(1).locator("button.backwards").focus()
        page.keyboard.press("Enter")
        learner.settled()
        assert learner.marks()[1] == "backwards"
        assert page.evaluate("document.activeElement.matches('#points li:nth-child(2) button.backwards')"), "the focus is lost"
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Space")
        learner.settled()
        assert learner.marks()[1] == "missed"
        page.evaluate("document.activeElement.blur()")
        suggested = learner.suggested()
        page.keyboard.press("Enter")
        page.wait_for_url("**/practice/*/2?done=rate")
        assert [review.rating for review in learner.stored().reviews()] == [suggested]


def test_arrows_move_between_the_ways_of_answering(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        page = learner.page
        learner.ask()
        page.focus("#tab-text")
        for key, name in (("ArrowRight", "ink"), ("ArrowRight", "spoken"), ("ArrowRight", "text"), ("ArrowLeft", "spoken")):
            page.keyboard.press(key)
            assert page.evaluate("document.activeElement.id") == f"tab-{name}"
            assert page.locator("[role=tab][aria-selected=true]").get_attribute("id") == f"tab-{name}"
            assert page.locator("[role=tabpanel]:visible").get_attribute("id") == f"way-{name}"


def test_the_help_opens_and_closes_and_keys_lead_to_the_pages(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        page = learner.page
        learner.open("/practice")
        page.keyboard.press("?")
        learner.see("#keys")
        assert page.evaluate("document.activeElement.closest('dialog') !== null")
        page.keyboard.press("Escape")
        learner.until("() => !document.querySelector('#keys').open")
        for key, path in (("o", "/outline"), ("r", "/progress"), ("s", "/settings"), ("p", "/practice")):
            page.keyboard.press("g")
            page.keyboard.press(key)
            page.wait_for_url(f"**{path}")
        # Keys are letters again where one types.
        learner.ask()
        page.keyboard.type("go? u 3")
        assert page.input_value("textarea") == "go? u 3"
        learner.open(f"/questions/{QUESTION}")
        page.keyboard.press("j")
        page.wait_for_url(lambda url: not url.endswith(QUESTION))
        page.keyboard.press("k")
        page.wait_for_url(f"**/{QUESTION}")


def test_moving_between_questions_with_the_keyboard(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        session = learner.ask(QUESTION, "dropout", mode="list")
        learner.page.keyboard.press("Alt+ArrowRight")
        learner.page.wait_for_url(f"**/practice/{session}/2")
        learner.ready()
        learner.page.keyboard.press("Alt+ArrowLeft")
        learner.page.wait_for_url(f"**/practice/{session}/1")
