"""How fast the app answers: `python benchmarks/app.py [--quick] [--skip-large]`.

Prints start-up times, latency (p50, p99, in milliseconds) and throughput of pages and grading with 16 and 200 learners at once,
memory, and the same for a bank of 10,000 questions with 1,000,000 reviews. Server and load share this machine's cores; the load
generator is a process of its own that speaks plain HTTP/1.1 over kept-alive connections.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import random
import re
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

ANSWER = "시그모이드는 기울기가 아무리 커도 0.25라서 층이 깊어지면 신호가 줄어듭니다. ReLU는 양수에서 기울기가 1이라 신호가 유지되고 계산도 간단합니다. He 초기화가 짝입니다."
QUESTIONS = ("relu-vs-sigmoid", "softmax", "resnet", "dropout", "clip", "detr")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="a tenth of the requests, a small large bank")
    options.add_argument("--skip-large", action="store_true", help="leave out the large bank")
    chosen = options.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, load {os.getloadavg()[0]:.1f}")
    print(f"`viva --help`: {help_time():.3f} s (median of 7)")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        first, _ = start_up(home)
        again = statistics.median(start_up(home)[0] for _ in range(3))
        print(f"start to first question: {first:.2f} s with an empty folder, {again:.2f} s after that (median of 3)")
        choose_language(home)
        measure(home, "70 questions", rounds=4 if chosen.quick else 25)
    if not chosen.skip_large:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder) / "home"
            questions, reviews = (1_000, 20_000) if chosen.quick else (10_000, 1_000_000)
            build_large(home, questions, reviews)
            queue_times(home)
            seconds, _ = start_up(home)
            print(f"start to first question: {seconds:.2f} s")
            measure(home, f"{questions:,} questions, {reviews:,} reviews", rounds=2 if chosen.quick else 6)


def help_time() -> float:
    viva = shutil.which("viva", path=str(Path(sys.executable).parent)) or "viva"
    return statistics.median(timed(lambda: subprocess.run([viva, "--help"], stdout=subprocess.DEVNULL, check=True)) for _ in range(7))


def timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


class Server:
    """`viva serve` on a free port."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        environment = {**os.environ, "VIVA_HOME": str(home), "VIVA_NO_BROWSER": "1"}
        self.process = subprocess.Popen([sys.executable, "-m", "viva", "serve", "--port", str(self.port)], env=environment, stdout=subprocess.DEVNULL)

    def wait(self, path: str) -> bytes:
        for _ in range(6000):
            try:
                return self.get(path)
            except OSError:
                time.sleep(0.01)
        raise RuntimeError("the server did not answer within a minute")

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return bytes(answer.read())

    def memory(self) -> float:
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def start_up(home: Path) -> tuple[float, float]:
    """Seconds from starting the command to the text of a question, and memory in MiB."""
    begun = time.perf_counter()
    server = Server(home)
    server.wait("/questions/softmax")
    seconds = time.perf_counter() - begun
    memory = server.memory()
    server.stop()
    return seconds, memory


def choose_language(home: Path) -> None:
    from viva.store import Store

    with Store.open(home / "viva.db") as store:
        store.learner().set_setting("language", "ko")


