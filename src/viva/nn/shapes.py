"""What a layer may ask of its input: a shape, a dtype. The sentences of the errors live here, once.

A shape is written as in the docstrings: `("N", 3, "H", "W")`: numbers must agree, names may be any size, a leading `...`
stands for any number of axes. A dtype and a device must be the weights' own, because PyTorch refuses to mix them; only
autocast, which casts by itself, is let through.
"""

from __future__ import annotations

from types import EllipsisType

import torch
from torch import Tensor

Axis = int | str | EllipsisType
IntPair = int | tuple[int, int]


def pair(size: IntPair) -> tuple[int, int]:
    """3 -> (3, 3); (3, 5) stays: (height, width)."""
    if isinstance(size, int):
        return size, size
    if not isinstance(size, (tuple, list)) or len(size) != 2 or not all(isinstance(side, int) for side in size):
        raise TypeError(f"got the size {size!r}, expected a whole number or two of them, (height, width).")
    return size[0], size[1]


def written(shape: tuple[Axis, ...] | torch.Size) -> str:
    """("N", 3, ...) as it stands in a docstring: (N, 3, ...)."""
    axes = ["..." if axis is Ellipsis else str(axis) for axis in shape]
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"


def expect_tensor(who: str, x: object) -> None:
    """TypeError unless `x` is a tensor: NumPy's arrays and lists have to be converted first."""
    if isinstance(x, Tensor):
        return
    kind = f"{type(x).__module__}.{type(x).__qualname__}".removeprefix("builtins.")
    advice = "" if x is None else f": convert it with {'torch.from_numpy' if kind == 'numpy.ndarray' else 'torch.tensor'}(...)"
    raise TypeError(f"{who} got an input of type {kind}, expected a torch.Tensor{advice}.")


def expect_shape(who: str, x: Tensor, shape: tuple[Axis, ...], hint: str = "") -> None:
    """ValueError with both shapes unless `x` has the axes of `shape`."""
    expect_tensor(who, x)
    wanted, found = shape, x.shape
    if shape[0] is Ellipsis:
        wanted = shape[1:]
        found = found[max(0, len(found) - len(wanted)) :]
    if len(wanted) == len(found):
        for want, have in zip(wanted, found, strict=True):
            if want != have and not isinstance(want, str):
                break
        else:
            return
    advice = f" {hint}" if hint else ""
    raise ValueError(f"{who} got an input of shape {written(x.shape)}, expected {written(shape)}.{advice}")


def expect_floating(who: str, x: Tensor, like: Tensor | None = None) -> None:
    """TypeError unless `x` is floating point and, outside autocast, of the dtype of the weights `like`; ValueError unless
    it is on their device."""
    expect_tensor(who, x)
    if not x.is_floating_point():
        raise TypeError(f"{who} got an input of {x.dtype}, expected floating point: convert it, say with x.float().")
    if like is not None and x.device != like.device:
        raise ValueError(f"{who} got an input on {x.device} for weights on {like.device}: move one to the other's with .to(...).")
    if like is not None and x.dtype != like.dtype and not _autocast(x):
        raise TypeError(
            f"{who} got an input of {x.dtype} for weights of {like.dtype}: "
            f"convert the input with x.to({like.dtype}) or the module with .to({x.dtype}), or use torch.autocast."
        )


def _autocast(x: Tensor) -> bool:
    return torch.amp.is_autocast_available(x.device.type) and torch.is_autocast_enabled(x.device.type)
