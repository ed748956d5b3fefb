"""The triggers that make a table append-only, in each dialect's own words."""

from __future__ import annotations


def append_only(table: str, dialect: str) -> tuple[str, ...]:
    """The statements after which ``table`` refuses every UPDATE and DELETE.

    Raises:
        ValueError: ``dialect`` has no triggers written here.
    """
    message = f"{table} is append-only"
    if dialect == "sqlite":
        return tuple(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, '{message}'); END"
            for name, event in zip(trigger_names(table), ("UPDATE", "DELETE"), strict=True)
        )
    if dialect == "postgresql":
        body = f"BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END"
        function = (
            f"CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$"
        )
        return (
            function,
            *(
                f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()"
                for name, event in zip(trigger_names(table), ("UPDATE OR TRUNCATE", "DELETE"), strict=True)
            ),
        )
    raise ValueError(f"append-only triggers are written for sqlite and postgresql, not for {dialect!r}")


def trigger_names(table: str) -> tuple[str, str]:
    return f"{table}_no_update", f"{table}_no_delete"


def names_query(dialect: str) -> str:
    """The query for the names of the triggers that the database has."""
    if dialect == "sqlite":
        return "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    return "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
