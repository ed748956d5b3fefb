"""Convolution: the definition, the matrix product and the fast kernel are one; the transposed one is its gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from agreement import assert_equal, assert_same_function, assert_same_layer, random
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn as peer

from viva.nn import (
    Conv2d,
    ConvTranspose2d,
    DepthwiseSeparableConv2d,
    conv2d,
    conv2d_naive,
    conv2d_unfold,
    conv_output_size,
    conv_transpose2d,
    conv_transpose2d_naive,
    unfold,
)

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
SMALL = settings(max_examples=40)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, dict[str, Any]]:
    """An image, a weight, perhaps a bias, and settings under which the kernel fits."""
    two = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    groups = draw(st.integers(1, 3))
    kernel, stride, padding, dilation = two(1, 3), two(1, 3), two(0, 2), two(1, 2)
    size = two(1, 7)
    assume(all(s + 2 * p >= d * (k - 1) + 1 for s, p, d, k in zip(size, padding, dilation, kernel, strict=True)))
    group_in, group_out = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    x = random(draw(st.integers(1, 2)), group_in * groups, *size, seed=draw(st.integers(0, 99)))
    weight = random(group_out * groups, group_in, *kernel, seed=1)
    bias = random(group_out * groups, seed=2) if draw(st.booleans()) else None
    return x, weight, bias, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@SMALL
@given(convolutions())
def test_definition_matrix_product_and_fast_kernel_are_equal(case: Any) -> None:
    x, weight, bias, settings = case
    inputs = (x, weight) if bias is None else (x, weight, bias)
    fast = lambda *tensors: conv2d(*tensors, **settings)  # noqa: E731
    out = assert_same_function(lambda *tensors: conv2d_naive(*tensors, **settings), fast, *inputs)
    assert_same_function(lambda *tensors: conv2d_unfold(*tensors, **settings), fast, *inputs)
    assert_same_function(fast, lambda *tensors: F.conv2d(*tensors, **settings), *inputs)
    axes = zip(x.shape[2:], weight.shape[2:], settings["stride"], settings["padding"], settings["dilation"], strict=True)
    assert tuple(out.shape[2:]) == tuple(conv_output_size(*axis) for axis in axes)


@SMALL
@given(convolutions())
def test_the_transposed_convolution_is_the_gradient_of_the_convolution(case: Any) -> None:
    x, weight, _, settings = case
    x = x.requires_grad_()
    y = conv2d(x, weight, **settings)
    cotangent = random(*y.shape, seed=3)
    (gradient,) = torch.autograd.grad(y, x, cotangent)
    # Several heights give one output height; what the stride rounded off is the output padding.
    rounded = []
    for axis in (0, 1):
        reach = settings["dilation"][axis] * (weight.shape[2 + axis] - 1) + 1
        rounded.append((x.shape[2 + axis] + 2 * settings["padding"][axis] - reach) % settings["stride"][axis])
    back = conv_transpose2d(cotangent, weight, output_padding=tuple(rounded), **settings)
    assert_equal(back, gradient)


@SMALL
@given(convolutions(), st.integers(0, 1), st.integers(0, 1))
def test_stamping_kernels_equals_the_fast_transposed_convolution(case: Any, down: int, right: int) -> None:
    x, weight, bias, settings = case
    groups = settings["groups"]
    weight = random(x.shape[1], weight.shape[0] // groups, *weight.shape[2:], seed=1)
    extra = tuple(
        min(wish, max(stride, dilation) - 1)
        for wish, stride, dilation in zip((down, right), settings["stride"], settings["dilation"], strict=True)
    )
    settings = {**settings, "output_padding": extra}
    inputs = (x, weight) if bias is None else (x, weight, bias)
    try:
        theirs = F.conv_transpose2d(*inputs, **settings)
    except RuntimeError:  # the padding cuts everything away
        with pytest.raises(ValueError, match="cut everything away"):
            conv_transpose2d(*inputs, **settings)
        return
    out = assert_same_function(
        lambda *tensors: conv_transpose2d(*tensors, **settings), lambda *tensors: conv_transpose2d_naive(*tensors, **settings), *inputs
    )
    assert_equal(out, theirs)


@SMALL
@given(convolutions())
def test_unfolding_equals_torch(case: Any) -> None:
    x, weight, _, settings = case
    settings = {name: settings[name] for name in ("stride", "padding", "dilation")}
    assert torch.equal(unfold(x, tuple(weight.shape[2:]), **settings), F.unfold(x, weight.shape[2:], **settings))


@DTYPES
@pytest.mark.parametrize(
    "settings",
    [{}, {"stride": 2, "padding": 1}, {"groups": 2, "bias": False}, {"kernel_size": (3, 1), "padding": (1, 0), "dilation": (2, 1)}],
    ids=str,
)
@pytest.mark.parametrize(("ours", "theirs"), [(Conv2d, peer.Conv2d), (ConvTranspose2d, peer.ConvTranspose2d)])
def test_layers_equal_torch(ours: Any, theirs: Any, settings: dict[str, Any], dtype: torch.dtype) -> None:
    settings = {"kernel_size": 3, **settings}
    assert_same_layer(ours(4, 6, **settings), theirs(4, 6, **settings), random(2, 4, 7, 8), dtype=dtype)


@pytest.mark.parametrize(("ours", "theirs"), [(Conv2d, peer.Conv2d), (ConvTranspose2d, peer.ConvTranspose2d)])
@pytest.mark.parametrize("groups", [1, 4])
def test_layers_start_where_torch_starts(ours: Any, theirs: Any, groups: int) -> None:
    torch.manual_seed(3)
    mine = ours(8, 12, 3, groups=groups)
    torch.manual_seed(3)
    other = theirs(8, 12, 3, groups=groups)
    torch.testing.assert_close(mine.weight, other.weight)
    torch.testing.assert_close(mine.bias, other.bias)


def test_channels_last_stays_channels_last() -> None:
    layer = Conv2d(4, 8, 3).to(memory_format=torch.channels_last)
    x = random(2, 4, 8, 8, dtype=torch.float32).to(memory_format=torch.channels_last)
    assert layer(x).is_contiguous(memory_format=torch.channels_last)


@DTYPES
def test_depthwise_separable_is_a_convolution_whose_kernels_are_outer_products(dtype: torch.dtype) -> None:
    layer = DepthwiseSeparableConv2d(3, 5, 3, stride=2, padding=1, bias=False).to(dtype)
    x = random(2, 3, 8, 8, dtype=dtype)
    joint = layer.pointwise.weight * layer.depthwise.weight[:, 0]  # (5, 3, 1, 1) · (3, 3, 3) -> (5, 3, 3, 3)
    assert_equal(layer(x).detach(), conv2d(x, joint, stride=2, padding=1).detach())


@pytest.mark.parametrize(("kernel", "out_channels"), [(3, 64), (5, 16)])
def test_depthwise_separable_has_one_kth_squared_plus_one_outth_of_the_weights(kernel: int, out_channels: int) -> None:
    count = lambda layer: sum(weight.numel() for weight in layer.parameters())  # noqa: E731
    separable = count(DepthwiseSeparableConv2d(32, out_channels, kernel, bias=False))
    assert separable / count(Conv2d(32, out_channels, kernel, bias=False)) == pytest.approx(1 / out_channels + 1 / kernel**2)


def test_what_stands_between_acts_on_the_depthwise_output() -> None:
    layer = DepthwiseSeparableConv2d(2, 3, between=peer.ReLU())
    x = random(1, 2, 5, 5, dtype=torch.float32)
    assert torch.equal(layer(x), layer.pointwise(layer.depthwise(x).relu()))


@pytest.mark.parametrize("function", [conv2d, conv2d_naive, conv2d_unfold])
def test_wrong_channels_are_named_with_both_shapes(function: Any) -> None:
    with pytest.raises(ValueError, match=r"\(2, 4, 8, 8\), expected \(N, 3, H, W\).*\(5, 3, 3, 3\)"):
        function(torch.zeros(2, 4, 8, 8), torch.zeros(5, 3, 3, 3))


def test_an_image_without_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3, 8, 8\), expected \(N, 3, H, W\)"):
        Conv2d(3, 5, 3)(torch.zeros(3, 8, 8))


def test_an_image_smaller_than_the_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="spans 5 pixels, the input has 2 and padding adds 2"):
        Conv2d(1, 1, 3, padding=1, dilation=2)(torch.zeros(1, 1, 2, 8))


@pytest.mark.parametrize("layer", [Conv2d(3, 5, 3), ConvTranspose2d(3, 5, 3)], ids=["Conv2d", "ConvTranspose2d"])
def test_wrong_dtypes_are_named(layer: torch.nn.Module) -> None:
    with pytest.raises(TypeError, match=r"torch.float64 for weights of torch.float32"):
        layer(torch.zeros(2, 3, 8, 8, dtype=torch.float64))
    with pytest.raises(TypeError, match=r"torch.uint8, expected floating point"):
        layer(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))


def test_transposed_convolution_names_what_it_refuses() -> None:
    with pytest.raises(ValueError, match=r"\(2, 4, 8, 8\), expected \(N, 3, H, W\)"):
        ConvTranspose2d(3, 5, 3)(torch.zeros(2, 4, 8, 8))
    for function in (conv_transpose2d, conv_transpose2d_naive):
        with pytest.raises(ValueError, match="output_padding=2 for stride=2"):
            function(torch.zeros(1, 3, 4, 4), torch.zeros(3, 5, 3, 3), stride=2, output_padding=2)
        with pytest.raises(ValueError, match="padding=2 leaves -1 pixels"):
            function(torch.zeros(1, 3, 1, 1), torch.zeros(3, 5, 3, 3), padding=2)
        with pytest.raises(ValueError, match="3 input channels among 2 groups"):
            function(torch.zeros(1, 3, 4, 4), torch.zeros(3, 5, 3, 3), groups=2)


@pytest.mark.parametrize("layer", [Conv2d, ConvTranspose2d])
def test_impossible_settings_are_refused_when_built(layer: Any) -> None:
    with pytest.raises(ValueError, match="among 2 groups"):
        layer(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match="stride=0"):
        layer(3, 4, 3, stride=0)


def test_wrong_groups_of_a_bare_weight_are_refused() -> None:
    with pytest.raises(ValueError, match="5 output channels among 2 groups"):
        conv2d(torch.zeros(1, 4, 3, 3), torch.zeros(5, 2, 3, 3), groups=2)
