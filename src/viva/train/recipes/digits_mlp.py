"""MLP on the bundled 8×8 digits: the smallest whole recipe, and the one to copy.

64 pixels → 256 → 10 logits: 19,210 parameters for 1,258 training digits, which it would learn by heart: hence noise on the
training images, dropout and weight decay. The 1,797 digits are split by their content (no image on two sides), 70, 15 and
15 % of each class, once and for all: the split's seed, 0, is not the run's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from viva.data import digits
from viva.data.splits import split
from viva.models.mlp import MLP
from viva.nn.losses import cross_entropy
from viva.optim import AdamW, decay_groups, warmup_cosine
from viva.train.measures import classification
from viva.train.recipe import Recipe, Splits

NOISE = 0.15  # standard deviation, of pixels in [0, 1]


def data() -> Splits:
    """Tuples (images float32 (N, 1, 8, 8) in [0, 1], labels int64 (N,)): 70 % / 15 % / 15 %."""
    every = digits.load()
    parts = split(every.images, (0.7, 0.15, 0.15), strata=every.labels)
    return Splits(*((every.take(part).floats(), every.labels[part]) for part in parts))


def fetch(dataset: tuple[Tensor, Tensor], indices: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Images (B, 1, 8, 8), noisy when training, and labels (B,). Noise comes from the batch's own generator, so that a
    resumed run draws it again; held-out images have none (no generator)."""
    images, labels = dataset[0][indices], dataset[1][indices]
    return (images if generator is None else images + NOISE * torch.randn(images.shape, generator=generator)), labels


def loss(model: nn.Module, batch: Any) -> Tensor:
    images, labels = batch
    return cross_entropy(model(images), labels)


RECIPE = Recipe(
    about="MLP 64-256-10 on 8×8 digits",
    model_name="mlp 64-256-10",
    data_name="digits 8×8",
    data=data,
    model=lambda splits: MLP((64, 256, 10), dropout=0.3),
    loss=loss,
    fetch=fetch,
    evaluate=classification,
    score="accuracy",
    monitor="loss",
    target=0.97,
    minutes=0.2,
    epochs=60,
    batch_size=32,
    lr=3e-3,
    optimiser=lambda model, lr: AdamW(decay_groups(model, 0.05), lr),
    schedule=lambda steps: warmup_cosine(steps // 10, steps),
    patience=20,
    held_batch_size=512,
)
