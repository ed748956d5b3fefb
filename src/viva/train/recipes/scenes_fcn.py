"""FCN-8s on scenes of digits: the same task as `scenes_unet`, with maps that are upsampled instead of joined.

Its finest scores stand at an eighth of the resolution, so strokes a few pixels wide are blurred: what U-Net's skips at full
resolution are for shows as the difference of the two scores.
"""

from __future__ import annotations

from viva.data.scenes import NUM_CLASSES
from viva.models.fcn import SkipFCN
from viva.optim import AdamW, decay_groups, warmup_cosine
from viva.train.recipe import Recipe
from viva.train.recipes import scenes_unet

RECIPE = Recipe(
    about="FCN-8s with five stages of 16 to 128 channels on scenes of digits",
    model_name="fcn-8s, narrow",
    data_name="scenes",
    data=scenes_unet.data,
    model=lambda splits: SkipFCN(1, NUM_CLASSES),
    loss=scenes_unet.loss,
    evaluate=scenes_unet.evaluate,
    score="miou",
    target=0.6,
    minutes=4,
    epochs=10,
    batch_size=16,
    lr=4e-3,
    optimiser=lambda model, lr: AdamW(decay_groups(model, 0.05), lr),
    schedule=lambda steps: warmup_cosine(steps // 10, steps),
    channels_last=True,
    held_batch_size=50,
)
