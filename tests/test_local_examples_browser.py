"""Selecting words of the answer and pressing a mark, on real pages: with the mouse, a finger and the keyboard."""

from __future__ import annotations

from typing import Any

import pytest
from browser_learner import DESK, PHONE, QUESTION, Learner, at_the_browser, bank

from viva.grading import blank_grade
from viva.grading.examples import Example

pytestmark = pytest.mark.browser
PARTS = ("시그모이드는 층마다 신호를 갉아먹어요.\n😀 끝까지 안 가요.", "반면 렐루는 켜져 있으면\n그대로 통과시킵니다 👍🏽", "그래서 요즘은 렐루를 써요.")
TEXT = "\n\n".join(PARTS)
PASSED = "렐루는 켜져 있으면\n그대로 통과시킵니다"
SELECT = """([from, to]) => {
  const texts = [];
  const walk = document.createTreeWalker(document.querySelector('#own-words'), NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) texts.push(walk.currentNode);
  const find = (words) => { const node = texts.find(text => text.data.includes(words)); return [node, node.data.indexOf(words)]; };
  const [first, start] = find(from), [last, end] = find(to);
  getSelection().setBaseAndExtent(first, start, last, end + to.length);
}"""


def reveal(learner: Learner, text: str = TEXT) -> str:
    """Opens the reveal of an answer in which the grader heard nothing; returns the attempt's id."""
    attempt = learner.stored().add_attempt(question=QUESTION, language="ko", text=text, grade=blank_grade(bank()[QUESTION]))
    learner.open(f"/attempts/{attempt.id}")
    return attempt.id


def quote(learner: Learner, attempt: str, place: int) -> str:
    kept = learner.stored().attempt(attempt)
    assert kept is not None and kept.grade is not None
    return kept.grade.points[place].quote


@pytest.mark.parametrize("options", [{"viewport": DESK}, {"viewport": PHONE, "has_touch": True, "is_mobile": True}], ids=["desk", "360 px"])
def test_selected_words_become_the_words_of_the_mark_that_is_pressed(app: Any, chromium: Any, options: dict[str, Any]) -> None:
    with at_the_browser(app, chromium, "ko", **options) as learner:
        page = learner.page
        attempt = reveal(learner)
        page.evaluate(SELECT, ["렐루는 켜져", "통과시킵니다"])
        learner.see("#picked", "고른 말: “렐루는 켜져 있으면 그대로 통과시킵니다”")
        button = page.locator("#points li").nth(1).locator("button.made")
        button.tap() if options.get("has_touch") else button.click()
        learner.settled()
        assert learner.marks()[1] == "made" and quote(learner, attempt, 1) == PASSED
        assert page.locator("#own-words mark").inner_text() == PASSED
        assert PASSED.split("\n")[1] in page.locator("#points li").nth(1).locator("small").inner_text()
        assert page.inner_text("#picked") == "" and page.locator("#points [role=alert]").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        # The next mark is about other words again, and one step back takes only the last one away.
        page.evaluate(SELECT, ["😀 끝", "안 가요"])
        page.locator("#points li").first.locator("button.partly").click()
        learner.settled()
        assert quote(learner, attempt, 0) == "😀 끝까지 안 가요"
        learner.undo()
        assert [own.example for own in learner.stored().own_examples(QUESTION)] == [Example("relu-slope", "made", PASSED.replace("\n", " "), "ko")]


def test_words_are_selected_with_the_mouse_across_paragraphs(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        page = learner.page
        attempt = reveal(learner)
        first, last = (page.locator("#own-words p").nth(place).bounding_box() for place in (0, 2))
        page.mouse.move(first["x"] + 1, first["y"] + 8)
        page.mouse.down()
        page.mouse.move(last["x"] + last["width"] - 2, last["y"] + last["height"] - 6, steps=8)
        page.mouse.up()
        page.locator("#points li").first.locator("button.backwards").click()
        learner.settled()
        assert quote(learner, attempt, 0) == TEXT
        assert page.locator("#own-words mark").all_inner_texts() == list(PARTS)


def test_the_keyboard_alone_selects_words_and_marks_them(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        page = learner.page
        attempt = reveal(learner)
        page.focus("#own-words")
        page.keyboard.press("ArrowLeft")
        assert page.evaluate("getSelection().toString().trim()") in ("써요.", ".")
        for _ in range(40):
            page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowRight")
        for _ in range(2):
            page.keyboard.press("Shift+ArrowRight")
        assert page.evaluate("getSelection().toString()") == "시그모이드는 층마다 신호를"
        while not page.evaluate("document.activeElement.matches('#mark-sigmoid-slope-partly')"):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        learner.settled()
        assert learner.marks()[0] == "partly" and quote(learner, attempt, 0) == "시그모이드는 층마다 신호를"


def test_selecting_stays_within_the_answer(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        page = learner.page
        attempt = reveal(learner)
        page.focus("#own-words")
        for _ in range(60):
            page.keyboard.press("Shift+ArrowRight")
        assert page.evaluate("getSelection().toString()").replace("\n", "") == TEXT.replace("\n", "")
        # What is selected elsewhere, the whole page, or was let go again says nothing of the answer.
        for script in ("getSelection().selectAllChildren(document.querySelector('[aria-labelledby=model-title]'))", "getSelection().selectAllChildren(document.body)", "getSelection().removeAllRanges()"):
            page.evaluate(script)
            learner.until("() => document.querySelector('#picked').textContent === ''")
        page.locator("#points li").first.locator("button.made").click()
        learner.settled()
        assert 0 <= len(quote(learner, attempt, 0)) < len(TEXT)


def test_more_than_a_clause_is_not_taken_and_the_page_says_so(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        page = learner.page
        attempt = reveal(learner, "The sigmoid starves the early layers. " + "And then I went on and on. " * 20)
        page.evaluate("getSelection().selectAllChildren(document.querySelector('#own-words'))")
        page.locator("#points li").first.locator("button.made").click()
        learner.see("#points [role=alert]", "more than 400 characters")
        learner.settled()
        assert learner.marks()[0] == "made" and "sigmoid" in quote(learner, attempt, 0)


def test_an_example_is_listed_with_its_question_and_removed_there(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en", viewport=PHONE) as learner:
        page = learner.page
        reveal(learner)
        page.evaluate(SELECT, ["시그모이드는", "갉아먹어요"])
        learner.mark(0, "made")
        page.click("#words-hint a")
        entry = learner.see("#own-examples li", "시그모이드는 층마다 신호를 갉아먹어요")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        entry.locator("button", has_text="Remove").click()
        page.wait_for_url("**done=example*")
        assert page.locator("#own-examples").count() == 0 and not learner.stored().own_examples()
        learner.undo()
        learner.see("#own-examples li", "시그모이드는 층마다 신호를 갉아먹어요")
