"""Holding a layer or a function of Viva to another implementation: outputs, gradients, buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# max|a − b| / max|b| of a tensor
LIMITS = {torch.float32: 1e-5, torch.float64: 1e-12}


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Numbers from N(0, 1), the same ones in every dtype."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def assert_equal(ours: Tensor, theirs: Tensor, what: str = "the tensor") -> None:
    assert ours.dtype == theirs.dtype, f"{what}: {ours.dtype} for {theirs.dtype}"
    assert ours.shape == theirs.shape, f"{what}: {tuple(ours.shape)} for {tuple(theirs.shape)}"
    if theirs.numel() == 0:
        return
    limit = LIMITS.get(theirs.dtype, 0.0)
    scale = theirs.abs().max().clamp_min(1e-30)
    difference = (ours - theirs).abs().max() / scale if theirs.is_floating_point() else (ours != theirs).sum()
    assert difference <= limit, f"{what}: relative difference {float(difference):.2e} above {limit:.0e}"


def assert_same_function(ours: Callable[..., Tensor], theirs: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """Both give one output and one gradient for each floating-point input, for a random cotangent. Returns the output."""
    outputs, gradients = [], []
    for function in (ours, theirs):
        copies = [
            given.detach().clone().requires_grad_() if isinstance(given, Tensor) and given.is_floating_point() else given
            for given in inputs
        ]
        torch.manual_seed(1)
        out = function(*copies)
        cotangent = random(*out.shape, seed=7, dtype=out.dtype)
        leaves = [copy for copy in copies if isinstance(copy, Tensor) and copy.requires_grad]
        gradients.append(torch.autograd.grad(out, leaves, cotangent, materialize_grads=True) if leaves else ())
        outputs.append(out.detach())
    assert_equal(outputs[0], outputs[1], "output")
    for place, (mine, other) in enumerate(zip(*gradients, strict=True)):
        assert_equal(mine, other, f"gradient of input {place}")
    return outputs[0]


def assert_same_layer(ours: torch.nn.Module, theirs: torch.nn.Module, *inputs: Tensor, dtype: torch.dtype) -> None:
    """With theirs' weights loaded as they are, ours has the same output, gradients and buffers, in training and evaluation."""
    ours.to(dtype), theirs.to(dtype)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    inputs = tuple(given.to(dtype) if given.is_floating_point() else given for given in inputs)
    for training in (True, False):
        for module in (ours, theirs):
            module.train(training)
            module.zero_grad()
        assert_same_function(ours, theirs, *inputs)
        for module in (ours, theirs):
            torch.manual_seed(1)
            out = module(*inputs)
            out.backward(random(*out.shape, seed=7, dtype=out.dtype))
        others = dict(theirs.named_parameters())
        for name, parameter in ours.named_parameters():
            mine, other = parameter.grad, others[name].grad
            assert mine is not None and other is not None
            assert_equal(mine, other, f"gradient of {name}")
        buffers = dict(theirs.named_buffers())
        for name, buffer in ours.named_buffers():
            assert_equal(buffer, buffers[name], name)
