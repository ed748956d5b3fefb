"""Attention: every query looks at every key and takes home a weighted mean of the values.

    attention(Q, K, V) = softmax(Q Kᵀ / √d_head) V

Vaswani et al. 2017, "Attention Is All You Need", §3.2. Q is (B, heads, Tq, d_head); K and V are (B, heads, Tk, d_head);
the weights are (B, heads, Tq, Tk), and each of their rows sums to 1. The root keeps the scores' variance at 1 where
the entries of q and k are independent with mean 0 and variance 1 (their dot product has variance d_head): without it
the softmax saturates and its gradient vanishes. Each head has projections of its own, from all of d_model to d_model /
heads dimensions, so that it can look for something else; with *grouped queries* (Ainslie et al. 2023) several query
heads share one head of keys and values, which makes the cache smaller. Compared are all Tq · Tk pairs: the cost is
quadratic in the length, the path between any two places one step.

Two paths give the same numbers: ``attention`` calls the fused kernel, which need not store the Tq × Tk weights;
``explained_attention`` is the formula line by line, and hands the weights back. A query that may attend to nothing
gets the zero vector and zero weights from both, and passes no gradient (softmax alone would answer nan).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viva.nn.linear import Linear
from viva.nn.positions import Rotary
from viva.nn.shapes import expect_floating, expect_shape, expect_tensor

# --- Masks: True = may attend ----------------------------------------------------------------------------------------


def padding_mask(lengths: Tensor, max_length: int) -> Tensor:
    """Which keys are words and not padding: (B,) integer lengths → bool (B, 1, 1, max_length), True = a word.

    The two ones stand for the heads and the queries: everybody is kept from the same keys.
    """
    expect_tensor("padding_mask", lengths)
    if lengths.dim() != 1 or lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise ValueError(
            f"lengths are {lengths.dtype} of shape {tuple(lengths.shape)}; expected one integer per sequence, shape (B,)"
        )
    positions = torch.arange(max_length, device=lengths.device)
    return (positions < lengths[:, None])[:, None, None, :]  # (B, 1, 1, T)


def causal_mask(queries: int, keys: int, offset: int | None = None, device: torch.device | None = None) -> Tensor:
    """Nobody sees the future: bool (queries, keys), True where key j is not after query i's place i + offset.

    ``offset`` is how many keys came before the first query; by default keys − queries, so that the last query sees
    every key: what a decoder needs whose cache holds the past.
    """
    if queries < 0 or keys < 0:
        raise ValueError(f"a mask of {queries} queries and {keys} keys was asked for; both start at 0")
    offset = keys - queries if offset is None else offset
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(offset)


# --- The formula, twice ----------------------------------------------------------------------------------------------


def attention(
    q: Tensor, k: Tensor, v: Tensor, *,
    mask: Tensor | None = None, causal: bool = False, dropout: float = 0.0, scale: float | None = None,
) -> Tensor:  # fmt: skip
    """softmax(scale · q kᵀ) v by the fused kernel; never holds the (Tq, Tk) weights.

    q: (B, heads, Tq, d_head); k: (B, kv_heads, Tk, d_head); v: (B, kv_heads, Tk, d_value), where kv_heads divides heads.
    mask: bool, True = may attend, broadcastable to (B, heads, Tq, Tk). causal: query i stands at place Tk − Tq + i and
    sees the keys up to there; together with a mask both must allow it. dropout: probability with which a weight is
    dropped (pass 0 outside training). scale: 1/√d_head by default. Returns (B, heads, Tq, d_value).

    Raises ValueError for shapes that do not fit and TypeError for a mask that is not boolean.
    """
    _check(q, k, v, mask, causal, dropout, scale)
    heads, kv_heads, queries, keys = q.shape[1], k.shape[1], q.shape[2], k.shape[2]
    if mask is not None and _allows_everything(mask):
        mask = None
    if causal and queries == 1:
        causal = False  # the last place sees everything
    if causal and (mask is not None or queries != keys):  # the kernel's own causal mask is exact only without these
        past = causal_mask(queries, keys, device=q.device)
        mask, causal = (past if mask is None else mask & past), False
    if mask is not None:
        mask = mask.reshape((1,) * (4 - mask.dim()) + mask.shape)  # the kernels want all four dimensions
    if queries == 1 and heads != kv_heads:
        return _one_grouped_query(q, k, v, mask, dropout, scale)
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal, scale=scale, enable_gqa=kv_heads != heads
    )


def _allows_everything(mask: Tensor) -> bool:
    """Whether texts of one length brought a mask for nothing: without it, long causal attention stays with the kernel's own
    mask, which skips the future. Only on the CPU: to look at a number, a GPU would have to be waited for.
    """
    return mask.device.type == "cpu" and not torch.compiler.is_compiling() and bool(mask.all())


def _one_grouped_query(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float, scale: float | None
) -> Tensor:
    """A step of decoding: with one place to ask from, the query heads of a group are as good as places to ask from.

    (B, heads, 1, d) → (B, kv_heads, group, d): the shared keys are read once instead of once per head (2× on a CPU).
    """
    batch, heads, _, width = q.shape
    q = q.reshape(batch, k.shape[1], heads // k.shape[1], width)
    if mask is not None and mask.shape[1] != 1:
        mask = mask.reshape(mask.shape[0], k.shape[1], -1, mask.shape[-1])  # heads' own masks go with them
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, scale=scale)
    return y.reshape(batch, heads, 1, -1)


def explained_attention(
    q: Tensor, k: Tensor, v: Tensor, *,
    mask: Tensor | None = None, causal: bool = False, dropout: float = 0.0, scale: float | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The same as ``attention``, line by line: (output (B, heads, Tq, d_value), weights (B, heads, Tq, Tk)).

    The weights are those before dropout. Raises what ``attention`` raises.
    """
    _check(q, k, v, mask, causal, dropout, scale)
    heads, kv_heads, queries, keys = q.shape[1], k.shape[1], q.shape[2], k.shape[2]
    if kv_heads != heads:  # query heads 0, 1, … of a group look at the same keys
        k = k.repeat_interleave(heads // kv_heads, dim=1)  # (B, heads, Tk, d_head)
        v = v.repeat_interleave(heads // kv_heads, dim=1)
    if causal:
        past = causal_mask(queries, keys, device=q.device)
        mask = past if mask is None else mask & past

    scores = q @ k.transpose(-2, -1)  # (B, heads, Tq, Tk)
    scores = scores * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if mask is None:
        weights = torch.softmax(scores, dim=-1)
    else:  # the lowest number there is, not −∞: a row without any key must not become nan
        weights = torch.softmax(scores.masked_fill(~mask, torch.finfo(scores.dtype).min), dim=-1)
        weights = weights.masked_fill(~mask, 0.0)
    return F.dropout(weights, dropout, training=dropout > 0) @ v, weights


def _check(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, dropout: float, scale: float | None
) -> None:
    for who, x in (("attention's q", q), ("attention's k", k), ("attention's v", v)):
        expect_floating(who, x)
    shapes = f"q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)}"
    if not q.dim() == k.dim() == v.dim() == 4:
        raise ValueError(f"attention needs (batch, heads, time, d_head) three times; got {shapes}")
    if not q.dtype == k.dtype == v.dtype:
        raise TypeError(f"q is {q.dtype}, k {k.dtype} and v {v.dtype}; expected one dtype for all three")
    if q.shape[0] != k.shape[0] or q.shape[-1] != k.shape[-1] or k.shape[:3] != v.shape[:3]:
        raise ValueError(
            f"{shapes}: batch and d_head of q and k must be the same, and batch, heads and time of k and v"
        )
    if q.shape[1] % k.shape[1]:
        raise ValueError(f"{shapes}: the {q.shape[1]} query heads cannot share {k.shape[1]} key heads evenly")
    if not q.shape[-1]:
        raise ValueError(f"{shapes}: d_head is 0; expected at least 1")
    if not 0.0 <= dropout <= 1.0:
        raise ValueError(f"dropout is {dropout}; expected the probability of dropping a weight, between 0 and 1")
    if scale is not None and not math.isfinite(scale):
        raise ValueError(f"scale is {scale}; expected a finite number, or None for 1/√d_head")
    if causal and q.shape[2] > k.shape[2]:
        raise ValueError(f"{shapes}: causal attention needs a key for every query, but there are fewer keys than queries")
    if mask is not None:
        expect_tensor("attention's mask", mask)
        if mask.dtype != torch.bool:
            raise TypeError(f"mask is {mask.dtype}; expected torch.bool with True = may attend (mask == 1, or mask > -1)")
        full = (q.shape[0], q.shape[1], q.shape[2], k.shape[2])
        fits = mask.dim() <= 4 and all(m in (1, f) for m, f in zip(mask.shape[::-1], full[::-1], strict=False))
        if not fits:
            raise ValueError(f"mask {tuple(mask.shape)} does not broadcast to (batch, heads, queries, keys) = {full}")


# --- The past, kept --------------------------------------------------------------------------------------------------


class KVCache:
    """Keys and values of the places already seen, for one layer: each step of decoding computes only its own.

    The buffers (B, kv_heads, capacity, d_head) are allocated once and doubled when full, so a step costs one write of
    its own keys and values, and ``append`` returns views. For decoding under ``torch.no_grad``: writing in place
    would disturb a backward pass.
    """

    def __init__(self, capacity: int = 64) -> None:
        self.length = 0
        self._capacity = capacity
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    @property
    def keys(self) -> Tensor:
        """(B, kv_heads, length, d_head), a view."""
        if self._keys is None:
            raise ValueError("the cache is empty; append keys and values first")
        return self._keys[:, :, : self.length]

    @property
    def values(self) -> Tensor:
        """(B, kv_heads, length, d_value), a view."""
        if self._values is None:
            raise ValueError("the cache is empty; append keys and values first")
        return self._values[:, :, : self.length]

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write (B, kv_heads, T, d_head) after what is there; returns all keys and all values, (B, kv_heads, length, …)."""
        start, end = self.length, self.length + k.shape[2]
        self._keys = self._room(self._keys, k, end)
        self._values = self._room(self._values, v, end)
        self._keys[:, :, start:end] = k
        self._values[:, :, start:end] = v
        self.length = end
        return self.keys, self.values

    def reorder(self, indices: Tensor) -> None:
        """Beam search: sequence i goes on from what was sequence ``indices[i]``; (beams,) integers."""
        if self._keys is not None and self._values is not None:
            self._keys = self._keys.index_select(0, indices)
            self._values = self._values.index_select(0, indices)

    def _room(self, buffer: Tensor | None, new: Tensor, end: int) -> Tensor:
        batch, heads, _, width = new.shape
        if buffer is None:
            return new.new_empty(batch, heads, max(end, self._capacity), width)
        if (buffer.shape[0], buffer.shape[1], buffer.shape[3], buffer.dtype) != (batch, heads, width, new.dtype):
            raise ValueError(
                f"the cache holds {tuple(buffer.shape)} in {buffer.dtype} and was given {tuple(new.shape)} in {new.dtype}: "
                "batch, heads, width and dtype must stay the same (a new text needs a new cache)"
            )
        if end <= buffer.shape[2]:
            return buffer
        larger = new.new_empty(batch, heads, max(end, 2 * buffer.shape[2]), width)
        larger[:, :, : self.length] = buffer[:, :, : self.length]
        return larger


# --- The layer -------------------------------------------------------------------------------------------------------


class MultiHeadAttention(nn.Module):
    """Project to heads, attend in each, and mix what they found: §3.2.2.

    x (B, Tq, d_model) → query (B, heads, Tq, d_head); x, or the context (B, Tk, d_context), → key and value
    (B, kv_heads, Tk, d_head) → attention → (B, Tq, heads · d_head) → output (B, Tq, d_model).

    num_kv_heads < num_heads: grouped queries (1: multi-query). d_head: d_model / num_heads by default. d_context: the
    width of a context to attend to. dropout: on the weights, in training. rotary: turns queries and keys by their place.
    """

    def __init__(
        self, d_model: int, num_heads: int, *,
        num_kv_heads: int | None = None, d_head: int | None = None, d_context: int | None = None,
        bias: bool = True, output_bias: bool | None = None, dropout: float = 0.0, rotary: Rotary | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if not 0.0 <= dropout <= 1.0:
            raise ValueError(f"dropout is {dropout}; expected the probability of dropping a weight, between 0 and 1")
        if d_head is None:
            if num_heads < 1 or d_model % num_heads:
                raise ValueError(f"d_model = {d_model} cannot be split evenly among num_heads = {num_heads}; give d_head")
            d_head = d_model // num_heads
        if rotary is not None and rotary.d_head != d_head:
            raise ValueError(f"rotary positions for d_head = {rotary.d_head} do not fit heads of {d_head}")
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if num_kv_heads < 1 or num_heads % num_kv_heads:
            raise ValueError(f"num_heads = {num_heads} query heads cannot share num_kv_heads = {num_kv_heads} evenly")
        d_context = d_model if d_context is None else d_context
        self.num_heads, self.num_kv_heads, self.d_head, self.dropout = num_heads, num_kv_heads, d_head, dropout
        self.query = Linear(d_model, num_heads * d_head, bias=bias)
        self.key = Linear(d_context, num_kv_heads * d_head, bias=bias)
        self.value = Linear(d_context, num_kv_heads * d_head, bias=bias)
        self.output = Linear(num_heads * d_head, d_model, bias=bias if output_bias is None else output_bias)
        self.rotary = rotary

    def forward(
        self, x: Tensor, context: Tensor | None = None, *,
        mask: Tensor | None = None, causal: bool = False, cache: KVCache | None = None, explain: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:  # fmt: skip
        """(B, Tq, d_model) → the same shape, or with ``explain`` also the weights (B, heads, Tq, Tk).

        mask: bool, True = may attend, broadcastable to (B, heads, Tq, Tk). cache: with self-attention, x follows what
        the cache holds (Tk counts both); with a context, the context's keys and values are computed at the first
        call and taken from the cache afterwards.

        Raises ValueError for shapes that do not fit, a cache of another context, and rotary positions with a context;
        TypeError for a mask that is not boolean.
        """
        expect_shape("MultiHeadAttention", x, ("B", "T", self.query.in_features))
        if context is not None:
            expect_shape("MultiHeadAttention's context", context, (x.shape[0], "T", self.key.in_features))
        if context is not None and self.rotary is not None:
            raise ValueError("rotary positions compare places of one sequence; a context's places are another's")
        q = self._split(self.query(x), self.num_heads)  # (B, heads, Tq, d_head)
        if context is not None and cache is not None and cache.length:
            if cache.length != context.shape[1]:
                raise ValueError(f"the cache holds {cache.length} places, but the context has {context.shape[1]}")
            k, v = cache.keys, cache.values
        else:
            source = x if context is None else context
            k = self._split(self.key(source), self.num_kv_heads)  # (B, kv_heads, Tk, d_head)
            v = self._split(self.value(source), self.num_kv_heads)
            if self.rotary is not None:
                offset = 0 if cache is None else cache.length
                q, k = self.rotary(q, offset), self.rotary(k, offset)
            if cache is not None:
                k, v = cache.append(k, v)

        weights = None
        dropout = self.dropout if self.training else 0.0
        if explain:
            y, weights = explained_attention(q, k, v, mask=mask, causal=causal, dropout=dropout)
        else:
            y = attention(q, k, v, mask=mask, causal=causal, dropout=dropout)
        y = self.output(y.transpose(1, 2).flatten(2))  # (B, Tq, heads · d_head) → (B, Tq, d_model)
        return y if weights is None else (y, weights)

    def _split(self, x: Tensor, heads: int) -> Tensor:
        return x.unflatten(-1, (heads, self.d_head)).transpose(1, 2)  # (B, T, heads · d) → (B, heads, T, d)

    def extra_repr(self) -> str:
        return f"num_heads={self.num_heads}, num_kv_heads={self.num_kv_heads}, d_head={self.d_head}"
