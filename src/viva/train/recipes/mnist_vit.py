"""A small ViT on MNIST: 16 patches of 7×7 pixels, a class token, six encoder layers of 64 dimensions.

A ViT has to learn from data what a convolution has built in (that neighbours matter, that a place is like any other). With
54,000 digits it takes more epochs than the ResNet here, and is right less often. 205,962 parameters.
"""

from __future__ import annotations

from viva.models.vit import ViT, ViTConfig
from viva.optim import AdamW, decay_groups, warmup_cosine
from viva.train.measures import classification
from viva.train.recipe import Recipe
from viva.train.recipes import mnist_resnet

CONFIG = ViTConfig(image_size=28, patch_size=7, in_channels=1, num_classes=10, d_model=64, num_layers=6, num_heads=4, d_ff=128)

RECIPE = Recipe(
    about="ViT with 16 patches, 6 layers of 64, on MNIST, shifted at random",
    model_name="vit 6×64",
    data_name="mnist",
    data=mnist_resnet.data,
    model=lambda splits: ViT(CONFIG),
    loss=mnist_resnet.loss,
    fetch=mnist_resnet.fetch,
    evaluate=classification,
    score="accuracy",
    target=0.975,
    minutes=6,
    epochs=10,
    batch_size=128,
    lr=2e-3,
    optimiser=lambda model, lr: AdamW(decay_groups(model, 0.05), lr),
    schedule=lambda steps: warmup_cosine(steps // 10, steps),
    drop_last=True,
    held_batch_size=500,
)
