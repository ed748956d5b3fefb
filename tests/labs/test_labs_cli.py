"""``viva lab``: the list without torch, runs as JSON and as files, records held to a run, sentences for slips."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import viva.cli.labs
import viva.cli.say
from viva.bank.loader import BUILT_IN_FOLDER, load_pack
from viva.bank.schema import BUILT_IN
from viva.cli.labs import lab_command
from viva.labs import every, records


def call(*arguments: str) -> Result:
    return CliRunner().invoke(lab_command, list(arguments))


@pytest.fixture
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (viva.cli.say, viva.cli.labs):
        monkeypatch.setattr(module, "LANGUAGE", "en")


@pytest.fixture
def korean(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (viva.cli.say, viva.cli.labs):
        monkeypatch.setattr(module, "LANGUAGE", "ko")


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_the_list_loads_neither_torch_nor_altair(lang: str) -> None:
    code = "import sys; from viva.cli.labs import lab_command; lab_command(['list', *sys.argv[1:]], standalone_mode=False); print(sorted({'torch', 'altair', 'vl_convert', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    environment = {**os.environ, "VIVA_LANG": lang, "PYTHONIOENCODING": "utf-8"}
    for more in ([], ["--json"]):
        ran = subprocess.run([sys.executable, "-c", code, *more], capture_output=True, text=True, encoding="utf-8", env=environment, timeout=120)
        assert ran.returncode == 0 and ran.stderr.strip() == "[]", ran.stderr
        assert all(id in ran.stdout for id in every())


def test_the_json_list_says_what_a_slider_needs() -> None:
    listed = json.loads(call("list", "--json").output)
    assert [entry["id"] for entry in listed] == sorted(every())
    claims = {claim.id for question in load_pack(BUILT_IN_FOLDER, BUILT_IN).questions for claim in question.claims}
    for entry in listed:
        assert set(entry) == {"id", "title", "claims", "parameters", "seconds"}
        assert entry["claims"] and set(entry["claims"]) <= claims and entry["title"]["ko"] and entry["title"]["en"]
        for parameter in entry["parameters"]:
            assert {"name", "kind", "default", "low", "high", "step", "unit", "label"} <= set(parameter)
            assert parameter["low"] <= parameter["default"] <= parameter["high"]


def test_a_run_as_json_has_the_promised_shape(english: None) -> None:
    ran = call("run", "stable-softmax", "--set", "classes=5", "--set", "offset=800", "--seed", "7", "--seeds", "2", "--quick", "--json")
    assert ran.exit_code == 0, ran.output
    shape = json.loads(ran.stdout, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert list(shape) == ["lab", "parameters", "seconds", "claims", "figures", "environment"]
    assert shape["lab"] == "stable-softmax" and shape["parameters"] == {"offset": 800.0, "classes": 5}
    assert shape["environment"]["seeds"] == [7, 8] and shape["environment"]["quick"] and shape["environment"]["threads"] == 1
    for claim in shape["claims"]:
        assert set(claim) == {"id", "question", "verdict", "criterion", "measured"}
        assert claim["verdict"] == "supported" and claim["measured"][0]["values"]
    assert all("vega-lite" in figure["$schema"] and isinstance(figure["title"][0], str) for figure in shape["figures"])


@pytest.mark.parametrize("word", ["뒷받침됨", "supported"])
def test_a_run_is_told_in_the_terminals_language(word: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("korean" if word == "뒷받침됨" else "english")
    ran = call("run", "stable-softmax", "--quick")
    assert ran.exit_code == 0 and word in ran.stdout and "softmax-formula / naive-overflows" in ran.stdout


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_out_leaves_evidence_and_figures_that_need_no_network(english: None, tmp_path: Path, theme: str) -> None:
    folder = tmp_path / "new" / "folder"
    assert call("run", "stable-softmax", "--quick", "--out", str(folder), "--theme", theme).exit_code == 0
    assert {path.name for path in folder.iterdir()} == {"evidence.json", *(f"stable-softmax-survival.{kind}" for kind in ("png", "svg", "html"))}
    assert (folder / "stable-softmax-survival.png").read_bytes().startswith(b"\x89PNG")
    drawn, page = ((folder / f"stable-softmax-survival.{kind}").read_text(encoding="utf-8") for kind in ("svg", "html"))
    assert "maximum subtracted" in drawn and ("#151513" in drawn) == (theme == "dark")
    assert 'src="http' not in page and "src='http" not in page and 'href="http' not in page and len(page) > 300_000
    assert json.loads((folder / "evidence.json").read_text(encoding="utf-8"))["lab"] == "stable-softmax"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("run", "softmax"), "There is no lab 'softmax'."),
        (("run", "sqrt-kappa", "--set", "dimension=1"), "dimension is '1'; it has to be a whole number from 2 to 200."),
        (("run", "sqrt-kappa", "--set", "depth=3"), "sqrt-kappa has no parameter 'depth'; it has: dimension, precision."),
        (("run", "sqrt-kappa", "--set", "dimension"), "'dimension' is not NAME=VALUE."),
        (("run", "sqrt-kappa", "--seeds", "0"), "seeds is '0'; it has to be a whole number from 1 to 100."),
        (("record", "nothing-like-it"), "There is no lab 'nothing-like-it'."),
        (("record", "--quick"), "use --quick with --check"),
    ],
)
def test_slips_become_sentences(english: None, arguments: tuple[str, ...], sentence: str) -> None:
    ran = call(*arguments)
    assert ran.exit_code != 0 and sentence in ran.output and "Traceback" not in ran.output


def test_slips_become_korean_sentences(korean: None) -> None:
    ran = call("run", "sqrt-kappa", "--set", "dimension=1")
    assert ran.exit_code == 1 and "dimension에 '1'을(를) 주셨습니다. 줄 수 있는 값: 2 이상 200 이하의 정수." in ran.output


def test_a_record_is_written_once_checked_and_a_turned_verdict_fails(english: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "RECORDS", tmp_path)
    missing = call("record", "--check", "--quick", "stable-softmax")
    assert missing.exit_code == 1 and "there is no record: viva lab record" in missing.output
    assert call("record", "stable-softmax").exit_code == 0
    assert call("record", "--check", "stable-softmax").exit_code == 0

    file = records.path("stable-softmax")
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    data["claims"][0]["verdict"] = "refuted"
    file.write_text(json.dumps(data), encoding="utf-8")
    for quick in (["--quick"], []):
        turned = call("record", "--check", *quick, "stable-softmax")
        assert turned.exit_code == 1 and "softmax-formula/naive-overflows: refuted in the record, supported now" in turned.output
