"""Makes a trained model faster without asking its owner to know how, and says what that cost.

``fast(model, *inputs)`` returns a copy in ``eval`` mode and a report. What it may do, in this order:

1. **Fold** each batch norm into the convolution before it (``viva.models.folding``).
2. **Memory format**: channels last (NHWC in memory, NCHW to the reader), in which convolution kernels read all channels of a
   pixel at once.
3. **bfloat16** for the matrix products, where the machine has instructions for it (AMX or AVX512-BF16 on a CPU, compute
   capability 8 or higher on a GPU). Normalisation, softmax and the residual stream stay in float32.
4. **Compile** (``compile=True``): ``torch.compile`` fuses what stands between the products. It takes seconds to minutes once.

Steps 2 and 3 are kept only where a measurement on the given inputs finds them faster. ``exact=True`` leaves step 3 out: the
result is float32 and differs from the model's own by rounding alone (folding reorders a product). ``training=True`` leaves the
parameters in place and in float32 (only steps 2 to 4, bfloat16 by autocast; forward and backward passes are measured), for the
training loop.

Steps 2 and 3 stand around every public method of the model, not around ``forward`` alone: ``generate``, ``encode`` or
``with_auxiliary`` are as fast. A fast model is copied like any other; to keep one, keep the given model's weights.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import wraps
from inspect import isfunction
from statistics import median
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from viva.models.folding import change, fold_batch_norms, outputs, tensors
from viva.nn import Conv2d, ConvTranspose2d, Linear

Model = TypeVar("Model", bound=nn.Module)
Method = Callable[..., Any]
WORTHWHILE = 1.05  # a step is kept from this measured speed-up on: below it the clock's noise decides


@dataclass
class Report:
    """What ``fast`` chose for one model on one machine.

    Attributes:
        choices: one sentence per step: what was chosen or left, and why.
        change: how far the output moved, max |fast − model| / max |model| over all floating outputs on the given inputs.
        speedup: seconds before / seconds after on the given inputs, compile time not counted; of a forward and a backward pass
            for training, where the output does not move but for bfloat16's rounding.
    """

    choices: list[str] = field(default_factory=list)
    change: float = 0.0
    speedup: float = 1.0

    def __str__(self) -> str:
        lines = [f"- {choice}" for choice in self.choices]
        return "\n".join([*lines, f"The output moves by {self.change:.1e} of its largest value; {self.speedup:.2f} times as fast."])


def has_bfloat16(device: torch.device) -> bool:
    """True where ``device`` multiplies bfloat16 matrices in hardware, not by conversion to float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return False


def fast(
    model: Model, *inputs: Any, exact: bool = False, compile: bool = False, training: bool = False
) -> tuple[Model, Report]:
    """A faster model, and what was done to get it.

    Args:
        model: any model of this room, or one built of ``viva.nn`` layers. It is not changed, and left in the mode it was in,
            unless ``training``.
        inputs: what the model will be called with, in the shapes and on the device that matter: they are run a dozen times.
        exact: float32 throughout (no bfloat16).
        compile: also ``torch.compile``; takes seconds to minutes once, and again for new shapes.
        training: prepare the model itself, in ``train`` mode, for the training loop instead of a copy for inference.

    Returns:
        The model to use, of the same class, and the report.

    Raises:
        ValueError: no inputs were given.
    """
    if not inputs:
        raise ValueError("fast(model, *inputs) needs the inputs that the model will get: it measures on them what is worth doing")
    report = Report()
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    if training:
        return _for_training(model, inputs, device, exact, compile, report)

    quick = copy.deepcopy(model).eval()
    folded = fold_batch_norms(quick, *inputs)
    report.choices.append(f"folded {folded} batch norms into the convolutions before them" if folded else "no batch norm to fold")

    def attempt(what: str, other: Model) -> Model:
        try:
            gain = _gain(lambda: quick(*inputs), lambda: other(*inputs), device)
        except RuntimeError as error:  # no kernel for it: oneDNN has no LSTM in bfloat16 on older CPUs
            report.choices.append(f"{what}: this machine cannot ({str(error).partition(chr(10))[0]}), left")
            return quick
        report.choices.append(f"{what}: {gain:.2f} times as fast, {'taken' if gain >= WORTHWHILE else 'left'}")
        return other if gain >= WORTHWHILE else quick

    if _has_convolutions(quick):
        quick = attempt("channels last", _in_channels_last(copy.deepcopy(quick)))
    if reason := _reason_for_float32(quick, device, exact):
        report.choices.append(reason)
    else:
        quick = attempt("bfloat16 matrix products", _with_autocast(_in_bfloat16(copy.deepcopy(quick)), device.type))
    if compile:
        quick.compile()
        report.choices.append("compiled")
    with _evaluating(model):
        report.change = change(outputs(model(*inputs)), outputs(quick(*inputs)))
        report.speedup = _gain(lambda: model(*inputs), lambda: quick(*inputs), device)
    return quick, report


