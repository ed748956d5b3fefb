"""Optimisers and learning-rate schedules.

Three files, each one idea: ``descent`` (GD, SGD, momentum, Nesterov), ``adaptive`` (RMSprop, Adam, AdamW) and
``schedules`` (step → factor); ``optimiser`` is the frame that the first two fill in and ``clipping`` bounds a
gradient's norm. Every optimiser is a `torch.optim.Optimizer`, keeps its state under torch's names and equals
torch's step by step, so that checkpoints, GradScaler and torch's schedulers work with either. To add one:
subclass `Optimiser`, write its formula in `explained`, the same over lists in `foreach`, and test them equal.
"""

from viva.optim.adaptive import Adam, AdamW, RMSprop
from viva.optim.clipping import clip_by_global_norm, global_norm
from viva.optim.descent import GD, SGD, Momentum, Nesterov
from viva.optim.optimiser import Optimiser, decay_groups
from viva.optim.schedules import (
    Schedule,
    constant,
    cosine,
    inverse_sqrt,
    noam,
    set_learning_rate,
    step_decay,
    warmup,
    warmup_cosine,
)

__all__ = [
    "GD",
    "SGD",
    "Adam",
    "AdamW",
    "Momentum",
    "Nesterov",
    "Optimiser",
    "RMSprop",
    "Schedule",
    "clip_by_global_norm",
    "constant",
    "cosine",
    "decay_groups",
    "global_norm",
    "inverse_sqrt",
    "noam",
    "set_learning_rate",
    "step_decay",
    "warmup",
    "warmup_cosine",
]
