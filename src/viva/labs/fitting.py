"""Fitting a small net inside a lab: shuffled mini-batches, one optimiser, no checkpoints.

`viva.train` is the loop for models that are kept; here a net lives for a second, so a plain loop over tensors that are already in
memory is all there is. The order of the samples comes from ``seed`` alone: two nets fitted with the same seed see the same batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from viva.labs.runner import Report

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer


def fit(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    optimiser: Optimizer,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    report: Report,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    each_epoch: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Trains ``model`` in place and leaves it in evaluation mode; returns each epoch's mean training loss.

    inputs (N, …), targets (N, …); loss: (outputs, targets) → scalar, cross-entropy unless given. each_epoch: called with the
    epoch, from 1, and its loss, the model in training mode.
    """
    import torch

    from viva.nn import cross_entropy

    measure = loss or cross_entropy
    generator = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    model.train()
    for epoch in range(epochs):
        total = 0.0
        for batch in torch.randperm(len(inputs), generator=generator).split(batch_size):
            value = measure(model(inputs[batch]), targets[batch])
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            total += float(value.detach()) * len(batch)
        losses.append(total / len(inputs))
        report((epoch + 1) / epochs, epoch=epoch + 1, loss=losses[-1])
        if each_epoch is not None:
            each_epoch(epoch + 1, losses[-1])
    model.eval()
    return losses


def accuracy(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """The share of ``inputs`` (N, …) whose largest logit is that of the label (N,); the model as it stands."""
    import torch

    with torch.no_grad():
        return float((model(inputs).argmax(1) == labels).double().mean())
