"""Evidence: what a run of a lab found, as plain data that survives a file, a page and a terminal.

    measurements   every number that was measured, once for each seed
    claims         the verdict on each claim of the bank, the criterion it was judged by and the numbers that decided
    figures        Vega-Lite specifications in two languages, without colours: those come with a theme
    parameters, seeds, quick, seconds, environment     all that is needed to run it again, and where it ran

``Evidence.model_validate_json(evidence.model_dump_json())`` is the same evidence. A number that is not finite is None: JSON
knows no NaN.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from viva.language import Language, Text, parse_language

Verdict = Literal["supported", "refuted", "inconclusive"]
Theme = Literal["light", "dark"]
Value = bool | int | float | str
BEYOND = 1e300  # a number that large has diverged: as good as infinite

VERDICTS: dict[Verdict, Text] = {
    "supported": Text(ko="뒷받침됨", en="supported"),
    "refuted": Text(ko="반박됨", en="refuted"),
    "inconclusive": Text(ko="판단할 수 없음", en="inconclusive"),
}


class LabError(Exception):
    """Something that the person who ran a lab can put right, said in both languages."""

    def __init__(self, ko: str, en: str) -> None:
        self.text = Text(ko=ko, en=en)
        super().__init__(en)

    def get(self, language: Language) -> str:
        """The sentence in ``language``."""
        return self.text.get(language)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measurement(_Frozen):
    """One quantity: its value in each seed, in the order of the seeds, and what they have in common.

    mean, low, high run over the finite values, and spread is their standard deviation (n − 1; 0 for a single one); all are
    None where no value is finite. tolerance: how far another run's mean may lie from this one's; None: that is not compared.
    """

    name: str
    label: Text
    unit: Text | None
    values: tuple[float | None, ...]
    mean: float | None
    spread: float | None
    low: float | None
    high: float | None
    tolerance: float | None

    @classmethod
    def of(cls, name: str, label: Text, unit: Text | None, values: Iterable[float], tolerance: float | None) -> Measurement:
        """The measurement of these values, rounded to 9 digits: more would only say which machine measured."""
        kept = tuple(rounded(float(value), 9) if abs(value) < BEYOND else None for value in values)
        finite = [value for value in kept if value is not None]
        if not finite:
            return cls(name=name, label=label, unit=unit, values=kept, mean=None, spread=None, low=None, high=None, tolerance=tolerance)
        mean = float(statistics.mean(finite))
        spread = statistics.stdev(finite) if len(finite) > 1 else 0.0
        return cls(
            name=name, label=label, unit=unit, values=kept, mean=rounded(mean, 9), spread=rounded(spread, 9),
            low=min(finite), high=max(finite), tolerance=tolerance,
        )  # fmt: skip

    def say(self, language: Language) -> str:
        """Label, mean and range: "accuracy 0.913 [0.89, 0.93]"."""
        if self.mean is None:
            return f"{self.label.get(language)} –"
        word = self.unit.get(language) if self.unit else ""
        unit = word if word in ("", "%", "×", "배") else f" {word}"
        span = "" if self.low == self.high else f" [{short(self.low)}, {short(self.high)}]"
        return f"{self.label.get(language)} {short(self.mean)}{unit}{span}"


class Judged(_Frozen):
    """The verdict on one claim of one question; ``measured`` are the numbers that decided, the key number first.

    note: why the verdict is what it is, where the criterion alone does not say it (parameters outside the claim).
    """

    id: str
    question: str
    verdict: Verdict
    criterion: Text
    measured: tuple[Measurement, ...]
    note: Text | None = None


class Figure(_Frozen):
    """One figure. ``spec`` is Vega-Lite in which a text may be ``{"ko": …, "en": …}``; `vega_lite` makes it an ordinary one."""

    id: str
    message: Text
    spec: dict[str, Any]

    def vega_lite(self, language: Language, theme: Theme = "light", width: int | Literal["container"] | None = None) -> dict[str, Any]:
        """An ordinary Vega-Lite specification in one language and theme; ``width`` in pixels, or "container" for a page."""
        from viva.labs.theme import config

        spec: dict[str, Any] = _in_language(self.spec, language)
        room = spec.pop("usermeta", {}).get("label_room", 0)
        if width == "container":  # fitting counts axes and titles, and forgets labels beside a line
            spec |= {"width": width, "autosize": {"type": "fit-x", "contains": "padding"}, "padding": {"left": 4, "right": room, "top": 4, "bottom": 4}}
        elif width is not None:
            spec["width"] = width
        return {**spec, "config": config(theme)}


class Environment(_Frozen):
    """Where a run took place, and with what. ``cpu_seconds``: of this process, which a busy machine does not stretch."""

    versions: dict[str, str]
    machine: str
    threads: int
    cpu_seconds: float
    seeds: tuple[int, ...]
    quick: bool


class Evidence(_Frozen):
    """What one run of one lab found. ``seconds`` of wall time, ``parameters`` complete, defaults included."""

    lab: str
    title: Text
    parameters: dict[str, Value]
    seconds: float
    measurements: tuple[Measurement, ...]
    claims: tuple[Judged, ...]
    figures: tuple[Figure, ...]
    environment: Environment

    def __getitem__(self, name: str) -> Measurement:
        for measurement in self.measurements:
            if measurement.name == name:
                return measurement
        raise KeyError(name)

    def claim(self, id: str, question: str | None = None) -> Judged:
        """The verdict on a claim; name its question where two questions have a claim of that name."""
        for judged in self.claims:
            if judged.id == id and question in (None, judged.question):
                return judged
        raise KeyError(id)

    def shape(self, language: Language) -> dict[str, Any]:
        """What ``viva lab run --json`` prints: ordinary JSON, the figures as ordinary Vega-Lite in ``language``."""
        data = self.model_dump(mode="json", include={"lab", "parameters", "seconds", "claims", "environment"})
        claims = [{key: claim[key] for key in ("id", "question", "verdict", "criterion", "measured")} for claim in data["claims"]]
        figures = [figure.vega_lite(language) for figure in self.figures]
        return {
            "lab": data["lab"], "parameters": data["parameters"], "seconds": data["seconds"],
            "claims": claims, "figures": figures, "environment": data["environment"],
        }  # fmt: skip

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """In a notebook: the verdicts as a table with the figures below, drawn here, so that nothing is loaded from anywhere."""
        from html import escape

        from viva.labs import figures

        language = parse_language(os.environ.get("VIVA_LANG") or os.environ.get("LC_ALL") or os.environ.get("LANG"), "en")
        lines, rows = [self.title.get(language)], []
        for judged in self.claims:
            cells = (
                f"{judged.question} / {judged.id}", VERDICTS[judged.verdict].get(language),
                "; ".join(number.say(language) for number in judged.measured), judged.criterion.get(language),
            )  # fmt: skip
            lines.append("  ".join(cells[:3]))
            rows.append("<tr>" + "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in cells) + "</tr>")
        drawn = [figures.svg(figure, language) for figure in self.figures] if figures.can_draw() else []
        html = f"<h4>{escape(lines[0])}</h4><table>{''.join(rows)}</table>" + "".join(f"<div>{image}</div>" for image in drawn)
        return {"text/plain": "\n".join(lines), "text/html": html}


def rounded(value: float, digits: int) -> float:
    """``value`` to so many significant digits."""
    return float(f"{value:.{digits}g}")


def short(value: float | None) -> str:
    """Three digits for a reader: 0.0312, 17.9, 21453, 2.8e-17."""
    if value is None:
        return "–"
    if value != 0 and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.1e}"
    return f"{value:.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def _in_language(node: Any, language: Language) -> Any:
    if isinstance(node, dict):
        if node.keys() == {"ko", "en"}:
            return node[language]
        return {key: _in_language(value, language) for key, value in node.items()}
    return [_in_language(value, language) for value in node] if isinstance(node, list) else node
