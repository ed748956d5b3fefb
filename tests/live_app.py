"""The app as a browser meets it, for tests: ``from live_app import LiveApp``."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any


class LiveApp:
    """The app behind a real socket, which can be stopped and started again on the same port and data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.store: Any = None
        self.start()

    def start(self) -> None:
        import uvicorn

        from viva.store import Store
        from viva.web.app import create_app

        self.store = Store.open(self.folder / "viva.db")
        config = uvicorn.Config(create_app(self.store, warm=False), port=self.port, log_level="error", access_log=False, timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        for _ in range(400):
            if self.server.started:
                return
            time.sleep(0.025)
        raise RuntimeError("the app did not start within 10 s")

    def stop(self) -> None:
        self.server.should_exit = True
        self.server.force_exit = True
        self.thread.join(10)
        self.store.close()
