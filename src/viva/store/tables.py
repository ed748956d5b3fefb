"""The tables, as SQLAlchemy Core describes them.

``attempts``, ``grades``, ``opinions``, ``reviews``, ``my_answers`` and ``retractions`` only ever grow: triggers refuse UPDATE and
DELETE (:mod:`viva.store.triggers`). Taking something back adds a row to ``retractions``, and so does bringing it back;
a row counts while its newest retraction is absent or ``restored``. ``cards`` is a cache of ``reviews``. Times are UTC
with microseconds, ids are UUIDs written as text, seconds are wall-clock seconds that an answer took.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

REVISIONS = ("viva_0001", "viva_0002")
"""Every revision of the schema, oldest first; the last one is this version's. Kept here so that opening an
up-to-date database needs no Alembic."""


class _IsoText(String):
    """A UTC time as ISO 8601 text of one fixed width, so that it sorts as text and a person can read it."""

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        return lambda value: (
            None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")
        )


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime: ``timestamptz`` where the database has it, text in SQLite, which has no times."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(_IsoText(32) if dialect.name == "sqlite" else DateTime(timezone=True))

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        if dialect.name == "sqlite":
            read = datetime.fromisoformat
            return lambda value: None if value is None else read(value)
        return lambda value: (
            None if value is None else value.astimezone(UTC)
        )  # servers answer in their own zone


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
OptionalJSON = JSON(none_as_null=True)
ID = String(64)
KEY = String(255)


def _learner(**options: Any) -> Column[str]:
    return Column("learner", ID, ForeignKey("learners.id"), nullable=False, **options)


learners = Table(
    "learners",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", KEY, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("name"),
)

settings = Table(
    "settings",
    metadata,
    _learner(primary_key=True),
    Column("key", KEY, primary_key=True),
    Column("value", JSON, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", ID, primary_key=True),
    _learner(),
    Column("mode", String(32), nullable=False),
    Column("params", JSON, nullable=False),
    Column("questions", JSON, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("time_limit_seconds", Integer),
    Index(None, "learner", "started_at"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", ID, primary_key=True),
    _learner(),
    Column("session", ID, ForeignKey("sessions.id")),
    Column("question", KEY, nullable=False),
    Column("language", String(8), nullable=False),
    Column("way", String(8), nullable=False),
    Column("text", Text, nullable=False),
    Column("ink", OptionalJSON),
    Column("seconds", Double),
    Column("created_at", Moment, nullable=False),
    CheckConstraint("way IN ('text', 'ink', 'spoken')", name="way"),
    Index(None, "learner", "question", "created_at"),
    Index(None, "learner", "created_at"),
    Index(None, "session"),
)

grades = Table(
    "grades",
    metadata,
    Column("id", ID, primary_key=True),
    Column("attempt", ID, ForeignKey("attempts.id"), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("grader", String(64), nullable=False),
    Column("score", Double, nullable=False),
    Column("rating", Integer, nullable=False),
    Column("copied", Boolean, nullable=False),
    Column("points", JSON, nullable=False),
    Column("misconceptions", JSON, nullable=False),
    CheckConstraint("rating BETWEEN 1 AND 4", name="rating"),
    Index(None, "attempt", "created_at"),
)

opinions = Table(
    "opinions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("attempt", ID, ForeignKey("attempts.id"), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("judge", KEY, nullable=False),
    Column("score", Double, nullable=False),
    Column("points", JSON, nullable=False),
    Column("refused", JSON, nullable=False),
    Column("seconds", Double, nullable=False),
    Index(None, "attempt", "created_at"),
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", ID, primary_key=True),
    _learner(),
    Column("question", KEY, nullable=False),
    Column("attempt", ID, ForeignKey("attempts.id")),
    Column("rating", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    CheckConstraint("rating BETWEEN 1 AND 4", name="rating"),
    Index(None, "learner", "question", "at"),
    Index(None, "learner", "at"),
    Index(None, "attempt"),
)

my_answers = Table(
    "my_answers",
    metadata,
    Column("id", ID, primary_key=True),
    _learner(),
    Column("question", KEY, nullable=False),
    Column("language", String(8), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index(None, "learner", "question", "language", "created_at"),
)

retractions = Table(
    "retractions",
    metadata,
    Column("id", ID, primary_key=True),
    _learner(),
    Column("table_name", String(32), nullable=False),
    Column("row_id", ID, nullable=False),
    Column("at", Moment, nullable=False),
    Column("restored", Boolean, nullable=False),
    Index(None, "table_name", "row_id", "at"),
    Index(None, "learner"),
)

cards = Table(
    "cards",
    metadata,
    _learner(primary_key=True),
    Column("question", KEY, primary_key=True),
    Column("state", Integer, nullable=False),
    Column("step", Integer),
    Column("stability", Double),
    Column("difficulty", Double),
    Column("due", Moment, nullable=False),
    Column("last_review", Moment),
    Column("reviews", Integer, nullable=False),
    Column("lapses", Integer, nullable=False),
    sqlite_with_rowid=False,  # one learner's cards lie side by side, so that reading them all is one run
)

actions = Table(
    "actions",
    metadata,
    Column("id", ID, primary_key=True),
    _learner(),
    Column("kind", String(64), nullable=False),
    Column("label", JSON, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("at", Moment, nullable=False),
    Column("state", String(8), nullable=False),
    CheckConstraint("state IN ('done', 'undone')", name="state"),
    Index(None, "learner", "at"),
)

drafts = Table(
    "drafts",
    metadata,
    _learner(primary_key=True),
    Column("question", KEY, primary_key=True),
    Column("language", String(8), primary_key=True),
    Column("text", Text, nullable=False),
    Column("ink", OptionalJSON),
    Column("updated_at", Moment, nullable=False),
)

APPEND_ONLY = ("attempts", "grades", "opinions", "reviews", "my_answers", "retractions")
RETRACTABLE = {table.name: table for table in (attempts, grades, reviews, my_answers)}
