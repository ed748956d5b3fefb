"""Killed at any moment, and used by many at once, the store loses nothing that it confirmed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from viva.store import Store, StoreError, check_store, sqlite
from viva.study.schedule import rebuild

WRITER = """
import sys
from viva.store import Store
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = Store.open(path)
me = store.learner()
print("ready", flush=True)
for number in range(count):
    id = f"{name}-{number}"
    grade = {"score": 0.5, "rating": 3, "points": [{"id": "p", "status": "made"}]}
    me.add_attempt(id=id, question=f"q{number % 5}", language="ko", text="답 " * 200, grade=grade)
    print("answer", id, flush=True)
    me.add_review(f"q{number % 5}", 1 + number % 4, id)
    print("rating", id, flush=True)
    if number % 7 == 6:
        me.undo()
        print("undone", id, flush=True)
print("end", flush=True)
"""


def writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def confirmed(output: str) -> list[tuple[str, str]]:
    whole = output[: output.rfind("\n") + 1]  # a line cut short was not read by anybody
    return [(kind, id) for kind, _, id in (line.partition(" ") for line in whole.splitlines()) if id]


def assert_everything_is_there(store: Store, rounds: list[list[tuple[str, str]]]) -> None:
    me = store.learner()
    for said in rounds:
        for kind, id in said:
            attempt = me.attempt(id)
            assert attempt is not None and attempt.grade is not None, f"{id} was confirmed and is lost"
            # What came after the last word of a killed process may have happened or not: here, the undo of a rating.
            if kind == "rating" and ("undone", id) not in said and (kind, id) != said[-1]:
                assert me.review_of(id) is not None, f"the rating of {id} was confirmed and is lost"
            if kind == "undone":
                assert me.review_of(id) is None, f"the undo of {id} was confirmed and is lost"
    assert check_store(store) == []


@pytest.mark.slow
def test_a_killed_process_loses_no_confirmed_answer(tmp_path: Path) -> None:
    path, rounds, chance = tmp_path / "viva.db", [], random.Random(7)
    for round in range(15):
        child = writer(path, f"r{round}", 100_000)
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(1 + chance.randrange(30))]
        time.sleep(chance.uniform(0.0, 0.02))  # somewhere between two words, mostly in the middle of a write
        child.send_signal(signal.SIGKILL)
        output = "".join(lines) + child.stdout.read()
        child.wait()
        child.stdout.close()
        rounds.append(confirmed(output))
        with Store.open(path) as store:
            assert_everything_is_there(store, rounds[-1:])
    assert sum(map(len, rounds)) > 100, "the children wrote too little to prove anything"
    with Store.open(path) as store:
        assert_everything_is_there(store, rounds)


@pytest.mark.slow
def test_a_process_killed_while_it_makes_the_database_leaves_one_that_opens(tmp_path: Path) -> None:
    chance = random.Random(11)
    for round in range(12):
        path = tmp_path / str(round) / "viva.db"
        child = writer(path, "r", 1)
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(chance.uniform(0.0, 0.08))
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert child.stdout is not None
        child.stdout.close()
        with Store.open(path) as store:
            store.learner().set_setting("a", 1)
            assert check_store(store) == []


def test_two_processes_and_many_threads_write_at_once(tmp_path: Path) -> None:
    path, threads, each = tmp_path / "viva.db", 8, 12
    children = [writer(path, f"p{number}", 20) for number in range(2)]  # they make the database together, too
    with Store.open(path) as store:
        me = store.learner()

        def work(thread: int) -> None:
            for number in range(each):
                id = f"t{thread}-{number}"
                me.add_attempt(id=id, question=f"q{number % 5}", language="en", text="answer")
                me.add_review(f"q{number % 5}", 1 + thread % 4, id)
                me.cards()

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
        for child in children:
            output, _ = child.communicate(timeout=60)
            assert child.returncode == 0 and output.endswith("end\n")
        assert sum(me.attempt_counts().values()) == threads * each + 2 * 20
        # Undo takes back the newest step of whoever made it, so how many ratings are left is certain and which is not.
        assert len(me.reviews()) == threads * each + 2 * (20 - 2)
        assert me.cards() == rebuild(me.reviews())
        assert check_store(store) == []


def test_two_tabs_that_send_the_same_answer_store_it_once(tmp_path: Path) -> None:
    with Store.open(tmp_path / "viva.db") as store:
        me = store.learner()
        barrier = threading.Barrier(6)

        def send(_: int) -> str:
            barrier.wait()
            attempt = me.add_attempt(
                id="same", question="relu", language="ko", text="답", grade={"score": 1.0, "rating": 4}
            )
            return me.add_review("relu", 3, attempt.id)[0].id

        with ThreadPoolExecutor(6) as pool:
            reviews = set(pool.map(send, range(6)))
        assert len(reviews) == 1, "one answer has one rating"
        assert len(me.attempts_of("relu")) == 1
        assert len(me.export_rows()["grades"]) == len(me.export_rows()["reviews"]) == 1


def test_two_tabs_that_rate_differently_leave_one_rating(tmp_path: Path) -> None:
    with Store.open(tmp_path / "viva.db") as store:
        me = store.learner()
        me.add_attempt(id="a", question="relu", language="ko", text="답")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda rating: me.add_review("relu", rating, "a"), [1, 2, 3, 4]))
        assert len(me.reviews()) == 1
        assert me.cards() == rebuild(me.reviews())


def test_reading_goes_on_while_somebody_writes(tmp_path: Path) -> None:
    with Store.open(tmp_path / "viva.db") as store:
        me = store.learner()
        me.set_setting("a", 1)
        with store.database.write() as connection:
            connection.exec_driver_sql("UPDATE settings SET value = '2'")
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(me.settings).result(timeout=5) == {"a": 1}
        assert me.settings() == {"a": 2}


def test_a_database_locked_by_another_program_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    path = tmp_path / "viva.db"
    Store.open(path).close()
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    with Store.open(path) as store:
        me = store.learner()
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked") as caught:
            me.set_setting("a", 1)
        assert "다른 프로그램" in caught.value.get("ko")
        other.execute("ROLLBACK")
        me.set_setting("a", 1)
        assert me.settings() == {"a": 1}
    other.close()


def test_a_full_disk_is_said_so_and_loses_nothing(tmp_path: Path) -> None:
    from sqlalchemy import event

    path = tmp_path / "viva.db"
    with Store.open(path) as store:
        store.learner().add_attempt(id="kept", question="relu", language="ko", text="답")
    with Store.open(path) as store:
        me = store.learner()

        @event.listens_for(store.database.engine, "begin")
        def no_room(connection: object) -> None:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()  # type: ignore[attr-defined]
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # type: ignore[attr-defined]

        with pytest.raises(StoreError, match="disk is full") as caught:
            me.add_attempt(id="lost", question="relu", language="ko", text="답" * 100_000)
        assert "가득" in caught.value.get("ko")
        assert [attempt.id for attempt in me.attempts_of("relu")] == ["kept"]
        assert check_store(store) == []
