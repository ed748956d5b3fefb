"""Data parallelism: every process holds the whole model, computes its share of the batch, and averages gradients.

With W processes that computed the mean losses L_r over w_r samples, the joint batch's gradient is

    ∇L = Σ_r (w_r / w) ∇L_r,    w = Σ_r w_r,

which is the plain average of the ranks' gradients only if all w_r are equal. So each rank multiplies its loss by
w_r · W / w before the backward pass, and torch's DistributedDataParallel (which sums buckets of gradients while the
backward pass is still running, and divides by W) leaves exactly ∇L on every rank: with uneven last batches, with
accumulation, and with tokens instead of samples.

BatchNorm is where this is *not* one process with the joint batch: each rank normalises by its own share's mean and
variance, and rank 0's running statistics are the ones kept. torch's SyncBatchNorm would share them, on CUDA only; use
it, or GroupNorm, when a rank's share is small.

Started by ``torchrun --nproc_per_node=2 -m viva.train NAME``, which sets RANK, LOCAL_RANK and WORLD_SIZE. Gradients
go through NCCL on GPUs and gloo on CPUs; a second, gloo group carries a few numbers a step without waiting for a GPU.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class World:
    """The processes of one run: ``rank`` of ``size``. Alone, every method is the identity."""

    def __init__(self, device: str = "cpu") -> None:
        """Joins the processes that torchrun started, if it did."""
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.device = torch.device(device)
        if self.device.type == "cuda" and self.size > 1:
            self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(self.device)
        self._began = self.size > 1 and not dist.is_initialized()
        if self._began:
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        self._control = dist.new_group(backend="gloo") if self.size > 1 else None

    @property
    def leads(self) -> bool:
        """True on the one rank that writes and speaks."""
        return self.rank == 0

    def total(self, *numbers: float) -> list[float]:
        """Each number's sum over the ranks."""
        if self.size == 1:
            return list(numbers)
        together = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(together, group=self._control)
        return together.tolist()

    def from_leader(self, value: Any) -> Any:
        """Rank 0's value, on every rank."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, group=self._control)
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, in order, on rank 0; an empty list elsewhere."""
        if self.size == 1:
            return [value]
        found: list[Any] | None = [None] * self.size if self.leads else None
        dist.gather_object(value, found, dst=0, group=self._control)
        return found or []

    def leave(self) -> None:
        """Ends what this object began."""
        if self._began and dist.is_initialized():
            dist.destroy_process_group()
            self._began = False


def share_weights(model: nn.Module) -> None:
    """Gives every rank rank 0's parameters and buffers. For steps that do without DistributedDataParallel."""
    for tensor in [*model.parameters(), *model.buffers()]:
        dist.broadcast(tensor.detach(), src=0)


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Sums each parameter's gradient over the ranks and divides by their number: data parallelism by hand.

    One call for all gradients of one type, after the backward pass: what DistributedDataParallel does in buckets during
    it. A parameter without a gradient counts as 0, for another rank may have one.
    """
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for parameter in parameters:
        assert parameter.grad is not None
        by_type.setdefault(parameter.dtype, []).append(parameter.grad)
    for gradients in by_type.values():
        flat = torch.cat([gradient.flatten() for gradient in gradients])  # (all numbers,)
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        for gradient, averaged in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(averaged.view_as(gradient))
