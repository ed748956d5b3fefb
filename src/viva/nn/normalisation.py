"""Normalisation: shift and scale a group of numbers to mean 0 and variance 1, then let the network choose its own.

    y = (x − mean) / √(variance + eps) · weight + bias          the shape stays

It makes a deep network easy to optimise: the scale of a layer's output no longer depends on the scale of its weights, so
larger steps and careless initialisations do less harm. (That batch norm works by reducing "internal covariate shift", as its
paper has it, is disputed: Santurkar et al. 2018. Its noise regularises a little, too, as a side effect.)

All layers here are this line; they differ in the numbers that share a mean. For x (N, C, H, W) or (N, T, d_model):

    batch norm   N, H, W for each channel          Ioffe & Szegedy 2015   needs a batch; running statistics for evaluation
    layer norm   d_model for each place            Ba et al. 2016         the same in training and evaluation
    group norm   C/G, H, W for each sample, group  Wu & He 2018           no batch; G = 1: all channels, G = C: each alone
    RMS norm     d_model, and no mean at all       Zhang & Sennrich 2019  y = x / √(mean(x²) + eps) · weight

The variance is the biased one (divided by n). Batch norm alone keeps, for evaluation, a running mean and the running
*unbiased* variance (divided by n − 1): running ← (1 − momentum) running + momentum · batch; TensorFlow's momentum is
1 − this one. Evaluation is then a fixed affine map, which a convolution before it can absorb.
`normalise` is the line itself; the layers call PyTorch's fused kernels, and the tests hold both equal.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viva.nn.shapes import expect_floating, expect_shape, expect_tensor, written


def normalise(x: Tensor, dims: tuple[int, ...], eps: float = 1e-5) -> Tensor:
    """(x − mean) / √(biased variance + eps), over the axes `dims`; the same shape."""
    mean = x.mean(dims, keepdim=True)
    variance = (x - mean).square().mean(dims, keepdim=True)
    return (x - mean) / (variance + eps).sqrt()


def _expect_dtype(who: str, x: Tensor, weight: Tensor) -> None:
    # The kernels keep statistics in float32 and take half-precision inputs beside float32 weights; wider inputs they refuse.
    half = x.dtype in (torch.bfloat16, torch.float16) and weight.dtype == torch.float32
    expect_floating(who, x, None if half else weight)


def _expect_sizes(who: str, sizes: tuple[int, ...], eps: float) -> None:
    if not sizes or min(sizes) < 1 or not eps >= 0.0:
        raise ValueError(f"{who} got the size {written(sizes)} and eps={eps}: sizes start at 1, eps at 0.")


class _BatchNorm(nn.Module):
    """Batch norm of `num_features` channels, axis 1.

    Parameters weight (ones), bias (zeros); buffers running_mean (zeros), running_var (ones), num_batches_tracked. Training
    normalises with the batch's statistics and updates the running ones; evaluation uses those. ValueError when training
    sees a single number for each channel, whose variance says nothing.
    """

    shapes: ClassVar[dict[int, tuple[str, ...]]] = {}  # the axes after the channels, by the number of all axes

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        _expect_sizes(type(self).__name__, (num_features,), eps)
        if not 0.0 <= momentum <= 1.0:
            raise ValueError(f"{type(self).__name__} got momentum={momentum}, the newest batch's share: expected 0 to 1.")
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.num_batches_tracked: Tensor
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))

    def check(self, x: Tensor) -> None:
        """ValueError or TypeError unless x is what the docstring says."""
        expect_tensor(type(self).__name__, x)
        rest = self.shapes.get(x.dim(), next(iter(self.shapes.values())))
        expect_shape(type(self).__name__, x, ("N", self.num_features, *rest))
        _expect_dtype(type(self).__name__, x, self.weight)

    def forward(self, x: Tensor) -> Tensor:
        if not isinstance(x, Tensor) or x.dim() not in self.shapes or not x.numel():  # the kernel looks at no empty shape
            self.check(x)
        if self.training and x.numel() == self.num_features:
            raise ValueError(
                f"{type(self).__name__} got {written(x.shape)} in training, one number for each channel, which has no "
                "variance: use a larger batch, drop the last short one, or call eval()."
            )
        try:
            y = F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps
            )
        except RuntimeError:  # asking only when the kernel refuses costs nothing
            self.check(x)
            raise
        if self.training:
            self.num_batches_tracked.add_(1)
        return y

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # Checkpoints older than PyTorch 0.4.1 do not count their batches.
        state_dict.setdefault(prefix + "num_batches_tracked", torch.tensor(0))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class BatchNorm1d(_BatchNorm):
    __doc__ = (_BatchNorm.__doc__ or "") + "\n    x: (N, C) or (N, C, T)."
    shapes: ClassVar = {3: ("T",), 2: ()}


class BatchNorm2d(_BatchNorm):
    __doc__ = (_BatchNorm.__doc__ or "") + "\n    x: (N, C, H, W)."
    shapes: ClassVar = {4: ("H", "W")}


class LayerNorm(nn.Module):
    """Layer norm over the last axes, whose sizes are `normalized_shape` (a number: the last axis). Any leading axes.

    Parameters weight (ones) and bias (zeros) of that shape. BERT's eps is 1e-12, ViT's 1e-6. ValueError for other last
    axes, TypeError for another dtype.
    """

    def __init__(self, normalized_shape: int | tuple[int, ...], eps: float = 1e-5) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        _expect_sizes("LayerNorm", self.normalized_shape, eps)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(self.normalized_shape))
        self.bias = nn.Parameter(torch.zeros(self.normalized_shape))

    def forward(self, x: Tensor) -> Tensor:
        try:
            return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        except (RuntimeError, TypeError):  # as above
            expect_shape("LayerNorm", x, (..., *self.normalized_shape))
            _expect_dtype("LayerNorm", x, self.weight)
            raise

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}"


class GroupNorm(nn.Module):
    """Group norm: `num_channels` channels (axis 1) in `num_groups` neighbouring groups. x: (N, C, ...).

    Parameters weight (ones) and bias (zeros), one for each channel. ValueError when the groups do not divide the channels
    or x has others, TypeError for another dtype.
    """

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        _expect_sizes("GroupNorm", (num_channels,), eps)
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm cannot share {num_channels} channels among {num_groups} groups: choose a divisor.")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))

    def forward(self, x: Tensor) -> Tensor:
        expect_tensor("GroupNorm", x)
        expect_shape("GroupNorm", x, ("N", self.num_channels, *("H", "W", "D")[: max(0, x.dim() - 2)]))
        _expect_dtype("GroupNorm", x, self.weight)
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}"


class RMSNorm(nn.Module):
    """x / √(mean(x²) + eps) · weight over the last axis of size `d_model`: layer norm without its mean and its bias.

    ValueError for another last axis, TypeError for another dtype.
    """

    def __init__(self, d_model: int, eps: float = 1e-6) -> None:
        super().__init__()
        _expect_sizes("RMSNorm", (d_model,), eps)
        self.d_model = d_model
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x: Tensor) -> Tensor:
        expect_shape("RMSNorm", x, (..., self.d_model))
        _expect_dtype("RMSNorm", x, self.weight)
        # Unlike the other kernels, this one is fused only where both dtypes agree: half-precision inputs round the weight.
        return F.rms_norm(x, (self.d_model,), self.weight.to(x.dtype), self.eps)

    def extra_repr(self) -> str:
        return f"{self.d_model}, eps={self.eps}"
