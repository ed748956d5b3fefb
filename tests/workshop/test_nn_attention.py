"""Attention: the fused path, the explained path and torch's own agree; masks, grouped queries and the cache keep their word."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from viva.nn.attention import (
    KVCache,
    MultiHeadAttention,
    attention,
    causal_mask,
    explained_attention,
    padding_mask,
)
from viva.nn.positions import Rotary

LIMIT = {torch.float32: 2e-6, torch.float64: 1e-14}
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def drawn(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=dtype, requires_grad=True)


def both(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Output and gradients of the fast path, the same of the explained one, and the weights."""
    upstream = torch.randn(q.shape[:3] + v.shape[-1:], dtype=q.dtype)
    fast = attention(q, k, v, **options)
    slow, weights = explained_attention(q, k, v, **options)
    fast_gradients = torch.autograd.grad(fast, (q, k, v), upstream)
    slow_gradients = torch.autograd.grad(slow, (q, k, v), upstream)
    return [fast, *fast_gradients], [slow, *slow_gradients], weights


def assert_equal(ours: list[Tensor], theirs: list[Tensor], limit: float) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape and torch.isfinite(a).all()
        assert (a - b).detach().abs().max() <= limit * max(1.0, float(b.detach().abs().max()))


def by_definition(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """One number at a time; mask (B, heads, Tq, Tk)."""
    q, k, v = q.detach(), k.detach(), v.detach()
    batch, heads, queries, width = q.shape
    out = torch.zeros(batch, heads, queries, v.shape[-1], dtype=torch.float64)
    group = heads // k.shape[1]
    for b in range(batch):
        for h in range(heads):
            for i in range(queries):
                seen = [j for j in range(k.shape[2]) if mask[b, h, i, j]]
                scores = [math.exp(float(q[b, h, i] @ k[b, h // group, j]) / math.sqrt(width)) for j in seen]
                for j, score in zip(seen, scores, strict=True):
                    out[b, h, i] += score / sum(scores) * v[b, h // group, j]
    return out


# --- The formula -----------------------------------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("queries, keys", [(5, 5), (1, 7), (3, 7)])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_fast_path_equals_explained_path(
    dtype: torch.dtype, kv_heads: int, queries: int, keys: int, causal: bool, masked: bool
) -> None:
    q, k, v = drawn(2, 4, queries, 8, dtype=dtype), drawn(2, kv_heads, keys, 8, dtype=dtype), drawn(2, kv_heads, keys, 8, dtype=dtype)
    mask = padding_mask(torch.tensor([keys, 2]), keys) if masked else None
    fast, slow, weights = both(q, k, v, causal=causal, mask=mask)
    assert_equal(fast, slow, LIMIT[dtype])
    allowed = torch.ones(2, 4, queries, keys, dtype=torch.bool)
    if causal:
        allowed &= causal_mask(queries, keys)
    if mask is not None:
        allowed = allowed & mask
    assert torch.equal(weights > 0, allowed)
    assert_equal([weights.sum(-1)], [torch.ones(2, 4, queries, dtype=dtype)], LIMIT[dtype])
    if dtype == torch.float64:
        assert_equal([fast[0]], [by_definition(q, k, v, allowed)], LIMIT[dtype])


def test_fast_path_equals_explained_path_beyond_one_block_of_the_kernel() -> None:
    q, k, v = drawn(1, 2, 700, 16), drawn(1, 2, 700, 16), drawn(1, 2, 700, 16)
    for options in ({}, {"causal": True}, {"mask": padding_mask(torch.tensor([650]), 700), "causal": True}):
        fast, slow, _ = both(q, k, v, **options)
        assert_equal(fast, slow, 1e-13)


def test_values_may_be_wider_than_keys_and_the_scale_is_free() -> None:
    fast, slow, _ = both(drawn(2, 2, 3, 4), drawn(2, 2, 5, 4), drawn(2, 2, 5, 6), scale=0.3)
    assert fast[0].shape == (2, 2, 3, 6)
    assert_equal(fast, slow, 1e-14)


def test_bfloat16_stays_bfloat16_and_near_float32() -> None:
    q, k, v = (torch.randn(2, 4, 9, 16) for _ in range(3))
    half = attention(q.bfloat16(), k.bfloat16(), v.bfloat16(), causal=True)
    assert half.dtype == torch.bfloat16
    assert (half.float() - attention(q, k, v, causal=True)).abs().max() < 0.05


@settings(max_examples=60)
@given(data=st.data())
def test_any_broadcastable_mask_gives_both_paths_the_same_numbers(data: st.DataObject) -> None:
    batch, kv_heads, group = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2)), data.draw(st.integers(1, 3))
    queries, keys = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 6))
    full = (batch, kv_heads * group, queries, keys)
    shape = [size if data.draw(st.booleans()) else 1 for size in full][data.draw(st.integers(0, 3)) :]
    flags = data.draw(st.lists(st.booleans(), min_size=math.prod(shape), max_size=math.prod(shape)))
    mask = torch.tensor(flags).reshape(shape)
    causal = queries <= keys and data.draw(st.booleans())
    q, k, v = drawn(batch, kv_heads * group, queries, 4), drawn(batch, kv_heads, keys, 4), drawn(batch, kv_heads, keys, 4)
    fast, slow, weights = both(q, k, v, mask=mask, causal=causal)
    assert_equal(fast, slow, 1e-13)
    allowed = (mask & causal_mask(queries, keys) if causal else mask).expand(full)
    assert torch.equal(weights > 0, allowed)
    assert_equal([fast[0]], [by_definition(q, k, v, allowed)], 1e-13)


# --- Rows with nothing to attend to ----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@DTYPES
def test_a_query_that_sees_nothing_gets_zeros_and_passes_no_gradient(dtype: torch.dtype) -> None:
    q, k, v = drawn(2, 2, 3, 4, dtype=dtype), drawn(2, 2, 5, 4, dtype=dtype), drawn(2, 2, 5, 4, dtype=dtype)
    mask = torch.ones(2, 1, 3, 5, dtype=torch.bool)
    mask[0, :, 1] = False
    fast, slow, weights = both(q, k, v, mask=mask)
    for out, to_q, *_ in (fast, slow):
        assert out[0, :, 1].abs().max() == 0 == to_q[0, :, 1].abs().max()
    assert weights[0, :, 1].abs().max() == 0
    assert_equal(fast, slow, LIMIT[dtype])
    with torch.autograd.detect_anomaly(check_nan=True):  # no nan in between either
        explained_attention(q, k, v, mask=mask)[0].sum().backward()


def test_a_text_of_padding_alone_gets_zeros() -> None:
    mask = padding_mask(torch.tensor([0, 3]), 3)
    fast, slow, _ = both(drawn(2, 2, 3, 4), drawn(2, 2, 3, 4), drawn(2, 2, 3, 4), mask=mask, causal=True)
    assert fast[0][0].abs().max() == 0 and fast[0][1].abs().min() > 0
    assert_equal(fast, slow, 1e-14)


# --- What attention is -----------------------------------------------------------------------------------------------


def test_without_positions_attention_does_not_know_the_order() -> None:
    layer = MultiHeadAttention(16, 4).double()
    x, order = torch.randn(2, 7, 16).double(), torch.randperm(7)
    assert_equal([layer(x[:, order])], [layer(x)[:, order]], 1e-14)


def test_rotary_positions_and_causal_masks_make_it_know_the_order() -> None:
    x, order = torch.randn(2, 7, 16).double(), torch.tensor([1, 0, 2, 3, 4, 5, 6])
    for layer, causal in ((MultiHeadAttention(16, 4, rotary=Rotary(4)).double(), False), (MultiHeadAttention(16, 4).double(), True)):
        assert (layer(x[:, order], causal=causal) - layer(x, causal=causal)[:, order]).abs().max() > 1e-3


def test_the_root_keeps_the_variance_of_scores_at_one() -> None:
    for width in (4, 64, 1024):
        q, k = torch.randn(1, 1, 400, width), torch.randn(1, 1, 400, width)
        scores = q @ k.transpose(-2, -1)
        assert float(scores.var()) == pytest.approx(width, rel=0.1)
        _, weights = explained_attention(q, k, k)
        logs = weights.log()  # scores up to a constant in each row
        assert float((logs - logs.mean(-1, keepdim=True)).var()) == pytest.approx(1.0, rel=0.1)


def test_the_future_has_no_influence() -> None:
    layer = MultiHeadAttention(8, 2).double()
    x = torch.randn(1, 6, 8).double()
    changed = x.clone()
    changed[:, 4:] += 1
    before, after = layer(x, causal=True), layer(changed, causal=True)
    assert torch.equal(before[:, :4], after[:, :4])
    assert (before[:, 4:] - after[:, 4:]).abs().min() > 0


def test_dropout_drops_weights_at_its_rate_and_keeps_their_mean() -> None:
    q, k, v = torch.zeros(1, 1, 400, 4), torch.zeros(1, 1, 50, 4), torch.ones(1, 1, 50, 4)
    for out in (attention(q, k, v, dropout=0.4), explained_attention(q, k, v, dropout=0.4)[0]):
        assert float(out.mean()) == pytest.approx(1.0, abs=0.05) and float(out.std()) > 0.05
    layer = MultiHeadAttention(8, 2, dropout=0.5)
    x = torch.randn(1, 5, 8)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))


