"""The convolutional network, of LeNet-5's size: LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to
document recognition", Section II-B and Figure 2.

A fully connected layer would have to learn a stroke anew at every place. Two ideas spare it that: a unit sees a small window
only (*local receptive field*), and all windows use the same weights (*weight sharing*), so that a shifted digit gives a
shifted feature map; pooling then forgets the exact place.

    (N, 1, 32, 32) ─C1 5×5→ (N, 6, 28, 28) ─S2 pool→ (N, 6, 14, 14) ─C3 5×5→ (N, 16, 10, 10) ─S4 pool→ (N, 16, 5, 5)
                   ─C5→ (N, 120) ─F6→ (N, 84) ─output→ (N, 10)

Parameters, (k²·C_in + 1)·C_out for each convolution: 156 + 2,416 + 48,120 + 10,164 + 850 = **61,706**.

Where this differs from the paper, as nearly every LeNet-5 since does: C3 is connected to all six maps (the paper's Table I
leaves 36 of 96 pairs out, to save work and to break the symmetry: 1,516 parameters instead of 2,416); pooling has no weights
(the paper's has a factor and a bias for each map, and a sigmoid after them); the output is linear with cross-entropy instead
of distances to drawn bitmaps; tanh is not scaled.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import Identity, Module

from viva.models.catalogue import published
from viva.models.checkpoint import Layout
from viva.models.images import check_images
from viva.models.mlp import ACTIVATIONS
from viva.nn import AvgPool2d, BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d, conv_output_size

POOLINGS = {"average": AvgPool2d, "max": MaxPool2d}


class CNN(Module):
    """LeNet-5's shape with today's options; returns logits.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        num_classes: logits per image.
        image_size: side of the square images. 32 is the paper's; 28 (MNIST as it is) pads the first convolution by 2 with
            zeros, as the paper put the digits into a field of 32 (with its own value for paper, −0.1).
        activation: name in ``viva.models.mlp.ACTIVATIONS``; the paper's is tanh.
        pooling: "average" (the paper's) or "max".
        batch_norm: normalise after both convolutions (Ioffe and Szegedy 2015); the convolutions then need no bias.
        dropout: probability before the last layer.
        width: multiplies the numbers of maps and units, 6-16-120-84.

    Raises:
        ValueError: an unknown pooling or activation, or images so small that nothing is left after S4.
    """

    layouts: ClassVar[dict[str, Layout]] = {}

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 10,
        *,
        image_size: int = 32,
        activation: str = "tanh",
        pooling: str = "average",
        batch_norm: bool = False,
        dropout: float = 0.0,
        width: int = 1,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r}, expected one of {', '.join(ACTIVATIONS)}")
        if pooling not in POOLINGS:
            raise ValueError(f"pooling={pooling!r}, expected one of {', '.join(POOLINGS)}")
        if image_size < 16:
            raise ValueError(f"image_size={image_size}, expected 16 or more: two 5×5 convolutions and poolings would leave nothing")
        padding = 2 if image_size == 28 else 0
        side = conv_output_size(image_size, 5, padding=padding) // 2  # after C1 and S2
        side = conv_output_size(side, 5) // 2  # after C3 and S4
        maps_1, maps_2, units_1, units_2 = (width * n for n in (6, 16, 120, 84))

        self.in_channels, self.image_size = in_channels, image_size
        self.conv1 = Conv2d(in_channels, maps_1, 5, padding=padding, bias=not batch_norm)
        self.norm1 = BatchNorm2d(maps_1) if batch_norm else Identity()
        self.conv2 = Conv2d(maps_1, maps_2, 5, bias=not batch_norm)
        self.norm2 = BatchNorm2d(maps_2) if batch_norm else Identity()
        self.fc1 = Linear(maps_2 * side * side, units_1)  # C5, a 5×5 convolution on a 5×5 map, is this
        self.fc2 = Linear(units_1, units_2)
        self.fc3 = Linear(units_2, num_classes)
        self.activation = ACTIVATIONS[activation]()
        self.pool = POOLINGS[pooling](2)
        self.dropout = Dropout(dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of images (N, in_channels, image_size, image_size), float.

        Raises:
            TypeError: integer images.
            ValueError: another number of channels or another size than the model was built for.
        """
        check_images(images, self.in_channels)
        if images.shape[2:] != (self.image_size, self.image_size):
            raise ValueError(
                f"images have shape {tuple(images.shape)}, expected (batch, {self.in_channels}, {self.image_size}, "
                f"{self.image_size}): the fully connected layer has a weight for every place; "
                f"resize the images or build the model with image_size={images.shape[3]}"
            )
        x = self.pool(self.activation(self.norm1(self.conv1(images))))  # (N, 6, 14, 14)
        x = self.pool(self.activation(self.norm2(self.conv2(x))))  # (N, 16, 5, 5)
        x = self.activation(self.fc1(x.flatten(1)))  # (N, 120)
        x = self.activation(self.fc2(x))  # (N, 84)
        return self.fc3(self.dropout(x))  # (N, num_classes)


@published(
    paper="LeCun et al. 1998, Gradient-based learning applied to document recognition, Section II-B",
    reference="torch.nn.Conv2d",
    paper_parameters=60_000,
    example=lambda: (torch.zeros(1, 1, 32, 32),),
)
def lenet5(num_classes: int = 10, **options: Any) -> CNN:
    """LeNet-5 with a fully connected C3: 61,706 parameters (the paper rounds its sparser one to 60,000)."""
    return CNN(1, num_classes, **options)
