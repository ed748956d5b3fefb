"""MobileNet: image networks for small processors, both from one idea: take a convolution apart.

**Version 1**, Howard et al. 2017, "MobileNets: efficient convolutional neural networks for mobile vision applications",
Table 1. A k×k convolution mixes places and channels at once and needs k²·C_in·C_out multiply-adds per output place. A
*depthwise* convolution (each channel by itself, k²·C_in) followed by a *pointwise* one (1×1, C_in·C_out) needs the fraction

    (k²·C_in + C_in·C_out) / (k²·C_in·C_out) = 1/C_out + 1/k²   ≈ 1/9 for k = 3 and many channels

    (N, 3, 224, 224) ─stem/2→ (N, 32, 112, 112) ─13 blocks, four of stride 2→ (N, 1024, 7, 7)
      ─mean over places→ (N, 1024) ─linear→ (N, 1000)

**Version 2**, Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks", Table 2. A block widens,
filters and narrows: x ─1×1→ 6·C ─depthwise 3×3→ 6·C ─1×1, *no* activation→ C′, and adds x where the shapes agree. The
residual runs between the narrow ends (*inverted*: a ResNet's runs between wide ones), so little memory is kept; the last 1×1
stays linear because a ReLU in few dimensions destroys what it sets to zero (Section 3.2).

A ``width`` multiplier α scales every number of channels: multiply-adds and parameters fall roughly with α².

Deviations: ReLU6 in version 1 as in the authors' code (the paper says ReLU; 6 keeps low-precision numbers in range); padding
is symmetric, where TensorFlow's, at stride 2 on an even size, is below and to the right only, so that its checkpoints expect
every such window a pixel further on; the last stride "s2" of version 1's Table 1 is a misprint for 1 (its own sizes say so:
7×7 → 7×7).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import Module, Sequential

from viva.models.catalogue import published
from viva.models.checkpoint import Layout
from viva.models.images import check_images
from viva.nn import BatchNorm2d, Conv2d, Dropout, GlobalAvgPool2d, Linear, ReLU6, he_normal_, normal_

LEAST_PIXELS = 17  # below, the last stride of 32 in all would halve a map of 1×1


def make_divisible(channels: float, divisor: int = 8) -> int:
    """The multiple of ``divisor`` nearest to ``channels``, but never less than 90 % of it nor less than one ``divisor``.

    Multiples of 8, because kernels and vector units read channels in groups of 8 and would fill a rest with zeros; the floor
    of 90 %, because rounding down would take too much from a thin layer: of 11 channels 8 would be left, so it gets 16.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def relu6() -> Module:
    """min(max(x, 0), 6), in place: its gradient can be read off its output, so what the norm wrote need not be kept."""
    return ReLU6(inplace=True)


