"""Figures: lines, bars and points in Viva's hand, over Altair.

One message each, which is its title; axes with units; labels beside the lines instead of a legend; at most `MOST_ROWS` rows. A lab's
figure function gets all results and ``say``, draws one chart, and is called once in Korean and once in English:

    def draw(results: Results, say: Say) -> alt.LayerChart:
        rows = results.spread("layers", "signal", by=("init", "layer"))
        return titled(line(rows, "layer", "signal", "init", x_title=say("층", "layer"), y_title=say("신호", "signal")), say(…, …))

`figure` lays the two over one another, so that numbers are kept once and texts twice, and rounds to five digits. Altair is loaded when
a figure is drawn, vl-convert when one is exported; neither needs a browser or the network.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viva.labs.declare import Results, Rows, Say
from viva.labs.evidence import Figure, Theme, rounded
from viva.language import Language, Text

if TYPE_CHECKING:
    import altair as alt

MOST_ROWS = 400
WIDTH, HEIGHT = 460, 280
TITLE_COLUMNS = 58  # a Korean letter takes two
LABEL_GAP = 0.062  # of the height: labels closer than this would touch


# --- Drawing ---------------------------------------------------------------------------------------------------------


def line(
    rows: Rows, x: str, y: str, series: str | None = None, *,
    x_title: str, y_title: str, x_log: bool = False, y_log: bool = False, y_zero: bool = False,
    band: tuple[str, str] | None = None, markers: bool = False, y_domain: tuple[float, float] | None = None,
    dashed: str | None = None,
) -> alt.LayerChart:  # fmt: skip
    """Lines over x, one for each value of ``series``, with its name at the right end. band: columns of a lower and upper edge.

    dashed: a column of true and false; what is true is drawn dashed (a theory beside measurements).
    """
    import altair as alt

    base = alt.Chart(_data(rows))
    x_code = alt.X(x, type="quantitative", title=x_title, **_along(rows, x, x_log, exact=True))
    y_code = alt.Y(y, type="quantitative", title=y_title, **_along(rows, y, y_log, zero=y_zero, domain=y_domain))
    colour = _colour(rows, series)
    layers: list[Any] = []
    if band:
        layers.append(base.mark_area(opacity=0.15, tooltip=False).encode(x_code, alt.Y(band[0], type="quantitative", title=y_title), alt.Y2(band[1]), **colour))
    dash = {"strokeDash": alt.StrokeDash(dashed, type="nominal", legend=None, scale=alt.Scale(domain=[False, True], range=[[1, 0], [5, 4]]))} if dashed else {}
    layers.append(base.mark_line(clip=True).encode(x_code, y_code, **dash, **colour))
    if markers:
        layers.append(base.mark_point(size=45).encode(x_code, y_code, **colour))
    if series:
        ends = label_places(rows, x, y, series, y_log, y_domain)
        layers.append(
            alt.Chart(_data(ends)).mark_text(align="left", dx=8, tooltip=False).encode(
                alt.X(x, type="quantitative"), alt.Y("label_y", type="quantitative"), alt.Text(series, type="nominal"), **_colour(rows, series)
            )
        )  # fmt: skip
    return _sized(alt.layer(*layers), HEIGHT, [str(row[series]) for row in rows] if series else [])


def points(
    rows: Rows, x: str, y: str, series: str | None = None, *,
    x_title: str, y_title: str, x_log: bool = False, y_log: bool = False, label: str | None = None, diagonal: bool = False, y_names: bool = False,
) -> alt.LayerChart:  # fmt: skip
    """Points, coloured by ``series``; ``label``: a column written beside each. diagonal: the line on which x = y.

    y_names: the column y holds names, in the order of the rows from the top, and not numbers.
    """
    import altair as alt

    x_code = alt.X(x, type="quantitative", title=x_title, **_along(rows, x, x_log))
    if y_names:
        y_code = alt.Y(y, type="nominal", sort=_distinct(rows, y), title=None, axis=alt.Axis(grid=True, domain=False, ticks=False, labelPadding=8))
    else:
        y_code = alt.Y(y, type="quantitative", title=y_title, **_along(rows, y, y_log))
    base = alt.Chart(_data(rows))
    layers: list[Any] = []
    if diagonal:
        ends = [min(min(float(r[x]), float(r[y])) for r in rows), max(max(float(r[x]), float(r[y])) for r in rows)]
        layers.append(alt.Chart(_data([{x: end, y: end} for end in ends])).mark_line(strokeDash=[4, 4], strokeWidth=1.5, opacity=0.6, tooltip=False).encode(x_code, y_code))
    layers.append(base.mark_point().encode(x_code, y_code, **_colour(rows, series)))
    if label:
        layers.append(base.mark_text(align="left", dx=8, tooltip=False).encode(x_code, y_code, alt.Text(label, type="nominal"), **_colour(rows, series)))
    height = max(90, 44 * len(_distinct(rows, y))) if y_names else HEIGHT
    return _sized(alt.layer(*layers), height, [str(row[label]) for row in rows] if label else [])


def bars(
    rows: Rows, name: str, value: str, *, title: str, form: str = ".3~g",
    error: tuple[str, str] | None = None, colour: str | None = None, reference: float | None = None, reference_label: str = "",
    domain: tuple[float, float] | None = None,
) -> alt.LayerChart:  # fmt: skip
    """Horizontal bars, in the order of the rows, with their numbers beside them. error: columns of the least and largest value.

    reference: a dashed line across, with its label on top. colour: a column that groups the bars.
    """
    import altair as alt

    order = _distinct(rows, name)
    edge = max(max(float(row[column]) for row in rows) for column in ((value, error[1]) if error else (value,)))
    base = alt.Chart(_data(rows))
    y_code = alt.Y(name, type="nominal", sort=order, title=None, axis=alt.Axis(domain=False, ticks=False, labelPadding=8))
    x_code = alt.X(value, type="quantitative", title=title, scale=alt.Scale(domain=domain) if domain else alt.Scale(domain=[0, edge * 1.12], nice=False))
    layers: list[Any] = [base.mark_bar(height={"band": 0.6}, opacity=0.85).encode(x_code, y_code, **_colour(rows, colour))]
    if error:
        layers.append(base.mark_rule(strokeWidth=2, tooltip=False).encode(alt.X(error[0], type="quantitative"), y_code, alt.X2(error[1])))
    number = alt.Chart(_data([{name: row[name], "at": max(float(row[value]), float(row[error[1]]) if error else 0.0), value: row[value]} for row in rows]))
    layers.append(number.mark_text(align="left", dx=6, tooltip=False).encode(alt.X("at", type="quantitative"), y_code, alt.Text(value, type="quantitative", format=form)))
    if reference is not None:
        mark = alt.Chart(_data([{"reference": reference, "label": reference_label}]))
        layers.append(mark.mark_rule(strokeDash=[4, 4], strokeWidth=1.5).encode(alt.X("reference", type="quantitative")))
        layers.append(mark.mark_text(align="center", baseline="bottom", dy=-4, tooltip=False).encode(x=alt.X("reference", type="quantitative"), y=alt.value(0), text=alt.Text("label", type="nominal")))
    return _sized(alt.layer(*layers), max(90, 44 * len(order)), [])


def titled(chart: Any, message: str) -> Any:
    """The chart with its message on top, broken into lines that fit a phone."""
    return chart.properties(title=wrapped(message), description=message)


def wrapped(text: str, columns: int = TITLE_COLUMNS) -> list[str]:
    """Lines of at most so many columns and of about one length, broken between words; a Korean letter takes two columns."""
    fewest = len(_broken(text, columns))
    return next(lines for narrow in range(1, columns + 1) if len(lines := _broken(text, narrow)) == fewest)


def _broken(text: str, columns: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and _columns(lines[-1]) + 1 + _columns(word) <= columns:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _data(rows: Rows) -> Any:
    import altair as alt

    return alt.InlineData(values=[dict(row) for row in rows])


def _sized(chart: Any, height: int, labels: Sequence[str]) -> Any:
    """The usual width, and how many pixels the labels at the right need beside it (`Figure.vega_lite` makes room in a narrow column)."""
    room = 16 + 7 * max(map(_columns, labels), default=0) if labels else 16
    return chart.properties(width=WIDTH, height=height, usermeta={"label_room": room})


def _distinct(rows: Rows, column: str) -> list[Any]:
    return list(dict.fromkeys(row[column] for row in rows))


def _along(rows: Rows, column: str, log: bool, *, zero: bool = False, domain: tuple[float, float] | None = None, exact: bool = False) -> dict[str, Any]:
    """Scale and axis of one direction. A logarithmic axis has a tick at each value where there are few (``exact``), else at powers of ten."""
    import altair as alt

    if not log:
        return {"scale": alt.Scale(zero=zero) if domain is None else alt.Scale(zero=zero, domain=list(domain))}
    values = sorted({float(row[column]) for row in rows if float(row[column]) > 0})
    low, high = domain or (values[0], values[-1])
    if exact and len(values) <= 8:
        ticks = values
    else:
        low, high = (low, high) if domain else (10 ** math.floor(math.log10(low) + 1e-9), 10 ** math.ceil(math.log10(high) - 1e-9))
        powers = range(math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9) + 1)
        every = max(1, len(powers) // 8)
        ticks = [10.0**power for power in powers if power % every == 0]
    return {"scale": alt.Scale(type="log", domain=[low, high], nice=False), "axis": alt.Axis(values=ticks, format=",~g" if high < 1e6 and low > 1e-4 else ".0e")}


def _colour(rows: Rows, series: str | None) -> dict[str, Any]:
    import altair as alt

    if series is None:
        return {}
    return {"color": alt.Color(series, type="nominal", legend=None, scale=alt.Scale(domain=_distinct(rows, series)))}


def label_places(rows: Rows, x: str, y: str, series: str, log: bool, domain: tuple[float, float] | None) -> list[dict[str, Any]]:
    """The last point of each series, with a height for its label at which labels do not touch."""
    last: dict[Any, Any] = {}
    for row in rows:
        if row[series] not in last or float(row[x]) >= float(last[row[series]][x]):
            last[row[series]] = row
    lift: Callable[[float], float] = math.log10 if log else float
    heights = sorted((lift(float(row[y])), name) for name, row in last.items())
    every = [lift(edge) for edge in domain] if domain else [lift(float(row[y])) for row in rows]
    gap = LABEL_GAP * ((max(every) - min(every)) or 1.0)
    placed: list[float] = []
    for height, _ in heights:
        placed.append(max(height, placed[-1] + gap) if placed else height)
    excess = max(0.0, placed[-1] - max(every)) if placed else 0.0
    for index in range(len(placed) - 1, -1, -1):  # pushed above the top: move down what stands in the way
        ceiling = placed[index + 1] - gap if index + 1 < len(placed) else placed[index] - excess
        placed[index] = min(placed[index], ceiling)
    return [
        {x: last[name][x], series: last[name][series], "label_y": 10**height if log else height}
        for height, (_, name) in zip(placed, heights, strict=True)
    ]


# --- One specification for two languages -----------------------------------------------------------------------------


def figure(id: str, draw: Callable[[Results, Say], Any], results: Results) -> Figure:
    """What ``draw`` draws, in both languages."""
    import altair as alt

    def ko(ko: str, en: str) -> str:
        return ko

    def en(ko: str, en: str) -> str:
        return en

    specs: list[dict[str, Any]] = []
    for say in (ko, en):
        with alt.data_transformers.enable(consolidate_datasets=False):
            specs.append(draw(results, say).to_dict())
    for spec in specs:
        spec.pop("config", None)
        rows = _count(spec)
        if rows > MOST_ROWS:
            raise ValueError(f"the figure '{id}' has {rows} rows; {MOST_ROWS} are what a page should carry: show every n-th")
    message = Text(ko=specs[0].get("description"), en=specs[1].get("description"))
    return Figure(id=id, message=message, spec=_both(id, specs[0], specs[1]))


def _both(id: str, ko: Any, en: Any) -> Any:
    if isinstance(ko, dict) and isinstance(en, dict) and ko.keys() == en.keys():
        return {key: _both(id, ko[key], en[key]) for key in ko}
    if isinstance(ko, list) and isinstance(en, list) and len(ko) == len(en) and not _words(ko, en):
        return [_both(id, one, other) for one, other in zip(ko, en, strict=True)]
    if isinstance(ko, float) and isinstance(en, float):
        return rounded(ko, 5) if math.isfinite(ko) else None
    if ko == en:
        return ko
    if _words(ko, en) or (isinstance(ko, (str, int)) and type(ko) is type(en)):
        return {"ko": ko, "en": en}
    raise ValueError(f"the figure '{id}' is not the same in Korean and English: {ko!r} and {en!r}")


def _words(ko: Any, en: Any) -> bool:
    """The lines of a title: of any number, and different ones."""
    return ko != en and all(isinstance(side, list) and side and all(isinstance(part, str) for part in side) for side in (ko, en))


def _count(node: Any) -> int:
    if isinstance(node, dict):
        return sum(len(value) if key == "values" and isinstance(value, list) else _count(value) for key, value in node.items())
    return sum(map(_count, node)) if isinstance(node, list) else 0


# --- Export ----------------------------------------------------------------------------------------------------------


def can_draw() -> bool:
    """Whether figures can be exported here."""
    return importlib.util.find_spec("vl_convert") is not None


def svg(figure: Figure, language: Language, theme: Theme = "light") -> str:
    """The figure as SVG; its text stays text, drawn in the reader's fonts."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(figure.vega_lite(language, theme), allowed_base_urls=[])
    return drawn


