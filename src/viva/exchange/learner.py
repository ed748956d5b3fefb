"""All of a learner's data as one JSON document.

``{"format": "viva-learner", "version": 1, "exported_at": …, "packs": […], <table>: [rows], …}``: each table of the store is a
list of rows under its own name, each row an object of JSON values, times in ISO 8601, UTC. The store makes and takes
the rows; this file knows the envelope, so that a file can be refused in one sentence before anything is touched.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from viva.bank import Question, Topic
from viva.bank.schema import Slug
from viva.language import Language, Text

FORMAT = "viva-learner"
VERSION = 1
MAX_BYTES = 200 * 1024 * 1024
MAX_DEPTH = 60
"""How deep values may lie within each other; the deepest that the store writes is 8."""

_ENVELOPE = ("format", "version", "exported_at", "packs")
_TABLE = re.compile(r"[a-z][a-z0-9_]{0,62}")


class LearnerDocumentError(ValueError):
    """A file that is no learner's data, or not readable as such; ``str()`` and :meth:`sentence` say where and why."""

    def __init__(self, reason: Text, language: Language = "en") -> None:
        self.text = reason
        super().__init__(reason.get(language))

    def sentence(self, language: Language) -> str:
        return self.text.get(language)


class PackDocument(BaseModel):
    """An imported pack with all its questions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Slug
    title: Text
    topics: tuple[Topic, ...] = ()
    questions: tuple[Question, ...] = ()


class LearnerDocument(BaseModel):
    """What one export holds. ``rows`` are the store's, by table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exported_at: datetime
    rows: dict[str, list[dict[str, Any]]] = Field(default_factory=dict)
    packs: tuple[PackDocument, ...] = ()
    version: Annotated[int, Field(ge=1, le=VERSION)] = VERSION

    @field_validator("exported_at")
    @classmethod
    def _in_utc(cls, moment: datetime) -> datetime:
        if moment.tzinfo is None:
            raise ValueError("needs a time zone, such as +00:00")
        return moment.astimezone(UTC)

    @field_validator("rows")
    @classmethod
    def _tables_have_names(cls, rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
        for table in rows:
            if table in _ENVELOPE or not _TABLE.fullmatch(table):
                raise ValueError(f"'{table}' cannot be the name of a table")
        return rows

    @field_validator("packs")
    @classmethod
    def _packs_are_different(cls, packs: tuple[PackDocument, ...]) -> tuple[PackDocument, ...]:
        names = [pack.name for pack in packs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the pack '{twice[0]}' is there twice")
        return packs


def dump(document: LearnerDocument) -> str:
    """``document`` as JSON text; times in rows may be ``datetime`` with a time zone.

    Raises:
        TypeError: a row holds something that JSON has not.
        ValueError: a number that is not finite, or a time without a zone.
    """
    data = {
        "format": FORMAT,
        "version": document.version,
        "exported_at": document.exported_at.isoformat(),
        **document.rows,
        "packs": [pack.model_dump(mode="json", exclude_none=True) for pack in document.packs],
    }
    return json.dumps(data, ensure_ascii=False, allow_nan=False, default=_moment)


def parse(raw: bytes) -> LearnerDocument:
    """The document in ``raw``, checked as far as this file knows it.

    Raises:
        LearnerDocumentError: too large, no JSON, another format, a newer version, or not in this shape.
    """
    if len(raw) > MAX_BYTES:
        limit = MAX_BYTES // 1024 // 1024
        raise LearnerDocumentError(Text(ko=f"파일이 {limit} MB보다 큽니다.", en=f"The file is larger than {limit} MB."))
    data = _load(raw)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise LearnerDocumentError(Text(
            ko=f"비바의 학습 데이터 파일이 아닙니다. ‘\"format\": \"{FORMAT}\"’이 있어야 합니다. 목록을 가져오려면 글이나 표로 저장해 주세요.",
            en=f'This is no learner data of Viva: it has no "format": "{FORMAT}". To import a list, save it as text or as a table.',
        ))  # fmt: skip
    version = data.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise LearnerDocumentError(Text(
            ko=f"version이 {_shown(version)}입니다. 1 이상의 정수여야 합니다.", en=f"'version' is {_shown(version)}; it has to be a whole number from 1 on."
        ))  # fmt: skip
    if version > VERSION:
        raise LearnerDocumentError(Text(
            ko=f"더 새로운 비바가 만든 파일입니다(버전 {version}, 이 비바는 {VERSION}까지). 비바를 업데이트한 뒤 다시 가져오세요.",
            en=f"A newer Viva wrote this file (version {version}; this one reads up to {VERSION}). Update Viva and import it again.",
        ))  # fmt: skip
    rows = {name: value for name, value in data.items() if name not in _ENVELOPE}
    for table, entries in rows.items():
        if not isinstance(entries, list) or not all(isinstance(row, dict) for row in entries):
            raise LearnerDocumentError(Text(
                ko=f"‘{table}’에는 행의 목록이 있어야 합니다. 파일을 손으로 고쳤다면 그 부분을 되돌려 주세요.",
                en=f"'{table}' has to be a list of rows. If the file was edited by hand, undo that part.",
            ))  # fmt: skip
    try:
        return LearnerDocument.model_validate(
            {"exported_at": data.get("exported_at"), "version": version, "packs": data.get("packs", []), "rows": rows}
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where, why = ".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, ")
        raise LearnerDocumentError(Text(ko=f"‘{where}’이(가) 맞지 않습니다: {why}", en=f"'{where}' does not fit: {why}")) from None


def _load(raw: bytes) -> Any:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = raw.count(b"\n", 0, error.start) + 1, error.start - raw.rfind(b"\n", 0, error.start)
        raise _broken(line, column, "이 바이트는 UTF-8이 아닙니다", "this byte is not UTF-8") from None
    try:
        data = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise _broken(error.lineno, error.colno, error.msg, error.msg) from None
    except RecursionError:
        raise _broken(1, 1, "값이 너무 깊이 겹쳐 있습니다", "values lie too deep within each other") from None
    except ValueError as error:
        raise LearnerDocumentError(Text(ko=f"JSON으로 읽을 수 없습니다: {error}", en=f"The file cannot be read as JSON: {error}")) from None
    _check(data)
    return data


def _broken(line: int, column: int, ko: str, en: str) -> LearnerDocumentError:
    return LearnerDocumentError(Text(
        ko=f"{line}번째 줄 {column}번째 글자에서 JSON이 깨졌습니다: {ko}. 파일이 끝까지 저장되었는지 확인하세요.",
        en=f"Line {line}, column {column}: the JSON is broken: {en}. Check that the file was saved to its end.",
    ))  # fmt: skip


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:40]} is too large a number")
    return number


def _check(data: Any) -> None:
    """Depth within bounds and every text whole characters: databases and UTF-8 files hold no half ones."""
    pending: list[tuple[Any, int]] = [(data, 0)]
    while pending:
        value, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise _broken(1, 1, "값이 너무 깊이 겹쳐 있습니다", "values lie too deep within each other")
        if isinstance(value, dict):
            pending.extend((entry, depth + 1) for pair in value.items() for entry in pair)
        elif isinstance(value, list):
            pending.extend((entry, depth + 1) for entry in value)
        elif isinstance(value, str) and not value.isascii() and (half := re.search("[\ud800-\udfff]", value)):
            code = f"U+{ord(half.group()):04X}"
            raise LearnerDocumentError(Text(ko=f"글에 반쪽짜리 문자 {code}가 있습니다.", en=f"A text holds {code}, half of a character."))


def _moment(value: object) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"the time {value.isoformat()} has no time zone")
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Mapping):
        raise TypeError("rows hold plain dicts")
    raise TypeError(f"{type(value).__name__} is nothing that JSON has")


def _shown(value: object) -> str:
    return repr(value)[:40]
