"""Records: what was measured of every published model, one JSON file each, committed.

    {"name", "parameters", "mult_adds", "paper", "paper_parameters", "paper_mult_adds", "reference", "input",
     "max_rel_error", "errors": {"float32": {"outputs", "gradients", "size"}, "float64": {...}}, "versions"}

``parameters`` and ``mult_adds`` are integers that every test run checks; ``max_rel_error`` is the worst relative error of
an output or of a parameter's gradient against the reference in float32 (null where no reference exists). ``REGENERATE``
writes them anew. Reading them needs no torch.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
REGENERATE = "python3 run.py test tests/workshop --record"


class RecordError(ValueError):
    """A record that cannot be read; the message names the file."""


def read_record(name: str, folder: Path = FOLDER) -> dict[str, Any] | None:
    """The record of one model, or None where it has none."""
    path = folder / f"{name}.json"
    try:
        record = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RecordError(f"{path}: is not JSON ({error}); write it anew with: {REGENERATE}") from None
    if not isinstance(record, dict) or record.get("name") != name:
        raise RecordError(f"{path}: is not the record of '{name}'; write it anew with: {REGENERATE}")
    return record


def read_records(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """All records, by name."""
    found = (read_record(path.stem, folder) for path in sorted(folder.glob("*.json")))
    return [record for record in found if record is not None]


def write_record(record: dict[str, Any], folder: Path = FOLDER) -> Path:
    """Writes one record, whole or not at all."""
    path = folder / f"{record['name']}.json"
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder, suffix=".tmp", delete=False) as file:
        file.write(json.dumps(record, ensure_ascii=False, indent=2) + "\n")
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)
    return path
