"""The journal of a run: metrics as lines of JSON, and to TensorBoard where it is installed.

``metrics.jsonl`` holds one object a line: ``{"step": 40, "epoch": 2, "loss": 0.31, "lr": 0.001, "gradient_norm": 1.2}``
in training and ``{"step": 45, "epoch": 3, "train_loss": 0.33, "validation": {"accuracy": 0.91}}`` after an epoch. It
holds no times of day and no durations: two runs with one seed write the same bytes (TensorBoard gets the samples per
second). A checkpoint remembers how long the file was; a resume cuts it there, so that no line is missing or twice.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

NAME = "metrics.jsonl"


class Journal:
    """Writes into ``folder``; with None it writes nothing (other ranks, runs without a folder)."""

    def __init__(self, folder: Path | None, *, keep_bytes: int | None = None, from_step: int = 0, tensorboard: bool = True) -> None:
        """``keep_bytes``: go on with the file after so many bytes (None: begin it). Raises ValueError if it has fewer."""
        self._file: BinaryIO | None = None
        self._board: Any = None
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / NAME
        if keep_bytes is None:
            self._file = path.open("wb")
        else:
            there = path.stat().st_size if path.exists() else 0
            if there < keep_bytes:
                raise ValueError(f"{path} has {there:,} bytes and the checkpoint remembers {keep_bytes:,}: it was shortened; start again in another folder")
            file = path.open("r+b")
            file.truncate(keep_bytes)
            file.seek(keep_bytes)
            self._file = file
        if tensorboard and has_tensorboard():
            # TensorBoard's import of an absent TensorFlow talks on standard error.
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=from_step + 1 if keep_bytes is not None else None)

    def write(self, line: dict[str, Any], **board_only: float) -> None:
        """One line; its numbers become TensorBoard's scalars at ``line["step"]``, with ``board_only`` beside them."""
        if self._file is None:
            return
        self._file.write(json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n")
        if self._board is not None:
            for name, value in _scalars({**line, **board_only}):
                self._board.add_scalar(name, value, line["step"])

    def position(self) -> int:
        """The length of the file once all lines so far are on the disk."""
        if self._file is None:
            return 0
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._board is not None:
            self._board.close()
            self._board = None


def has_tensorboard() -> bool:
    return "tensorboard" in sys.modules or importlib.util.find_spec("tensorboard") is not None


def _scalars(line: dict[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in line.items():
        if isinstance(value, dict):
            found += _scalars(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)) and name != "step":
            found.append((prefix + name, float(value)))
    return found
