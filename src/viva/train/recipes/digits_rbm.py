"""A restricted Boltzmann machine of 64 pixels and 16 hidden units on 8×8 digits in black and white.

Sixteen hidden units have 65,536 states, so the likelihood can be computed exactly, which no machine of a useful size allows:
the score is the mean log-probability of a test digit in nats. Pixels drawn independently, each with its frequency in the
training set, reach −24.4; to be better, the machine must know which pixels go together. Ten Gibbs steps per update (CD-10).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from viva.models.rbm import RBM
from viva.optim import SGD, cosine
from viva.train.batches import Held
from viva.train.recipe import Recipe, Splits
from viva.train.recipes import digits_mlp


def data() -> Splits:
    """Tuples of one tensor (N, 64) of 0 and 1: ink where a pixel is darker than half."""
    parts = digits_mlp.data()
    return Splits(*(((images.flatten(1) > 0.5).float(),) for images, _ in (parts.train, parts.validation, parts.test)))


def model(splits: Splits) -> RBM:
    machine = RBM(64, 16)
    machine.start_from(splits.train[0])
    return machine


def loss(model: nn.Module, batch: Any) -> Tensor:
    (images,) = batch
    return model.contrastive_divergence(images, steps=10)  # type: ignore[operator]


def evaluate(model: nn.Module, held: Held) -> dict[str, float]:
    assert isinstance(model, RBM)
    nats = torch.cat([model.log_likelihood(images) for (images,) in held])
    return {"log_likelihood": nats.mean().item()}


RECIPE = Recipe(
    about="RBM of 64 and 16 units on black-and-white 8×8 digits, by CD-10; exact likelihood in nats",
    model_name="rbm 64-16",
    data_name="digits 8×8",
    data=data,
    model=model,
    loss=loss,
    evaluate=evaluate,
    score="log_likelihood",
    target=-18.5,
    minutes=0.5,
    epochs=100,
    batch_size=20,
    lr=0.1,
    optimiser=lambda model, lr: SGD(model.parameters(), lr, momentum=0.5),
    schedule=lambda steps: cosine(steps),
    held_batch_size=512,
)
