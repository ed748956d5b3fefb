"""MobileNet v1 at a quarter of its width on MNIST.

The stem keeps its stride (28 → 14), later strides bring it to 7, 4, 2 and 1. Of 215,498 parameters the depthwise 3×3
convolutions, which alone look around, have 5 %; 91 % are in the 1×1 convolutions, which mix channels.
"""

from __future__ import annotations

from viva.models.mobilenet import mobilenet_v1
from viva.optim import AdamW, decay_groups, warmup_cosine
from viva.train.measures import classification
from viva.train.recipe import Recipe
from viva.train.recipes import mnist_resnet

RECIPE = Recipe(
    about="MobileNet v1 × 0.25 on MNIST, shifted at random",
    model_name="mobilenet_v1 × 0.25",
    data_name="mnist",
    data=mnist_resnet.data,
    model=lambda splits: mobilenet_v1(10, in_channels=1, width=0.25),
    loss=mnist_resnet.loss,
    fetch=mnist_resnet.fetch,
    evaluate=classification,
    score="accuracy",
    target=0.985,
    minutes=5,
    epochs=7,
    batch_size=128,
    lr=4e-3,
    optimiser=lambda model, lr: AdamW(decay_groups(model, 0.05), lr),
    schedule=lambda steps: warmup_cosine(steps // 10, steps),
    drop_last=True,
    channels_last=True,
    held_batch_size=500,
)