# --- Masks -----------------------------------------------------------------------------------------------------------


@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=5), extra=st.integers(0, 3))
def test_the_padding_mask_lets_exactly_the_words_through(lengths: list[int], extra: int) -> None:
    longest = max(lengths) + extra
    mask = padding_mask(torch.tensor(lengths), longest)
    assert mask.shape == (len(lengths), 1, 1, longest) and mask.dtype == torch.bool
    assert mask.sum(-1).flatten().tolist() == lengths
    assert all(not row[n:].any() for row, n in zip(mask[:, 0, 0], lengths, strict=True))


@given(queries=st.integers(0, 6), keys=st.integers(0, 8), offset=st.none() | st.integers(-3, 8))
def test_the_causal_mask_allows_the_past_and_the_present(queries: int, keys: int, offset: int | None) -> None:
    mask = causal_mask(queries, keys, offset)
    shift = keys - queries if offset is None else offset
    assert mask.tolist() == [[j <= i + shift for j in range(keys)] for i in range(queries)]


# --- The layer -------------------------------------------------------------------------------------------------------


def as_torch(ours: MultiHeadAttention, theirs: nn.MultiheadAttention) -> None:
    parts = (ours.query, ours.key, ours.value)
    with torch.no_grad():
        if theirs.in_proj_weight is not None:
            theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        else:
            for name, part in zip("qkv", parts, strict=True):
                getattr(theirs, f"{name}_proj_weight").copy_(part.weight)
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(ours.output.state_dict())


