"""Losses: equal to torch and to their definitions, and true to what is claimed of them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from agreement import assert_equal, assert_same_function, random
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from viva.nn import (
    binary_cross_entropy,
    cross_entropy,
    explained_cross_entropy,
    focal,
    info_nce,
    kl_divergence,
    mse,
)

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
TARGETS = torch.tensor([0, 3, 1, 3, 2, 0])


@DTYPES
@REDUCTIONS
def test_mse_equals_torch(reduction: str, dtype: torch.dtype) -> None:
    inputs = (random(5, 3, dtype=dtype), random(5, 3, seed=1, dtype=dtype))
    assert_same_function(lambda x, y: mse(x, y, reduction), lambda x, y: F.mse_loss(x, y, reduction=reduction), *inputs)


@DTYPES
@REDUCTIONS
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [-100, 3])
def test_cross_entropy_equals_torch(ignored: int, weighted: bool, smoothing: float, reduction: str, dtype: torch.dtype) -> None:
    weight = torch.tensor([0.5, 1.0, 2.0, 0.1], dtype=dtype) if weighted else None
    options: Any = {"label_smoothing": smoothing, "ignore_index": ignored}
    logits = 3 * random(6, 4, dtype=dtype)
    theirs = lambda z: F.cross_entropy(z, TARGETS, weight, reduction=reduction, **options)  # noqa: E731
    assert_same_function(lambda z: cross_entropy(z, TARGETS, weight, reduction=reduction, **options), theirs, logits)
    if reduction == "mean":
        assert_same_function(lambda z: explained_cross_entropy(z, TARGETS, weight, **options), theirs, logits)


def test_ignored_targets_count_neither_in_the_sum_nor_in_the_mean() -> None:
    logits = random(6, 4)
    padded = torch.where(TARGETS == 3, -100, TARGETS)
    kept = TARGETS != 3
    assert_equal(cross_entropy(logits, padded), cross_entropy(logits[kept], TARGETS[kept]))
    assert_equal(explained_cross_entropy(logits, padded), cross_entropy(logits[kept], TARGETS[kept]))
    assert cross_entropy(logits, torch.full((6,), -100)).isnan()


def test_pixels_and_tokens_have_their_classes_on_axis_one() -> None:
    logits, targets = random(2, 4, 3, 5), torch.arange(30).reshape(2, 3, 5) % 4
    flat = cross_entropy(logits.movedim(1, -1).reshape(-1, 4), targets.reshape(-1))
    assert_equal(cross_entropy(logits, targets), flat)


def test_probabilities_may_be_targets() -> None:
    soft = random(6, 4, seed=1).softmax(1)
    expected = -(soft * random(6, 4).log_softmax(1)).sum(1).mean()
    assert_equal(cross_entropy(random(6, 4), soft), expected)


def test_the_gradient_by_the_logits_is_p_minus_y() -> None:
    logits = random(6, 4).requires_grad_()
    cross_entropy(logits, TARGETS, reduction="sum").backward()
    assert_equal(logits.grad, logits.detach().softmax(1) - F.one_hot(TARGETS, 4))
    yes = random(6, seed=1).requires_grad_()
    binary_cross_entropy(yes, torch.ones(6, dtype=torch.float64), reduction="sum").backward()
    assert_equal(yes.grad, yes.detach().sigmoid() - 1)


def test_guessing_costs_log_k() -> None:
    assert float(cross_entropy(torch.zeros(3, 10), torch.tensor([1, 5, 9]))) == pytest.approx(math.log(10))
    assert float(binary_cross_entropy(torch.zeros(3), torch.ones(3))) == pytest.approx(math.log(2))


def test_losses_of_certain_mistakes_are_large_and_finite() -> None:
    assert float(cross_entropy(torch.tensor([[1e4, -1e4]]), torch.tensor([1]))) == 2e4
    assert float(binary_cross_entropy(torch.tensor([1e4]), torch.tensor([0.0]))) == 1e4
    assert torch.tensor([1e4]).sigmoid().neg().add(1).log().isinf()  # what the definition would say


@DTYPES
@REDUCTIONS
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_cross_entropy_equals_torch_and_its_definition(weighted: bool, reduction: str, dtype: torch.dtype) -> None:
    z, y = 3 * random(5, 3, dtype=dtype), random(5, 3, seed=1, dtype=dtype).sigmoid()
    pos_weight = torch.tensor([0.5, 1.0, 4.0], dtype=dtype) if weighted else None
    w = 1.0 if pos_weight is None else pos_weight
    mine = lambda z: binary_cross_entropy(z, y, pos_weight, reduction)  # noqa: E731
    assert_same_function(mine, lambda z: F.binary_cross_entropy_with_logits(z, y, pos_weight=pos_weight, reduction=reduction), z)
    losses = -(w * y * z.sigmoid().log() + (1 - y) * (-z).sigmoid().log())
    assert_equal(mine(z), {"mean": losses.mean(), "sum": losses.sum(), "none": losses}[reduction])


@DTYPES
@REDUCTIONS
def test_focal_with_gamma_zero_is_the_cross_entropy(reduction: str, dtype: torch.dtype) -> None:
    z, y = random(5, 3, dtype=dtype), (random(5, 3, seed=1, dtype=dtype) > 0).to(dtype)
    assert_same_function(
        lambda z: focal(z, y, gamma=0, reduction=reduction), lambda z: binary_cross_entropy(z, y, reduction=reduction), z
    )
    logits = random(6, 4, dtype=dtype)
    assert_same_function(
        lambda z: focal(z, TARGETS, gamma=0, reduction=reduction), lambda z: cross_entropy(z, TARGETS, reduction=reduction), logits
    )


@DTYPES
@REDUCTIONS
@pytest.mark.parametrize("alpha", [None, 0.25])
@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_focal_equals_torchvision(gamma: float, alpha: float | None, reduction: str, dtype: torch.dtype) -> None:
    try:
        from torchvision.ops import sigmoid_focal_loss
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision does not import: {error}")
    z, y = 3 * random(5, 3, dtype=dtype), (random(5, 3, seed=1, dtype=dtype) > 0).to(dtype)
    theirs = lambda z: sigmoid_focal_loss(z, y, -1 if alpha is None else alpha, gamma, reduction)  # noqa: E731
    assert_same_function(lambda z: focal(z, y, gamma, alpha, reduction), theirs, z)


@DTYPES
def test_focal_over_classes_equals_its_definition(dtype: torch.dtype) -> None:
    alpha = torch.tensor([0.5, 1.0, 2.0, 0.1], dtype=dtype)

    def definition(logits: Tensor) -> Tensor:
        p = logits.softmax(1).gather(1, TARGETS[:, None]).squeeze(1)
        return (-alpha[TARGETS] * (1 - p) ** 2 * p.log()).mean()

    assert_same_function(lambda z: focal(z, TARGETS, 2.0, alpha), definition, 3 * random(6, 4, dtype=dtype))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_and_its_gradient_are_finite_for_certain_answers(gamma: float) -> None:
    for z, y in (([[1e3, -1e3]], [0]), ([[1e3, -1e3]], [1])):
        logits = torch.tensor(z, requires_grad=True)
        loss = focal(logits, torch.tensor(y), gamma)
        loss.backward()
        assert loss.isfinite() and logits.grad.isfinite().all()
    yes = torch.tensor([1e3, -1e3], requires_grad=True)
    focal(yes, torch.ones(2), gamma).backward()
    assert yes.grad.isfinite().all()


def test_focal_lets_easy_examples_weigh_little() -> None:
    easy, hard = torch.tensor([math.log(9.0)]), torch.tensor([-math.log(9.0)])  # p_y = 0.9 and 0.1
    yes = torch.ones(1)
    assert float(focal(easy, yes) / binary_cross_entropy(easy, yes)) == pytest.approx(0.01, rel=1e-4)
    assert float(focal(hard, yes) / binary_cross_entropy(hard, yes)) == pytest.approx(0.81, rel=1e-4)


@DTYPES
def test_info_nce_equals_its_definition(dtype: torch.dtype) -> None:
    def definition(first: Tensor, second: Tensor) -> Tensor:
        losses = []
        for anchors, others in ((first, second), (second, first)):
            for i, anchor in enumerate(anchors):
                scores = torch.stack([F.cosine_similarity(anchor, other, dim=0) / 0.2 for other in others]).exp()
                losses.append(-(scores[i] / scores.sum()).log())
        return torch.stack(losses).mean()

    assert_same_function(
        lambda a, b: info_nce(a, b, 0.2), definition, random(4, 6, dtype=dtype), random(4, 6, seed=1, dtype=dtype)
    )


def test_info_nce_is_symmetric_only_when_asked() -> None:
    first, second = random(4, 6), random(4, 6, seed=1)
    assert_equal(info_nce(first, second), info_nce(second, first))
    one, other = info_nce(first, second, symmetric=False), info_nce(second, first, symmetric=False)
    assert one != other
    assert_equal(info_nce(first, second), (one + other) / 2)


def test_info_nce_trains_its_temperature() -> None:
    temperature = torch.tensor(0.07, dtype=torch.float64, requires_grad=True)
    info_nce(random(4, 6), random(4, 6, seed=1), temperature).backward()
    assert temperature.grad.isfinite() and temperature.grad != 0


def test_perfect_pairs_cost_next_to_nothing_and_collapsed_ones_log_n() -> None:
    assert float(info_nce(torch.eye(8), torch.eye(8), 0.01)) == pytest.approx(0, abs=1e-6)
    assert float(info_nce(torch.ones(8, 4), torch.ones(8, 4))) == pytest.approx(math.log(8))
    orthogonal = math.log(1 + 7 * math.exp(-1 / 0.5))
    assert float(info_nce(3 * torch.eye(8), torch.eye(8), 0.5)) == pytest.approx(orthogonal)


@settings(max_examples=40)
@given(st.integers(2, 8), st.integers(2, 6), st.floats(0.05, 2), st.integers(0, 999))
def test_info_nce_is_never_below_what_a_simplex_reaches(count: int, dimension: int, temperature: float, seed: int) -> None:
    """N unit vectors cannot be further apart than the corners of a simplex, whose cosines are −1 / (N − 1)."""
    loss = info_nce(random(count, dimension, seed=seed), random(count, dimension, seed=seed + 1), temperature)
    bound = math.log1p((count - 1) * math.exp(-count / (count - 1) / temperature))
    assert float(loss) >= bound - 1e-9
    corners = torch.eye(count, dtype=torch.float64) - 1 / count
    assert float(info_nce(corners, corners, temperature)) == pytest.approx(bound, abs=1e-9)


def test_log_n_minus_the_loss_is_a_lower_bound_of_the_information() -> None:
    """Pairs that share one of 4 symbols have I = log 4 nats; whatever the scores, the bound stays below on average."""
    symbols = torch.randint(4, (512, 16), generator=torch.Generator().manual_seed(0))
    table = torch.eye(4, dtype=torch.float64)
    for temperature in (1.0, 0.3, 0.05):
        losses = torch.stack([info_nce(table[batch], table[batch], temperature) for batch in symbols])
        information = math.log(16) - float(losses.mean())
        assert 0 < information < math.log(4)
    assert information > 0.8 * math.log(4)  # the sharpest of them is close


@DTYPES
@REDUCTIONS
def test_kl_divergence_equals_torch_with_its_arguments_the_other_way_round(reduction: str, dtype: torch.dtype) -> None:
    p, q = random(5, 4, dtype=dtype), random(5, 4, seed=1, dtype=dtype)

    def theirs(p: Tensor, q: Tensor) -> Tensor:
        losses = F.kl_div(q.log_softmax(-1), p.log_softmax(-1), reduction="none", log_target=True).sum(-1)
        return {"mean": losses.mean(), "sum": losses.sum(), "none": losses}[reduction]

    assert_same_function(lambda p, q: kl_divergence(p, q, reduction=reduction), theirs, p, q)


@given(st.lists(st.tuples(st.floats(-20, 20), st.floats(-20, 20)), min_size=1, max_size=6))
def test_kl_divergence_is_never_negative_and_zero_for_equals(numbers: list[tuple[float, float]]) -> None:
    p, q = torch.tensor(numbers, dtype=torch.float64).T
    assert float(kl_divergence(p, q)) >= -1e-12
    assert float(kl_divergence(p, p + 3.0)) == pytest.approx(0, abs=1e-12)


def test_the_direction_of_the_divergence_matters() -> None:
    p, q = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.9, 0.1]).log()
    assert float(kl_divergence(p, q)) == pytest.approx(0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1))
    assert float(kl_divergence(q, p)) == pytest.approx(0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5))


def test_an_impossible_event_adds_nothing_to_p_and_everything_to_q() -> None:
    certain, even = torch.tensor([0.0, -torch.inf], requires_grad=True), torch.zeros(2, requires_grad=True)
    loss = kl_divergence(certain, even)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert even.grad.isfinite().all() and certain.grad.isfinite().all()
    assert kl_divergence(even, certain).isinf()


def test_cross_entropy_is_entropy_plus_divergence() -> None:
    p, q = random(5, 4), random(5, 4, seed=1)
    entropy = -(p.softmax(1) * p.log_softmax(1)).sum(1).mean()
    assert_equal(cross_entropy(q, p.softmax(1)), entropy + kl_divergence(p, q))


def test_half_precision_predictions_may_meet_whole_targets() -> None:
    half = torch.zeros(2, 3, dtype=torch.bfloat16)
    for loss in (mse(half, torch.ones(2, 3)), binary_cross_entropy(half, torch.ones(2, 3)), kl_divergence(half, torch.ones(2, 3))):
        assert loss.isfinite()


@pytest.mark.parametrize("wrong", [4, -1])
def test_a_class_that_is_none_is_named(wrong: int) -> None:
    with pytest.raises(ValueError, match=f"target {wrong} is outside the 4 classes"):
        cross_entropy(torch.zeros(2, 4), torch.tensor([0, wrong]))


def test_what_losses_refuse_is_named() -> None:
    logits, indices = torch.zeros(6, 4), torch.zeros(6, dtype=torch.long)
    with pytest.raises(ValueError, match=r"targets of shape \(5,\) for logits of shape \(6, 4\), expected \(6,\)"):
        cross_entropy(logits, indices[:5])
    with pytest.raises(ValueError, match=r"predictions of shape \(6, 4\) and targets of shape \(6,\)"):
        cross_entropy(logits, torch.zeros(6))
    with pytest.raises(TypeError, match=r"torch.int32, expected class indices of torch.int64"):
        cross_entropy(logits, indices.int())
    with pytest.raises(TypeError, match=r"torch.int64, expected floating point"):
        cross_entropy(logits.long(), indices)
    with pytest.raises(ValueError, match=r"\(4,\), expected \(N, K\)"):
        cross_entropy(logits[0], indices[0])
    with pytest.raises(ValueError, match=r"weight of shape \(3,\), expected one for each class: \(4,\)"):
        cross_entropy(logits, indices, torch.ones(3))
    with pytest.raises(ValueError, match=r"label_smoothing=1\.5"):
        cross_entropy(logits, indices, label_smoothing=1.5)
    with pytest.raises(ValueError, match="reduction='average', expected one of 'mean', 'sum', 'none'"):
        cross_entropy(logits, indices, reduction="average")
    with pytest.raises(ValueError, match=r"\(6, 4\) and targets of shape \(6, 1\)"):
        mse(logits, torch.zeros(6, 1))
    with pytest.raises(ValueError, match=r"\(6, 4\) and targets of shape \(6,\)"):
        binary_cross_entropy(logits, torch.zeros(6))
    with pytest.raises(TypeError, match=r"torch.int64, expected floating point in"):
        binary_cross_entropy(logits, torch.zeros(6, 4, dtype=torch.long))
    with pytest.raises(ValueError, match="gamma=-1"):
        focal(logits, indices, gamma=-1)
    with pytest.raises(ValueError, match=r"alpha=0.25 for class indices.*\(4,\)"):
        focal(logits, indices, alpha=0.25)
    with pytest.raises(ValueError, match=r"\(6, 4\) and targets of shape \(5, 4\)"):
        info_nce(logits, torch.zeros(5, 4))
    with pytest.raises(ValueError, match=r"\(6,\), expected \(N, d\)"):
        info_nce(torch.zeros(6), torch.zeros(6))
    with pytest.raises(ValueError, match=r"\(6, 4\) and targets of shape \(5, 4\)"):
        kl_divergence(logits, torch.zeros(5, 4))
