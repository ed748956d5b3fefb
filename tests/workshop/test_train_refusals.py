"""What `viva train` and `python -m viva.train` say to slips: one sentence, exit code 1 (2 for a wrong command line), no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from viva.train.__main__ import main

SMALL = ["--epochs", "1", "--limit-batches", "1"]
SLIPS = [
    (["--lr", "nan"], "lr is nan"),
    (["--lr", "-1"], "lr is -1"),
    (["--lr", "inf"], "lr is inf"),
    (["--device", "cpu:x"], "cpu or cuda"),
    (["--seed", "9" * 30], "seed is 9"),
    (["--threads", "100000"], "1024"),
]


@pytest.mark.parametrize(("slip", "says"), SLIPS, ids=lambda value: value if isinstance(value, str) else " ".join(value)[:20])
def test_an_impossible_option_is_refused_before_anything_is_written(
    slip: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["digits-mlp", *SMALL, "--out", str(tmp_path / "run"), *slip]) == 1
    assert says in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made_or_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["digits-mlp", *SMALL, "--out", str(tmp_path / "file" / "run")]) == 1
    assert "name another folder with --out" in capsys.readouterr().err
    (tmp_path / "config.json").write_text("{")
    assert main(["digits-mlp", *SMALL, "--out", str(tmp_path), "--resume"]) == 1
    assert "no run's settings" in capsys.readouterr().err


def test_missing_data_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVA_DATA_DIR", str(tmp_path / "nowhere"))
    assert main(["shakespeare-gpt", *SMALL, "--out", str(tmp_path / "run")]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("viva.train: VIVA_DATA_DIR names")


def test_the_checkpoint_of_another_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("digits-cnn", "digits-mlp"):
        assert main([name, *SMALL, "--out", str(tmp_path / name)]) == 0
    (tmp_path / "digits-mlp" / "checkpoint.pt").write_bytes((tmp_path / "digits-cnn" / "checkpoint.pt").read_bytes())
    (tmp_path / "digits-mlp" / "metrics.jsonl").write_bytes((tmp_path / "digits-cnn" / "metrics.jsonl").read_bytes())
    capsys.readouterr()
    assert main(["digits-mlp", *SMALL, "--out", str(tmp_path / "digits-mlp"), "--resume"]) == 1
    assert "of another model" in capsys.readouterr().err


LINES = [
    (["modle"], 2, "오류: 'modle' 명령은 없습니다."),
    (["model"], 2, "빠진 인자: 'NAME'."),
    (["model", "resnet50", "--input", "3x224"], 1, "2차원(3x224)"),
    (["model", "resnet50", "--depth", "0"], 2, "범위(1<=x<=20)를 벗어났습니다"),
    (["train", "digits-mlp", "--lr", "nan"], 1, "맞는 범위: 0 < lr < ∞"),
    (["train", "--help"], 0, "사용법: "),
    (["datasets", "path", "nope"], 2, "이름이 'nope'인 데이터셋은 없습니다"),
]


def test_the_command_line_speaks_korean_throughout() -> None:
    code = f"""
import json
from click.testing import CliRunner
from viva.cli.main import group
ran = [CliRunner().invoke(group, line, prog_name="viva") for line in {[line for line, _, _ in LINES]!r}]
print(json.dumps([(one.exit_code, one.output) for one in ran]))
"""
    environment = {**os.environ, "VIVA_LANG": "ko", "PYTHONIOENCODING": "utf-8"}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", env=environment, timeout=300)
    assert ran.returncode == 0, ran.stderr
    for (line, wanted, says), (got, output) in zip(LINES, json.loads(ran.stdout), strict=True):
        assert got == wanted and says in output, (line, output)
        assert not any(english in output for english in ("Usage:", "Error:", "Show this", "Invalid")), output


def test_a_sentence_of_the_workshop_is_no_traceback() -> None:
    from viva.cli.main import _sentence
    from viva.nn import Linear

    with pytest.raises(ValueError) as ours:
        Linear(0, 1)
    assert _sentence(ours.value) == str(ours.value)
    with pytest.raises(ValueError) as theirs:
        int("x")
    assert _sentence(theirs.value) is None  # a mistake of ours: it keeps its traceback
    assert "full" in str(_sentence(OSError(28, "No space left on device"))) or "가득" in str(_sentence(OSError(28, "")))


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_narrow_terminal_breaks_no_number(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from viva.cli import models

    class Narrow(models.Console):  # type: ignore[misc]
        def __init__(self, **options: object) -> None:
            super().__init__(width=width, force_terminal=True, no_color=True, highlight=False)

    monkeypatch.setattr(models, "Console", Narrow)
    table = models._table(("name", False), ("parameters", True), ("paper", False), whole=("name",))
    table.add_row("a" * 30, "46,702,792,704", "word " * 30)
    models._show(table, "paper")
    shown = capsys.readouterr().out
    assert "46,702,792,704" in shown and "a" * 30 in shown
    assert ("left out" in shown or "뺀 열" in shown) == (width == 60)
