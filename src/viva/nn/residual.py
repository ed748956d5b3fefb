"""The residual connection: a block learns the difference to its input (He et al. 2016, "Deep Residual Learning", eq. 1).

    y = shortcut(x) + body(x)        body(x) and shortcut(x) of one shape

It is the answer to *degradation*: a deeper plain network has the higher training error, though it could copy the shallower
one and let its further layers be the identity. A plain layer finds the identity hard to learn; here a body of zeros is the
identity. With the identity as shortcut the derivative is I + body′(x): through a hundred blocks the gradient has a road on
which nothing is multiplied (undisturbed only where no ReLU follows the sum: He et al. 2016, "Identity Mappings in Deep
Residual Networks"). Where the body changes the shape the shortcut is a projection (eq. 2).
"""

from __future__ import annotations

from torch import Tensor, nn

from viva.nn.shapes import written


class Residual(nn.Module):
    """y = shortcut(x) + body(x); without a `shortcut` x itself is added.

    ValueError with both shapes when they differ: broadcasting would hide the mistake.
    """

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.body = body
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, x: Tensor) -> Tensor:
        straight, bent = self.shortcut(x), self.body(x)
        if straight.shape != bent.shape:
            raise ValueError(
                f"Residual cannot add a shortcut of shape {written(straight.shape)} to a body of shape "
                f"{written(bent.shape)}: give it a shortcut that projects to the body's shape "
                "(for images a 1x1 Conv2d with the body's stride)."
            )
        return straight + bent
