"""The undo stack: the last :data:`STEPS` steps, each with what takes it back.

A payload is a list of small reversible moves::

    {"move": "add", "table": "reviews", "id": …}        undone by taking the row back
    {"move": "drop", "table": "reviews", "id": …}       undone by bringing the row back
    {"move": "set", "key": …, "before": [value], "after": [value]}     an empty list: no such setting
    {"move": "call", "payload": …}                      undone by the handler registered for the action's kind

Doing something new forgets what was undone and not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from sqlalchemy import Connection, delete, select, update

from viva.language import Text
from viva.store import scheduling
from viva.store.clock import after, new_id
from viva.store.errors import StoreError
from viva.store.records import Action
from viva.store.retracting import owns, retract
from viva.store.tables import RETRACTABLE, actions, reviews, settings

STEPS = 30
Direction = Literal["undo", "redo"]
Handler = Callable[[Any, Direction], None]
"""Called with the payload and the direction, inside the transaction: it must not write to the store, must be safe to
call twice, and may raise :class:`StoreError` to refuse."""


def record(
    connection: Connection, learner: str, kind: str, label: Text, moves: list[dict[str, Any]]
) -> Action:
    """Puts a step that was just done on the stack."""
    mine = actions.c.learner == learner
    connection.execute(delete(actions).where(mine, actions.c.state == "undone"))
    action = Action(
        id=new_id(), kind=kind, label=label, at=after(connection, actions.c.at, mine), state="done"
    )
    connection.execute(
        actions.insert().values(
            id=action.id,
            learner=learner,
            kind=kind,
            label=label.model_dump(),
            payload=moves,
            at=action.at,
            state=action.state,
        )
    )
    prune(connection, learner)
    return action


def prune(connection: Connection, learner: str) -> None:
    """Forgets the oldest steps beyond :data:`STEPS`."""
    mine = actions.c.learner == learner
    oldest_kept = connection.scalar(
        select(actions.c.at).where(mine).order_by(actions.c.at.desc()).offset(STEPS - 1).limit(1)
    )
    if oldest_kept is not None:
        connection.execute(delete(actions).where(mine, actions.c.at < oldest_kept))


def step(
    connection: Connection, learner: str, direction: Direction, handlers: Mapping[str, Handler]
) -> Text | None:
    """Undoes the newest step that is done, or does the last undone one again; its label, or None where none is left.

    Raises:
        StoreError: the step belongs to something outside the database that is not there now.
    """
    back = direction == "undo"
    query = select(actions).where(
        actions.c.learner == learner, actions.c.state == ("done" if back else "undone")
    )
    row = (
        connection.execute(query.order_by(actions.c.at.desc() if back else actions.c.at).limit(1))
        .mappings()
        .first()
    )
    if row is None:
        return None
    label = Text(**row["label"])
    stale: set[str] = set()
    for move in reversed(row["payload"]) if back else row["payload"]:
        match move["move"]:
            case "add" | "drop":
                table = RETRACTABLE[move["table"]]
                if not owns(connection, learner, table.name, move["id"]):
                    continue
                retract(connection, learner, table.name, move["id"], restore=back == (move["move"] == "drop"))
                if table is reviews:
                    stale.update(
                        connection.scalars(select(reviews.c.question).where(reviews.c.id == move["id"]))
                    )
            case "set":
                put_setting(connection, learner, move["key"], move["before" if back else "after"])
            case "call":
                _call(handlers, row["kind"], label, move["payload"], direction)
    scheduling.rebuild(connection, learner, stale)
    connection.execute(
        update(actions).where(actions.c.id == row["id"]).values(state="undone" if back else "done")
    )
    return label


def put_setting(connection: Connection, learner: str, key: str, value: list[Any]) -> None:
    """Sets ``key`` to the one value in the list, or removes it where the list is empty."""
    mine = (settings.c.learner == learner, settings.c.key == key)
    share = scheduling.retention(connection, learner)
    if not value:
        connection.execute(delete(settings).where(*mine))
    elif connection.execute(update(settings).where(*mine).values(value=value[0])).rowcount == 0:
        connection.execute(settings.insert().values(learner=learner, key=key, value=value[0]))
    if key == scheduling.RETENTION and scheduling.retention(connection, learner) != share:
        scheduling.rebuild(connection, learner)


def listed(connection: Connection, learner: str) -> list[Action]:
    """The stack, newest first."""
    rows = connection.execute(
        select(actions).where(actions.c.learner == learner).order_by(actions.c.at.desc())
    ).mappings()
    return [Action(row["id"], row["kind"], Text(**row["label"]), row["at"], row["state"]) for row in rows]


def _call(
    handlers: Mapping[str, Handler], kind: str, label: Text, payload: Any, direction: Direction
) -> None:
    handler = handlers.get(kind)
    if handler is None:
        raise StoreError(
            ko=f"이 단계(‘{label.get('ko')}’)는 여기서 되돌릴 수 없어요. Viva를 브라우저에서 열고 다시 시도해 주세요.",
            en=f"“{label.get('en')}” cannot be undone from here; open Viva in the browser and try there.",
        )
    handler(payload, direction)
