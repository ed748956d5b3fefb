"""Backpropagation by hand: reverse-mode automatic differentiation on numpy arrays, in one sitting.

Computing forwards, every result remembers its parents and its operation: together they are the *tape*. For a loss L,
start from ∂L/∂L = 1, walk the tape backwards, and multiply at each operation by its own small derivative (the chain
rule); where a value was used twice its gradients add up. One walk gives the derivative of L with respect to every
number in the network, for about twice the price of computing L, however many parameters there are (finite differences
would compute L once more for each): Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating
errors"; Linnainmaa 1970 for the general method.

    y = f(a, b)   ⇒   ∂L/∂a += ∂L/∂y · ∂y/∂a,   ∂L/∂b += ∂L/∂y · ∂y/∂b      (a gradient has its array's shape, float64)

``loss.explain("ko")`` prints both passes with every number (``by_hand``), and so does, for a network of 2-2-1 units,

    python -m viva.nn.backprop [--lang ko|en]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from viva.language import Language

Array = np.ndarray
Rule = Callable[..., Any]


class Tensor:
    """An array (float64) that knows where it came from: ``parents`` and ``operation``; ``grad`` is ∂L/∂self.

    Leaves are parameters, or with ``requires_grad=False`` data; plain numbers and arrays in a formula are data.
    """

    __array_ufunc__ = None  # numpy_array + tensor is ours, too

    def __init__(self, data: Any, name: str = "", requires_grad: bool = True) -> None:
        self.data = np.asarray(data, dtype=np.float64)
        self.name = name
        self.requires_grad = requires_grad
        self.grad: Array | None = None
        self.parents: tuple[Tensor, ...] = ()
        self.operation: Operation | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    def named(self, name: str) -> Tensor:
        self.name = name
        return self

    # Each operation: how it is written, forward(a, b, …) → y, and beside it backward(g, y, a, b, …) → a gradient for
    # each parent, where g = ∂L/∂y. Broadcasting is undone in one place, ``_unbroadcast``.

    def __add__(self, other: Any) -> Tensor:
        return _apply("{} + {}", lambda a, b: a + b, lambda g, y, a, b: (g, g), self, other)

    def __sub__(self, other: Any) -> Tensor:
        return _apply("{} − {}", lambda a, b: a - b, lambda g, y, a, b: (g, -g), self, other)

    def __mul__(self, other: Any) -> Tensor:
        return _apply("{} · {}", lambda a, b: a * b, lambda g, y, a, b: (g * b, g * a), self, other)

    def __truediv__(self, other: Any) -> Tensor:
        return _apply("{} / {}", lambda a, b: a / b, lambda g, y, a, b: (g / b, -g * a / b**2), self, other)

    def __matmul__(self, other: Any) -> Tensor:  # (…, n, m) @ (…, m, k) → (…, n, k)
        return _apply("{} @ {}", lambda a, b: a @ b, lambda g, y, a, b: (g @ _t(b), _t(a) @ g), self, other)

    def __pow__(self, n: float) -> Tensor:  # a constant exponent
        return _apply(f"{{}}^{n}", lambda a: a**n, lambda g, y, a: (g * (n * a ** (n - 1)),), self)

    def __neg__(self) -> Tensor:
        return _apply("−{}", lambda a: -a, lambda g, y, a: (-g,), self)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Any) -> Tensor:
        return _tensor(other) - self

    def __rtruediv__(self, other: Any) -> Tensor:
        return _tensor(other) / self

    def __rmatmul__(self, other: Any) -> Tensor:
        return _tensor(other) @ self

    def exp(self) -> Tensor:
        return _apply("exp({})", np.exp, lambda g, y, a: (g * y,), self)

    def log(self) -> Tensor:
        return _apply("ln({})", np.log, lambda g, y, a: (g / a,), self)

    def tanh(self) -> Tensor:
        return _apply("tanh({})", np.tanh, lambda g, y, a: (g * (1 - y**2),), self)

    def sigmoid(self) -> Tensor:
        return _apply("σ({})", lambda a: 1 / (1 + np.exp(-a)), lambda g, y, a: (g * (y * (1 - y)),), self)

    def relu(self) -> Tensor:  # at the kink, ReLU'(0) = 0, as everywhere in practice
        return _apply("relu({})", lambda a: np.maximum(a, 0), lambda g, y, a: (g * (a > 0),), self)

    def sum(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        def backward(g: Array, y: Array, a: Array) -> tuple[Array]:  # every term gets the gradient of the sum
            return (np.broadcast_to(g if keepdims or axis is None else np.expand_dims(g, axis), a.shape),)

        return _apply("Σ {}", lambda a: a.sum(axis=axis, keepdims=keepdims), backward, self)

    def mean(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        total = self.sum(axis, keepdims)
        return total / (self.data.size / total.data.size)

    def reshape(self, *shape: int) -> Tensor:
        return _apply("reshape({})", lambda a: a.reshape(shape), lambda g, y, a: (g.reshape(a.shape),), self)

    def transpose(self, *axes: int) -> Tensor:
        order = axes or tuple(reversed(range(self.data.ndim)))
        back = tuple(np.argsort(order))
        return _apply("{}ᵀ", lambda a: a.transpose(order), lambda g, y, a: (g.transpose(back),), self)

    def __getitem__(self, index: Any) -> Tensor:
        def backward(g: Array, y: Array, a: Array) -> tuple[Array]:
            into = np.zeros(a.shape, dtype=a.dtype)
            np.add.at(into, index, g)  # an entry taken twice gets both gradients
            return (into,)

        return _apply("{}[…]", lambda a: a[index], backward, self)

    def backward(self) -> None:
        """Fill ``grad`` of everything this number (shape () or one entry) was computed from, adding to what is there."""
        for node, gradient, _ in walk(self):
            node.grad = gradient if node.grad is None else node.grad + gradient

    def explain(self, language: Language = "en") -> str:
        """The forward and the backward pass that lead to this number, every number with its working."""
        from viva.nn.by_hand import explain  # which reads the tape below

        return explain(self, language)


def linear(x: Any, weight: Any, bias: Any) -> Tensor:
    """x (N, in) @ weight (in, out) + bias (out,) → (N, out), as one operation."""

    def backward(g: Array, y: Array, x: Array, w: Array, b: Array) -> tuple[Array, Array, Array]:
        return g @ _t(w), _t(x) @ g, g

    return _apply("{} @ {} + {}", lambda x, w, b: x @ w + b, backward, x, weight, bias)


def mse(prediction: Any, target: Any) -> Tensor:
    """The mean of (prediction − target)² over all entries; both of the same shape, or ValueError."""
    prediction, target = _tensor(prediction), _tensor(target)
    if prediction.shape != target.shape:
        raise ValueError(f"mse of a prediction {prediction.shape} and a target {target.shape}: the shapes must be equal")
    n = prediction.data.size

    def backward(g: Array, y: Array, p: Array, t: Array) -> tuple[Array, Array]:
        return g * (2 * (p - t)) / n, g * (2 * (t - p)) / n

    return _apply("mean(({} − {})²)", lambda p, t: ((p - t) ** 2).sum() / n, backward, prediction, target)


def cross_entropy(logits: Any, targets: Any) -> Tensor:
    """Mean of −ln softmax(logits)[target]: logits (N, classes), targets (N,) integers → ().

    Its gradient with respect to the logits: (softmax − one-hot) / N. ValueError for shapes or classes that do not fit.
    """
    logits, targets = _tensor(logits), np.asarray(targets)
    if logits.data.ndim != 2 or targets.shape != logits.shape[:1] or targets.dtype.kind not in "iu":
        raise ValueError(
            f"cross_entropy of logits {logits.shape} and {targets.dtype} targets {targets.shape}: "
            "expected (N, classes) and N integers"
        )
    if targets.size and not 0 <= targets.min() <= targets.max() < logits.shape[1]:
        raise ValueError(f"targets run from {targets.min()} to {targets.max()}, but there are {logits.shape[1]} classes")
    n, rows = len(targets), np.arange(len(targets))

    def forward(z: Array) -> Array:  # without the largest logit, so that exp cannot overflow
        z = z - z.max(axis=1, keepdims=True)
        return (np.log(np.exp(z).sum(axis=1)) - z[rows, targets]).sum() / n

    def backward(g: Array, y: Array, z: Array) -> tuple[Array]:
        e = np.exp(z - z.max(axis=1, keepdims=True))
        softmax = e / e.sum(axis=1, keepdims=True)
        return (g * (softmax - np.eye(z.shape[1])[targets]) / n,)

    return _apply("−ln softmax({})[t]", forward, backward, logits)


# --- The tape --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operation:
    """What a result remembers of how it was made, and how its gradient goes back."""

    written: str  # with {} for each parent
    forward: Rule
    backward: Rule


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else Tensor(value, requires_grad=False)


def _t(a: Array) -> Array:
    return a.swapaxes(-1, -2)


def _apply(written: str, forward: Rule, backward: Rule, *inputs: Any) -> Tensor:
    parents = tuple(_tensor(value) for value in inputs)
    shapes = " and ".join(str(parent.shape) for parent in parents)
    formula = written.format("a", "b", "c")
    if "@" in written and min(parent.data.ndim for parent in parents[:2]) < 2:
        raise ValueError(f"{formula} multiplies matrices, but the shapes are {shapes}; reshape first")
    try:
        with np.errstate(over="ignore"):  # e^800 = ∞ is right for σ(−800) = 1 / (1 + ∞)
            out = Tensor(forward(*(parent.data for parent in parents)))
    except ValueError as error:
        raise ValueError(f"{formula}: the shapes {shapes} do not fit ({error})") from error
    out.requires_grad = any(parent.requires_grad for parent in parents)
    out.parents, out.operation = parents, Operation(written, forward, backward)
    return out


def tape(loss: Tensor) -> list[Tensor]:
    """Everything ``loss`` was computed from, parents before children (a loop, not recursion: graphs may be deep)."""
    order: list[Tensor] = []
    seen: set[int] = set()
    stack = [(loss, False)]
    while stack:
        node, parents_done = stack.pop()
        if parents_done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack += [(node, True), *((parent, False) for parent in reversed(node.parents))]
    return order


def walk(loss: Tensor) -> Iterator[tuple[Tensor, Array, list[tuple[Tensor, int]]]]:
    """The tape backwards: (node, ∂loss/∂node, its uses as (result, which input it was), whose gradients added up to it)."""
    if loss.data.size != 1:
        raise ValueError(f"backward starts from one number, but this has shape {loss.shape}; take .sum() or .mean() first")
    gradients: dict[int, Array] = {id(loss): np.ones(loss.shape)}
    uses: dict[int, list[tuple[Tensor, int]]] = {id(loss): []}
    for node in reversed(tape(loss)):
        if not node.requires_grad:
            continue
        gradient = gradients[id(node)]  # complete: every result that used the node came before it
        yield node, gradient, uses[id(node)]
        for position, (parent, part) in enumerate(zip(node.parents, parts(node, gradient), strict=True)):
            if parent.requires_grad:
                gradients[id(parent)] = gradients.get(id(parent), 0.0) + part
                uses.setdefault(id(parent), []).append((node, position))


def parts(node: Tensor, gradient: Array, read: Callable[[Array], Array] = np.asarray) -> list[Array]:
    """What ``node`` hands to each of its parents; ``read`` may turn the numbers into written ones."""
    if node.operation is None:
        return []
    shares = node.operation.backward(read(gradient), read(node.data), *(read(parent.data) for parent in node.parents))
    return [_unbroadcast(share, parent.shape) for share, parent in zip(shares, node.parents, strict=True)]


def _unbroadcast(g: Any, shape: tuple[int, ...]) -> Array:
    """What was copied along an axis on the way there gets the sum of its copies' gradients on the way back."""
    g = np.asarray(g)
    g = np.asarray(g.sum(axis=tuple(range(g.ndim - len(shape))))) if g.ndim > len(shape) else g
    copied = tuple(axis for axis, size in enumerate(shape) if size == 1 != g.shape[axis])
    return np.asarray(g.sum(axis=copied, keepdims=True)) if copied else g


if __name__ == "__main__":
    from viva.nn.by_hand import main

    main()
