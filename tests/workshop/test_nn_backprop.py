"""Backpropagation: Viva's tape gives torch's gradients, and prints every number of both passes."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from viva.nn import by_hand
from viva.nn.backprop import Tensor, cross_entropy, linear, mse, tape
from viva.nn.by_hand import Line, Written, explain, trace, write

LIMIT = 1e-12
ARRAYS = np.random.default_rng(0)


def numbers(*shape: int, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    return ARRAYS.uniform(low, high, shape)


def assert_as_torch(formula: Callable[..., Any], *arrays: np.ndarray, torch_formula: Callable[..., Any] | None = None) -> None:
    """The formula's sum, weighted so that no two entries count alike, has the same value and gradients in both engines."""
    ours = [Tensor(array) for array in arrays]
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    y, y_torch = formula(*ours), (torch_formula or formula)(*theirs)
    weights = np.random.default_rng(1).uniform(0.5, 1.5, y.shape)
    (y * weights).sum().backward()
    (y_torch * torch.tensor(weights)).sum().backward()
    close(y.data, y_torch.detach().numpy())
    for a, b in zip(ours, theirs, strict=True):
        assert a.grad is not None and b.grad is not None
        close(a.grad, b.grad.numpy())


def close(ours: Any, theirs: Any) -> None:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert np.all(np.abs(ours - theirs) <= LIMIT * np.maximum(1.0, np.abs(theirs)))


# --- Operations ------------------------------------------------------------------------------------------------------

OPERATIONS: dict[str, tuple[Callable[..., Any], list[np.ndarray]]] = {
    "add": (lambda a, b: a + b, [numbers(3, 4), numbers(4)]),
    "subtract": (lambda a, b: a - b, [numbers(3, 1), numbers(2, 1, 4)]),
    "multiply": (lambda a, b: a * b, [numbers(1, 4), numbers(3, 1)]),
    "divide": (lambda a, b: a / b, [numbers(3, 4), numbers(4, low=0.5)]),
    "numbers on the left": (lambda a: 2 - 3 * a + (1 / a + (1 + a)), [numbers(3, low=0.5)]),
    "matmul": (lambda a, b: a @ b, [numbers(3, 4), numbers(4, 5)]),
    "matmul in batches": (lambda a, b: a @ b, [numbers(2, 1, 3, 4), numbers(5, 4, 2)]),
    "power": (lambda a: a**3 + a**2, [numbers(5)]),
    "root": (lambda a: a**0.5, [numbers(5, low=0.1)]),
    "negative": (lambda a: -a, [numbers(5)]),
    "exp": (lambda a: a.exp(), [numbers(5)]),
    "log": (lambda a: a.log(), [numbers(5, low=0.1)]),
    "tanh": (lambda a: a.tanh(), [numbers(5)]),
    "sigmoid": (lambda a: a.sigmoid(), [numbers(5) * 10]),
    "relu": (lambda a: a.relu(), [np.array([-1.0, 0.0, 2.0])]),
    "sum": (lambda a: a.sum() + a.sum(0) + a.sum((0, 1)), [numbers(3, 4)]),
    "mean": (lambda a: a.mean() + a.mean(1), [numbers(3, 4)]),
    "reshape": (lambda a: a.reshape(2, 6), [numbers(3, 4)]),
    "index": (lambda a: a[1:, 2], [numbers(3, 4)]),
    "index twice": (lambda a: a[[0, 2, 0], [1, 1, 1]], [numbers(3, 4)]),
    "linear": (lambda x, w, b: linear(x, w, b) if isinstance(x, Tensor) else x @ w + b, [numbers(3, 4), numbers(4, 2), numbers(2)]),
    "mse": (lambda p, t: mse(p, t) if isinstance(p, Tensor) else torch.nn.functional.mse_loss(p, t), [numbers(3, 2), numbers(3, 2)]),
    "softmax": (lambda a: a.exp() / (a.exp().sum(1, keepdims=True) if isinstance(a, Tensor) else a.exp().sum(1, keepdim=True)), [numbers(3, 4)]),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_the_value_and_the_gradients_of_torch(name: str) -> None:
    formula, arrays = OPERATIONS[name]
    assert_as_torch(formula, *arrays)


def test_transpose_moves_gradients_back() -> None:
    assert_as_torch(lambda a: a.transpose(1, 2, 0), numbers(2, 3, 4), torch_formula=lambda a: a.permute(1, 2, 0))
    assert_as_torch(lambda a: a.transpose(), numbers(2, 3), torch_formula=lambda a: a.T)


@pytest.mark.parametrize("scale", [1.0, 800.0])
def test_cross_entropy_equals_torch_even_for_huge_logits(scale: float) -> None:
    targets = np.array([0, 3, 3])
    assert_as_torch(
        lambda z: cross_entropy(z, targets), numbers(3, 4) * scale,
        torch_formula=lambda z: torch.nn.functional.cross_entropy(z, torch.tensor(targets)),
    )  # fmt: skip


def test_sigmoid_saturates_without_a_warning() -> None:
    with np.errstate(all="raise", under="ignore"):
        assert Tensor([-1000.0, 1000.0]).sigmoid().data.tolist() == [0.0, 1.0]


def test_the_slope_of_relu_at_zero_is_zero() -> None:
    x = Tensor([0.0, -0.0, 1e-300, -1.0, -math.inf])
    y = x.relu()
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0, 1, 0, 0] and y.data.tolist() == [0, 0, 1e-300, 0, 0]


