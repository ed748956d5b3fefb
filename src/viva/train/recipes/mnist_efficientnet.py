"""EfficientNet at a quarter of B0's width and half its depth on MNIST.

B0 is 1.0 and 1.0; the multipliers here are chosen for MNIST and a CPU, not by the compound rule. 201,888 parameters in ten
MBConv blocks. The stem keeps its stride (28 → 14), later strides bring it to 7, 4, 2 and 1.
"""

from __future__ import annotations

from viva.models.efficientnet import EfficientNet
from viva.optim import AdamW, decay_groups, warmup_cosine
from viva.train.measures import classification
from viva.train.recipe import Recipe
from viva.train.recipes import mnist_resnet

RECIPE = Recipe(
    about="EfficientNet, width × 0.25 and depth × 0.5, on MNIST, shifted at random",
    model_name="efficientnet × 0.25, 0.5",
    data_name="mnist",
    data=mnist_resnet.data,
    model=lambda splits: EfficientNet(0.25, 0.5, 10, in_channels=1, dropout=0.1, stochastic_depth=0.05),
    loss=mnist_resnet.loss,
    fetch=mnist_resnet.fetch,
    evaluate=classification,
    score="accuracy",
    target=0.985,
    minutes=4,
    epochs=5,
    batch_size=128,
    lr=4e-3,
    optimiser=lambda model, lr: AdamW(decay_groups(model, 0.05), lr),
    schedule=lambda steps: warmup_cosine(steps // 10, steps),
    drop_last=True,
    channels_last=True,
    held_batch_size=500,
)
