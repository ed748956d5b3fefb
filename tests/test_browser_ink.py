"""Handwriting on the pad: real pen events with pressure, fingers beside the pen, tools, drafts, the reveal, the files."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from browser_learner import QUESTION, Learner, at_the_browser, bank

pytestmark = pytest.mark.browser


class Pen:
    """A pen, and the hand that holds it, over the pad's canvas; lengths in CSS pixels from its corner."""

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        self.canvas = learner.page.locator("[data-pad] canvas")
        self.canvas.wait_for()
        self.client = learner.context.new_cdp_session(learner.page)
        box = self.canvas.bounding_box()
        assert box is not None
        self.left, self.top = box["x"], box["y"]

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return self.left + x, self.top + y

    def _send(self, kind: str, x: float, y: float, force: float, tool: str) -> None:
        self.client.send(
            "Input.dispatchMouseEvent",
            {"type": kind, "x": x, "y": y, "button": "left", "buttons": int(kind != "mouseReleased"), "clickCount": 1, "pointerType": tool, "force": force},
        )

    def down(self, x: float, y: float, force: float = 0.3, tool: str = "pen") -> None:
        self._send("mousePressed", *self._at(x, y), force, tool)

    def move(self, x: float, y: float, force: float = 0.3, tool: str = "pen") -> None:
        self._send("mouseMoved", *self._at(x, y), force, tool)

    def up(self, x: float, y: float, tool: str = "pen") -> None:
        self._send("mouseReleased", *self._at(x, y), 0, tool)

    def stroke(self, x: float, y: float, steps: int = 12) -> None:
        """A wave to the right that presses harder and harder."""
        self.down(x, y, 0.1)
        for step in range(1, steps):
            self.move(x + 3 * step, y + 12 * math.sin(step / 3), 0.1 + 0.8 * step / steps)
        self.up(x + 3 * steps, y)

    def tap(self, x: float, y: float) -> None:
        self.down(x, y)
        self.up(x, y)

    def touch(self, kind: str, x: float = 0, y: float = 0) -> None:
        """The hand: touchStart, touchMove or touchEnd."""
        at = self._at(x, y)
        self.client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if kind == "touchEnd" else [{"x": at[0], "y": at[1]}]})

    def inked(self) -> int:
        """How many pixels of the canvas carry ink."""
        return self.learner.page.evaluate(
            """() => { const canvas = document.querySelector('[data-pad] canvas');
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            let count = 0; for (let i = 3; i < data.length; i += 4) if (data[i]) count++; return count; }"""
        )

    def draft(self) -> list[list[Any]]:
        """The pages of strokes as the device keeps them right now."""
        return self.learner.page.evaluate(
            """key => new Promise(resolve => { const open = indexedDB.open('viva', 1); open.onsuccess = () => {
            const get = open.result.transaction('drafts').objectStore('drafts').get(key);
            get.onsuccess = () => { open.result.close(); resolve(get.result?.ink?.pages ?? []); }; }; })""",
            f"{QUESTION}/{self.learner.language}",
        )

    def until_kept(self, *strokes: int) -> None:
        """Waits until the device keeps pages with these numbers of strokes."""
        for _ in range(100):
            if [len(page) for page in self.draft()] == list(strokes):
                return
            self.learner.page.wait_for_timeout(50)
        raise AssertionError(f"the device keeps {[len(page) for page in self.draft()]} strokes per page, not {list(strokes)}")


def begin(learner: Learner) -> Pen:
    learner.ask()
    learner.page.click("#tab-ink")
    return Pen(learner)


def tool(learner: Learner, name: str) -> Any:
    return learner.page.locator(f"[data-tool={name}]")


def hand_in(learner: Learner) -> Any:
    learner.hand_in()
    learner.page.wait_for_url("**/attempts/*")
    attempt = learner.stored().attempt(learner.path().rsplit("/", 1)[1])
    assert attempt is not None
    return attempt


