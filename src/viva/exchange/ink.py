"""Handwriting: strokes checked, and drawn as SVG or written as InkML.

A stroke is its points in order, each ``[x, y, t, pressure]``: pixels from the top left of the pad, milliseconds, and 0 to 1. The
model is the gate for what a browser sends, so everything in it is bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal
from xml.etree import ElementTree

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_PAGES = 200
MAX_POINTS = 200_000
_PAGE_GAP = 24.0  # pixels between pages of the picture
_PEN_WIDTH = 2.6  # pixels at full pressure
_SVG = "http://www.w3.org/2000/svg"
_INKML = "http://www.w3.org/2003/InkML"

_Coordinate = Annotated[float, Field(ge=-100_000, le=100_000, allow_inf_nan=False)]
_Milliseconds = Annotated[float, Field(ge=0, le=1e13, allow_inf_nan=False)]
_Pressure = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Size = Annotated[float, Field(gt=0, le=20_000, allow_inf_nan=False)]
Point = tuple[_Coordinate, _Coordinate, _Milliseconds, _Pressure]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Stroke(_Frozen):
    """One line from putting the pen down to lifting it."""

    tool: Literal["pen"] = "pen"
    points: Annotated[tuple[Point, ...], Field(min_length=1, max_length=MAX_POINTS)]


class Ink(_Frozen):
    """A handwritten answer: pages of strokes on a pad of ``width`` × ``height`` pixels."""

    device: Literal["pen", "mouse", "touch"]
    width: _Size
    height: _Size
    pages: Annotated[tuple[tuple[Stroke, ...], ...], Field(max_length=MAX_PAGES)]

    @model_validator(mode="after")
    def _bounded(self) -> Ink:
        points = self.points
        if points > MAX_POINTS:
            raise ValueError(f"has {points:,} points; an answer has at most {MAX_POINTS:,}")
        return self

    @property
    def points(self) -> int:
        """How many points there are on all pages."""
        return sum(len(stroke.points) for page in self.pages for stroke in page)


def to_svg(ink: Ink) -> str:
    """All pages below each other, in the colour of the text around; pressure is the width of the line."""
    pages = max(1, len(ink.pages))
    height = pages * ink.height + (pages - 1) * _PAGE_GAP
    svg = ElementTree.Element("svg", {
        "xmlns": _SVG, "viewBox": f"0 0 {_short(ink.width)} {_short(height)}", "width": _short(ink.width), "height": _short(height),
        "fill": "none", "stroke": "currentColor", "stroke-linecap": "round", "stroke-linejoin": "round",
    })  # fmt: skip
    for number, page in enumerate(ink.pages):
        top = number * (ink.height + _PAGE_GAP)
        group = ElementTree.SubElement(svg, "g", {"transform": f"translate(0 {_short(top)})"} if top else {})
        for stroke in page:
            _draw(group, stroke.points)
    return _xml(svg)


def _draw(group: ElementTree.Element, points: Sequence[Point]) -> None:
    """A path for each run of points with about the same pressure; a dot where the pen did not move."""
    if len(points) == 1:
        x, y, _, pressure = points[0]
        dot = {"cx": _short(x), "cy": _short(y), "r": _short(_line_width(pressure) / 2), "fill": "currentColor", "stroke": "none"}
        ElementTree.SubElement(group, "circle", dot)
        return
    path: list[str] = []
    width = ""
    for (x0, y0, _, p0), (x1, y1, _, p1) in pairwise(points):
        wanted = _short(_line_width((p0 + p1) / 2))
        if wanted != width:
            if path:
                ElementTree.SubElement(group, "path", {"d": " ".join(path), "stroke-width": width})
            path, width = [f"M{_short(x0)} {_short(y0)}"], wanted
        path.append(f"L{_short(x1)} {_short(y1)}")
    ElementTree.SubElement(group, "path", {"d": " ".join(path), "stroke-width": width})


def _line_width(pressure: float) -> float:
    return round(_PEN_WIDTH * (0.4 + 0.6 * (pressure or 0.5)), 1)


def to_inkml(ink: Ink) -> str:
    """W3C InkML: a trace group for each page; channels X, Y in pixels, T in milliseconds, F in 0..1."""
    root = ElementTree.Element("ink", {"xmlns": _INKML})
    definitions = ElementTree.SubElement(root, "definitions")
    context = ElementTree.SubElement(definitions, "context", {"xml:id": "pad"})
    source = ElementTree.SubElement(context, "inkSource", {"xml:id": "source", "description": ink.device})
    traces = ElementTree.SubElement(source, "traceFormat")
    for name, kind, least, most, unit in (
        ("X", "decimal", "0", _short(ink.width), "px"), ("Y", "decimal", "0", _short(ink.height), "px"),
        ("T", "decimal", "0", None, "ms"), ("F", "decimal", "0", "1", "dev"),
    ):  # fmt: skip
        channel = {"name": name, "type": kind, "min": least, "units": unit} | ({"max": most} if most else {})
        ElementTree.SubElement(traces, "channel", channel)
    for page in ink.pages:
        group = ElementTree.SubElement(root, "traceGroup", {"contextRef": "#pad"})
        for stroke in page:
            trace = ElementTree.SubElement(group, "trace")
            trace.text = ", ".join(f"{_short(x)} {_short(y)} {_short(t)} {_short(p, 4)}" for x, y, t, p in stroke.points)
    return _xml(root)


def _short(number: float, digits: int = 2) -> str:
    return f"{number:.{digits}f}".rstrip("0").rstrip(".") if number else "0"


def _xml(root: ElementTree.Element) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")
