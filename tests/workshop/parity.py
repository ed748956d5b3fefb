"""The proof that a model of Viva's equals its reference: same weights, same outputs, same gradients.

    parity = check_parity(ours, theirs, (images,), layout=ResNet.layouts["torchvision"], dtype=torch.float64)
    record("resnet50", parity)

Relative error of one tensor: max |ours - theirs| / max |theirs|. The gradient of some tensors is zero by the mathematics
(a bias before a batch normalisation, the bias of an attention's keys), and what is computed for them is rounding noise;
they are measured against the largest gradient of the network.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from viva.models import catalogue, records
from viva.models.checkpoint import Layout, layout_of, load_checkpoint
from viva.models.summary import count_parameters, mult_adds

LIMITS = {torch.float32: 1e-5, torch.float64: 1e-12}
# Below this share of the network's largest gradient, a tensor's gradient is zero but for rounding.
NOISE = {torch.float32: 1e-5, torch.float64: 1e-12}


def reference(name: str) -> Any:
    """The module of a reference package, or a skip that says why it is not there."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # torchvision beside another torch fails in many ways, RuntimeError among them
        pytest.skip(f"{name} does not import here: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")


def relative(ours: Tensor, theirs: Tensor) -> float:
    """max |ours - theirs| / max |theirs|; 0 for two tensors of zeros. NaN or another shape never passes."""
    assert ours.shape == theirs.shape, f"ours is {tuple(ours.shape)}, theirs {tuple(theirs.shape)}"
    return _ratio(_distance(ours, theirs), _largest(theirs))


def _distance(ours: Tensor, theirs: Tensor) -> float:
    # Equal infinities (masked logits) are equal; inf - inf would be NaN.
    difference = torch.where(ours == theirs, 0.0, (ours.double() - theirs.double()).abs())
    return float(difference.max()) if difference.numel() else 0.0


def _largest(tensor: Tensor) -> float:
    finite = tensor[torch.isfinite(tensor)]
    return float(finite.abs().max()) if finite.numel() else 0.0


def _ratio(distance: float, scale: float) -> float:
    if distance == 0:
        return 0.0
    return distance / scale if scale > 0 else float("inf")


@dataclass(frozen=True)
class Parity:
    """The worst relative errors of one comparison. ``zero``: the parameters whose gradient is zero but for rounding."""

    outputs: float
    gradients: float
    dtype: torch.dtype
    zero: tuple[str, ...] = field(default=(), compare=False)

    @property
    def worst(self) -> float:
        return max(self.outputs, self.gradients)


def check_parity(
    ours: nn.Module,
    theirs: nn.Module,
    inputs: Any,
    *,
    layout: Layout | str,
    dtype: torch.dtype = torch.float32,
    ours_call: Callable[..., Any] | None = None,
    theirs_call: Callable[..., Any] | None = None,
    loss: Callable[[Any], Tensor] | None = None,
    limit: float | None = None,
) -> Parity:
    """Asserts that ``ours`` with the weights of ``theirs`` is the same function with the same gradients.

    Both models are converted to ``dtype``, as are floating inputs; both stay in the mode (train or eval) that the caller
    set, with the same seed before each pass. In training mode the buffers (running statistics) are compared afterwards.

    inputs: a tensor or a tuple, given as ``call(model, *inputs)``; the default call is ``model(*inputs)``.
    ours_call, theirs_call: return a tensor, or a tuple, list or mapping of tensors, in the same order on both sides.
    loss: of what a call returned, a scalar; by default the sum of all floating outputs with fixed random weights.
    """
    limit = LIMITS[dtype] if limit is None else limit
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    inputs = tuple(_cast(value, dtype) for value in inputs)
    ours, theirs = ours.to(dtype), theirs.to(dtype)
    layout = layout_of(ours, layout)
    load_checkpoint(ours, theirs.state_dict(), layout)
    check_round_trip(ours, theirs, layout)

    passes = []
    for model, call in ((ours, ours_call), (theirs, theirs_call)):
        model.zero_grad(set_to_none=True)
        torch.manual_seed(1)
        result = call(model, *inputs) if call else model(*inputs)
        flat = _flat(result)
        (loss(result) if loss else _weighted_sum(flat)).backward()
        passes.append(flat)
    our_outputs, their_outputs = passes
    assert len(our_outputs) == len(their_outputs) > 0, f"ours returns {len(our_outputs)} tensors, theirs {len(their_outputs)}"
    outputs = 0.0
    for index, (our, their) in enumerate(zip(our_outputs, their_outputs, strict=True)):
        outputs = max(outputs, _below(limit, relative(our.detach(), their.detach()), f"output {index}"))
    outputs = max(outputs, _buffers(ours, theirs, layout, limit))
    gradients, zero = _gradients(ours, theirs, layout, limit, dtype)
    return Parity(outputs, gradients, dtype, zero)


