"""Rows of unequal length as one tensor: padding, and the mask that says what is real.

    [[5, 6, 7], [8]]  ->  ids  [[5, 6, 7], [8, 0, 0]]   mask  [[1, 1, 1], [1, 0, 0]]

``ids`` int64 (N, T), ``mask`` bool (N, T) with True where a token is real (the sense that `viva.nn.attention`
takes), ``segments`` int64 (N, T) with BERT's token types. T is the longest row of the batch, not of the
corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Padded texts: ``ids`` int64 (N, T), ``mask`` bool (N, T) True = token, ``segments`` int64 (N, T)."""

    ids: Tensor
    mask: Tensor
    segments: Tensor

    @property
    def lengths(self) -> Tensor:
        """Tokens in each text, int64 (N,)."""
        return self.mask.sum(dim=1)

    def to(self, device: torch.device | str) -> Batch:
        """The same on ``device``."""
        return Batch(self.ids.to(device), self.mask.to(device), self.segments.to(device))


def pad(
    rows: Sequence[Sequence[int]], padding: int = 0, *, segments: Sequence[Sequence[int]] | None = None
) -> Batch:
    """Rows of ids, padded on the right with ``padding``. No rows give tensors of shape (0, 0).

    ``segments``: a row for each row, of its length; all 0 where none are given. Raises ValueError where they
    do not fit.
    """
    if segments is not None and [len(row) for row in segments] != [len(row) for row in rows]:
        raise ValueError(
            f"segments of lengths {[len(row) for row in segments]} for rows of {[len(row) for row in rows]}"
        )
    length = max(map(len, rows), default=0)
    ids = torch.full((len(rows), length), padding, dtype=torch.int64)
    kinds = torch.zeros(len(rows), length, dtype=torch.int64)
    for index, row in enumerate(rows):
        if strange := [item for item in row if not hasattr(item, "__index__")]:
            raise TypeError(f"{strange[0]!r} was given as a token id; expected an integer")
        ids[index, : len(row)] = torch.as_tensor(row, dtype=torch.int64)
        if segments is not None:
            kinds[index, : len(row)] = torch.as_tensor(segments[index], dtype=torch.int64)
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
    return Batch(ids, torch.arange(length) < lengths[:, None], kinds)
