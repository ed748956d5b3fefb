"""Backups, restoring, older and newer databases, and files that are no database: each ends whole or in one sentence."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from viva.store import Backup, DamagedError, Store, StoreError, backups, check_store, migrate, tables
from viva.store.database import Database

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "viva.db"


@pytest.fixture
def store(path: Path):
    with Store.open(path) as opened:
        me = opened.learner()
        me.add_attempt(id="first", question="relu", language="ko", text="처음")
        me.add_review("relu", 3, "first")
        yield opened


def sentence(error: StoreError) -> None:
    """One sentence in each language, that ends like one."""
    for language in ("ko", "en"):
        text = error.get(language)
        assert text.endswith(".") and "\n" not in text, text


def rows_of(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM attempts ORDER BY id")]


# Making them


def test_a_backup_is_one_whole_private_file(store: Store) -> None:
    made = store.backup()
    assert rows_of(made) == ["first"]
    assert sorted(path.name for path in made.parent.iterdir()) == [made.name]
    assert made.stat().st_mode & 0o077 == 0
    (listed,) = store.list_backups()
    assert (listed.path, listed.kind, listed.size) == (made, "manual", made.stat().st_size)


def test_a_backup_goes_where_it_is_told_and_overwrites_nothing(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "away" / "copy.db"
    assert store.backup(target) == target
    before = target.read_bytes()
    with pytest.raises(StoreError, match=r"copy\.db exists already") as caught:
        store.backup(target)
    sentence(caught.value)
    assert target.read_bytes() == before


def test_a_backup_made_while_others_write_is_whole(store: Store, tmp_path: Path) -> None:
    me = store.learner()
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE learners SET name = 'half-way'")
        made = store.backup(tmp_path / "copy.db")
    with closing(sqlite3.connect(made)) as connection:
        assert connection.execute("SELECT name FROM learners").fetchall() == [("me",)]
    assert me.attempt("first") is not None


def test_an_automatic_backup_is_made_when_one_is_due(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = store.maybe_backup()
    assert made is not None
    assert store.maybe_backup() is None
    later = datetime.now(UTC) + timedelta(days=1)
    monkeypatch.setattr(backups, "now", lambda: later)
    assert store.maybe_backup() is not None
    monkeypatch.setattr(
        backups, "now", lambda: later - timedelta(days=900)
    )  # a clock set back does not stop them
    assert store.maybe_backup() is not None


def at_noon(day: int, folder: Path = Path("x")) -> Backup:
    moment = NOON - timedelta(days=day)
    return Backup(folder / f"viva-{moment:%Y%m%dT%H%M%S%f}Z-auto.db", moment, "auto", 1)


def test_rotation_keeps_seven_days_four_weeks_and_twelve_months() -> None:
    kept = backups.to_keep([at_noon(day) for day in range(500)])
    ages = [day for day in range(500) if at_noon(day).path in kept]
    assert ages[:7] == list(range(7)), "the newest of each of the last seven days"
    assert len({at_noon(day).at.strftime("%G-%V") for day in ages if day < 29}) >= 4
    assert len({at_noon(day).at.strftime("%Y-%m") for day in ages}) == 12
    assert len(ages) <= 7 + 4 + 12


def test_rotation_deletes_only_what_it_may(store: Store) -> None:
    place = backups.folder(store.database)
    place.mkdir()
    for day in range(40):
        at_noon(day, place).path.write_bytes(b"x")
    asked = store.backup()
    stranger = place / "notes.txt"
    stranger.write_text("mine")
    backups.thin_out(store.database)
    left = {backup.path for backup in store.list_backups()}
    assert left == backups.to_keep([at_noon(day, place) for day in range(40)]) | {asked}
    assert stranger.exists()


def test_a_backup_killed_half_way_never_has_a_backup_s_name(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("viva.store.sqlite.verify", killed)
    with pytest.raises(KeyboardInterrupt):
        store.backup()
    assert store.list_backups() == []


# Bringing one back


def test_restoring_brings_everything_back_and_keeps_what_was_there(store: Store) -> None:
    me = store.learner()
    saved, before = store.backup(), me.export_rows()
    cards = me.cards()
    me.add_attempt(id="second", question="gelu", language="ko", text="나중")
    me.undo()
    aside = store.restore(saved)
    assert me.export_rows() == before and me.cards() == cards
    assert aside is not None and rows_of(aside) == ["first", "second"]
    assert check_store(store) == []
    me.add_attempt(id="third", question="relu", language="ko", text="계속")
    store.restore(aside)
    assert me.attempt("second") is not None and me.attempt("third") is None


def test_other_open_connections_go_on_with_the_restored_data(store: Store, path: Path) -> None:
    saved = store.backup()
    with Store.open(path) as other:
        other.learner().add_attempt(id="second", question="relu", language="ko", text="나중")
        store.restore(saved)
        assert [attempt.id for attempt in other.learner().attempts_of("relu")] == ["first"]
        other.learner().add_attempt(id="third", question="relu", language="ko", text="계속")
    assert store.learner().attempt("third") is not None
    assert check_store(store) == []


def test_restoring_over_a_damaged_database_keeps_the_damaged_file(store: Store, path: Path) -> None:
    saved = store.backup()
    store.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    path.write_bytes(b"this is no database at all, " * 1000)
    with pytest.raises(DamagedError) as caught:
        Store.open(path)
    sentence(caught.value)
    aside = backups.restore(Database(path), saved)
    assert aside is not None and aside.read_bytes().startswith(b"this is no database")
    with Store.open(path) as opened:
        assert opened.learner().attempt("first") is not None
        assert check_store(opened) == []


def test_restoring_into_an_empty_home_works(store: Store, tmp_path: Path) -> None:
    saved = store.backup(tmp_path / "copy.db")
    fresh = tmp_path / "new" / "viva.db"
    assert backups.restore(Database(fresh), saved) is None
    with Store.open(fresh) as opened:
        assert opened.learner().attempt("first") is not None


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = slice(4096 * 2, len(content) - 4096)
    content[middle] = bytes(255 - byte for byte in content[middle])
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def another_program_s(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")


def another_program_s_with_alembic(path: Path) -> None:
    another_program_s(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'viva_9999'")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("질문 70개\n" * 1000, encoding="utf-8")


BAD = [damaged, cut_off, another_program_s, another_program_s_with_alembic, newer, text]


@pytest.mark.parametrize("spoil", [*BAD, empty, Path.unlink], ids=lambda spoil: spoil.__name__)
def test_a_bad_file_is_not_restored_and_nothing_changes(store: Store, tmp_path: Path, spoil) -> None:
    me = store.learner()
    bad = store.backup(tmp_path / "bad.db")
    spoil(bad)
    before = me.export_rows()
    with pytest.raises(StoreError, match=r"bad\.db") as caught:
        store.restore(bad)
    sentence(caught.value)
    assert "/backups/" not in str(caught.value), "the sentence names the person's file, not a working copy"
    assert me.export_rows() == before
    assert store.list_backups() == [] and list(backups.folder(store.database).glob("*")) == []


@pytest.mark.parametrize(
    "spoil",
    [another_program_s, another_program_s_with_alembic, newer, text],
    ids=lambda spoil: spoil.__name__,
)
def test_a_file_that_cannot_be_used_is_refused_and_left_alone(tmp_path: Path, spoil) -> None:
    path = tmp_path / "viva.db"
    Store.open(path).close()
    spoil(path)
    before = path.read_bytes() if spoil is text else None
    with pytest.raises(StoreError, match=r"viva\.db") as caught:
        Store.open(path)
    sentence(caught.value)
    assert before is None or path.read_bytes() == before
    assert not (tmp_path / "backups").exists()


def test_a_newer_database_is_refused_with_one_sentence(path: Path) -> None:
    Store.open(path).close()
    newer(path)
    with pytest.raises(StoreError, match="newer version of Viva") as caught:
        Store.open(path)
    assert "더 새로운 버전" in caught.value.get("ko")


def test_a_damaged_database_is_said_so_at_the_first_use(path: Path) -> None:
    with Store.open(path) as store:
        me = store.learner()
        for number in range(50):
            me.add_attempt(id=f"a-{number}", question="relu", language="ko", text="긴 답 " * 500)
        with store.database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    damaged(path)
    with pytest.raises(DamagedError, match="viva restore"):
        Store.open(path).learner().attempts_of("relu")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is where even root cannot write")
def test_a_folder_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("/proc/viva", "/proc/sys/kernel"):
        monkeypatch.setenv("VIVA_HOME", place)
        with pytest.raises(StoreError, match=place) as caught:
            Store.open()
        sentence(caught.value)


def test_a_folder_in_the_place_of_the_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "viva.db").mkdir()
    with pytest.raises(StoreError, match=r"viva\.db") as caught:
        Store.open(tmp_path / "viva.db")
    sentence(caught.value)


def test_a_read_only_database_is_said_so(store: Store) -> None:
    from sqlalchemy import event

    @event.listens_for(store.database.engine, "checkout")
    def read_only(raw: sqlite3.Connection, *_: object) -> None:
        raw.execute("PRAGMA query_only = ON")

    with pytest.raises(StoreError, match="cannot be opened for writing") as caught:
        store.learner().set_setting("a", 1)
    assert "권한" in caught.value.get("ko")


def test_a_database_of_another_kind_is_refused() -> None:
    with pytest.raises(StoreError, match="mysql") as caught:
        Store.open("mysql://localhost/viva")
    sentence(caught.value)


# The schema's history


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(migrate.SCRIPTS))
    return ScriptDirectory.from_config(config)


def test_the_list_of_revisions_is_the_history_on_disk() -> None:
    history = [script.revision for script in scripts().walk_revisions()]
    assert tuple(reversed(history)) == tables.REVISIONS


def test_migrations_lead_to_the_tables_as_they_are_described(store: Store) -> None:
    with store.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A version of Viva whose schema is one revision on; called with the body of its upgrade."""

    def install(body: str) -> None:
        copy = tmp_path / "migrations"
        shutil.copytree(migrate.SCRIPTS, copy, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / "versions" / "viva_0003.py").write_text(
            "import sqlalchemy as sa\nfrom alembic import op\n"
            f"revision = 'viva_0003'\ndown_revision = {tables.REVISIONS[-1]!r}\n\n\ndef upgrade():\n    {body}\n"
        )
        monkeypatch.setattr(migrate, "SCRIPTS", copy)
        monkeypatch.setattr(tables, "REVISIONS", (*tables.REVISIONS, "viva_0003"))

    return install


