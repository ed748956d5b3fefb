"""Activations: fused kernels equal their definitions and torch's; softmax stays finite where its definition does not."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from agreement import assert_same_function, assert_same_layer, random
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch import nn as peer

import viva.nn as ours
from viva.nn.activations import FORMULAS

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)

# name: Viva's function, torch's function
FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "sigmoid": (ours.sigmoid, F.sigmoid),
    "tanh": (ours.tanh, F.tanh),
    "relu": (ours.relu, F.relu),
    "relu6": (ours.ReLU6(), F.relu6),
    "leaky_relu": (ours.leaky_relu, F.leaky_relu),
    "gelu": (ours.gelu, F.gelu),
    "gelu_tanh": (lambda x: ours.gelu(x, "tanh"), lambda x: F.gelu(x, approximate="tanh")),
    "silu": (ours.silu, F.silu),
    "softmax": (ours.softmax, lambda x: F.softmax(x, -1)),
}


@DTYPES
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_equal_torch_and_their_definitions(name: str, dtype: torch.dtype) -> None:
    mine, theirs = FUNCTIONS[name]
    x = 4 * random(3, 50, dtype=dtype)
    assert_same_function(mine, theirs, x)
    assert_same_function(mine, FORMULAS[name], x)


def test_every_formula_is_tested() -> None:
    assert set(FORMULAS) == set(FUNCTIONS)


@DTYPES
@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (ours.Sigmoid(), peer.Sigmoid()),
        (ours.Tanh(), peer.Tanh()),
        (ours.ReLU(), peer.ReLU()),
        (ours.ReLU6(), peer.ReLU6()),
        (ours.LeakyReLU(0.2), peer.LeakyReLU(0.2)),
        (ours.GELU(), peer.GELU()),
        (ours.GELU("tanh"), peer.GELU("tanh")),
        (ours.SiLU(), peer.SiLU()),
        (ours.Softmax(1), peer.Softmax(1)),
    ],
    ids=str,
)
def test_modules_equal_torch(mine: torch.nn.Module, theirs: torch.nn.Module, dtype: torch.dtype) -> None:
    x = 4 * random(2, 7, 5, dtype=dtype)
    assert_same_function(mine, theirs, x)


@pytest.mark.parametrize("kind", [ours.ReLU, ours.ReLU6, ours.SiLU])
def test_in_place_activations_write_over_their_input(kind: type) -> None:
    x = 4 * random(10, dtype=torch.float32)
    expected = kind()(x.clone())
    assert kind(inplace=True)(x).data_ptr() == x.data_ptr()
    assert torch.equal(x, expected)


def test_both_gelus_differ_by_what_is_known() -> None:
    x = torch.linspace(-10, 10, 200_001, dtype=torch.float64)
    difference = (ours.gelu(x) - ours.gelu(x, "tanh")).abs()
    assert float(difference.max()) == pytest.approx(4.73e-4, abs=1e-6)
    assert abs(abs(float(x[difference.argmax()])) - 2.7) < 0.01


@pytest.mark.parametrize(("function", "minimum"), [(ours.gelu, -0.16997), (ours.silu, -0.27846)])
def test_gelu_and_silu_dip_below_zero(function: Callable[[Tensor], Tensor], minimum: float) -> None:
    x = torch.linspace(-10, 10, 200_001, dtype=torch.float64)
    assert float(function(x).min()) == pytest.approx(minimum, abs=1e-5)


def test_tanh_is_a_stretched_sigmoid() -> None:
    assert_same_function(ours.tanh, lambda x: 2 * ours.sigmoid(2 * x) - 1, random(100))


def test_ten_sigmoids_leave_at_most_a_millionth_of_the_gradient() -> None:
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    y = x
    for _ in range(10):
        y = ours.sigmoid(y)
    y.backward()
    assert 0 < float(x.grad) <= 0.25**10 < 1e-6


def test_relu_takes_the_derivative_zero_at_zero() -> None:
    x = torch.zeros(1, requires_grad=True)
    ours.relu(x).backward()
    assert float(x.grad) == 0


def test_softmax_is_stable_where_its_definition_overflows() -> None:
    x = torch.tensor([1e4, 1e4 - 1, -1e4])
    assert torch.isnan(ours.softmax_naive(x)).any()
    expected = [1 / (1 + math.exp(-1)), 1 / (1 + math.e), 0.0]
    assert torch.allclose(ours.softmax(x), torch.tensor(expected))
    assert torch.allclose(FORMULAS["softmax"](x), torch.tensor(expected))


@DTYPES
def test_both_softmaxes_agree_where_nothing_overflows(dtype: torch.dtype) -> None:
    assert_same_function(lambda x: ours.softmax_naive(x, 1), lambda x: ours.softmax(x, 1), random(2, 7, 5, dtype=dtype))


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=8), st.floats(-1e4, 1e4))
def test_softmax_is_a_distribution_and_a_constant_does_not_move_it(numbers: list[float], constant: float) -> None:
    x = torch.tensor(numbers, dtype=torch.float64)
    y = ours.softmax(x)
    assert (y >= 0).all() and float(y.sum()) == pytest.approx(1)
    assert torch.allclose(y, ours.softmax(x + constant), atol=1e-10)


def test_what_is_refused_is_named() -> None:
    with pytest.raises(ValueError, match="approximate='exact', expected 'none'"):
        ours.GELU("exact")
    with pytest.raises(ValueError, match="approximate='exact', expected 'none'"):
        ours.gelu(torch.zeros(1), "exact")
    with pytest.raises(TypeError, match=r"torch.int64, expected floating point"):
        ours.softmax(torch.tensor([1, 2]))


def test_squeeze_excitation_is_a_gate_for_each_channel() -> None:
    layer = ours.SqueezeExcitation(8, 2).double()
    x = random(2, 8, 5, 4)
    squeezed = x.mean((2, 3))
    hidden = F.relu(F.linear(squeezed, layer.reduce.weight[:, :, 0, 0], layer.reduce.bias))
    gate = 1 / (1 + (-F.linear(hidden, layer.expand.weight[:, :, 0, 0], layer.expand.bias)).exp())
    assert torch.allclose(layer(x), x * gate[:, :, None, None], rtol=1e-12)


@DTYPES
def test_squeeze_excitation_equals_torchvision(dtype: torch.dtype) -> None:
    try:
        from torchvision.ops import SqueezeExcitation
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision does not import: {error}")

    class Renamed(torch.nn.Module):
        """Theirs under our names."""

        def __init__(self) -> None:
            super().__init__()
            whole = SqueezeExcitation(8, 2, activation=peer.SiLU)
            self.reduce, self.activation, self.expand = whole.fc1, whole.activation, whole.fc2
            self.__dict__["whole"] = whole

        def forward(self, x: Tensor) -> Tensor:
            return self.whole(x)

    assert_same_layer(ours.SqueezeExcitation(8, 2, ours.SiLU), Renamed(), random(2, 8, 5, 4), dtype=dtype)


def test_squeeze_excitation_names_both_shapes() -> None:
    with pytest.raises(ValueError, match=r"\(2, 4, 5, 5\), expected \(N, 8, H, W\)"):
        ours.SqueezeExcitation(8, 2)(torch.zeros(2, 4, 5, 5))


def test_a_residual_adds_its_input_or_a_projection_of_it() -> None:
    x = random(2, 3, dtype=torch.float32)
    body, shortcut = ours.Linear(3, 3), ours.Linear(3, 3)
    assert torch.equal(ours.Residual(body)(x), x + body(x))
    assert torch.equal(ours.Residual(body, shortcut)(x), shortcut(x) + body(x))
    assert set(ours.Residual(body).state_dict()) == {"body.weight", "body.bias"}


def test_a_hundred_silent_residual_blocks_leave_the_gradient_as_it_is() -> None:
    blocks = []
    for _ in range(100):
        body = ours.Linear(3, 3)
        ours.constant_(body.weight), ours.constant_(body.bias)
        blocks.append(ours.Residual(body))
    x = random(2, 3, dtype=torch.float32).requires_grad_()
    y = torch.nn.Sequential(*blocks)(x)
    y.sum().backward()
    assert torch.equal(y, x) and torch.equal(x.grad, torch.ones(2, 3))


def test_a_residual_refuses_to_broadcast() -> None:
    with pytest.raises(ValueError, match=r"shortcut of shape \(2, 3\) to a body of shape \(2, 1\)"):
        ours.Residual(ours.Linear(3, 1))(torch.zeros(2, 3))
