"""Folding: a trained network without its batch norms.

In evaluation a batch norm is an affine map per channel, and a convolution is linear, so the one after the other is one
convolution (Jacob et al. 2018, "Quantization and Training of Neural Networks", section 3.2):

    y = γ (Wx + b − μ) / √(σ² + ε) + β  =  W′x + b′,     W′ = sW,  b′ = s(b − μ) + β,  s = γ / √(σ² + ε)

x (N, C_in, H, W), W (C_out, C_in / groups, k, k), and γ, β, μ, σ², s (C_out,). What is saved is a pass over the feature map for
every norm. The result differs by rounding alone. Which norm follows which convolution is not written in a model's list of
layers but in its ``forward``; so the model runs once, and what it does is watched.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from viva.nn import BatchNorm2d, Conv2d, ConvTranspose2d


def fold_batch_norms(model: nn.Module, *inputs: Any) -> int:
    """Folds every batch norm that directly follows a convolution into it, in place; returns how many.

    One forward pass on ``inputs`` finds the pairs: a batch norm whose input *is* the tensor that a convolution returned. Left
    alone are layers that are called more than once, and convolutions whose output is changed in place before the norm or read
    by anything else. The output before and after is compared as well. Raises ValueError in training mode, where the
    statistics are the batch's.
    """
    norms = [module for module in model.modules() if isinstance(module, BatchNorm2d)]
    if model.training or any(norm.training for norm in norms):
        raise ValueError("batch norms can be folded in eval mode only (in training they use the batch's statistics): call model.eval() first")
    seen = _Reads()
    calls: Counter[nn.Module] = Counter()
    found: list[tuple[Any, BatchNorm2d, int]] = []

    def after(module: nn.Module, _: Any, output: Any) -> None:
        calls[module] += 1
        # A subclass may do more than convolve; a weight that is computed (parametrised) cannot be set.
        plain = type(module).forward in (Conv2d.forward, ConvTranspose2d.forward) and "weight" in module._parameters
        if plain and isinstance(output, Tensor):
            seen.made[id(output)] = (module, output, output._version)  # kept, so that no later tensor gets the same id

    def before(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        if isinstance(module, BatchNorm2d) and arguments and id(arguments[0]) in seen.made:
            convolution, output, version = seen.made[id(arguments[0])]
            if output._version == version:
                found.append((convolution, module, id(output)))

    hooks = [module.register_forward_hook(after) for module in model.modules()]
    hooks += [module.register_forward_pre_hook(before) for module in model.modules()]
    try:
        with torch.inference_mode(False), torch.no_grad(), seen:  # inference tensors would not count their versions
            result = model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    wanted = outputs(result)
    seen.reads.update(id(tensor) for tensor in tensors(result))
    pairs = [(convolution, norm) for convolution, norm, place in found if calls[convolution] == calls[norm] == seen.reads[place] == 1]
    seen.made.clear()
    places = {child: (parent, name) for parent in model.modules() for name, child in parent.named_children()}

    def attempt(group: list[tuple[Any, BatchNorm2d]]) -> int:
        earlier = [(convolution.weight, convolution.bias) for convolution, _ in group]
        for convolution, norm in group:
            convolution.weight, convolution.bias = _folded(convolution, norm)
            setattr(*places[norm], nn.Identity().eval())
        with torch.no_grad():
            if change(wanted, outputs(model(*inputs))) < 1e-3:
                return len(group)
        for (convolution, norm), (weight, bias) in zip(group, earlier, strict=True):
            convolution.weight, convolution.bias = weight, bias
            setattr(*places[norm], norm)
        return 0

    if not pairs:
        return 0
    return attempt(pairs) or sum(attempt([pair]) for pair in pairs)


class _Reads(TorchFunctionMode):
    """Counts the operations that read a convolution's output: it is gone after folding, so only the norm may have read it."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[int, tuple[nn.Module, Tensor, int]] = {}  # id -> (convolution, its output, the output's version)
        self.reads: Counter[int] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if any(isinstance(leaf, Tensor) for leaf in tree_leaves(out)):  # asking for a shape is not reading
            self.reads.update(id(leaf) for leaf in tree_leaves((args, kwargs)) if id(leaf) in self.made)
        return out


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


# What came out, before and after


def tensors(value: Any) -> list[Tensor]:
    """The tensors in a model's output, whatever holds them."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for item in value.values() for tensor in tensors(item)]
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in tensors(item)]
    if is_dataclass(value):
        return [tensor for place in fields(value) for tensor in tensors(getattr(value, place.name))]
    return []


def outputs(value: Any) -> list[Tensor]:
    """Copies of the floating ones among them."""
    return [tensor.detach().clone() for tensor in tensors(value) if tensor.is_floating_point()]


def change(wanted: list[Tensor], found: list[Tensor]) -> float:
    """max |found − wanted| / max |wanted|, of the worst tensor; infinite where only one of the two is a number."""
    worst = 0.0
    for a, b in zip(wanted, found, strict=True):
        a, b = a.double(), b.double()
        apart = (b - a).abs().masked_fill((a == b) | (a.isnan() & b.isnan()), 0.0).nan_to_num(nan=torch.inf)
        if a.numel():
            worst = max(worst, float(apart.max() / a.nan_to_num(0.0, 0.0, 0.0).abs().max().clamp_min(1e-30)))
    return worst
