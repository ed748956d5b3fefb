"""The multilayer perceptron: equal to torch.nn's layers, its sizes, its starts, its errors."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from parity import check_parity
from torch import nn

from viva.models.checkpoint import Layout
from viva.models.mlp import ACTIVATIONS, INITIALISATIONS, MLP, mlp_300, mlp_300_100
from viva.models.summary import count_parameters, mult_adds

TORCH = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


def plain(sizes, activation="relu", dropout=0.0):
    """The same network from torch.nn alone, and how its layers are numbered."""
    layers, pairs = [nn.Flatten()], []
    for index, (n, m) in enumerate(pairwise(sizes)):
        if index:
            layers += [TORCH[activation](), nn.Dropout(dropout)]
        pairs.append((f"layers.{index}", str(len(layers))))
        layers.append(nn.Linear(n, m))
    return nn.Sequential(*layers), Layout(*pairs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "build", "sizes"), [
    ("mlp_300", mlp_300, (784, 300, 10)),
    ("mlp_300_100", mlp_300_100, (784, 300, 100, 10)),
])  # fmt: skip
def test_equals_torch_and_its_record(name, build, sizes, dtype, record):
    theirs, layout = plain(sizes)
    record(name, check_parity(build(), theirs, torch.randn(8, 1, 28, 28), layout=layout, dtype=dtype))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_equals_torch_with_every_activation_and_in_training_with_dropout(activation):
    theirs, layout = plain((6, 5, 4, 3), activation, dropout=0.5)
    ours = MLP((6, 5, 4, 3), activation, dropout=0.5)
    check_parity(ours.train(), theirs.train(), torch.randn(16, 6), layout=layout, dtype=torch.float64)
    check_parity(ours.eval(), theirs.eval(), torch.randn(16, 6), layout=layout, dtype=torch.float64)


@pytest.mark.parametrize(("build", "parameters", "work"), [(mlp_300, 238_510, 238_200), (mlp_300_100, 266_610, 266_200)])
def test_sizes_are_exact(build, parameters, work):
    # (n + 1)·m parameters and n·m multiply-adds from layer to layer
    model = build()
    assert count_parameters(model) == parameters
    assert mult_adds(model, torch.zeros(1, 1, 28, 28)) == work


def test_without_an_activation_depth_adds_nothing():
    model = MLP((4, 6, 3))
    model.activation = nn.Identity()
    first, second = model.layers
    x = torch.randn(5, 4)
    folded = x @ (second.weight @ first.weight).T + second.weight @ first.bias + second.bias
    torch.testing.assert_close(model(x), folded)


@pytest.mark.parametrize(("name", "std"), [
    ("torch", 1 / math.sqrt(3 * 400)),
    ("he", math.sqrt(2 / 400)),
    ("xavier", math.sqrt(2 / 700)),
    ("uniform", 0.1 / math.sqrt(3)),
])  # fmt: skip
def test_initialisations_have_their_variance(name, std):
    weight = MLP((400, 300, 2), initialisation=name).layers[0].weight
    assert float(weight.detach().std()) == pytest.approx(std, rel=0.02)
    assert abs(float(weight.detach().mean())) < std / 50


def test_orthogonal_initialisation_keeps_lengths():
    weight = MLP((64, 64, 2), initialisation="orthogonal").layers[0].weight.detach()
    torch.testing.assert_close(weight @ weight.T, torch.eye(64), atol=1e-5, rtol=0)


def test_he_initialisation_keeps_the_signal_through_twenty_relu_layers_and_torchs_loses_it():
    x = torch.randn(64, 256)
    sizes = (256,) * 21
    kept = MLP(sizes, initialisation="he")(x).detach().std()
    lost = MLP(sizes, initialisation="torch")(x).detach().std()
    assert 0.2 < float(kept) < 5
    assert float(lost) < 0.05


def test_a_constant_start_keeps_the_units_of_a_layer_equal_for_ever():
    model = MLP((4, 6, 3), initialisation="constant")
    descent = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        descent.zero_grad()
        nn.functional.cross_entropy(model(torch.randn(16, 4)), torch.randint(3, (16,))).backward()
        descent.step()
    hidden = model.layers[0].weight.detach()
    assert not torch.equal(hidden, torch.full_like(hidden, 0.1))  # it did learn something,
    torch.testing.assert_close(hidden, hidden[:1].expand_as(hidden))  # the same in all units


def test_starting_again_changes_all_weights_and_zeroes_the_biases():
    model = MLP((4, 6, 3))
    before = [layer.weight.clone() for layer in model.layers]
    model.initialise("he")
    assert all(not torch.equal(layer.weight, old) for layer, old in zip(model.layers, before, strict=True))
    assert all(float(layer.bias.detach().abs().sum()) == 0 for layer in model.layers)


@pytest.mark.parametrize(("arguments", "words"), [
    ({"sizes": (4,)}, "sizes"),
    ({"sizes": (4, 0, 2)}, "sizes"),
    ({"sizes": (4, 2), "activation": "swoosh"}, "swoosh.*relu"),
    ({"sizes": (4, 2), "initialisation": "magic"}, "magic.*xavier"),
])  # fmt: skip
def test_impossible_settings_are_refused_in_words(arguments, words):
    with pytest.raises(ValueError, match=words):
        MLP(**arguments)


def test_bad_inputs_are_refused_with_both_sizes():
    model = MLP((784, 10))
    with pytest.raises(ValueError, match=r"\(2, 1, 32, 32\).*784"):
        model(torch.zeros(2, 1, 32, 32))
    with pytest.raises(ValueError, match=r"\(784,\).*784"):
        model(torch.zeros(784))
    with pytest.raises(TypeError, match=r"uint8.*float"):
        model(torch.zeros(2, 784, dtype=torch.uint8))
    with pytest.raises(TypeError, match=r"float64.*float32"):
        model(torch.zeros(2, 784, dtype=torch.float64))


def test_every_name_in_the_tables_builds():
    for activation in ACTIVATIONS:
        for initialisation in INITIALISATIONS:
            assert MLP((3, 4, 2), activation, initialisation=initialisation)(torch.randn(2, 3)).shape == (2, 2)


def test_traces_without_a_graph_break_and_runs_in_bfloat16():
    model = MLP((6, 5, 3), dropout=0.1).eval()
    x = torch.randn(4, 6)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), model(x))
    assert model.bfloat16()(x.bfloat16()).dtype == torch.bfloat16
