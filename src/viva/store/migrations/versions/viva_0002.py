"""Second opinions beside the grades."""

import sqlalchemy as sa
from alembic import op

from viva.store.tables import Moment
from viva.store.triggers import append_only

revision = "viva_0002"
down_revision = "viva_0001"
branch_labels = None
depends_on = None

ID = sa.String(64)


def upgrade() -> None:
    op.create_table(
        "opinions",
        sa.Column("id", ID, nullable=False),
        sa.Column("attempt", ID, sa.ForeignKey("attempts.id", name="fk_opinions_attempt"), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("judge", sa.String(255), nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("points", sa.JSON, nullable=False),
        sa.Column("refused", sa.JSON, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_opinions"),
    )
    op.create_index("ix_opinions_attempt_created_at", "opinions", ["attempt", "created_at"])
    for statement in append_only("opinions", op.get_bind().dialect.name):
        op.execute(sa.text(statement))
