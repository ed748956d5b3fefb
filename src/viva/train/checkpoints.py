"""Checkpoints that survive SIGKILL and a full disk: whole or not there, never half.

A file is one line, ``viva-checkpoint 1 <bytes> <sha256>``, and a ``torch.save`` archive. It is written beside its
final name, flushed to the disk (fsync), and then renamed, which a POSIX file system does all or nothing; the one
before it stays as ``checkpoint.previous.pt``. Whatever moment the process dies in, one whole file is there. `load`
takes the newest whose length and digest are right, and says so when that is not the newest. Archives are read with
``weights_only=True``: a checkpoint from somebody else cannot run code.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from pathlib import Path
from typing import Any

import torch

CURRENT, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"
_HEAD = re.compile(rb"viva-checkpoint 1 (\d+) ([0-9a-f]{64})\n")


class DamagedCheckpoint(ValueError):
    """No checkpoint in a folder is whole; the sentence says what is wrong with each."""


def save(folder: Path, state: dict[str, Any]) -> Path:
    """Writes ``state`` (tensors, numbers, strings, lists, dicts) as the folder's newest checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = io.BytesIO()
    torch.save(state, archive)
    payload = archive.getbuffer()
    current, previous, fresh = folder / CURRENT, folder / PREVIOUS, folder / (CURRENT + ".new")
    with fresh.open("wb") as file:
        file.write(f"viva-checkpoint 1 {len(payload)} {hashlib.sha256(payload).hexdigest()}\n".encode())
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())
    if current.exists():
        os.replace(current, previous)
    os.replace(fresh, current)
    sync_folder(folder)
    return current


def sync_folder(folder: Path) -> None:
    """Puts the folder's own entries (the renames) on the disk, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read(path: Path) -> dict[str, Any]:
    """One checkpoint file. Raises DamagedCheckpoint unless every byte is as it was written."""
    with path.open("rb") as file:
        head = _HEAD.fullmatch(file.readline(200))
        payload = file.read()
    if head is None:
        raise DamagedCheckpoint(f"{path.name} does not begin as a checkpoint does")
    length, digest = int(head[1]), head[2].decode()
    if len(payload) != length:
        raise DamagedCheckpoint(f"{path.name} has {len(payload):,} of {length:,} bytes")
    if hashlib.sha256(payload).hexdigest() != digest:
        raise DamagedCheckpoint(f"{path.name} has changed since it was written (its checksum differs)")
    state: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    return state


def load(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest whole checkpoint (None where none was ever written), and what was wrong with newer ones.

    Raises DamagedCheckpoint when there are files but none is whole.
    """
    wrong: list[str] = []
    for name in (CURRENT, PREVIOUS):
        if not (folder / name).exists():
            continue
        try:
            return read(folder / name), wrong
        except DamagedCheckpoint as problem:
            wrong.append(str(problem))
    if wrong:
        raise DamagedCheckpoint(f"no checkpoint in {folder} is whole: {'; '.join(wrong)}. Start again in another folder")
    return None, wrong
