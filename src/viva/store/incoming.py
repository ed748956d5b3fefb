"""One row of an import, checked against its table before anything is stored.

An export may have been edited by hand, cut off, or made to do harm; a row that does not fit is refused by table, number
and column.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Double, Integer, String, Table

from viva.grading.marks import STATUSES
from viva.language import LANGUAGES, Text
from viva.store.clock import utc
from viva.store.database import clean, to_json
from viva.store.errors import StoreError
from viva.store.records import grade_from, opinion_from
from viva.store.tables import RETRACTABLE, Moment


def values(table: Table, number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    """``row`` (the ``number``-th of its table) as it will be stored.

    Raises:
        StoreError: a column is missing or unknown, or a value does not fit it.
    """
    names = {column.name for column in table.columns if column.name != "learner"}
    if not isinstance(row, Mapping) or set(row) != names:
        wanted = ", ".join(sorted(names))
        raise refused(table.name, number, f"열은 {wanted}이어야 해요", f"its columns must be {wanted}")
    found: dict[str, Any] = {}
    for column in table.columns:
        if column.name == "learner":
            continue
        try:
            found[column.name] = _value(column, row[column.name])
        except (TypeError, ValueError, OverflowError) as error:
            raise refused(
                table.name,
                number,
                f"{column.name}의 값이 맞지 않아요 ({error})",
                f"the value of {column.name} does not fit ({error})",
            ) from error
    if table.name in ("grades", "opinions"):
        try:
            grade_from(found) if table.name == "grades" else opinion_from(found)
        except (TypeError, ValueError) as error:
            raise refused(
                table.name, number, f"채점을 읽을 수 없어요 ({error})", f"the marks cannot be read ({error})"
            ) from error
    return found


def _value(column: Column[Any], value: Any) -> Any:
    if isinstance(column.type, JSON):
        check = _SHAPES.get((column.table.name, column.name))
        if check is not None:
            check(value)
        to_json(value)
        return value
    if value is None and column.nullable:
        return None
    if isinstance(column.type, Moment):
        return utc(datetime.fromisoformat(_expect(value, str)))
    if isinstance(column.type, Boolean):
        return _expect(value, bool)
    if isinstance(column.type, Integer):
        return _expect(value, int)
    if isinstance(column.type, Double):
        if not math.isfinite(_expect(value, int, float)):
            raise ValueError(f"{value} is not finite")
        return float(value)
    text = clean(_expect(value, str))
    allowed = _CHOICES.get(column.name)
    if allowed is not None and text not in allowed:
        raise ValueError(f"{text!r} is none of {', '.join(allowed)}")
    if isinstance(column.type, String) and column.type.length is not None and len(text) > column.type.length:
        raise ValueError(f"{len(text)} characters; at most {column.type.length} fit")
    return text


_CHOICES = {"language": LANGUAGES, "table_name": tuple(RETRACTABLE)}


def _expect(value: Any, *types: type) -> Any:
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise ValueError(f"{value!r:.60} is not {' or '.join(kind.__name__ for kind in types)}")
    return value


def _texts(value: Any) -> None:
    for entry in _expect(value, list):
        _expect(entry, str)


def _objects(value: Any) -> None:
    for entry in _expect(value, list):
        _expect(entry, dict)


def _marks(value: Any) -> None:
    _objects(value)
    for mark in value:
        _expect(mark.get("id"), str)
        if mark.get("status") not in STATUSES:
            raise ValueError(f"{mark.get('status')!r:.60} is none of {', '.join(STATUSES)}")
        for name in ("quote", "why"):
            _expect(mark.get(name, ""), str)


def _label(value: Any) -> None:
    Text(**_expect(value, dict))


def _moves(value: Any) -> None:
    _objects(value)
    for move in value:
        kind = move.get("move")
        if kind in ("add", "drop"):
            wanted = {"move", "table", "id"}
        elif kind == "set":
            wanted = {"move", "key", "before", "after"}
        elif kind == "call":
            wanted = {"move", "payload"}
        else:
            raise ValueError(f"there is no move {kind!r}")
        if set(move) != wanted:
            raise ValueError(f"the move {kind!r} has {', '.join(sorted(wanted))}")
        if kind in ("add", "drop") and (move["table"] not in RETRACTABLE or not isinstance(move["id"], str)):
            raise ValueError(f"{move['table']!r} is no table whose rows can be taken back")
        if kind == "set":
            _expect(move["key"], str)
            if any(len(_expect(side, list)) > 1 for side in (move["before"], move["after"])):
                raise ValueError("a setting has one value")


_SHAPES: dict[tuple[str, str], Callable[[Any], None]] = {
    ("sessions", "questions"): _texts,
    ("sessions", "params"): lambda value: _expect(value, dict),
    ("grades", "points"): _objects,
    ("grades", "misconceptions"): _objects,
    ("opinions", "points"): _marks,
    ("opinions", "refused"): _marks,
    ("actions", "label"): _label,
    ("actions", "payload"): _moves,
}


def refused(table: str, number: int | None, ko: str, en: str) -> StoreError:
    """The sentence that names the table and, where one row is to blame, its number."""
    row_ko, row_en = ("", "") if number is None else (f" {number}번째 줄", f", row {number}")
    return StoreError(
        ko=f"아무것도 가져오지 않았어요. {table} 표{row_ko}: {ko}.",
        en=f"Nothing was imported: {table}{row_en}: {en}.",
    )
