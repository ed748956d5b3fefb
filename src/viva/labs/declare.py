"""How a lab is declared: a typed function that measures one seed, and what its numbers mean.

    def measure(seed: int, report: Report, depth: Annotated[int, Param(ko="층 수", en="layers", low=1, high=100)] = 50) -> Trial:
        ...                                  # import torch here, so that listing labs does not
        report(0.5, loss=0.3)                # how far, and numbers for a live curve; raises when the run is cancelled
        return Trial({"signal": 0.2}, {"layers": [{"layer": 1, "signal": 0.9}, …]})

    LAB = Lab(id=…, title=…, about=…, measure=measure, measures={"signal": Measure(…)}, claims=(Claim(…),), figures={"signal": draw})

The parameters are the function's own: types and defaults from its signature, label, range and unit from `Param`. The runner
calls it once for each seed, with all generators seeded; `Measure` names each number, `Claim` says which criteria decide
about which claim of the bank, and a figure's function draws all seeds together.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import math
import pkgutil
import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from viva.labs.criteria import Criterion, joint
from viva.labs.evidence import Evidence, Judged, LabError, Measurement, Value, rounded
from viva.language import Text

if TYPE_CHECKING:
    import altair as alt

Row = dict[str, Any]  # of a tidy table: column → number, text or truth value
Rows = Sequence[Row]
Say = Callable[[str, str], str]  # (Korean, English) → the one that is being drawn
RESERVED = frozenset({"seed", "seeds", "quick", "progress", "cancel", "report"})  # what `run` itself takes


# --- Parameters ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Param:
    """What the type of a parameter does not say. It stands in ``Annotated`` beside the type: int, float, bool or ``Literal`` words.

    low, high: the allowed range, both included; needed for numbers. step: of a slider. quick: the value of a quick run, where
    the default takes too long. log: a slider should move by factors.
    """

    ko: str
    en: str
    low: float | None = None
    high: float | None = None
    step: float | None = None
    unit: Text | str | None = None
    quick: Value | None = None
    log: bool = False


@dataclass(frozen=True)
class Parameter:
    """One parameter of a lab, complete: what a slider or ``--set name=value`` needs."""

    name: str
    kind: Literal["int", "float", "bool", "choice"]
    default: Value
    label: Text
    unit: Text | None
    low: float | None
    high: float | None
    step: float | None
    choices: tuple[str, ...]
    quick: Value
    log: bool

    @property
    def allowed(self) -> Text:
        """What may be given, in words."""
        if self.kind == "bool":
            return Text(ko="true나 false", en="true or false")
        if self.kind == "choice":
            return Text(ko=", ".join(self.choices) + " 중 하나", en="one of " + ", ".join(self.choices))
        low, high = f"{self.low:g}", f"{self.high:g}"
        if self.kind == "int":
            return Text(ko=f"{low} 이상 {high} 이하의 정수", en=f"a whole number from {low} to {high}")
        return Text(ko=f"{low} 이상 {high} 이하의 수", en=f"a number from {low} to {high}")

    def parse(self, given: object) -> Value | None:
        """``given``, a value or the text of one, as this parameter's type; None where it is not allowed."""
        if self.kind == "choice":
            return given if given in self.choices and isinstance(given, str) else None
        if self.kind == "bool":
            words: dict[object, bool] = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "on": True, "off": False}
            return given if isinstance(given, bool) else words.get(given.strip().lower()) if isinstance(given, str) else None
        if isinstance(given, bool) or not isinstance(given, (int, float, str)):
            return None
        try:
            number = float(given)
            value: Value = int(given) if self.kind == "int" and isinstance(given, str) and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", given) else number
        except (ValueError, OverflowError):
            return None
        assert self.low is not None and self.high is not None
        if not math.isfinite(number) or not self.low <= number <= self.high:
            return None
        if self.kind == "int":
            return int(value) if number == int(number) else None
        return number

    def as_json(self) -> dict[str, Any]:
        """What ``viva lab list --json`` prints of it."""
        text = {"label": self.label.model_dump(), "unit": self.unit.model_dump() if self.unit else None}
        plain = {name: getattr(self, name) for name in ("name", "kind", "default", "low", "high", "step", "quick", "log")}
        return {**plain, "choices": list(self.choices), **text}


