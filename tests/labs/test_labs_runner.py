"""The runner and what a lab is made of: parameters, progress, cancelling, the same numbers again, verdicts from numbers."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from viva.labs import (
    Cancelled,
    Claim,
    Evidence,
    Lab,
    Measure,
    Param,
    ParameterError,
    Progress,
    Report,
    Results,
    Say,
    Text,
    Trial,
    UnknownLab,
    at_least,
    at_most,
    between,
    lab,
    records,
    run,
)
from viva.labs.figures import bars, label_places, titled, wrapped
from viva.train.seeds import seed_everything


def coin(
    seed: int,
    report: Report,
    flips: Annotated[int, Param(ko="던지는 횟수", en="flips", low=1, high=1000, quick=10)] = 100,
    bias: Annotated[float, Param(ko="앞면의 확률", en="chance of heads", low=0, high=1)] = 0.9,
    side: Annotated[Literal["heads", "tails"], Param(ko="세는 면", en="side that counts")] = "heads",
    fair: Annotated[bool, Param(ko="공정한 동전", en="a fair coin")] = False,
) -> Trial:
    chance = 0.5 if fair else bias
    heads = torch.rand(flips) < chance
    report(0.5, heads=float(heads.sum()))
    share = float((heads if side == "heads" else ~heads).double().mean())
    return Trial({"share": share, "python": random.random(), "numpy": float(np.random.rand())}, {"share": [{"side": side, "share": share}]})


def draw(results: Results, say: Say) -> Any:
    return titled(bars(results.spread("share", "share", by=("side",)), "side", "share", title=say("비율", "share"), error=("low", "high")), say("동전의 앞면", "Heads of a coin"))


COIN = Lab(
    id="coin",
    title=Text(ko="동전", en="A coin"),
    about=Text(ko="동전을 던진다.", en="Flips a coin."),
    measure=coin,
    measures={"share": Measure("비율", "share", tolerance=0.05), "python": Measure("ㄱ", "a"), "numpy": Measure("ㄴ", "b")},
    claims=(Claim("q", "often", (at_least("share", 0.7, seen=(0.8, 1.0)),), scope={"bias": (0.5, 1.0)}),),
    figures={"share": draw},
    seconds=0.1,
    seeds=3,
)


def test_the_same_seeds_give_the_same_numbers_and_leave_the_generators_alone() -> None:
    seed_everything(5)
    expected = (float(torch.rand(())), random.random(), float(np.random.rand()))
    seed_everything(5)
    first, threads = run(COIN), torch.get_num_threads()
    assert (float(torch.rand(())), random.random(), float(np.random.rand())) == expected
    again = run(COIN)
    assert again.measurements == first.measurements and again.claims == first.claims and again.figures == first.figures
    assert run(COIN, seed=1, seeds=1)["share"].values[0] == first["share"].values[1]
    assert torch.get_num_threads() == threads
    assert first.environment.seeds == (0, 1, 2) and first.environment.threads == 1


def test_quick_takes_the_quick_values_and_seeds() -> None:
    evidence = run(COIN, quick=True)
    assert evidence.parameters == {"flips": 10, "bias": 0.9, "side": "heads", "fair": False}
    assert len(evidence.environment.seeds) == COIN.quick_seeds and evidence.environment.quick
    assert run(COIN, {"flips": 20}, quick=True).parameters["flips"] == 20


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("flips", 0, "a whole number from 1 to 1000"),
        ("flips", "1001", "a whole number from 1 to 1000"),
        ("flips", 2.5, "a whole number from 1 to 1000"),
        ("flips", "nan", "a whole number from 1 to 1000"),
        ("flips", True, "a whole number from 1 to 1000"),
        ("flips", "9" * 5000, "a whole number from 1 to 1000"),
        ("bias", "much", "a number from 0 to 1"),
        ("bias", math.inf, "a number from 0 to 1"),
        ("bias", None, "a number from 0 to 1"),
        ("side", "edge", "one of heads, tails"),
        ("side", ["heads"], "one of heads, tails"),
        ("fair", "perhaps", "true or false"),
    ],
)
def test_a_bad_value_names_parameter_value_and_range(name: str, value: Any, allowed: str) -> None:
    with pytest.raises(ParameterError) as caught:
        run(COIN, {name: value})
    assert caught.value.name == name
    english, korean = caught.value.get("en"), caught.value.get("ko")
    assert english.startswith(name) and allowed in english and str(value)[:80] in english
    assert korean.startswith(name) and str(value)[:80] in korean and korean != english
    assert len(english) < 300


@pytest.mark.parametrize("name", ["flips", "bias"])
@pytest.mark.parametrize("value", ["5e-1", " 1 ", "+1", "1.0"])
def test_texts_are_read_as_numbers(name: str, value: str) -> None:
    parsed = COIN.parameters[name].parse(value)
    assert parsed == (None if name == "flips" and float(value) != 1 else float(value))
    assert parsed is None or type(parsed) is (int if name == "flips" else float)


def test_a_parameter_that_is_not_there_and_bad_seeds_are_refused() -> None:
    with pytest.raises(ParameterError, match="coin has no parameter 'depth'; it has: flips, bias, side, fair"):
        run(COIN, {"depth": 3})
    for options in ({"seeds": 0}, {"seeds": 101}, {"seed": -1}, {"seed": 2**31}, {"seeds": 2.0}):
        with pytest.raises(ParameterError, match=r"has to be a whole number from"):
            run(COIN, **options)  # type: ignore[arg-type]
    with pytest.raises(UnknownLab, match=r"Did you mean sqrt-kappa"):
        lab("sqrt-kapa")


def test_progress_grows_to_one_and_carries_live_numbers() -> None:
    seen: list[Progress] = []
    run(COIN, progress=seen.append)
    fractions = [now.fraction for now in seen]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == 1
    assert {now.trial for now in seen} == {1, 2, 3} and {now.trials for now in seen} == {3}
    assert [now.numbers["heads"] for now in seen if now.numbers] == [flips * 100 for flips in run(COIN)["share"].values if flips is not None]


def test_a_cancelled_run_stops_at_the_next_report() -> None:
    cancel, seen = threading.Event(), []

    def progress(now: Progress) -> None:
        seen.append(now)
        if now.trial == 2:
            cancel.set()

    threads = torch.get_num_threads()
    with pytest.raises(Cancelled):
        run(COIN, seeds=50, progress=progress, cancel=cancel)
    assert seen[-1].trial == 2 and torch.get_num_threads() == threads


@pytest.mark.parametrize("id", ["jacobian-gain", "sqrt-kappa", "resampling-vs-threshold", "why-sqrt-dk"])
def test_every_long_lab_can_be_cancelled_within_its_first_seed(id: str) -> None:
    cancel, reports = threading.Event(), []

    def progress(now: Progress) -> None:
        reports.append(now.fraction)
        if now.fraction > 0:
            cancel.set()

    with pytest.raises(Cancelled):
        run(id, quick=True, progress=progress, cancel=cancel)
    assert reports[-1] < 0.5


def test_a_claim_is_not_judged_where_it_does_not_speak() -> None:
    outside = run(COIN, {"bias": 0.1}).claim("often")
    assert outside.verdict == "inconclusive" and outside.note is not None and "bias = 0.5 … 1" in outside.note.get("en")
    assert outside.measured[0].mean is not None and outside.measured[0].mean < 0.2
    inside = run(COIN).claim("often", "q")
    assert inside.verdict == "supported" and inside.note is None
    assert inside.criterion.get("en") == "share ≥ 0.7 in every seed (seen over 24 seeds: 0.8 … 1)"
    assert run(COIN, {"fair": "true"}).claim("often").verdict == "refuted"


def test_verdicts_follow_from_the_values() -> None:
    measure = Measure("ㄱ", "a")
    every, most = at_least("a", 1, seen=(1, 2)), at_least("a", 1, seen=(0, 2), share=0.8)
    mean = at_most("a", 1, seen=(0, 1), mean=True)

    def verdicts(*values: float) -> tuple[str, str, str]:
        found = measure.of("a", values)
        return every.verdict(found), most.verdict(found), mean.verdict(found)

    assert verdicts(1, 2, 3, 4, 5) == ("supported", "supported", "refuted")
    assert verdicts(0, 1, 1, 1, 1) == ("inconclusive", "supported", "supported")
    assert verdicts(0, 0, 1, 1, 1) == ("inconclusive", "inconclusive", "supported")
    assert verdicts(0, 0, 1, 0.5) == ("refuted", "refuted", "supported")
    assert verdicts(0.5, 1.6) == ("refuted", "refuted", "inconclusive")
    assert verdicts(math.nan, 2) == ("inconclusive", "inconclusive", "inconclusive")
    assert between("a", 0, 0, seen=(0, 0)).verdict(measure.of("a", [0.0])) == "supported"


def test_a_criterion_contradicted_by_what_was_seen_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="outside the criterion"):
        at_least("a", 0.5, seen=(0.4, 0.9))
    with pytest.raises(ValueError, match="names"):
        Lab(id="x", title=COIN.title, about=COIN.about, measure=coin, measures={}, claims=COIN.claims, figures={}, seconds=1)


def test_a_function_that_is_not_declared_fully_is_refused() -> None:
    def bare(seed: int, report: Report, n: int = 3) -> Trial:
        return Trial({})

    def wild(seed: int, report: Report, n: Annotated[int, Param(ko="ㄴ", en="n", low=1, high=2)] = 3) -> Trial:
        return Trial({})

    for function, complaint in ((bare, "Annotated"), (wild, "3 is not a whole number from 1 to 2")):
        with pytest.raises(TypeError, match=complaint):
            Lab(id="x", title=COIN.title, about=COIN.about, measure=function, measures={}, claims=(), figures={}, seconds=1).parameters  # noqa: B018


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=6))
def test_any_measured_values_survive_json(values: list[float]) -> None:
    found = Measure("ㄱ", "a").of("a", values)
    assert type(found).model_validate_json(found.model_dump_json()) == found
    assert (found.mean is None) == (not any(abs(value) < 1e300 for value in values))


def test_records_differ_by_verdict_by_number_and_by_nothing() -> None:
    record = run(COIN)
    assert records.compare(record, run(COIN)) == []
    assert records.compare(record, run(COIN, seed=7)) == []  # other seeds: the verdict is what has to agree
    found = records.compare(record, run(COIN, {"fair": True}))
    assert [difference.kind for difference in found] == ["verdict"]
    assert found[0].text.get("en") == "q/often: supported in the record, refuted now"
    moved = record.model_copy(update={"measurements": (record["share"].model_copy(update={"mean": 0.5}), *record.measurements[1:])})
    assert [difference.kind for difference in records.compare(moved, record)] == ["number"]


def test_a_written_record_is_read_back(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "RECORDS", tmp_path / "records")
    assert records.read("coin") is None
    evidence = run(COIN)
    records.write(evidence)
    assert records.read("coin") == evidence
    records.write(evidence)
    assert [path.name for path in (tmp_path / "records").iterdir()] == ["coin.json"]


def test_a_notebook_shows_verdicts_and_figure_from_nothing_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVA_LANG", "ko")
    shown = COIN.run(flips=50, seeds=2)._repr_mimebundle_()
    assert "<svg" in shown["text/html"] and "동전" in shown["text/html"] and "뒷받침됨" in shown["text/plain"]
    assert "<script" not in shown["text/html"] and "src=" not in shown["text/html"]
    monkeypatch.setenv("VIVA_LANG", "en")
    assert "supported" in COIN.run(seeds=1)._repr_mimebundle_()["text/plain"]


@given(st.text(alphabet="ab 가나\n", max_size=120))
def test_titles_break_between_words_and_lose_nothing(text: str) -> None:
    lines = wrapped("x " + text, 20)
    assert " ".join(lines).split() == ["x", *text.split()]


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6))
def test_labels_beside_lines_do_not_touch(ends: list[float]) -> None:
    rows = [{"x": x, "y": y * x, "who": f"line {number}"} for number, y in enumerate(ends) for x in (0.0, 1.0)]
    places = label_places(rows, "x", "y", "who", log=False, domain=None)
    heights = sorted(place["label_y"] for place in places)
    span = (max(row["y"] for row in rows) - min(row["y"] for row in rows)) or 1.0
    assert all(b - a > 0.06 * span for a, b in pairwise(heights)) and len(heights) == len(ends)
    assert heights[-1] <= max(row["y"] for row in rows) + 1e-9


def test_a_lab_is_the_notebooks_lab(quick: Callable[[str], Evidence]) -> None:
    direct = lab("stable-softmax").run(quick=True)
    assert direct.measurements == quick("stable-softmax").measurements
    with pytest.raises(ParameterError):
        lab("stable-softmax").run(depth=3)
