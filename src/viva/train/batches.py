"""Batches by address: what step k of epoch e trains on is a function of (seed, e, k) and nothing else.

A *joint batch* is what one optimiser step sees: ``batch_size`` samples, whoever computes them. It is cut into
``pieces`` (gradient accumulation: one after another) for each of ``world`` processes (data parallelism: at the same
time):

    order of epoch e  = order(N, stream(seed, e))                          # (N,) indices
    joint batch k     = order[k·B : (k + 1)·B]                             # the last one may be shorter
    its pieces        = joint batch cut into world · pieces nearly equal runs; rank r takes runs r·pieces …
    a piece's content = fetch(dataset, indices, stream(seed, e, k, run))   # augmentation draws from this stream

So the same joint batches come out of one process or of eight, in one piece or in four, with or without loader
workers, from the start or after a resume in the middle.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from viva.train import seeds

Fetch = Callable[[Any, Tensor, torch.Generator | None], Any]
Order = Callable[[Any, torch.Generator], Tensor]
Weigh = Callable[[Any], int]
Piece = tuple[Any, int]  # (batch, weight: the number of samples or tokens that its mean loss is a mean over; None, 0 for none)


def size(dataset: Any) -> int:
    """The number of samples: the first axis of a tuple of tensors, ``len`` of anything else."""
    if isinstance(dataset, (tuple, list)) and dataset and all(isinstance(part, Tensor) for part in dataset):
        lengths = {len(part) for part in dataset}
        if len(lengths) > 1:
            raise ValueError(f"the tensors of a data set have {sorted(lengths)} samples; they need one number of samples")
        return lengths.pop()
    return len(dataset)


def fetch(dataset: Any, indices: Tensor, generator: torch.Generator | None) -> Any:
    """A batch of a tuple of tensors (N, …) by indexing, or of any indexable data set by torch's default collation."""
    if isinstance(dataset, (tuple, list)) and all(isinstance(part, Tensor) for part in dataset):
        return tuple(part[indices] for part in dataset)
    return default_collate([dataset[index] for index in indices.tolist()])


def shuffled(dataset: Any, generator: torch.Generator) -> Tensor:
    """Every sample once, in random order."""
    return torch.randperm(size(dataset), generator=generator)


def to_device(batch: Any, device: torch.device) -> Any:
    """The batch with every tensor in it on the device: through tuples, lists, dicts and dataclasses."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(part, device) for part in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(to_device(part, device) for part in batch)
    if isinstance(batch, dict):
        return {name: to_device(part, device) for name, part in batch.items()}
    if is_dataclass(batch) and not isinstance(batch, type):
        return replace(batch, **{field.name: to_device(getattr(batch, field.name), device) for field in fields(batch) if field.init})
    return batch


class Batches:
    """A training set's joint batches, as one rank sees them.

    ``order(dataset, generator)`` → indices of one epoch, always the same number of them (over-sampling may repeat,
    buckets by length may sort). ``weigh(batch)`` → the number of items that the loss averages over (default: samples;
    for masked tokens, their number). ``drop_last`` leaves out a last batch that is not full: BatchNorm cannot train on
    a batch of one.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        *,
        seed: int = 0,
        fetch: Fetch = fetch,
        order: Order = shuffled,
        weigh: Weigh | None = None,
        drop_last: bool = False,
        limit: int | None = None,
        pieces: int = 1,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
    ) -> None:
        if batch_size < 1 or pieces < 1:
            raise ValueError(f"batch size {batch_size} in {pieces} pieces: both have to be at least 1")
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.fetch, self.order, self.weigh, self.drop_last = fetch, order, weigh, drop_last
        self.pieces, self.rank, self.world, self.workers = pieces, rank, world, workers
        samples = len(order(dataset, seeds.stream(seed, 0)))
        whole, rest = divmod(samples, batch_size)
        number = whole if drop_last or rest == 0 else whole + 1
        if number == 0:
            raise ValueError(f"{samples} samples make no batch of {batch_size}" + (" (drop_last leaves out the last, short one)" if drop_last else ""))
        self.number = min(number, limit) if limit is not None else number

    def __len__(self) -> int:
        return self.number

    def epoch(self, epoch: int, start: int = 0) -> Iterator[list[Piece]]:
        """This rank's pieces of the joint batches start, start + 1, … of one epoch, on the CPU."""
        indices = self.order(self.dataset, seeds.stream(self.seed, epoch))
        source = _Epoch(self, indices, epoch)
        if self.workers == 0:
            for number in range(start, len(self)):
                yield source[number]
        else:
            yield from DataLoader(
                source,
                batch_size=None,
                sampler=range(start, len(self)),
                num_workers=self.workers,
                pin_memory=torch.cuda.is_available(),
                worker_init_fn=_one_thread,
                generator=seeds.stream(self.seed, epoch),  # else the loader draws its workers' seeds from the model's stream
            )


class _Epoch(torch.utils.data.Dataset):
    """One epoch as a data set whose items are whole batches, so that loader workers can fetch them."""

    def __init__(self, batches: Batches, indices: Tensor, epoch: int) -> None:
        self.batches, self.indices, self.epoch = batches, indices, epoch

    def __getitem__(self, number: int) -> list[Piece]:
        its = self.batches
        joint = self.indices[number * its.batch_size : (number + 1) * its.batch_size]
        runs = joint.tensor_split(its.world * its.pieces)
        if torch.utils.data.get_worker_info() is not None:
            # In a worker the process-wide generators start anywhere: a fetch that uses them has to see an address too.
            mixed = seeds.stream_seed(its.seed, self.epoch, number, its.rank, 1)
            random.seed(mixed)
            np.random.seed(mixed % 2**32)
            torch.manual_seed(mixed)
        found = []
        for run in range(its.rank * its.pieces, (its.rank + 1) * its.pieces):
            mine = runs[run]
            if len(mine) == 0:  # a last batch smaller than the number of runs
                found.append((None, 0))
                continue
            batch = its.fetch(its.dataset, mine, seeds.stream(its.seed, self.epoch, number, run))
            found.append((batch, len(mine) if its.weigh is None else int(its.weigh(batch))))
        return found


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)


class Held:
    """Held-out data: batches in order, nothing drawn (``fetch`` gets no generator), on the model's device.

    An evaluation iterates over it, as often as it likes; ``dataset`` is what the recipe's ``data`` returned.
    """

    def __init__(self, dataset: Any, batch_size: int, device: torch.device, *, fetch: Fetch = fetch, limit: int | None = None) -> None:
        self.dataset, self.batch_size, self.device, self.fetch = dataset, batch_size, device, fetch
        samples = size(dataset)
        self.samples = samples if limit is None else min(samples, limit * batch_size)

    def __len__(self) -> int:
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, self.samples, self.batch_size):
            indices = torch.arange(start, min(start + self.batch_size, self.samples))
            yield to_device(self.fetch(self.dataset, indices, None), self.device)
