"""EfficientNet B0 to B7: Tan and Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks".

Given more compute, should a network become deeper, wider, or see larger images? All three together, by one number φ (Eq. 3):

    depth α^φ,   width β^φ,   resolution γ^φ,   α·β²·γ² ≈ 2,   α, β, γ = 1.2, 1.1, 1.15

Work grows with depth but with the square of width and of resolution, so one step of φ doubles it (× 1.92). α, β and γ were
found by a grid search at φ = 1; the authors then rounded what the rule gives to the coefficients in ``COEFFICIENTS``, from
which this file computes every layer. (Their B7 has depth 3.1, width 2.0, resolution 600 ≈ 2.68·224: φ of 6.2, 7.3 and 7.0.)

The network that is scaled, B0 (Table 1), was itself found by a search for accuracy at little work. It is a stack of MBConv
blocks: MobileNetV2's inverted residual with a gate per channel:

    x (N, C, H, W) ─1×1→ (N, 6·C, H, W) ─depthwise k×k→ (N, 6·C, H/s, W/s) ─squeeze-excite→
      ─1×1, linear→ (N, C′, H/s, W/s)  [+ x]

    images (N, 3, 224, 224) ─stem 3×3/2→ (N, 32, 112, 112) ─16 blocks in 7 stages→ (N, 320, 7, 7) ─1×1→ (N, 1280, 7, 7)
                            ─mean over places→ (N, 1280) ─linear→ (N, 1000)

Traps: the gate's bottleneck is a quarter of the block's **input** channels, not of the widened ones. Blocks are dropped in
training with a probability that grows linearly from 0 at the first to nearly 0.2 at the last. Batch norm: the authors'
ε = 1e-3 with momentum 0.01 (as torch counts it) holds in torchvision's B5 to B7 only; its B0 to B4 have torch's own 1e-5 and
0.1. This file follows torchvision, so that its weights mean the same. Padding is symmetric, TensorFlow's is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn import Module, Sequential

from viva.models.catalogue import published
from viva.models.checkpoint import Layout
from viva.models.images import check_images
from viva.models.mobilenet import ConvNorm, make_divisible
from viva.nn import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    GlobalAvgPool2d,
    Linear,
    SqueezeExcitation,
    StochasticDepth,
    he_normal_,
    uniform_,
)

ALPHA, BETA, GAMMA = 1.2, 1.1, 1.15  # depth, width, resolution for φ = 1 (Section 4)


def compound(phi: float) -> tuple[float, float, float]:
    """(width, depth, resolution in pixels) by Equation 3, before the authors' rounding: β^φ, α^φ, 224·γ^φ."""
    return BETA**phi, ALPHA**phi, 224 * GAMMA**phi


@dataclass(frozen=True)
class Coefficients:
    """What distinguishes one EfficientNet from another."""

    width: float  # multiplies channels
    depth: float  # multiplies blocks per stage
    resolution: int  # pixels, height and width that it was trained for
    dropout: float  # before the classifier: larger networks overfit more
    eps: float = 1e-5  # of batch norm
    momentum: float = 0.1


COEFFICIENTS = {
    "b0": Coefficients(1.0, 1.0, 224, 0.2),
    "b1": Coefficients(1.0, 1.1, 240, 0.2),
    "b2": Coefficients(1.1, 1.2, 260, 0.3),
    "b3": Coefficients(1.2, 1.4, 300, 0.3),
    "b4": Coefficients(1.4, 1.8, 380, 0.4),
    "b5": Coefficients(1.6, 2.2, 456, 0.4, eps=1e-3, momentum=0.01),
    "b6": Coefficients(1.8, 2.6, 528, 0.5, eps=1e-3, momentum=0.01),
    "b7": Coefficients(2.0, 3.1, 600, 0.5, eps=1e-3, momentum=0.01),
}


@dataclass(frozen=True)
class Stage:
    """One row of Table 1: ``blocks`` MBConv blocks, the first of which carries the stride."""

    expansion: int
    kernel_size: int
    stride: int
    channels: int
    blocks: int

    def scaled(self, width: float, depth: float) -> Stage:
        """Channels to the nearest multiple of 8, blocks rounded up."""
        channels, blocks = make_divisible(self.channels * width), math.ceil(self.blocks * depth)
        return Stage(self.expansion, self.kernel_size, self.stride, channels, blocks)


B0_STAGES = (
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 2),
    Stage(6, 5, 2, 40, 2),
    Stage(6, 3, 2, 80, 3),
    Stage(6, 5, 1, 112, 3),
    Stage(6, 5, 2, 192, 4),
    Stage(6, 3, 1, 320, 1),
)


