"""An autoencoder with a code of eight numbers on 8×8 digits, against PCA with as many components.

Both describe a digit by eight numbers and say it again from them. PCA has the least squared error of all linear maps (on the
digits it was fitted to); the score is the autoencoder's on the test digits as a share of PCA's, so below 1 is what the
non-linearity is worth. Both are fitted on the training digits.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import Tensor, nn

from viva.models.autoencoder import DenseAutoencoder
from viva.models.pca import PCA
from viva.optim import AdamW, decay_groups, warmup_cosine
from viva.train.batches import Held
from viva.train.recipe import Recipe, Splits
from viva.train.recipes import digits_mlp

CODE = 8


def data() -> Splits:
    """Tuples of one tensor (N, 64) in [0, 1]."""
    parts = digits_mlp.data()
    return Splits(*((images.flatten(1),) for images, _ in (parts.train, parts.validation, parts.test)))


@cache
def lines() -> PCA:
    return PCA(CODE).fit(data().train[0])


def loss(model: nn.Module, batch: Any) -> Tensor:
    (images,) = batch
    return model.loss(images)  # type: ignore[operator]


def evaluate(model: nn.Module, held: Held) -> dict[str, float]:
    """error: mean over digits of the sum of squares over pixels; share_of_pca: that of PCA's."""
    own = lines_error = 0.0
    for (images,) in held:
        own += float((model(images) - images).square().sum())
        flat = images.cpu()
        lines_error += float((lines().inverse_transform(lines().transform(flat)) - flat).square().sum())
    return {"error": own / held.samples, "share_of_pca": own / lines_error}


RECIPE = Recipe(
    about="Autoencoder 64-64-32-8 and back on 8×8 digits; its squared error as a share of PCA's with 8 components",
    model_name="autoencoder 64-64-32-8",
    data_name="digits 8×8",
    data=data,
    model=lambda splits: DenseAutoencoder((64, 64, 32, CODE), "tanh", output="values"),
    loss=loss,
    evaluate=evaluate,
    score="share_of_pca",
    higher_is_better=False,
    target=0.65,
    minutes=0.5,
    epochs=150,
    batch_size=32,
    lr=3e-3,
    optimiser=lambda model, lr: AdamW(decay_groups(model, 1e-3), lr),
    schedule=lambda steps: warmup_cosine(steps // 10, steps),
    held_batch_size=512,
)
