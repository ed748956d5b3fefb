"""Viva: practise deep-learning interviews in your own words.

Importing this package is cheap on purpose: nothing here pulls in a web server, a database or torch.
In a notebook, ``viva.lab("why-sqrt-dk").run(d=64)`` runs an experiment and shows its figure.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "lab":
        return import_module("viva.labs").lab
    raise AttributeError(f"module 'viva' has no attribute {name!r}")
