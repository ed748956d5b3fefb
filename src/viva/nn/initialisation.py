"""Initialisation: the first values of the weights decide whether signals and gradients live through depth.

Every function fills a tensor in place, without gradients, and returns it; every one takes `generator=` for a random
stream of its own. For n = fan_in inputs x and independent weights of mean 0, Var(w·x) = n Var(w) E[x²]: a linear layer
keeps the scale of its input when Var(w) = 1/n, and that of its gradient when Var(w) = 1/fan_out. Hence

    Xavier / Glorot   Var(w) = 2 / (fan_in + fan_out)     tanh, linear     Glorot & Bengio 2010, eqs. 12 and 16
    He / Kaiming      Var(w) = 2 / fan_in                 ReLU             He et al. 2015, eq. 10: ReLU halves E[x²]
    orthogonal        WᵀW = I: lengths are kept exactly                    Saxe et al. 2014

A uniform U(±a) has variance a²/3, so a = √3 · std. Constants leave all units of a layer identical for ever: they get the
same gradient, and the layer is one unit wide. A fixed U(±0.1) ignores the width: its variance of 1/300 suits n ≈ 300 units
(n ≈ 600 with ReLU) and no other width.

What `torch.nn` does when nobody asks is none of these: `fan_in_uniform_`, U(±1/√fan_in), so Var = 1/(3 fan_in).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from viva.nn.shapes import expect_floating, written

# What to multiply the standard deviation by to undo an activation's shrinking: torch.nn.init.calculate_gain's numbers.
GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75}


def fans(weight: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out): how many inputs feed one output, how many outputs one input feeds.

    `weight` is (out, in) or, for convolutions, (out, in / groups, *kernel): a kernel of k × k multiplies both by k². As in
    torch, fan_out does not know of groups and counts the outputs of all of them.
    ValueError for fewer than two axes (a bias has no fan).
    """
    expect_floating("an initialisation", weight)
    if weight.dim() < 2:
        raise ValueError(f"fan_in needs a weight of shape (out, in, ...), got {written(weight.shape)}: a bias has no fan.")
    receptive = math.prod(weight.shape[2:])
    return weight.shape[1] * receptive, weight.shape[0] * receptive


@torch.no_grad()
def constant_(tensor: Tensor, value: float = 0.0) -> Tensor:
    """Every entry is `value`: right for biases (0) and gains (1), wrong for weights, whose units would stay identical."""
    return tensor.fill_(value)


@torch.no_grad()
def uniform_(tensor: Tensor, low: float = -0.1, high: float = 0.1, generator: torch.Generator | None = None) -> Tensor:
    """U(low, high): mean (low + high)/2, variance (high − low)²/12."""
    if not low <= high:
        raise ValueError(f"uniform_ got low={low} above high={high}: swap them.")
    return tensor.uniform_(low, high, generator=generator)


@torch.no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 0.02, generator: torch.Generator | None = None) -> Tensor:
    """N(mean, std²); 0.02 is GPT's and BERT's standard deviation."""
    expect_floating("normal_", tensor)
    if not std >= 0:
        raise ValueError(f"normal_ got std={std}, expected a standard deviation of at least 0.")
    return tensor.normal_(mean, std, generator=generator)


@torch.no_grad()
def truncated_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, lower: float = -2.0, upper: float = 2.0,
    generator: torch.Generator | None = None,
) -> Tensor:  # fmt: skip
    """N(mean, std²) within [lower, upper], by the inverse of the distribution function.

    `lower` and `upper` are values, not standard deviations, as in `torch.nn.init.trunc_normal_`: with std=0.02 the default
    bounds of ±2 lie at 100 standard deviations and cut nothing. JAX counts them in standard deviations.
    ValueError when lower is not below upper.
    """
    expect_floating("truncated_normal_", tensor)
    if not std > 0:
        raise ValueError(f"truncated_normal_ got std={std}, expected a standard deviation above 0.")
    if not lower < upper:
        raise ValueError(f"truncated_normal_ got lower={lower} and upper={upper}: lower must be below upper.")
    below, above = ((1.0 + math.erf((bound - mean) / (std * math.sqrt(2.0)))) / 2.0 for bound in (lower, upper))
    # In bfloat16 a uniform number has 8 bits, and its erfinv reaches infinity: draw in float32 at least.
    draw = torch.empty(tensor.shape, dtype=torch.promote_types(tensor.dtype, torch.float32), device=tensor.device)
    draw.uniform_(2.0 * below - 1.0, 2.0 * above - 1.0, generator=generator)
    # A draw of exactly ±1 (one in 2²⁴) would be infinite, and the bounds would turn it into an outlier of 100 deviations.
    most = 1.0 - torch.finfo(draw.dtype).eps
    draw.clamp_(-most, most)
    return tensor.copy_(draw.erfinv_().mul_(std * math.sqrt(2.0)).add_(mean).clamp_(lower, upper))


