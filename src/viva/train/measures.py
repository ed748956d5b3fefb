"""Scores on held-out data: plain functions that a recipe's ``evaluate`` returns.

Each takes the model (in eval mode, without gradients) and `Held` batches, and counts over all samples before it
divides, so a short last batch weighs what it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from viva.train.batches import Held


def classification(model: nn.Module, held: Held) -> dict[str, float]:
    """Batches (inputs, labels (B,)), logits (B, classes) → accuracy, and loss: mean cross-entropy in nats."""
    right, nats, samples = 0.0, 0.0, 0
    for inputs, labels in held:
        logits = model(inputs).float()  # (B, classes)
        right += (logits.argmax(-1) == labels).sum().item()
        nats += torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item()
        samples += len(labels)
    return {"accuracy": right / samples, "loss": nats / samples}


def mean_iou(confusion: Tensor) -> float:
    """Mean over the classes that occur of intersection / union. confusion: (classes, classes), rows the truth, counts."""
    both = confusion.diagonal().double()
    either = confusion.sum(0) + confusion.sum(1) - both
    return (both[either > 0] / either[either > 0]).mean().item()
