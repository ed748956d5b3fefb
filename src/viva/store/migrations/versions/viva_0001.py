"""The first tables."""

import sqlalchemy as sa
from alembic import op

from viva.store.tables import Moment
from viva.store.triggers import append_only

revision = "viva_0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.String(64)
KEY = sa.String(255)
OptionalJSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.create_table(
        "learners",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_learners"),
        sa.UniqueConstraint("name", name="uq_learners_name"),
    )
    op.create_table(
        "settings",
        _learner("settings"),
        sa.Column("key", KEY, nullable=False),
        sa.Column("value", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("learner", "key", name="pk_settings"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", ID, nullable=False),
        _learner("sessions"),
        sa.Column("mode", sa.String(32), nullable=False),
        sa.Column("params", sa.JSON, nullable=False),
        sa.Column("questions", sa.JSON, nullable=False),
        sa.Column("started_at", Moment, nullable=False),
        sa.Column("finished_at", Moment),
        sa.Column("time_limit_seconds", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
    op.create_table(
        "attempts",
        sa.Column("id", ID, nullable=False),
        _learner("attempts"),
        sa.Column("session", ID, sa.ForeignKey("sessions.id", name="fk_attempts_session")),
        sa.Column("question", KEY, nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("way", sa.String(8), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("ink", OptionalJSON),
        sa.Column("seconds", sa.Double),
        sa.Column("created_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        sa.CheckConstraint("way IN ('text', 'ink', 'spoken')", name="way"),
    )
    op.create_table(
        "grades",
        sa.Column("id", ID, nullable=False),
        sa.Column("attempt", ID, sa.ForeignKey("attempts.id", name="fk_grades_attempt"), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("grader", sa.String(64), nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("rating", sa.Integer, nullable=False),
        sa.Column("copied", sa.Boolean, nullable=False),
        sa.Column("points", sa.JSON, nullable=False),
        sa.Column("misconceptions", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_grades"),
        sa.CheckConstraint("rating BETWEEN 1 AND 4", name="rating"),
    )
    op.create_table(
        "reviews",
        sa.Column("id", ID, nullable=False),
        _learner("reviews"),
        sa.Column("question", KEY, nullable=False),
        sa.Column("attempt", ID, sa.ForeignKey("attempts.id", name="fk_reviews_attempt")),
        sa.Column("rating", sa.Integer, nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
        sa.CheckConstraint("rating BETWEEN 1 AND 4", name="rating"),
    )
    op.create_table(
        "my_answers",
        sa.Column("id", ID, nullable=False),
        _learner("my_answers"),
        sa.Column("question", KEY, nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_my_answers"),
    )
    op.create_table(
        "retractions",
        sa.Column("id", ID, nullable=False),
        _learner("retractions"),
        sa.Column("table_name", sa.String(32), nullable=False),
        sa.Column("row_id", ID, nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("restored", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_retractions"),
    )
    op.create_table(
        "cards",
        _learner("cards"),
        sa.Column("question", KEY, nullable=False),
        sa.Column("state", sa.Integer, nullable=False),
        sa.Column("step", sa.Integer),
        sa.Column("stability", sa.Double),
        sa.Column("difficulty", sa.Double),
        sa.Column("due", Moment, nullable=False),
        sa.Column("last_review", Moment),
        sa.Column("reviews", sa.Integer, nullable=False),
        sa.Column("lapses", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("learner", "question", name="pk_cards"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "actions",
        sa.Column("id", ID, nullable=False),
        _learner("actions"),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("label", sa.JSON, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_actions"),
        sa.CheckConstraint("state IN ('done', 'undone')", name="state"),
    )
    op.create_table(
        "drafts",
        _learner("drafts"),
        sa.Column("question", KEY, nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("ink", OptionalJSON),
        sa.Column("updated_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("learner", "question", "language", name="pk_drafts"),
    )
    for table, *columns in (
        ("sessions", "learner", "started_at"),
        ("attempts", "learner", "question", "created_at"),
        ("attempts", "learner", "created_at"),
        ("attempts", "session"),
        ("grades", "attempt", "created_at"),
        ("reviews", "learner", "question", "at"),
        ("reviews", "learner", "at"),
        ("reviews", "attempt"),
        ("my_answers", "learner", "question", "language", "created_at"),
        ("retractions", "table_name", "row_id", "at"),
        ("retractions", "learner"),
        ("actions", "learner", "at"),
    ):
        op.create_index("_".join(("ix", table, *columns)), table, columns)
    for table in ("attempts", "grades", "reviews", "my_answers", "retractions"):
        for statement in append_only(table, op.get_bind().dialect.name):
            op.execute(sa.text(statement))


def _learner(table: str) -> sa.Column[str]:
    key = sa.ForeignKey("learners.id", name=f"fk_{table}_learner")
    return sa.Column("learner", ID, key, nullable=False)