class ThriftySiLU(Module):
    """x·sigmoid(x), written over x when no gradient is wanted.

    Unlike ReLU's, SiLU's gradient needs its input: in training, in place would make autograd copy it first.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x, inplace=not x.requires_grad)


class MBConv(Module):
    """Inverted residual with squeeze-excitation (see the file's head); adds x where stride and channels allow it.

    Shapes: (N, in_channels, H, W) → (N, stage.channels, ⌈H/stride⌉, ⌈W/stride⌉).
    """

    def __init__(
        self, in_channels: int, stage: Stage, stride: int, drop: float, norm: Callable[[int], Module]
    ) -> None:
        super().__init__()
        inside = in_channels * stage.expansion
        layer = partial(ConvNorm, norm=norm, activation=ThriftySiLU)
        if stage.expansion != 1:  # an expansion by 1 would be a 1×1 convolution for nothing
            self.expand = layer(in_channels, inside)
        self.depthwise = layer(inside, inside, stage.kernel_size, stride, groups=inside)
        self.excite = SqueezeExcitation(inside, max(1, in_channels // 4), activation=ThriftySiLU)
        self.project = ConvNorm(inside, stage.channels, norm=norm, activation=None)
        self.drop = StochasticDepth(drop)
        self.expands, self.adds = stage.expansion != 1, stride == 1 and in_channels == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(x) if self.expands else x  # (N, inside, H, W)
        y = self.project(self.excite(self.depthwise(y)))  # (N, C′, H/stride, W/stride)
        if not self.adds:
            return y
        y = self.drop(y)
        y += x  # in place: neither the norm before nor the drop needs its output for the gradient
        return y


class EfficientNet(Module):
    """EfficientNet of any width and depth; returns logits.

    Args:
        width: multiplies B0's channels (then made divisible by 8). Below 1 for small data: 0.25 has stages of 8 to 80.
        depth: multiplies B0's blocks per stage, rounded up.
        num_classes: logits per image.
        in_channels: 3 for colour, 1 for grey images.
        dropout: probability before the classifier.
        stochastic_depth: the probability to drop a block rises from 0 at the first block towards this after the last:
            block i of n is dropped with stochastic_depth · i/n.
        stem_stride: 2 (the paper's), or 1 for small images such as MNIST's 28 pixels, which would be shrunk to one.
        eps, momentum: of every batch norm.

    Raises:
        ValueError: a width or depth that is not positive.
    """

    # torchvision counts the parts of a block; its first stage has no expansion, so all its numbers are one lower.
    layouts: ClassVar[dict[str, Layout]] = {
        "torchvision": Layout(
            ("features.1.{}.depthwise", "features.1.{}.block.0"),
            ("features.1.{}.excite.reduce", "features.1.{}.block.1.fc1"),
            ("features.1.{}.excite.expand", "features.1.{}.block.1.fc2"),
            ("features.1.{}.project", "features.1.{}.block.2"),
            ("features.{}.{}.expand", "features.{}.{}.block.0"),
            ("features.{}.{}.depthwise", "features.{}.{}.block.1"),
            ("features.{}.{}.excite.reduce", "features.{}.{}.block.2.fc1"),
            ("features.{}.{}.excite.expand", "features.{}.{}.block.2.fc2"),
            ("features.{}.{}.project", "features.{}.{}.block.3"),
            ("classifier", "classifier.1"),
        )
    }

    def __init__(
        self,
        width: float = 1.0,
        depth: float = 1.0,
        num_classes: int = 1000,
        *,
        in_channels: int = 3,
        dropout: float = 0.2,
        stochastic_depth: float = 0.2,
        stem_stride: int = 2,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        if width <= 0 or depth <= 0:
            raise ValueError(f"width={width} and depth={depth}, expected positive multipliers such as 1.0 and 1.1")
        self.in_channels = in_channels
        # Below this many pixels the last stride would halve a map of 1×1.
        self.least_pixels = 8 * stem_stride + 1
        norm = partial(BatchNorm2d, eps=eps, momentum=momentum)
        layer = partial(ConvNorm, norm=norm, activation=ThriftySiLU)

        stages = [stage.scaled(width, depth) for stage in B0_STAGES]
        channels = make_divisible(32 * width)
        features: list[Module] = [layer(in_channels, channels, 3, stem_stride)]
        total, position = sum(stage.blocks for stage in stages), 0
        for stage in stages:
            blocks: list[Module] = []
            for i in range(stage.blocks):
                drop = stochastic_depth * position / total
                blocks.append(MBConv(channels, stage, stage.stride if i == 0 else 1, drop, norm))
                channels, position = stage.channels, position + 1
            features.append(Sequential(*blocks))
        features.append(layer(channels, 4 * channels))
        self.features = Sequential(*features)  # stem, seven stages, head
        self.avgpool = GlobalAvgPool2d()
        self.dropout = Dropout(dropout)
        self.classifier = Linear(4 * channels, num_classes)
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Convolutions He-normal by fan_out, the classifier U(±1/√num_classes), biases 0. Norms start at γ = 1, β = 0."""
        for module in self.modules():
            if isinstance(module, Conv2d):
                he_normal_(module.weight, mode="fan_out")
            if isinstance(module, Conv2d | Linear) and module.bias is not None:
                module.bias.zero_()
        limit = self.classifier.weight.shape[0] ** -0.5
        uniform_(self.classifier.weight, -limit, limit)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of images (N, in_channels, H, W), float, 17 pixels or more (9 with ``stem_stride=1``).

        Raises:
            TypeError: integer images.
            ValueError: other channels, not four dimensions, or too few pixels.
        """
        check_images(images, self.in_channels, self.least_pixels)
        x = self.features(images)  # (N, 1280·width, H/32, W/32)
        return self.classifier(self.dropout(self.avgpool(x)))


def scaled(name: str, num_classes: int = 1000, **options: Any) -> EfficientNet:
    """The EfficientNet of these coefficients, "b0" to "b7"; ``options`` override them."""
    c = COEFFICIENTS[name]
    settings: dict[str, Any] = {"dropout": c.dropout, "eps": c.eps, "momentum": c.momentum, **options}
    return EfficientNet(c.width, c.depth, num_classes, **settings)


def _example(name: str) -> tuple[Tensor, ...]:
    side = COEFFICIENTS[name].resolution
    return (torch.zeros(1, 3, side, side),)


PAPER = "Tan and Le 2019, EfficientNet, Table 2"


@published(
    paper=PAPER,
    reference="torchvision.models.efficientnet_b0",
    paper_parameters=5.3e6,
    paper_mult_adds=0.39e9,
    example=lambda: _example("b0"),
)
def efficientnet_b0(num_classes: int = 1000, **options: Any) -> EfficientNet:
    """5,288,548 parameters, 386 M multiply-adds at 224 pixels, 77.1 % top-1 on ImageNet (paper)."""
    return scaled("b0", num_classes, **options)


@published(
    paper=PAPER,
    reference="torchvision.models.efficientnet_b1",
    paper_parameters=7.8e6,
    paper_mult_adds=0.70e9,
    example=lambda: _example("b1"),
)
def efficientnet_b1(num_classes: int = 1000, **options: Any) -> EfficientNet:
    """7,794,184 parameters, 687 M multiply-adds at 240 pixels, 79.1 % top-1 on ImageNet (paper)."""
    return scaled("b1", num_classes, **options)


@published(
    paper=PAPER,
    reference="torchvision.models.efficientnet_b2",
    paper_parameters=9.2e6,
    paper_mult_adds=1.0e9,
    example=lambda: _example("b2"),
)
def efficientnet_b2(num_classes: int = 1000, **options: Any) -> EfficientNet:
    """9,109,994 parameters, 994 M multiply-adds at 260 pixels, 80.1 % top-1 on ImageNet (paper)."""
    return scaled("b2", num_classes, **options)


@published(
    paper=PAPER,
    reference="torchvision.models.efficientnet_b3",
    paper_parameters=12e6,
    paper_mult_adds=1.8e9,
    example=lambda: _example("b3"),
)
def efficientnet_b3(num_classes: int = 1000, **options: Any) -> EfficientNet:
    """12,233,232 parameters, 1.83 G multiply-adds at 300 pixels, 81.6 % top-1 on ImageNet (paper)."""
    return scaled("b3", num_classes, **options)


@published(
    paper=PAPER,
    reference="torchvision.models.efficientnet_b4",
    paper_parameters=19e6,
    paper_mult_adds=4.2e9,
    example=lambda: _example("b4"),
)
def efficientnet_b4(num_classes: int = 1000, **options: Any) -> EfficientNet:
    """19,341,616 parameters, 4.39 G multiply-adds at 380 pixels, 82.9 % top-1 on ImageNet (paper)."""
    return scaled("b4", num_classes, **options)


@published(
    paper=PAPER,
    reference="torchvision.models.efficientnet_b5",
    paper_parameters=30e6,
    paper_mult_adds=9.9e9,
    example=lambda: _example("b5"),
)
def efficientnet_b5(num_classes: int = 1000, **options: Any) -> EfficientNet:
    """30,389,784 parameters, 10.3 G multiply-adds at 456 pixels, 83.6 % top-1 on ImageNet (paper)."""
    return scaled("b5", num_classes, **options)


@published(
    paper=PAPER,
    reference="torchvision.models.efficientnet_b6",
    paper_parameters=43e6,
    paper_mult_adds=19e9,
    example=lambda: _example("b6"),
)
def efficientnet_b6(num_classes: int = 1000, **options: Any) -> EfficientNet:
    """43,040,704 parameters, 19.1 G multiply-adds at 528 pixels, 84.0 % top-1 on ImageNet (paper)."""
    return scaled("b6", num_classes, **options)


@published(
    paper=PAPER,
    reference="torchvision.models.efficientnet_b7",
    paper_parameters=66e6,
    paper_mult_adds=37e9,
    example=lambda: _example("b7"),
)
def efficientnet_b7(num_classes: int = 1000, **options: Any) -> EfficientNet:
    """66,347,960 parameters, 37.7 G multiply-adds at 600 pixels, 84.3 % top-1 on ImageNet (paper)."""
    return scaled("b7", num_classes, **options)
