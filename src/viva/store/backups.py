"""Backups: made while others write, checked, rotated, brought back.

They lie in ``backups/`` beside the database, named ``viva-<UTC time>-<kind>.db``. Automatic ones are thinned out to the
newest of each of 7 days, 4 weeks and 12 months; those made before an update or a restore to the newest 5 of each kind;
those that a person asked for are never deleted. A backup appears under its name only when it is whole and checked.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from viva.store import migrate, sqlite, tables
from viva.store.clock import now
from viva.store.database import Database
from viva.store.errors import DamagedError, StoreError
from viva.store.home import private_folder

INTERVAL = timedelta(hours=4)
DAYS, WEEKS, MONTHS = 7, 4, 12
ASIDE = 5
_BESIDE = ("-wal", "-shm", "-journal")
_NAME = re.compile(r"viva-(\d{8}T\d{6}(?:\d{6})?)Z-(auto|manual|before-update|before-restore|damaged)\.db")


@dataclass(frozen=True)
class Backup:
    """One backup; ``kind`` is auto, manual, before-update, before-restore or damaged; ``size`` is in bytes."""

    path: Path
    at: datetime
    kind: str
    size: int


def folder(database: Database) -> Path:
    """Where the backups of ``database`` lie.

    Raises:
        StoreError: it is not a SQLite database, whose backups are its server's task.
    """
    if database.path is None:
        raise StoreError(
            ko=f"{database.name}의 백업은 데이터베이스 서버의 도구(pg_dump)로 해 주세요.",
            en=f"Back {database.name} up with its server's own tool (pg_dump).",
        )
    return database.path.parent / "backups"


def make(database: Database, kind: str, path: Path | None = None) -> Path:
    """A checked copy of ``database`` at ``path``, or under a new name among its backups.

    Raises:
        StoreError: ``path`` exists, or the copy cannot be written or is not whole.
    """
    place = folder(database)
    target = path or place / f"viva-{now():%Y%m%dT%H%M%S%f}Z-{kind}.db"
    if target.exists():
        raise StoreError(
            ko=f"같은 이름의 파일({target})이 이미 있어요. 다른 이름을 지정해 주세요.",
            en=f"{target} exists already; give another name.",
        )
    private_folder(target.parent)
    assert database.path is not None
    _write_checked(database.path, target)
    return target


def make_if_due(database: Database) -> Path | None:
    """An automatic backup where the newest one is more than :data:`INTERVAL` old; then thins out."""
    if database.path is None:
        return None
    moment = now()
    if any(kept.kind == "auto" and abs(moment - kept.at) < INTERVAL for kept in listed(database)):
        return None
    made = make(database, "auto")
    thin_out(database)
    return made


def listed(database: Database) -> list[Backup]:
    """The backups, newest first."""
    place = folder(database)
    found = []
    for path in place.glob("viva-*.db") if place.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match:
            form = "%Y%m%dT%H%M%S" + ("%f" if len(match[1]) > 15 else "")
            at = datetime.strptime(match[1], form).replace(tzinfo=UTC)
            found.append(Backup(path, at, match[2], path.stat().st_size))
    return sorted(found, key=lambda backup: backup.at, reverse=True)


def thin_out(database: Database) -> None:
    """Deletes the backups that the rotation does not keep, and what killed processes left half-written."""
    everything = listed(database)
    kept = to_keep([backup for backup in everything if backup.kind == "auto"])
    for kind in ("before-update", "before-restore"):
        kept.update(
            backup.path for backup in [backup for backup in everything if backup.kind == kind][:ASIDE]
        )
    for backup in everything:
        if backup.kind not in ("manual", "damaged") and backup.path not in kept:
            backup.path.unlink(missing_ok=True)
    for part in folder(database).glob(".*.part*"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > 86400:
                part.unlink()


def to_keep(automatic: list[Backup]) -> set[Path]:
    """Of these, newest first: the newest of each of the last days, weeks and months that have one."""
    kept: set[Path] = set()
    for form, count in (("%Y-%m-%d", DAYS), ("%G-%V", WEEKS), ("%Y-%m", MONTHS)):
        newest: dict[str, Path] = {}
        for backup in automatic:
            newest.setdefault(backup.at.strftime(form), backup.path)
        kept.update(list(newest.values())[:count])
    return kept


def restore(database: Database, source: Path) -> Path | None:
    """Puts the content of ``source`` in the place of ``database``'s, in one step; where the old content is kept.

    Other processes that have the database open go on with the restored content.

    Raises:
        StoreError: ``source`` is missing, damaged, not Viva's or newer than this version; nothing has changed.
    """
    place = folder(database)
    assert database.path is not None
    if not source.is_file():
        raise StoreError(
            ko=f"파일({source})이 없어요. `viva backup --list`로 백업을 확인해 주세요.",
            en=f"There is no file {source}; see the backups with `viva backup --list`.",
        )
    private_folder(place)
    checked = place / f".restore.{uuid.uuid4().hex}.part"
    try:
        sqlite.copy(source, checked, name=str(source))
        sqlite.verify(checked, str(source))
        _bring_up_to_date(checked, source)
        return _replace(database, checked)
    finally:
        for suffix in ("", *_BESIDE):
            Path(f"{checked}{suffix}").unlink(missing_ok=True)


def _bring_up_to_date(copy: Path, source: Path) -> None:
    opened = Database(copy)
    opened.name = str(source)
    try:
        found = migrate.version(opened)
        if found is None:
            raise StoreError(
                ko=f"파일({source})에 아무것도 없어요. Viva의 백업 파일을 지정해 주세요.",
                en=f"{source} is an empty database; name a backup of Viva's.",
            )
        if found != tables.REVISIONS[-1]:
            migrate.upgrade(opened)
    finally:
        opened.close()
    sqlite.verify(copy, str(source))


def _replace(database: Database, checked: Path) -> Path | None:
    assert database.path is not None
    kept: list[Path] = []
    try:
        if not database.path.exists():
            sqlite.copy(checked, database.path)
        else:
            sqlite.copy(
                checked, database.path, meanwhile=lambda: kept.append(make(database, "before-restore"))
            )
    except DamagedError:  # what was checked is whole, so it is the current file that cannot be read
        database.close()
        kept.append(folder(database) / f"viva-{now():%Y%m%dT%H%M%S%f}Z-damaged.db")
        for suffix in (*_BESIDE, ""):
            with suppress(FileNotFoundError):
                os.replace(f"{database.path}{suffix}", f"{kept[-1]}{suffix}")
        sqlite.copy(checked, database.path)
    return kept[-1] if kept else None


def _write_checked(source: Path, target: Path) -> None:
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        sqlite.copy(source, part)
        sqlite.verify(part, str(source))
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, target)
        _sync_folder(target.parent)
    except OSError as error:
        raise StoreError(
            ko=f"백업 파일({target})을 쓸 수 없어요({error.strerror}). 폴더의 권한과 남은 공간을 확인해 주세요.",
            en=f"The backup {target} cannot be written ({error.strerror}); check the folder's permissions and free space.",
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _sync_folder(place: Path) -> None:
    """Makes the new name survive a power cut, where the system can."""
    with suppress(OSError):
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
