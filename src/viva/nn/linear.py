"""The linear (fully connected) layer: every output is a weighted sum of every input, plus a bias.

    y = x Wᵀ + b        x (..., in_features), W (out_features, in_features), b (out_features,), y (..., out_features)

It costs in_features · out_features multiply-adds for each row of x. The rows of W are the units: unit j looks for the
pattern W[j]. Without an activation in between, two linear layers are one: (x Aᵀ) Bᵀ = x (BA)ᵀ.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viva.nn.initialisation import fan_in_uniform_
from viva.nn.shapes import expect_floating, expect_shape


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x Wᵀ + b: (..., in) with a weight (out, in) -> (..., out).

    ValueError when the last axis of x is not the weight's; TypeError when the dtypes differ outside autocast.
    """
    try:
        return F.linear(x, weight, bias)
    except (RuntimeError, TypeError):  # asking only when the kernel refuses costs nothing
        hint = "The last axis must be in_features: flatten or transpose the input."
        expect_shape("linear", x, (..., weight.shape[1]), hint)
        expect_floating("linear", x, weight)
        raise


class Linear(nn.Module):
    """`linear` with a weight (out_features, in_features) and a bias (out_features,) of its own.

    Both start from U(±1/√in_features), as `torch.nn.Linear` does.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Linear needs at least one input and one output, got {in_features} and {out_features}.")
        self.in_features = in_features
        self.out_features = out_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        fan_in_uniform_(self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)  # (..., in_features) -> (..., out_features)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"