def _parameter(name: str, annotation: Any, default: Any) -> Parameter:
    kind, *extra = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Annotated else (annotation,)
    param = next((entry for entry in extra if isinstance(entry, Param)), None)
    if param is None or default is inspect.Parameter.empty or name in RESERVED:
        raise TypeError(f"parameter '{name}': expected 'name: Annotated[type, Param(...)] = default', and none of the names {sorted(RESERVED)}")
    choices: tuple[str, ...] = typing.get_args(kind) if typing.get_origin(kind) is Literal else ()
    word = "choice" if choices else {int: "int", float: "float", bool: "bool"}.get(kind)
    if word is None or (word in ("int", "float") and (param.low is None or param.high is None)):
        raise TypeError(f"parameter '{name}': expected int or float with low and high, bool, or Literal words; got {kind}")
    quick = default if param.quick is None else param.quick
    made = Parameter(
        name=name, kind=word, default=default, label=Text(ko=param.ko, en=param.en), unit=_text(param.unit), low=param.low, high=param.high,  # type: ignore[arg-type]
        step=param.step, choices=choices, quick=quick, log=param.log,
    )  # fmt: skip
    for value in (default, quick):
        if made.parse(value) is None:
            raise TypeError(f"parameter '{name}': {value!r} is not {made.allowed.en}")
    return made


def _text(text: Text | str | None) -> Text | None:
    return Text(ko=text, en=text) if isinstance(text, str) else text


# --- What one seed gives, and what all give together -----------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """What one seed gave: ``numbers``, one for each of the lab's measures, and ``tables`` of tidy rows for its figures."""

    numbers: Mapping[str, float]
    tables: Mapping[str, Rows] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """All trials of a run: what a figure is drawn from."""

    parameters: Mapping[str, Any]
    trials: Mapping[int, Trial]  # by seed
    measured: Mapping[str, Measurement]

    def __getitem__(self, measure: str) -> Measurement:
        return self.measured[measure]

    def rows(self, table: str) -> list[Row]:
        """The rows of all seeds, each with its ``seed``."""
        return [{**row, "seed": seed} for seed, trial in self.trials.items() for row in trial.tables.get(table, ())]

    def first(self, table: str) -> list[Row]:
        """The rows of the first seed: one run as an example."""
        return list(next(iter(self.trials.values())).tables.get(table, ()))

    def spread(self, table: str, value: str, by: Sequence[str]) -> list[Row]:
        """A row for each combination of the columns ``by``: those, and mean (under the name ``value``), low and high over the seeds."""
        groups: dict[tuple[Value, ...], list[float]] = {}
        for row in self.rows(table):
            groups.setdefault(tuple(row[column] for column in by), []).append(float(row[value]))
        return [
            {**dict(zip(by, key, strict=True)), value: math.fsum(values) / len(values), "low": min(values), "high": max(values)}
            for key, values in groups.items()
        ]


# --- What the numbers mean -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measure:
    """One number that every seed gives. tolerance: how far the mean of a later run with the same seeds may lie from the recorded
    one, in its own unit; round-off by default (a relative 1e-4), ``math.inf`` for what depends on the machine, such as seconds.
    """

    ko: str
    en: str
    unit: Text | str | None = None
    tolerance: float | None = None

    def of(self, name: str, values: Iterable[float]) -> Measurement:
        """These values as a measurement."""
        kept = list(values)
        tolerance = 1e-4 * max((abs(v) for v in kept if math.isfinite(v)), default=0.0) + 1e-9 if self.tolerance is None else self.tolerance
        return Measurement.of(name, Text(ko=self.ko, en=self.en), _text(self.unit), kept, rounded(tolerance, 2) if math.isfinite(tolerance) else None)


@dataclass(frozen=True)
class Claim:
    """A claim of the bank and what decides about it: all of ``criteria``.

    scope: where the claim speaks of certain parameters, their value, or the lowest and highest; a run elsewhere shows its
    numbers, and its verdict is inconclusive.
    """

    question: str
    id: str
    criteria: tuple[Criterion, ...]
    scope: Mapping[str, Value | tuple[float, float]] = field(default_factory=dict)

    def judge(self, measured: Mapping[str, Measurement], parameters: Mapping[str, Value]) -> Judged:
        """The verdict, with the criterion in words and the numbers that decided."""
        used = {criterion.measure: measured[criterion.measure] for criterion in self.criteria}
        sentences = [criterion.say(used[criterion.measure].label) for criterion in self.criteria]
        outside = [name for name, scope in self.scope.items() if not _within(parameters[name], scope)]
        verdict = joint([criterion.verdict(used[criterion.measure]) for criterion in self.criteria])
        note = None
        if outside:
            verdict, said = "inconclusive", [f"{name} = {_range(self.scope[name])}" for name in outside]
            note = Text(ko=f"이 주장은 {', '.join(said)}일 때에 대한 것입니다", en=f"the claim is about {', '.join(said)}")
        return Judged(
            id=self.id, question=self.question, verdict=verdict, measured=tuple(used.values()), note=note,
            criterion=Text(ko="; ".join(text.get("ko") for text in sentences), en="; ".join(text.get("en") for text in sentences)),
        )  # fmt: skip


