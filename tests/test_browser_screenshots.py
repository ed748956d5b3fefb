"""The pictures of the README, made by walking through the app: ``VIVA_SCREENSHOTS=1 python -m pytest tests/test_browser_screenshots.py``
writes them to ``docs/screenshots``; without the variable they go to a temporary folder and are only checked for being pictures of something.
"""

from __future__ import annotations

import base64
import math
import os
import struct
import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from browser_learner import DESK, LANGUAGES, QUESTION, Learner, at_the_browser, bank
from test_browser_ink import Pen, tool

from viva.grading import grade

pytestmark = pytest.mark.browser
FOLDER = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
LARGEST_BYTES = 200_000
WORDS = {
    "ko": "시그모이드는 미분값이 아무리 커도 0.25라서 층이 깊어지면 앞쪽까지 신호가 거의 안 갑니다. ReLU는 양수에서 기울기가 1이라 그 문제가 덜하고, 계산도 간단합니다. 시그모이드는 출력이 0과 1 사이로 막혀 있기 때문에 기울기가 작다고 알고 있습니다.",
    "en": "The sigmoid's derivative is at most 0.25, so in a deep stack hardly any signal reaches the first layers. ReLU has a slope of 1 for positive inputs, which avoids that, and it is cheap to compute. As I understand it, the sigmoid's output is bounded between 0 and 1, so the gradient is small.",
}


def a_fortnight_of_practice(learner: Learner) -> None:
    """Reviews of the last twelve days, as of somebody who practises most evenings."""
    store, now = learner.stored(), datetime.now(UTC)
    store.set_setting("interview", (date.today() + timedelta(days=18)).isoformat())
    store.set_setting("begun", (date.today() - timedelta(days=12)).isoformat())
    keys = [key for key in bank().keys if key != QUESTION]
    ratings = (3, 3, 2, 4, 3, 1, 3, 3, 4, 3, 3)
    met: list[str] = []
    count = 0
    for day in range(12, -1, -1):
        if day in (8, 3):
            continue
        evening = now - timedelta(days=day, hours=1)
        due = [key for key, card in store.cards().items() if card.due <= evening]
        fresh = keys[len(met) : len(met) + 3] if day else []
        # Today's practice is only begun.
        for minute, key in enumerate([*due[: None if day else 3], *fresh]):
            store.add_review(key, ratings[count % len(ratings)], at=evening + timedelta(minutes=3 * minute))
            count += 1
        met += fresh
    for number, key in enumerate(met[:18]):
        points = bank()[key].points
        said = " ".join(point.text.get(learner.language) + "." for point in points[: 1 + number % 3])
        store.add_attempt(
            question=key, language=learner.language, text=said, seconds=70 + 9 * number, grade=grade(bank()[key], said, learner.language)
        )


def settle(learner: Learner) -> None:
    """Waits until formulas and letters stand."""
    learner.until("() => [...document.querySelectorAll('.math')].every(span => span.querySelector('.katex') || !span.checkVisibility())")
    learner.page.evaluate("document.fonts.ready.then(() => true)")


def picture(learner: Learner, folder: Path, name: str, last: str) -> None:
    """Takes the page from its top to the end of ``last``, without a blinking cursor, and makes sure that it shows something."""
    settle(learner)
    page = learner.page
    width = page.viewport_size["width"]
    page.evaluate("scrollTo(0, 0)")
    page.mouse.move(2, 2)
    box = page.locator(last).last.bounding_box()
    height = round(box["y"] + box["height"] + 32)
    page.set_viewport_size({"width": width, "height": height})
    path = folder / f"{name}-{learner.language}.png"
    shot = page.screenshot(animations="disabled", caret="hide")
    desk = learner.context.new_page()
    colours, lines, palette, pixels = desk.evaluate(REDUCE, base64.b64encode(shot).decode())
    desk.close()
    path.write_bytes(png(width, height, base64.b64decode(palette), base64.b64decode(pixels)))
    assert colours > 30 and lines > height / 12, f"{path.name} shows next to nothing: {colours} colours, {lines} lines with something on them"
    assert path.stat().st_size < LARGEST_BYTES, f"{path.name} has {path.stat().st_size} bytes"
    page.set_viewport_size({"width": width, "height": DESK["height"]})