@DTYPES
@pytest.mark.parametrize("cross", [False, True])
def test_multi_head_attention_equals_torch(dtype: torch.dtype, cross: bool) -> None:
    ours = MultiHeadAttention(12, 3, d_context=10 if cross else None).to(dtype)
    theirs = nn.MultiheadAttention(12, 3, kdim=10 if cross else None, vdim=10 if cross else None, batch_first=True).to(dtype)
    as_torch(ours, theirs)
    x = torch.randn(2, 5, 12, dtype=dtype, requires_grad=True)
    context = torch.randn(2, 4, 10, dtype=dtype, requires_grad=True) if cross else x
    lengths = torch.tensor([4, 2])
    mask = padding_mask(lengths, context.shape[1])
    y, weights = ours(x, context if cross else None, mask=mask, explain=True)
    y_torch, weights_torch = theirs(x, context, context, key_padding_mask=~mask[:, 0, 0], average_attn_weights=False)
    limit = LIMIT[dtype]
    assert_equal([y, weights], [y_torch, weights_torch], limit)
    assert_equal([ours(x, context if cross else None, mask=mask)], [y_torch], limit)
    upstream = torch.randn_like(y)
    names = ("query", "key", "value")
    mine = torch.autograd.grad(y, [x, *(getattr(ours, name).weight for name in names), *(getattr(ours, name).bias for name in names)], upstream)
    theirs_in = [theirs.in_proj_weight] if theirs.in_proj_weight is not None else [theirs.q_proj_weight, theirs.k_proj_weight, theirs.v_proj_weight]
    other = torch.autograd.grad(y_torch, [x, *theirs_in, theirs.in_proj_bias], upstream)
    weight_gradients = list(other[1].chunk(3)) if len(theirs_in) == 1 else list(other[1:4])
    assert_equal(list(mine), [other[0], *weight_gradients, *other[-1].chunk(3)], 5 * limit)


