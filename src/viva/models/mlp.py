"""Multilayer perceptron: layers in which every output sees every input, with a bend between them.

    h_0 = x,   h_l = dropout(φ(W_l h_{l-1} + b_l)),   logits = W_L h_{L-1} + b_L

An image (N, 1, 28, 28) is flattened to (N, 784): the network does not know which pixels are neighbours. A layer from n to m
units has (n + 1)·m parameters and n·m multiply-adds. Without φ the product W_L … W_1 would be one matrix, so depth would add
nothing; with it, one hidden layer already approximates any continuous function on a compact set (Cybenko 1989; Hornik 1991),
though perhaps only with very many units. The named sizes are those of LeCun, Bottou, Bengio and Haffner 1998,
"Gradient-based learning applied to document recognition", Section III-C.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import Module, ModuleList

from viva.models.catalogue import published
from viva.models.checkpoint import Layout
from viva.nn import (
    GELU,
    Dropout,
    LeakyReLU,
    Linear,
    ReLU,
    Sigmoid,
    SiLU,
    Tanh,
    constant_,
    he_normal_,
    orthogonal_,
    uniform_,
    xavier_uniform_,
)
from viva.nn.shapes import expect_tensor

ACTIVATIONS: dict[str, Callable[[], Module]] = {
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "gelu": GELU,
    "silu": SiLU,
}

# How the weights start; the biases start at 0, except under "torch", which leaves what Linear chose: U(±1/√fan_in) for both.
INITIALISATIONS: dict[str, Callable[[Tensor], object] | None] = {
    "torch": None,
    "he": he_normal_,  # Var w = 2 / fan_in: keeps the scale of activations through ReLU (He et al. 2015)
    "xavier": xavier_uniform_,  # Var w = 2 / (fan_in + fan_out): a compromise of both directions, for tanh
    "orthogonal": orthogonal_,  # WᵀW = I: keeps lengths exactly where φ is linear (Saxe et al. 2014)
    "uniform": partial(uniform_, low=-0.1, high=0.1),  # naive: right for one width, wrong for all others
    "constant": partial(constant_, value=0.1),  # the units of a layer stay equal for ever: here because it fails
}


class MLP(Module):
    """A multilayer perceptron that returns logits.

    Args:
        sizes: units of every layer, inputs first and outputs last: (784, 300, 100, 10). Two sizes make a linear model.
        activation: φ between the layers, a name in ``ACTIVATIONS``.
        dropout: probability with which a hidden activation is set to 0 in training (Srivastava et al. 2014).
        initialisation: a name in ``INITIALISATIONS``.

    Raises:
        ValueError: fewer than two sizes, a size below 1, or a name that is not in the tables.
    """

    layouts: ClassVar[dict[str, Layout]] = {}

    def __init__(
        self, sizes: Sequence[int], activation: str = "relu", dropout: float = 0.0, initialisation: str = "torch"
    ) -> None:
        super().__init__()
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"sizes={tuple(sizes)}, expected two positive numbers or more: inputs, hidden …, outputs")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r}, expected one of {', '.join(ACTIVATIONS)}")
        if initialisation not in INITIALISATIONS:
            raise ValueError(f"initialisation={initialisation!r}, expected one of {', '.join(INITIALISATIONS)}")
        self.sizes = tuple(sizes)
        self.layers = ModuleList(Linear(n, m) for n, m in pairwise(sizes))
        self.activation = ACTIVATIONS[activation]()
        self.dropout = Dropout(dropout)
        self.initialise(initialisation)

    @torch.no_grad()
    def initialise(self, name: str) -> None:
        """Starts all weights again by the rule ``name`` of ``INITIALISATIONS``."""
        start = INITIALISATIONS[name]
        for layer in self.layers:
            assert isinstance(layer, Linear)
            layer.reset_parameters()
            if start is not None and layer.bias is not None:
                start(layer.weight)
                layer.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, sizes[-1]) of x (N, …), whose remaining dimensions are flattened to sizes[0] numbers.

        Raises:
            TypeError: x holds integers.
            ValueError: x does not have sizes[0] numbers per sample.
        """
        expect_tensor("the model", x)
        if not x.is_floating_point():
            raise TypeError(f"inputs are {x.dtype}, expected floating point such as float32: convert with x.float()")
        if x.dim() < 2 or x.shape[1:].numel() != self.sizes[0]:
            raise ValueError(
                f"inputs have shape {tuple(x.shape)}, expected (batch, …) with {self.sizes[0]} numbers per sample: "
                f"build the model with sizes=({x.shape[1:].numel()}, …) or reshape the inputs"
            )
        x = x.flatten(1)  # (N, sizes[0])
        for layer in self.layers[:-1]:
            x = self.dropout(self.activation(layer(x)))  # (N, sizes[l])
        return self.layers[-1](x)  # (N, sizes[-1])


def _digits() -> tuple[Tensor, ...]:
    return (torch.zeros(1, 1, 28, 28),)


LECUN = "LeCun et al. 1998, Gradient-based learning applied to document recognition, Section III-C"


@published(paper=LECUN, reference="torch.nn.Linear", example=_digits)
def mlp_300(num_classes: int = 10, **options: Any) -> MLP:
    """28×28-300-10: 238,510 parameters, 4.7 % test error on MNIST. ReLU here, a scaled tanh in the paper."""
    return MLP((784, 300, num_classes), **options)


@published(paper=LECUN, reference="torch.nn.Linear", example=_digits)
def mlp_300_100(num_classes: int = 10, **options: Any) -> MLP:
    """28×28-300-100-10: 266,610 parameters, 3.05 % test error on MNIST. ReLU here, a scaled tanh in the paper."""
    return MLP((784, 300, 100, num_classes), **options)
