"""Undo and redo over everything a learner can do, and cards that always follow from the reviews that count."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from viva.language import Text
from viva.store import Learner, Store, StoreError, check_store
from viva.study.schedule import rebuild

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEPS = 30
questions = st.sampled_from(["relu", "gelu", "수식"])
ratings = st.integers(1, 4)
moments = st.none() | st.integers(0, 40 * 24).map(lambda hours: NOON + timedelta(hours=hours))


class Undoing(RuleBasedStateMachine):
    """Whatever is done, undo leads back through the states as they were seen, and redo forward again."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store.open(Path(self.folder.name) / "viva.db")
        self.me = self.store.learner()
        self.attempts: list[tuple[str, str]] = []
        self.outside: list[int] = []
        self.store.undo_handlers["outside"] = self._outside
        self.past: list[dict[str, Any]] = []
        self.future: list[dict[str, Any]] = []

    def teardown(self) -> None:
        assert check_store(self.store) == []
        while self.past:
            self.undo()
        self.cards_follow_from_reviews()
        self.store.close()
        self.folder.cleanup()

    def _outside(self, payload: Any, direction: str) -> None:
        self.outside = payload["before"] if direction == "undo" else payload["after"]

    def seen(self) -> dict[str, Any]:
        me = self.me
        return {
            "cards": me.cards(),
            "reviews": sorted(me.reviews(), key=lambda review: (review.at, review.question, review.rating)),
            "ratings": {id: me.review_of(id) for id, _ in self.attempts},
            "grades": {id: me.current_grade(id) for id, _ in self.attempts},
            "mine": {q: me.my_answers(q) for q in ("relu", "gelu", "수식")},
            "settings": me.settings(),
            "outside": list(self.outside),
        }

    def same(self, now: dict[str, Any], then: dict[str, Any]) -> None:
        """Equal but for the answers that came since: answering is not a step that undo takes back."""
        for part in ("cards", "reviews", "mine", "settings", "outside"):
            assert now[part] == then[part], part
        for part in ("ratings", "grades"):
            assert {id: now[part][id] for id in then[part]} == then[part], part

    def done(self, before: dict[str, Any], steps_before: list[str]) -> None:
        if [step.id for step in self.me.undo_list()] != steps_before:
            self.past = [*self.past, before][-STEPS:]
            self.future.clear()
        else:
            self.same(self.seen(), before)

    def act(self, action: Any) -> None:
        before, steps = self.seen(), [step.id for step in self.me.undo_list()]
        action()
        self.done(before, steps)

    @rule(question=questions)
    def answer(self, question: str) -> None:
        grade = {"score": 0.5, "rating": 2, "points": [{"id": "p", "status": "made"}]}
        attempt = self.me.add_attempt(question=question, language="ko", text="답", grade=grade)
        self.attempts.append((attempt.id, question))

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), rating=ratings, at=moments)
    def rate_an_answer(self, data: st.DataObject, rating: int, at: datetime | None) -> None:
        id, question = data.draw(st.sampled_from(self.attempts))
        self.act(lambda: self.me.add_review(question, rating, id, at=at))
        assert self.me.review_of(id).rating == rating

    @rule(question=questions, rating=ratings, at=moments)
    def rate_without_an_answer(self, question: str, rating: int, at: datetime | None) -> None:
        self.act(lambda: self.me.add_review(question, rating, at=at))

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), score=st.integers(0, 10))
    def overrule(self, data: st.DataObject, score: int) -> None:
        id, _ = data.draw(st.sampled_from(self.attempts))
        self.act(lambda: self.me.add_grade(id, {"score": score / 10, "rating": 1}, grader="learner"))

    @rule(question=questions, text=st.sampled_from(["", "하나", "둘"]))
    def prepare(self, question: str, text: str) -> None:
        self.act(lambda: self.me.save_my_answer(question, "ko", text))

    @rule(key=st.sampled_from(["retention", "theme"]), value=st.sampled_from([0.8, 0.9, 0.95, None, "dark"]))
    def choose(self, key: str, value: Any) -> None:
        self.act(lambda: self.me.set_setting(key, value))

    @rule(number=st.integers(0, 9))
    def edit_outside(self, number: int) -> None:
        def edit() -> None:
            after = [*self.outside, number]
            label = Text(ko="고치기", en="edit")
            self.me.record_action("outside", label, {"before": self.outside, "after": after})
            self.outside = after

        self.act(edit)

    @rule(times=st.integers(1, 4))
    def undo_some(self, times: int) -> None:
        for _ in range(times):
            self.undo()

    def undo(self) -> None:
        before = self.seen()
        label = self.me.undo()
        assert (label is None) == (not self.past)
        if label is not None:
            self.future.append(before)
            self.same(self.seen(), self.past.pop())

    @rule()
    def redo(self) -> None:
        before = self.seen()
        label = self.me.redo()
        assert (label is None) == (not self.future)
        if label is not None:
            self.past.append(before)
            self.same(self.seen(), self.future.pop())

    @invariant()
    def cards_follow_from_reviews(self) -> None:
        retention = self.me.settings().get("retention")
        share = retention if isinstance(retention, float) else 0.9
        assert self.me.cards() == rebuild(self.me.reviews(), share)

    @invariant()
    def the_stack_has_the_steps_that_can_be_taken(self) -> None:
        states = [step.state for step in self.me.undo_list()]
        assert states == ["undone"] * len(self.future) + ["done"] * len(self.past)


