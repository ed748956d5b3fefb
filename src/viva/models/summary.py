"""What a model costs: parameters, multiply-adds, memory, counted and not estimated.

The model runs once on its inputs, and every tensor operation on the way is seen. A multiply-add counts 1 (papers say
"FLOPs" and usually mean this; a matrix product (m, k) x (k, n) has m·k·n of them). Counted are

    linear, matmul     m·k·n
    convolution        outputs · (C_in / groups) · kernel height · width      (transposed: inputs · (C_out / groups) · ...)
    attention          Q·Kᵀ and weights·V, each B · heads · T_q · T_k · d_head, the masked half of a causal one included
    LSTM, GRU          the gates' matrix products of every step

and nothing else: normalisation, activations, additions are left out, as in the papers. On the meta device a model has
shapes and no numbers, so that a model of 47 billion parameters is counted in seconds and in no memory.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

aten = torch.ops.aten


def _product(first: int, second: int) -> Callable[..., int]:
    """Matrix products: every number of the operand at ``first`` meets a row of the operand at ``second``."""
    return lambda args, out: args[first].numel() * args[second].shape[-1]


def _convolution(args: tuple[Any, ...], out: Tensor) -> int:
    inputs, weight, transposed = args[0], args[1], args[6]
    # weight (C_out, C_in / groups, ...): one row for each output; transposed (C_in, C_out / groups, ...): for each input.
    return (inputs if transposed else out).numel() * weight[0].numel()


def _attention(args: tuple[Any, ...], out: Any) -> int:
    query, key, value = args[:3]  # (B, heads, T, d)
    return query.shape[:-1].numel() * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _recurrent(args: tuple[Any, ...], out: Any) -> int:
    inputs = args[0]  # (T, B, features): every step meets every weight matrix once
    weights = [tensor for tensor in tree_flatten(args[1:3])[0] if isinstance(tensor, Tensor) and tensor.dim() == 2]
    return inputs.numel() // inputs.shape[-1] * sum(weight.numel() for weight in weights)


COUNTED: dict[Any, Callable[..., int]] = {
    aten.mm: _product(0, 1),
    aten.bmm: _product(0, 1),
    aten.mv: lambda args, out: args[0].numel(),
    aten.dot: lambda args, out: args[0].numel(),
    aten.addmm: _product(1, 2),
    aten.addmv: lambda args, out: args[1].numel(),
    aten.baddbmm: _product(1, 2),
    aten.convolution: _convolution,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention: _attention,
    aten._scaled_dot_product_efficient_attention: _attention,
    aten._scaled_dot_product_cudnn_attention: _attention,
    aten.mkldnn_rnn_layer: _recurrent,
    aten._cudnn_rnn: _recurrent,
}


class _Counter(TorchDispatchMode):
    """Sees every tensor operation and books what it costs to the innermost layer that is running."""

    def __init__(self) -> None:
        super().__init__()
        self.running = [""]
        self.by_layer: dict[str, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        count = COUNTED.get(func.overloadpacket)
        if count is None:
            # Under inference_mode `linear` or `einsum` arrives whole: take it apart until what is counted appears.
            with self:
                out = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if out is NotImplemented else out
        out = func(*args, **kwargs)
        layer = self.running[-1]
        self.by_layer[layer] = self.by_layer.get(layer, 0) + count(args, out)
        return out


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode (no dropout, running statistics stay), without gradients and nn.Transformer's fused encoder."""
    modes = {module: module.training for module in model.modules()}
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for module, training in modes.items():
            module.training = training


def mult_adds(model: nn.Module, *inputs: Any, **named: Any) -> int:
    """Multiply-adds of ``model(*inputs)``, in evaluation mode. Inputs and model on one device, which may be meta."""
    counter = _Counter()
    with _evaluating(model), counter:
        model(*inputs, **named)
    return sum(counter.by_layer.values())


def count_parameters(model: nn.Module) -> int:
    """Numbers in all parameters; a tensor that two layers share counts once."""
    return sum(parameter.numel() for parameter in model.parameters())


@dataclass(frozen=True)
class Layer:
    """One module of a model and what is below it.

    output: the shape of its (first) output tensor with the batch, None where it was not called.
    parameters, mult_adds: of the module and everything below it, in one pass through the model.
    """

    name: str
    kind: str
    output: tuple[int, ...] | None
    parameters: int
    mult_adds: int
    below: tuple[Layer, ...] = ()

    @property
    def numbered(self) -> bool:
        """Whether the layer is one of a list: its name ends in its place."""
        return self.name.rpartition(".")[2].isdigit()

    def same(self, other: Layer) -> bool:
        """Whether another layer repeats this one under another name.

        A part that layers share has run under its first name only, hence the output that may be None.
        """
        return (
            (self.kind, self.parameters, self.mult_adds) == (other.kind, other.parameters, other.mult_adds)
            and (self.output == other.output or None in (self.output, other.output))
            and len(self.below) == len(other.below)
            and all(mine.same(yours) for mine, yours in zip(self.below, other.below, strict=True))
        )