def test_causal_multi_head_attention_equals_torch() -> None:
    ours, theirs = MultiHeadAttention(12, 3).double(), nn.MultiheadAttention(12, 3, batch_first=True).double()
    as_torch(ours, theirs)
    x = torch.randn(2, 5, 12).double()
    forbidden = torch.ones(5, 5, dtype=torch.bool).triu(1)
    assert_equal([ours(x, causal=True)], [theirs(x, x, x, attn_mask=forbidden, need_weights=False)[0]], 1e-14)


def test_the_options_of_the_layer_shape_its_projections() -> None:
    layer = MultiHeadAttention(12, 4, num_kv_heads=2, d_head=5, d_context=7, bias=False, output_bias=True)
    assert {name: tuple(weight.shape) for name, weight in layer.named_parameters()} == {
        "query.weight": (20, 12), "key.weight": (10, 7), "value.weight": (10, 7), "output.weight": (12, 20), "output.bias": (12,),
    }  # fmt: skip
    y, weights = layer(torch.randn(2, 3, 12), torch.randn(2, 6, 7), explain=True)
    assert y.shape == (2, 3, 12) and weights.shape == (2, 4, 3, 6)
    assert_equal([layer(x := torch.randn(2, 3, 12), c := torch.randn(2, 6, 7))], [layer(x, c, explain=True)[0]], 2e-6)


def test_the_layer_compiles_without_a_break() -> None:
    layer = MultiHeadAttention(16, 4, num_kv_heads=2, rotary=Rotary(4, max_length=32)).eval()
    x, mask = torch.randn(2, 6, 16), padding_mask(torch.tensor([6, 3]), 6)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    for options in ({}, {"causal": True}, {"mask": mask, "causal": True}):
        assert_equal([compiled(x, **options)], [layer(x, **options)], 2e-6)


# --- The cache -------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(data=st.data())
def test_decoding_in_chunks_with_a_cache_equals_the_whole_sequence_at_once(data: st.DataObject) -> None:
    chunks = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    kv_heads, rotary = data.draw(st.sampled_from([4, 2, 1])), Rotary(4, max_length=64) if data.draw(st.booleans()) else None
    layer = MultiHeadAttention(16, 4, num_kv_heads=kv_heads, rotary=rotary).double()
    x = torch.randn(2, sum(chunks), 16).double()
    cache = KVCache(data.draw(st.integers(0, 10)))
    with torch.no_grad():
        whole = layer(x, causal=True)
        parts = [layer(part, causal=True, cache=cache) for part in x.split(chunks, dim=1)]
    assert cache.length == sum(chunks)
    assert_equal([torch.cat(parts, dim=1)], [whole], 1e-13)


def test_decoding_with_a_padded_prompt_equals_the_whole_sequence_at_once() -> None:
    layer, cache = MultiHeadAttention(16, 4, num_kv_heads=2).double(), KVCache()
    x, real = torch.randn(2, 6, 16).double(), torch.ones(2, 1, 1, 6, dtype=torch.bool)
    real[0, ..., :2] = False  # padding on the left: the first two places of the first text
    with torch.no_grad():
        whole = layer(x, mask=real, causal=True)
        parts = [layer(x[:, :4], mask=real[..., :4], causal=True, cache=cache)]
        parts += [layer(x[:, t : t + 1], mask=real[..., : t + 1], causal=True, cache=cache) for t in (4, 5)]
    assert_equal([torch.cat(parts, dim=1)], [whole], 1e-14)


def test_the_cache_allocates_rarely_and_hands_out_views() -> None:
    cache, places = KVCache(4), set()
    written = []
    for _ in range(40):
        k, v = torch.randn(2, 2, 1, 3), torch.randn(2, 2, 1, 3)
        written.append(k)
        keys, values = cache.append(k, v)
        places.add(keys.untyped_storage().data_ptr())
        assert keys._is_view() and keys.data_ptr() == cache.keys.data_ptr() and values.shape == keys.shape
    assert len(places) <= 5  # 4, 8, 16, 32, 64
    assert torch.equal(cache.keys, torch.cat(written, dim=2))


