"""Seeds: every stream of random numbers that a run draws from, set, saved and put back.

There are four generators in a process that a training step may touch: Python's ``random``, NumPy's, torch's on the
CPU and torch's on each GPU. `seed_everything` sets them, `state` and `restore` carry them through a checkpoint.

The *data* use none of them. A batch is a function of its address (seed, epoch, number of the batch, piece): `stream`
turns an address into a generator of its own, so that a run can open an epoch in the middle, in any process, and
meet the batches that an uninterrupted run would have met.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def stream_seed(*address: int) -> int:
    """A 63-bit seed mixed from non-negative integers; neighbouring addresses give unrelated seeds."""
    return int(np.random.SeedSequence(address).generate_state(1, np.uint64)[0] >> 1)


def stream(*address: int) -> torch.Generator:
    """A CPU generator for one address."""
    return torch.Generator().manual_seed(stream_seed(*address))


def seed_everything(seed: int, rank: int = 0) -> None:
    """Seeds Python, NumPy and torch (all devices); ranks of one run draw different numbers (dropout)."""
    mixed = seed if rank == 0 else stream_seed(seed, rank)
    random.seed(mixed)
    np.random.seed(mixed % 2**32)
    torch.manual_seed(mixed)


def state() -> dict[str, Any]:
    """All generators' states as tensors, numbers and lists (what ``torch.load(weights_only=True)`` reads)."""
    version, numbers, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [str(name), torch.from_numpy(np.asarray(keys, dtype=np.int64)), int(position), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore(saved: dict[str, Any]) -> None:
    """The reverse of `state`. GPUs that were not there then keep what they have."""
    version, numbers, gauss = saved["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, position, has_gauss, cached = saved["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(saved["torch"].cpu())
    for device, generator_state in enumerate(saved["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(generator_state.cpu(), device)


@contextmanager
def aside(seed: int) -> Iterator[None]:
    """Inside: freshly seeded; afterwards: as if nothing had been drawn. For evaluation between two steps."""
    before = state()
    seed_everything(seed)
    try:
        yield
    finally:
        restore(before)
