"""Positions: attention alone treats a sequence as a set, so the order has to be written into it, in one of three ways.

*Sinusoidal* (Vaswani et al. 2017, §3.5): added to the embeddings, (T, d_model), from a formula:

    PE(t, 2i) = sin(t / 10000^(2i/d)),  PE(t, 2i+1) = cos(t / 10000^(2i/d))

Each pair is a hand of a clock, and a shift by k turns every hand by its own fixed angle: PE(t + k) is a linear function
of PE(t). One hand alone would repeat itself; many, from fast to slow, tell all places apart. *Learned* (BERT, GPT-2):
also added, but a table of parameters, which ends at max_length. *Rotary* (Su et al. 2021, RoFormer, §3.2): not added
but applied to queries and keys (B, heads, T, d_head): pair i of a vector at place t is turned by the angle
t · base^(−2i/d), so that of the places m and n only m − n enters q_m · k_n, and values stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from viva.nn.shapes import expect_floating


def sinusoidal(length: int, d_model: int) -> Tensor:
    """The table of §3.5, (length, d_model) in float64: sines in even columns, cosines in odd ones (interleaved).

    ValueError for an odd d_model.
    """
    if d_model % 2:
        raise ValueError(f"sinusoidal positions come in pairs of sine and cosine; d_model = {d_model} is odd")
    if length < 0 or d_model < 0:
        raise ValueError(f"a table of {length} places and {d_model} dimensions was asked for; both start at 0")
    places = torch.arange(length, dtype=torch.float64)
    rates = 10000.0 ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)  # (d_model / 2,)
    angles = torch.outer(places, rates)  # (length, d_model / 2)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)  # (length, d_model)


def _check_places(length: int, offset: int, max_length: int) -> None:
    end = offset + length
    if offset < 0 or length < 0:
        raise ValueError(f"places are counted from 0; length = {length}, offset = {offset}")
    if end > max_length:
        raise ValueError(f"the sequence reaches place {end}, but there are positions for {max_length}; shorten it")


class _Table(nn.Module):
    """A buffer given by a formula: not saved, and computed anew in whatever dtype and device the module moves to."""

    table: Tensor

    def compute(self) -> Tensor:
        raise NotImplementedError

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Any:
        super()._apply(fn, recurse)
        if not self.table.is_meta:  # else rounding would stay after .bfloat16().float(), and noise after .to_empty()
            self.table = self.compute().to(self.table)
        return self


class SinusoidalPositions(_Table):
    """The first ``max_length`` places of ``sinusoidal``: forward(length, offset=0) → (length, d_model). No parameters.

    ValueError where offset + length goes beyond ``max_length``.
    """

    def __init__(self, max_length: int, d_model: int) -> None:
        super().__init__()
        self.max_length, self.d_model = max_length, d_model
        self.register_buffer("table", self.compute().to(torch.get_default_dtype()), persistent=False)

    def compute(self) -> Tensor:
        return sinusoidal(self.max_length, self.d_model)

    def forward(self, length: int, offset: int = 0) -> Tensor:
        _check_places(length, offset, self.max_length)
        return self.table[offset : offset + length]


class LearnedPositions(nn.Module):
    """A parameter for each place: forward(length, offset=0) → (length, d_model). Drawn from N(0, 0.02²), as BERT's.

    ValueError where offset + length goes beyond ``max_length``.
    """

    def __init__(self, max_length: int, d_model: int) -> None:
        super().__init__()
        if max_length < 1 or d_model < 1:
            raise ValueError(f"learned positions need at least one place and one dimension, got {max_length} and {d_model}")
        self.max_length = max_length
        self.weight = nn.Parameter(torch.empty(max_length, d_model))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, length: int, offset: int = 0) -> Tensor:
        _check_places(length, offset, self.max_length)
        return self.weight[offset : offset + length]


class Rotary(_Table):
    """Turns pairs of dimensions by their place: forward(x (B, heads, T, d_head), offset=0) → the same shape.

    Pair i is (x_i, x_{i + d/2}), the *half-split* convention of Llama and Mixtral (RoFormer pairs neighbours: the same
    map after a permutation of dimensions, which the projections absorb). The angles are computed in ``precision``,
    float32 by default even inside a float64 model, because the published weights were trained with those. ValueError for
    another d_head and for places from ``max_length`` on.
    """

    def __init__(
        self, d_head: int, base: float = 10000.0, max_length: int = 4096, precision: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        if not base > 0 or max_length < 1:
            raise ValueError(f"rotary positions need a base above 0 and at least one place, got {base} and {max_length}")
        if d_head % 2:
            raise ValueError(f"rotary positions turn pairs of dimensions; d_head = {d_head} is odd")
        self.d_head, self.base, self.max_length, self.precision = d_head, base, max_length, precision
        self.register_buffer("table", self.compute().to(torch.get_default_dtype()), persistent=False)

    def compute(self) -> Tensor:
        """cos and sin of every place's angles: (2, max_length, d_head / 2)."""
        rates = 1.0 / self.base ** (torch.arange(0, self.d_head, 2, dtype=self.precision) / self.d_head)
        angles = torch.outer(torch.arange(self.max_length, dtype=self.precision), rates)
        return torch.stack((angles.cos(), angles.sin()))

    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        expect_floating("Rotary", x)  # whole numbers would round the angles' sines to 0 and 1
        if x.dim() < 2 or x.shape[-1] != self.d_head:
            raise ValueError(f"rotary positions for (..., T, d_head) with d_head = {self.d_head} were given {tuple(x.shape)}")
        length = x.shape[-2]
        _check_places(length, offset, self.max_length)
        cos, sin = self.table[:, offset : offset + length].to(x.dtype)  # (T, d_head / 2) each
        first, second = x.chunk(2, dim=-1)
        # (first, second) turned by the angle: (first · cos − second · sin, second · cos + first · sin)
        turned = (torch.addcmul(first * cos, second, sin, value=-1), torch.addcmul(second * cos, first, sin))
        return torch.cat(turned, dim=-1)
