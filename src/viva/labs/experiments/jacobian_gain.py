"""Vanishing gradients: the gain of one layer's Jacobian, to the power of the depth.

    ∂L/∂h₀ = J₁ᵀ … J_Dᵀ ∂L/∂h_D,   J = diag(φ′) W,   ReLU: E[gain²] = n · Var(w) / 2

So each layer changes log₁₀ of the signal ‖∂L/∂h₀‖ / ‖∂L/∂h_D‖ by ½ log₁₀(n Var(w) / 2), whatever the data: 0 with He's weights (He et
al. 2015), −0.39 with PyTorch's default. Float64 throughout, since float32 underflows; and the signal at the activations, since
the ratio of the *weights'* gradients stays near 1 while both ends die together. The last part trains a deep net from either start.
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
    from torch import nn

# n · Var(w) of each start on a square layer of width n
VARIANCE = {"he": lambda n: 2.0, "xavier": lambda n: 1.0, "torch": lambda n: 1 / 3, "uniform": lambda n: n * 0.2**2 / 12}


def measure(
    seed: int,
    report: Report,
    depth: Annotated[int, Param(ko="층 수", en="layers", low=2, high=100)] = 50,
    width: Annotated[int, Param(ko="층의 폭", en="width of a layer", low=16, high=256, step=16)] = 128,
    trained_depth: Annotated[int, Param(ko="학습할 망의 층 수", en="layers of the net that is trained", low=2, high=30)] = 20,
    epochs: Annotated[int, Param(ko="에폭", en="epochs", low=1, high=30)] = 10,
) -> Trial:
    from viva.models.mlp import MLP

    rows, slope = [], {}
    for start, variance in VARIANCE.items():
        model = MLP([width] * (depth + 1), initialisation=start).double()
        log_signal = _signal([(layer, model.activation) for layer in model.layers], width)
        theory = 0.5 * math.log10(variance(width) / 2)
        slope[start] = log_signal[-1] / depth
        rows += [{"start": start, "layer": layer, "signal": value, "theory": theory * layer} for layer, value in enumerate(log_signal)]
        report(0.05, depth=depth)
    error = max(abs(slope[start] - 0.5 * math.log10(variance(width) / 2)) for start, variance in VARIANCE.items())
    for start, seconds in (("residual", 0.08), ("norm", 0.1)):
        log_signal = _signal(_sigmoid_stack(start, depth, width), width)
        rows += [{"start": start, "layer": layer, "signal": value, "theory": value} for layer, value in enumerate(log_signal)]
        slope[start] = log_signal[-1] / depth
        report(seconds)
    forward, backward = _one_layer(width)
    trained = {start: _trained(start, trained_depth, epochs, seed, report.part(begin, begin + 0.43)) for start, begin in (("he", 0.12), ("torch", 0.56))}
    return Trial(
        {
            "error": error, "he_signal": slope["he"] * depth, "default_signal": slope["torch"] * depth,
            "residual_signal": slope["residual"] * depth, "norm_signal": slope["norm"] * depth,
            "forward": forward, "backward": backward,
            "he_accuracy": trained["he"], "default_accuracy": trained["torch"], "difference": trained["he"] - trained["torch"],
        },
        {"signal": rows},
    )  # fmt: skip


def _signal(blocks: list[tuple[nn.Module, nn.Module]], width: int) -> list[float]:
    """log₁₀ of ‖∂L/∂h_l‖ / ‖∂L/∂h_D‖ for l = D, D − 1, … 0: how much is left after that many layers on the way back."""
    import torch

    h = torch.randn(64, width, dtype=torch.float64, requires_grad=True)
    states = [h]
    for layer, activation in blocks:
        states.append(activation(layer(states[-1])))  # (64, width)
    gradients = torch.autograd.grad(states[-1], states, torch.randn(64, width, dtype=torch.float64))
    last = float(gradients[-1].norm())
    return [math.log10(max(float(gradient.norm()) / last, 1e-300)) for gradient in reversed(gradients)]


def _sigmoid_stack(kind: str, depth: int, width: int) -> list[tuple[nn.Module, nn.Module]]:
    """Sigmoid layers with a shortcut around each, or with BatchNorm before each bend."""
    from torch.nn import Identity, Sequential

    from viva.nn import BatchNorm1d, Linear, Residual, Sigmoid, xavier_uniform_

    blocks: list[tuple[nn.Module, nn.Module]] = []
    for _ in range(depth):
        linear = Linear(width, width)
        xavier_uniform_(linear.weight)
        if kind == "residual":
            blocks.append((Residual(Sequential(linear, Sigmoid())), Identity()))
        else:
            blocks.append((Sequential(linear, BatchNorm1d(width)), Sigmoid()))
        blocks[-1] = (blocks[-1][0].double(), blocks[-1][1])
    return blocks


def _one_layer(width: int, draws: int = 200) -> tuple[float, float]:
    """E[‖ReLU(Wx)‖² / ‖x‖²] and E[‖Jᵀg‖² / ‖g‖²] of one layer with He's weights, over fresh weights."""
    import torch

    from viva.models.mlp import MLP

    model = MLP([width, width, width], initialisation="he").double()
    forward = backward = 0.0
    for _ in range(draws):
        model.initialise("he")
        x = torch.randn(16, width, dtype=torch.float64, requires_grad=True)
        y = model.activation(model.layers[0](x))  # (16, width)
        g = torch.randn_like(y)
        (back,) = torch.autograd.grad(y, x, g)
        forward += float((y.square().sum(1) / x.square().sum(1)).detach().mean()) / draws
        backward += float((back.square().sum(1) / g.square().sum(1)).mean()) / draws
    return forward, backward


