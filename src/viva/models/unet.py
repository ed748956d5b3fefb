"""U-Net: Ronneberger, Fischer and Brox 2015, "U-Net: convolutional networks for biomedical image segmentation", Figure 1.

Segmentation needs to know *what* is at a pixel, which takes a wide view, and *where* its edge is, which takes full
resolution. The left arm of the U halves the size and doubles the channels, level by level, to see widely; the right arm goes
back up and at each level takes over (concatenates, an FCN would add) the map that the left arm had there, to see sharply.

    572² ×1 ─3×3─3×3→ 568² ×64 ──────────────── crop to 392² ────────────────→ ⊕ 392² ×128 ─3×3─3×3→ 388² ×64 ─1×1→ 388² ×2
              ↓ pool                                                            ↑ up 2×2
            284² ─→ 280² ×128 ──────── crop to 200² ────────→ ⊕ 200² ×256 ─→ 196² ×128
              ↓                                               ↑
            140² ─→ 136² ×256 ── crop to 104² ──→ ⊕ 104² ×512 ─→ 100² ×256
              ↓                                   ↑
             68² ─→ 64² ×512 ─ crop 56² → ⊕ 56² ×1024 ─→ 52² ×512
              ↓                           ↑
             32² ─→ 28² ×1024 ────────────┘

The paper's convolutions are *valid*: no padding, so every output pixel has seen real pixels only, the border of 92 on each
side is lost, and large images are cut into overlapping tiles whose insides fit together without a seam. ``padding="same"``
pads with zeros and returns the size that came in, H×W; it is what most people now call a U-Net. The parameters are the same:
31,030,658.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import Module, ModuleList, Sequential

from viva.models.catalogue import published
from viva.models.checkpoint import Layout
from viva.models.images import check_images
from viva.nn import BatchNorm2d, Conv2d, ConvTranspose2d, Dropout, MaxPool2d, ReLU, he_normal_


class DoubleConvolution(Sequential):
    """Twice 3×3 and ReLU: (N, in_channels, H, W) → (N, out_channels, H − 4, W − 4), or of the same size with padding 1."""

    def __init__(self, in_channels: int, out_channels: int, padding: int, batch_norm: bool) -> None:
        layers: list[Module] = []
        for channels in (in_channels, out_channels):
            layers.append(Conv2d(channels, out_channels, 3, padding=padding, bias=not batch_norm))
            layers += [BatchNorm2d(out_channels)] if batch_norm else []
            layers.append(ReLU(inplace=True))  # neither a convolution nor a norm needs its output for the gradient
        super().__init__(*layers)


def crop(skip: Tensor, like: Tensor) -> Tensor:
    """The middle of ``skip`` (N, C, H, W) in the height and width of ``like``: a view, nothing is copied."""
    top, left = ((large - small) // 2 for large, small in zip(skip.shape[2:], like.shape[2:], strict=True))
    return skip[:, :, top : top + like.shape[2], left : left + like.shape[3]]


class UNet(Module):
    """A U-Net; returns logits for every pixel.

    Args:
        in_channels: 1 for grey images.
        num_classes: logits per pixel; the paper's 2 are cell and background.
        depth: how often the size is halved; the paper's 4 make five levels.
        width: channels of the first level; they double downwards.
        padding: "valid" (the paper's) or "same".
        batch_norm: after every 3×3 convolution (not in the paper, which is from the same year as batch norm).
        dropout: probability at the bottom of the U ("at the end of the contracting path"; the paper does not say which).

    Raises:
        ValueError: a depth or width below 1, or a padding that does not exist.
    """

    layouts: ClassVar[dict[str, Layout]] = {}

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 2,
        *,
        depth: int = 4,
        width: int = 64,
        padding: Literal["valid", "same"] = "valid",
        batch_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if depth < 1 or width < 1:
            raise ValueError(f"depth={depth} and width={width}, expected at least 1 each")
        if padding not in ("valid", "same"):
            raise ValueError(f"padding={padding!r}, expected 'valid' (the paper's) or 'same'")
        self.in_channels, self.depth, self.padding = in_channels, depth, padding
        channels = [width * 2**level for level in range(depth + 1)]  # 64, 128, 256, 512, 1024
        double = partial(DoubleConvolution, padding=1 if padding == "same" else 0, batch_norm=batch_norm)

        self.down = ModuleList(double(n, m) for n, m in pairwise([in_channels, *channels[:-1]]))
        self.pool = MaxPool2d(2)
        self.bottom = double(channels[-2], channels[-1])
        self.dropout = Dropout(dropout)
        upwards = list(pairwise(reversed(channels)))  # (1024, 512), (512, 256) …
        self.up = ModuleList(ConvTranspose2d(n, m, 2, stride=2) for n, m in upwards)
        self.merge = ModuleList(double(n, m) for n, m in upwards)  # n: half from below, half from the left arm
        self.head = Conv2d(width, num_classes, 1)
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Normal with σ = √(2/N), N the inputs of a unit (Section 3): He et al. 2015, by fan_in. Biases 0."""
        for module in self.modules():
            if isinstance(module, Conv2d):
                he_normal_(module.weight)
                if module.bias is not None:
                    module.bias.zero_()

    def output_size(self, size: int) -> int:
        """Pixels along one side of the logits for ``size`` pixels along the same side of the images.

        Every halving must meet an even size (Section 2). With b pixels at the bottom and S = 2^depth that is

            valid   size = S·b + 4·(S − 1),   output = size − (12·S − 8):   572 → 388, b = 32
            same    size = S·b,               output = size

        Raises:
            ValueError: no b makes this size; the message names the nearest sizes that fit.
        """
        step = 2**self.depth
        # Each double convolution loses 4: on the way down before each halving, then at the bottom, then after each doubling.
        before, lost, least = (0, 0, 1) if self.padding == "same" else (4 * (step - 1), 12 * step - 8, 8 - 3 // step)
        bottom, rest = divmod(size - before, step)
        if rest or bottom < least:
            near = sorted({max(least, bottom) * step + before, max(least, bottom + 1) * step + before})
            raise ValueError(
                f"{size} pixels do not fit a U-Net with {self.depth} halvings and padding={self.padding!r}: the sizes that fit "
                f"start at {least * step + before} and lie {step} apart; the nearest: {' and '.join(map(str, near))}"
            )
        return size - lost

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes, H′, W′) of images (N, in_channels, H, W), float, with H′ and W′ as ``output_size`` says.

        Raises:
            TypeError: integer images.
            ValueError: other channels, not four dimensions, or a size that does not fit (the message names some that do).
        """
        check_images(images, self.in_channels)
        try:
            _ = [self.output_size(side) for side in images.shape[2:]]
        except ValueError as error:
            raise ValueError(f"images have shape {tuple(images.shape)}: {error}; pad or crop them") from None
        x, skips = images, []
        for convolutions in self.down:
            skips.append(x := convolutions(x))  # (N, width·2^level, …), kept for the way up
            x = self.pool(x)
        x = self.dropout(self.bottom(x))  # (N, width·2^depth, …)
        for up, convolutions in zip(self.up, self.merge, strict=True):
            x = up(x)  # half the channels, twice the size
            x = convolutions(torch.cat((crop(skips.pop(), x), x), dim=1))
        return self.head(x)  # (N, num_classes, H′, W′)


@published(
    paper="Ronneberger et al. 2015, U-Net, Figure 1",
    reference="torch.nn.Conv2d",
    example=lambda: (torch.zeros(1, 1, 572, 572),),
)
def unet(num_classes: int = 2, **options: Any) -> UNet:
    """The paper's: 31,030,658 parameters, 1 channel of 572×572 pixels in, 2 of 388×388 out."""
    return UNet(num_classes=num_classes, **options)
