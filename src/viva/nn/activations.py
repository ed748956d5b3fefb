"""Activations: the bend between two linear layers, without which they would be one.

All keep the shape. All but softmax work on every number by itself; softmax turns one axis into a distribution. What they do
to the gradient decides which one is used: the chain rule multiplies by the derivative (of the first four, on the right).

    sigmoid      1 / (1 + e⁻ˣ)                 (0, 1)       y (1 − y) ≤ 1/4: ten in a row leave a millionth at most
    tanh         (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)       (−1, 1)      1 − y² ≤ 1, centred on 0; equals 2 sigmoid(2x) − 1
    ReLU         max(0, x)                     [0, ∞)       0 or 1; a unit whose x is never above 0 is dead
    leaky ReLU   max(x, a x), a = 0.01         (−∞, ∞)      a or 1; nobody dies
    GELU         x Φ(x)                        [−0.17, ∞)   Φ the normal distribution function (Hendrycks & Gimpel 2016)
    SiLU         x sigmoid(x)                  [−0.28, ∞)   also swish (Elfwing et al. 2018; Ramachandran et al. 2017)
    softmax      eˣⁱ / Σⱼ eˣʲ                  sums to 1    unchanged by adding a constant to all x

The functions call PyTorch's fused kernels; `FORMULAS` has the same mathematics spelled out, and the tests hold them equal.
GELU comes exact (BERT, ViT) and as the tanh approximation (GPT-2); they differ by up to 4.7e-4, enough to spoil a parity
test and too little to be seen in a loss curve.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viva.nn.shapes import expect_floating, expect_tensor


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e⁻ˣ), in (0, 1). Any shape."""
    expect_tensor("sigmoid", x)
    return torch.sigmoid(x)


def tanh(x: Tensor) -> Tensor:
    """(eˣ − e⁻ˣ) / (eˣ + e⁻ˣ), in (−1, 1). Any shape."""
    expect_tensor("tanh", x)
    return torch.tanh(x)


def relu(x: Tensor) -> Tensor:
    """max(0, x). At 0, where there is no derivative, PyTorch and Viva take 0."""
    expect_tensor("relu", x)
    return torch.relu(x)


def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x above 0, negative_slope · x below (Maas et al. 2013). TypeError for integers."""
    expect_floating("leaky_relu", x)
    return F.leaky_relu(x, negative_slope)


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """x Φ(x), exactly, or with approximate="tanh" as x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2.

    ValueError for another word, TypeError for integers.
    """
    expect_floating("gelu", x)
    return F.gelu(x, approximate=_approximation(approximate))


def silu(x: Tensor) -> Tensor:
    """x sigmoid(x). TypeError for integers."""
    expect_floating("silu", x)
    return F.silu(x)


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """eˣⁱ⁻ᵐ / Σⱼ eˣʲ⁻ᵐ along `dim`, m the largest x: no power is above e⁰, so nothing overflows.

    TypeError for integers.
    """
    expect_floating("softmax", x)
    return torch.softmax(x, dim)


def softmax_naive(x: Tensor, dim: int = -1) -> Tensor:
    """eˣⁱ / Σⱼ eˣʲ as it is written: in float32 e⁸⁹ is already infinite, and ∞/∞ is nan. For comparison only."""
    powers = x.exp()
    return powers / powers.sum(dim, keepdim=True)


def _approximation(approximate: str) -> str:
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu got approximate={approximate!r}, expected 'none' (exact) or 'tanh'.")
    return approximate


def _stable_softmax(x: Tensor) -> Tensor:
    powers = (x - x.amax(-1, keepdim=True)).exp()
    return powers / powers.sum(-1, keepdim=True)


# The definitions, each a line, for reading and for the tests.
FORMULAS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "tanh": lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
    "relu": lambda x: x * (x > 0),
    "relu6": lambda x: x * ((x > 0) & (x < 6)) + 6 * (x >= 6),
    "leaky_relu": lambda x: x.clamp_min(0) + 0.01 * x.clamp_max(0),
    "gelu": lambda x: x * (1 + torch.erf(x / math.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    "silu": lambda x: x / (1 + (-x).exp()),
    "softmax": _stable_softmax,
}


class Sigmoid(nn.Module):
    """`sigmoid` of any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return sigmoid(x)


class Tanh(nn.Module):
    """`tanh` of any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return tanh(x)


class ReLU(nn.Module):
    """max(0, x). `inplace` writes over the input, which saves an allocation where nobody needs the input again."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        expect_tensor("ReLU", x)
        return torch.relu_(x) if self.inplace else torch.relu(x)


class ReLU6(nn.Module):
    """min(max(0, x), 6): MobileNet's, for a bounded range survives arithmetic of few bits (Sandler et al. 2018)."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        expect_tensor("ReLU6", x)
        return F.relu6(x, self.inplace)


class LeakyReLU(nn.Module):
    """`leaky_relu` of any shape: x above 0, negative_slope · x below."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        return leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class GELU(nn.Module):
    """`gelu`; approximate="tanh" is GPT-2's, "none" BERT's and ViT's."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = _approximation(approximate)

    def forward(self, x: Tensor) -> Tensor:
        expect_floating("GELU", x)
        return F.gelu(x, approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(nn.Module):
    """`silu` of any shape. `inplace` writes over the input; in training that saves nothing, for SiLU's gradient needs x."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        expect_floating("SiLU", x)
        return F.silu(x, self.inplace)


class Softmax(nn.Module):
    """`softmax` along the axis `dim`; the same shape."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
