"""The terminal: stable JSON, clear errors, and nothing heavy at start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # every test starts processes of its own

HEAVY = ("torch", "transformers", "fastapi", "sqlalchemy", "alembic", "kiwipiepy", "uvicorn", "pydantic")


def viva(*arguments: str, stdin: str | bytes = "", lang: str = "en", home: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "VIVA_LANG": lang, "PYTHONIOENCODING": "utf-8", "COLUMNS": "100"}
    if home is not None:
        environment["VIVA_HOME"] = str(home)
    raw = stdin.encode() if isinstance(stdin, str) else stdin
    ran = subprocess.run([sys.executable, "-m", "viva", *arguments], input=raw, capture_output=True, env=environment, timeout=120)
    return subprocess.CompletedProcess(ran.args, ran.returncode, ran.stdout.decode(), ran.stderr.decode())


def loaded(statement: str) -> set[str]:
    ran = subprocess.run([sys.executable, "-c", f"{statement}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in ran.stdout.split()}


def test_importing_viva_or_asking_for_help_loads_nothing_heavy() -> None:
    assert not loaded("import viva") & set(HEAVY)
    assert not loaded("from viva.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass") & set(HEAVY)


def test_nothing_that_practice_needs_loads_torch() -> None:
    names = loaded("import viva.web.app, viva.grading, viva.exchange, viva.store, viva.study.plan")
    assert not names & {"torch", "transformers"}


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_every_command_explains_itself_in_the_chosen_language(lang: str) -> None:
    whole = viva("--help", lang=lang).stdout
    for command in ("practice", "questions", "show", "grade", "import", "export", "backup", "restore", "check", "stats", "bank"):
        assert command in whole
        text = viva(command, "--help", lang=lang)
        assert text.returncode == 0
        assert any("가" <= letter <= "힣" for letter in text.stdout) == (lang == "ko"), text.stdout


def test_the_questions_as_json_have_the_documented_shape() -> None:
    questions = json.loads(viva("questions", "--json").stdout)
    assert [question["seed"] for question in questions] == list(range(1, 71))
    for question in questions:
        assert set(question) == {"id", "seed", "topic", "level", "question", "points", "claims", "follow_ups"}
        assert set(question["question"]) == {"ko", "en"}
        for point in question["points"]:
            assert set(point) == {"id", "weight", "text"} and set(point["text"]) == {"ko", "en"}
    one = json.loads(viva("questions", "--topic", "detection", "--json").stdout)
    assert {question["topic"] for question in one} == {"detection"}


def test_a_graded_answer_as_json_has_the_documented_shape(tmp_path: Path) -> None:
    answer = "ReLU는 양수에서 기울기가 1이라 신호가 유지됩니다."
    given = json.loads(viva("grade", "relu-vs-sigmoid", "--lang", "ko", "--json", stdin=answer).stdout)
    assert set(given) == {"score", "points", "misconceptions", "copied", "rating"}
    marks = {mark["id"]: mark for mark in given["points"]}
    assert marks["relu-slope"]["status"] == "made" and marks["relu-slope"]["quote"] in answer
    assert 0 <= given["score"] <= 1 and given["rating"] in (1, 2, 3, 4) and given["copied"] is False
    path = tmp_path / "answer.txt"
    path.write_text(answer, encoding="utf-8")
    assert json.loads(viva("grade", "relu-vs-sigmoid", str(path), "--lang", "ko", "--json").stdout) == given


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "relu-vs-sigmoi"], "relu-vs-sigmoid"),
        (["grade", "no-such-question"], "no question"),
        (["questions", "--topic", "cooking"], "detection"),
        (["grade", "softmax", "/no/such/file"], "/no/such/file"),
        (["import", "/no/such/list.md"], "/no/such/list.md"),
        (["restore", "/no/such/backup.db", "--yes"], "backup.db"),
        (["practice", "--topic", "cooking"], "cooking"),
    ],
)
def test_what_cannot_be_done_ends_in_a_sentence_and_an_exit_code(arguments: list[str], said: str) -> None:
    ran = viva(*arguments)
    assert ran.returncode != 0
    assert said in ran.stderr and "Traceback" not in ran.stderr
    assert len(ran.stderr.strip().splitlines()) <= 3


BROKEN = {
    "broken-bytes.csv": b"question,answer\nwhat is \xff\xff\x80?,x\n",
    "binary.md": b"\x00\x01\x02\x03PNG\x00" * 100,
    "empty.txt": b"",
    "blank.md": b"\n \n\t\n",
    "only-prose.txt": "오늘은 날씨가 좋다.\n그래서 산책을 했다.\n".encode(),
    "huge-line.txt": b"a" * 21_000_000,
    "broken.json": b'{"format": "viva-learner", ',
    "other.json": b'{"hello": "world"}',
    "newer.json": b'{"format": "viva-learner", "version": 99, "exported_at": "2026-01-01T00:00:00Z"}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_imported_is_named_and_nothing_is_kept(name: str, tmp_path: Path, home: Path) -> None:
    path = tmp_path / name
    path.write_bytes(BROKEN[name])
    ran = viva("import", str(path))
    assert ran.returncode != 0, ran.stdout
    assert "Traceback" not in ran.stderr and ran.stderr.strip()
    assert name in ran.stderr
    assert not [pack for pack in (home / "packs").glob("*") if not pack.name.startswith(".")] if (home / "packs").exists() else True


def test_a_list_is_imported_checked_and_graded_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.md"
    path.write_text("# 최적화\n\n## 경사 하강법이란?\n\n- 기울기의 반대 방향으로 가중치를 조금씩 옮긴다.\n- 학습률이 너무 크면 발산한다.\n", encoding="utf-8")
    report = json.loads(viva("import", "--dry-run", "--json", str(path)).stdout)
    assert (report["questions"], report["answers"], report["warnings"]) == (1, 1, [])
    assert "mine" not in viva("questions").stdout
    assert viva("import", str(path)).returncode == 0
    assert viva("bank", "check").returncode == 0
    given = json.loads(viva("grade", "mine.q001", "--json", "--lang", "ko", stdin="학습률이 너무 크면 발산해요").stdout)
    assert [mark["status"] for mark in given["points"]] == ["missed", "made"]


def test_practice_in_the_terminal_keeps_the_answer_and_the_rating() -> None:
    ran = viva("practice", "--topic", "activations", "--count", "1", "--lang", "ko", stdin="층을 아무리 쌓아도 비선형이 없으면 하나의 선형 변환입니다.\n.\n3\n", lang="ko")
    assert ran.returncode == 0, ran.stderr
    assert "모범 답안" in ran.stdout
    stats = json.loads(viva("stats", "--json").stdout)
    assert (stats["answers"], stats["reviews"]) == (1, 1)
    assert viva("check").returncode == 0


def test_all_data_goes_into_one_file_and_comes_back_without_loss(tmp_path: Path, home: Path) -> None:
    viva("practice", "--topic", "detection", "--count", "2", "--lang", "en", stdin="Anchors are refined.\n.\n2\nIt uses a grid.\n.\n\n")
    path = tmp_path / "mine.json"
    assert viva("export", str(path)).returncode == 0
    other = tmp_path / "other"
    assert viva("import", str(path), home=other).returncode == 0
    assert viva("import", str(path), home=other).returncode == 0, "importing twice changes nothing"
    again = tmp_path / "again.json"
    viva("export", str(again), home=other)
    first, second = json.loads(path.read_text()), json.loads(again.read_text())
    assert {**first, "exported_at": ""} == {**second, "exported_at": ""}
    assert json.loads(viva("stats", "--json", home=other).stdout)["reviews"] == 2


def test_a_backup_brings_the_data_back(tmp_path: Path) -> None:
    viva("practice", "--count", "1", "--lang", "en", stdin="Layers.\n.\n3\n")
    path = tmp_path / "kept.db"
    assert viva("backup", str(path)).returncode == 0
    viva("practice", "--count", "1", "--lang", "en", stdin="More layers.\n.\n3\n")
    assert json.loads(viva("stats", "--json").stdout)["answers"] == 2
    assert viva("restore", str(path), "--yes").returncode == 0
    assert json.loads(viva("stats", "--json").stdout)["answers"] == 1


def test_the_bank_is_sound() -> None:
    ran = viva("bank", "check")
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    ("damage", "line", "said"),
    [
        (lambda text: text.replace("seed: 6\n", "seed: six\n"), 3, "seed"),
        (lambda text: text.replace("topic: activations\n", "topic: cooking\n"), 4, "folder"),
        (lambda text: text.replace("  - id: relu-slope\n", "  - id: sigmoid-slope\n"), None, "twice"),
        (lambda text: text.replace("    lab: jacobian-gain\n", ""), None, "lab"),
        (lambda text: text.replace("level: 2\n", "level: 2\n\tbroken: [\n"), 6, "YAML"),
        (lambda text: text.replace("$\\sigma(1-\\sigma)$", "$\\sigma(1-\\sigm}$"), None, "LaTeX"),
        (lambda text: text.replace("## ko", "## kr"), None, "## kr"),
        (lambda text: text.replace("---\n\n## ko", "\n## ko"), None, "not closed"),
        (lambda text: text.replace("question:\n", "question: &a\n", 1).replace("answer: x", "*a") + "\n*a", None, ""),
    ],
)
def test_a_damaged_question_file_is_reported_with_its_line(damage: object, line: int | None, said: str, tmp_path: Path) -> None:
    import viva.bank as bank_room

    source = Path(bank_room.__file__).parent / "questions" / "activations" / "relu-vs-sigmoid.md"
    folder = tmp_path / "pack" / "activations"
    folder.mkdir(parents=True)
    text = source.read_text(encoding="utf-8")
    broken = damage(text)  # type: ignore[operator]
    assert broken != text
    (folder / "relu-vs-sigmoid.md").write_text(broken, encoding="utf-8")
    ran = viva("bank", "check", str(tmp_path / "pack"))
    assert ran.returncode == 1 and "Traceback" not in ran.stderr
    assert said in ran.stderr
    assert f"relu-vs-sigmoid.md:{line}:" in ran.stderr if line else "relu-vs-sigmoid.md:" in ran.stderr