def test_strokes_carry_the_pressure_of_the_pen(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        pen = begin(learner)
        pen.stroke(40, 60)
        pen.stroke(120, 60)
        assert pen.inked() > 100
        attempt = hand_in(learner)
        assert attempt.way == "ink" and attempt.ink["device"] == "pen"
        (strokes,) = attempt.ink["pages"]
        assert len(strokes) == 2
        for stroke in strokes:
            pressure = [point[3] for point in stroke["points"]]
            assert len(pressure) >= 8 and all(0 <= value <= 1 for value in pressure)
            assert pressure[0] < 0.2 and max(pressure) > 0.75 and len(set(pressure)) > 5
            times = [point[2] for point in stroke["points"]]
            assert times == sorted(times)
        assert abs(strokes[0]["points"][0][0] - 40) < 1 and abs(strokes[0]["points"][0][1] - 60) < 1


def test_a_finger_does_not_draw_while_a_pen_is_in_use(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko", has_touch=True) as learner:
        pen = begin(learner)
        pen.stroke(40, 60)
        for kind, x in (("touchStart", 200), ("touchMove", 230), ("touchMove", 260), ("touchEnd", 0)):
            pen.touch(kind, x, 150)
        pen.stroke(40, 120)
        pen.until_kept(2)


def test_a_finger_draws_where_there_is_no_pen(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko", has_touch=True) as learner:
        pen = begin(learner)
        for kind, x in (("touchStart", 200), ("touchMove", 230), ("touchMove", 260), ("touchEnd", 0)):
            pen.touch(kind, x, 150)
        pen.until_kept(1)


def test_what_the_hand_began_to_draw_is_taken_back_when_the_pen_comes_down(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko", has_touch=True) as learner:
        pen = begin(learner)
        pen.touch("touchStart", 200, 200)
        pen.touch("touchMove", 215, 205)
        pen.stroke(40, 60)
        pen.touch("touchMove", 220, 210)
        pen.touch("touchEnd")
        pen.until_kept(1)
        points = pen.draft()[0][0]["points"]
        assert all(point[0] < 100 for point in points), "the stroke of the hand stayed"


def test_eraser_undo_and_redo(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        pen = begin(learner)
        assert tool(learner, "undo").is_disabled() and tool(learner, "redo").is_disabled()
        pen.stroke(40, 60)
        pen.stroke(40, 150)
        full = pen.inked()
        tool(learner, "eraser").click()
        assert tool(learner, "eraser").get_attribute("aria-pressed") == "true"
        pen.tap(40, 60)
        pen.until_kept(1)
        assert pen.inked() < full
        # Rubbing where nothing is leaves no step behind.
        pen.tap(300, 300)
        tool(learner, "undo").click()
        pen.until_kept(2)
        assert pen.inked() == full
        learner.page.keyboard.press("Control+z")
        pen.until_kept(1)
        learner.page.keyboard.press("Control+Shift+z")
        pen.until_kept(2)
        tool(learner, "pen").click()
        tool(learner, "undo").click()
        pen.stroke(40, 250)
        assert tool(learner, "redo").is_disabled(), "a new stroke ends what could be done again"


def test_several_pages_and_the_replay(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        pen = begin(learner)
        assert tool(learner, "after").is_disabled() and tool(learner, "before").is_disabled()
        pen.stroke(40, 60, steps=20)
        pen.stroke(40, 150, steps=20)
        tool(learner, "after").click()
        learner.see(".inkpages", "2/2")
        assert pen.inked() == 0
        pen.stroke(80, 100)
        pen.until_kept(2, 1)
        tool(learner, "before").click()
        learner.see(".inkpages", "1/2")
        full = pen.inked()
        tool(learner, "replay").click()
        counts = learner.page.evaluate(
            """async () => { const canvas = document.querySelector('[data-pad] canvas'), counts = [];
            const frame = () => new Promise(requestAnimationFrame);
            for (let i = 0; i < 400; i++) { await frame();
              const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
              let count = 0; for (let k = 3; k < data.length; k += 4) if (data[k]) count++;
              counts.push(count); if (i > 5 && count === FULL) break; }
            return counts; }""".replace("FULL", str(full))
        )
        assert min(counts) < full / 2 and counts[-1] == full, "the replay does not grow from nothing to the whole page"
        attempt = hand_in(learner)
        assert [len(page) for page in attempt.ink["pages"]] == [2, 1]
        assert learner.page.locator("[data-replay] canvas").count() == 2


def test_a_draft_of_strokes_survives_a_reload(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        pen = begin(learner)
        pen.stroke(40, 60)
        pen.stroke(120, 90)
        pen.until_kept(2)
        inked = pen.inked()
        learner.page.reload()
        learner.ready()
        learner.see("#way-ink")
        again = Pen(learner)
        assert again.inked() == inked
        again.stroke(40, 200)
        again.until_kept(3)


def test_a_draft_of_strokes_reaches_the_server_for_another_device(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        learner.page.clock.install()
        pen = begin(learner)
        pen.stroke(40, 60)
        learner.page.clock.run_for(2500)
        learner.until("() => document.querySelector('#saved').textContent === '저장했습니다'")
        with at_the_browser(app, chromium, "ko") as tablet:
            tablet.open(learner.path())
            tablet.ready()
            tablet.see("#way-ink")
            assert Pen(tablet).inked() > 50


def test_the_reveal_shows_the_strokes_and_the_learner_marks_them(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        page = learner.page
        pen = begin(learner)
        pen.stroke(40, 60)
        attempt = hand_in(learner)
        inked = """() => { const canvas = document.querySelector('[data-replay] canvas'); if (!canvas || !canvas.width) return 0;
            return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.filter((value, i) => i % 4 === 3 && value).length; }"""
        learner.until(inked)
        assert learner.suggested() is None
        learner.see(".hint", "말했는지 스스로 표시해 주세요")
        assert set(learner.marks()) == {"missed"}
        learner.mark(0, "made")
        assert learner.suggested() in (1, 2, 3)
        # The strokes are still there after the page was drawn anew.
        learner.until(inked)
        for place in range(1, len(bank()[QUESTION].points)):
            learner.mark(place, "made")
        assert learner.suggested() == 4

        with page.expect_download() as svg:
            page.click("a:has-text('SVG')")
        picture = ET.parse(svg.value.path()).getroot()
        assert svg.value.suggested_filename == f"{QUESTION}.svg"
        assert picture.tag.endswith("svg") and list(picture.iter("{http://www.w3.org/2000/svg}path"))
        with page.expect_download() as inkml:
            page.click("a:has-text('InkML')")
        traces = [element for element in ET.parse(inkml.value.path()).getroot().iter() if element.tag.endswith("trace")]
        assert len(traces) == 1
        assert len((traces[0].text or "").split(",")) == len(attempt.ink["pages"][0][0]["points"])
