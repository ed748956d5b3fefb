"""ResNet-18 with an eighth of its channels on MNIST.

176,258 parameters (ResNet-18 has 11.7 M). The large stem would leave 7×7 pixels of a 28×28 digit before the first block, so
the small one is used, and the four stages see 28×28, 14×14, 7×7 and 4×4. Training digits are shifted by up to two pixels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from viva.data import mnist
from viva.data.augmentation import RandomCrop
from viva.data.splits import split
from viva.models.resnet import resnet18
from viva.nn.losses import cross_entropy
from viva.optim import SGD, decay_groups, warmup_cosine
from viva.train.measures import classification
from viva.train.recipe import Recipe, Splits

MEAN, DEVIATION = 0.1307, 0.3081  # of the training pixels in [0, 1]
shift = RandomCrop(28, padding=2)


def data() -> Splits:
    """Tuples (images uint8 (N, 1, 28, 28), labels (N,)): 54,000 / 6,000 / the published test set's 10,000."""
    every, test = mnist.load("train"), mnist.load("test")
    train, validation, _ = split(every.images, (0.9, 0.1, 0.0), strata=every.labels)
    return Splits(*((part.images, part.labels) for part in (every.take(train), every.take(validation), test)))


def fetch(dataset: tuple[Tensor, Tensor], indices: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Images (B, 1, 28, 28) of mean 0 and deviation 1, shifted when training, and labels (B,)."""
    images = dataset[0][indices].float() / 255
    if generator is not None:
        images = shift(images, generator)
    return (images - MEAN) / DEVIATION, dataset[1][indices]


def loss(model: nn.Module, batch: Any) -> Tensor:
    images, labels = batch
    return cross_entropy(model(images), labels)


RECIPE = Recipe(
    about="ResNet-18 with 8 instead of 64 channels on MNIST, shifted at random",
    model_name="resnet18, width 8",
    data_name="mnist",
    data=data,
    model=lambda splits: resnet18(10, in_channels=1, width=8, stem="small"),
    loss=loss,
    fetch=fetch,
    evaluate=classification,
    score="accuracy",
    target=0.99,
    minutes=4,
    epochs=4,
    batch_size=128,
    lr=0.1,
    optimiser=lambda model, lr: SGD(decay_groups(model, 5e-4), lr, momentum=0.9, nesterov=True),
    schedule=lambda steps: warmup_cosine(steps // 10, steps),
    drop_last=True,
    channels_last=True,
    held_batch_size=500,
)
