"""Running a lab: parameters in, `Evidence` out.

Each seed is one call of the lab's function, with Python's, NumPy's and torch's generators seeded for it and put back
afterwards, and with the lab's number of threads: the same parameters and seeds give the same numbers. Progress is handed to
a callback, and a run whose ``cancel`` event is set ends in `Cancelled` at the lab's next report.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Protocol

from viva.labs.declare import Lab, Parameter, Results, Trial, lab
from viva.labs.evidence import Environment, Evidence, LabError, Value

MOST_SEEDS = 100
LARGEST_SEED = 2**31 - 1


class Cancel(Protocol):
    """Anything that can be set from outside: ``threading.Event``, ``multiprocessing.Event``."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True)
class Progress:
    """How far a run is: trial 1 … trials, ``fraction`` of the whole run, and numbers of this moment for a live curve."""

    lab: str
    seed: int
    trial: int
    trials: int
    fraction: float
    numbers: Mapping[str, float] = field(default_factory=dict)


class Cancelled(LabError):
    """The run was cancelled from outside; there is no evidence."""

    def __init__(self, id: str) -> None:
        super().__init__(f"{id} 실행을 취소했습니다.", f"The run of {id} was cancelled.")


class ParameterError(LabError):
    """A parameter that the lab does not have, or a value that it does not take. ``name`` is the parameter's."""

    def __init__(self, name: str, ko: str, en: str) -> None:
        self.name = name
        super().__init__(ko, en)


class Report:
    """What a lab's function calls as it goes: ``report(0.4, step=120, loss=0.31)``, the part of this seed that is done."""

    def __init__(self, tell: Callable[[float, Mapping[str, float]], None] | None = None) -> None:
        self._tell = tell

    def __call__(self, fraction: float, **numbers: float) -> None:
        if self._tell is not None:
            self._tell(min(1.0, max(0.0, fraction)), numbers)

    def part(self, start: float, end: float) -> Report:
        """A report for a stretch of the work, whose 0 … 1 is ``start`` … ``end`` of this one's."""
        return Report(lambda fraction, numbers: self(start + fraction * (end - start), **numbers))


def run(
    what: str | Lab,
    parameters: Mapping[str, object] | None = None,
    *,
    seed: int = 0,
    seeds: int | None = None,
    quick: bool = False,
    progress: Callable[[Progress], None] | None = None,
    cancel: Cancel | None = None,
) -> Evidence:
    """Runs a lab in seeds seed, seed + 1, …

    parameters: by name, as values or as their texts; defaults for the others, or with ``quick`` their quick values, which
    come to the same verdicts in a tenth of the time.

    Raises:
        UnknownLab, ParameterError: each a sentence in both languages that says what is allowed.
        Cancelled: ``cancel`` was set.
        LabError: torch or Altair is not installed.
    """
    chosen = lab(what) if isinstance(what, str) else what
    values = complete(chosen, parameters or {}, quick=quick)
    count = (chosen.quick_seeds if quick else chosen.seeds) if seeds is None else _whole("seeds", seeds, 1, MOST_SEEDS)
    first = _whole("seed", seed, 0, LARGEST_SEED - count)
    for module in ("torch", "altair"):
        if importlib.util.find_spec(module) is None:
            raise LabError(f"랩을 돌리려면 {module}이(가) 있어야 합니다: pip install 'viva[labs]'", f"Running a lab needs {module}: pip install 'viva[labs]'")

    from viva.labs import figures

    started, worked, trials = time.perf_counter(), time.process_time(), {}
    for index, each in enumerate(range(first, first + count)):
        report = _report(chosen.id, each, index, count, progress, cancel)
        report(0.0)
        with _alone(each, chosen.threads):
            trial = chosen.measure(each, report, **values)
        _check(chosen, trial)
        trials[each] = trial
        report(1.0)
    measured = {name: measure.of(name, [float(trial.numbers[name]) for trial in trials.values()]) for name, measure in chosen.measures.items()}
    results = Results(values, trials, measured)
    return Evidence(
        lab=chosen.id,
        title=chosen.title,
        parameters=values,
        seconds=round(time.perf_counter() - started, 2),
        measurements=tuple(measured.values()),
        claims=tuple(claim.judge(measured, values) for claim in chosen.claims),
        figures=tuple(figures.figure(id, draw, results) for id, draw in chosen.figures.items()),
        environment=_environment(chosen, tuple(trials), quick, time.process_time() - worked),
    )


def complete(chosen: Lab, given: Mapping[str, object], *, quick: bool = False) -> dict[str, Value]:
    """Every parameter with its value; ParameterError for a name or a value that the lab does not take."""
    for name in given:
        if name not in chosen.parameters:
            names = ", ".join(chosen.parameters)
            ko_has = f"있는 매개변수: {names}" if names else "이 랩에는 매개변수가 없습니다"
            en_has = f"it has: {names}" if names else "it has none"
            raise ParameterError(str(name), f"{chosen.id}에 '{str(name)[:80]}'라는 매개변수가 없습니다. {ko_has}.", f"{chosen.id} has no parameter '{str(name)[:80]}'; {en_has}.")
    return {name: _value(parameter, given[name]) if name in given else parameter.quick if quick else parameter.default for name, parameter in chosen.parameters.items()}


def _value(parameter: Parameter, given: object) -> Value:
    value = parameter.parse(given)
    if value is None:
        raise _refused(parameter.name, given, parameter.allowed.get("ko"), parameter.allowed.get("en"))
    return value


def _whole(name: str, given: object, low: int, high: int) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
        raise _refused(name, given, f"{low} 이상 {high} 이하의 정수", f"a whole number from {low} to {high}")
    return given


def _refused(name: str, given: object, ko: str, en: str) -> ParameterError:
    said = str(given)[:80]
    return ParameterError(name, f"{name}에 {said!r}을(를) 주셨습니다. 줄 수 있는 값: {ko}.", f"{name} is {said!r}; it has to be {en}.")


def _report(id: str, seed: int, index: int, count: int, progress: Callable[[Progress], None] | None, cancel: Cancel | None) -> Report:
    def tell(fraction: float, numbers: Mapping[str, float]) -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled(id)
        if progress is not None:
            progress(Progress(id, seed, index + 1, count, (index + fraction) / count, dict(numbers)))

    return Report(tell)


@contextmanager
def _alone(seed: int, threads: int) -> Iterator[None]:
    """Inside: freshly seeded generators and so many threads; afterwards both as before."""
    import torch

    from viva.train import seeds

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with seeds.aside(seed):
            yield
    finally:
        torch.set_num_threads(before)


def _check(chosen: Lab, trial: Trial) -> None:
    if set(trial.numbers) != set(chosen.measures):
        raise TypeError(f"{chosen.id} returned the numbers {sorted(trial.numbers)}; it declares {sorted(chosen.measures)}")


def _environment(chosen: Lab, seeds: tuple[int, ...], quick: bool, cpu_seconds: float) -> Environment:
    versions: dict[str, Any] = {name: metadata.version(name) for name in ("viva", "torch", "numpy", "altair")}
    return Environment(
        versions={"python": platform.python_version(), **versions},
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU",
        threads=chosen.threads,
        cpu_seconds=round(cpu_seconds, 2),
        seeds=seeds,
        quick=quick,
    )
