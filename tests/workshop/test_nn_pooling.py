"""Pooling: equal to torch and to the definition."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from agreement import assert_same_function, random
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from viva.nn import AvgPool2d, GlobalAvgPool2d, MaxPool2d, unfold

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@settings(max_examples=40)
@given(st.tuples(*[st.integers(1, 9)] * 2), st.tuples(*[st.integers(1, 4)] * 2), st.none() | st.integers(1, 3), st.integers(0, 2))
def test_pooling_equals_torch_and_the_definition(size: Any, kernel: Any, stride: int | None, padding: int) -> None:
    assume(all(2 * padding <= k and s + 2 * padding >= k for k, s in zip(kernel, size, strict=True)))
    x = random(2, 3, *size)

    def windows(x: torch.Tensor, beyond: float) -> torch.Tensor:
        padded = F.pad(x, (padding,) * 4, value=beyond)
        return unfold(padded, kernel, kernel if stride is None else stride).reshape(2, 3, kernel[0] * kernel[1], -1)

    largest, mean = MaxPool2d(kernel, stride, padding), AvgPool2d(kernel, stride, padding)
    out = assert_same_function(largest, lambda x: F.max_pool2d(x, kernel, stride, padding), x)
    assert_same_function(lambda x: largest(x).flatten(2), lambda x: windows(x, -torch.inf).amax(2), x)
    assert_same_function(mean, lambda x: F.avg_pool2d(x, kernel, stride, padding), x)
    assert_same_function(lambda x: mean(x).flatten(2), lambda x: windows(x, 0.0).mean(2), x)
    assert out.dim() == 4


@DTYPES
def test_pooling_equals_torch_in_both_dtypes(dtype: torch.dtype) -> None:
    x = random(2, 3, 9, 8, dtype=dtype)
    assert_same_function(MaxPool2d(3, 2, 1), torch.nn.MaxPool2d(3, 2, 1), x)
    assert_same_function(AvgPool2d(3, 2, 1), torch.nn.AvgPool2d(3, 2, 1), x)
    assert_same_function(GlobalAvgPool2d(), lambda x: torch.nn.AdaptiveAvgPool2d(1)(x).flatten(1), x)


def test_the_first_of_equal_pixels_gets_the_gradient_and_the_mean_shares_it() -> None:
    x = torch.ones(1, 1, 2, 2, requires_grad=True)
    MaxPool2d(2)(x).sum().backward()
    assert x.grad.flatten().tolist() == [1, 0, 0, 0]
    x.grad = None
    AvgPool2d(2)(x).sum().backward()
    assert x.grad.flatten().tolist() == [0.25] * 4


def test_a_border_never_wins() -> None:
    assert (MaxPool2d(3, 1, 1)(-torch.ones(1, 1, 3, 3)) == -1).all()


@pytest.mark.parametrize("kind", [MaxPool2d, AvgPool2d])
def test_what_pooling_refuses_is_named(kind: Any) -> None:
    with pytest.raises(ValueError, match="smaller than its window of 3 x 3"):
        kind(3)(torch.zeros(1, 1, 2, 9))
    with pytest.raises(ValueError, match=r"\(1, 9, 9\), expected \(N, C, H, W\)"):
        kind(3)(torch.zeros(1, 9, 9))
    with pytest.raises(TypeError, match=r"torch.uint8, expected floating point"):
        kind(3)(torch.zeros(1, 1, 9, 9, dtype=torch.uint8))
    with pytest.raises(ValueError, match="padding=2 for kernel_size=3"):
        kind(3, padding=2)
    with pytest.raises(ValueError, match="stride=0"):
        kind(3, stride=0)


def test_global_pooling_names_both_shapes() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\), expected \(N, C, H, W\)"):
        GlobalAvgPool2d()(torch.zeros(2, 3))
