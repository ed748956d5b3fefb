"""Handwriting: what the web API lets in, and the pictures made of it."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from viva.exchange.ink import Ink, to_inkml, to_svg

SVG, INKML = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/2003/InkML}"


def ink(*pages: list[list[list[float]]], **fields: Any) -> dict[str, Any]:
    strokes = [[{"tool": "pen", "points": points} for points in page] for page in pages]
    return {"device": "pen", "width": 400, "height": 300, "pages": strokes, **fields}


LINE = [[10.0, 20.0, 0.0, 0.5], [30.5, 40.25, 16.0, 0.5], [50.0, 60.0, 33.0, 0.9]]
NUMBER = st.floats(-1000, 1000, allow_nan=False)
POINTS = st.lists(st.tuples(NUMBER, NUMBER, st.floats(0, 1e6), st.floats(0, 1)), min_size=1, max_size=6)
INKS = st.builds(
    lambda pages: Ink.model_validate(ink(*pages)), st.lists(st.lists(POINTS, max_size=3), max_size=3)
)


def test_a_line_becomes_paths_as_wide_as_the_pen_was_pressed() -> None:
    root = ElementTree.fromstring(to_svg(Ink.model_validate(ink([LINE]))))
    paths = list(root.iter(f"{SVG}path"))
    assert [path.get("d") for path in paths] == ["M10 20 L30.5 40.25", "M30.5 40.25 L50 60"]
    thin, thick = (float(path.get("stroke-width", "0")) for path in paths)
    assert thin < thick


def test_pages_lie_below_each_other_and_a_tap_is_a_dot() -> None:
    root = ElementTree.fromstring(to_svg(Ink.model_validate(ink([LINE], [[[5, 6, 0, 1]]]))))
    assert root.get("viewBox") == "0 0 400 624"
    assert [group.get("transform") for group in root] == [None, "translate(0 324)"]
    assert [(dot.get("cx"), dot.get("cy")) for dot in root.iter(f"{SVG}circle")] == [("5", "6")]


def test_ink_takes_the_colour_of_its_page_so_that_it_is_seen_in_the_dark() -> None:
    assert ElementTree.fromstring(to_svg(Ink.model_validate(ink([LINE])))).get("stroke") == "currentColor"


def test_inkml_keeps_every_point_with_time_and_pressure() -> None:
    root = ElementTree.fromstring(to_inkml(Ink.model_validate(ink([LINE, LINE], []))))
    assert [channel.get("name") for channel in root.iter(f"{INKML}channel")] == ["X", "Y", "T", "F"]
    assert len(root.findall(f"{INKML}traceGroup")) == 2
    assert [trace.text for trace in root.iter(f"{INKML}trace")] == ["10 20 0 0.5, 30.5 40.25 16 0.5, 50 60 33 0.9"] * 2


@given(INKS)
def test_any_ink_is_well_formed_in_both_formats_and_loses_no_stroke(drawn: Ink) -> None:
    svg, inkml = ElementTree.fromstring(to_svg(drawn)), ElementTree.fromstring(to_inkml(drawn))
    strokes = sum(len(page) for page in drawn.pages)
    assert len(list(inkml.iter(f"{INKML}trace"))) == strokes
    assert sum(len((trace.text or "").split(",")) for trace in inkml.iter(f"{INKML}trace")) == drawn.points
    drawn_lines = sum((path.get("d") or "").count("L") for path in svg.iter(f"{SVG}path"))
    dots = len(list(svg.iter(f"{SVG}circle")))
    assert drawn_lines + strokes == drawn.points and dots == sum(len(s.points) == 1 for page in drawn.pages for s in page)


@given(INKS)
def test_ink_survives_json(drawn: Ink) -> None:
    assert Ink.model_validate(drawn.model_dump(mode="json")) == drawn


@pytest.mark.parametrize(
    "bad",
    [
        ink([LINE], device="<script>"), ink([LINE], width=math.nan), ink([LINE], width=0), ink([LINE], height=1e9), ink([[]]), ink([[[1, 2, 3]]]), ink([[[1, 2, 3, 4]]]),
        ink([[[1, 2, -1, 0.5]]]), ink([[[math.inf, 2, 3, 0.5]]]), ink([[["1e400", 2, 3, 0.5]]]), ink([[[1e9, 2, 3, 0.5]]]), ink([LINE], extra=1), {"device": "pen"}, [], "x", None,
        {**ink(), "pages": [[{"tool": "rm", "points": LINE}]]}, {**ink(), "pages": [[{"points": LINE, "onload": "x"}]]}, ink(*[[] for _ in range(201)]),
    ],
)  # fmt: skip
def test_hostile_ink_is_refused(bad: Any) -> None:
    with pytest.raises(ValidationError):
        Ink.model_validate(bad)


def test_the_number_of_points_is_bounded_over_all_strokes() -> None:
    stroke = [[1, 2, 3, 0.5]] * 20_000
    assert Ink.model_validate(ink(*[[stroke]] * 10)).points == 200_000
    with pytest.raises(ValidationError, match="at most 200,000"):
        Ink.model_validate(ink(*[[stroke]] * 10, [[[1, 2, 3, 0.5]]]))
