"""Alembic's entry: runs inside the transaction that :mod:`viva.store.migrate` hands over."""

from alembic import context

from viva.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
