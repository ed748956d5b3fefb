"""Second opinions are kept beside the grades, in databases of earlier versions too, and a file cannot switch a judge on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from viva.grading import PointMark
from viva.grading.opinion import Opinion
from viva.store import Learner, Store, StoreError, check_store, migrate
from viva.store.database import Database
from viva.store.opinions import JUDGE

GRADE = {"score": 0.5, "rating": 2}
OPINION = Opinion("fake (here)", (PointMark("p", "made", "포화", 0, 2), PointMark("q", "missed")), (PointMark("q", "made", "없는 말", why="왜"),), 1.25)
MODEL = {"provider": "openai", "model": "m", "base_url": "http://localhost:1/v1", "on": True}


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path / "viva.db") as opened:
        opened.learner().add_attempt(id="a-1", question="relu", language="ko", text="포화", grade=GRADE)
        yield opened


@pytest.fixture
def me(store: Store) -> Learner:
    return store.learner()


def test_opinions_come_back_newest_first_and_leave_grade_and_undo_alone(store: Store, me: Learner) -> None:
    first = me.add_opinion("a-1", OPINION, 0.5)
    second = me.add_opinion("a-1", Opinion("other", ()), 0.0)
    assert me.opinions_of("a-1") == [second, first]
    assert first.opinion == OPINION
    assert me.current_grade("a-1").grade.score == 0.5  # type: ignore[union-attr]
    assert me.undo_list() == [] and check_store(store) == []


def test_opinions_are_their_learners_alone(store: Store, me: Learner) -> None:
    me.add_opinion("a-1", OPINION, 0.5)
    stranger = store.learner("stranger")
    assert stranger.opinions_of("a-1") == []
    with pytest.raises(StoreError, match="a-1"):
        stranger.add_opinion("a-1", OPINION, 0.5)


def test_a_judges_name_of_any_length_is_kept(me: Learner) -> None:
    me.add_opinion("a-1", Opinion("가" * 400, ()), 0.0)
    assert len(me.opinions_of("a-1")[0].opinion.judge) == 255


def test_the_check_names_a_missing_trigger_and_marks_that_cannot_be_read(store: Store, me: Learner) -> None:
    me.add_opinion("a-1", OPINION, 0.5)
    with store.database.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER opinions_no_update")
        connection.exec_driver_sql("UPDATE opinions SET points = '[{'")
    said = [finding.text.get("en") for finding in check_store(store)]
    assert any("opinions_no_update" in text for text in said) and any(text.startswith("opinions ") for text in said)


def test_a_database_of_the_first_version_gets_the_table_and_keeps_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    database = Database(path)
    with database.write(foreign_keys=False) as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(migrate.SCRIPTS))
        command.upgrade(config, "viva_0001")
    assert migrate.version(database) == "viva_0001"
    database.close()
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("INSERT INTO learners VALUES ('l', 'someone', '2026-01-01T00:00:00.000000+00:00')")
        raw.execute("INSERT INTO attempts VALUES ('a-1', 'l', NULL, 'relu', 'ko', 'text', '포화', NULL, 3.0, '2026-01-01T00:00:00.000000+00:00')")
    with Store.open(path) as store:
        assert migrate.version(store.database) == "viva_0002"
        assert store.learners() == ["someone"]
        with store.database.read() as connection:
            assert connection.exec_driver_sql("SELECT text FROM attempts").scalar() == "포화"
        assert [kept.kind for kept in store.list_backups()] == ["before-update"]
        assert check_store(store) == []


def test_an_export_from_before_there_were_opinions_can_be_imported(me: Learner, tmp_path: Path) -> None:
    rows = me.export_rows()
    del rows["opinions"]
    with Store.open(tmp_path / "other.db") as other:
        assert other.learner().import_rows(rows)["attempts"] == 1


def test_a_file_cannot_switch_a_judge_on(me: Learner, tmp_path: Path) -> None:
    me.set_setting(JUDGE, MODEL)
    me.set_setting("theme", "dark")
    rows = me.export_rows()
    with Store.open(tmp_path / "other.db") as other:
        there = other.learner()
        there.import_rows(rows)
        assert there.settings()[JUDGE] == {**MODEL, "on": False}
        while there.undo():
            assert there.settings().get(JUDGE, {}).get("on") is not True
        while there.redo():
            assert there.settings().get(JUDGE, {}).get("on") is not True
        there.set_setting(JUDGE, MODEL)
        there.import_rows(rows)
        assert there.settings()[JUDGE] == MODEL, "what the learner switched on here stays on"


@pytest.mark.parametrize("value", [None, "on", ["on"], True])
def test_a_judge_setting_of_another_shape_is_imported_as_none(value: object, me: Learner, tmp_path: Path) -> None:
    me.set_setting(JUDGE, value)
    with Store.open(tmp_path / "other.db") as other:
        there = other.learner()
        there.import_rows(me.export_rows())
        assert there.settings()[JUDGE] == {}
