"""A network's forward and backward pass with every number, the way one works it out on paper.

A ``Written`` number remembers how it was computed: ``Written.of(0.5) * Written.of(-2)`` is −1 and is written 0.5·(−2).
It adds, multiplies, divides, takes powers, exp, ln and tanh, and numpy's arrays of objects ask for no more than that: so
the formulas of ``backprop`` work on arrays of ``Written`` unchanged, matrix products, broadcasting and sums included,
and the very code that differentiates writes down its working, operation by operation.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from viva.language import LANGUAGES, Language, Text
from viva.nn.backprop import Array, Tensor, linear, mse, parts, tape, walk

# --- Numbers that show their working ---------------------------------------------------------------------------------


def say(value: float) -> str:
    """Six significant digits, with a real minus sign."""
    return f"{float(value) + 0.0:.6g}".replace("-", "−")  # + 0.0: no −0


@dataclass(frozen=True)
class Written:
    """``value`` and the ``text`` of its working.

    ``rank`` of the text's last operation decides about brackets: 0 sum, 1 product, 2 power, 3 one number.
    """

    value: float
    text: str
    rank: int = 3

    @staticmethod
    def of(value: Any) -> Written:
        value = value.item() if isinstance(value, np.ndarray) else value  # an array of shape ()
        return value if isinstance(value, Written) else Written(float(value), say(value))

    def inside(self, rank: int) -> str:
        """The text, in brackets where it would bind less tightly than what stands around it."""
        return self.text if self.rank >= rank and not self.text.startswith("−") else f"({self.text})"

    def __add__(self, other: Any) -> Written:
        b = Written.of(other)
        return Written(self.value + b.value, f"{self.text} + {b.inside(1)}", 0)

    def __radd__(self, other: Any) -> Written:
        return self if other == 0 else Written.of(other) + self

    def __sub__(self, other: Any) -> Written:
        b = Written.of(other)
        return Written(self.value - b.value, f"{self.text} − {b.inside(1)}", 0)

    def __rsub__(self, other: Any) -> Written:
        return Written.of(other) - self

    def __mul__(self, other: Any) -> Written:
        b = Written.of(other)
        return Written(self.value * b.value, f"{self.inside(1)}·{b.inside(1)}", 1)

    def __rmul__(self, other: Any) -> Written:
        return Written.of(other) * self

    def __truediv__(self, other: Any) -> Written:
        b = Written.of(other)
        return Written(float(np.divide(self.value, b.value)), f"{self.inside(1)}/{b.inside(2)}", 1)

    def __rtruediv__(self, other: Any) -> Written:
        return Written.of(other) / self

    def __pow__(self, n: float) -> Written:
        return Written(float(np.power(self.value, n)), f"{self.inside(3)}^{Written.of(n).inside(3)}", 2)

    def __neg__(self) -> Written:
        if self.rank == 3:
            return Written.of(-self.value)
        return Written(-self.value, f"−{self.inside(1)}", 1)

    def exp(self) -> Written:
        return Written(float(np.exp(self.value)), f"e^{self.inside(3)}", 2)

    def log(self) -> Written:
        return Written(float(np.log(self.value)), f"ln({self.text})")

    def tanh(self) -> Written:
        return Written(float(np.tanh(self.value)), f"tanh({self.text})")

    def __gt__(self, other: Any) -> bool:
        return self.value > Written.of(other).value

    def __ge__(self, other: Any) -> bool:
        return self.value >= Written.of(other).value


def write(values: Array) -> Array:
    """An array of float64 → an array of ``Written`` (dtype object) of the same shape."""
    out = np.empty(values.shape, dtype=object)
    for index in np.ndindex(values.shape):
        out[index] = Written.of(values[index])
    return out


# --- The two passes ----------------------------------------------------------------------------------------------------

HEADINGS = {
    "given": Text(ko="주어진 수", en="Given"),
    "forward": Text(ko="순전파: 입력에서 손실까지", en="Forward pass: from the inputs to the loss"),
    "backward": Text(
        ko="역전파: 손실에서 거꾸로, 연쇄법칙으로 (여러 곳에 쓰인 값은 기울기를 더한다)",
        en="Backward pass: from the loss back, by the chain rule (a value used twice adds its gradients up)",
    ),
}


@dataclass(frozen=True)
class Line:
    """One number: ``name[index] = working = value``, under the heading ``name = formula``; phase is a key of HEADINGS."""

    phase: str
    formula: str
    name: str
    index: tuple[int, ...]
    working: str
    value: float

    def __str__(self) -> str:
        place = f"[{','.join(map(str, self.index))}]" if self.index else ""
        return " = ".join(dict.fromkeys((self.name + place, self.working, say(self.value))))


def trace(loss: Tensor) -> list[Line]:
    """Every number that is given, of the forward pass and of the backward pass, with its working."""
    order = tape(loss)
    names = {id(node): node.name or f"t{number}" for number, node in enumerate(order)}
    names[id(loss)] = loss.name or "L"
    lines: list[Line] = []

    def put(phase: str, formula: str, name: str, numbers: Array) -> None:
        numbers = np.asarray(numbers, dtype=object)
        for index in np.ndindex(numbers.shape):
            number = Written.of(numbers[index])
            lines.append(Line(phase, formula, name, index, number.text, number.value))

    for node in order:
        inputs = [write(parent.data) for parent in node.parents]
        if node.operation is None:
            put("given", "", names[id(node)], node.data)
        else:
            formula = node.operation.written.format(*(names[id(parent)] for parent in node.parents))
            put("forward", formula, names[id(node)], node.operation.forward(*inputs))
    lines.sort(key=lambda line: line.phase != "given")

    gradients: dict[int, Array] = {}
    for node, gradient, uses in walk(loss):
        gradients[id(node)] = gradient
        down, by = f"∂{names[id(loss)]}/∂", names[id(node)]
        formula = " + ".join(f"{down}{names[id(y)]} · ∂{names[id(y)]}/∂{by}" for y, _ in uses)
        shares = [parts(y, gradients[id(y)], write)[position] for y, position in uses]
        put("backward", formula or "1", down + by, sum(shares[1:], shares[0]) if shares else gradient)
    return lines


def explain(loss: Tensor, language: Language = "en") -> str:
    """``trace`` as a page of text: formulas as headings, below each its numbers."""
    page: list[str] = []
    phase = name = ""
    for line in trace(loss):
        if line.phase != phase:
            page += ["", f"== {HEADINGS[line.phase].get(language)} =="]
        if (line.phase, line.name) != (phase, name) and line.formula:
            page.append(f"{line.name} = {line.formula}")
        phase, name = line.phase, line.name
        page.append(f"    {line}")
    return "\n".join(page[1:])


def example() -> Tensor:
    """A 2-2-1 network with sigmoids: its squared error on one example."""
    x, t = Tensor([[1.0, 0.5]], "x", requires_grad=False), Tensor([[1.0]], "t", requires_grad=False)
    w1, b1 = Tensor([[0.2, -0.4], [0.6, 0.1]], "W1"), Tensor([0.1, -0.2], "b1")
    w2, b2 = Tensor([[0.5], [-0.3]], "W2"), Tensor([0.2], "b2")
    hidden = linear(x, w1, b1).named("z1").sigmoid().named("h")
    return mse(linear(hidden, w2, b2).named("z2").sigmoid().named("y"), t).named("L")


def main() -> None:
    parser = argparse.ArgumentParser(description="A small network's forward and backward pass, with every number.")
    parser.add_argument("--lang", choices=LANGUAGES, default="en")
    try:
        print(explain(example(), cast(Language, parser.parse_args().lang)), flush=True)
    except BrokenPipeError:  # read by `head`, which has seen enough; the interpreter's own flush must not fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
