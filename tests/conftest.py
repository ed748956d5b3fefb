"""What tests share: a home of their own, a running app, a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from live_app import LiveApp

# These machines are shared: a slow example is no failure.
settings.register_profile("viva", deadline=None)
settings.load_profile("viva")

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a learner's folder of its own; nothing reaches the real one."""
    folder = tmp_path / "home"
    monkeypatch.setenv("VIVA_HOME", str(folder))
    monkeypatch.setenv("VIVA_NO_BROWSER", "1")
    return folder


@pytest.fixture(scope="session")
def seed_list() -> Path:
    """The public list that Viva started from: the first real input of the importer."""
    named = os.environ.get("VIVA_SEED_LIST")
    path = Path(named) if named else ROOT.parent / "shared" / "seed" / "dl-interview-list.ko.txt"
    if not path.is_file():
        pytest.skip("the seed list is not here; name it in VIVA_SEED_LIST")
    return path


@pytest.fixture
def app(home: Path) -> Iterator[LiveApp]:
    live = LiveApp(home)
    yield live
    live.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install 'viva[test]'")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine: install one to run the page tests")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