# A page of text needs no more than 256 colours, and takes half the room then: the most frequent ones stay as they are,
# shades too close to tell apart become one.
REDUCE = """async data => { const image = new Image(); image.src = 'data:image/png;base64,' + data; await image.decode();
  const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
  const drawing = canvas.getContext('2d'); drawing.drawImage(image, 0, 0);
  const pixels = new Uint32Array(drawing.getImageData(0, 0, image.width, image.height).data.buffer), counts = new Map();
  let lines = 0;
  for (let y = 0; y < image.height; y++) if (new Set(pixels.subarray(y * image.width, (y + 1) * image.width)).size > 3) lines++;
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const parts = colour => [colour & 255, colour >> 8 & 255, colour >> 16 & 255];
  const palette = [], index = new Map(), nearest = colour => { const [r, g, b] = parts(colour); let best = 0, least = Infinity;
    palette.forEach(([x, y, z], i) => { const far = (r - x) ** 2 + (g - y) ** 2 + (b - z) ** 2; if (far < least) { least = far; best = i; } });
    return [best, least]; };
  for (const colour of [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a)))
    if (palette.length < 256 && nearest(colour)[1] > 60) palette.push(parts(colour));
  for (const colour of counts.keys()) index.set(colour, nearest(colour)[0]);
  const base64 = bytes => { let text = ''; for (const byte of bytes) text += String.fromCharCode(byte); return btoa(text); };
  return [counts.size, lines, base64(palette.flat()), base64(Uint8Array.from(pixels, pixel => index.get(pixel)))]; }"""