# --- Graphs ----------------------------------------------------------------------------------------------------------

UNARY = ("tanh", "sigmoid", "relu", "square", "mean", "row", "negative", "transpose")
BINARY = ("add", "subtract", "multiply", "matmul", "divide")


def combine(kind: str, a: Any, b: Any) -> Any:
    """One step of a random graph on (3, 3), (1, 3), (3, 1) and () values, the same in both engines."""
    ours = isinstance(a, Tensor)
    if kind == "square":
        return a**2
    if kind == "row":
        return a[1:2] if len(a.shape) == 2 and a.shape[0] == 3 else a
    if kind == "transpose":
        return (a.transpose() if ours else a.T) if len(a.shape) == 2 else a
    if kind == "negative":
        return -a
    if kind in UNARY:
        return getattr(a, kind)()
    if kind == "divide":
        return a / (b**2 + 1)
    if kind == "matmul":
        fits = len(a.shape) == len(b.shape) == 2 and a.shape[1] == b.shape[0]
        return a @ b if fits else a + b
    return {"add": a + b, "subtract": a - b, "multiply": a * b}[kind]


@settings(max_examples=150)
@given(
    shapes=st.lists(st.sampled_from([(3, 3), (1, 3), (3, 1), ()]), min_size=1, max_size=4),
    steps=st.lists(st.tuples(st.sampled_from(UNARY + BINARY), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=14),
    seed=st.integers(0, 10**6),
)
def test_random_graphs_have_the_gradients_of_torch(
    shapes: list[tuple[int, ...]], steps: list[tuple[str, int, int]], seed: int
) -> None:
    arrays = [np.random.default_rng(seed + i).uniform(-1, 1, shape) for i, shape in enumerate(shapes)]
    ours: list[Any] = [Tensor(array) for array in arrays]
    theirs: list[Any] = [torch.tensor(array, requires_grad=True) for array in arrays]
    for kind, first, second in steps:  # any earlier value may be taken again: diamonds, reuse, dead ends
        for values in (ours, theirs):
            last = values[-1 - first % min(3, len(values))]
            values.append(combine(kind, last, values[second % len(values)]).tanh())  # tanh keeps numbers small
    loss, loss_torch = sum(v.sum() for v in ours[-2:]), sum(v.sum() for v in theirs[-2:])
    loss.backward()
    loss_torch.backward()
    close(loss.data, loss_torch.detach().numpy())
    for a, b in zip(ours[: len(arrays)], theirs[: len(arrays)], strict=True):
        assert (a.grad is None) == (b.grad is None)
        if b.grad is not None:
            close(a.grad, b.grad.numpy())


def test_a_diamond_adds_the_gradients_of_its_two_sides() -> None:
    x = Tensor(3.0)
    left, right = x * 2, x**2
    (left * right).backward()  # 2x · x² = 2x³
    assert x.grad == pytest.approx(6 * 9)
    assert left.grad == 9 and right.grad == 6


def test_a_value_used_as_both_operands_counts_twice() -> None:
    x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    ((x * x).sum() + (x @ x).sum() + (x + x).sum()).backward()
    t = torch.tensor(x.data, requires_grad=True)
    ((t * t).sum() + (t @ t).sum() + (t + t).sum()).backward()
    close(x.grad, t.grad.numpy())


def test_gradients_accumulate_over_calls_as_in_torch() -> None:
    x = Tensor(2.0)
    y = x**2
    y.backward()
    y.backward()
    (x * 5).backward()
    assert x.grad == pytest.approx(4 + 4 + 5)


def test_data_gets_no_gradient() -> None:
    x, w = Tensor([1.0, 2.0], requires_grad=False), Tensor([3.0, 4.0])
    loss = (x * w * np.array([1.0, 10.0])).sum()
    loss.backward()
    assert x.grad is None and w.grad is not None and w.grad.tolist() == [1, 20]
    assert not (x * 2).requires_grad and loss.requires_grad


def test_ten_thousand_operations_deep() -> None:
    x = y = Tensor(1.0)
    for _ in range(10_000):
        y = y * 1.0001
    y.backward()
    assert x.grad == pytest.approx(1.0001**10_000)
    assert len(tape(y)) == 1 + 2 * 10_000


def test_the_tape_lists_parents_before_children_and_everything_once() -> None:
    x = Tensor(1.0)
    y = (x + x) * x.exp() + x
    order = tape(y)
    assert len({id(node) for node in order}) == len(order) and order[-1] is y
    place = {id(node): i for i, node in enumerate(order)}
    assert all(place[id(parent)] < place[id(node)] for node in order for parent in node.parents)


def test_gradient_descent_learns_exclusive_or() -> None:
    chance = np.random.default_rng(3)
    x, t = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0.0], [1], [1], [0]])
    weights = [Tensor(chance.normal(size=shape)) for shape in ((2, 8), (8,), (8, 1), (1,))]
    for _ in range(800):
        w1, b1, w2, b2 = weights
        loss = mse(linear(linear(x, w1, b1).tanh(), w2, b2).sigmoid(), t)
        loss.backward()
        weights = [Tensor(weight.data - 2.0 * weight.grad) for weight in weights]  # type: ignore[operator]
    assert float(loss.data) < 0.01


