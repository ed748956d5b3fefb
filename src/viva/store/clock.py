"""Now, and ids and times that sort in the order in which rows were written."""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, select

_TICK = timedelta(microseconds=1)


def now() -> datetime:
    return datetime.now(UTC)


def utc(moment: datetime) -> datetime:
    """``moment`` in UTC.

    Raises:
        ValueError: it does not say its time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"the time {moment.isoformat()} has no time zone; pass an aware datetime, in UTC")
    return moment.astimezone(UTC)


def new_id() -> str:
    """A UUID of version 7: milliseconds since 1970 first, so that neighbours in time are neighbours in the index."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    return str(uuid.UUID(int=value))


def after(connection: Connection, column: ColumnElement[datetime], *where: ColumnElement[bool]) -> datetime:
    """Now, or just after the newest ``column`` there: "the newest row counts" must survive a clock set back."""
    newest = connection.scalar(select(func.max(column)).where(*where))
    moment = now()
    return moment if newest is None or newest < moment else newest + _TICK
