"""Positions: attention alone treats a sequence as a set, so the order must be written into it. Three ways.

*Sinusoidal* (Vaswani et al. 2017, §3.5): added to the embeddings, (T, d_model), from a formula:

    PE(t, 2i) = sin(t / 10000^(2i/d)),  PE(t, 2i+1) = cos(t / 10000^(2i/d))

Each pair is a hand of a clock, and a shift by k turns every hand by its own fixed angle: PE(t + k) is a linear function
of PE(t). *Learned* (BERT, GPT-2): also added, but a table of parameters, which ends at max_length. *Rotary* (Su et
al. 2021, RoFormer, §3.4): not added but applied to queries and keys (B, heads, T, d_head): pair i of a vector at
place t is turned by the angle t · base^(−2i/d), so that q_m · k_n depends on m − n alone, and values stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def sinusoidal(length: int, d_model: int) -> Tensor:
    """The table of §3.5, (length, d_model) in float64: sines in even columns, cosines in odd ones (interleaved)."""
    if d_model % 2:
        raise ValueError(f"sinusoidal positions come in pairs of sine and cosine; d_model = {d_model} is odd")
    places = torch.arange(length, dtype=torch.float64)
    rates = 10000.0 ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)  # (d_model / 2,)
    angles = torch.outer(places, rates)  # (length, d_model / 2)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)  # (length, d_model)


def _check_places(length: int, offset: int, max_length: int) -> None:
    end = offset + length
    if offset < 0:
        raise ValueError(f"places are counted from 0; offset = {offset}")
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
    """The first ``max_length`` places of ``sinusoidal``: forward(length, offset=0) → (length, d_model). No parameters."""

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
    """A parameter for each place: forward(length, offset=0) → (length, d_model). Drawn from N(0, 0.02²), as in GPT-2."""

    def __init__(self, max_length: int, d_model: int) -> None:
        super().__init__()
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
    float32 by default even inside a float64 model, because the published weights were trained with those.
    """

    def __init__(
        self, d_head: int, base: float = 10000.0, max_length: int = 4096, precision: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
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
        if x.shape[-1] != self.d_head:
            raise ValueError(f"rotary positions for d_head = {self.d_head} were given {tuple(x.shape)}")
        length = x.shape[-2]
        _check_places(length, offset, self.max_length)
        cos, sin = self.table[:, offset : offset + length].to(x.dtype)  # (T, d_head / 2) each
        first, second = x.chunk(2, dim=-1)
        # (first, second) turned by the angle: (first · cos − second · sin, second · cos + first · sin)
        turned = (torch.addcmul(first * cos, second, sin, value=-1), torch.addcmul(second * cos, first, sin))
        return torch.cat(turned, dim=-1)
