"""The systems that interview answers name, one file for each.

Here live the models (`resnet.py`, `gpt.py`, `rbm.py`, ...) and what all of them share: `checkpoint.py` (other libraries'
weights), `catalogue.py` (the named constructors and what their papers say), `summary.py` (parameters, multiply-adds,
memory) and `speed.py` (``viva.models.fast(model, *inputs)``). A model may import `viva.nn`, `viva.optim` and `viva.data`, nothing of the study half.

To add one: a file that reads like the best answer to "explain X" (the paper, the shapes, the formula, then the parts, the
whole, the named constructors), `layouts` for the names other libraries use, `@published` on every constructor whose size
the paper states, and a test that proves outputs and gradients equal to a reference and writes its record. No list to edit.
Importing this package loads nothing; import the model's own module.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "fast":  # on demand, because it needs torch
        from viva.models.speed import fast

        return fast
    raise AttributeError(f"module 'viva.models' has no attribute {name!r}")
