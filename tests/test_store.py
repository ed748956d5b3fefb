"""What a learner does is kept: answers, grades, ratings, versions, drafts, sessions."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from viva.grading import Grade, MisconceptionMark, PointMark
from viva.grading.opinion import Opinion
from viva.language import Text
from viva.store import Learner, Store, StoreError, viva_home
from viva.store.clock import new_id
from viva.store.tables import APPEND_ONLY, attempts, metadata
from viva.study.schedule import rebuild

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FULL = Grade(
    score=0.75,
    points=(PointMark("saturates", "made", "포화", 3, 5, "cue: 포화"), PointMark("cheap", "missed")),
    misconceptions=(MisconceptionMark("always-better", "항상", 0, 2),),
    rating=3,
)


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path / "viva.db") as opened:
        yield opened


@pytest.fixture
def me(store: Store) -> Learner:
    return store.learner()


def answer(me: Learner, id: str = "a-1", text: str = "기울기가 사라져요", **more: object):
    return me.add_attempt(**{"id": id, "question": "relu", "language": "ko", "text": text, **more})


# Answers


def test_an_answer_comes_back_as_it_was_given(me: Learner) -> None:
    ink = {"device": "pen", "width": 10, "height": 5.5, "strokes": [[[0, 1, 2, 0.5]]]}
    given = answer(me, way="ink", text="한글, 𝛼\n", ink=ink, seconds=12.5, grade=FULL)
    found = me.attempt("a-1")
    assert found == given
    assert (found.text, found.ink, found.seconds, found.way) == ("한글, 𝛼\n", ink, 12.5, "ink")
    assert found.grade == FULL
    assert found.created_at.tzinfo is UTC


def test_an_answer_sent_twice_is_stored_once(me: Learner) -> None:
    first = answer(me, grade=FULL, seconds=3)
    again = answer(me, grade={"score": 0.0, "rating": 1}, seconds=4)
    assert again == first
    assert me.attempts_of("relu") == [first]


@pytest.mark.parametrize(
    "change",
    [
        {"text": "다른 답"},
        {"question": "gelu"},
        {"language": "en"},
        {"way": "spoken"},
        {"ink": {"strokes": []}},
    ],
)
def test_another_answer_under_the_same_id_is_refused(me: Learner, change: dict[str, object]) -> None:
    first = answer(me)
    with pytest.raises(StoreError, match="a-1") as caught:
        answer(me, **change)
    assert "a-1" in caught.value.get("ko")
    assert me.attempt("a-1") == first


def test_an_id_of_another_learner_gives_nothing_away(store: Store, me: Learner) -> None:
    answer(me, text="비밀")
    other = store.learner("other")
    assert other.attempt("a-1") is None
    assert other.current_grade("a-1") is None
    with pytest.raises(StoreError) as caught:
        answer(other, text="비밀")
    assert "비밀" not in str(caught.value)
    with pytest.raises(StoreError):
        other.add_review("relu", 3, "a-1")


@pytest.mark.parametrize("id", ["", "x" * 65, "../../etc", "a b", "a'b"])
def test_an_id_that_is_no_key_is_refused(me: Learner, id: str) -> None:
    # An empty id means that the sender has none, and a fresh one is made.
    if not id:
        assert answer(me, id=id).id
        return
    with pytest.raises(StoreError, match="cannot be used"):
        answer(me, id=id)


@pytest.mark.parametrize(
    ("field", "value"), [("way", "telepathy"), ("session", "no-such-session"), ("ink", {"x": float("nan")})]
)
def test_a_value_that_cannot_be_kept_is_refused_and_leaves_nothing(
    me: Learner, field: str, value: object
) -> None:
    with pytest.raises(StoreError) as caught:
        answer(me, **{field: value})
    assert caught.value.get("ko") and caught.value.get("en")
    assert me.attempts_of("relu") == []


def test_broken_unicode_is_mended_and_stays_idempotent(me: Learner) -> None:
    first = answer(me, text="a\ud800b \ud83d\ude00 \0", ink={"note": "\udfff"})
    assert first.text == "a\ufffdb 😀 \ufffd"
    assert answer(me, text="a\ud800b \ud83d\ude00 \0", ink={"note": "\udfff"}) == first


def test_earlier_answers_come_newest_first(me: Learner) -> None:
    for number in range(5):
        answer(me, id=f"a-{number}", text=str(number))
    answer(me, id="other", question="gelu")
    assert [attempt.text for attempt in me.attempts_of("relu")] == ["4", "3", "2", "1", "0"]
    assert [attempt.text for attempt in me.attempts_of("relu", limit=2)] == ["4", "3"]
    assert me.attempt_counts() == {"relu": 5, "gelu": 1}


def test_totals_count_answers_reviews_and_seconds(me: Learner) -> None:
    assert (me.totals().answers, me.totals().seconds, me.totals().reviews) == (0, 0.0, 0)
    answer(me, id="a-1", seconds=1.5)
    answer(me, id="a-2", seconds=None)
    answer(me, id="a-3", seconds=2)
    me.add_review("relu", 3, "a-1")
    me.add_review("relu", 2, "a-1")
    assert (me.totals().answers, me.totals().seconds, me.totals().reviews) == (3, 3.5, 1)


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize(
    "statement",
    ["UPDATE {0} SET id = 'x'", "DELETE FROM {0}", "INSERT OR REPLACE INTO {0} SELECT * FROM {0}"],
)
def test_what_was_written_can_be_neither_changed_nor_deleted(
    store: Store, me: Learner, table: str, statement: str
) -> None:
    answer(me, grade=FULL)
    me.add_review("relu", 3, "a-1")
    me.add_review("relu", 2, "a-1")
    me.save_my_answer("relu", "ko", "내 답")
    me.add_opinion("a-1", Opinion("model", (PointMark("p", "made", "포화"),), (), 1.5), 1.0)
    before = me.export_rows()
    assert before[table], "the table must hold something to protect"
    with pytest.raises(IntegrityError, match=f"{table} is append-only"), store.database.write() as connection:
        connection.exec_driver_sql(statement.format(table))
    assert me.export_rows() == before


# Grades


def test_overruling_adds_a_grade_that_counts_and_undo_brings_the_first_back(me: Learner) -> None:
    answer(me, grade=FULL)
    mine = me.add_grade("a-1", Grade(score=1.0, points=(), rating=4), grader="learner")
    assert me.current_grade("a-1") == mine
    assert mine.grade.grader == "learner"
    assert me.attempt("a-1").grade.score == 1.0
    me.undo()
    assert me.current_grade("a-1").grade == FULL
    assert me.latest_grades()[0][1].grade == FULL
    me.redo()
    assert me.current_grade("a-1") == mine


def test_the_newest_grade_counts_even_when_the_clock_was_set_back(
    me: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(me, grade=FULL)
    monkeypatch.setattr("viva.store.clock.now", lambda: NOON - timedelta(days=9000))
    me.add_grade("a-1", {"score": 0.25, "rating": 2})
    assert me.current_grade("a-1").grade.score == 0.25


def test_latest_grades_are_those_that_count_of_the_newest_answers(me: Learner) -> None:
    for number in range(6):
        answer(me, id=f"a-{number}", text=str(number), grade={"score": number / 10, "rating": 1})
    me.add_grade("a-4", {"score": 0.9, "rating": 4})
    answer(me, id="ungraded")
    found = me.latest_grades(limit=4)
    assert [(question, stored.attempt, stored.grade.score) for question, stored in found] == [
        ("relu", "a-5", 0.5),
        ("relu", "a-4", 0.9),
        ("relu", "a-3", 0.3),
    ]
    assert me.latest_grades(since=datetime.now(UTC) + timedelta(hours=1)) == []


def test_a_grade_of_an_unknown_answer_is_refused(me: Learner) -> None:
    with pytest.raises(StoreError, match="no answer with the id nope"):
        me.add_grade("nope", FULL)


def test_a_grade_with_fields_of_a_later_version_is_still_read(me: Learner) -> None:
    answer(me, grade={"score": 0.5, "rating": 2, "points": [{"id": "p", "status": "made", "novelty": 1}]})
    assert me.attempt("a-1").grade.points == (PointMark("p", "made"),)


# Ratings and cards


def test_a_rating_carries_the_card_in_the_same_step(me: Learner) -> None:
    review, card = me.add_review("relu", 3, at=NOON)
    assert (review.rating, review.at) == (3, NOON)
    assert me.card("relu") == card == rebuild(me.reviews())["relu"]
    assert me.cards() == {"relu": card}


def test_an_answer_has_one_rating_and_rating_again_replaces_it(me: Learner) -> None:
    answer(me)
    first, _ = me.add_review("relu", 4, "a-1", at=NOON)
    second, card = me.add_review("relu", 1, "a-1")
    assert second.at == NOON, "correcting a rating does not move the review in time"
    assert [review.rating for review in me.reviews()] == [1]
    assert me.review_of("a-1") == second
    assert card == rebuild(me.reviews())["relu"]
    me.undo()
    assert me.review_of("a-1") == first
    assert me.cards() == rebuild(me.reviews())


def test_the_same_rating_twice_changes_nothing(me: Learner) -> None:
    answer(me)
    first = me.add_review("relu", 3, "a-1")
    steps = me.undo_list()
    assert me.add_review("relu", 3, "a-1") == first
    assert me.undo_list() == steps


def test_a_review_from_before_the_last_one_takes_its_place_in_the_order(me: Learner) -> None:
    me.add_review("relu", 3, at=NOON)
    me.add_review("relu", 3, at=NOON + timedelta(days=3))
    _, card = me.add_review("relu", 1, at=NOON + timedelta(days=1))
    assert card == rebuild(me.reviews())["relu"]
    assert [review.at.day for review in me.reviews()] == [1, 2, 4]


def test_a_rating_of_another_question_s_answer_is_refused(me: Learner) -> None:
    answer(me)
    with pytest.raises(StoreError, match="a-1"):
        me.add_review("gelu", 3, "a-1")
    assert me.cards() == {}


@pytest.mark.parametrize("rating", [0, 5, -1])
def test_a_rating_outside_one_to_four_is_refused(me: Learner, rating: int) -> None:
    with pytest.raises(ValueError, match=str(rating)):
        me.add_review("relu", rating)


def test_a_time_without_a_zone_is_refused(me: Learner) -> None:
    with pytest.raises(ValueError, match="time zone"):
        me.add_review("relu", 3, at=datetime(2026, 3, 1))


def test_times_of_another_zone_are_kept_in_utc(me: Learner) -> None:
    from datetime import timezone

    seoul = timezone(timedelta(hours=9))
    me.add_review("relu", 3, at=NOON.astimezone(seoul))
    (review,) = me.reviews()
    assert review.at == NOON and review.at.tzinfo is UTC


def test_a_changed_retention_moves_every_card(me: Learner) -> None:
    for day in range(4):
        me.add_review("relu", 3, at=NOON + timedelta(days=3 * day))
    loose = me.card("relu").due
    me.set_setting("retention", 0.97)
    assert me.card("relu").due < loose
    assert me.cards() == rebuild(me.reviews(), 0.97)
    me.undo()
    assert me.card("relu").due == loose


@pytest.mark.parametrize("nonsense", [7, "0.9", None, True, [0.9]])
def test_a_retention_that_cannot_be_used_counts_as_the_default(me: Learner, nonsense: object) -> None:
    me.set_setting("retention", nonsense)
    me.add_review("relu", 3, at=NOON)
    assert me.cards() == rebuild(me.reviews(), 0.9)


def test_reviews_can_be_asked_for_by_time_and_by_question(me: Learner) -> None:
    for day in range(3):
        me.add_review("relu", 3, at=NOON + timedelta(days=day))
    me.add_review("gelu", 2, at=NOON)
    assert len(me.reviews()) == 4
    assert [review.at.day for review in me.reviews(since=NOON + timedelta(days=1))] == [2, 3]
    assert [review.question for review in me.reviews(question="gelu")] == ["gelu"]


def test_days_are_counted_on_the_learner_s_clock(me: Learner) -> None:
    me.add_review("relu", 3, at=datetime(2026, 3, 1, 14, 59, tzinfo=UTC))
    me.add_review("gelu", 3, at=datetime(2026, 3, 1, 15, 0, tzinfo=UTC))
    assert me.counts_by_day() == {"2026-03-01": 2}
    assert me.counts_by_day(timedelta(hours=9)) == {"2026-03-01": 1, "2026-03-02": 1}
    assert me.counts_by_day(since=datetime(2026, 3, 1, 15, tzinfo=UTC)) == {"2026-03-01": 1}


# My answer, drafts, settings, sessions


def test_my_answer_keeps_every_version(me: Learner) -> None:
    me.save_my_answer("relu", "ko", "첫째")
    second = me.save_my_answer("relu", "ko", "둘째")
    me.save_my_answer("relu", "en", "first")
    assert [version.text for version in me.my_answers("relu", "ko")] == ["둘째", "첫째"]
    assert len(me.my_answers("relu")) == 3
    assert me.save_my_answer("relu", "ko", "둘째") == second, "nothing new, no new version"
    me.undo()
    me.undo()
    assert [version.text for version in me.my_answers("relu")] == ["첫째"]


def test_a_draft_is_the_last_one_seen(me: Learner) -> None:
    assert me.draft("relu", "ko") is None
    me.save_draft("relu", "ko", "처음")
    kept = me.save_draft("relu", "ko", "다음", ink={"strokes": [[1]]})
    assert me.draft("relu", "ko") == kept
    assert me.draft("relu", "en") is None
    me.delete_draft("relu", "ko")
    assert me.draft("relu", "ko") is None


def test_a_draft_that_arrives_late_does_not_replace_a_newer_one(me: Learner) -> None:
    newer = me.save_draft("relu", "ko", "새", at=NOON)
    assert me.save_draft("relu", "ko", "옛", at=NOON - timedelta(seconds=1)) == newer
    assert me.draft("relu", "ko").text == "새"


def test_settings_hold_any_json_and_tell_true_from_one(me: Learner) -> None:
    value = {"days": [1, 2.5, None], "이름": "봄"}
    me.set_setting("plan", value)
    me.set_setting("flag", 1)
    assert me.set_setting("flag", True) is not None
    assert me.set_setting("flag", True) is None
    assert me.settings() == {"plan": value, "flag": True} and me.settings()["flag"] is True


def test_settings_changed_together_are_undone_together(me: Learner) -> None:
    me.set_setting("interview", None)
    me.set_settings(
        {"interview": "2026-12-24", "begun": "2026-12-01"}, Text(ko="면접일", en="interview date")
    )
    assert me.undo() == Text(ko="면접일", en="interview date")
    assert me.settings() == {"interview": None}


def test_a_session_keeps_its_questions_in_order_and_its_first_end(me: Learner) -> None:
    started = me.start_session("exam", ["b", "a", "c"], {"n": 3}, time_limit_seconds=600)
    assert me.session(started.id) == started
    assert started.questions == ("b", "a", "c")
    assert me.sessions(unfinished=True) == [started]
    finished = me.finish_session(started.id)
    assert finished.finished_at is not None
    assert me.finish_session(started.id) == finished
    assert me.sessions(unfinished=True) == []
    with pytest.raises(StoreError, match="nope"):
        me.finish_session("nope")


def test_a_session_gives_its_answers_oldest_first(me: Learner) -> None:
    session = me.start_session("exam", ["relu"])
    answer(me, id="a-1", session=session.id)
    answer(me, id="a-2", session=session.id)
    answer(me, id="a-3")
    assert [attempt.id for attempt in me.attempts_in(session.id)] == ["a-1", "a-2"]


# The store itself


def test_two_learners_see_only_their_own(store: Store, me: Learner) -> None:
    other = store.learner("other")
    answer(me)
    me.add_review("relu", 3, "a-1")
    me.save_draft("relu", "ko", "x")
    me.set_setting("a", 1)
    assert store.learners() == ["me", "other"]
    assert (other.cards(), other.reviews(), other.settings(), other.undo_list()) == ({}, [], {}, [])
    assert other.draft("relu", "ko") is None and other.undo() is None
    assert all(rows == [] for rows in other.export_rows().values())


def test_a_learner_keeps_its_id_between_openings(tmp_path: Path) -> None:
    with Store.open(tmp_path / "viva.db") as store:
        first = store.learner().id
    with Store.open(tmp_path / "viva.db") as store:
        assert store.learner().id == first
        assert store.learners() == ["me"]


def test_the_default_place_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVA_HOME", str(tmp_path / "deep" / "home"))
    with Store.open() as store:
        store.learner()
        assert store.database.path == viva_home() / "viva.db"
        assert viva_home().stat().st_mode & 0o777 == 0o700
        for path in viva_home().iterdir():
            assert path.stat().st_mode & 0o077 == 0, path


def test_a_write_inside_a_write_says_so_instead_of_waiting_for_ever(store: Store, me: Learner) -> None:
    with pytest.raises(RuntimeError, match="wait for itself"), store.database.write():
        me.set_setting("a", 1)
    me.set_setting("a", 2)
    assert me.settings() == {"a": 2}


def test_ids_sort_in_the_order_of_their_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    import uuid

    ids = []
    for millisecond in range(0, 2**48, 2**43):
        monkeypatch.setattr("time.time_ns", lambda now=millisecond: now * 1_000_000)
        ids.append(new_id())
    assert ids == sorted(ids)
    assert {uuid.UUID(id).version for id in ids} == {7}
    assert {uuid.UUID(id).variant for id in ids} == {uuid.RFC_4122}
    assert len({new_id() for _ in range(1000)}) == 1000


def test_opening_an_up_to_date_database_loads_no_migrations(tmp_path: Path) -> None:
    Store.open(tmp_path / "viva.db").close()
    code = "import sys; from viva.store import Store; Store.open(sys.argv[1]).learner().cards(); print('alembic' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "viva.db")], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]


def test_every_row_has_an_owner() -> None:
    for table in metadata.sorted_tables:
        if table.name not in ("learners", "grades", "opinions"):
            assert "learner" in table.columns, table.name
    assert attempts.c.learner.foreign_keys
