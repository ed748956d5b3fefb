"""U-Net on scenes of digits: for every pixel, background or which digit.

Scenes of 64×64 with one to three digits on plain, noisy or textured ground. Test scenes are drawn from digits that no
training scene has.
The score is the mean over the eleven classes of intersection / union, counted over all pixels of the test set.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from viva.data.scenes import NUM_CLASSES, Scenes, collate_segmentation
from viva.models.unet import UNet
from viva.nn.losses import cross_entropy
from viva.optim import AdamW, decay_groups, warmup_cosine
from viva.train.batches import Held
from viva.train.measures import mean_iou
from viva.train.recipe import Recipe, Splits


def data() -> Splits:
    """Tuples (images (N, 1, 64, 64) in [0, 1], classes int64 (N, 64, 64)): 4,000 / 300 / 600 scenes."""

    def tensors(scenes: Scenes) -> tuple[Tensor, Tensor]:
        return collate_segmentation([scenes[i] for i in range(len(scenes))])

    return Splits(tensors(Scenes("train", 4000)), tensors(Scenes("validation", 300)), tensors(Scenes("test", 600)))


def loss(model: nn.Module, batch: Any) -> Tensor:
    images, classes = batch
    return cross_entropy(model(images).movedim(1, -1).flatten(0, 2), classes.flatten())


def evaluate(model: nn.Module, held: Held) -> dict[str, float]:
    """miou, and pixel accuracy, which is high already where all is called background."""
    confusion = torch.zeros(NUM_CLASSES, NUM_CLASSES, dtype=torch.int64)
    for images, classes in held:
        found = model(images).argmax(1)  # (B, 64, 64)
        confusion += torch.bincount((classes * NUM_CLASSES + found).flatten().cpu(), minlength=NUM_CLASSES**2).view_as(confusion)
    return {"miou": mean_iou(confusion), "pixel_accuracy": float(confusion.diagonal().sum() / confusion.sum())}


RECIPE = Recipe(
    about="U-Net of depth 3 and width 12 on scenes of digits",
    model_name="unet, width 12",
    data_name="scenes",
    data=data,
    model=lambda splits: UNet(1, NUM_CLASSES, depth=3, width=12, padding="same", batch_norm=True),
    loss=loss,
    evaluate=evaluate,
    score="miou",
    target=0.88,
    minutes=6,
    epochs=8,
    batch_size=16,
    lr=4e-3,
    optimiser=lambda model, lr: AdamW(decay_groups(model, 0.05), lr),
    schedule=lambda steps: warmup_cosine(steps // 10, steps),
    channels_last=True,
    held_batch_size=50,
)