def _within(value: Value, scope: Value | tuple[float, float]) -> bool:
    return scope[0] <= float(value) <= scope[1] if isinstance(scope, tuple) else value == scope


def _range(scope: Value | tuple[float, float]) -> str:
    return f"{scope[0]:g} … {scope[1]:g}" if isinstance(scope, tuple) else f"{scope:g}" if isinstance(scope, float) else str(scope)


# --- The lab ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Lab:
    """An experiment.

    id:        as the bank writes it after ``lab:``; the file is called after it (``two-over-L`` → ``two_over_l.py``).
    title:     what it shows, a line. about: a paragraph: what is done, and what would make it mislead.
    measure:   (seed, report, parameters …) → Trial.
    measures:  every number of a Trial, by name.
    claims:    all claims of the bank that name this lab.
    figures:   id → (results, say) → chart; made with `viva.labs.figures`, titled with the message.
    seeds, quick_seeds: how many, from the first seed on. seconds: a run at the defaults on one core of an ordinary laptop.
    threads:   of torch; more than one makes small nets slower.
    """

    id: str
    title: Text
    about: Text
    measure: Callable[..., Trial]
    measures: Mapping[str, Measure]
    claims: tuple[Claim, ...]
    figures: Mapping[str, Callable[[Results, Say], alt.TopLevelMixin]]
    seconds: float
    seeds: int = 5
    quick_seeds: int = 2
    threads: int = 1

    def __post_init__(self) -> None:
        for claim in self.claims:
            unknown = [c.measure for c in claim.criteria if c.measure not in self.measures] + [p for p in claim.scope if p not in self.parameters]
            if unknown or not claim.criteria:
                raise ValueError(f"{self.id}: the claim '{claim.id}' names {unknown or 'no criterion'}; measures are {list(self.measures)}")

    @functools.cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters, by name, in the order of the function."""
        hints = typing.get_type_hints(self.measure, include_extras=True)
        signature = inspect.signature(self.measure).parameters
        if list(signature)[:2] != ["seed", "report"]:
            raise TypeError(f"{self.id}: the function of a lab takes 'seed' and 'report' first; this one takes {list(signature)[:2]}")
        return {name: _parameter(name, hints[name], entry.default) for name, entry in list(signature.items())[2:]}

    def run(self, **options: Any) -> Evidence:
        """``run(depth=30, seeds=3)``: the lab's parameters by name, and those of `viva.labs.run`: seed, seeds, quick, progress, cancel."""
        from viva.labs import runner

        own = {name: options.pop(name) for name in list(options) if name not in RESERVED}
        return runner.run(self, own, **options)


# --- Finding them ----------------------------------------------------------------------------------------------------


class UnknownLab(LabError):
    """No lab has that id; ``near`` are ids like it."""

    def __init__(self, id: str, near: Sequence[str]) -> None:
        self.near = tuple(near)
        given, names = id[:80], ", ".join(near)
        super().__init__(
            f"'{given}'라는 랩이 없습니다." + (f" 혹시 {names}?" if near else " 목록: viva lab list"),
            f"There is no lab '{given}'." + (f" Did you mean {names}?" if near else " For the list: viva lab list"),
        )


@functools.cache
def every() -> Mapping[str, Lab]:
    """All labs by id, sorted. Loads neither torch nor Altair."""
    package = importlib.import_module("viva.labs.experiments")
    found: dict[str, Lab] = {}
    for module in pkgutil.iter_modules(package.__path__):
        made: Lab = importlib.import_module(f"{package.__name__}.{module.name}").LAB
        if file_name(made.id) != module.name:
            raise ValueError(f"{module.name}.py declares the lab '{made.id}', whose file is called {file_name(made.id)}.py")
        found[made.id] = made
    return dict(sorted(found.items()))


def file_name(id: str) -> str:
    """The module of a lab: ``two-over-L`` → ``two_over_l``."""
    return id.lower().replace("-", "_").replace(".", "_")


def lab(id: str) -> Lab:
    """The lab of that id; UnknownLab, with the nearest ids, where there is none."""
    known = every()
    if id not in known:
        raise UnknownLab(id, difflib.get_close_matches(id, known, n=3, cutoff=0.5))
    return known[id]
