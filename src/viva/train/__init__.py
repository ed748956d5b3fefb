"""Training: one loop, recipes that reach a stated score, and how much memory it all takes.

==============  ========================================================================================================
`loop`          the step, the epoch, early stopping, mixed precision: `Trainer`, `Settings`
`batches`       what a step trains on, as a function of (seed, epoch, number)
`parallel`      several processes under torchrun: whose gradient is whose
`checkpoints`   files that are whole or not there; `journal`: metrics.jsonl and TensorBoard; `seeds`: random numbers
`recipe`        what a recipe is, and how one is run
`measures`      accuracy, mIoU and other scores that recipes evaluate by
`memory`        weights, gradients, optimiser states, activations: an estimate
==============  ========================================================================================================

``viva train --list`` names the recipes and ``viva train NAME`` runs one. To add one, copy ``recipes/digits_mlp.py``;
`viva.train.recipe.Recipe` explains every field.
"""

from viva.train.batches import Batches, Held
from viva.train.loop import Outcome, Settings, Trainer
from viva.train.recipe import Options, Recipe, RecipeError, Result, Splits, find, names, record, run

__all__ = ["Batches", "Held", "Options", "Outcome", "Recipe", "RecipeError", "Result", "Settings", "Splits", "Trainer", "find", "names", "record", "run"]