def test_an_older_database_is_backed_up_and_brought_up_to_date(
    store: Store, path: Path, next_version
) -> None:
    before = store.learner().export_rows()
    store.close()
    next_version("op.add_column('learners', sa.Column('motto', sa.Text))")
    with Store.open(path) as opened:
        assert opened.learner().export_rows() == before
        assert migrate.version(opened.database) == "viva_0003"
        (kept,) = opened.list_backups()
        assert kept.kind == "before-update" and rows_of(kept.path) == ["first"]
        opened.restore(kept.path)  # an older backup is brought up to date on its way in
        assert migrate.version(opened.database) == "viva_0003"
        assert opened.learner().export_rows() == before


def test_an_update_that_fails_leaves_the_database_as_it_was(store: Store, path: Path, next_version) -> None:
    before = store.learner().export_rows()
    store.close()
    next_version("op.add_column('learners', sa.Column('motto', sa.Text)); op.execute('DELETE FROM attempts')")
    with pytest.raises(StoreError, match="is unchanged") as caught:
        Store.open(path)
    sentence(caught.value)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("viva_0002",)]
        assert "motto" not in str(connection.execute("PRAGMA table_info(learners)").fetchall())
    assert rows_of(path) == ["first"] and before["attempts"]


def test_an_update_that_breaks_a_reference_is_not_kept(store: Store, path: Path, next_version) -> None:
    store.close()
    next_version("op.execute('DELETE FROM learners')")
    with pytest.raises(StoreError, match="reference would break"):
        Store.open(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM learners").fetchone() == (1,)
