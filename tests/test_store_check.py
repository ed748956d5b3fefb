"""The integrity check finds what is wrong, names it, and repairs only cards and only when asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from viva.store import Learner, Store, check_store
from viva.store.triggers import append_only, trigger_names

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path / "viva.db") as opened:
        me = opened.learner()
        me.add_attempt(id="a-1", question="relu", language="ko", text="답", grade={"score": 0.5, "rating": 2})
        me.add_review("relu", 3, "a-1", at=NOON)
        me.add_review("gelu", 3, at=NOON + timedelta(days=1))
        me.add_review("gelu", 1, at=NOON + timedelta(days=9))
        yield opened


@pytest.fixture
def me(store: Store) -> Learner:
    return store.learner()


def spoil(store: Store, *statements: str, table: str | None = None) -> None:
    """Does what Viva never does: writes past the rules, with the triggers of ``table`` away for a moment."""
    with store.database.write(foreign_keys=True) as connection:
        for name in trigger_names(table) if table else ():
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.exec_driver_sql(statement)
        for statement in append_only(table, "sqlite") if table else ():
            connection.exec_driver_sql(statement)


def found(store: Store) -> list[tuple[str, str]]:
    findings = check_store(store)
    assert all(
        finding.text.has("ko") and finding.text.has("en") and not finding.repaired for finding in findings
    )
    return [(finding.kind, finding.text.get("en")) for finding in findings]


def test_a_healthy_database_has_no_findings(store: Store) -> None:
    assert check_store(store) == []
    assert check_store(store, repair=True) == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE cards SET stability = stability + 1 WHERE question = 'gelu'", "stability is"),
        ("UPDATE cards SET due = '2030-01-01T00:00:00.000000+00:00' WHERE question = 'gelu'", "due is 2030"),
        ("DELETE FROM cards WHERE question = 'gelu'", "it is missing"),
        ("UPDATE cards SET question = 'swish' WHERE question = 'gelu'", "it has no reviews"),
    ],
)
def test_a_card_that_its_reviews_do_not_lead_to_is_reported_and_repaired_when_asked(
    store: Store, me: Learner, statement: str, said: str
) -> None:
    right = me.cards()
    spoil(store, statement)
    wrong = me.cards()
    findings = found(store)
    assert {kind for kind, _ in findings} == {"card"}
    assert any(said in text for _, text in findings), findings
    assert me.cards() == wrong, "looking repairs nothing"
    repaired = check_store(store, repair=True)
    assert [finding.text.get("en") for finding in repaired] == [text for _, text in findings]
    assert all(finding.repaired for finding in repaired)
    assert me.cards() == right
    assert check_store(store) == []


def test_a_missing_trigger_is_named(store: Store) -> None:
    spoil(store, "DROP TRIGGER reviews_no_delete")
    ((kind, text),) = found(store)
    assert kind == "trigger" and "reviews_no_delete" in text
    assert not check_store(store, repair=True)[0].repaired


@pytest.mark.parametrize(
    ("table", "statement", "kind", "said"),
    [
        ("grades", "UPDATE grades SET points = '[{'", "json", "points"),
        ("attempts", "UPDATE attempts SET ink = 'strokes'", "json", "a-1"),
        (
            "retractions",
            "INSERT INTO retractions SELECT 'r', id, 'reviews', 'gone', created_at, 0 FROM learners",
            "reference",
            "gone",
        ),
        (
            "retractions",
            "INSERT INTO retractions SELECT 'r', id, 'dreams', 'x', created_at, 0 FROM learners",
            "reference",
            "dreams",
        ),
        (
            "reviews",
            "UPDATE reviews SET attempt = 'a-1' WHERE question = 'gelu' AND rating = 1",
            "reference",
            "a-1",
        ),
        ("actions", "UPDATE alembic_version SET version_num = 'viva_0000'", "version", "viva_0000"),
    ],
)
def test_what_does_not_hold_together_is_named(
    store: Store, table: str, statement: str, kind: str, said: str
) -> None:
    spoil(store, statement, table=table if table != "actions" else None)
    findings = found(store)
    assert [(finding_kind, said in text) for finding_kind, text in findings] == [(kind, True)], findings


def test_a_reference_to_nothing_is_named(store: Store) -> None:
    with store.database.engine.connect() as connection:
        raw = connection.connection.driver_connection
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute(
            "INSERT INTO grades SELECT 'g', 'nowhere', created_at, grader, score, rating, copied, points, misconceptions FROM grades"
        )
        raw.execute("PRAGMA foreign_keys = ON")
    findings = found(store)
    assert [kind for kind, _ in findings] == ["reference"] and "attempts" in findings[0][1]


def test_a_damaged_page_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "viva.db"
    with Store.open(path) as store:
        me = store.learner()
        for number in range(60):
            me.save_my_answer(f"q{number}", "ko", "긴 답 " * 300)
        with store.database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            root = connection.exec_driver_sql(
                "SELECT rootpage FROM sqlite_master WHERE name LIKE 'ix_my_answers%'"
            ).scalar()
    content = bytearray(path.read_bytes())
    content[(root - 1) * 4096 + 8 : (root - 1) * 4096 + 200] = bytes(
        192
    )  # the index's root, so that every row is still read
    path.write_bytes(content)
    with Store.open(path) as store:
        findings = check_store(store)
        assert findings and {finding.kind for finding in findings} == {"file"}