def _for_training(
    model: Model, inputs: tuple[Any, ...], device: torch.device, exact: bool, compile: bool, report: Report
) -> tuple[Model, Report]:
    model.train()

    def attempt(what: str, change: Callable[[Model], Model]) -> None:
        plain, other = copy.deepcopy(model), change(copy.deepcopy(model))  # steps leave traces in running statistics
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            gain = _gain(lambda: _backward(plain(*inputs)), lambda: _backward(other(*inputs)), device, torch.enable_grad)
        report.choices.append(f"{what}: {gain:.2f} times as fast, {'taken' if gain >= WORTHWHILE else 'left'}")
        if gain >= WORTHWHILE:
            change(model)
            report.speedup *= gain

    if _has_convolutions(model):
        attempt("channels last", _in_channels_last)
    if reason := _reason_for_float32(model, device, exact):
        report.choices.append(reason)
    else:
        attempt("bfloat16 matrix products by autocast, parameters and gradients in float32", lambda model: _with_autocast(model, device.type))
    if compile:
        model.compile()
        report.choices.append("compiled")
    return model, report


def _backward(output: Any) -> None:
    """The gradient of some loss: which one does not matter to the clock."""
    losses = [tensor.float().square().mean() for tensor in tensors(output) if tensor.requires_grad]
    if losses:
        torch.stack(losses).sum().backward()


def _reason_for_float32(model: nn.Module, device: torch.device, exact: bool) -> str:
    """Why bfloat16 is not for this model, in words; empty where it is."""
    if exact:
        return "float32: asked to be exact"
    if not has_bfloat16(device):
        return "float32: this machine has no bfloat16 instructions"
    if others := {parameter.dtype for parameter in model.parameters()} - {torch.float32}:
        return f"bfloat16 left: it is for float32 models, this one has parameters in {', '.join(sorted(map(str, others)))}"
    return ""


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation without gradients; afterwards every layer is in the mode it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _in_bfloat16(model: Model) -> Model:
    """The weights of the matrix products in bfloat16, once; everything else as it was, under autocast."""
    shared: dict[int, nn.Parameter] = {}  # weights that are tied stay tied
    tied = {id(p) for module in model.modules() if not isinstance(module, Linear | Conv2d | ConvTranspose2d) for p in module.parameters(recurse=False)}
    for module in model.modules():
        if isinstance(module, Linear | Conv2d | ConvTranspose2d):
            for name, parameter in list(module.named_parameters(recurse=False)):
                if id(parameter) in tied:  # an embedding's: it is looked up in float32 and converted by autocast
                    continue
                low = shared.setdefault(id(parameter), nn.Parameter(parameter.detach().bfloat16(), requires_grad=False))
                setattr(module, name, low)
    return model


def _has_convolutions(model: nn.Module) -> bool:
    return any(isinstance(module, Conv2d | ConvTranspose2d) for module in model.modules())


def _in_channels_last(model: Model) -> Model:
    """``model`` itself with its weights, and from now on every image that comes in, in this memory format."""

    def around(method: Method) -> Method:
        @wraps(method)
        def with_channels_last(self: Any, *arguments: Any, **named: Any) -> Any:
            return method(self, *map(_channels_last, arguments), **{name: _channels_last(value) for name, value in named.items()})

        return with_channels_last

    return _with_methods(model.to(memory_format=torch.channels_last), around)  # type: ignore[call-overload]


def _with_autocast(model: Model, device: str) -> Model:
    """``model`` itself, from now on under autocast."""

    def around(method: Method) -> Method:
        @wraps(method)
        def with_autocast(self: Any, *arguments: Any, **named: Any) -> Any:
            with torch.autocast(device, torch.bfloat16):
                return _restored(method(self, *arguments, **named))

        return with_autocast

    return _with_methods(model, around)


def _with_methods(model: Model, around: Callable[[Method], Method]) -> Model:
    """``model`` itself with its public methods wrapped.

    By a class of its own: methods kept in the model would go on calling this model from within its copies.
    """
    kind = type(model)
    own = kind.__mro__[: kind.__mro__.index(nn.Module)]
    public = {name: method for base in reversed(own) for name, method in vars(base).items() if not name.startswith("_") and isfunction(method)}
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    model.__class__ = type(kind.__name__, (kind,), names | {name: around(method) for name, method in public.items()})
    return model


def _channels_last(value: Any) -> Any:
    if isinstance(value, Tensor) and value.dim() == 4 and value.is_floating_point():
        return value.contiguous(memory_format=torch.channels_last)
    return value


def _restored(value: Any) -> Any:
    """Outputs leave in float32, whatever the products inside were in."""
    if isinstance(value, Tensor):
        return value.float() if value.dtype == torch.bfloat16 else value
    if isinstance(value, dict):
        restored = copy.copy(value)  # of its own kind, whatever that needs to be made
        for key, item in value.items():
            restored[key] = _restored(item)
        return restored
    if isinstance(value, list | tuple):
        items = [_restored(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{place.name: _restored(getattr(value, place.name)) for place in fields(value) if place.init})
    return value


def _gain(
    slow: Callable[[], Any], quick: Callable[[], Any], device: torch.device, mode: Callable[[], Any] = torch.inference_mode
) -> float:
    """Seconds of ``slow`` / seconds of ``quick``: medians of interleaved runs, so that a busy machine disturbs both alike."""
    seconds: tuple[list[float], list[float]] = ([], [])
    with mode():
        for turn in range(6):
            for which, call in enumerate((slow, quick)):
                started = time.perf_counter()
                call()
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                if turn:  # the first run allocates
                    seconds[which].append(time.perf_counter() - started)
    return median(seconds[0]) / median(seconds[1])
