"""Dropout: noise that keeps units from relying on one another (Srivastava et al. 2014), and its relative for whole blocks.

    training    y = x · m / (1 − p)      m ~ Bernoulli(1 − p), drawn anew at every call; the same shape
    evaluation  y = x

Dividing by 1 − p ("inverted" dropout) keeps E[y] = x, so that evaluation needs no factor; the paper multiplied the weights
by 1 − p at test time instead. The variance does grow, by x² p / (1 − p). Every pass trains another of the 2ⁿ networks to
which n units can be thinned, all with the same weights; evaluation approximates their mean.

`Dropout` draws one m for each number, `StochasticDepth` (Huang et al. 2016) one for each sample of the batch: it silences
the body of a residual block, and the sample takes only the shortcut, as if the network were shallower.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from viva.nn.shapes import expect_floating, expect_shape


def _probability(who: str, p: float) -> float:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{who} got p={p}, expected the probability of dropping, between 0 and 1.")
    return float(p)


class Dropout(nn.Module):
    """Every number of x is zero with probability p, otherwise x / (1 − p); the identity in evaluation. Any shape."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = _probability("Dropout", p)

    def forward(self, x: Tensor) -> Tensor:
        expect_floating("Dropout", x)
        return F.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class StochasticDepth(nn.Module):
    """Every sample x[n] is zero with probability p, otherwise x[n] / (1 − p); the identity in evaluation. x: (N, ...).

    In the paper p grows linearly with depth, from 0 before the first block (eq. 4): the model's constructor does that.
    The paper multiplies by 1 − p at test time (eq. 5); here, as with dropout, training divides.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = _probability("StochasticDepth", p)

    def forward(self, x: Tensor) -> Tensor:
        expect_floating("StochasticDepth", x)
        if not x.dim():
            expect_shape("StochasticDepth", x, ("N", "..."))
        if not self.training or self.p == 0.0:
            return x
        alive = x.new_empty((x.shape[0],) + (1,) * (x.dim() - 1)).bernoulli_(1.0 - self.p)  # (N, 1, ..., 1)
        return x * (alive if self.p == 1.0 else alive.div_(1.0 - self.p))

    def extra_repr(self) -> str:
        return f"p={self.p}"
