"""The catalogue: every named constructor of this package and what its paper says of it.

A model's file marks its constructors, and that is all there is to do::

    @published(paper="He et al. 2016, Deep Residual Learning, Table 1", reference="torchvision.models.resnet50",
               paper_parameters=25.6e6, paper_mult_adds=3.8e9, example=lambda: (torch.zeros(1, 3, 224, 224),))
    def resnet50(num_classes: int = 1000) -> ResNet: ...

    catalogue.names()             # ["bert_base", ..., "resnet50", ...]
    catalogue.build("resnet50")   # a ResNet

The modules are found by walking the package: there is no list to edit.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Constructor = TypeVar("Constructor", bound=Callable[..., Any])


class UnknownModel(LookupError):
    """No constructor has that name; ``near`` are the names like it."""

    def __init__(self, name: str, near: list[str]) -> None:
        self.name, self.near = name, near
        super().__init__(f"there is no model '{name}'" + (f"; did you mean {', '.join(near)}?" if near else ""))


@dataclass(frozen=True)
class Published:
    """One named constructor: where its size is published and what it was proven equal to.

    example: makes the inputs on which multiply-adds are counted, a tuple of tensors of one sample.
    """

    name: str
    build: Callable[..., Any]
    paper: str
    reference: str | None
    paper_parameters: float | None
    paper_mult_adds: float | None
    example: Callable[[], tuple[Any, ...]] | None


_ENTRIES: dict[str, Published] = {}


def published(
    *,
    paper: str,
    reference: str | None = None,
    paper_parameters: float | None = None,
    paper_mult_adds: float | None = None,
    example: Callable[[], tuple[Any, ...]] | None = None,
) -> Callable[[Constructor], Constructor]:
    """Enters the constructor below it in the catalogue under its own name, and leaves it as it is."""

    def enter(constructor: Constructor) -> Constructor:
        name = constructor.__name__
        known = _ENTRIES.get(name)
        if known is not None and known.build.__module__ != constructor.__module__:
            raise ValueError(f"two models are called '{name}': one in {known.build.__module__}, one in {constructor.__module__}")
        _ENTRIES[name] = Published(name, constructor, paper, reference, paper_parameters, paper_mult_adds, example)
        return constructor

    return enter


def names() -> list[str]:
    """The names of all published models."""
    _discover()
    return sorted(_ENTRIES)


def entry(name: str) -> Published:
    """What is published of one model; UnknownModel with the nearest names where there is none."""
    if name not in _ENTRIES:
        _discover()
    if name not in _ENTRIES:
        raise UnknownModel(name, difflib.get_close_matches(name.lower().replace("-", "_"), sorted(_ENTRIES), n=3, cutoff=0.5))
    return _ENTRIES[name]


def build(name: str, **arguments: Any) -> Any:
    """The model of that name with fresh weights; ``arguments`` go to its constructor."""
    return entry(name).build(**arguments)


def _discover() -> None:
    import viva.models

    for module in pkgutil.iter_modules(viva.models.__path__, "viva.models."):
        importlib.import_module(module.name)
