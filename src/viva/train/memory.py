"""Training memory: what a step keeps, counted without computing it.

One training step needs, in bytes (b per number: 4 in float32, 2 in bfloat16; n weights, batch B):

    weights        b · n                  and the buffers (running statistics)
    gradients      b · n                  of what is trained
    optimiser      s · b · n              s = 0 for SGD, 1 for momentum and RMSprop, 2 for Adam and AdamW
    activations    a · B + c              what the backward pass will need of the forward pass; a for each sample, and c
                                          for copies that do not grow with it (autocast's half-precision weights)

so Adam in float32 costs 16 bytes a weight before the first activation. Mixed precision by autocast keeps weights,
gradients and states in float32 and about halves a. Gradient checkpointing (Chen et al. 2016) keeps the inputs of chosen
blocks only and computes the rest again: a shrinks to one block's worth plus the inputs, for a third more time.

`training_memory` runs forward and backward on *fake* tensors, which have shapes, types, devices and storages but no
numbers, and counts every storage from birth to death (`Ledger`). That is what an allocator sees, down to its rounding;
kernels' own scratch space (cuDNN, cuBLAS workspaces) and the CUDA context are not in it. A 7-billion-weight model is
estimated in seconds, on a laptop.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map
from torch.utils.checkpoint import checkpoint

# Numbers that an optimiser keeps for each weight.
STATES = {"gd": 0, "sgd": 0, "momentum": 1, "nesterov": 1, "rmsprop": 1, "adam": 2, "adamw": 2}
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Ledger(TorchDispatchMode):
    """Counts the bytes of tensors that operations make: ``live`` now, ``peak`` at most. Each storage counts once, however
    many tensors look at it, from the operation that made it until nobody holds it. Works on real and fake tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        # What goes in was made before this ledger was opened, or is in it already.
        for tensor in tree_iter((args, kwargs)):
            if isinstance(tensor, Tensor):
                self._enter(tensor, counts=False)
        result = func(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, Tensor):
                self._enter(tensor, counts=True)
        return result

    def _enter(self, tensor: Tensor, counts: bool) -> None:
        storage = tensor.untyped_storage()
        address = storage._cdata
        if address in self._known:
            return
        size = storage.nbytes() if counts else 0
        self._known.add(address)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._leave, address, size)

    def _leave(self, address: int, size: int) -> None:
        self._known.discard(address)
        self.live -= size


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of one training step. ``peak`` is the largest sum alive at once; it is less than ``total``, since activations
    are freed while gradients appear."""

    batch_size: int
    weights: int
    buffers: int
    gradients: int
    optimiser: int
    inputs: int
    activations: int
    activations_per_sample: float
    peak: int

    @property
    def total(self) -> int:
        """All parts side by side."""
        return self.weights + self.buffers + self.gradients + self.optimiser + self.inputs + self.activations

    def __str__(self) -> str:
        rows = [(name, getattr(self, name)) for name in ("weights", "buffers", "gradients", "optimiser", "inputs", "activations", "peak")]
        lines = [f"{name:<12} {value / 2**20:>12,.1f} MiB" for name, value in rows]
        return "\n".join([f"batch of {self.batch_size}", *lines, f"per sample   {self.activations_per_sample / 2**20:>12,.3f} MiB"])


def training_memory(
    model: nn.Module,
    *inputs: Any,
    optimiser: str = "adamw",
    precision: str = "float32",
    loss: Callable[[Any], Tensor] | None = None,
    device: str | None = None,
    checkpointed: tuple[type[nn.Module], ...] = (),
    **named: Any,
) -> TrainingMemory:
    """What a training step of ``model(*inputs, **named)`` keeps. Nothing is computed and the model is not changed.

    inputs: tensors with the batch first (real, or on the meta device; only shapes and types matter). optimiser: a name in
    `STATES`. precision: "float32" (the model's own types), "bf16" or "fp16" (autocast). loss: of the model's output, a
    scalar; default: the mean of every number. device: where the step would run, "cpu" or "cuda" (kernels differ in what
    they keep; "cuda" needs a torch built with it); default: the inputs'. checkpointed: classes of blocks whose insides are computed again.
    Raises ValueError for a model whose shapes depend on numbers (routing to experts), which fake tensors do not have.
    """
    if optimiser not in STATES:
        raise ValueError(f"optimiser is {optimiser!r}; it is one of {', '.join(STATES)}")
    if precision not in ("float32", *_AUTOCAST):
        raise ValueError(f"precision is {precision!r}; it is one of float32, {', '.join(_AUTOCAST)}")
    tensors = [value for value in tree_iter((inputs, named)) if isinstance(value, Tensor)]
    if not tensors or any(tensor.dim() == 0 for tensor in tensors):
        raise ValueError("a step needs input tensors with the batch as their first axis")
    where = torch.device(device or ("cpu" if tensors[0].is_meta else tensors[0].device))
    if where.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is cuda and this torch sees none; estimate for cpu, whose kernels keep nearly the same")
    batch = len(tensors[0])
    once, twice = (_step(model, inputs, named, copies, precision, loss, where, checkpointed) for copies in (1, 2))
    weights = sum(_bytes(p) for p in model.parameters())
    trained = sum(_bytes(p) for p in model.parameters() if p.requires_grad)
    states = STATES[optimiser] * trained
    buffers = sum(_bytes(b) for b in model.buffers())
    given = sum(_bytes(tensor) for tensor in tensors)
    standing = weights + buffers + states + given
    return TrainingMemory(
        batch_size=batch,
        weights=weights,
        buffers=buffers,
        gradients=trained,
        optimiser=states,
        inputs=given,
        activations=once[0],
        activations_per_sample=(twice[0] - once[0]) / batch,
        peak=standing + max(once[1], trained),
    )


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _step(
    model: nn.Module,
    inputs: tuple[Any, ...],
    named: dict[str, Any],
    copies: int,
    precision: str,
    loss: Callable[[Any], Tensor] | None,
    device: torch.device,
    checkpointed: tuple[type[nn.Module], ...],
) -> tuple[int, int]:
    """(bytes alive between forward and backward pass, most bytes alive at once), of ``copies`` times the batch."""
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:

        def empty(tensor: Tensor, times: int = 1) -> Tensor:
            return torch.empty((len(tensor) * times, *tensor.shape[1:]) if times > 1 else tensor.shape, dtype=tensor.dtype, device=device)

        state = {name: empty(tensor) for name, tensor in [*model.named_parameters(), *model.named_buffers()]}
        for name, parameter in model.named_parameters():
            state[name].requires_grad_(parameter.requires_grad)
        given, given_named = tree_map(lambda value: empty(value, copies) if isinstance(value, Tensor) else value, (inputs, named))
        modes = {module: module.training for module in model.modules()}
        model.train()
        try:
            with Ledger() as ledger, _checkpointing(model, checkpointed):
                autocast = torch.autocast(device.type, _AUTOCAST[precision]) if precision in _AUTOCAST else nullcontext()
                with autocast:
                    output = functional_call(model, state, given, given_named)
                    value = loss(output) if loss is not None else _mean(output)
                del output
                kept = ledger.live
                value.backward()
                del value
        except (DataDependentOutputException, DynamicOutputShapeException) as error:
            raise ValueError(f"{type(model).__name__} decides by its numbers ({error}), which an estimate does not have: run one step under Ledger() instead") from None
        finally:
            for module, mode in modes.items():
                module.training = mode
            del fake
        return kept, ledger.peak


def _mean(output: Any) -> Tensor:
    numbers = [tensor for tensor in tree_iter(output) if isinstance(tensor, Tensor) and tensor.requires_grad]
    return torch.stack([tensor.float().mean() for tensor in numbers]).sum()


@contextmanager
def _checkpointing(model: nn.Module, types: tuple[type[nn.Module], ...]) -> Iterator[None]:
    """Inside, modules of these types run under gradient checkpointing."""
    chosen = [module for module in model.modules() if types and isinstance(module, types)]
    for module in chosen:
        module.forward = _again(module.forward)
    try:
        yield
    finally:
        for module in chosen:
            del module.forward


def _again(forward: Callable[..., Any]) -> Callable[..., Any]:
    # There are no random numbers here whose state would have to be kept.
    return lambda *args, **kwargs: checkpoint(forward, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)