@dataclass(frozen=True)
class Summary:
    """What a model costs on given inputs. Sizes are in bytes for float32; half of that in bfloat16.

    activations: what one training pass keeps for the backward pass, for the inputs' batch; None where it cannot be told.
    cache_per_token: numbers (not bytes) that generation keeps of every token, keys and values; None without a cache.
    """

    root: Layer
    parameters: int
    mult_adds: int | None
    activations: int | None
    cache_per_token: int | None

    def rows(self, depth: int) -> Iterator[tuple[int, str, int, Layer]]:
        """(level, name, times, layer) down to ``depth``; neighbours that repeat one another are one row, ``times`` > 1."""
        yield from _rows(self.root.below, "", 1, depth)


def _rows(layers: tuple[Layer, ...], parent: str, level: int, depth: int) -> Iterator[tuple[int, str, int, Layer]]:
    index = 0
    while index < len(layers):
        times = 1
        while index + times < len(layers) and layers[index].same(layers[index + times]) and layers[index].numbered:
            times += 1
        layer, last = layers[index], layers[index + times - 1]
        name = layer.name.removeprefix(parent)
        yield level, name if times == 1 else f"{name}–{last.name.rpartition('.')[2]}", times, layer
        if level < depth:
            yield from _rows(layer.below, layer.name + ".", level + 1, depth)
        index += times


def summary(model: nn.Module, *inputs: Any, **named: Any) -> Summary:
    """Runs the model once in evaluation mode and says what every layer costs. Without inputs: the parameters alone."""
    counter = _Counter()
    shapes: dict[str, tuple[int, ...] | None] = {}
    hooks = []

    def entering(name: str) -> Callable[..., None]:
        return lambda module, args: counter.running.append(name)

    def leaving(name: str) -> Callable[..., None]:
        def leave(module: nn.Module, args: Any, output: Any) -> None:
            counter.running.pop()
            tensors = [tensor for tensor in tree_flatten(output)[0] if isinstance(tensor, Tensor)]
            shapes[name] = tuple(tensors[0].shape) if tensors else None

        return leave

    runs = bool(inputs or named)
    if runs:
        try:
            for name, module in model.named_modules():
                hooks += [module.register_forward_pre_hook(entering(name)), module.register_forward_hook(leaving(name))]
            with _evaluating(model), counter:
                model(*inputs, **named)
        finally:
            for hook in hooks:
                hook.remove()

    def layer(name: str, module: nn.Module) -> Layer:
        below = tuple(layer(f"{name}.{child}".removeprefix("."), part) for child, part in module.named_children())
        cost = counter.by_layer.get(name, 0) + sum(part.mult_adds for part in below)
        return Layer(name, type(module).__name__, shapes.get(name), count_parameters(module), cost, below)

    root = layer("", model)
    return Summary(
        root,
        count_parameters(model),
        sum(counter.by_layer.values()) if runs else None,
        activation_bytes(model, *inputs, **named) if runs else None,
        cache_per_token(model),
    )


class _FusedAttention(torch.autograd.Function):
    """What the fused kernel keeps for its backward pass: its inputs, its output and one number a query, no weights."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        batch, heads, time, _ = query.shape
        output = query.new_empty(batch, time, heads, value.shape[-1]).transpose(1, 2)  # the kernels write (B, T, heads, d)
        log_sums = query.new_empty(query.shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, output, log_sums, None if mask is None else mask.to(query.dtype))
        return output


class _Kernels(TorchFunctionMode):
    """On the meta device attention falls back to its formula, which keeps (T, T) weights; machines with numbers do not."""

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.nn.functional.scaled_dot_product_attention:
            query, key, value, *more = args
            return _FusedAttention.apply(query, key, value, more[0] if more else kwargs.get("attn_mask"))
        return func(*args, **kwargs)


def activation_bytes(model: nn.Module, *inputs: Any, **named: Any) -> int | None:
    """Bytes that one training pass on these inputs keeps for its backward pass, weights not counted; None where a model
    decides by its numbers, which the meta device does not have. Nothing is computed and the model is not changed.
    """
    weights = {
        name: torch.empty_like(tensor, device="meta").requires_grad_(isinstance(tensor, nn.Parameter) and tensor.is_floating_point())
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]
    }  # fmt: skip
    own = {tensor.untyped_storage()._cdata for tensor in weights.values()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage  # held until the end, so that no address is used twice
        return tensor

    def to_meta(value: Any) -> Any:
        return value.to("meta") if isinstance(value, Tensor) else value

    training = {module: module.training for module in model.modules()}
    model.train()
    try:
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), _Kernels():
            output = functional_call(model, weights, tuple(map(to_meta, inputs)), {name: to_meta(value) for name, value in named.items()})
            size = sum(storage.nbytes() for storage in kept.values())
            del output
    except (NotImplementedError, RuntimeError, ValueError):
        return None
    finally:
        for module, mode in training.items():
            module.training = mode
    return size


def cache_per_token(model: nn.Module) -> int | None:
    """Numbers that generation keeps of every token: 2 · key-value heads · d_head for each attention layer with a cache.

    A layer has one where the block around it takes a cache. Cross-attention counts too: it keeps the source's tokens.
    """
    layers = [
        layer
        for block in model.modules()
        if any("cache" in name for name in inspect.signature(block.forward).parameters)
        for layer in block.children()
        if hasattr(layer, "num_kv_heads") and hasattr(layer, "d_head")
    ]  # fmt: skip
    return sum(2 * layer.num_kv_heads * layer.d_head for layer in layers) or None  # type: ignore[operator, misc]
