"""Makes a trained model faster without asking its owner to know how, and says what that cost.

``fast(model, *inputs)`` returns a copy in ``eval`` mode and a report. What it may do, in this order:

1. **Fold** each batch norm into the convolution before it. In ``eval`` mode batch norm is an affine map per channel,
   y = γ (Wx + b − μ) / √(σ² + ε) + β, so the two become one convolution with W′ = sW, b′ = s(b − μ) + β, s = γ / √(σ² + ε)
   (Jacob et al. 2018, "Quantization and Training of Neural Networks", §3.2).
2. **Memory format**: channels last (NHWC in memory, NCHW to the reader), in which convolution kernels read all channels of a
   pixel at once.
3. **bfloat16** for the matrix products, where the machine has instructions for it (AMX or AVX512-BF16 on a CPU, compute
   capability 8 or higher on a GPU). Normalisation, softmax and the residual stream stay in float32.
4. **Compile** (``compile=True``): ``torch.compile`` fuses what stands between the products. It takes seconds to minutes once.

Steps 2 and 3 are kept only where a measurement on the given inputs finds them faster. ``exact=True`` leaves step 3 out: the
result is float32 and differs from the model's own by rounding alone (folding reorders a product). ``training=True`` leaves the
parameters in place and in float32 (only steps 2 to 4, bfloat16 by autocast), for the training loop.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from viva.nn import BatchNorm2d, Conv2d, ConvTranspose2d, Linear

Model = TypeVar("Model", bound=nn.Module)
Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]
WORTHWHILE = 1.05  # a step is kept from this measured speed-up on: below it the clock's noise decides


@dataclass
class Report:
    """What ``fast`` chose for one model on one machine.

    Attributes:
        choices: one sentence per step: what was chosen or left, and why.
        change: how far the output moved, max |fast − model| / max |model| over all floating outputs on the given inputs.
        speedup: seconds before / seconds after on the given inputs, compile time not counted.
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
        model: any model of this room, or one built of ``viva.nn`` layers. It is not changed, unless ``training``.
        inputs: what the model will be called with, in the shapes and on the device that matter: they are run a dozen times.
        exact: float32 throughout (no bfloat16).
        compile: also ``torch.compile``; takes seconds to minutes once, and again for new shapes.
        training: prepare the model itself for the training loop instead of a copy for inference.

    Returns:
        The model to use, of the same class, and the report.

    Raises:
        ValueError: no inputs were given.
    """
    if not inputs:
        raise ValueError("fast(model, *inputs) needs the inputs that the model will get: it measures on them what is worth doing")
    report = Report()
    model.train(training)
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    if training:
        return _for_training(model, device, exact, compile, report)

    quick = copy.deepcopy(model)
    folded = fold_batch_norms(quick, *inputs)
    report.choices.append(f"folded {folded} batch norms into the convolutions before them" if folded else "no batch norm to fold")

    wrappers: list[Wrapper] = []  # around forward; put on at the end, because a copy of a wrapped model would call the original
    if _has_convolutions(quick):
        arranged = copy.deepcopy(quick).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        gain = _gain(lambda: quick(*inputs), lambda: _with_channels_last(arranged)(*inputs), device)
        report.choices.append(f"channels last: {gain:.2f} times as fast, {_verdict(gain)}")
        if gain >= WORTHWHILE:
            quick = arranged
            wrappers.append(_with_channels_last)

    if exact:
        report.choices.append("float32: asked to be exact")
    elif not has_bfloat16(device):
        report.choices.append("float32: this machine has no bfloat16 instructions")
    else:
        lowered = _in_bfloat16(copy.deepcopy(quick))
        gain = _gain(lambda: quick(*inputs), lambda: _with_autocast(lowered, device.type)(*inputs), device)
        report.choices.append(f"bfloat16 matrix products: {gain:.2f} times as fast, {_verdict(gain)}")
        if gain >= WORTHWHILE:
            quick = lowered
            wrappers.append(lambda forward: _with_autocast(forward, device.type))

    for wrap in wrappers:
        quick.forward = wrap(quick.forward)
    if compile:
        quick.compile()
        report.choices.append("compiled")
    with torch.inference_mode():
        report.change = _change(_outputs(model(*inputs)), _outputs(quick(*inputs)))
    report.speedup = _gain(lambda: model(*inputs), lambda: quick(*inputs), device)
    return quick, report


def _for_training(model: Model, device: torch.device, exact: bool, compile: bool, report: Report) -> tuple[Model, Report]:
    if _has_convolutions(model):
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        model.forward = _with_channels_last(model.forward)
        report.choices.append("channels last")
    if exact:
        report.choices.append("float32: asked to be exact")
    elif has_bfloat16(device):
        model.forward = _with_autocast(model.forward, device.type)
        report.choices.append("bfloat16 matrix products by autocast; parameters and gradients stay in float32")
    else:
        report.choices.append("float32: this machine has no bfloat16 instructions")
    if compile:
        model.compile()
        report.choices.append("compiled")
    return model, report


def fold_batch_norms(model: nn.Module, *inputs: Any) -> int:
    """Folds every batch norm that directly follows a convolution into it, in place; returns how many.

    One forward pass on ``inputs`` finds the pairs: a batch norm whose input *is* the tensor that a convolution returned. Layers
    that are called more than once are left alone, and so is a convolution whose output goes elsewhere too: the output after
    folding shows it. Raises ValueError in training mode, where the statistics are the batch's.
    """
    if model.training:
        raise ValueError("batch norms can be folded in eval mode only (in training they use the batch's statistics): call model.eval() first")
    made: dict[int, tuple[nn.Module, Tensor]] = {}
    calls: dict[nn.Module, int] = {}
    pairs: list[tuple[Any, BatchNorm2d]] = []

    def after(module: nn.Module, _: Any, output: Any) -> None:
        calls[module] = calls.get(module, 0) + 1
        if isinstance(module, Conv2d | ConvTranspose2d) and isinstance(output, Tensor):
            made[id(output)] = (module, output)  # kept, so that no later tensor gets the same id

    def before(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        if isinstance(module, BatchNorm2d) and id(arguments[0]) in made:
            pairs.append((made[id(arguments[0])][0], module))

    hooks = [module.register_forward_hook(after) for module in model.modules()]
    hooks += [module.register_forward_pre_hook(before) for module in model.modules()]
    try:
        with torch.no_grad():
            wanted = _outputs(model(*inputs))
    finally:
        for hook in hooks:
            hook.remove()
    made.clear()
    pairs = [(convolution, norm) for convolution, norm in pairs if calls[convolution] == calls[norm] == 1]
    places = {child: (parent, name) for parent in model.modules() for name, child in parent.named_children()}

    def attempt(group: list[tuple[Any, BatchNorm2d]]) -> int:
        earlier = [(convolution.weight, convolution.bias) for convolution, _ in group]
        for convolution, norm in group:
            convolution.weight, convolution.bias = _folded(convolution, norm)
            setattr(*places[norm], nn.Identity())
        with torch.no_grad():
            if _change(wanted, _outputs(model(*inputs))) < 1e-3:
                return len(group)
        for (convolution, norm), (weight, bias) in zip(group, earlier, strict=True):
            convolution.weight, convolution.bias = weight, bias
            setattr(*places[norm], norm)
        return 0

    if not pairs:
        return 0
    return attempt(pairs) or sum(attempt([pair]) for pair in pairs)


def _folded(convolution: Any, norm: BatchNorm2d) -> tuple[nn.Parameter, nn.Parameter]:
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()  # (C_out,)
    weight = convolution.weight.double()
    if isinstance(convolution, ConvTranspose2d):  # (C_in, C_out / groups, k, k)
        per_group = weight.shape[1]
        shape = (convolution.groups, 1, per_group, 1, 1)
        weight = (weight.unflatten(0, (convolution.groups, -1)) * scale.view(shape)).flatten(0, 1)
    else:  # (C_out, C_in / groups, k, k)
        weight = weight * scale.view(-1, 1, 1, 1)
    bias = 0.0 if convolution.bias is None else convolution.bias.double()
    shifted = (bias - norm.running_mean.double()) * scale + norm.bias.double()
    dtype = convolution.weight.dtype
    return nn.Parameter(weight.to(dtype), requires_grad=False), nn.Parameter(shifted.to(dtype), requires_grad=False)


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


def _verdict(gain: float) -> str:
    return "taken" if gain >= WORTHWHILE else "left"


def _with_channels_last(forward: Callable[..., Any]) -> Callable[..., Any]:
    def with_channels_last(*arguments: Any, **named: Any) -> Any:
        return forward(*(_channels_last(value) for value in arguments), **named)

    return with_channels_last


def _with_autocast(forward: Callable[..., Any], device: str) -> Callable[..., Any]:
    def with_autocast(*arguments: Any, **named: Any) -> Any:
        with torch.autocast(device, torch.bfloat16):
            return _restored(forward(*arguments, **named))

    return with_autocast


def _channels_last(value: Any) -> Any:
    if isinstance(value, Tensor) and value.dim() == 4 and value.is_floating_point():
        return value.contiguous(memory_format=torch.channels_last)
    return value


def _restored(value: Any) -> Any:
    """Outputs leave in float32, whatever the products inside were in."""
    if isinstance(value, Tensor):
        return value.float() if value.dtype == torch.bfloat16 else value
    if isinstance(value, dict):
        return type(value)({key: _restored(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        items = [_restored(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _outputs(value: Any) -> list[Tensor]:
    """The floating tensors in a model's output, whatever holds them."""
    if isinstance(value, Tensor):
        return [value.detach().clone()] if value.is_floating_point() else []
    if isinstance(value, dict):
        return [tensor for item in value.values() for tensor in _outputs(item)]
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in _outputs(item)]
    if hasattr(value, "__dataclass_fields__"):
        return [tensor for name in value.__dataclass_fields__ for tensor in _outputs(getattr(value, name))]
    return []


def _change(wanted: list[Tensor], found: list[Tensor]) -> float:
    pairs = zip(wanted, found, strict=True)
    return max((float((b.double() - a.double()).abs().max() / a.double().abs().max().clamp_min(1e-30)) for a, b in pairs if a.numel()), default=0.0)


def _gain(slow: Callable[[], Any], quick: Callable[[], Any], device: torch.device) -> float:
    """Seconds of ``slow`` / seconds of ``quick``: medians of interleaved runs, so that a busy machine disturbs both alike."""
    seconds: tuple[list[float], list[float]] = ([], [])
    with torch.inference_mode():
        for turn in range(6):
            for which, call in enumerate((slow, quick)):
                started = time.perf_counter()
                call()
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                if turn:  # the first run allocates
                    seconds[which].append(time.perf_counter() - started)
    return median(seconds[0]) / median(seconds[1])
