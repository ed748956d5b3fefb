"""Everything that is said to SQLite and to no other database.

Each connection gets write-ahead logging with full synchronisation (a confirmed answer survives a power cut), foreign
keys, and ten seconds of patience with other processes. Copies are made with SQLite's online backup, which sees one
consistent state while others write. Codes of SQLite become sentences in :func:`explain`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from viva.store.errors import DamagedError, StoreError
from viva.store.home import private_file

BUSY_SECONDS = 10.0
WRITE = "viva_write"
"""Execution option of a connection that is going to write."""


def configure(engine: Engine) -> None:
    """Sets up every connection of ``engine`` and lets SQLAlchemy's transactions be SQLite's."""

    @event.listens_for(engine, "connect")
    def connect(raw: sqlite3.Connection, _record: Any) -> None:
        raw.isolation_level = None  # Python's sqlite3 must not begin transactions of its own
        raw.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
        _use_wal(raw)
        raw.execute("PRAGMA synchronous = FULL")
        raw.execute("PRAGMA foreign_keys = ON")
        # Without this, INSERT OR REPLACE deletes past the triggers.
        raw.execute("PRAGMA recursive_triggers = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later can fail half-way; a writer takes its turn at once.
        writes = connection.get_execution_options().get(WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _use_wal(raw: sqlite3.Connection) -> None:
    # Changing the mode needs the file alone, and SQLite does not wait for that by itself.
    deadline = time.monotonic() + BUSY_SECONDS
    while raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            raw.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            break  # a file system without shared memory keeps its old mode, which is safe too


def _is_busy(error: sqlite3.Error) -> bool:
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _code(error: BaseException) -> int:
    """SQLite's primary result code; 0 where the error is not SQLite's."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def set_foreign_keys(raw: Any, on: bool) -> None:
    raw.execute(f"PRAGMA foreign_keys = {'ON' if on else 'OFF'}")


def foreign_key_problems(connection: Connection) -> list[str]:
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return [f"{row[0]} row {row[1]} refers to a missing row of {row[2]}" for row in rows]


def integrity_problems(connection: Connection) -> list[str]:
    rows = connection.exec_driver_sql("PRAGMA integrity_check").all()
    return [str(row[0]) for row in rows if row[0] != "ok"]


def copy(source: Path, target: Path, meanwhile: Callable[[], None] | None = None, name: str = "") -> None:
    """Makes ``target`` hold what ``source`` holds now, in one transaction of ``target``.

    Whoever has ``target`` open sees the old content or the new, never a mixture; killed half-way, the old.
    ``meanwhile`` is called while ``target`` still has its old content and nobody else can write to it. ``name`` is
    what the sentence of an error calls the file, where not by the path of the one at fault.

    Raises:
        StoreError: one of the two cannot be used.
    """
    waiting = [meanwhile] if meanwhile else []

    def progress(_status: int, _remaining: int, _total: int) -> None:
        if waiting:
            waiting.pop()()

    private_file(target)
    try:
        with closing(_plain(source, "ro")) as origin, closing(_plain(target, "rw")) as copied:
            # The target is locked from the first step to the last, so there must be more than one to be in between.
            origin.backup(copied, pages=1 if meanwhile else -1, progress=progress, sleep=0.01)
    except sqlite3.Error as error:
        at_fault = source if _code(error) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT) else target
        raise explain(error, name or str(at_fault)) or _unreadable(name or str(source), error) from error


def verify(path: Path, name: str) -> None:
    """Checks a database that nobody else uses, and makes it one file without a log beside it.

    ``name`` is what the sentence of an error calls it.

    Raises:
        StoreError: it is damaged or not a database.
    """
    try:
        with closing(_plain(path, "rw")) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            found = connection.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as error:
        raise explain(error, name) or _unreadable(name, error) from error
    if found != "ok":
        raise _damaged(name, found)


def _plain(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def explain(error: BaseException, name: str) -> StoreError | None:
    """The sentence for an error of SQLite, or None where it is the program's mistake and not the machine's."""
    code = _code(error)
    detail = str(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(
            ko=f"다른 프로그램이 파일({name})을 {BUSY_SECONDS:.0f}초 넘게 붙잡고 있어요. 다른 Viva 창을 닫고 다시 시도해 주세요.",
            en=f"Another program has kept {name} locked for more than {BUSY_SECONDS:.0f} seconds; "
            "close other copies of Viva and try again.",
        )
    if code == sqlite3.SQLITE_FULL:
        return StoreError(
            ko=f"디스크가 가득 차서 파일({name})에 저장하지 못했어요. 공간을 비우고 다시 시도해 주세요.",
            en=f"The disk is full, so nothing was saved to {name}; free some space and try again.",
        )
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return _damaged(name, detail)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreError(
            ko=f"파일({name})을 열거나 쓸 수 없어요({detail}). 파일과 폴더에 쓰기 권한이 있는지 확인해 주세요.",
            en=f"{name} cannot be opened for writing ({detail}); check that you may write to the file and its folder.",
        )
    if code == sqlite3.SQLITE_IOERR:
        return StoreError(
            ko=f"파일({name})을 읽거나 쓰는 중에 디스크 오류가 났어요({detail}). 디스크를 확인해 주세요.",
            en=f"The disk reported an error while {name} was read or written ({detail}); check the disk.",
        )
    return None


def _damaged(name: str, detail: str) -> DamagedError:
    return DamagedError(
        ko=f"파일({name})이 손상되었거나 데이터베이스가 아니에요({detail}). `viva restore`로 백업을 되돌려 주세요.",
        en=f"{name} is damaged or not a database file ({detail}); bring a backup back with `viva restore`.",
    )


def _unreadable(name: str, error: sqlite3.Error) -> StoreError:
    return StoreError(ko=f"파일({name})을 읽을 수 없어요({error}).", en=f"{name} cannot be read ({error}).")
