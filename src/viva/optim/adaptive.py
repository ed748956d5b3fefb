"""Adaptive steps: RMSprop, Adam and AdamW divide each gradient by its own recent size.

A weight whose gradients are small or rare gets steps as large as any other: about η, whatever the loss is scaled by. With
gradient g at step t = 1, 2, …, learning rate η, and all products, squares and roots elementwise:

    RMSprop   s ← αs + (1 − α)g²                        mean square (Tieleman and Hinton 2012, lecture 6e)
              θ ← θ − η g / (√s + ε)                    with momentum μ: v ← μv + g / (√s + ε);  θ ← θ − ηv
    Adam      m ← β₁m + (1 − β₁)g                       mean            (Kingma and Ba 2015, algorithm 1)
              s ← β₂s + (1 − β₂)g²                      mean square
              m̂ = m / (1 − β₁ᵗ),  ŝ = s / (1 − β₂ᵗ)     both began at 0: undo the pull towards it
              θ ← θ − η m̂ / (√ŝ + ε)
    AdamW     θ ← θ − ηλθ, then Adam's step             decay outside the division (Loshchilov and Hutter 2019)

Weight decay λ of RMSprop and Adam is an L2 penalty, g ← g + λθ: it enters m and s, so weights with large gradients
decay *less*. AdamW's is the same for all; that is the only difference. ε stands outside the root, as in torch and in
Adam's paper (TensorFlow 1's RMSprop had it inside).

Memory: RMSprop one number per weight (two with momentum), Adam and AdamW two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from viva.optim.optimiser import Group, Optimiser, Parameters, Path, State


def _step_zero() -> Tensor:
    # A tensor on the CPU, as torch keeps it: state dicts carry it, and reading it never waits for a GPU.
    return torch.zeros((), dtype=torch.float32)


class RMSprop(Optimiser):
    """Equals `torch.optim.RMSprop` (uncentred)."""

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        *,
        path: Path = "auto",
    ) -> None:
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}, path)

    def begin(self, parameter: Tensor, group: Group) -> State:
        state = {"step": _step_zero(), "square_avg": torch.zeros_like(parameter)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        return state

    def explained(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        state["step"] += 1
        if group["weight_decay"] != 0:
            gradient = gradient + group["weight_decay"] * parameter
        square = state["square_avg"]
        square.mul_(group["alpha"]).add_((1 - group["alpha"]) * gradient * gradient)
        update = gradient / (square.sqrt() + group["eps"])
        if group["momentum"] > 0:
            update = state["momentum_buffer"].mul_(group["momentum"]).add_(update)
        parameter.sub_(group["lr"] * update)

    def foreach(self, parameters: list[Tensor], gradients: list[Tensor], states: list[State], group: Group) -> None:
        for state in states:
            state["step"] += 1
        if group["weight_decay"] != 0:
            gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
        squares = [state["square_avg"] for state in states]
        torch._foreach_mul_(squares, group["alpha"])
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - group["alpha"])
        roots = torch._foreach_sqrt(squares)
        torch._foreach_add_(roots, group["eps"])
        if group["momentum"] > 0:
            velocities = [state["momentum_buffer"] for state in states]
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_addcdiv_(velocities, gradients, roots)
            torch._foreach_add_(parameters, velocities, alpha=-group["lr"])
        else:
            torch._foreach_addcdiv_(parameters, gradients, roots, value=-group["lr"])


class Adam(Optimiser):
    """Equals `torch.optim.Adam` (without AMSGrad)."""

    has_fused = True
    decoupled: ClassVar[bool] = False  # True in AdamW: decay outside the division

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        path: Path = "auto",
    ) -> None:
        if not isinstance(betas, Sequence):
            raise TypeError(f"betas is {betas!r}; Adam takes two numbers, for the mean and for the mean square")
        if len(betas) != 2:
            raise ValueError(f"betas has {len(betas)} numbers; Adam takes two, for the mean and for the mean square")
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}, path)

    def begin(self, parameter: Tensor, group: Group) -> State:
        return {"step": _step_zero(), "exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter)}

    def explained(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        lr, (beta1, beta2), decay = group["lr"], group["betas"], group["weight_decay"]
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        state["step"] += 1
        t = state["step"].item()
        if self.decoupled:
            parameter.mul_(1 - lr * decay)
        elif decay != 0:
            gradient = gradient + decay * parameter
        mean.mul_(beta1).add_((1 - beta1) * gradient)
        square.mul_(beta2).add_((1 - beta2) * gradient * gradient)
        unbiased_mean = mean / (1 - beta1**t)
        unbiased_square = square / (1 - beta2**t)
        parameter.sub_(lr * unbiased_mean / (unbiased_square.sqrt() + group["eps"]))

    def foreach(self, parameters: list[Tensor], gradients: list[Tensor], states: list[State], group: Group) -> None:
        lr, (beta1, beta2), decay = group["lr"], group["betas"], group["weight_decay"]
        means = [state["exp_avg"] for state in states]
        squares = [state["exp_avg_sq"] for state in states]
        for state in states:
            state["step"] += 1
        steps = [state["step"].item() for state in states]  # a parameter without a gradient stays behind
        if self.decoupled:
            torch._foreach_mul_(parameters, 1 - lr * decay)
        elif decay != 0:
            gradients = list(torch._foreach_add(gradients, parameters, alpha=decay))
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - beta2)
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, [(1 - beta2**t) ** 0.5 for t in steps])
        torch._foreach_add_(roots, group["eps"])
        torch._foreach_addcdiv_(parameters, means, roots, [-lr / (1 - beta1**t) for t in steps])

    def fused(self, parameters: list[Tensor], gradients: list[Tensor], states: list[State], group: Group) -> None:
        device = parameters[0].device
        for state in states:
            # The kernel reads t where it runs.
            state["step"] = state["step"].to(device)
        steps = [state["step"] for state in states]
        torch._foreach_add_(steps, 1)
        kernel = torch._fused_adamw_ if self.decoupled else torch._fused_adam_
        kernel(
            parameters,
            gradients,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],  # AMSGrad's largest squares: not here
            steps,
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay. Equals `torch.optim.AdamW`."""

    decoupled = True

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        path: Path = "auto",
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, path=path)
