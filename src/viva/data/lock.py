"""A lock between processes and threads: a file that one of them holds, and that falls open when its holder dies.

The file itself stays; what is locked is the open file (``flock``; on Windows its first byte), which the system lets go
of at the end of the process, whatever ended it. Removing the file afterwards would let two hold "it" at once: one the
removed file, one the new one of the same name.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


class LockError(RuntimeError):
    """Another holder did not let go in time."""


@contextmanager
def locked(path: Path, patience: float = 1800.0) -> Iterator[None]:
    """Holds the lock file ``path``, which is made where there is none.

    Raises:
        LockError: somebody else held it for ``patience`` seconds.
    """
    with path.open("ab") as handle:
        end = time.monotonic() + patience
        while not _acquire(handle):
            if time.monotonic() >= end:
                raise LockError(
                    f"Another process has held {path} for {patience:g} seconds; end it, or wait and try again."
                )
            time.sleep(0.05)
        try:
            yield
        finally:
            _release(handle)


if sys.platform == "win32":
    import msvcrt

    def _acquire(handle: IO[bytes]) -> bool:
        try:
            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
            return True
        except OSError:
            return False

    def _release(handle: IO[bytes]) -> None:
        handle.seek(0)
        msvcrt.locking(handle.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _acquire(handle: IO[bytes]) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False

    def _release(handle: IO[bytes]) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)
