"""Dropout and stochastic depth: noise without bias in training, nothing at all in evaluation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from agreement import assert_same_function, random
from torch import nn as peer

from viva.nn import Dropout, StochasticDepth

KINDS = pytest.mark.parametrize("kind", [Dropout, StochasticDepth])
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@DTYPES
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout_equals_torch_draw_by_draw(p: float, dtype: torch.dtype) -> None:
    assert_same_function(Dropout(p), peer.Dropout(p), random(50, 7, dtype=dtype))


@DTYPES
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_stochastic_depth_equals_torchvision_draw_by_draw(p: float, dtype: torch.dtype) -> None:
    try:
        from torchvision.ops import StochasticDepth as Theirs
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision does not import: {error}")
    assert_same_function(StochasticDepth(p), Theirs(p, "row"), random(50, 3, 2, 2, dtype=dtype))


@KINDS
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_evaluation_is_the_identity(kind: Any, p: float) -> None:
    x = random(5, 3)
    assert torch.equal(kind(p).eval()(x), x)


@KINDS
@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_noise_keeps_the_expectation_and_costs_the_known_variance(kind: Any, p: float) -> None:
    torch.manual_seed(0)
    y = kind(p)(torch.full((100_000, 1), 2.0, dtype=torch.float64))
    # The mean of 10⁵ draws has the deviation 2 √(p / (1 − p)) / √10⁵, at most 0.013 here.
    assert float(y.mean()) == pytest.approx(2, abs=5 * 2 * (p / (1 - p)) ** 0.5 / 100_000**0.5)
    assert float(y.var()) == pytest.approx(4 * p / (1 - p), rel=0.05)
    assert set(y.unique().tolist()) == {0.0, 2 / (1 - p)}


@KINDS
def test_the_same_numbers_are_dropped_forward_and_backward(kind: Any) -> None:
    x = torch.ones(100, 3, requires_grad=True)
    y = kind(0.4)(x)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


@KINDS
def test_everything_may_be_dropped(kind: Any) -> None:
    x = torch.ones(5, 3, requires_grad=True)
    y = kind(1.0)(x)
    y.sum().backward()
    assert torch.equal(y, torch.zeros(5, 3)) and torch.equal(x.grad, torch.zeros(5, 3))


def test_stochastic_depth_silences_whole_samples_and_dropout_single_numbers() -> None:
    torch.manual_seed(0)
    alive = StochasticDepth(0.5)(torch.ones(200, 4, 3)).flatten(1) > 0
    assert torch.equal(alive.all(1), alive.any(1)) and 0 < alive.all(1).sum() < 200
    alive = Dropout(0.5)(torch.ones(200, 4, 3)).flatten(1) > 0
    assert (alive.any(1) & ~alive.all(1)).sum() > 190


@KINDS
def test_every_call_draws_anew(kind: Any) -> None:
    torch.manual_seed(0)
    layer = kind(0.5)
    assert not torch.equal(layer(torch.ones(100, 1)), layer(torch.ones(100, 1)))


@KINDS
@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_p_is_a_probability(kind: Any, p: float) -> None:
    with pytest.raises(ValueError, match=f"{kind.__name__} got p={p}, expected the probability of dropping"):
        kind(p)


@KINDS
def test_integers_are_refused(kind: Any) -> None:
    with pytest.raises(TypeError, match=r"torch.int64, expected floating point"):
        kind(0.5)(torch.ones(2, 2, dtype=torch.long))
