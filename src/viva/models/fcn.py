"""Fully convolutional networks: Long, Shelhamer and Darrell 2015, "Fully convolutional networks for semantic segmentation".

A classifier ends in a layer that sees the whole image. Read that layer as a convolution (1×1 after the last map) and it
classifies *every place* of the map, for an image of any size. What is left is to bring the coarse scores back to the pixels:

    images (N, 3, H, W) → map (N, C, H/s, W/s) ─1×1→ scores (N, K, H/s, W/s) ─upsample by s→ logits (N, K, H, W)
    loss = mean over pixels of cross-entropy(logits[:, :, y, x], label[y, x])

Two answers to the coarseness of s = 32, both in this file:

* ``FCN``: give up two strides and dilate the convolutions after them (Chen et al. 2017), so s = 8, and upsample bilinearly.
  This is torchvision's ``fcn_resnet50``, with its optional auxiliary head on C4, whose loss enters with a weight of 0.5.
* ``SkipFCN``: the paper's own. Score earlier, finer maps too and add them on the way up (Section 4.2): FCN-32s uses the map
  of stride 32 alone, FCN-16s adds stride 16, FCN-8s stride 8 as well: *what* from deep maps, *where* from early ones.

**align_corners is False everywhere**: pixels are squares and the outer edges of the two grids coincide, so that scaling by s
maps coordinate i to (i + ½)/s − ½. With True the centres of the corner pixels would coincide and the step would depend on
the size: (h − 1)/(s·h − 1). Scores from the two differ most at the border; a checkpoint means only one of them.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn import Module, ModuleDict, Sequential

from viva.models.catalogue import published
from viva.models.checkpoint import Layout
from viva.models.images import check_images
from viva.models.resnet import VARIANTS, ResNet
from viva.nn import BatchNorm2d, Conv2d, ConvTranspose2d, Dropout, MaxPool2d, ReLU, constant_, he_normal_


class Head(Sequential):
    """3×3 to a quarter of the channels, norm, ReLU, dropout, 1×1 to scores: (N, C, H, W) → (N, num_classes, H, W)."""

    def __init__(self, channels: int, num_classes: int, dropout: float = 0.1) -> None:
        inside = channels // 4
        super().__init__(
            Conv2d(channels, inside, 3, padding=1, bias=False),
            BatchNorm2d(inside),
            ReLU(inplace=True),
            Dropout(dropout),
            Conv2d(inside, num_classes, 1),
        )


class FCN(Module):
    """A dilated ResNet, a head on its last map, bilinear upsampling to the size of the images.

    Args:
        backbone: a ``ResNet``; its classifier is not used and is removed.
        num_classes: classes of pixels, background included (21 for PASCAL VOC).
        auxiliary: a second head on C4, for training.

    The weights are torchvision's in number, order and name.
    """

    layouts: ClassVar[dict[str, Layout]] = {"torchvision": Layout(("auxiliary", "aux_classifier"))}

    def __init__(self, backbone: ResNet, num_classes: int = 21, *, auxiliary: bool = False) -> None:
        super().__init__()
        channels = backbone.fc.in_features
        del backbone.fc, backbone.avgpool
        self.backbone = backbone
        self.classifier = Head(channels, num_classes)
        self.auxiliary = Head(channels // 2, num_classes) if auxiliary else None

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes, H, W) of images (N, in_channels, H, W), float, 17 pixels or more each way.

        Raises:
            TypeError: integer images.
            ValueError: other channels, not four dimensions, or too few pixels.
        """
        return upsample(self.classifier(self.backbone.features(images)["C5"]), images)

    def with_auxiliary(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(logits, auxiliary logits), both (N, num_classes, H, W): train on loss(first) + 0.5 · loss(second).

        Raises:
            ValueError: the model was built without ``auxiliary=True``; and what ``forward`` raises.
        """
        if self.auxiliary is None:
            raise ValueError("this FCN has no auxiliary head: build it with auxiliary=True")
        maps = self.backbone.features(images)
        return upsample(self.classifier(maps["C5"]), images), upsample(self.auxiliary(maps["C4"]), images)


def upsample(scores: Tensor, images: Tensor) -> Tensor:
    """Scores (N, K, h, w) → (N, K, H, W), bilinear, ``align_corners=False`` (see the file's head)."""
    return F.interpolate(scores, images.shape[2:], mode="bilinear", align_corners=False)


# The paper's skips, on a trunk small enough for scenes of digits


@torch.no_grad()
def bilinear_(weight: Tensor) -> Tensor:
    """Fills the weight (C, C, k, k) of an up-convolution so that it interpolates each channel bilinearly; returns it.

    With factor f, kernel k = 2f and padding f/2 (f even), pixel i of the input becomes a tent of half-width f:

        w(u) = 1 − |u − (k − 1)/2| / f,   u = 0 … k−1

    and the output equals bilinear interpolation with ``align_corners=False``, except within f/2 of the border, beyond which
    zeros are read.
    """
    channels, _, size, _ = weight.shape
    tent = 1 - (torch.arange(size, dtype=weight.dtype, device=weight.device) - (size - 1) / 2).abs() / (size / 2)
    weight.zero_()
    weight[range(channels), range(channels)] = torch.outer(tent, tent)
    return weight


class UpConvolution(ConvTranspose2d):
    """Learned upsampling by an even factor that starts as the bilinear one: (N, C, H, W) → (N, C, f·H, f·W)."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__(channels, channels, 2 * factor, factor, factor // 2, bias=False)
        bilinear_(self.weight)


def stage(in_channels: int, out_channels: int, convolutions: int) -> Sequential:
    """Convolutions 3×3 with norm and ReLU, then pooling: (N, C, H, W) → (N, C′, H/2, W/2). Norms are not in the paper."""
    layers: list[Module] = []
    for i in range(convolutions):
        convolution = Conv2d(in_channels if i == 0 else out_channels, out_channels, 3, padding=1, bias=False)
        he_normal_(convolution.weight)
        layers += [convolution, BatchNorm2d(out_channels), ReLU(inplace=True)]
    return Sequential(*layers, MaxPool2d(2))


class SkipFCN(Module):
    """FCN-32s, 16s or 8s (Figure 3) with a trunk of five halvings, as VGG has, but of free width.

        scores = 1×1(pool5)                          stride 32
        scores = up₂(scores) + 1×1(pool4)            stride 16     (finest ≤ 16)
        scores = up₂(scores) + 1×1(pool3)            stride 8      (finest = 8)
        logits = bilinear(scores)                    stride 1

    The up-convolutions up₂ start bilinear and are learned; the last upsampling stays bilinear, as in the paper. The 1×1
    convolutions on pool4 and pool3 start at zero, so that adding a skip to a trained network does not disturb it.

    Deviations: the paper turns VGG's two fully connected layers into convolutions between pool5 and its scores; here there
    are none. The paper pads the image by 100 pixels and crops offsets; here the sides are padded with zeros, below and to
    the right, to a multiple of 32, and the logits are cropped to the image.

    Args:
        in_channels, num_classes: of images and logits.
        finest: stride of the finest map that is scored, 32, 16 or 8.
        widths: channels of the five stages; (64, 128, 256, 512, 512) are VGG-16's.
        convolutions: in each stage; VGG-16 has (2, 2, 3, 3, 3).

    Raises:
        ValueError: another ``finest``, or not five stages.
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 11,
        *,
        finest: int = 8,
        widths: tuple[int, ...] = (16, 32, 64, 128, 128),
        convolutions: tuple[int, ...] = (1, 1, 2, 2, 2),
    ) -> None:
        super().__init__()
        if finest not in (32, 16, 8):
            raise ValueError(f"finest={finest}, expected 32 (FCN-32s), 16 (FCN-16s) or 8 (FCN-8s)")
        if len(widths) != 5 or len(convolutions) != 5:
            raise ValueError(f"widths={widths} and convolutions={convolutions}, expected five numbers each: five halvings")
        self.in_channels, self.finest = in_channels, finest
        self.trunk = Sequential(
            *(stage(*sizes) for sizes in zip((in_channels, *widths[:-1]), widths, convolutions, strict=True))
        )
        self.score, self.up = ModuleDict(), ModuleDict()  # key: the stride, as a word
        for stride, channels in zip((32, 16, 8), reversed(widths), strict=False):
            if stride < finest:
                break
            score = Conv2d(channels, num_classes, 1)
            if stride < 32:
                for parameter in score.parameters():
                    constant_(parameter, 0.0)
                self.up[str(stride)] = UpConvolution(num_classes, 2)  # to this stride
            self.score[str(stride)] = score

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes, H, W) of images (N, in_channels, H, W), float, 16 pixels or more each way.

        Raises:
            TypeError: integer images.
            ValueError: other channels, not four dimensions, or fewer than 16 pixels: padded to 32, most would be padding.
        """
        check_images(images, self.in_channels, 16)
        height, width = images.shape[2:]
        x = padded = F.pad(images, (0, -width % 32, 0, -height % 32))
        maps = {}
        for level, halve in enumerate(self.trunk):
            maps[2 ** (level + 1)] = x = halve(x)  # (N, widths[level], H/2^(level+1), W/2^(level+1))
        scores = self.score["32"](maps[32])  # (N, K, H/32, W/32)
        for stride in (16, 8):
            if stride >= self.finest:
                scores = self.up[str(stride)](scores) + self.score[str(stride)](maps[stride])
        return upsample(scores, padded)[:, :, :height, :width]


PAPER = "Long et al. 2015, Fully convolutional networks for semantic segmentation"


@published(
    paper=PAPER,
    reference="torchvision.models.segmentation.fcn_resnet50",
    example=lambda: (torch.zeros(1, 3, 520, 520),),
)
def fcn_resnet50(num_classes: int = 21, *, auxiliary: bool = False, **options: Any) -> FCN:
    """32,957,013 parameters, 35,322,218 with the auxiliary head. The paper's trunk is VGG-16, here ResNet-50 at stride 8.

    ``options`` go to the ``ResNet``: in_channels, width, stem …
    """
    return FCN(ResNet(*VARIANTS[50], **{"output_stride": 8, **options}), num_classes, auxiliary=auxiliary)
