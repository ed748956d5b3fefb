"""What the labs' tests share: one thread, the mirror of the data sets, and one quick run of each lab."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

MIRROR = Path(__file__).resolve().parents[3] / "shared" / "data"
if "VIVA_DATA_DIR" not in os.environ and MIRROR.is_dir():
    os.environ["VIVA_DATA_DIR"] = str(MIRROR)

ABSENT = [name for name in ("torch", "altair", "vl_convert") if importlib.util.find_spec(name) is None]


class _Without(pytest.Module):
    def collect(self) -> Iterator[Any]:
        raise pytest.skip.Exception(f"{', '.join(ABSENT)} not installed: pip install 'viva[labs]'", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    return _Without.from_parent(parent, path=module_path) if ABSENT else None


@pytest.fixture(scope="session")
def quick() -> Callable[[str], Any]:
    """``quick(id)``: the evidence of a quick run, made once for all tests of a process."""
    from viva.labs import run

    return functools.cache(lambda id: run(id, quick=True))
