"""What the workshop's tests share: one thread, the mirror of the data sets, and the records of the models.

``python3 run.py test tests/workshop --record`` runs the tests that write records, and only those.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

ROOT = Path(__file__).resolve().parents[2]
MIRROR = ROOT.parent / "shared" / "data"

if torch is not None:
    torch.set_num_threads(1)
if "VIVA_DATA_DIR" not in os.environ and MIRROR.is_dir():
    os.environ["VIVA_DATA_DIR"] = str(MIRROR)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="write the records of the models that the chosen tests measure; run no other test")


def _recording(config: pytest.Config) -> bool:
    # The option exists only where pytest met this folder on its command line.
    return bool(config.getoption("--record", default=False))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _recording(config):
        chosen = [item for item in items if "record" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


class _WithoutTorch(pytest.Module):
    def collect(self) -> Iterator[Any]:
        raise pytest.skip.Exception("torch is not installed: pip install 'viva[workshop]'", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    return _WithoutTorch.from_parent(parent, path=module_path) if torch is None else None


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test draws the same numbers on every run, in whatever order tests run."""
    if torch is not None:
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder with the data sets' files, as ``VIVA_DATA_DIR`` names it."""
    named = os.environ.get("VIVA_DATA_DIR")
    if not named or not Path(named).is_dir():
        pytest.skip("no mirror of the data sets here; name its folder in VIVA_DATA_DIR")
    return Path(named)


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[..., dict[str, Any]]:
    """``record(name, parity, size="full")`` checks a published model against its committed record, or writes it under --record.

    parity: what `check_parity` returned; None for a model without a reference. size: "full", or "reduced: ..." in words
    where the proof ran on a smaller model of the same code; parameters and multiply-adds are always the full model's.
    """
    from parity import check_record, make_record

    return make_record if _recording(request.config) else check_record