def check_round_trip(ours: nn.Module, theirs: nn.Module, layout: Layout | str) -> None:
    """Asserts that our state dict under their names is theirs, key for key and bit for bit, and loads into their class."""
    layout = layout_of(ours, layout)
    back = layout.to_theirs(ours.state_dict())
    wanted = {name: tensor for name, tensor in theirs.state_dict().items() if not layout.is_ignored(name)}
    absent, extra = sorted(wanted.keys() - back.keys()), sorted(back.keys() - wanted.keys())
    assert not absent and not extra, f"after the round trip {len(absent)} of their names are missing {absent[:4]} and {len(extra)} are new {extra[:4]}"
    for name, tensor in wanted.items():
        assert back[name].shape == tensor.shape and torch.equal(back[name], tensor), f"{name} changed on the round trip"
    missing, unexpected = theirs.load_state_dict(back, strict=False)
    missing = [name for name in missing if not layout.is_ignored(name)]
    assert not missing and not unexpected, f"their class misses {missing[:4]} and does not know {unexpected[:4]}"


def _gradients(ours: nn.Module, theirs: nn.Module, layout: Layout, limit: float, dtype: torch.dtype) -> tuple[float, tuple[str, ...]]:
    """Compares under their names: a gradient is turned, split and fused exactly as its weight."""
    with torch.no_grad():
        mine = {
            name: torch.zeros_like(weight) if weight.grad is None else weight.grad
            for name, weight in ours.named_parameters(remove_duplicate=False)
        }  # fmt: skip
        buffers = {name: tensor for name, tensor in ours.state_dict().items() if name not in mine}
        mine = layout.to_theirs(mine | buffers)
    their_gradients = {
        name: torch.zeros_like(weight) if weight.grad is None else weight.grad
        for name, weight in theirs.named_parameters(remove_duplicate=False)
        if not layout.is_ignored(name)
    }  # fmt: skip
    assert their_gradients, "the reference has no parameters"
    largest = max(_largest(gradient) for gradient in their_gradients.values())
    assert largest > 0, "every gradient of the reference is zero: the loss does not depend on the weights"
    worst, zero = 0.0, []
    for name, gradient in their_gradients.items():
        scale = _largest(gradient)
        if scale <= NOISE[dtype] * largest:
            zero.append(name)
            scale = largest
        assert mine[name].shape == gradient.shape
        worst = max(worst, _below(limit, _ratio(_distance(mine[name], gradient), scale), f"the gradient of {name}"))
    return worst, tuple(zero)


def _buffers(ours: nn.Module, theirs: nn.Module, layout: Layout, limit: float) -> float:
    mine = layout.to_theirs(ours.state_dict())
    parameters = {name for name, _ in theirs.named_parameters(remove_duplicate=False)}
    worst = 0.0
    for name, tensor in theirs.state_dict().items():
        if name not in parameters and name in mine:
            worst = max(worst, _below(limit, relative(mine[name], tensor), f"the buffer {name}"))
    return worst


