"""Squeeze and excitation: the network looks at the whole image, then decides how loud each channel may be.

Hu, Shen & Sun 2018, "Squeeze-and-Excitation Networks", section 3, eqs. 2-4:

    squeeze      z = mean of x over height and width              (N, C, H, W) -> (N, C, 1, 1)
    excitation   s = σ(W₂ activation(W₁ z))                       C -> squeezed -> C, numbers in (0, 1)
    scale        y[n, c] = s[n, c] · x[n, c]                      (N, C, H, W)

A convolution sees a window and weighs channels the same everywhere in every image; this gate knows the whole image. It adds
2 C · squeezed weights and hardly any multiply-adds, for after the squeeze a channel is one number. The paper squeezes to
C / 16 with ReLU; EfficientNet to a quarter of the block's input channels with SiLU.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from viva.nn.activations import ReLU
from viva.nn.convolution import Conv2d
from viva.nn.shapes import expect_floating, expect_shape


class SqueezeExcitation(nn.Module):
    """y = x · σ(expand(activation(reduce(mean(x))))): (N, channels, H, W) -> the same shape.

    `reduce` and `expand` are 1x1 convolutions with bias, so that official weights fit as they are; `activation` is a class
    or a function without arguments that makes the module in between. ValueError for other channels.
    """

    def __init__(self, channels: int, squeezed_channels: int, activation: Callable[[], nn.Module] = ReLU) -> None:
        super().__init__()
        self.channels = channels
        self.reduce = Conv2d(channels, squeezed_channels, 1)
        self.activation = activation()
        self.expand = Conv2d(squeezed_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        expect_shape("SqueezeExcitation", x, ("N", self.channels, "H", "W"))
        expect_floating("SqueezeExcitation", x)
        squeezed = x.mean((2, 3), keepdim=True)  # (N, C, 1, 1)
        gate = torch.sigmoid(self.expand(self.activation(self.reduce(squeezed))))  # (N, C, 1, 1)
        return x * gate
