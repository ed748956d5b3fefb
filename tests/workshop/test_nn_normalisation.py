"""Normalisation: one line over different axes, equal to torch in training and evaluation, running statistics included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from agreement import assert_equal, assert_same_function, assert_same_layer, random
from torch import Tensor
from torch import nn as peer

from viva.nn import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, Linear, RMSNorm, normalise

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)

LAYERS: list[tuple[Callable[[], Any], Callable[[], Any], tuple[int, ...]]] = [
    (lambda: BatchNorm1d(3), lambda: peer.BatchNorm1d(3), (5, 3)),
    (lambda: BatchNorm1d(3), lambda: peer.BatchNorm1d(3), (5, 3, 4)),
    (lambda: BatchNorm2d(3, 1e-3, 0.01), lambda: peer.BatchNorm2d(3, 1e-3, 0.01), (2, 3, 4, 5)),
    (lambda: LayerNorm(5), lambda: peer.LayerNorm(5), (2, 3, 5)),
    (lambda: LayerNorm((3, 5), 1e-12), lambda: peer.LayerNorm((3, 5), 1e-12), (2, 3, 5)),
    (lambda: GroupNorm(3, 6), lambda: peer.GroupNorm(3, 6), (2, 6, 4, 5)),
    (lambda: GroupNorm(3, 6), lambda: peer.GroupNorm(3, 6), (2, 6)),
    (lambda: RMSNorm(5), lambda: peer.RMSNorm(5, 1e-6), (2, 3, 5)),
]


@DTYPES
@pytest.mark.parametrize(("ours", "theirs", "shape"), LAYERS, ids=lambda value: str(value) if isinstance(value, tuple) else "")
def test_layers_equal_torch(ours: Any, theirs: Any, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    mine, other = ours(), theirs()
    with torch.no_grad():  # not the identity
        for place, parameter in enumerate(other.parameters()):
            parameter.copy_(random(*parameter.shape, seed=place + 5))
    assert_same_layer(mine, other, 3 + 2 * random(*shape), dtype=dtype)


@pytest.mark.parametrize(
    ("layer", "line", "shape"),
    [
        (BatchNorm2d(6), lambda x: normalise(x, (0, 2, 3)), (2, 6, 4, 5)),
        (BatchNorm1d(6), lambda x: normalise(x, (0,)), (4, 6)),
        (LayerNorm(5), lambda x: normalise(x, (-1,)), (2, 6, 5)),
        (GroupNorm(3, 6), lambda x: normalise(x.reshape(2, 3, 2, 4, 5), (2, 3, 4)).reshape(2, 6, 4, 5), (2, 6, 4, 5)),
        (GroupNorm(6, 6), lambda x: normalise(x, (2, 3)), (2, 6, 4, 5)),
        (GroupNorm(1, 6), lambda x: normalise(x, (1, 2, 3)), (2, 6, 4, 5)),
        (RMSNorm(5), lambda x: x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt(), (2, 6, 5)),
    ],
    ids=["batch 2d", "batch 1d", "layer", "group", "instance", "all channels", "rms"],
)  # fmt: skip
def test_every_norm_is_one_line_over_its_own_axes(layer: Any, line: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> None:
    assert_same_function(layer.double(), line, 3 + 2 * random(*shape))


def test_the_running_variance_is_unbiased_and_the_normaliser_biased() -> None:
    layer = BatchNorm1d(3).double()
    x = 3 + 2 * random(4, 3)
    y = layer(x)
    assert_equal(layer.running_mean, 0.1 * x.mean(0))
    assert_equal(layer.running_var, 0.9 * torch.ones(3, dtype=torch.float64) + 0.1 * x.var(0, correction=1))
    assert_equal(y.detach(), (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt())
    assert int(layer.num_batches_tracked) == 1


def test_evaluation_is_a_fixed_affine_map() -> None:
    layer = BatchNorm2d(3).double()
    for seed in range(5):
        layer(3 + 2 * random(4, 3, 2, 2, seed=seed))
    layer.eval()
    before = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    x = random(1, 3, 2, 2, seed=9)
    slope = layer.weight / (layer.running_var + 1e-5).sqrt()
    shift = layer.bias - slope * layer.running_mean
    assert_equal(layer(x).detach(), (x * slope[:, None, None] + shift[:, None, None]).detach())
    assert all(torch.equal(buffer, before[name]) for name, buffer in layer.named_buffers())


def test_running_statistics_forget_exponentially() -> None:
    layer = BatchNorm1d(1, momentum=0.1).double()
    x = 10 + random(1000, 1)
    for _ in range(50):
        layer(x)
    assert_equal(layer.running_mean, x.mean(0) * (1 - 0.9**50))


def test_a_layer_before_absorbs_batch_norm_in_evaluation() -> None:
    linear, norm = Linear(4, 3).double(), BatchNorm1d(3).double()
    x = random(6, 4)
    norm(linear(x))
    norm.eval()
    slope = norm.weight / (norm.running_var + norm.eps).sqrt()
    folded = x @ (slope[:, None] * linear.weight).T + slope * (linear.bias - norm.running_mean) + norm.bias
    assert_equal(norm(linear(x)).detach(), folded.detach())


def test_layer_norm_does_not_care_for_the_batch() -> None:
    layer = LayerNorm(5)
    x = random(4, 5, dtype=torch.float32)
    assert torch.equal(layer(x)[2:3], layer(x[2:3]))
    assert torch.equal(layer(x), layer.eval()(x))


def test_rms_norm_keeps_the_mean_that_layer_norm_removes() -> None:
    x = torch.ones(1, 4)
    assert torch.allclose(RMSNorm(4)(x), torch.ones(1, 4))
    assert torch.equal(LayerNorm(4)(x), torch.zeros(1, 4))


def test_checkpoints_that_do_not_count_batches_fit() -> None:
    state = {name: tensor for name, tensor in peer.BatchNorm2d(3).state_dict().items() if name != "num_batches_tracked"}
    layer = torch.nn.Sequential(BatchNorm2d(3))
    layer.load_state_dict({f"0.{name}": tensor for name, tensor in state.items()}, strict=True)
    assert int(layer[0].num_batches_tracked) == 0
    with pytest.raises(RuntimeError, match="running_var"):
        layer.load_state_dict({"0.weight": state["weight"]}, strict=True)


@pytest.mark.parametrize(
    ("layer", "shape"), [(BatchNorm2d(3), (2, 3, 4, 4)), (LayerNorm(5), (2, 5)), (GroupNorm(3, 6), (2, 6, 4)), (RMSNorm(5), (2, 5))], ids=repr
)  # fmt: skip
def test_half_precision_inputs_may_meet_whole_weights(layer: Any, shape: tuple[int, ...]) -> None:
    x = random(*shape, dtype=torch.float32)
    half = layer(x.bfloat16())
    assert half.dtype == torch.bfloat16
    assert torch.allclose(half.float(), layer(x), atol=0.05)
    assert layer.bfloat16()(x.bfloat16()).dtype == torch.bfloat16
    layer.float()


def test_one_number_for_each_channel_cannot_be_normalised_in_training() -> None:
    layer = BatchNorm2d(3)
    with pytest.raises(ValueError, match=r"\(1, 3, 1, 1\) in training, one number for each channel"):
        layer(torch.zeros(1, 3, 1, 1))
    assert layer.eval()(torch.zeros(1, 3, 1, 1)).shape == (1, 3, 1, 1)
    assert int(layer.num_batches_tracked) == 0


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (BatchNorm2d(3), (2, 4, 5, 5), r"\(2, 4, 5, 5\), expected \(N, 3, H, W\)"),
        (BatchNorm2d(3), (2, 3), r"\(2, 3\), expected \(N, 3, H, W\)"),
        (BatchNorm1d(3), (2, 4), r"\(2, 4\), expected \(N, 3\)"),
        (BatchNorm1d(3), (2, 3, 4, 5), r"expected \(N, 3, T\)"),
        (LayerNorm((3, 5)), (2, 4, 5), r"\(2, 4, 5\), expected \(\.\.\., 3, 5\)"),
        (LayerNorm((3, 5)), (5,), r"\(5,\), expected \(\.\.\., 3, 5\)"),
        (GroupNorm(2, 6), (2, 4, 5), r"\(2, 4, 5\), expected \(N, 6, H\)"),
        (RMSNorm(5), (2, 4), r"\(2, 4\), expected \(\.\.\., 5\)"),
    ],
)
def test_wrong_shapes_are_named(layer: Any, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer(torch.zeros(shape))


@pytest.mark.parametrize(("layer", "shape"), [(BatchNorm2d(3), (2, 3, 5, 5)), (LayerNorm(5), (2, 5)), (GroupNorm(2, 6), (2, 6)), (RMSNorm(5), (2, 5))], ids=repr)
def test_wrong_dtypes_are_named(layer: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(TypeError, match=r"torch.float64 for weights of torch.float32"):
        layer(torch.zeros(shape, dtype=torch.float64))
    with pytest.raises(TypeError, match=r"torch.int64, expected floating point"):
        layer(torch.zeros(shape, dtype=torch.int64))


def test_impossible_norms_are_refused_when_built() -> None:
    with pytest.raises(ValueError, match="5 channels among 2 groups"):
        GroupNorm(2, 5)
    with pytest.raises(ValueError, match=r"momentum=1\.5"):
        BatchNorm2d(3, momentum=1.5)
