"""CNN of LeNet-5's size on the bundled 8×8 digits, with random shifts: the recipe to copy for augmentation.

The digits are enlarged to 16×16, the least that two 5×5 convolutions can read. Each training image is shifted by up to
two of those pixels in each direction; the shifts come from the batch's own generator, so that a resumed run draws them
again, and held-out images are not shifted (no generator).
"""

from __future__ import annotations

import torch
from torch import Tensor

from viva.models.cnn import CNN
from viva.optim import AdamW, decay_groups, warmup_cosine
from viva.train.measures import classification
from viva.train.recipe import Recipe, Splits
from viva.train.recipes import digits_mlp

REACH = 2  # pixels


def data() -> Splits:
    """The digits of `digits_mlp`, images (N, 1, 16, 16)."""
    parts = digits_mlp.data()
    enlarged = ((torch.nn.functional.interpolate(images, scale_factor=2, mode="bilinear"), labels) for images, labels in (parts.train, parts.validation, parts.test))
    return Splits(*enlarged)


def fetch(dataset: tuple[Tensor, Tensor], indices: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Images (B, 1, 16, 16), shifted when training, and labels (B,)."""
    images, labels = dataset[0][indices], dataset[1][indices]
    if generator is None:
        return images, labels
    size = images.shape[-1]
    padded = torch.nn.functional.pad(images, (REACH,) * 4)  # (B, 1, 20, 20)
    corners = torch.randint(0, 2 * REACH + 1, (len(images), 2, 1), generator=generator)
    rows, columns = (corners + torch.arange(size)).unbind(1)  # (B, 16) each
    batch = torch.arange(len(images))[:, None, None]
    return padded[batch, 0, rows[:, :, None], columns[:, None, :]][:, None], labels


RECIPE = Recipe(
    about="LeNet-5-sized CNN with batch normalisation on 8×8 digits, shifted at random",
    model_name="cnn 6-16-120-84",
    data_name="digits 8×8",
    data=data,
    model=lambda splits: CNN(image_size=16, activation="relu", pooling="max", batch_norm=True),
    loss=digits_mlp.loss,
    fetch=fetch,
    evaluate=classification,
    score="accuracy",
    target=0.98,
    minutes=0.5,
    epochs=40,
    batch_size=32,
    lr=3e-3,
    optimiser=lambda model, lr: AdamW(decay_groups(model, 0.05), lr),
    schedule=lambda steps: warmup_cosine(steps // 10, steps),
    drop_last=True,
    held_batch_size=512,
)
