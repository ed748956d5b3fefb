"""Softmax as it is written, softmax as it is computed, and its two derivatives.

The formula e^z / Σ e^z asks for e^1000, which no floating-point number holds: ∞/∞ is NaN. Subtracting the largest logit first
changes nothing in exact arithmetic and keeps every power at or below e⁰. Float64 only moves the cliff from 89 to 710, so
both are tried. The derivatives are held against automatic differentiation of the function itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from viva.labs import Claim, Lab, Measure, Param, Report, Results, Say, Text, Trial, at_least, at_most
from viva.labs.figures import points, titled

if TYPE_CHECKING:
    import altair as alt

EXPECTED = (0.0900, 0.2447, 0.6652)  # softmax of 0, 1, 2 to four digits
FARTHEST = 10_000.0


def measure(
    seed: int,
    report: Report,
    offset: Annotated[float, Param(ko="로짓에 더하는 수", en="added to every logit", low=0, high=FARTHEST, step=10)] = 1000.0,
    classes: Annotated[int, Param(ko="클래스의 수", en="number of classes", low=2, high=200)] = 10,
) -> Trial:
    import torch

    from viva.nn import cross_entropy, softmax, softmax_naive

    z = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    naive = torch.cat([softmax_naive(z.to(dtype) + offset).double() for dtype in (torch.float32, torch.float64)])
    stable = torch.cat([softmax(z.to(dtype) + offset).double() for dtype in (torch.float32, torch.float64)])
    report(0.3)

    logits = 3 * torch.randn(classes, dtype=torch.float64)
    p = softmax(logits)
    jacobian = torch.autograd.functional.jacobian(softmax, logits)  # (classes, classes)
    label = torch.randint(classes, ())
    leaf = logits.clone().requires_grad_()
    (slope,) = torch.autograd.grad(cross_entropy(leaf[None], label[None]), leaf)
    y = torch.zeros_like(p).index_fill(0, label, 1.0)
    report(0.6)

    rows = [{"way": way, "survives": _survives(way)} for way in ("float32", "float64", "stable")]
    return Trial(
        {
            "naive_nan": float(naive.isnan().double().mean()),
            "stable_error": float((stable - torch.tensor(EXPECTED * 2, dtype=torch.float64)).abs().max()),
            "jacobian": float((jacobian - (p.diag() - p[:, None] * p)).abs().max()),
            "gradient": float((slope - (p - y)).abs().max()),
        },
        {"survival": rows},
    )


def _survives(way: str) -> float:
    """The largest logit, by bisection, at which softmax of (x − 2, x − 1, x) is still a distribution."""
    import torch

    from viva.nn import softmax, softmax_naive

    z = torch.tensor([-2.0, -1.0, 0.0], dtype=torch.float32 if way == "float32" else torch.float64)
    good, bad = 0.0, FARTHEST
    formula = softmax if way == "stable" else softmax_naive
    if formula(z + bad).isfinite().all():
        return bad
    while bad - good > 0.1:
        middle = (good + bad) / 2
        good, bad = (middle, bad) if formula(z + middle).isfinite().all() else (good, middle)
    return round(good, 1)


def draw(results: Results, say: Say) -> alt.LayerChart:
    ways = {
        "float32": say("식 그대로, float32", "as written, float32"),
        "float64": say("식 그대로, float64", "as written, float64"),
        "stable": say("최댓값을 뺌", "maximum subtracted"),
    }
    rows = []
    for row in results.first("survival"):
        reached = float(row["survives"])
        end = say("끝까지", "to the end") if reached >= FARTHEST else f"{reached:.0f}"
        rows.append({"survives": reached, "way": ways[str(row["way"])], "label": end})
    message = say("식 그대로 계산한 소프트맥스는 큰 로짓에서 NaN이 되고, 최댓값을 빼면 끝이 없다", "Softmax as written turns into NaN at large logits; with the maximum subtracted it never does")
    chart = points(rows, "survives", "way", None, x_title=say("답이 나오는 가장 큰 로짓 (로그 눈금, 10,000까지 시험)", "largest logit that still gives an answer (log scale, tried up to 10,000)"), y_title="", x_log=True, label="label", y_names=True)
    return titled(chart, message)


GRADIENT = (at_most("gradient", 1e-12, seen=(0, 1.2e-16)),)

LAB = Lab(
    id="stable-softmax",
    title=Text(ko="소프트맥스: 식 그대로와 안정한 계산", en="Softmax as written, and as it is computed"),
    about=Text(
        ko="큰 로짓에서 식을 그대로 계산한 소프트맥스와 최댓값을 뺀 소프트맥스를 비교하고, 야코비 행렬과 교차 엔트로피의 기울기를 자동 미분과 견줍니다. float64만 보면 로짓 709까지는 문제가 보이지 않습니다.",
        en="Compares softmax as written with softmax after subtracting the maximum at large logits, and holds its Jacobian and the gradient of cross-entropy against automatic differentiation. Float64 alone would hide the overflow up to 709.",
    ),
    measure=measure,
    measures={
        "naive_nan": Measure("식 그대로일 때 NaN의 비율", "share of NaN, as written"),
        "stable_error": Measure("(0.0900, 0.2447, 0.6652)와의 최대 차이", "largest difference from (0.0900, 0.2447, 0.6652)"),
        "jacobian": Measure("야코비 행렬과 자동 미분의 최대 차이", "largest difference between the Jacobian and automatic differentiation", tolerance=1e-14),
        "gradient": Measure("p − y와 자동 미분의 최대 차이", "largest difference between p − y and automatic differentiation", tolerance=1e-14),
    },
    claims=(
        Claim("softmax-formula", "naive-overflows", (at_least("naive_nan", 1, seen=(1, 1)), at_most("stable_error", 5e-5, seen=(4.1e-5, 4.1e-5))), scope={"offset": (710, FARTHEST)}),
        Claim("softmax-formula", "jacobian-matches", (at_most("jacobian", 1e-12, seen=(0, 5.6e-17)),)),
        Claim("softmax-formula", "ce-gradient", GRADIENT),
        Claim("softmax", "ce-gradient", GRADIENT),
    ),
    figures={"survival": draw},
    seconds=0.5,
)
