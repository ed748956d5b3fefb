"""Two per cent positives: what accuracy hides, and what resampling buys beyond moving the threshold.

Two Gaussian clouds in ten dimensions, 60 positives among 3,000; logistic regression (an `MLP` of two sizes) fitted to its optimum;
a large test set with the same 2 %. Four ways to meet the imbalance: none, copies of the positives (`oversample`), fewer negatives
(`undersample`), weighted losses (`class_weights`), against leaving the model alone and lowering the threshold from 0.5 to 0.02. The last
part fits one nearest neighbour to labels that are pure noise: whatever it scores above one half is leakage.
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
from viva.labs.figures import bars, titled

if TYPE_CHECKING:
    import altair as alt
    from torch import Tensor

DIMENSIONS = 10
WAYS = ("plain", "over", "under", "weights")


def measure(
    seed: int,
    report: Report,
    samples: Annotated[int, Param(ko="학습 표본 수", en="training samples", low=500, high=20_000, step=500)] = 3000,
    share: Annotated[float, Param(ko="양성의 비율", en="share of positives", low=0.005, high=0.5, step=0.005)] = 0.02,
    distance: Annotated[float, Param(ko="두 군집의 거리", en="distance between the clouds", low=0.5, high=4.0, step=0.1, unit="σ")] = 1.8,
    tests: Annotated[int, Param(ko="테스트 표본 수", en="test samples", low=10_000, high=100_000, step=1000)] = 50_000,
) -> Trial:
    import torch

    from viva.data.resampling import class_weights, oversample, undersample

    train_x, train_y = _clouds(samples, share, distance)
    test_x, test_y = _clouds(tests, share, distance)
    chosen = {"plain": torch.arange(samples), "over": oversample(train_y), "under": undersample(train_y), "weights": torch.arange(samples)}
    rates: dict[str, float] = {}
    probability: dict[str, Tensor] = {}
    for index, (way, picked) in enumerate(chosen.items()):
        weight = class_weights(train_y, 2).double() if way == "weights" else None
        probability[way] = _positive(train_x[picked], train_y[picked], weight, test_x)
        rates[way] = _balanced(probability[way] > 0.5, test_y)
        report((index + 1) / 6, balanced_accuracy=rates[way])
    rates["threshold"] = _balanced(probability["plain"] > share, test_y)
    guess = probability["plain"] > 0.5
    area = {way: _auc(probability[way], test_y) for way in WAYS}
    return Trial(
        {
            "accuracy": float((guess == test_y.bool()).double().mean()),
            "always_negative": float((test_y == 0).double().mean()),
            "recall": float(guess[test_y == 1].double().mean()),
            "gain": rates["over"] - rates["plain"],
            "over_vs_threshold": abs(rates["over"] - rates["threshold"]),
            "auc_gain": area["over"] - area["plain"],
            "shift": float((probability["over"].mean() - share).abs()),
            "shift_plain": float((probability["plain"].mean() - share).abs()),
            "leaking": _nearest_on_noise(leak=True),
            "honest": _nearest_on_noise(leak=False),
        },
        {"ways": [{"way": way, "balanced": rates[way]} for way in ("plain", "over", "weights", "under", "threshold")]},
    )


def _clouds(samples: int, share: float, distance: float) -> tuple[Tensor, Tensor]:
    """x (N, 10) float64 and labels (N,) with exactly ⌊share · N⌉ ones, whose cloud is ``distance`` away."""
    import torch

    labels = (torch.arange(samples) < round(share * samples)).long()
    x = torch.randn(samples, DIMENSIONS, dtype=torch.float64)
    return x + distance / math.sqrt(DIMENSIONS) * labels[:, None], labels


def _positive(x: Tensor, y: Tensor, weight: Tensor | None, at: Tensor) -> Tensor:
    """P(positive) at the rows of ``at``, by logistic regression fitted to ``x``, ``y``."""
    import torch

    from viva.models.mlp import MLP
    from viva.nn import cross_entropy, softmax

    model = MLP((DIMENSIONS, 2)).double()
    optimiser = torch.optim.LBFGS(model.parameters(), lr=1, max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = cross_entropy(model(x), y, weight=weight)
        loss.backward()
        return loss

    optimiser.step(closure)
    with torch.no_grad():
        return softmax(model(at))[:, 1]


def _balanced(guess: Tensor, y: Tensor) -> float:
    """Balanced accuracy: the mean of the recalls of both classes."""
    return float((guess[y == 1].double().mean() + (~guess[y == 0]).double().mean()) / 2)


def _auc(score: Tensor, y: Tensor) -> float:
    """The chance that a positive scores above a negative (scores without ties), from the ranks: Mann and Whitney 1947."""
    import torch

    ranks = torch.empty_like(score).index_copy_(0, score.argsort(), torch.arange(1, len(score) + 1, dtype=score.dtype))
    positives = int(y.sum())
    return float((ranks[y == 1].sum() - positives * (positives + 1) / 2) / (positives * (len(y) - positives)))


def _nearest_on_noise(leak: bool) -> float:
    """Balanced accuracy of one nearest neighbour on labels of pure noise, 5 % positive; copies made before or after the split."""
    import torch

    from viva.data.resampling import oversample

    x = torch.randn(2000, DIMENSIONS, dtype=torch.float64)
    y = (torch.rand(2000) < 0.05).long()
    items = oversample(y) if leak else torch.arange(1000)
    items = items[torch.randperm(len(items))]
    cut = int(0.7 * len(items))
    train, test = items[:cut], items[cut:]
    if not leak:
        train = train[oversample(y[train])]
    return _balanced(y[train][torch.cdist(x[test], x[train]).argmin(1)] == 1, y[test])


def draw(results: Results, say: Say) -> alt.LayerChart:
    names = {
        "plain": say("그냥 학습, 임계값 0.5", "plain, threshold 0.5"),
        "over": say("오버샘플링", "oversampling"),
        "weights": say("클래스 가중치", "class weights"),
        "under": say("언더샘플링", "undersampling"),
        "threshold": say("그냥 학습, 임계값만 이동", "plain, threshold moved"),
    }
    rows = [{**row, "way": names[str(row["way"])]} for row in results.spread("ways", "balanced", by=("way",))]
    balanced = {str(row["way"]): float(row["balanced"]) for row in results.spread("ways", "balanced", by=("way",))}
    message = say(
        f"오버샘플링의 균형 정확도 {balanced['over']:.2f}, 임계값만 옮기면 {balanced['threshold']:.2f}",
        f"Oversampling reaches a balanced accuracy of {balanced['over']:.2f}, moving the threshold alone {balanced['threshold']:.2f}",
    )
    chart = bars(rows, "way", "balanced", title=say("균형 정확도 (선: 시드의 범위)", "balanced accuracy (lines: range over seeds)"), form=".3f", error=("low", "high"), domain=(0, 1))
    return titled(chart, message)


SCOPE = {"share": (0.01, 0.03), "samples": (1500, 20_000), "distance": (1.5, 2.1)}

LAB = Lab(
    id="resampling-vs-threshold",
    title=Text(ko="불균형: 리샘플링과 임계값 이동", en="Imbalance: resampling against moving the threshold"),
    about=Text(
        ko="양성이 2%인 데이터에 로지스틱 회귀를 맞추고, 오버샘플링, 언더샘플링, 클래스 가중치를 임계값만 옮긴 것과 비교합니다. 테스트 데이터는 리샘플링하지 않습니다. 마지막으로 레이블이 순수한 잡음인 데이터에서, 복사한 뒤 나누면 점수가 얼마나 부풀려지는지 잽니다.",
        en="Fits logistic regression to data with 2 % positives and compares oversampling, undersampling and class weights with moving the threshold alone; the test data are never resampled. On labels of pure noise it then measures how much the score swells when copies are made before the split.",
    ),
    measure=measure,
    measures={
        "recall": Measure("임계값 0.5의 재현율", "recall at threshold 0.5", tolerance=0.01),
        "accuracy": Measure("정확도", "accuracy", tolerance=0.002),
        "always_negative": Measure("항상 음성이라고 할 때의 정확도", "accuracy of always saying negative"),
        "gain": Measure("오버샘플링으로 오른 균형 정확도", "balanced accuracy gained by oversampling", tolerance=0.01),
        "over_vs_threshold": Measure("오버샘플링과 임계값 이동의 균형 정확도 차이", "difference in balanced accuracy, oversampling against threshold", tolerance=0.01),
        "auc_gain": Measure("오버샘플링으로 오른 AUC", "AUC gained by oversampling", tolerance=0.005),
        "shift": Measure("리샘플링 뒤 평균 예측 확률의 어긋남", "mean predicted probability off the true share, resampled", tolerance=0.01),
        "shift_plain": Measure("그냥 학습했을 때의 어긋남", "the same, not resampled", tolerance=0.005),
        "leaking": Measure("복사 후 나눈 1-NN의 균형 정확도", "balanced accuracy of 1-NN, copies before the split", tolerance=0.02),
        "honest": Measure("나눈 뒤 복사한 1-NN의 균형 정확도", "balanced accuracy of 1-NN, split before copies", tolerance=0.02),
    },
    claims=(
        Claim("class-imbalance", "plain-recall-is-low", (at_most("recall", 0.25, seen=(0.05, 0.19), over=86),), scope=SCOPE),
        Claim(
            "class-imbalance",
            "oversampling-equals-threshold",
            (at_least("gain", 0.15, seen=(0.20, 0.29), over=86), at_most("over_vs_threshold", 0.03, seen=(0, 0.016), over=86), at_most("auc_gain", 0.005, seen=(-0.0134, 0.0033), over=86)),
            scope=SCOPE,
        ),
        Claim("class-imbalance", "calibration-is-lost", (at_least("shift", 0.1, seen=(0.15, 0.32), over=86),), scope=SCOPE),
        Claim("class-imbalance", "oversampling-before-split-leaks", (at_least("leaking", 0.9, seen=(0.951, 0.976)), between("honest", 0.4, 0.6, seen=(0.464, 0.568)))),
    ),
    figures={"ways": draw},
    seconds=3,
)