def _trained(start: str, depth: int, epochs: int, seed: int, report: Report) -> float:
    """Test accuracy on the 8×8 digits of a ReLU net of width 64, trained from the start ``start``."""
    import torch

    from viva.data import digits
    from viva.data.splits import split
    from viva.labs.fitting import accuracy, fit
    from viva.models.mlp import MLP
    from viva.optim import Adam

    every = digits.load()
    parts = split(every.images, (0.75, 0.0, 0.25), seed=seed, strata=every.labels)
    x, y = every.floats(), every.labels
    torch.manual_seed(seed)
    model = MLP([64] * depth + [10], initialisation=start)
    fit(model, x[parts.train], y[parts.train], Adam(model.parameters(), lr=1e-3), epochs=epochs, batch_size=64, seed=seed, report=report)
    return accuracy(model, x[parts.test], y[parts.test])


def draw(results: Results, say: Say) -> alt.LayerChart:
    depth = int(results.parameters["depth"])
    names = {"he": "He", "xavier": "Xavier", "torch": say("PyTorch 기본", "PyTorch default"), "uniform": "U(±0.1)"}
    every = max(1, depth // 12)
    kept = [row for row in results.spread("signal", "signal", by=("start", "layer")) if str(row["start"]) in names and int(row["layer"]) % every == 0]
    rows = [{**row, "start": names[str(row["start"])]} for row in kept]
    he, default = results["he_signal"].mean or 0, results["default_signal"].mean or 0
    message = say(
        f"ReLU {depth}층을 거슬러 오면 He 초기화에서는 기울기의 10^{he:.1f}배가, PyTorch 기본 초기화에서는 10^{default:.1f}배가 남는다",
        f"Back through {depth} ReLU layers He's weights leave 10^{he:.1f} of the gradient, PyTorch's default 10^{default:.1f}",
    )
    y_title = say("기울기 신호의 자릿수 (log10)", "gradient signal, powers of ten (log10)")
    return titled(line(rows, "layer", "signal", "start", x_title=say("출력에서부터 지나온 층 수", "layers passed on the way back"), y_title=y_title, band=("low", "high"), markers=True), message)


LAB = Lab(
    id="jacobian-gain",
    title=Text(ko="기울기 소실은 층마다의 배율이 쌓인 것이다", en="Vanishing gradients are one layer's gain, to the power of the depth"),
    about=Text(
        ko="네 가지 초기화의 ReLU 망에서 기울기 신호가 층을 지날 때마다 몇 배가 되는지 재고 ½·log₁₀(n·Var(w)/2)와 비교합니다. 잔차와 배치 정규화를 넣은 시그모이드 망을 대조군으로 함께 재고, 20층 망을 실제로 학습해 봅니다. 가중치 기울기의 비를 재면 소실이 보이지 않습니다.",
        en="Measures by which factor each layer of a ReLU net changes the gradient's signal for four initialisations, and compares it with ½·log₁₀(n·Var(w)/2). Sigmoid nets with residuals and with BatchNorm are measured as well, and a net of 20 layers is trained. The ratio of the weights' gradients would show nothing.",
    ),
    measure=measure,
    measures={
        "error": Measure("층마다의 log₁₀ 변화와 이론의 최대 차이", "largest difference from theory of the log₁₀ change per layer", tolerance=1e-4),
        "he_signal": Measure("He 신호의 log₁₀", "log₁₀ of the signal, He", tolerance=1e-3),
        "default_signal": Measure("PyTorch 기본 신호의 log₁₀", "log₁₀ of the signal, PyTorch default", tolerance=1e-3),
        "residual_signal": Measure("잔차 시그모이드 신호의 log₁₀", "log₁₀ of the signal, sigmoid with residuals", tolerance=1e-3),
        "norm_signal": Measure("배치 정규화 시그모이드 신호의 log₁₀", "log₁₀ of the signal, sigmoid with BatchNorm", tolerance=1e-3),
        "forward": Measure("He 층 하나의 순방향 제곱 배율의 평균", "mean squared gain of one He layer, forward", tolerance=1e-3),
        "backward": Measure("He 층 하나의 역방향 제곱 배율의 평균", "mean squared gain of one He layer, backward", tolerance=1e-3),
        "he_accuracy": Measure("학습 뒤 정확도, He", "accuracy after training, He", tolerance=0.05),
        "default_accuracy": Measure("학습 뒤 정확도, PyTorch 기본", "accuracy after training, PyTorch default", tolerance=0.05),
        "difference": Measure("정확도 차이, He − PyTorch 기본", "difference in accuracy, He − PyTorch default", tolerance=0.07),
    },
    claims=(
        Claim("vanishing-gradients", "gain-per-layer", (at_most("error", 0.03, seen=(0.0013, 0.009)),), scope={"width": 128}),
        Claim("vanishing-gradients", "scale-kills-relu-too", (at_least("difference", 0.5, seen=(0.70, 0.84)),), scope={"trained_depth": 20, "epochs": 10}),
        Claim("relu-vs-sigmoid", "he-keeps-scale", (between("forward", 0.95, 1.05, seen=(0.991, 1.014)), between("backward", 0.95, 1.05, seen=(0.993, 1.008)))),
    ),
    figures={"signal": draw},
    seconds=10,
    seeds=4,
    quick_seeds=1,
)
