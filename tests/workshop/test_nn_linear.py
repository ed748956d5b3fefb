"""The linear layer and the embedding: equal to torch.nn, and clear about what they refuse."""

from __future__ import annotations

import pytest
import torch
from agreement import assert_equal, assert_same_function, assert_same_layer, random
from torch import nn as peer

from viva.nn import Embedding, Linear, linear

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@DTYPES
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("leading", [(), (5,), (2, 3)])
def test_linear_equals_torch(leading: tuple[int, ...], bias: bool, dtype: torch.dtype) -> None:
    assert_same_layer(Linear(4, 3, bias), peer.Linear(4, 3, bias), random(*leading, 4), dtype=dtype)


@DTYPES
def test_the_function_is_a_matrix_product_plus_a_bias(dtype: torch.dtype) -> None:
    inputs = (random(5, 4, dtype=dtype), random(3, 4, seed=1, dtype=dtype), random(3, seed=2, dtype=dtype))
    assert_same_function(linear, lambda x, w, b: torch.einsum("ni,oi->no", x, w) + b, *inputs)


def test_two_linear_layers_without_an_activation_are_one() -> None:
    first, second = Linear(4, 6, bias=False).double(), Linear(6, 3, bias=False).double()
    x = random(5, 4)
    assert_equal(second(first(x)).detach(), linear(x, second.weight @ first.weight).detach())


def test_linear_starts_where_torch_starts() -> None:
    torch.manual_seed(3)
    ours = Linear(64, 16)
    torch.manual_seed(3)
    theirs = peer.Linear(64, 16)
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)
    assert ours.weight.abs().max() <= 1 / 8 and ours.weight.abs().max() > 0.99 / 8


def test_linear_names_both_shapes() -> None:
    with pytest.raises(ValueError, match=r"\(2, 5\), expected \(\.\.\., 4\)"):
        Linear(4, 3)(torch.zeros(2, 5))


def test_linear_names_both_dtypes() -> None:
    with pytest.raises(TypeError, match=r"torch.float64 for weights of torch.float32"):
        Linear(4, 3)(torch.zeros(2, 4, dtype=torch.float64))
    with pytest.raises(TypeError, match=r"torch.int64, expected floating point"):
        Linear(4, 3)(torch.zeros(2, 4, dtype=torch.int64))


def test_autocast_may_mix_dtypes() -> None:
    layer = Linear(4, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.zeros(2, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0)])
def test_linear_without_units_is_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Linear(*sizes)


@DTYPES
@pytest.mark.parametrize("padding_index", [None, 2])
@pytest.mark.parametrize("ids", [torch.tensor([[0, 2, 2], [4, 1, 0]]), torch.tensor([3, 3, 2], dtype=torch.int32)], ids=["int64", "int32"])
def test_embedding_equals_torch(ids: torch.Tensor, padding_index: int | None, dtype: torch.dtype) -> None:
    assert_same_layer(Embedding(5, 3, padding_index), peer.Embedding(5, 3, padding_index), ids, dtype=dtype)


def test_looking_up_is_multiplying_with_one_hot_vectors() -> None:
    table = Embedding(5, 3)
    ids = torch.tensor([4, 0, 4])
    assert torch.equal(table(ids), torch.eye(5)[ids] @ table.weight)


def test_the_padding_row_is_zero_and_gets_no_gradient() -> None:
    table = Embedding(5, 3, padding_index=2)
    table(torch.tensor([2, 1, 2])).sum().backward()
    assert torch.equal(table.weight[2], torch.zeros(3)) and torch.equal(table.weight.grad[2], torch.zeros(3))
    assert torch.equal(table.weight.grad[1], torch.ones(3))


def test_embedding_starts_from_a_standard_normal() -> None:
    torch.manual_seed(0)
    weight = Embedding(1000, 64).weight
    assert abs(weight.mean()) < 0.02 and abs(weight.std() - 1) < 0.02


@pytest.mark.parametrize("wrong", [50300, 50257, -1])
def test_an_id_outside_the_vocabulary_is_named(wrong: int) -> None:
    with pytest.raises(ValueError, match=f"token id {wrong} is outside the vocabulary of 50257"):
        Embedding(50257, 1)(torch.tensor([[3, wrong]]))


def test_embedding_refuses_ids_that_are_no_integers() -> None:
    with pytest.raises(TypeError, match=r"torch.float32, expected torch.int64"):
        Embedding(5, 3)(torch.zeros(2))


@pytest.mark.parametrize("padding_index", [-1, 5])
def test_a_padding_index_outside_the_vocabulary_is_refused(padding_index: int) -> None:
    with pytest.raises(ValueError, match="outside the vocabulary of 5"):
        Embedding(5, 3, padding_index)
