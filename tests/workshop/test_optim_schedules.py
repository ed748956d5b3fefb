"""Schedules equal torch's schedulers where torch has them, and the papers' formulas everywhere."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from viva.optim import (
    SGD,
    Schedule,
    constant,
    cosine,
    inverse_sqrt,
    noam,
    set_learning_rate,
    step_decay,
    warmup,
    warmup_cosine,
)

PAIRS: dict[str, tuple[Schedule, Callable[[Any], Any], int]] = {
    "constant": (constant(), lambda o: lr_scheduler.ConstantLR(o, factor=1.0), 50),
    "step": (step_decay(7, 0.3), lambda o: lr_scheduler.StepLR(o, 7, 0.3), 50),
    "cosine": (cosine(40), lambda o: lr_scheduler.CosineAnnealingLR(o, 40), 41),
    "cosine to a floor": (cosine(40, 0.1), lambda o: lr_scheduler.CosineAnnealingLR(o, 40, eta_min=0.1 * 0.3), 41),
    "warmup": (warmup(10), lambda o: lr_scheduler.LinearLR(o, 1 / 10, total_iters=9), 30),
    "warmup_cosine": (
        warmup_cosine(10, 40),
        lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.LinearLR(o, 1 / 10, total_iters=9), lr_scheduler.CosineAnnealingLR(o, 30)], [10]),
        41,
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_rates_equal_torchs(name: str) -> None:
    schedule, make, steps = PAIRS[name]
    weight = torch.nn.Parameter(torch.zeros(1))
    ours, theirs = SGD([weight], lr=0.3), SGD([weight], lr=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch misses optimiser steps between its own
        scheduler = make(theirs)
        for t in range(steps):
            assert set_learning_rate(ours, schedule, t) == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-12, abs=1e-15), t
            scheduler.step()


def test_every_group_keeps_its_own_rate() -> None:
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimiser = SGD([{"params": [weights[0]]}, {"params": [weights[1]], "lr": 0.01}], lr=1.0)
    for t in (5, 0, 7):  # in any order: a schedule has no memory
        set_learning_rate(optimiser, step_decay(5, 0.1), t)
        assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([0.1 ** (t // 5), 0.01 * 0.1 ** (t // 5)])


def test_noam_is_equation_3_of_the_transformer_paper() -> None:
    schedule = noam(512, 4000)
    for step in (1, 100, 3999, 4000, 4001, 100_000):  # the paper counts from 1
        assert schedule(step - 1) == pytest.approx(512**-0.5 * min(step**-0.5, step * 4000**-1.5), rel=1e-12)


@given(steps=st.integers(1, 100), more=st.integers(1, 500), floor=st.floats(0, 1))
def test_factors_rise_to_one_and_fall_to_the_floor(steps: int, more: int, floor: float) -> None:
    schedule = warmup_cosine(steps, steps + more, floor)
    rising = [schedule(t) for t in range(steps)]
    assert rising == sorted(rising) and rising[-1] == 1.0 and rising[0] > 0
    falling = [schedule(t) for t in range(steps, steps + more + 3)]
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(falling))
    assert falling[-1] == pytest.approx(floor, abs=1e-12) and max(falling) <= 1.0
    peak = inverse_sqrt(steps)
    assert peak(steps - 1) == 1.0 and all(0 < peak(t) <= 1 for t in range(0, steps + more, 7))


def test_no_warm_up_is_none() -> None:
    assert warmup(0)(0) == 1.0 and warmup_cosine(0, 10)(0) == 1.0 and math.isclose(warmup_cosine(0, 10)(5), 0.5)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: cosine(0), "total is 0"),
        (lambda: cosine(5, 1.5), r"floor is 1\.5"),
        (lambda: step_decay(0), "every is 0"),
        (lambda: step_decay(5, -0.1), r"gamma is -0\.1"),
        (lambda: warmup(-1), "-1 steps"),
        (lambda: warmup_cosine(10, 10), "leave some to decay over"),
        (lambda: inverse_sqrt(0), "steps is 0"),
        (lambda: noam(0), "d_model is 0"),
    ],
)
def test_impossible_schedules_are_named(make: Callable[[], Schedule], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