# --- Every number ----------------------------------------------------------------------------------------------------


def by_name(lines: list[Line], phase: str) -> dict[str, dict[tuple[int, ...], Line]]:
    found: dict[str, dict[tuple[int, ...], Line]] = {}
    for line in lines:
        if line.phase == phase:
            found.setdefault(line.name, {})[line.index] = line
    return found


def torch_example() -> dict[str, torch.Tensor]:
    leaves = {
        "W1": [[0.2, -0.4], [0.6, 0.1]], "b1": [0.1, -0.2], "W2": [[0.5], [-0.3]], "b2": [0.2],
    }  # fmt: skip
    v = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in leaves.items()}
    x, t = torch.tensor([[1.0, 0.5]], dtype=torch.float64), torch.tensor([[1.0]], dtype=torch.float64)
    v["z1"] = x @ v["W1"] + v["b1"]
    v["h"] = v["z1"].sigmoid()
    v["z2"] = v["h"] @ v["W2"] + v["b2"]
    v["y"] = v["z2"].sigmoid()
    v["L"] = torch.nn.functional.mse_loss(v["y"], t)
    for value in v.values():
        value.retain_grad()
    v["L"].backward()
    return v


def test_every_printed_number_of_the_example_is_torchs() -> None:
    theirs, lines = torch_example(), trace(by_hand.example())
    forward, backward = by_name(lines, "forward"), by_name(lines, "backward")
    assert set(forward) == {"z1", "h", "z2", "y", "L"}
    assert set(backward) == {f"∂L/∂{name}" for name in theirs}
    for name, value in theirs.items():
        assert value.grad is not None
        for found, numbers in ((forward.get(name), value.detach()), (backward[f"∂L/∂{name}"], value.grad)):
            if found is not None:
                assert set(found) == set(np.ndindex(tuple(numbers.shape)))
                for index, line in found.items():
                    assert line.value == pytest.approx(float(numbers[index]), rel=1e-12)
                    printed = str(line).rsplit(" = ", 1)[1].replace("−", "-")
                    assert float(printed) == pytest.approx(float(numbers[index]), rel=5e-6)


def worked_out(working: str) -> float:
    """The working as printed, computed by Python."""
    python = working.replace("−", "-").replace("·", "*").replace("^", "**")
    python = re.sub(r"\be\*\*", "math.e**", python)
    return float(eval(python, {"math": math, "ln": math.log, "tanh": math.tanh}))


def test_the_printed_working_computes_to_the_printed_number() -> None:
    x, w, b = Tensor([[1.0, -2.0], [0.5, 3.0]]), Tensor([[0.2, -0.4], [0.6, 0.1]]), Tensor([0.1, -0.2])
    hidden = linear(x, w, b)
    loss = cross_entropy(hidden.tanh() / (hidden**2 + 1) - hidden.sigmoid().log(), [0, 1]) + (w * w).mean() - (-w.exp()).sum()
    lines = trace(loss) + trace(by_hand.example())
    assert len(lines) > 100
    for line in lines:
        assert worked_out(line.working) == pytest.approx(line.value, rel=2e-4, abs=2e-5), str(line)


