"""``python -m viva.train NAME``: `viva train` without its faces, as ``torchrun --nproc_per_node=2 -m viva.train NAME`` needs it."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from typing import get_type_hints

import torch

from viva.data.download import DownloadError
from viva.data.lock import LockError
from viva.data.sources import MissingData
from viva.train.recipe import Options, names, run


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 done, 1 a sentence says why not, 130 interrupted (resume it)."""
    parser = argparse.ArgumentParser(prog="python -m viva.train", description="Trains a recipe.")
    parser.add_argument("name", help=", ".join(names()))
    hints = get_type_hints(Options)
    for field in fields(Options):
        option = f"--{field.name.replace('_', '-')}"
        if hints[field.name] is bool:
            parser.add_argument(option, action="store_true", help=field.metadata["help"])
        else:
            # "int | None" → int; a Literal → str
            kinds = [kind for kind in getattr(hints[field.name], "__args__", (hints[field.name],)) if kind is not type(None)]
            parser.add_argument(option, type=kinds[0] if isinstance(kinds[0], type) else str, default=field.default, help=field.metadata["help"])
    given = vars(parser.parse_args(arguments))
    try:
        result = run(given.pop("name"), Options(**given))
    except (ValueError, FloatingPointError, OSError, DownloadError, MissingData, LockError, torch.OutOfMemoryError) as problem:
        print(f"viva.train: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before the first step, or the second time
        return 130
    return 0 if result.finished else 130


if __name__ == "__main__":
    sys.exit(main())
