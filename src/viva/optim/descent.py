"""Gradient descent and momentum: GD, SGD, momentum, Nesterov, one formula for all.

With gradient g_t at θ_t, learning rate η, momentum μ, dampening τ and weight decay λ:

    g ← g + λθ                        decay as an L2 penalty ½λ‖θ‖²: its gradient joins the loss's
    v ← μv + (1 − τ)g                 velocity: a fading sum of past gradients; v = g on the first step
    θ ← θ − ηv                        momentum (Polyak 1964)
    θ ← θ − η(g + μv)                 Nesterov (1983), after Sutskever et al. (2013), section 2, written as in
                                      torch: θ is the point looked ahead to, so g is its gradient

Where the gradient stays the same, v grows to g / (1 − μ): ten times the step at μ = 0.9. Where it changes its sign, across a
narrow valley, the terms cancel.
μ = 0 is plain descent, θ ← θ − ηg. Whether that is GD, mini-batch or stochastic gradient descent is a matter of
the data that g was computed on, not of this file: the whole training set, a batch, or one sample. The learning
rate stands *outside* the velocity, so a schedule acts on all of it at once (the other convention,
v ← μv + ηg, keeps old rates in v).

Memory: one number per weight with momentum, none without.
"""

from __future__ import annotations

import torch
from torch import Tensor

from viva.optim.optimiser import Group, Optimiser, Parameters, Path, State


class SGD(Optimiser):
    """Descent along the gradient of whatever batch was given. Equals `torch.optim.SGD`."""

    has_fused = True

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        path: Path = "auto",
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov}, path)

    def explained(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        momentum = group["momentum"]
        if group["weight_decay"] != 0:
            gradient = gradient + group["weight_decay"] * parameter
        if momentum != 0:
            if state.get("momentum_buffer") is None:
                state["momentum_buffer"] = gradient.clone()
            else:
                state["momentum_buffer"].mul_(momentum).add_(gradient, alpha=1 - group["dampening"])
            velocity = state["momentum_buffer"]
            gradient = gradient + momentum * velocity if group["nesterov"] else velocity
        parameter.sub_(group["lr"] * gradient)

    def foreach(self, parameters: list[Tensor], gradients: list[Tensor], states: list[State], group: Group) -> None:
        momentum = group["momentum"]
        if group["weight_decay"] != 0:
            gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
        if momentum != 0:
            old = [i for i, state in enumerate(states) if state.get("momentum_buffer") is not None]
            if old:
                velocities = [states[i]["momentum_buffer"] for i in old]
                torch._foreach_mul_(velocities, momentum)
                torch._foreach_add_(velocities, [gradients[i] for i in old], alpha=1 - group["dampening"])
            for state, gradient in zip(states, gradients, strict=True):
                if state.get("momentum_buffer") is None:
                    state["momentum_buffer"] = gradient.clone()
            velocities = [state["momentum_buffer"] for state in states]
            gradients = list(torch._foreach_add(gradients, velocities, alpha=momentum)) if group["nesterov"] else velocities
        torch._foreach_add_(parameters, gradients, alpha=-group["lr"])

    def fused(self, parameters: list[Tensor], gradients: list[Tensor], states: list[State], group: Group) -> None:
        fresh = [state.get("momentum_buffer") is None for state in states]
        if group["momentum"] != 0 and any(fresh) and not all(fresh):
            # The kernel knows one "first step" for the whole list.
            self.foreach(parameters, gradients, states, group)
            return
        first = group["momentum"] != 0 and all(fresh)
        if first:
            for state, parameter in zip(states, parameters, strict=True):
                state["momentum_buffer"] = torch.empty_like(parameter)
        torch._fused_sgd_(
            parameters,
            gradients,
            [state["momentum_buffer"] for state in states] if group["momentum"] != 0 else [],
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            lr=group["lr"],
            dampening=group["dampening"],
            nesterov=group["nesterov"],
            maximize=False,
            is_first_step=first,
        )


class GD(SGD):
    """θ ← θ − ηg. Gradient descent proper when g comes from the whole training set: give it full batches."""

    def __init__(self, params: Parameters, lr: float = 1e-3, *, path: Path = "auto") -> None:
        super().__init__(params, lr, path=path)


class Momentum(SGD):
    """SGD with a velocity: rolls through small bumps and damps the zigzag across a narrow valley."""

    def __init__(self, params: Parameters, lr: float = 1e-3, momentum: float = 0.9, weight_decay: float = 0.0, *, path: Path = "auto") -> None:
        super().__init__(params, lr, momentum, weight_decay=weight_decay, path=path)


class Nesterov(SGD):
    """Momentum that looks ahead: the gradient is taken where the velocity is about to lead."""

    def __init__(self, params: Parameters, lr: float = 1e-3, momentum: float = 0.9, weight_decay: float = 0.0, *, path: Path = "auto") -> None:
        super().__init__(params, lr, momentum, weight_decay=weight_decay, nesterov=True, path=path)
