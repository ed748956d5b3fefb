"""Momentum on an ill-conditioned bowl: the square root of the condition number.

    f(w) = ½ wᵀAw, eigenvalues of A from 1 to κ in equal ratios, axes turned at random, float64

With its best rate 2 / (λ₁ + λₙ) gradient descent shrinks the error by (κ − 1) / (κ + 1) a step; heavy-ball momentum with its own best
constants (Polyak 1964) by (√κ − 1) / (√κ + 1). The ratio of steps is √κ only in the limit: on the way momentum first overshoots.
The control is momentum at κ = 10 with the usual β = 0.9 and η = 1/L, where it loses.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from viva.labs import (
    Claim,
    Lab,
    Measure,
    Param,
    Report,
    Results,
    Say,
    Text,
    Trial,
    at_least,
    at_most,
    between,
)
from viva.labs.figures import line, titled

if TYPE_CHECKING:
    import altair as alt
    from torch import Tensor

PATIENCE = 100_000  # steps


def measure(
    seed: int,
    report: Report,
    dimension: Annotated[int, Param(ko="차원", en="dimensions", low=2, high=200)] = 10,
    precision: Annotated[float, Param(ko="손실이 처음의 몇 배가 될 때까지", en="until the loss is this share of the first", low=1e-12, high=1e-2, log=True)] = 1e-6,
) -> Trial:
    import torch

    from viva.optim import Momentum

    rows, ratio = [], {}
    for index, kappa in enumerate((10.0, 100.0, 1000.0)):
        bowl, start = _bowl(dimension, kappa)
        root = math.sqrt(kappa)
        best = {"gd": (2 / (1 + kappa), 0.0), "momentum": (4 / (1 + root) ** 2, ((root - 1) / (root + 1)) ** 2)}
        taken = {name: _steps(bowl, start, lr, beta, precision) for name, (lr, beta) in best.items()}
        rows += [{"kappa": kappa, "method": name, "steps": float(steps)} for name, steps in taken.items()]
        ratio[kappa] = taken["gd"] / taken["momentum"]
        report((index + 1) / 4, kappa=kappa)

    bowl, start = _bowl(dimension, 10.0)
    control = _steps(bowl, start, 1 / 10, 0.0, precision) / _steps(bowl, start, 1 / 10, 0.9, precision)
    w = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = Momentum([w], lr=1.0, momentum=0.9)
    for _ in range(300):
        before = w.detach().clone()
        w.grad = torch.ones_like(w)
        optimiser.step()
    velocity = float(before - w.detach())  # with η = 1 a step is the velocity
    return Trial({"speed_up_100": ratio[100.0], "speed_up_1000": ratio[1000.0], "control": control, "velocity": velocity}, {"steps": rows})


def _bowl(dimension: int, kappa: float) -> tuple[Tensor, Tensor]:
    """A (n, n) with eigenvalues 1 … κ and random axes, and a start with a share in all of them."""
    import torch

    from viva.nn import orthogonal_

    axes = orthogonal_(torch.empty(dimension, dimension, dtype=torch.float64))
    eigenvalues = torch.logspace(0, math.log10(kappa), dimension, dtype=torch.float64)
    return axes @ eigenvalues.diag() @ axes.T, axes @ torch.randn(dimension, dtype=torch.float64)


def _steps(bowl: Tensor, start: Tensor, lr: float, beta: float, precision: float) -> int:
    """Steps until the loss is ``precision`` of the first; PATIENCE where it never is."""
    from viva.optim import GD, Momentum

    w = start.clone().requires_grad_()
    optimiser = Momentum([w], lr=lr, momentum=beta) if beta else GD([w], lr=lr)
    gradient = bowl @ start
    goal = precision * float(start @ gradient)
    for step in range(1, PATIENCE + 1):
        w.grad = gradient
        optimiser.step()
        place = w.detach()
        gradient = bowl @ place
        twice_loss = float(place @ gradient)
        if twice_loss <= goal:
            return step
        if not math.isfinite(twice_loss):
            break  # it diverged
    return PATIENCE


def draw(results: Results, say: Say) -> alt.LayerChart:
    names = {"gd": say("경사 하강법", "gradient descent"), "momentum": say("모멘텀", "momentum")}
    rows = [{**row, "method": names[str(row["method"])]} for row in results.spread("steps", "steps", by=("kappa", "method"))]
    gain = results["speed_up_1000"].mean or 0
    message = say(f"조건수 1000에서 경사 하강법의 스텝 수는 모멘텀의 {gain:.0f}배다", f"At condition number 1000 gradient descent takes {gain:.0f} times the steps of momentum")
    return titled(line(rows, "kappa", "steps", "method", x_title=say("조건수 κ (로그 눈금)", "condition number κ (log scale)"), y_title=say("스텝 수 (로그 눈금)", "steps (log scale)"), x_log=True, y_log=True, markers=True), message)


SCOPE = {"dimension": (5, 20), "precision": (1e-12, 1e-5)}

LAB = Lab(
    id="sqrt-kappa",
    title=Text(ko="모멘텀은 조건수의 제곱근만큼 빠르다", en="Momentum is faster by the root of the condition number"),
    about=Text(
        ko="무작위로 회전한 이차 함수에서 최적 계수의 경사 하강법과 모멘텀이 같은 손실에 이르는 스텝 수를 셉니다. 이론의 √κ배는 극한값이라 그대로 요구하지 않습니다. 조건수가 작을 때 흔한 β=0.9가 오히려 느린 대조군도 잽니다.",
        en="Counts the steps that gradient descent and momentum, each with its best constants, need on randomly turned quadratics. Theory's √κ is a limit, so it is not asked for exactly. The control is a small condition number, where the usual β = 0.9 is slower.",
    ),
    measure=measure,
    measures={
        "speed_up_100": Measure("κ=100에서 GD/모멘텀 스텝 비", "steps of GD / momentum at κ = 100", unit=Text(ko="배", en="×"), tolerance=0.2),
        "speed_up_1000": Measure("κ=1000에서 GD/모멘텀 스텝 비", "steps of GD / momentum at κ = 1000", unit=Text(ko="배", en="×"), tolerance=0.2),
        "control": Measure("κ=10, η=1/L, β=0.9에서 GD/모멘텀 스텝 비", "steps of GD / momentum at κ = 10, η = 1/L, β = 0.9", unit=Text(ko="배", en="×"), tolerance=0.02),
        "velocity": Measure("기울기 1, β=0.9의 종단 속도", "terminal velocity at gradient 1, β = 0.9", tolerance=1e-9),
    },
    claims=(
        Claim("momentum", "sqrt-kappa-speed-up", (at_least("speed_up_1000", 12, seen=(13.2, 16.9), over=86), at_least("speed_up_100", 4, seen=(4.5, 6.6), over=86)), scope=SCOPE),
        Claim("momentum", "terminal-velocity", (between("velocity", 10 - 1e-6, 10 + 1e-6, seen=(10, 10), over=86),)),
        Claim("momentum", "honest-control", (at_most("control", 0.7, seen=(0.16, 0.5), over=86),), scope=SCOPE),
    ),
    figures={"steps": draw},
    seconds=2,
)
