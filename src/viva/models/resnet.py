"""ResNet: He, Zhang, Ren and Sun 2016, "Deep residual learning for image recognition", Table 1 and Figures 2, 5.

A plain stack of 56 layers trains worse than one of 20, on the training set too (Figure 1), and with healthy gradients: the
depth is hard to optimise, though the further layers need only copy. So each block learns what to *add*:

    y = ReLU(F(x) + x),      ∂L/∂x = ∂L/∂y · (1 + ∂F/∂x)   (where the ReLU is open)

If nothing is to be added, F = 0 is easy to learn, and the 1 carries the gradient past any number of blocks. Where the shape
changes (in the first block of stages 2 to 4, and of stage 1 before bottlenecks, where only the channels grow), x goes
through a 1×1 convolution with the block's stride instead (the paper's option B).

    images (N, 3, 224, 224) ─7×7/2→ (N, 64, 112, 112) ─pool/2→ (N, 64, 56, 56)
      ─layer1→ C2 (N, 256, 56, 56)  ─layer2→ C3 (N, 512, 28, 28)  ─layer3→ C4 (N, 1024, 14, 14)  ─layer4→ C5 (N, 2048, 7, 7)
      ─mean over places→ (N, 2048) ─fc→ logits (N, 1000)        (channels of ResNet-50 and deeper; 18 and 34: a quarter)

**The stride sits in the 3×3 convolution of a bottleneck** ("v1.5", as in torchvision, timm and their checkpoints), in the
paper in the 1×1 before it, where three quarters of the positions are thrown away unseen. The parameters are the same;
ResNet-50 needs 4.1 G multiply-adds instead of the paper's 3.8 G. ``stride_in="1x1"`` gives the paper's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn import Identity, Module, Sequential

from viva.models.catalogue import published
from viva.models.checkpoint import Layout
from viva.models.images import check_images
from viva.nn import BatchNorm2d, Conv2d, GlobalAvgPool2d, Linear, MaxPool2d, he_normal_

Norm = Callable[[int], Module]  # builds the normalisation of so many channels


def conv3x3(in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1) -> Conv2d:
    """A 3×3 convolution that keeps the size (stride 1) or halves it, rounding up; no bias, because a norm follows."""
    return Conv2d(in_channels, out_channels, 3, stride, padding=dilation, dilation=dilation, bias=False)


def shortcut(in_channels: int, out_channels: int, stride: int, norm: Norm) -> Module:
    """x itself where the shapes allow it, otherwise a strided 1×1 convolution with its norm (option B of Section 3.3)."""
    if stride == 1 and in_channels == out_channels:
        return Identity()
    return Sequential(Conv2d(in_channels, out_channels, 1, stride, bias=False), norm(out_channels))


class BasicBlock(Module):
    """Two 3×3 convolutions (Figure 5, left): ResNet-18 and 34. The first one carries the stride.

    Shapes: (N, in_channels, H, W) → (N, channels, ⌈H/stride⌉, ⌈W/stride⌉).
    """

    expansion = 1  # channels that leave the block / channels inside

    def __init__(
        self, in_channels: int, channels: int, stride: int, dilations: tuple[int, int], norm: Norm, stride_in: str = "3x3"
    ) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, channels, stride, dilations[0])
        self.bn1 = norm(channels)
        self.conv2 = conv3x3(channels, channels, dilation=dilations[1])
        self.bn2 = norm(channels)
        self.downsample = shortcut(in_channels, channels, stride, norm)

    @property
    def last_norm(self) -> Any:
        return self.bn2

    def forward(self, x: Tensor) -> Tensor:
        # In place where the value before is not needed for the gradient: a norm saves its input and ReLU its output.
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        y += self.downsample(x)
        return F.relu(y, inplace=True)


class Bottleneck(Module):
    """1×1 down to a quarter, 3×3, 1×1 up again (Figure 5, right): as costly as a basic block, 4 times the channels outside.

    Shapes: (N, in_channels, H, W) → (N, 4·channels, ⌈H/stride⌉, ⌈W/stride⌉).
    """

    expansion = 4

    def __init__(
        self, in_channels: int, channels: int, stride: int, dilations: tuple[int, int], norm: Norm, stride_in: str = "3x3"
    ) -> None:
        super().__init__()
        early, late = (stride, 1) if stride_in == "1x1" else (1, stride)
        self.conv1 = Conv2d(in_channels, channels, 1, early, bias=False)
        self.bn1 = norm(channels)
        self.conv2 = conv3x3(channels, channels, late, dilations[0])
        self.bn2 = norm(channels)
        out_channels = channels * self.expansion
        self.conv3 = Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = norm(out_channels)
        self.downsample = shortcut(in_channels, out_channels, stride, norm)

    @property
    def last_norm(self) -> Any:
        return self.bn3

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)  # (N, channels, H, W)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)  # (N, channels, H/stride, W/stride)
        y = self.bn3(self.conv3(y))  # (N, 4·channels, H/stride, W/stride)
        y += self.downsample(x)
        return F.relu(y, inplace=True)


Block = type[BasicBlock] | type[Bottleneck]

VARIANTS: dict[int, tuple[Block, tuple[int, int, int, int]]] = {  # Table 1: block, blocks in each of the four stages
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(Module):
    """A residual network that returns logits, or its four feature maps.

    Args:
        block: ``BasicBlock`` or ``Bottleneck``.
        blocks: how many in each stage.
        num_classes: logits per image.
        in_channels: 3 for colour, 1 for grey images.
        width: channels inside the blocks of the first stage; they double from stage to stage.
        stem: "large" (7×7 stride 2, then max pooling: the paper's) or "small" (3×3, stride 1, no pooling) for images of 28
            or 32 pixels, which the large stem would shrink to 7 or 8 before the first block. All strides are then a quarter.
        output_stride: 32, or 16 or 8 for segmentation: the last one or two stages then keep their resolution and dilate
            their 3×3 convolutions instead, so that a unit sees as far as before (Chen et al. 2017, "DeepLab").
        stride_in: "3x3" (v1.5) or "1x1" (the paper's), see the file's head. Basic blocks have no choice.
        zero_init: start the last norm of every block at γ = 0, so that each block starts as the identity
            (Goyal et al. 2017, Section 5.1).
        norm: builds a normalisation from a number of channels; detectors pass one with frozen statistics.

    Raises:
        ValueError: a stem, an output stride or a ``stride_in`` that does not exist.
    """

    # torchvision and timm call all weights the same, and so does this file: conv1, bn1, layer1 … layer4, fc.
    layouts: ClassVar[dict[str, Layout]] = {"torchvision": Layout(), "timm": Layout()}

    def __init__(
        self,
        block: Block,
        blocks: tuple[int, int, int, int],
        num_classes: int = 1000,
        *,
        in_channels: int = 3,
        width: int = 64,
        stem: Literal["large", "small"] = "large",
        output_stride: Literal[32, 16, 8] = 32,
        stride_in: Literal["3x3", "1x1"] = "3x3",
        zero_init: bool = False,
        norm: Norm = BatchNorm2d,
    ) -> None:
        super().__init__()
        if stem not in ("large", "small"):
            raise ValueError(f"stem={stem!r}, expected 'large' (7×7 stride 2 and pooling) or 'small' (3×3 stride 1)")
        if output_stride not in (32, 16, 8):
            raise ValueError(f"output_stride={output_stride}, expected 32, 16 or 8 (counted with the large stem)")
        if stride_in not in ("3x3", "1x1"):
            raise ValueError(f"stride_in={stride_in!r}, expected '3x3' (v1.5) or '1x1' (the paper's)")
        self.in_channels = in_channels
        # Below this many pixels the last stage would halve a map of 1×1: its strided windows would see padding only.
        self.least_pixels = 17 if stem == "large" else 5

        if stem == "large":
            self.conv1 = Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)
        else:
            self.conv1 = conv3x3(in_channels, width)
        self.bn1 = norm(width)
        self.maxpool: Module = MaxPool2d(3, stride=2, padding=1) if stem == "large" else Identity()

        channels, dilation, stages = width, 1, []
        for stage, count in enumerate(blocks):
            stride, before = (1 if stage == 0 else 2), dilation
            if 2 ** (stage + 2) > output_stride:
                stride, dilation = 1, dilation * stride
            inside, layers = width * 2**stage, []
            for position in range(count):
                # The first block of a stage that no longer halves still reads the grid of the stage before.
                dilations = (before if position == 0 else dilation, dilation)
                layers.append(block(channels, inside, stride if position == 0 else 1, dilations, norm, stride_in))
                channels = inside * block.expansion
            stages.append(Sequential(*layers))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages

        self.avgpool = GlobalAvgPool2d()
        self.fc = Linear(channels, num_classes)
        self.initialise(zero_init)

    @torch.no_grad()
    def initialise(self, zero_init: bool = False) -> None:
        """He et al. 2015, normal, by fan_out: the gradient keeps its variance through ReLU. Norms start at γ = 1, β = 0."""
        for module in self.modules():
            if isinstance(module, Conv2d):
                he_normal_(module.weight, mode="fan_out")
            elif zero_init and isinstance(module, BasicBlock | Bottleneck):
                module.last_norm.weight.zero_()

    def stem(self, images: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, width, H/4, W/4), or (N, width, H, W) with the small stem."""
        check_images(images, self.in_channels, self.least_pixels)
        return self.maxpool(F.relu(self.bn1(self.conv1(images)), inplace=True))

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """The maps that leave the four stages, for detection and segmentation.

        Args:
            images: (N, in_channels, H, W), float.

        Returns:
            {"C2", "C3", "C4", "C5"} of strides 4, 8, 16 and 32 (less with an ``output_stride`` or the small stem), sizes
            rounded up; channels width · expansion · (1, 2, 4, 8).
        """
        c2 = self.layer1(self.stem(images))
        c3 = self.layer2(c2)
        c4 = self.layer3(c3)
        return {"C2": c2, "C3": c3, "C4": c4, "C5": self.layer4(c4)}

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of images (N, in_channels, H, W), float, any size from 17 pixels (5 with the small stem).

        Raises:
            TypeError: integer images.
            ValueError: other channels, not four dimensions, or too few pixels.
        """
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(images)))))  # (N, C, H/32, W/32)
        return self.fc(self.avgpool(x))  # (N, C) → (N, num_classes)


def _example() -> tuple[Tensor, ...]:
    return (torch.zeros(1, 3, 224, 224),)


PAPER = "He et al. 2016, Deep residual learning for image recognition, Table 1"


@published(paper=PAPER, reference="torchvision.models.resnet18", paper_mult_adds=1.8e9, example=_example)
def resnet18(num_classes: int = 1000, **options: Any) -> ResNet:
    """11,689,512 parameters, 1.8 G multiply-adds. For MNIST: ``resnet18(10, in_channels=1, width=16, stem="small")``."""
    return ResNet(*VARIANTS[18], num_classes, **options)


@published(paper=PAPER, reference="torchvision.models.resnet34", paper_mult_adds=3.6e9, example=_example)
def resnet34(num_classes: int = 1000, **options: Any) -> ResNet:
    """21,797,672 parameters, 3.7 G multiply-adds."""
    return ResNet(*VARIANTS[34], num_classes, **options)


@published(paper=PAPER, reference="torchvision.models.resnet50", paper_mult_adds=3.8e9, example=_example)
def resnet50(num_classes: int = 1000, **options: Any) -> ResNet:
    """25,557,032 parameters, 4.1 G multiply-adds."""
    return ResNet(*VARIANTS[50], num_classes, **options)


@published(paper=PAPER, reference="torchvision.models.resnet101", paper_mult_adds=7.6e9, example=_example)
def resnet101(num_classes: int = 1000, **options: Any) -> ResNet:
    """44,549,160 parameters, 7.8 G multiply-adds."""
    return ResNet(*VARIANTS[101], num_classes, **options)


@published(paper=PAPER, reference="torchvision.models.resnet152", paper_mult_adds=11.3e9, example=_example)
def resnet152(num_classes: int = 1000, **options: Any) -> ResNet:
    """60,192,808 parameters, 11.5 G multiply-adds."""
    return ResNet(*VARIANTS[152], num_classes, **options)