Undoing.TestCase.settings = settings(
    max_examples=8, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestUndoing = Undoing.TestCase


@pytest.fixture
def me(tmp_path: Path):
    with Store.open(tmp_path / "viva.db") as store:
        yield store.learner()


def test_thirty_steps_can_be_undone_and_no_more(me: Learner) -> None:
    for number in range(STEPS + 12):
        me.set_setting("n", number)
    assert len(me.undo_list()) == STEPS
    assert sum(me.undo() is not None for _ in range(STEPS + 5)) == STEPS
    assert me.settings() == {"n": 11}
    assert sum(me.redo() is not None for _ in range(STEPS + 5)) == STEPS
    assert me.settings() == {"n": STEPS + 11}


def test_undo_says_what_was_undone_in_both_languages(me: Learner) -> None:
    label = Text(ko="‘ReLU’ 평가", en="rating of “ReLU”")
    me.add_review("relu", 3, label=label)
    me.save_my_answer("relu", "ko", "내 답")
    assert [step.kind for step in me.undo_list()] == ["my_answer", "review"]
    first = me.undo()
    assert first.has("ko") and first.has("en")
    assert me.undo() == label
    assert me.undo() is None
    assert me.redo() == label


def test_something_new_forgets_what_was_undone(me: Learner) -> None:
    me.set_setting("a", 1)
    me.undo()
    me.set_setting("b", 2)
    assert me.redo() is None
    assert me.settings() == {"b": 2}


def test_undo_survives_a_restart(tmp_path: Path) -> None:
    with Store.open(tmp_path / "viva.db") as store:
        store.learner().add_review("relu", 3)
    with Store.open(tmp_path / "viva.db") as store:
        assert store.learner().undo() is not None
    with Store.open(tmp_path / "viva.db") as store:
        assert store.learner().cards() == {}
        assert store.learner().redo() is not None
        assert list(store.learner().cards()) == ["relu"]


def test_the_order_of_steps_survives_a_clock_set_back(me: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    me.set_setting("a", 1)
    monkeypatch.setattr("viva.store.clock.now", lambda: NOON - timedelta(days=9000))
    me.set_setting("a", 2)
    me.undo()
    assert me.settings() == {"a": 1}


def test_a_step_outside_the_database_is_refused_where_nobody_can_undo_it(me: Learner) -> None:
    me.record_action("edit-question", Text(ko="질문 고치기", en="change of a question"), {"file": "x"})
    with pytest.raises(StoreError, match="change of a question") as caught:
        me.undo()
    assert "질문 고치기" in caught.value.get("ko")
    assert [step.state for step in me.undo_list()] == ["done"]


def test_a_handler_that_fails_leaves_the_step_as_it_was(tmp_path: Path) -> None:
    def fail(payload: object, direction: str) -> None:
        raise OSError("the file is gone")

    with Store.open(tmp_path / "viva.db") as store:
        me = store.learner()
        store.undo_handlers["edit"] = fail
        me.record_action("edit", Text(ko="고치기", en="edit"), {})
        with pytest.raises(OSError, match="gone"):
            me.undo()
        assert [step.state for step in me.undo_list()] == ["done"]
        me.set_setting("still", "writable")


def test_the_payload_reaches_the_handler_as_it_was_recorded(tmp_path: Path) -> None:
    calls: list[tuple[object, str]] = []
    with Store.open(tmp_path / "viva.db") as store:
        me = store.learner()
        store.undo_handlers["edit"] = lambda payload, direction: calls.append((payload, direction))
        me.record_action("edit", Text(ko="고치기", en="edit"), {"before": "가", "after": ["나", 1]})
        me.undo()
        me.redo()
    payload = {"before": "가", "after": ["나", 1]}
    assert calls == [(payload, "undo"), (payload, "redo")]