def png(figure: Figure, language: Language, theme: Theme = "light", scale: float = 2.0) -> bytes:
    """The figure as PNG, in this machine's fonts: see `draws_korean`."""
    import vl_convert

    drawn: bytes = vl_convert.vegalite_to_png(figure.vega_lite(language, theme), scale=scale, allowed_base_urls=[])
    return drawn


def html(figure: Figure, language: Language, theme: Theme = "light") -> str:
    """A page of its own, with everything that draws it inside: it opens without a network."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_html(figure.vega_lite(language, theme), bundle=True)
    return drawn


@functools.cache
def draws_korean() -> bool:
    """Whether this machine has a font with Korean letters; without one two different letters become the same box."""
    import vl_convert

    def drawn(letter: str) -> bytes:
        image: bytes = vl_convert.svg_to_png(f'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><text y="30" font-size="28">{letter}</text></svg>')
        return image

    return drawn("가") != drawn("힣")


def export(figure: Figure, folder: Path, name: str, language: Language, theme: Theme = "light") -> list[Path]:
    """Writes name.png, name.svg and name.html; the PNG is in English where this machine cannot draw Korean."""
    picture: Language = "en" if language == "ko" and not draws_korean() else language
    written = [folder / f"{name}.{kind}" for kind in ("png", "svg", "html")]
    written[0].write_bytes(png(figure, picture, theme))
    written[1].write_text(svg(figure, language, theme), encoding="utf-8")
    written[2].write_text(html(figure, language, theme), encoding="utf-8")
    return written
