"""Outline and search, the print view, lists imported on the page, settings, and a learner's data from one app to another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from browser_learner import LANGUAGES, OWN_WORDS, QUESTION, Learner, at_the_browser, bank, plain
from live_app import LiveApp

pytestmark = pytest.mark.browser


def hits(learner: Learner) -> list[str]:
    return [name.removeprefix("q-") for name in learner.page.eval_on_selector_all("details.q", "found => found.map(one => one.id)")]


def search(learner: Learner, words: str) -> list[str]:
    """Types ``words`` into the search field and waits for the list that belongs to them."""
    with learner.page.expect_response(lambda response: "/outline?q=" in response.url):
        learner.page.fill("input[type=search]", words)
    learner.until("words => new URL(location.href).searchParams.get('q') === words", words)
    return hits(learner)


def test_questions_fold_and_unfold_one_by_one_and_all_at_once(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        page = learner.page
        learner.open("/outline")
        assert len(hits(learner)) == len(bank())
        entry = page.locator(f"#q-{QUESTION}")
        answer = plain(bank()[QUESTION].answer.ko)
        assert answer not in page.content()
        # Unfolding fetches the answer and the points, with their formulas set.
        entry.locator("summary").click()
        entry.locator(".said", has_text=answer).wait_for()
        assert entry.locator(".short li").count() == len(bank()[QUESTION].points)
        learner.until("() => [...document.querySelectorAll('details[open] .math')].every(span => span.querySelector('.katex'))")
        entry.locator("summary").click()
        assert not entry.locator(".brief").is_visible()
        # Everything at once, with the key, and back.
        page.keyboard.press("e")
        learner.until("() => [...document.querySelectorAll('details')].every(one => one.open)")
        assert page.inner_text("[data-fold-all]") == "모두 접기"
        learner.until("() => [...document.querySelectorAll('.brief')].every(one => one.querySelector('.short'))")
        page.click("[data-fold-all]")
        learner.until("() => [...document.querySelectorAll('#list details')].every(one => !one.open)")
        assert page.inner_text("[data-fold-all]") == "모두 펼치기"


@pytest.mark.parametrize("language", LANGUAGES)
def test_particles_and_inflection_hide_no_question(app: Any, chromium: Any, language: str) -> None:
    with at_the_browser(app, chromium, language) as learner:
        learner.open("/outline")
        for words, wanted in (
            ("기울기가 사라지는", "vanishing-gradients"),
            ("활성화 함수를", "cost-vs-activation"),
            ("vanishing gradients", "vanishing-gradients"),
            ("시그모이드보다", QUESTION),
            ("regularized", "l1-l2-regularization"),
            ("드랍아웃", "dropout"),
        ):
            found = search(learner, words)
            assert wanted in found, f"'{words}' does not find {wanted}, only {found}"
            assert len(found) < len(bank()) / 2, f"'{words}' finds nearly everything"
        # The slash key goes to the field; a search for nothing that exists says so.
        learner.page.locator("h1").click()
        learner.page.keyboard.press("/")
        assert learner.page.evaluate("document.activeElement.type") == "search"
        assert search(learner, "qqqqzzzz") == []
        learner.see(".empty", "qqqqzzzz")
        search(learner, "")
        assert len(hits(learner)) == len(bank())


def test_the_outline_shows_what_was_met(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        learner.ask()
        learner.answer(OWN_WORDS["en"])
        learner.rate(3)
        learner.open("/outline#topic-activations")
        assert learner.page.locator("#topic-activations > summary .num").inner_text().startswith("1/")
        assert learner.page.locator(f"#q-{QUESTION} .dot").get_attribute("aria-label") == "tried"
        assert learner.page.locator(f"#q-{QUESTION} summary .num").inner_text().endswith("%")


def test_the_printed_page_has_no_frame(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        page = learner.page
        learner.open("/print?answers=0&topic=activations")
        assert page.locator("article.sheet").count() == len(bank().by_topic["activations"])
        assert page.locator(".room").count() == page.locator("article.sheet").count()
        assert page.locator("header.bar").is_visible() and page.locator("form.tools").is_visible()
        page.emulate_media(media="print", color_scheme="dark")
        assert not page.locator("header.bar").is_visible() and not page.locator("form.tools").is_visible()
        assert page.locator("article.sheet").first.is_visible()
        # Ink stays dark on paper, whatever the screen does.
        assert lightness(page.evaluate("getComputedStyle(document.body).color")) < 60
        page.evaluate("window.print = () => { document.body.dataset.printed = '1' }")
        page.emulate_media(media="screen")
        page.click("[data-print]")
        assert page.locator("body").get_attribute("data-printed") == "1"


def lightness(colour: str) -> float:
    """The mean of red, green and blue (0..255) of a computed colour such as ``rgb(1, 2, 3)``."""
    parts = [float(part) for part in colour[colour.index("(") + 1 : -1].replace(",", " ").split()[:3]]
    return sum(parts) / 3


# ---- lists ------------------------------------------------------------------------------------------------------
LIST = """# Optimisers

