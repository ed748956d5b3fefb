"""Everything goes out as JSON and comes back without loss, twice without doubling, and not at all if it does not fit."""

from __future__ import annotations

import copy
import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viva.grading import PointMark
from viva.grading.opinion import Opinion
from viva.language import Text
from viva.store import Learner, Store, StoreError, check_store
from viva.study.schedule import rebuild

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GRADE = {
    "score": 0.5,
    "rating": 2,
    "points": [{"id": "p", "status": "made", "quote": "포화"}],
    "misconceptions": [],
}


@pytest.fixture
def stores(tmp_path: Path):
    with Store.open(tmp_path / "a" / "viva.db") as first, Store.open(tmp_path / "b" / "viva.db") as second:
        yield first, second


@pytest.fixture
def full(stores: tuple[Store, Store]) -> Learner:
    """A learner with something in every table."""
    me = stores[0].learner()
    me.set_setting("retention", 0.85)
    session = me.start_session("exam", ["relu"], {"minutes": 5}, time_limit_seconds=300)
    ink = {"device": "pen", "width": 3, "height": 4, "strokes": [[[0, 0, 0, 0.5]]]}
    me.add_attempt(
        id="a-1",
        question="relu",
        language="ko",
        way="ink",
        ink=ink,
        seconds=3,
        session=session.id,
        grade=GRADE,
    )
    me.add_attempt(id="a-2", question="gelu", language="en", text="smooth \ud800", grade=GRADE)
    me.add_grade("a-1", {**GRADE, "score": 1.0, "rating": 4}, grader="learner")
    refused = (PointMark("q", "made", "지어낸 말", why="답에 없는 말이에요."),)
    me.add_opinion("a-2", Opinion("model", (PointMark("p", "made", "smooth", 0, 6),), refused, 2.5), 0.5)
    me.add_review("relu", 3, "a-1", at=NOON)
    me.add_review("relu", 1, "a-1")
    me.add_review("gelu", 2, at=NOON + timedelta(days=1))
    me.undo()
    me.save_my_answer("relu", "ko", "내 답")
    me.save_draft("gelu", "en", "half a sent")
    me.finish_session(session.id)
    return me


def through_json(rows: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(rows, allow_nan=False))


def test_everything_comes_back(stores: tuple[Store, Store], full: Learner) -> None:
    rows = through_json(full.export_rows())
    assert all(rows.values()), "every table must have something to lose"
    other = stores[1].learner()
    counts = other.import_rows(rows)
    assert counts == {name: len(entries) for name, entries in rows.items()}
    assert other.export_rows() == rows
    assert other.cards() == full.cards() == rebuild(full.reviews(), 0.85)
    assert other.attempts_of("relu") == full.attempts_of("relu")
    assert other.opinions_of("a-2") == full.opinions_of("a-2") != []
    assert other.undo_list() == full.undo_list()
    assert other.undo() == full.undo() and other.export_rows().keys() == rows.keys()
    assert check_store(stores[1]) == []


def test_the_same_import_twice_adds_nothing(stores: tuple[Store, Store], full: Learner) -> None:
    rows = through_json(full.export_rows())
    other = stores[1].learner()
    other.import_rows(rows)
    assert set(other.import_rows(rows).values()) == {0}
    assert set(full.import_rows(rows).values()) == {0}
    assert other.export_rows() == rows == through_json(full.export_rows())


def test_two_machines_that_went_on_apart_come_together(stores: tuple[Store, Store], full: Learner) -> None:
    other = stores[1].learner()
    other.import_rows(full.export_rows())
    full.add_attempt(id="here", question="relu", language="ko", text="여기")
    full.add_review("relu", 4, "here", at=NOON + timedelta(days=2))
    other.add_attempt(id="there", question="relu", language="ko", text="저기")
    other.add_review("relu", 2, "there", at=NOON + timedelta(days=3))
    full.import_rows(other.export_rows())
    other.import_rows(full.export_rows())
    assert full.cards() == other.cards() == rebuild(full.reviews(), 0.85)
    assert {attempt.id for attempt in full.attempts_of("relu")} == {"a-1", "here", "there"}
    assert sorted(full.reviews(), key=lambda r: r.at) == sorted(other.reviews(), key=lambda r: r.at)


def test_an_answer_rated_on_two_machines_keeps_the_later_rating(
    stores: tuple[Store, Store], full: Learner
) -> None:
    other = stores[1].learner()
    other.import_rows(full.export_rows())
    full.add_review("gelu", 1, "a-2", at=NOON + timedelta(days=5))
    other.add_review("gelu", 4, "a-2", at=NOON + timedelta(days=6))
    full.import_rows(other.export_rows())
    assert full.review_of("a-2").rating == 4
    assert [review.rating for review in full.reviews(question="gelu")] == [4]
    assert check_store(stores[0]) == []


def test_what_is_here_wins_where_it_may(stores: tuple[Store, Store], full: Learner) -> None:
    other = stores[1].learner()
    other.set_setting("retention", 0.95)
    other.save_draft("gelu", "en", "newer here", at=datetime.now(UTC) + timedelta(days=1))
    steps = other.undo_list()
    counts = other.import_rows(full.export_rows())
    assert counts["settings"] == counts["drafts"] == counts["actions"] == 0
    assert other.settings() == {"retention": 0.95}
    assert other.draft("gelu", "en").text == "newer here"
    assert other.undo_list() == steps
    assert other.cards() == rebuild(other.reviews(), 0.95)