def xavier_uniform_(weight: Tensor, gain: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """U(±gain √(6 / (fan_in + fan_out))): Glorot & Bengio 2010, eq. 16, the "normalised initialisation"."""
    limit = math.sqrt(3.0) * gain * math.sqrt(2.0 / sum(fans(weight)))
    return uniform_(weight, -limit, limit, generator)


def xavier_normal_(weight: Tensor, gain: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """N(0, gain² · 2 / (fan_in + fan_out)): Glorot & Bengio 2010, eq. 12."""
    return normal_(weight, 0.0, gain * math.sqrt(2.0 / sum(fans(weight))), generator)


def he_uniform_(
    weight: Tensor, mode: str = "fan_in", negative_slope: float = 0.0, generator: torch.Generator | None = None
) -> Tensor:
    """U(±√3 std) with the std of `he_normal_`."""
    limit = math.sqrt(3.0) * _he_std(weight, mode, negative_slope)
    return uniform_(weight, -limit, limit, generator)


def he_normal_(
    weight: Tensor, mode: str = "fan_in", negative_slope: float = 0.0, generator: torch.Generator | None = None
) -> Tensor:
    """N(0, 2 / ((1 + a²) fan)): He et al. 2015, eqs. 10 and 15, a the leaky ReLU's `negative_slope`.

    `mode` "fan_in" keeps the activations' scale, "fan_out" the gradients' (torchvision's ResNets).
    ValueError for another mode.
    """
    return normal_(weight, 0.0, _he_std(weight, mode, negative_slope), generator)


def _he_std(weight: Tensor, mode: str, negative_slope: float) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"he initialisation got mode={mode!r}, expected 'fan_in' or 'fan_out'.")
    fan_in, fan_out = fans(weight)
    return math.sqrt(2.0 / (1.0 + negative_slope**2) / (fan_in if mode == "fan_in" else fan_out))


@torch.no_grad()
def orthogonal_(weight: Tensor, gain: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """gain · Q with orthonormal rows or columns, whichever are fewer: Saxe et al. 2014.

    A convolution's weight is flattened to (out, in · kernel). Q comes from the QR of a Gaussian matrix; multiplying each
    column with the sign of R's diagonal makes it uniform over all rotations (Mezzadri 2007).
    """
    fans(weight)  # refuses a bias
    if not weight.numel():
        return weight
    rows, columns = weight.shape[0], weight[0].numel()
    dtype = torch.promote_types(weight.dtype, torch.float32)  # there is no QR in half precision
    gaussian = torch.empty(rows, columns, dtype=dtype, device=weight.device).normal_(generator=generator)
    q, r = torch.linalg.qr(gaussian if rows >= columns else gaussian.T)
    q = q * r.diagonal().sign()  # (max, min), columns orthonormal
    return weight.copy_(gain * (q if rows >= columns else q.T).reshape(weight.shape))


def fan_in_uniform_(weight: Tensor, bias: Tensor | None = None, generator: torch.Generator | None = None) -> None:
    """U(±1/√fan_in) for the weight and its bias: what `torch.nn.Linear` and `torch.nn.Conv2d` start from.

    Not Xavier: PyTorch writes it as He's uniform rule with a negative slope of √5, whose variance is 2 / (1 + 5) / fan_in,
    a third of what a linear layer needs to keep its scale.
    """
    limit = 1.0 / math.sqrt(max(1, fans(weight)[0]))
    uniform_(weight, -limit, limit, generator)
    if bias is not None:
        uniform_(bias, -limit, limit, generator)