A line that belongs to nothing.

## What does momentum do?

It keeps a running average of the gradients. That damps the swings across a ravine.

## Why does Adam divide by the second moment?

- It gives each weight its own step size.
- Rare features get larger steps.
"""
HOSTILE = """# Attack

## Is <script>window.hacked = 1</script> this question safe?

An answer with <img src=x onerror="window.hacked = 2"> and a picture ![out](https://example.org/spy.png).
See [this](javascript:window.hacked=3) and <a href="javascript:window.hacked=4">that</a>.

<iframe src="https://example.org/"></iframe><style>body { display: none }</style>
<svg onload="window.hacked = 5"></svg>

## What is <b onmouseover="window.hacked = 6">bold</b>?

Text. <form action="https://example.org/"><input name=a autofocus onfocus="window.hacked = 7"></form>
"""


def upload(learner: Learner, folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    learner.open("/packs")
    learner.page.set_input_files("input[name=file]", file)
    learner.page.click("form.stack button.go")
    learner.page.wait_for_url("**/packs/preview")


def test_a_list_is_read_kept_practised_edited_and_removed(app: Any, chromium: Any, tmp_path: Path) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        page = learner.page
        upload(learner, tmp_path, "optimisers.md", LIST)
        learner.see(".lead", "Found 2 questions, 2 of them with an answer.")
        assert page.locator("ol.short li").all_inner_texts() == ["What does momentum do?", "Why does Adam divide by the second moment?"]
        assert page.locator("table.lines th").all_inner_texts() == ["3"]
        assert page.locator("table.lines td").first.inner_text().endswith("“A line that belongs to nothing.”")
        page.fill("input[name=title]", "My optimisers")
        page.click("form.stack button.go")
        page.wait_for_url("**/packs?done=import")
        learner.open("/outline")
        chapter = page.locator("details.topic", has_text="Optimisers").last
        assert chapter.locator("details.q").count() == 2

        # Practised at once, against the points drawn from its answer.
        key = chapter.locator("details.q").first.get_attribute("id").removeprefix("q-")
        learner.open(f"/questions/{key}")
        page.keyboard.press("p")
        page.wait_for_url("**/practice/*/1")
        learner.ready()
        learner.answer("Momentum keeps a running average of the gradients, so zigzags cancel.")
        assert learner.marks() == ["made", "missed"]

        # Its points can be edited, and the edit undone.
        learner.open(f"/questions/{key}")
        before = page.locator("ul.short").first.locator("li").all_inner_texts()
        page.click("a:has-text('Edit the points')")
        page.locator("input[name=point]").first.fill("Averages past gradients")
        page.locator("textarea[name=cues]").first.fill("running average + gradients\nexponential moving average")
        page.click("button.go:has-text('Save')")
        page.wait_for_url(f"**/questions/{key}?done=edit")
        assert page.locator("ul.short").first.locator("li").first.inner_text().startswith("Averages past gradients")
        learner.undo()
        assert page.locator("ul.short").first.locator("li").all_inner_texts() == before

        # Removed, and brought back.
        learner.open("/packs")
        page.click("button:has-text('Remove')")
        page.wait_for_url("**/packs?done=remove")
        learner.see(".hint", "None yet.")
        assert learner.open(f"/questions/{key}").status == 404
        learner.forgive("404")
        learner.open("/packs?done=remove")
        learner.undo()
        learner.see("ul.results", "My optimisers")
        assert learner.open(f"/questions/{key}").status == 200


def test_a_hostile_list_runs_nothing_and_loads_nothing(app: Any, chromium: Any, tmp_path: Path) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        page = learner.page
        upload(learner, tmp_path, "attack.md", HOSTILE)
        page.click("form.stack button.go")
        page.wait_for_url("**/packs?done=import")
        learner.open("/outline")
        keys = [key for key in hits(learner) if key not in bank()]
        assert len(keys) == 2
        page.keyboard.press("e")
        learner.until("() => [...document.querySelectorAll('.brief')].every(one => one.querySelector('.short'))")
        visited = [f"/questions/{key}" for key in keys] + ["/print"]
        for path in visited:
            learner.open(path)
            page.wait_for_load_state("networkidle")
            main = page.locator("main")
            assert main.locator("script, iframe, object, svg[onload], style, img[onerror], [onmouseover], [onfocus]").count() == 0
            for link in main.locator("a").evaluate_all("links => links.map(link => link.protocol)"):
                assert link in ("http:", "https:", "mailto:")
            for source in main.locator("img").evaluate_all("pictures => pictures.map(one => one.src)"):
                assert source.startswith((app.url, "data:"))
            assert main.is_visible()
        for key in keys:
            learner.ask(key)
            learner.answer("<script>window.hacked = 8</script><img src=x onerror='window.hacked = 9'>")
            assert page.locator("[aria-labelledby=own-title] .said").inner_text().startswith("<script>")
        assert page.evaluate("window.hacked") is None


def test_a_file_that_is_no_list_ends_in_one_sentence(app: Any, chromium: Any, tmp_path: Path) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        learner.forgive("422")
        broken = tmp_path / "broken.md"
        broken.write_bytes(b"\x00\x01\x02\xff\xfe" * 400)
        learner.open("/packs")
        learner.page.set_input_files("input[name=file]", broken)
        learner.page.click("form.stack button.go")
        learner.page.wait_for_url("**/packs/preview")
        assert learner.page.locator("ol.short li").count() == 0
        assert learner.page.locator(".lead, .empty").first.inner_text().strip()


# ---- settings and data ------------------------------------------------------------------------------------------
def test_settings_are_kept_and_undone(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en", color_scheme="light") as learner:
        page = learner.page
        learner.open("/settings")
        assert lightness(page.evaluate("getComputedStyle(document.documentElement).backgroundColor")) > 200
        day = (date.today() + timedelta(days=30)).isoformat()
        page.fill("input[name=interview]", day)
        page.fill("input[name=new_per_day]", "7")
        page.check("input[name=theme][value=dark]")
        page.click("form.stack button.go")
        page.wait_for_url("**done=settings")
        kept = learner.stored().settings()
        assert (kept["interview"], kept["new_per_day"], kept["theme"]) == (day, 7, "dark")
        assert lightness(page.evaluate("getComputedStyle(document.documentElement).backgroundColor")) < 50
        steps = 0
        while learner.stored().settings().get("interview") and steps < 5:
            page.locator("#undo form[action='/undo'] button").click()
            page.wait_for_url("**done=undone**")
            steps += 1
        assert page.input_value("input[name=interview]") == "", "the date was not taken back"
        page.check("input[name=theme][value=light]")
        page.click("form.stack button.go")
        page.wait_for_url("**done=settings")
        page.emulate_media(color_scheme="dark")
        assert lightness(page.evaluate("getComputedStyle(document.documentElement).backgroundColor")) > 200


@pytest.fixture
def another_app(tmp_path: Path) -> Iterator[LiveApp]:
    live = LiveApp(tmp_path / "another")
    yield live
    live.stop()


def test_everything_moves_to_another_computer_in_one_file(app: Any, another_app: Any, chromium: Any, tmp_path: Path) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        page = learner.page
        upload(learner, tmp_path, "optimisers.md", LIST)
        page.click("form.stack button.go")
        page.wait_for_url("**/packs?done=import")
        learner.ask()
        learner.answer(OWN_WORDS["ko"])
        learner.mark(0, "partly")
        marks = learner.marks()
        attempt = learner.path()
        learner.rate(3)
        learner.open(f"/questions/{QUESTION}")
        page.fill("#mine textarea", "준비한 답입니다.")
        page.click("#mine button")
        page.wait_for_url("**done=mine*")
        learner.open("/settings")
        with page.expect_download() as download:
            page.click("a:has-text('내려받기')")
        assert download.value.suggested_filename.endswith(".json")
        file = tmp_path / "taken along.json"
        download.value.save_as(file)
        assert json.loads(file.read_text(encoding="utf-8"))
        stats = learner.api("/stats")
    with at_the_browser(another_app, chromium, None) as fresh:
        page = fresh.page
        fresh.open("/settings")
        page.set_input_files("#data input[type=file]", file)
        page.click("#data form button")
        page.wait_for_url("**imported=1")
        fresh.open(attempt)
        assert fresh.marks() == marks
        assert page.locator("[aria-labelledby=own-title] .said").inner_text() == OWN_WORDS["ko"]
        assert fresh.api("/stats") == stats
        fresh.open(f"/questions/{QUESTION}")
        assert page.input_value("#mine textarea") == "준비한 답입니다."
        fresh.open("/packs")
        fresh.see("ul.results", "optimisers")
        # Twice is the same as once.
        fresh.open("/settings")
        page.set_input_files("#data input[type=file]", file)
        page.click("#data form button")
        page.wait_for_url("**imported=1")
        assert fresh.api("/stats") == stats
        fresh.open("/packs")
        assert page.locator("ul.results li").count() == 1


def test_a_file_that_is_not_an_export_is_refused_with_a_sentence(app: Any, chromium: Any, tmp_path: Path) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        learner.forgive("422")
        wrong = tmp_path / "wrong.json"
        wrong.write_text('{"some": "thing"}')
        learner.open("/settings")
        learner.page.set_input_files("#data input[type=file]", wrong)
        learner.page.click("#data form button")
        learner.see("h1", "That did not work.")
        assert len(learner.page.inner_text(".lead").split()) > 4