def test_the_newer_draft_and_the_end_of_a_session_are_taken_over(stores: tuple[Store, Store]) -> None:
    here, there = stores[0].learner(), stores[1].learner()
    session = here.start_session("exam", ["relu"])
    here.save_draft("relu", "ko", "old", at=NOON)
    there.import_rows(here.export_rows())
    there.finish_session(session.id)
    there.save_draft("relu", "ko", "new")
    here.import_rows(there.export_rows())
    assert here.export_rows() == there.export_rows()
    assert here.session(session.id).finished_at is not None


def test_one_learner_may_take_nothing_that_is_another_s(stores: tuple[Store, Store], full: Learner) -> None:
    stranger = stores[0].learner("stranger")
    rows = through_json(full.export_rows())
    for table in ("attempts", "grades", "opinions", "reviews", "my_answers", "retractions", "sessions"):
        with pytest.raises(StoreError, match="Nothing was imported"):
            stranger.import_rows({table: rows[table]})
    assert all(entries == [] for entries in stranger.export_rows().values())


def test_a_step_outside_the_database_does_not_travel(stores: tuple[Store, Store], full: Learner) -> None:
    full.record_action("edit-question", Text(ko="고치기", en="edit"), {"file": "/etc/passwd"})
    other = stores[1].learner()
    other.import_rows(full.export_rows())
    assert [step.kind for step in other.undo_list()] == [step.kind for step in full.undo_list()][1:]


def broken(rows: dict[str, Any], table: str, column: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(rows)
    changed[table][0][column] = value
    return changed


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("attempts", "created_at", "yesterday"),
        ("attempts", "created_at", "2026-03-01T00:00:00"),
        ("attempts", "created_at", 5),
        ("attempts", "text", None),
        ("attempts", "text", ["x"]),
        ("attempts", "way", "telepathy"),
        ("attempts", "language", "xx"),
        ("attempts", "seconds", float("inf")),
        ("attempts", "session", "missing"),
        ("attempts", "id", "x" * 65),
        ("reviews", "rating", 7),
        ("reviews", "rating", 2.5),
        ("reviews", "rating", True),
        ("reviews", "attempt", "missing"),
        ("grades", "attempt", "missing"),
        ("grades", "points", {}),
        ("grades", "points", [{"status": "made"}]),
        ("grades", "copied", 1),
        ("grades", "score", "high"),
        ("opinions", "attempt", "missing"),
        ("opinions", "points", [{"id": "p", "status": "<script>"}]),
        ("opinions", "points", [{"status": "made"}]),
        ("opinions", "refused", [{"id": "p", "status": "made", "quote": 5}]),
        ("opinions", "seconds", None),
        ("opinions", "judge", "x" * 256),
        ("sessions", "questions", "relu"),
        ("sessions", "params", []),
        ("retractions", "table_name", "learners"),
        ("retractions", "row_id", "missing"),
        ("actions", "label", {}),
        ("actions", "payload", [{"move": "drop table"}]),
        ("actions", "payload", [{"move": "add", "table": "learners", "id": "x"}]),
        ("actions", "state", "maybe"),
        ("settings", "value", float("nan")),
        ("drafts", "surprise", 1),
    ],
)
def test_a_row_that_does_not_fit_is_refused_and_nothing_is_imported(
    stores: tuple[Store, Store], full: Learner, table: str, column: str, value: Any
) -> None:
    other = stores[1].learner()
    with pytest.raises(StoreError, match="Nothing was imported") as caught:
        other.import_rows(broken(full.export_rows(), table, column, value))
    assert table in str(caught.value) and "가져오지 않았어요" in caught.value.get("ko")
    assert all(entries == [] for entries in other.export_rows().values())
    assert other.cards() == {}


@pytest.mark.parametrize(
    ("table", "column"),
    [("attempts", "text"), ("grades", "score"), ("opinions", "score"), ("reviews", "rating"), ("my_answers", "text")],
)
def test_a_row_that_differs_from_the_one_here_is_refused_by_name(
    full: Learner, table: str, column: str
) -> None:
    before = full.export_rows()
    changed = broken(
        through_json(before), table, column, {"text": "anders", "score": 0.123, "rating": 4}[column]
    )
    with pytest.raises(StoreError, match=changed[table][0]["id"]):
        full.import_rows(changed)
    assert full.export_rows() == before


def test_a_file_that_contradicts_itself_is_refused(stores: tuple[Store, Store], full: Learner) -> None:
    rows = through_json(full.export_rows())
    rows["reviews"].append({**rows["reviews"][0], "question": "other"})
    with pytest.raises(StoreError, match=rows["reviews"][0]["id"]):
        stores[1].learner().import_rows(rows)


def test_an_unknown_table_is_named(full: Learner) -> None:
    with pytest.raises(StoreError, match="badges"):
        full.import_rows({"badges": []})


answers = st.tuples(
    st.sampled_from(["relu", "gelu", "q:1"]),
    st.text(max_size=20),
    st.none() | st.integers(1, 4),
    st.recursive(
        st.none() | st.integers(-9, 9) | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
        max_leaves=5,
    ),
)


@given(st.lists(answers, max_size=8))
@settings(max_examples=20, deadline=None)
def test_any_answers_survive_the_round_trip(given_answers: list[Any]) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(Path(folder) / "a.db") as first,
        Store.open(Path(folder) / "b.db") as second,
    ):
        me, other = first.learner(), second.learner()
        for question, text, rating, ink in given_answers:
            attempt = me.add_attempt(question=question, language="ko", text=text, ink=ink)
            if rating is not None:
                me.add_review(question, rating, attempt.id)
                me.add_review(question, 5 - rating, attempt.id)
        rows = through_json(me.export_rows())
        other.import_rows(rows)
        assert other.export_rows() == rows
        assert other.cards() == me.cards()
        assert other.attempts_of("relu") == me.attempts_of("relu")
