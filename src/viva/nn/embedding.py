"""The embedding: a table with a row for each token; looking up row i is multiplying the table with the i-th one-hot vector.

    ids (...) of integers in [0, num_embeddings)  ->  (..., d_model)

The product with a one-hot vector would cost num_embeddings · d_model multiply-adds, the look-up costs none; the gradient
of a row is the sum of what arrived at its occurrences, and zero for tokens that did not occur.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viva.nn.initialisation import constant_, normal_
from viva.nn.shapes import expect_tensor


class Embedding(nn.Module):
    """A table `weight` (num_embeddings, d_model), drawn from N(0, 1) as `torch.nn.Embedding`'s.

    The row `padding_index` starts at zero and gets no gradient, so that padding adds nothing.
    ValueError for an impossible size or padding_index and, on the CPU, for an id outside the table (on CUDA the kernel's
    own assertion is left to speak: looking would make the host wait for the device). TypeError for ids that are no integers.
    """

    def __init__(self, num_embeddings: int, d_model: int, padding_index: int | None = None) -> None:
        super().__init__()
        if num_embeddings < 1 or d_model < 1:
            raise ValueError(f"Embedding needs at least one row and one column, got {num_embeddings} and {d_model}.")
        if padding_index is not None and not 0 <= padding_index < num_embeddings:
            raise ValueError(f"padding_index {padding_index} is outside the vocabulary of {num_embeddings}.")
        self.num_embeddings = num_embeddings
        self.d_model = d_model
        self.padding_index = padding_index
        self.weight = nn.Parameter(torch.empty(num_embeddings, d_model))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        normal_(self.weight, std=1.0)
        if self.padding_index is not None:
            constant_(self.weight[self.padding_index], 0.0)

    def forward(self, ids: Tensor) -> Tensor:
        expect_tensor("Embedding", ids)
        if ids.dtype not in (torch.int64, torch.int32):
            raise TypeError(
                f"Embedding got ids of {ids.dtype}, expected torch.int64 or torch.int32: convert them with ids.long()."
            )
        try:
            return F.embedding(ids, self.weight, self.padding_index)  # (...) -> (..., d_model)
        except IndexError:  # the CPU's kernel checks anyway: asking again only when it refuses costs nothing
            outside = ids[(ids < 0) | (ids >= self.num_embeddings)]
            raise ValueError(
                f"token id {int(outside[0])} is outside the vocabulary of {self.num_embeddings}: "
                "the ids come from another tokeniser, or the table is too small."
            ) from None

    def extra_repr(self) -> str:
        padding = "" if self.padding_index is None else f", padding_index={self.padding_index}"
        return f"{self.num_embeddings}, {self.d_model}{padding}"
