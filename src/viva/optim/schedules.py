"""Learning-rate schedules: pure functions from a step to a factor, η_t = η · schedule(t).

t counts optimiser steps from 0 (the factor of the very first update is schedule(0)). Because a schedule is a
function of t alone it has no state: a run that resumes at step t has its rate back by asking. Any of them can be
given to `torch.optim.lr_scheduler.LambdaLR` as it is.

    constant                  1
    step_decay                γ^⌊t / every⌋                                             (He et al. 2016: γ = 0.1)
    cosine                    f + (1 − f) · ½(1 + cos(π t / T)), then f                 (Loshchilov and Hutter 2017, eq. 5)
    warmup                    (t + 1) / w up to 1                                       (Goyal et al. 2017, section 2.2)
    warmup_cosine             both, one after the other                                 (GPT-3)
    inverse_sqrt              min((t + 1) / w, √(w / (t + 1))): peaks at 1 when t + 1 = w
    noam                      d^−½ · min((t + 1)^−½, (t + 1) · w^−1.5), with η = 1      (Vaswani et al. 2017, eq. 3)

Why warm up: Adam's mean square is an average over few gradients at first (its very first step is η times the sign of g), and
an untrained network's curvature is large: small steps keep the first directions from doing harm. Why decay: at a constant
rate the noise of the batches keeps θ moving about the minimum.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

Schedule = Callable[[int], float]


def constant() -> Schedule:
    """1 at every step."""
    return lambda t: 1.0


def step_decay(every: int, gamma: float = 0.1) -> Schedule:
    """γ^⌊t / every⌋: drops by the factor ``gamma`` once in ``every`` steps. As `StepLR`."""
    _positive("every", every)
    _between("gamma", gamma)
    return lambda t: gamma ** (t // every)


def cosine(total: int, floor: float = 0.0) -> Schedule:
    """Half a cosine from 1 at t = 0 to ``floor`` at t = ``total``, then ``floor``. As `CosineAnnealingLR` until then."""
    _positive("total", total)
    _between("floor", floor)
    return lambda t: floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(t, total) / total))


def warmup(steps: int) -> Schedule:
    """Rises evenly: 1/steps at t = 0, 1 from t = steps − 1 on. 0 steps: no warm-up.

    As `LinearLR(1/steps, total_iters=steps-1)`.
    """
    if steps < 0:
        raise ValueError(f"warm-up takes {steps} steps; it takes 0 or more")
    return lambda t: min(1.0, (t + 1) / steps) if steps else 1.0


def warmup_cosine(steps: int, total: int, floor: float = 0.0) -> Schedule:
    """`warmup` over ``steps``, then `cosine` over the remaining ``total − steps``."""
    if total <= steps:
        raise ValueError(f"warm-up takes {steps} of {total} steps; leave some to decay over")
    rise, fall = warmup(steps), cosine(total - steps, floor)
    return lambda t: rise(t) if t < steps else fall(t - steps)


def inverse_sqrt(steps: int) -> Schedule:
    """Linear warm-up over ``steps``, then decay with 1/√t, scaled to peak at 1: η is the largest rate."""
    _positive("steps", steps)
    return lambda t: min((t + 1) / steps, math.sqrt(steps / (t + 1)))


def noam(d_model: int, steps: int = 4000) -> Schedule:
    """`inverse_sqrt` in the Transformer paper's own scale: the rate itself, to be used with η = 1."""
    _positive("d_model", d_model)
    peak = 1 / math.sqrt(d_model * steps) if steps > 0 else 0.0
    shape = inverse_sqrt(steps)
    return lambda t: peak * shape(t)


def set_learning_rate(optimiser: torch.optim.Optimizer, schedule: Schedule, t: int) -> float:
    """Gives every group its own rate times schedule(t), and returns the first group's.

    The rate that a group was made with is kept in ``group["initial_lr"]`` (torch's name: state dicts carry it).
    """
    factor = schedule(t)
    for group in optimiser.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor
    return float(optimiser.param_groups[0]["lr"])


def _positive(name: str, value: int) -> None:
    if value <= 0:
        raise ValueError(f"{name} is {value}; a schedule needs at least 1")


def _between(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}; it has to lie between 0 and 1")
