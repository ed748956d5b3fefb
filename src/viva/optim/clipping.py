"""Clipping by the global norm (Pascanu, Mikolov and Bengio 2013, algorithm 1).

All gradients are seen as one long vector g. If ‖g‖₂ exceeds a limit c, every one is multiplied by c / ‖g‖: the
direction stays, the length is bounded. (Clipping each tensor or each number by itself would turn the direction.) So one
batch on a cliff of the loss, where recurrent networks' gradients explode, cannot throw away what was learnt before.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def global_norm(tensors: Iterable[Tensor]) -> Tensor:
    """‖all of them as one vector‖₂: a float32 (or float64) scalar on their device; 0 for none."""
    found = list(tensors)
    if not found:
        return torch.zeros(())
    norms = torch._foreach_norm([tensor.detach() for tensor in found], 2)
    at_least = torch.promote_types(norms[0].dtype, torch.float32)
    return torch.linalg.vector_norm(torch.stack([norm.to(norms[0].device, at_least) for norm in norms]), 2)


def clip_by_global_norm(parameters: Iterable[Tensor], limit: float) -> Tensor:
    """Scales the parameters' gradients in place so that their global norm is at most ``limit``.

    Returns the norm before clipping. Does not wait for a GPU. Raises ValueError unless limit > 0.
    """
    if not limit > 0:
        raise ValueError(f"the limit of the gradient's norm is {limit}; it has to be above 0")
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = global_norm(gradients)
    if gradients:
        # 1e-6 as in torch.nn.utils.clip_grad_norm_: a norm of 0 divides nothing by 0.
        factor = (limit / (norm + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor.to(gradient.device))
    return norm
