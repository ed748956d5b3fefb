"""Batch norms as a trained network has them. Fresh ones (mean 0, variance 1, γ 1, β 0) are nearly the identity: a test on them
would not notice one that was forgotten or misplaced."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def scrambled(model: nn.Module) -> nn.Module:
    """``model`` with random statistics, factors and shifts in every batch norm."""
    for module in model.modules():
        if hasattr(module, "running_var"):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.1)
    return model
