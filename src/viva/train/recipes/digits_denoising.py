"""A convolutional autoencoder that takes salt and pepper off 8×8 digits.

A fifth of the pixels is set to black or white at random; the target is the clean digit, so copying the input does not
help, though the code has as many numbers as the digit has pixels, 64. The score is the squared error after the network as a
share of the error before it, on test digits.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from viva.models.autoencoder import ConvolutionalAutoencoder, DenoisingAutoencoder
from viva.optim import AdamW, decay_groups, warmup_cosine
from viva.train.batches import Held
from viva.train.recipe import Recipe, Splits
from viva.train.recipes import digits_mlp


def data() -> Splits:
    """Tuples of one tensor (N, 1, 8, 8) in [0, 1]."""
    parts = digits_mlp.data()
    return Splits(*((images,) for images, _ in (parts.train, parts.validation, parts.test)))


def loss(model: nn.Module, batch: Any) -> Tensor:
    (images,) = batch
    return model.loss(images)  # type: ignore[operator]


def evaluate(model: nn.Module, held: Held) -> dict[str, float]:
    """error_left: squared error of what is restored / squared error of what was corrupted."""
    assert isinstance(model, DenoisingAutoencoder)
    before = after = 0.0
    for (images,) in held:
        noisy = model.corrupt(images)
        before += float((noisy - images).square().sum())
        after += float((model.reconstruct(noisy) - images).square().sum())
    return {"error_left": after / before}


RECIPE = Recipe(
    about="Convolutional autoencoder that takes salt and pepper off 8×8 digits; the share of squared error that is left",
    model_name="conv. autoencoder 32-64",
    data_name="digits 8×8",
    data=data,
    model=lambda splits: DenoisingAutoencoder(ConvolutionalAutoencoder((1, 8, 8), (32, 64), 64), "salt_and_pepper", 0.2),
    loss=loss,
    evaluate=evaluate,
    score="error_left",
    higher_is_better=False,
    target=0.26,
    minutes=1,
    epochs=80,
    batch_size=32,
    lr=2e-3,
    optimiser=lambda model, lr: AdamW(decay_groups(model, 0.01), lr),
    schedule=lambda steps: warmup_cosine(steps // 10, steps),
    held_batch_size=512,
)