def _below(limit: float, error: float, what: str) -> float:
    assert error <= limit, f"{what} differs by {error:.3g} (relative), more than {limit:g}"  # NaN fails too
    return error


def _cast(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


def _flat(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    parts = result.values() if isinstance(result, Mapping) else result
    return [tensor for part in parts for tensor in _flat(part)]


def _weighted_sum(outputs: list[Tensor]) -> Tensor:
    """A scalar that every output value moves by a different amount, so that no error cancels another."""
    chance = torch.Generator().manual_seed(2)
    terms = []
    for output in outputs:
        if output.is_floating_point():
            weights = torch.randn(output.shape, generator=chance, dtype=torch.float64)
            terms.append((output * weights.to(output)).sum())
    return torch.stack(terms).sum()


# Records


def measure(name: str) -> dict[str, Any]:
    """The integers of a published model at full size: counted on the meta device, in no memory."""
    entry = catalogue.entry(name)
    with torch.device("meta"):
        model = entry.build()
        inputs = entry.example() if entry.example else None
    counted = None
    if inputs is not None:
        counted = mult_adds(model, *_to_meta(inputs))
    return {
        "name": name,
        "parameters": count_parameters(model),
        "mult_adds": counted,
        "paper": entry.paper,
        "paper_parameters": _integer(entry.paper_parameters),
        "paper_mult_adds": _integer(entry.paper_mult_adds),
        "reference": entry.reference,
        "input": None if inputs is None else [list(value.shape) for value in inputs if isinstance(value, Tensor)],
    }


def check_record(name: str, parity: Parity | None = None, size: str = "full") -> dict[str, Any]:
    """Asserts that the committed record states what the code has now, to the digit."""
    record = records.read_record(name)
    assert record is not None, f"'{name}' has no record; write it with: {records.REGENERATE}"
    now = measure(name)
    assert {key: record.get(key) for key in now} == now, f"the record of '{name}' is out of date; write it anew with: {records.REGENERATE}"
    if parity is not None:
        dtype = str(parity.dtype).removeprefix("torch.")
        assert dtype in record["errors"], f"the record of '{name}' has no errors in {dtype}; write it anew with: {records.REGENERATE}"
        assert record["errors"][dtype]["size"] == size, f"the record of '{name}' was measured on {record['errors'][dtype]['size']!r}, this on {size!r}"
    return record


def make_record(name: str, parity: Parity | None = None, size: str = "full") -> dict[str, Any]:
    """Writes the record; what an earlier comparison in another dtype found stays in it."""
    assert size == "full" or size.startswith("reduced: "), f"size is 'full' or 'reduced: ...', not {size!r}"
    try:
        errors = (records.read_record(name) or {}).get("errors", {})
    except records.RecordError:
        errors = {}
    if parity is not None:
        dtype = str(parity.dtype).removeprefix("torch.")
        errors = errors | {dtype: {"outputs": _short(parity.outputs), "gradients": _short(parity.gradients), "size": size}}
    single = errors.get("float32")
    record = measure(name) | {
        "max_rel_error": max(single["outputs"], single["gradients"]) if single else None,
        "errors": dict(sorted(errors.items())),
        "versions": _versions(catalogue.entry(name).reference),
    }
    records.write_record(record)
    return record


def _to_meta(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.to("meta") if isinstance(value, Tensor) else value for value in inputs)


def _integer(number: float | None) -> int | None:
    return None if number is None else round(number)


def _short(error: float) -> float:
    return float(f"{error:.2e}")


def _versions(reference_name: str | None) -> dict[str, str]:
    found = {"torch": torch.__version__}
    package = (reference_name or "").split(".")[0]
    if package not in ("", "torch") and importlib.util.find_spec(package):
        found[package] = importlib.import_module(package).__version__
    return found
