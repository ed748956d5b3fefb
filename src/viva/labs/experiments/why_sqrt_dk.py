"""Why attention divides by √d: without it the softmax saturates.

Queries and keys of d independent numbers of variance 1 have scores q·k of variance d. At d = 256 the scores spread over ±16, and
a softmax over numbers that far apart puts everything on one key. The control is the same attention with its scale. A second
part holds the equations against another implementation of them, PyTorch's ``nn.MultiheadAttention``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from viva.labs import Claim, Lab, Measure, Param, Report, Results, Say, Text, Trial, at_least, at_most
from viva.labs.figures import line, titled

if TYPE_CHECKING:
    import altair as alt


def measure(
    seed: int,
    report: Report,
    d: Annotated[int, Param(ko="헤드 하나의 차원 d", en="width d of a head", low=4, high=1024, step=4, log=True)] = 256,
    keys: Annotated[int, Param(ko="키의 수", en="number of keys", low=2, high=512, step=2)] = 64,
) -> Trial:
    import torch

    from viva.nn import explained_attention

    widths = sorted({width for width in (4, 16, 64, 256, 1024) if width < d} | {d})
    rows, ratios, entropies = [], [], {True: 0.0, False: 0.0}
    for index, width in enumerate(widths):
        report(index / len(widths), d=width)
        batch = max(16, 4096 // width)  # few numbers in a vector need many vectors for a steady standard deviation
        q, k, v = (torch.randn(batch, 1, n, width, dtype=torch.float64) for n in (32, keys, keys))  # (B, heads, T, d)
        ratios.append(float((q @ k.transpose(-2, -1)).std()) / math.sqrt(width))
        for scaled in (True, False):
            _, weights = explained_attention(q, k, v, scale=None if scaled else 1.0)  # (B, heads, Tq, Tk)
            entropies[scaled] = float(torch.special.entr(weights).sum(-1).mean())
            rows.append({"d": width, "scaled": scaled, "entropy": entropies[scaled]})
    return Trial(
        {
            "std_least": min(ratios), "std_most": max(ratios),
            "entropy_scaled": entropies[True], "entropy_unscaled": entropies[False],
            "reference": _difference_from_torch(),
        },
        {"entropy": rows},
    )  # fmt: skip


def _difference_from_torch() -> float:
    """Largest difference of outputs and input gradients between the workshop's equations and PyTorch's, same weights, float64."""
    import torch

    from viva.nn import MultiHeadAttention

    ours = MultiHeadAttention(32, 4).double()
    theirs = torch.nn.MultiheadAttention(32, 4, batch_first=True).double()
    weights = ours.state_dict()
    stacked = {f"in_proj_{part}": torch.cat([weights[f"{name}.{part}"] for name in ("query", "key", "value")]) for part in ("weight", "bias")}
    theirs.load_state_dict(stacked | {f"out_proj.{part}": weights[f"output.{part}"] for part in ("weight", "bias")})
    x = torch.randn(3, 7, 32, dtype=torch.float64, requires_grad=True)
    y, z = ours(x, explain=True)[0], theirs(x, x, x, need_weights=False)[0]
    upstream = torch.randn_like(y)
    gradients = [torch.autograd.grad(out, x, upstream)[0] for out in (y, z)]
    return max(float((one - other).detach().abs().max()) for one, other in ((y, z), gradients))


def draw(results: Results, say: Say) -> alt.LayerChart:
    names = {True: say("√d로 나눔", "divided by √d"), False: say("나누지 않음", "not divided")}
    rows = [{**row, "scaled": names[bool(row["scaled"])]} for row in results.spread("entropy", "entropy", by=("d", "scaled"))]
    d, keys = results.parameters["d"], results.parameters["keys"]
    kept, left = results["entropy_scaled"].mean or 0, results["entropy_unscaled"].mean or 0
    message = say(
        f"√d로 나누지 않으면 d={d}에서 가중치의 엔트로피가 {kept:.1f}에서 {left:.1f} nat로 떨어진다",
        f"Without dividing by √d the entropy of the weights falls from {kept:.1f} to {left:.1f} nats at d = {d}",
    )
    y_title = say(f"키 {keys}개에 대한 가중치의 엔트로피 (nat)", f"entropy of the weights over {keys} keys (nats)")
    return titled(line(rows, "d", "entropy", "scaled", x_title=say("헤드의 차원 d (로그 눈금)", "width d of a head (log scale)"), y_title=y_title, x_log=True, y_zero=True, markers=True), message)


LAB = Lab(
    id="why-sqrt-dk",
    title=Text(ko="√d로 나누지 않으면 어텐션이 포화된다", en="Attention saturates unless it divides by √d"),
    about=Text(
        ko="분산이 1인 무작위 쿼리와 키로 어텐션을 계산해, 점수의 표준편차와 가중치의 엔트로피를 √d로 나눌 때와 나누지 않을 때 비교합니다. 쿼리와 키의 분산이 1이 아니면 다른 결과가 나옵니다.",
        en="Attention over random queries and keys of variance 1, with and without the division by √d: the spread of the scores and the entropy of the weights. With another variance the numbers would be others.",
    ),
    measure=measure,
    measures={
        "std_least": Measure("q·k의 표준편차 / √d, 가장 작은 것", "std(q·k) / √d, the least over d"),
        "std_most": Measure("q·k의 표준편차 / √d, 가장 큰 것", "std(q·k) / √d, the most over d"),
        "entropy_unscaled": Measure("나누지 않은 엔트로피", "entropy, not divided", unit="nat"),
        "entropy_scaled": Measure("√d로 나눈 엔트로피", "entropy, divided by √d", unit="nat"),
        "reference": Measure("PyTorch와의 최대 차이", "largest difference from PyTorch", tolerance=1e-12),
    },
    claims=(
        Claim(
            "attention-equations",
            "unscaled-saturates",
            (
                at_most("entropy_unscaled", 0.6, seen=(0.22, 0.30)),
                at_least("entropy_scaled", 3.4, seen=(3.67, 3.70)),
                at_least("std_least", 0.97, seen=(0.988, 1.001)),
                at_most("std_most", 1.03, seen=(0.998, 1.014)),
            ),
            scope={"d": 256, "keys": 64},
        ),
        Claim("attention-equations", "matches-reference", (at_most("reference", 1e-9, seen=(2.2e-16, 3.4e-16)),)),
    ),
    figures={"entropy": draw},
    seconds=1,
)
