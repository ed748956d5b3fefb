"""Pooling: a window slides over each channel and keeps one number: the map shrinks, and small shifts change little in it.

    (N, C, H, W) -> (N, C, H_out, W_out)      H_out = ⌊(H + 2 padding − kernel_size) / stride⌋ + 1
    max       y = max of the window           gradient: all of it to the winner
    average   y = mean of the window          gradient: shared equally
    global    y = mean of the whole channel   (N, C, H, W) -> (N, C): no weights, any image size (Lin et al. 2014)

There is nothing to learn. Max asks whether a feature is anywhere in the window, average how much of it there is. Max
pooling pads with −∞ (a border never wins), average pooling with zeros that count. Many networks leave both to strided
convolutions, and keep the global mean at the end. All raise ValueError for an input that is not (N, C, H, W) or smaller than
the window, and TypeError for integers.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from viva.nn.shapes import IntPair, expect_floating, expect_shape, pair, written


class _Window(nn.Module):
    """What both windows share: sizes and errors. `stride` is the kernel's size unless given: windows do not overlap."""

    def __init__(self, kernel_size: IntPair, stride: IntPair | None = None, padding: IntPair = 0) -> None:
        super().__init__()
        self.kernel_size = pair(kernel_size)
        self.stride = self.kernel_size if stride is None else pair(stride)
        self.padding = pair(padding)
        if min(self.kernel_size) < 1 or min(self.stride) < 1 or min(self.padding) < 0:
            raise ValueError(
                f"{type(self).__name__} got kernel_size={kernel_size}, stride={stride}, padding={padding}: "
                "sizes and strides start at 1, padding at 0."
            )
        if any(2 * padded > size for padded, size in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(
                f"{type(self).__name__} got padding={padding} for kernel_size={kernel_size}: "
                "at most half of the kernel, or a window would hold nothing but padding."
            )

    def check(self, x: Tensor) -> None:
        who = type(self).__name__
        expect_shape(who, x, ("N", "C", "H", "W"))
        expect_floating(who, x)
        height, width = (size + 2 * padded for size, padded in zip(x.shape[2:], self.padding, strict=True))
        if height < self.kernel_size[0] or width < self.kernel_size[1]:
            raise ValueError(
                f"{who} got an input of shape {written(x.shape)}, {height} x {width} with its padding, smaller than its "
                f"window of {self.kernel_size[0]} x {self.kernel_size[1]}: enlarge the image or pool less often."
            )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(_Window):
    """The largest number of each window: (N, C, H, W) -> (N, C, H_out, W_out). Of equals the first gets the gradient."""

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding)


class AvgPool2d(_Window):
    """The mean of each window, padding counted as zeros: (N, C, H, W) -> (N, C, H_out, W_out)."""

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return F.avg_pool2d(x, self.kernel_size, self.stride, self.padding)


class GlobalAvgPool2d(nn.Module):
    """The mean of each channel: (N, C, H, W) -> (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        expect_shape("GlobalAvgPool2d", x, ("N", "C", "H", "W"))
        expect_floating("GlobalAvgPool2d", x)
        if not x.shape[2] * x.shape[3]:
            raise ValueError(f"GlobalAvgPool2d got an input of shape {written(x.shape)}: no place, no mean; enlarge the image.")
        return x.mean((2, 3))