@settings(max_examples=50)
@given(seed=st.integers(0, 1000), units=st.integers(1, 3), batch=st.integers(1, 3))
def test_the_trace_of_any_network_holds_its_gradients(seed: int, units: int, batch: int) -> None:
    chance = np.random.default_rng(seed)
    w, b = Tensor(chance.normal(size=(2, units)), "w"), Tensor(chance.normal(size=units), "b")
    loss = cross_entropy(linear(chance.normal(size=(batch, 2)), w, b).relu() * b, chance.integers(0, units, batch)).named("loss")
    backward = by_name(trace(loss), "backward")
    loss.backward()
    for tensor in (w, b, loss):
        assert tensor.grad is not None
        for index, line in backward[f"∂loss/∂{tensor.name}"].items():
            assert line.value == pytest.approx(float(tensor.grad[index]), rel=1e-12, abs=1e-12)


def test_written_numbers_keep_brackets_where_they_are_needed() -> None:
    a, b, c = (Written.of(value) for value in (2.0, -3.0, 0.5))
    for written, text in (
        (a + b * c, "2 + (−3)·0.5"), ((a + b) * c, "(2 + (−3))·0.5"), (a - (b - c), "2 − (−3 − 0.5)"), (a / (b * c), "2/((−3)·0.5)"),
        (-(a + b), "−(2 + (−3))"), ((a - c) ** 2, "(2 − 0.5)^2"), (b**2, "(−3)^2"), ((-a).exp(), "e^(−2)"), (1 - a, "1 − 2"), (a * -(a * c), "2·(−2·0.5)"),
    ):  # fmt: skip
        assert written.text == text
        assert worked_out(text) == pytest.approx(written.value)
    assert str(write(np.array([0.25]))[0].text) == "0.25"
    assert by_hand.say(-0.0) == "0" and by_hand.say(-1234567.0) == "−1.23457e+06"


def test_the_explanation_speaks_both_languages_with_the_same_numbers() -> None:
    loss = by_hand.example()
    ko, en = explain(loss, "ko"), loss.explain("en")
    assert "순전파" in ko and "역전파" in ko and "연쇄법칙" in ko
    assert "Forward pass" in en and "chain rule" in en
    assert [line for line in ko.splitlines() if "==" not in line] == [line for line in en.splitlines() if "==" not in line]
    assert "    z1[0,0] = 1·0.2 + 0.5·0.6 + 0.1 = 0.6" in en.splitlines()
    assert "∂L/∂z2 = ∂L/∂y · ∂y/∂z2" in en.splitlines()


def test_the_command_line_prints_the_example() -> None:
    command = [sys.executable, "-m", "viva.nn.backprop", "--lang", "ko"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, env=os.environ | {"PYTHONUTF8": "1"})
    assert done.stdout == explain(by_hand.example(), "ko") + "\n"
    assert "Warning" not in done.stderr


def test_the_command_line_speaks_english_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["viva.nn.backprop"])
    by_hand.main()
    printed = capsys.readouterr().out
    assert "Backward pass" in printed and "∂L/∂W1[1,1] = 0.5·0.0132823 = 0.00664116" in printed
    monkeypatch.setattr(sys, "argv", ["viva.nn.backprop", "--lang", "fr"])
    with pytest.raises(SystemExit):
        by_hand.main()


# --- Errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: Tensor(numbers(2, 3)) + Tensor(numbers(4, 5)), r"\(2, 3\) and \(4, 5\)"),
        (lambda: Tensor(numbers(2, 3)) @ Tensor(numbers(2, 3)), r"\(2, 3\) and \(2, 3\)"),
        (lambda: Tensor(numbers(3)) @ Tensor(numbers(3, 2)), r"matrices.*\(3,\) and \(3, 2\)"),
        (lambda: linear(numbers(2, 3), numbers(4, 5), numbers(5)), r"\(2, 3\) and \(4, 5\)"),
        (lambda: mse(numbers(3, 1), numbers(3)), r"\(3, 1\).*\(3,\)"),
        (lambda: cross_entropy(numbers(2, 3), [0, 1, 2]), r"\(2, 3\).*\(3,\)"),
        (lambda: cross_entropy(numbers(2, 3), [0.0, 1.0]), "float64 targets"),
        (lambda: cross_entropy(numbers(2, 3), [0, 3]), "0 to 3, but there are 3 classes"),
        (lambda: Tensor(numbers(2, 3)).reshape(4, 2), r"\(2, 3\)"),
        (lambda: Tensor(numbers(2, 3)).backward(), r"one number.*\(2, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused_with_both_shapes(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()
