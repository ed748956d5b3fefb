"""Viva's hand for figures: the colours of the pages, light and dark, as a Vega-Lite ``config``.

A figure's specification names no colour of its own, so one specification serves both. The series' colours are those of Okabe
and Ito (2008), which people with the common colour blindnesses tell apart; on the dark paper the two darkest of them are lighter.
Series are told apart by labels beside them, never by colour alone.
"""

from __future__ import annotations

from typing import Any

from viva.labs.evidence import Theme

FONT = "Pretendard Variable, Pretendard, Noto Sans KR, Noto Sans CJK KR, Apple SD Gothic Neo, Malgun Gothic, system-ui, sans-serif"
INK: dict[Theme, dict[str, str]] = {
    "light": {"paper": "#fbfaf7", "ink": "#1d1c1a", "soft": "#6b665e", "line": "#e4e0d8"},
    "dark": {"paper": "#151513", "ink": "#ece9e2", "soft": "#a8a297", "line": "#2e2c28"},
}
# blue, vermilion, green, purple, orange, sky
SERIES: dict[Theme, list[str]] = {
    "light": ["#0072b2", "#c04e00", "#00805d", "#a8457f", "#946200", "#2b7fb0"],
    "dark": ["#56b4e9", "#ff8f5c", "#3fc79a", "#e39ac4", "#e69f00", "#9bd3f5"],
}


def config(theme: Theme) -> dict[str, Any]:
    """The ``config`` of a Vega-Lite specification in that theme."""
    ink, series = INK[theme], SERIES[theme]
    return {
        "background": ink["paper"],
        "font": FONT,
        "padding": 12,
        "range": {"category": series},
        "view": {"stroke": None},
        "title": {"color": ink["ink"], "fontSize": 15, "fontWeight": 600, "anchor": "start", "offset": 14, "lineHeight": 20},
        "axis": {
            "labelColor": ink["soft"], "titleColor": ink["soft"], "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 400,
            "domainColor": ink["soft"], "tickColor": ink["line"], "gridColor": ink["line"], "titlePadding": 8, "labelLimit": 260,
        },
        "header": {"labelColor": ink["ink"], "titleColor": ink["soft"], "labelFontSize": 12},
        "line": {"strokeWidth": 2.5, "color": series[0]},
        "point": {"filled": True, "size": 70, "opacity": 1, "color": series[0]},
        "bar": {"color": series[0]},
        "area": {"color": series[0]},
        "rect": {"color": series[0]},
        "rule": {"color": ink["soft"]},
        "text": {"fontSize": 12, "color": ink["ink"]},
        "mark": {"tooltip": True},
    }  # fmt: skip
