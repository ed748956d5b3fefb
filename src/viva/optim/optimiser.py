"""What every optimiser here shares: collecting gradients, and three ways to run one formula.

An optimiser turns the gradient g = ∂L/∂θ of each parameter θ into a new θ, with a little memory (its *state*) per
parameter. The formula is elementwise, so how it is executed is a question of speed alone:

- ``explained``: the formula for one tensor, one line of mathematics per line of code. Read this one.
- ``foreach``: the same over all tensors of a group at once, with ``torch._foreach_*``: one call (on a GPU: a few
  kernels) per line instead of one per line and parameter.
- ``fused``: the whole formula in one kernel that reads and writes each number once, where torch has it.

``path="auto"`` takes the last that exists for the parameters at hand. All three give the same numbers up to
rounding, and equal `torch.optim` (tests/workshop/test_optim_*.py).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

Path = Literal["auto", "explained", "foreach", "fused"]
Group = dict[str, Any]
State = dict[str, Tensor]
Parameters = Iterable[Tensor] | Iterable[Group]

# What torch.optim's own optimisers can be asked for and these cannot: a state dict that asks is refused.
_NOT_HERE = ("maximize", "amsgrad", "centered", "capturable", "differentiable")


class Optimiser(torch.optim.Optimizer):
    """The frame; a subclass gives its formula three times.

    ``params``: tensors, or groups ``{"params": [...], "lr": …}`` that override the defaults. ``path``: see above.
    Raises ValueError for a learning rate or another constant out of its range, TypeError for sparse gradients.
    """

    has_fused: ClassVar[bool] = False

    def __init__(self, params: Parameters, defaults: dict[str, Any], path: Path = "auto") -> None:
        if path not in ("auto", "explained", "foreach", "fused"):
            raise ValueError(f"path is {path!r}; it is one of 'auto', 'explained', 'foreach' and 'fused'")
        if path == "fused" and not self.has_fused:
            raise ValueError(f"{type(self).__name__} has no fused kernel in torch: use path='foreach'")
        self.path: Path = path
        super().__init__(params, defaults)

    # The formula, three times. `states` holds one dict per parameter; an empty one on its first step.
    def begin(self, parameter: Tensor, group: Group) -> State:
        """The state of a parameter before its first step."""
        return {}

    def explained(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        raise NotImplementedError

    def foreach(self, parameters: list[Tensor], gradients: list[Tensor], states: list[State], group: Group) -> None:
        raise NotImplementedError

    def fused(self, parameters: list[Tensor], gradients: list[Tensor], states: list[State], group: Group) -> None:
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step down; parameters whose gradient is None stay, and so does their state."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            # One list call needs tensors of one device and one type.
            alike: dict[tuple[torch.device, torch.dtype], list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if parameter.grad.is_sparse:
                    raise TypeError(f"{type(self).__name__} was given a sparse gradient of shape {tuple(parameter.shape)}; use a dense one (Embedding(sparse=False))")
                if parameter not in self.state:
                    self.state[parameter] = self.begin(parameter, group)
                alike[parameter.device, parameter.dtype].append(parameter)
            for (device, dtype), parameters in alike.items():
                gradients = [parameter.grad for parameter in parameters]
                states = [self.state[parameter] for parameter in parameters]
                match self._path_for(device, dtype):
                    case "fused":
                        self.fused(parameters, gradients, states, group)  # type: ignore[arg-type]
                    case "foreach":
                        self.foreach(parameters, gradients, states, group)  # type: ignore[arg-type]
                    case _:
                        for one in zip(parameters, gradients, states, strict=True):
                            self.explained(*one, group)  # type: ignore[arg-type]
        return loss

    def _path_for(self, device: torch.device, dtype: torch.dtype) -> Path:
        if self.path != "auto":
            return self.path
        return "fused" if self.has_fused and device.type in ("cpu", "cuda") and dtype.is_floating_point else "foreach"

    def add_param_group(self, param_group: Group) -> None:
        """Adds a group; its constants are checked as the defaults were."""
        super().add_param_group(param_group)
        self.check(self.param_groups[-1])
        for parameter in self.param_groups[-1]["params"]:
            if not (parameter.is_floating_point() or parameter.is_complex()):
                raise TypeError(f"{type(self).__name__} was given a parameter of {parameter.dtype}; a step needs floating point")

    def check(self, group: Group) -> None:
        """Raises ValueError, in a sentence, for constants that no step could use."""
        for name in ("lr", "weight_decay", "eps"):
            if name in group:
                _number(name, group[name], lambda value: value >= 0, "at least 0")
        for name in ("momentum", "alpha"):
            if name in group:
                _number(name, group[name], lambda value: 0 <= value < 1, "at least 0 and below 1")
        for number, beta in enumerate(group.get("betas", ()), start=1):
            _number(f"beta {number}", beta, lambda value: 0 <= value < 1, "at least 0 and below 1")
        if group.get("nesterov") and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError(f"Nesterov's step needs momentum above 0 and dampening 0; given momentum {group['momentum']} and dampening {group['dampening']}")

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes a state dict of this class or of its namesake in `torch.optim`."""
        for group in state_dict["param_groups"]:
            asked = [name for name in _NOT_HERE if group.get(name)]
            if asked:
                raise ValueError(f"the state dict asks for {', '.join(asked)}, which {type(self).__name__} does not have; go on with torch.optim.{type(self).__name__}")
        super().load_state_dict(state_dict)


def _number(name: str, value: Any, allowed: Callable[[float], bool], wanted: str) -> None:
    if isinstance(value, Tensor):
        raise TypeError(f"{name} is a tensor; give a number")
    if not isinstance(value, int | float):
        raise TypeError(f"{name} is {value!r}; give a number")
    if not (math.isfinite(value) and allowed(value)):
        raise ValueError(f"{name} is {value}; it has to be {wanted}")


def decay_groups(model: nn.Module, weight_decay: float) -> list[Group]:
    """Two parameter groups: matrices and kernels, which decay, and vectors (biases, norms' gains), which do not.

    Decay pulls weights towards 0; for a bias or a gain 0 is no simpler a function than another value. BERT's code leaves
    out biases and norms for the same reason. Embeddings are matrices, and decay.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