def test_reordering_the_cache_moves_whole_beams() -> None:
    cache = KVCache()
    k, v = torch.randn(3, 2, 4, 5), torch.randn(3, 2, 4, 5)
    cache.append(k, v)
    cache.reorder(torch.tensor([2, 2, 0, 1]))  # the number of beams may change
    assert torch.equal(cache.keys, k[[2, 2, 0, 1]]) and torch.equal(cache.values, v[[2, 2, 0, 1]])
    more = torch.randn(4, 2, 1, 5)
    keys, _ = cache.append(more, more)
    assert torch.equal(keys, torch.cat((k[[2, 2, 0, 1]], more), dim=2))
    KVCache().reorder(torch.tensor([0]))  # nothing to move yet


def test_a_context_is_projected_once_and_kept() -> None:
    layer, cache = MultiHeadAttention(8, 2, d_context=6).double(), KVCache(0)
    x, context = torch.randn(2, 4, 8).double(), torch.randn(2, 5, 6).double()
    with torch.no_grad():
        whole = layer(x, context)
        steps = [layer(x[:, :1], context, cache=cache)]
        layer.key.weight.zero_()  # whoever projected again would notice
        steps += [layer(x[:, t : t + 1], context, cache=cache) for t in range(1, 4)]
    assert cache.length == 5
    assert_equal([torch.cat(steps, dim=1)], [whole], 1e-14)


# --- Errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: attention(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4), torch.zeros(2, 3, 4)), r"\(2, 3, 4\)"),
        (lambda: attention(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 5), torch.zeros(1, 2, 3, 4)), r"\(1, 2, 3, 4\).*\(1, 2, 3, 5\)"),
        (lambda: attention(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 2, 4)), r"\(1, 2, 3, 4\).*\(1, 2, 2, 4\)"),
        (lambda: attention(torch.zeros(1, 3, 3, 4), torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4)), "3 query heads cannot share 2"),
        (lambda: attention(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4), causal=True), "fewer keys"),
        (lambda: MultiHeadAttention(10, 3), "d_model = 10.*num_heads = 3"),
        (lambda: MultiHeadAttention(10, 0), "num_heads = 0"),
        (lambda: MultiHeadAttention(12, 4, num_kv_heads=3), "num_heads = 4.*num_kv_heads = 3"),
        (lambda: MultiHeadAttention(8, 2)(torch.zeros(2, 3, 7)), r"\(2, 3, 7\).*\(B, T, 8\)"),
        (lambda: MultiHeadAttention(8, 2)(torch.zeros(2, 3, 8), torch.zeros(1, 3, 8)), r"\(1, 3, 8\).*\(2, T, 8\)"),
        (lambda: MultiHeadAttention(8, 2, rotary=Rotary(4))(torch.zeros(2, 3, 8), torch.zeros(2, 3, 8)), "rotary"),
        (lambda: padding_mask(torch.zeros(2, 2), 3), r"torch.float32 of shape \(2, 2\)"),
        (lambda: KVCache().keys, "empty"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_both_shapes(call: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()


def test_masks_that_are_not_boolean_or_do_not_broadcast_are_refused() -> None:
    q = torch.zeros(2, 4, 3, 4)
    for path in (attention, explained_attention):
        with pytest.raises(TypeError, match=r"mask is torch.float32; expected torch.bool"):
            path(q, q, q, mask=torch.zeros(3, 3))
        with pytest.raises(ValueError, match=r"mask \(2, 3, 3\).*\(2, 4, 3, 3\)"):  # one for each text needs (2, 1, 3, 3)
            path(q, q, q, mask=torch.ones(2, 3, 3, dtype=torch.bool))
        with pytest.raises(TypeError, match=r"torch.float64"):
            path(q, q.double(), q)


def test_the_cache_refuses_another_text() -> None:
    cache = KVCache()
    cache.append(torch.zeros(2, 2, 3, 4), torch.zeros(2, 2, 3, 4))
    with pytest.raises(ValueError, match=r"\(3, 2, 1, 4\)"):
        cache.append(torch.zeros(3, 2, 1, 4), torch.zeros(3, 2, 1, 4))
    layer = MultiHeadAttention(8, 2)
    with pytest.raises(ValueError, match="holds 3 places, but the context has 5"):
        layer(torch.zeros(2, 1, 8), torch.zeros(2, 5, 8), cache=cache)