def measure(home: Path, what: str, rounds: int) -> None:
    server = Server(home)
    server.wait("/health")
    time.sleep(6)  # the Korean analyser loads in the background
    print(f"\n{what}; memory when ready {server.memory():.0f} MiB")
    print(f"{'learners':>8} {'request':<16} {'n':>6} {'p50 ms':>8} {'p99 ms':>8}   throughput")
    for learners in (16, 200):
        repeat = rounds if learners == 16 else max(1, rounds // 8)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            times, seconds = pool.apply(load, (server.port, learners, repeat))
        total = sum(map(len, times.values()))
        for name, values in times.items():
            values.sort()
            print(f"{learners:>8} {name:<16} {len(values):>6} {1000 * values[len(values) // 2]:>8.1f} {1000 * values[int(len(values) * 0.99)]:>8.1f}")
        print(f"{learners:>8} {'all':<16} {total:>6} {'':>17}   {total / seconds:.0f} requests/s")
    print(f"memory afterwards {server.memory():.0f} MiB")
    server.stop()


def load(port: int, learners: int, rounds: int) -> tuple[dict[str, list[float]], float]:
    times: dict[str, list[float]] = defaultdict(list)

    async def everyone() -> None:
        await asyncio.gather(*(learner(port, rounds, times, random.Random(number)) for number in range(learners)))

    begun = time.perf_counter()
    asyncio.run(everyone())
    return dict(times), time.perf_counter() - begun


async def learner(port: int, rounds: int, times: dict[str, list[float]], dice: random.Random) -> None:
    """Opens the practice page, looks at a question, has an answer graded, hands it in, reads the reveal, rates it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    cookie = ""

    async def ask(name: str, method: str, path: str, body: dict[str, Any] | None = None, token: str = "") -> bytes:
        nonlocal cookie
        payload = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(payload)}\r\nAccept: */*\r\n"
        if payload:
            head += f"Content-Type: application/json\r\nX-CSRF-Token: {token}\r\nOrigin: http://127.0.0.1:{port}\r\n"
        begun = time.perf_counter()
        writer.write((head + (f"Cookie: {cookie}\r\n" if cookie else "") + "\r\n").encode() + payload)
        header = (await reader.readuntil(b"\r\n\r\n")).decode()
        answer = await reader.readexactly(int(re.search(r"content-length: (\d+)", header)[1]))  # type: ignore[index]
        times[name].append(time.perf_counter() - begun)
        if (fresh := re.search(r"set-cookie: ([^;]+)", header)) is not None:
            cookie = fresh[1]
        if not 200 <= int(header.split()[1]) < 400:
            raise RuntimeError(f"{method} {path}: {header.split()[1]} {answer[:200]!r}")
        return answer

    token = json.loads(await ask("token", "GET", "/api/token"))["csrf"]
    times.pop("token", None)
    for _ in range(rounds):
        question = dice.choice(QUESTIONS)
        await ask("practice page", "GET", "/practice")
        await ask("question page", "GET", f"/questions/{question}")
        await ask("grade", "POST", "/api/grade", {"question": question, "answer": ANSWER, "language": "ko"}, token)
        attempt = str(uuid.UUID(int=dice.getrandbits(128), version=4))
        await ask("hand in", "POST", "/api/attempts", {"attempt": attempt, "question": question, "text": ANSWER, "seconds": 60}, token)
        await ask("reveal page", "GET", f"/attempts/{attempt}")
        await ask("rate", "POST", f"/api/attempts/{attempt}/rating", {"value": dice.choice((1, 2, 3, 4))}, token)
    writer.close()


def build_large(home: Path, questions: int, reviews: int) -> None:
    """A pack of ``questions`` in 50 topics and ``reviews`` reviews over two years, written straight into the files."""
    from viva.bank import Cues, Point, Question, Topic
    from viva.exchange import write_pack
    from viva.language import Text
    from viva.store import Store, check_store

    begun = time.perf_counter()
    dice = random.Random(1)
    topics = tuple(Topic(id=f"topic-{n}", title=Text(ko=f"주제 {n}", en=f"Topic {n}")) for n in range(50))
    entries = [
        Question(
            id=f"q{n:05d}", seed=n + 1, topic=f"topic-{n % 50}", pack="large", question=Text(ko=f"{n}번째 방법은 왜 학습을 안정시키나요?", en=f"Why does method {n} stabilise training?"),
            points=tuple(Point(id=f"p{k}", text=Text(ko=f"분산을 {k}배로 줄인다", en=f"It divides the variance by {k}"), cues=Cues(ko=(f"분산 + {k}배 + 줄이",), en=(f"variance + divides + {k}",))) for k in range(1, 5)),
            answer=Text(ko=f"방법 {n}은 분산을 줄여 학습을 안정시킵니다.", en=f"Method {n} reduces the variance, which stabilises training."),
        )
        for n in range(questions)
    ]
    write_pack(home / "packs" / "large", Text(ko="큰 팩", en="Large pack"), topics, entries)
    with Store.open(home / "viva.db") as store:
        learner = store.learner()
        learner.set_setting("language", "ko")
        learner.set_setting("interview", (datetime.now(UTC) + timedelta(days=60)).date().isoformat())
        learner.add_review("large.q00000", 3, at=datetime.now(UTC) - timedelta(days=800))
        with sqlite3.connect(home / "viva.db") as raw:
            columns = [row[1] for row in raw.execute("PRAGMA table_info(reviews)")]
            template = dict(zip(columns, raw.execute("SELECT * FROM reviews").fetchone(), strict=True))
            at = datetime.fromisoformat(template["at"]) if isinstance(template["at"], str) else None
            rows = []
            for number in range(reviews - 1):
                moment = (at or datetime.now(UTC)) + timedelta(seconds=60 + number * 799 * 86_400 / reviews)
                rating = dice.choices((1, 2, 3, 4), (1, 1, 6, 2))[0]
                text = moment.strftime(_format_of(template["at"]))
                rows.append(tuple({**template, "id": str(uuid.UUID(int=dice.getrandbits(128), version=4)), "question": f"large.q{number % questions:05d}", "rating": rating, "at": text}[name] for name in columns))
            raw.executemany(f"INSERT INTO reviews ({','.join(columns)}) VALUES ({','.join('?' * len(columns))})", rows)
        print(f"\nlarge bank written in {time.perf_counter() - begun:.0f} s; ", end="", flush=True)
        begun = time.perf_counter()
        check_store(store, repair=True)
        print(f"all cards rebuilt from {reviews:,} reviews and everything checked in {time.perf_counter() - begun:.0f} s")


def _format_of(stored: str) -> str:
    """The strftime format of a stored moment, so that rows written here sort among those of the store."""
    date_and_time = "%Y-%m-%d" + ("T" if "T" in stored else " ") + "%H:%M:%S"
    date_and_time += ".%f" if "." in stored else ""
    return date_and_time + ("Z" if stored.endswith("Z") else "+00:00" if stored.endswith("+00:00") else "")


def queue_times(home: Path) -> None:
    from viva.bank import load_bank
    from viva.store import Store
    from viva.study.queue import build_queue
    from viva.web import desk

    begun = time.perf_counter()
    bank, _ = load_bank([home / "packs" / "large"], cache=home / "cache")
    print(f"bank read from Markdown in {time.perf_counter() - begun:.1f} s", end="")
    begun = time.perf_counter()
    bank, _ = load_bank([home / "packs" / "large"], cache=home / "cache")
    print(f", again in {time.perf_counter() - begun:.2f} s")
    with Store.open(home / "viva.db") as store:
        learner = store.learner()
        items, settings, now = desk.queue_items(bank), desk.study_settings(learner), datetime.now(UTC)
        for mode in ("due", "weak", "shuffled", "exam"):
            cards = [timed(learner.cards) for _ in range(9)]
            kept = learner.cards()
            queue = [timed(lambda mode=mode, kept=kept: build_queue(mode, items, kept, now, settings, limit=20 if mode == "exam" else None)) for _ in range(9)]
            print(f"queue '{mode}': cards read {1000 * statistics.median(cards):.1f} ms + built {1000 * statistics.median(queue):.1f} ms (medians of 9)")


if __name__ == "__main__":
    main()