def png(width: int, height: int, palette: bytes, pixels: bytes) -> bytes:
    """A PNG file with a palette, one byte per pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + pixels[y * width : (y + 1) * width] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"PLTE", palette) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if os.environ.get("VIVA_SCREENSHOTS") != "1":
        return tmp_path
    FOLDER.mkdir(parents=True, exist_ok=True)
    return FOLDER


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pictures_of_the_readme_at_a_desk(app: Any, chromium: Any, language: str, folder: Path) -> None:
    with at_the_browser(app, chromium, language, color_scheme="light", reduced_motion="reduce") as learner:
        page = learner.page
        a_fortnight_of_practice(learner)
        learner.open("/practice")
        picture(learner, folder, "practice", "#plan ~ table tr")

        page.clock.install()
        session = learner.stored().start_session("list", [*bank().keys[:3], QUESTION, *bank().keys[10:18]])
        learner.open(f"/practice/{session.id}/4")
        learner.ready()
        page.fill("textarea", WORDS[language].rpartition(". ")[0])
        page.clock.run_for(72_000)
        picture(learner, folder, "ask", ".places")

        page.fill("textarea", WORDS[language])
        page.clock.run_for(28_000)
        learner.hand_in()
        page.wait_for_url("**/attempts/*")
        picture(learner, folder, "reveal", ".follow")
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        picture(learner, folder, "reveal-dark", ".follow")
        page.emulate_media(color_scheme="light", reduced_motion="reduce")

        learner.open("/outline")
        page.locator("#topic-foundations > summary").click()
        page.locator(f"#q-{QUESTION} summary").click()
        learner.see(f"#q-{QUESTION} .short")
        picture(learner, folder, "outline", "#topic-activations")
        learner.open("/progress")
        picture(learner, folder, "progress", "section:nth-of-type(2) tr")


# ---- a handwritten page -----------------------------------------------------------------------------------------
Line = list[tuple[float, float]]
# Letters in a box of width and height 1, y downwards; each a few strokes.
LETTERS: dict[str, list[Line]] = {
    "σ": [[(0.85, 0.42), (0.5, 0.4), (0.2, 0.5), (0.12, 0.75), (0.3, 0.97), (0.58, 0.95), (0.7, 0.72), (0.6, 0.5), (0.45, 0.42)]],
    "′": [[(0.35, 0.15), (0.2, 0.4)]],
    "≤": [[(0.8, 0.3), (0.2, 0.55), (0.8, 0.78)], [(0.2, 0.98), (0.8, 0.97)]],
    "=": [[(0.15, 0.5), (0.8, 0.48)], [(0.15, 0.74), (0.82, 0.72)]],
    "1": [[(0.3, 0.3), (0.5, 0.12), (0.48, 0.98)]],
    "/": [[(0.75, 0.1), (0.25, 1.0)]],
    "4": [[(0.55, 0.15), (0.2, 0.65), (0.85, 0.63)], [(0.62, 0.4), (0.6, 1.0)]],
    "R": [[(0.2, 1.0), (0.22, 0.12)], [(0.2, 0.15), (0.6, 0.12), (0.7, 0.32), (0.55, 0.52), (0.24, 0.55), (0.75, 1.0)]],
    "e": [[(0.2, 0.72), (0.7, 0.68), (0.62, 0.48), (0.38, 0.45), (0.18, 0.68), (0.3, 0.95), (0.72, 0.9)]],
    "L": [[(0.25, 0.12), (0.22, 0.97), (0.75, 0.95)]],
    "U": [[(0.2, 0.14), (0.2, 0.75), (0.45, 0.98), (0.72, 0.76), (0.74, 0.13)], [(0.74, 0.13), (0.76, 0.97)]],
    " ": [],
}


def handwriting() -> Iterator[tuple[Line, float]]:
    """Strokes in CSS pixels, and how hard the pen presses: a line of formulas, and under it both slopes drawn over their axis."""

    def write(text: str, x: float, y: float, size: float) -> Iterator[tuple[Line, float]]:
        for place, letter in enumerate(text):
            for stroke in LETTERS[letter]:
                # No two letters of a hand are alike.
                lean = 0.06 * math.sin(2.3 * place + 0.7)
                yield [(x + size * (0.62 * place + 0.55 * px - lean * (py - 0.5)), y + size * (py + 0.03 * math.sin(place))) for px, py in stroke], 0.55

    yield from write("σ′ ≤ 1/4", 16, 14, 34)
    yield from write("ReLU′ = 1", 16, 74, 34)
    yield [(22, 290), (120, 288), (225, 289), (330, 287)], 0.4  # the axis of z
    yield [(318, 281), (331, 287), (319, 294)], 0.4
    yield [(172, 306), (171, 240), (172, 178), (171, 158)], 0.4  # the axis of the slope
    yield [(165, 168), (171, 157), (178, 168)], 0.4
    yield [(30 + 12 * step, 289 - 28 * 4 * s * (1 - s)) for step in range(25) for s in [1 / (1 + math.exp(-(12 * step - 142) / 24))]], 0.7
    yield [(30, 287), (90, 288), (150, 287), (171, 287)], 0.9
    yield [(172, 287), (172, 230), (173, 178)], 0.9
    yield [(173, 177), (220, 178), (270, 176), (318, 177)], 0.9
    yield from write("1", 186, 150, 18)
    yield from write("1/4", 214, 232, 18)


def smooth(line: Line, steps: int = 2) -> Line:
    """Catmull-Rom through the points, as a hand rounds its corners."""
    points = [line[0], *line, line[-1]]
    out: Line = []
    for a, b, c, d in zip(points, points[1:], points[2:], points[3:], strict=False):
        for step in range(steps):
            t = step / steps
            out.append(
                tuple(  # type: ignore[arg-type]
                    0.5 * (2 * b[i] + (c[i] - a[i]) * t + (2 * a[i] - 5 * b[i] + 4 * c[i] - d[i]) * t**2 + (3 * b[i] - a[i] - 3 * c[i] + d[i]) * t**3)
                    for i in (0, 1)
                )
            )
    return [*out, line[-1]]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_picture_of_handwriting_on_a_phone(app: Any, chromium: Any, language: str, folder: Path) -> None:
    phone = {"width": 390, "height": DESK["height"]}
    with at_the_browser(app, chromium, language, viewport=phone, has_touch=True, color_scheme="light", reduced_motion="reduce") as learner:
        a_fortnight_of_practice(learner)
        learner.ask()
        learner.page.click("#tab-ink")
        pen = Pen(learner)
        for line, force in handwriting():
            points = smooth(line)
            pen.down(*points[0], force * 0.4)
            for place, point in enumerate(points):
                # A pen lands light, presses in the middle and lifts off light.
                pen.move(*point, force * (0.45 + 0.55 * math.sin(math.pi * place / len(points))))
            pen.up(*points[-1])
        assert tool(learner, "replay").is_enabled()
        picture(learner, folder, "ink-phone", ".foot")
