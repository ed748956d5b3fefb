"""A learner's data as one JSON document: out and back without loss, and refusals in one sentence."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viva.bank import Cues, Point, Question, Topic
from viva.exchange import learner
from viva.exchange.learner import LearnerDocument, LearnerDocumentError, PackDocument, dump, parse
from viva.language import Text

AT = datetime(2025, 5, 17, 9, 30, tzinfo=UTC)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8)
TABLES = st.sampled_from(["settings", "sessions", "attempts", "grades", "reviews", "my_answers", "retractions", "actions"])
ROWS = st.dictionaries(TABLES, st.lists(st.dictionaries(TEXT, VALUES, max_size=4), max_size=3), max_size=4)
SAID = TEXT.filter(lambda text: bool(text.strip()))
TEXTS = st.builds(Text, ko=SAID, en=st.none() | SAID)
QUESTIONS = st.builds(
    Question, id=st.just("q001"), topic=SAID, question=TEXTS, answer=st.none() | TEXTS, pack=st.just("mine"),
    points=st.lists(st.builds(Point, id=st.just("p1"), text=TEXTS, cues=st.builds(Cues, ko=st.tuples(SAID))), max_size=1).map(tuple),
)  # fmt: skip
PACKS = st.builds(PackDocument, name=st.just("mine"), title=TEXTS, topics=st.lists(st.builds(Topic, id=SAID, title=TEXTS), max_size=2).map(tuple), questions=st.lists(QUESTIONS, max_size=2).map(tuple))
DOCUMENTS = st.builds(LearnerDocument, exported_at=st.datetimes(timezones=st.just(UTC)), rows=ROWS, packs=st.lists(PACKS, max_size=1).map(tuple))


@settings(max_examples=150)
@given(DOCUMENTS)
def test_what_is_exported_is_what_is_imported(document: LearnerDocument) -> None:
    assert parse(dump(document).encode()) == document


def test_the_document_names_its_format_and_its_tables_at_the_top() -> None:
    data = json.loads(dump(LearnerDocument(exported_at=AT, rows={"attempts": [{"id": "a", "text": "답"}]})))
    assert data == {"format": "viva-learner", "version": 1, "exported_at": "2025-05-17T09:30:00+00:00", "attempts": [{"id": "a", "text": "답"}], "packs": []}


def test_times_in_rows_are_written_in_utc() -> None:
    seoul = timezone(timedelta(hours=9))
    text = dump(LearnerDocument(exported_at=AT.astimezone(seoul), rows={"reviews": [{"at": AT.astimezone(seoul)}]}))
    assert parse(text.encode()).rows["reviews"] == [{"at": "2025-05-17T09:30:00+00:00"}]
    assert parse(text.encode()).exported_at == AT


@pytest.mark.parametrize("value", [float("nan"), float("inf"), datetime(2025, 5, 17), b"x", {1, 2}])
def test_what_json_has_not_is_not_exported(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        dump(LearnerDocument(exported_at=AT, rows={"attempts": [{"x": value}]}))


def good(**changes: Any) -> dict[str, Any]:
    return {"format": "viva-learner", "version": 1, "exported_at": "2025-05-17T09:30:00+00:00", "packs": [], "attempts": [], **changes}


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "Line 1, column 1"),
    "cut off": (b'{"format": "viva-learner",\n "version": 1', "Line 2, column 1[34]"),
    "no JSON": (b"hello", "Line 1, column 1"),
    "not UTF-8": (b'{"format":\n "\xff"}', "Line 2, column 3: .*not UTF-8"),
    "another format": (b'{"format": "anki"}', "no learner data of Viva"),
    "a list": (b"[]", "no learner data of Viva"),
    "NaN": (json.dumps(good(attempts=[{"x": float("nan")}])).encode(), "NaN is no number"),
    "huge number": (b'{"format": "viva-learner", "x": 1e999}', "too large a number"),
    "endless digits": (b'{"x": ' + b"9" * 5000 + b"}", "cannot be read as JSON"),
    "deep": (b"[" * 100_000, "too deep"),
    "deep but closed": (b'{"x":' * 100 + b"1" + b"}" * 100, "too deep"),
    "half a character": (b'{"format": "viva-learner", "version": 1, "attempts": [{"text": "\\ud800"}]}', r"U\+D800"),
    "newer": (json.dumps(good(version=2)).encode(), r"newer Viva wrote this file \(version 2; this one reads up to 1\)"),
    "no version": (json.dumps(good(version="1")).encode(), "'version' is '1'"),
    "true as version": (json.dumps(good(version=True)).encode(), "'version' is True"),
    "no time": (json.dumps(good(exported_at="yesterday")).encode(), "'exported_at' does not fit"),
    "time without zone": (json.dumps(good(exported_at="2025-05-17T09:30:00")).encode(), "needs a time zone"),
    "rows that are no rows": (json.dumps(good(attempts=[1])).encode(), "'attempts' has to be a list of rows"),
    "table that is no list": (json.dumps(good(attempts={"a": 1})).encode(), "'attempts' has to be a list of rows"),
    "table with an odd name": (json.dumps({**good(), "drop table": []}).encode(), "'drop table' cannot be the name"),
    "pack outside its folder": (json.dumps(good(packs=[{"name": "../x", "title": {"ko": "x"}}])).encode(), r"'packs\.0\.name'"),
    "pack twice": (json.dumps(good(packs=[{"name": "x", "title": {"ko": "x"}}] * 2)).encode(), "'x' is there twice"),
    "broken question": (json.dumps(good(packs=[{"name": "x", "title": {"ko": "x"}, "questions": [{"id": "q"}]}])).encode(), r"packs\.0\.questions\.0\.topic"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_each_broken_document_is_refused_in_one_sentence(case: str) -> None:
    raw, reason = BROKEN[case]
    with pytest.raises(LearnerDocumentError, match=reason) as failure:
        parse(raw)
    assert "\n" not in str(failure.value) and len(str(failure.value)) < 400
    assert failure.value.sentence("ko") != failure.value.sentence("en")


def test_a_file_beyond_the_limit_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner, "MAX_BYTES", 1024 * 1024)
    with pytest.raises(LearnerDocumentError, match="larger than 1 MB"):
        parse(b" " * (1024 * 1024 + 1))


def test_a_byte_order_mark_does_no_harm() -> None:
    assert parse(b"\xef\xbb\xbf" + json.dumps(good()).encode()).rows == {"attempts": []}
