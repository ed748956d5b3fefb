"""The history of the schema, for Alembic. Loaded only when a database is new or older than this version.

One file in ``versions/`` for each revision, named after it; its id is also the newest entry of
:data:`viva.store.tables.REVISIONS`. A revision that recreates an append-only table creates its triggers again.
"""
