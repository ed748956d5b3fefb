"""Images with one class each: what `digits` and `mnist` hand out.

``images`` is uint8 (N, 1, H, W), as it was scanned; ``labels`` is int64 (N,). Networks take `LabelledImages.floats`:
float32 in [0, 1]. It is also a map-style data set (``len``, ``[i]``), so ``torch.utils.data.DataLoader`` takes it as it
is; for sets this small, indexing the tensors with a shuffled ``randperm`` is faster than a loader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LabelledImages:
    """Images and their labels; ValueError unless they are as said here.

    Args:
        images: uint8 (N, 1, H, W), from 0 (paper) to ``white`` (ink).
        labels: int64 (N,).
        white: the largest value that a pixel can have.
    """

    images: Tensor
    labels: Tensor
    white: int = 255

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.dim() != 4:
            raise ValueError(f"images are uint8 (N, C, H, W); these are {self.images.dtype} {tuple(self.images.shape)}.")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"labels are int64 ({len(self.images)},), one for each image; "
                f"these are {self.labels.dtype} {tuple(self.labels.shape)}."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Image (C, H, W) as float32 in [0, 1], and its label, int64 ()."""
        return self.images[index].float() / self.white, self.labels[index]

    def floats(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """All images (N, C, H, W) in [0, 1]."""
        return self.images.to(dtype) / self.white

    def take(self, indices: Tensor | Sequence[int]) -> LabelledImages:
        """The images at ``indices``, in that order; an index may come twice."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        return LabelledImages(self.images[chosen], self.labels[chosen], self.white)

    def to(self, device: torch.device | str) -> LabelledImages:
        """The same on ``device``."""
        return LabelledImages(self.images.to(device), self.labels.to(device), self.white)