class ConvNorm(Sequential):
    """Convolution (size kept at stride 1, halved and rounded up at stride 2), batch norm, activation if any.

    Shapes: (N, in_channels, H, W) → (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉). No bias: the norm would subtract it again.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
        norm: Callable[[int], Module] = BatchNorm2d,
        activation: Callable[[], Module] | None = relu6,
    ) -> None:
        layers: list[Module] = [
            Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, groups=groups, bias=False),
            norm(out_channels),
        ]
        super().__init__(*layers, *([activation()] if activation else []))


@torch.no_grad()
def initialise(model: Module) -> None:
    """Convolutions He-normal by fan_out, the classifier normal with σ = 0.01, biases 0. Norms start at γ = 1, β = 0."""
    for module in model.modules():
        if isinstance(module, Conv2d):
            he_normal_(module.weight, mode="fan_out")
        elif isinstance(module, Linear):
            normal_(module.weight, std=0.01)
            if module.bias is not None:
                module.bias.zero_()


# Version 1


class DepthwiseSeparable(Module):
    """Depthwise 3×3, then pointwise 1×1, each with norm and ReLU6 (Figure 3, right).

    Shapes: (N, in_channels, H, W) → (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.depthwise = ConvNorm(in_channels, in_channels, 3, stride, groups=in_channels)
        self.pointwise = ConvNorm(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


V1_STAGES = (  # (channels, blocks, stride of the first block)
    (64, 1, 1),
    (128, 2, 2),
    (256, 2, 2),
    (512, 6, 2),
    (1024, 2, 2),
)


class MobileNetV1(Module):
    """MobileNet, version 1; returns logits.

    Args:
        num_classes: logits per image.
        in_channels: 3 for colour, 1 for grey images.
        width: the paper's α, which multiplies all numbers of channels (then made divisible by 8).
        stem_stride: 2 (the paper's), or 1 for small images such as MNIST's.
        dropout: probability before the classifier; the paper gives none, the authors' code 0.001.

    Raises:
        ValueError: a width that is not positive.
    """

    layouts: ClassVar[dict[str, Layout]] = {
        "timm": Layout(
            ("stem.0", "conv_stem"),
            ("stem.1", "bn1"),
            ("stages.{}.{}.depthwise.0", "blocks.{}.{}.conv_dw"),
            ("stages.{}.{}.depthwise.1", "blocks.{}.{}.bn1"),
            ("stages.{}.{}.pointwise.0", "blocks.{}.{}.conv_pw"),
            ("stages.{}.{}.pointwise.1", "blocks.{}.{}.bn2"),
        )
    }

    def __init__(
        self,
        num_classes: int = 1000,
        *,
        in_channels: int = 3,
        width: float = 1.0,
        stem_stride: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if width <= 0:
            raise ValueError(f"width={width}, expected a positive multiplier such as 1.0, 0.5 or 0.25")
        self.in_channels = in_channels
        channels = make_divisible(32 * width)
        self.stem = ConvNorm(in_channels, channels, 3, stem_stride)
        stages = []
        for wanted, blocks, stride in V1_STAGES:
            stage = []
            for position in range(blocks):
                out_channels = make_divisible(wanted * width)
                stage.append(DepthwiseSeparable(channels, out_channels, stride if position == 0 else 1))
                channels = out_channels
            stages.append(Sequential(*stage))
        self.stages = Sequential(*stages)
        self.avgpool = GlobalAvgPool2d()
        self.dropout = Dropout(dropout)
        self.classifier = Linear(channels, num_classes)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of images (N, in_channels, H, W), float, 17 pixels or more each way.

        Raises:
            TypeError: integer images.
            ValueError: other channels, not four dimensions, or too few pixels.
        """
        check_images(images, self.in_channels, LEAST_PIXELS)
        x = self.stages(self.stem(images))  # (N, 1024·width, H/32, W/32)
        return self.classifier(self.dropout(self.avgpool(x)))


# Version 2


class InvertedResidual(Module):
    """1×1 up by ``expansion``, depthwise 3×3, linear 1×1 down (Figure 4d), plus x where stride and channels allow it.

    Shapes: (N, in_channels, H, W) → (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = in_channels * expansion
        if expansion != 1:  # an expansion by 1 would be a 1×1 convolution for nothing
            self.expand = ConvNorm(in_channels, inside)
        self.depthwise = ConvNorm(inside, inside, 3, stride, groups=inside)
        self.project = ConvNorm(inside, out_channels, activation=None)
        self.expands, self.adds = expansion != 1, stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(x) if self.expands else x  # (N, inside, H, W)
        y = self.project(self.depthwise(y))  # (N, out_channels, H/stride, W/stride)
        if self.adds:
            y += x  # in place: the norm before does not need its output for the gradient
        return y


V2_STAGES = (  # (expansion, channels, blocks, stride of the first block): Table 2
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class MobileNetV2(Module):
    """MobileNet, version 2; returns logits.

    Args:
        num_classes: logits per image.
        in_channels: 3 for colour, 1 for grey images.
        width: multiplies all numbers of channels (then made divisible by 8), but never makes the last 1280 fewer.
        stem_stride: 2 (the paper's), or 1 for small images such as MNIST's.
        dropout: probability before the classifier.

    Raises:
        ValueError: a width that is not positive.
    """

    # In torchvision's one list of layers per block, the first block lacks the expansion and counts one lower.
    layouts: ClassVar[dict[str, Layout]] = {
        "torchvision": Layout(
            ("features.1.depthwise", "features.1.conv.0"),
            ("features.1.project.0", "features.1.conv.1"),
            ("features.1.project.1", "features.1.conv.2"),
            ("features.{}.expand", "features.{}.conv.0"),
            ("features.{}.depthwise", "features.{}.conv.1"),
            ("features.{}.project.0", "features.{}.conv.2"),
            ("features.{}.project.1", "features.{}.conv.3"),
            ("classifier", "classifier.1"),
        )
    }

    def __init__(
        self,
        num_classes: int = 1000,
        *,
        in_channels: int = 3,
        width: float = 1.0,
        stem_stride: int = 2,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if width <= 0:
            raise ValueError(f"width={width}, expected a positive multiplier such as 1.0, 0.5 or 0.25")
        self.in_channels = in_channels
        channels = make_divisible(32 * width)
        features: list[Module] = [ConvNorm(in_channels, channels, 3, stem_stride)]
        for expansion, wanted, blocks, stride in V2_STAGES:
            out_channels = make_divisible(wanted * width)
            for position in range(blocks):
                features.append(InvertedResidual(channels, out_channels, stride if position == 0 else 1, expansion))
                channels = out_channels
        last_channels = make_divisible(1280 * max(1.0, width))
        self.features = Sequential(*features, ConvNorm(channels, last_channels))
        self.avgpool = GlobalAvgPool2d()
        self.dropout = Dropout(dropout)
        self.classifier = Linear(last_channels, num_classes)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of images (N, in_channels, H, W), float, 17 pixels or more each way.

        Raises:
            TypeError: integer images.
            ValueError: other channels, not four dimensions, or too few pixels.
        """
        check_images(images, self.in_channels, LEAST_PIXELS)
        x = self.features(images)  # (N, 1280, H/32, W/32)
        return self.classifier(self.dropout(self.avgpool(x)))


def _example() -> tuple[Tensor, ...]:
    return (torch.zeros(1, 3, 224, 224),)


@published(
    paper="Howard et al. 2017, MobileNets, Table 4",
    reference="timm.models.mobilenetv1_100",
    paper_parameters=4.2e6,
    paper_mult_adds=569e6,
    example=_example,
)
def mobilenet_v1(num_classes: int = 1000, **options: Any) -> MobileNetV1:
    """4,231,976 parameters, 569 M multiply-adds, 70.6 % top-1 on ImageNet (paper)."""
    return MobileNetV1(num_classes, **options)


@published(
    paper="Sandler et al. 2018, MobileNetV2, Table 4",
    reference="torchvision.models.mobilenet_v2",
    paper_parameters=3.4e6,
    paper_mult_adds=300e6,
    example=_example,
)
def mobilenet_v2(num_classes: int = 1000, **options: Any) -> MobileNetV2:
    """3,504,872 parameters, 301 M multiply-adds, 72.0 % top-1 on ImageNet (paper)."""
    return MobileNetV2(num_classes, **options)
