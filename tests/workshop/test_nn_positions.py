"""Positions: sinusoids shift linearly, rotations depend on distance alone, and both equal their references."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from parity import reference
from torch import Tensor

from viva.nn.attention import explained_attention
from viva.nn.positions import LearnedPositions, Rotary, SinusoidalPositions, sinusoidal

# --- Sinusoidal ------------------------------------------------------------------------------------------------------


def test_the_sinusoidal_table_is_the_formula_of_the_paper() -> None:
    table = sinusoidal(50, 12)
    assert table.shape == (50, 12) and table.dtype == torch.float64
    for t in (0, 1, 7, 49):
        for i in range(6):
            angle = t / 10000 ** (2 * i / 12)
            assert float(table[t, 2 * i]) == pytest.approx(math.sin(angle), abs=1e-14)
            assert float(table[t, 2 * i + 1]) == pytest.approx(math.cos(angle), abs=1e-14)


@given(shift=st.integers(0, 40), half=st.integers(1, 16))
def test_a_shift_is_one_linear_map_for_all_places(shift: int, half: int) -> None:
    table = sinusoidal(100, 2 * half)
    angles = shift / 10000.0 ** (torch.arange(half, dtype=torch.float64) / half)
    blocks = [torch.tensor([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]], dtype=torch.float64) for a in angles.tolist()]
    assert (table[: 100 - shift] @ torch.block_diag(*blocks).T - table[shift:]).abs().max() < 1e-12


def test_similarity_of_sinusoids_depends_on_the_distance_alone() -> None:
    similar = sinusoidal(30, 16) @ sinusoidal(30, 16).T
    for distance in range(30):
        diagonal = similar.diagonal(distance)
        assert (diagonal - diagonal[0]).abs().max() < 1e-12
    assert similar[0, 0] >= similar.max() - 1e-12 and similar[0, 0] > similar[0, 1:].max()


@pytest.mark.parametrize("make", [SinusoidalPositions, LearnedPositions])
def test_positions_are_rows_from_an_offset_on(make: Callable[[int, int], Any]) -> None:
    positions = make(10, 6)
    assert positions(10).shape == (10, 6)
    assert torch.equal(positions(3, offset=4), positions(10)[4:7])
    assert positions(0).shape == (0, 6)


def test_sinusoids_are_no_parameters_and_learned_positions_are() -> None:
    assert not list(SinusoidalPositions(10, 6).parameters()) and not SinusoidalPositions(10, 6).state_dict()
    assert {name: tuple(weight.shape) for name, weight in LearnedPositions(10, 6).state_dict().items()} == {"weight": (10, 6)}
    learned = LearnedPositions(10, 6)
    learned(4, offset=2).sum().backward()
    assert learned.weight.grad is not None and learned.weight.grad.sum(1).tolist() == [0, 0, 6, 6, 6, 6, 0, 0, 0, 0]


def test_the_tables_are_exact_in_every_dtype_whatever_came_before() -> None:
    positions, rotary = SinusoidalPositions(40, 8), Rotary(8, max_length=40, precision=torch.float64)
    positions.bfloat16().double()
    rotary.bfloat16().double()
    assert torch.equal(positions(40), sinusoidal(40, 8))
    assert torch.equal(rotary.table, Rotary(8, max_length=40, precision=torch.float64).double().table)
    with torch.device("meta"):
        hollow = SinusoidalPositions(40, 8)
    assert hollow.table.is_meta
    assert torch.equal(hollow.to_empty(device="cpu")(40), sinusoidal(40, 8).float())


# --- Rotary ----------------------------------------------------------------------------------------------------------


def turned(vector: Tensor, place: int, rotary: Rotary) -> Tensor:
    return rotary(vector.reshape(1, 1, 1, -1), offset=place).flatten()


@settings(max_examples=60)
@given(m=st.integers(0, 400), n=st.integers(0, 400), shift=st.integers(0, 90), half=st.integers(1, 8))
def test_the_product_of_query_and_key_depends_on_their_distance_alone(m: int, n: int, shift: int, half: int) -> None:
    rotary = Rotary(2 * half, max_length=512, precision=torch.float64).double()
    q, k = torch.randn(2, 2 * half, dtype=torch.float64)
    here = turned(q, m, rotary) @ turned(k, n, rotary)
    there = turned(q, m + shift, rotary) @ turned(k, n + shift, rotary)
    assert abs(float(here - there)) < 1e-11
    if m >= n:
        assert abs(float(here - turned(q, m - n, rotary) @ k)) < 1e-11


def test_rotation_keeps_lengths_and_leaves_place_zero_alone() -> None:
    rotary, x = Rotary(8, max_length=64).double(), torch.randn(2, 3, 64, 8, dtype=torch.float64)
    y = rotary(x)
    assert torch.equal(y[:, :, 0], x[:, :, 0])
    assert (y.norm(dim=-1) - x.norm(dim=-1)).abs().max() < 1e-6  # the angles are float32's


def test_rotation_is_multiplication_with_a_complex_number() -> None:
    rotary, x = Rotary(6, base=500.0, max_length=20, precision=torch.float64).double(), torch.randn(1, 1, 20, 6, dtype=torch.float64)
    number = torch.complex(x[..., :3], x[..., 3:])
    angles = torch.outer(torch.arange(20.0, dtype=torch.float64), 500.0 ** (-torch.arange(0, 6, 2, dtype=torch.float64) / 6))
    number = number * torch.polar(torch.ones_like(angles), angles)
    assert (rotary(x) - torch.cat((number.real, number.imag), -1)).abs().max() < 1e-12


def test_an_offset_continues_where_the_past_ended() -> None:
    rotary, x = Rotary(4, max_length=16), torch.randn(2, 1, 10, 4)
    assert torch.equal(torch.cat((rotary(x[:, :, :7]), rotary(x[:, :, 7:], offset=7)), dim=2), rotary(x))


def test_attention_weights_do_not_change_when_all_places_shift() -> None:
    rotary = Rotary(8, max_length=200, precision=torch.float64).double()
    q, k = torch.randn(2, 1, 2, 9, 8, dtype=torch.float64)
    _, here = explained_attention(rotary(q), rotary(k), k, causal=True)
    _, there = explained_attention(rotary(q, 150), rotary(k, 150), k, causal=True)
    assert (here - there).abs().max() < 1e-12


@pytest.mark.parametrize("family", ["llama", "mixtral"])
@pytest.mark.parametrize("dtype, limit", [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_rotary_positions_equal_transformers(family: str, dtype: torch.dtype, limit: float) -> None:
    reference("transformers")
    module = reference(f"transformers.models.{family}.modeling_{family}")
    configs = reference(f"transformers.models.{family}.configuration_{family}")
    name = family.capitalize()
    config = getattr(configs, f"{name}Config")(hidden_size=64, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512)
    theta = getattr(config, "rope_theta", None) or config.rope_parameters["rope_theta"]
    theirs = getattr(module, f"{name}RotaryEmbedding")(config).to(dtype)
    ours = Rotary(16, base=theta, max_length=512).to(dtype)
    q, k = torch.randn(2, 4, 300, 16, dtype=dtype, requires_grad=True), torch.randn(2, 2, 300, 16, dtype=dtype, requires_grad=True)
    cos, sin = theirs(q, torch.arange(100, 400)[None])
    their_q, their_k = module.apply_rotary_pos_emb(q, k, cos, sin)
    for mine, other, source in ((ours(q, 100), their_q, q), (ours(k, 100), their_k, k)):
        upstream = torch.randn_like(mine)
        gradients = [torch.autograd.grad(y, source, upstream, retain_graph=True)[0] for y in (mine, other)]
        assert (mine - other).abs().max() <= limit * 4
        assert (gradients[0] - gradients[1]).abs().max() <= limit * 4


def test_rotation_keeps_the_dtype() -> None:
    rotary = Rotary(8, max_length=16)
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        assert rotary(torch.zeros(1, 1, 3, 8, dtype=dtype)).dtype == dtype


# --- Errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: sinusoidal(4, 5), "d_model = 5 is odd"),
        (lambda: Rotary(5), "d_head = 5 is odd"),
        (lambda: SinusoidalPositions(8, 4)(9), "place 9.*positions for 8"),
        (lambda: LearnedPositions(8, 4)(3, offset=6), "place 9.*positions for 8"),
        (lambda: Rotary(4, max_length=8)(torch.zeros(1, 1, 3, 4), offset=6), "place 9.*positions for 8"),
        (lambda: Rotary(4)(torch.zeros(1, 1, 3, 6)), r"d_head = 4.*\(1, 1, 3, 6\)"),
        (lambda: LearnedPositions(8, 4)(3, offset=-2), "offset = -2"),
    ],
)
def test_what_does_not_fit_is_refused(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()
