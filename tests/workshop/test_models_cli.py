"""``viva models`` and ``viva model``: records without torch, the largest model in seconds, sentences for slips."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from viva.models.records import REGENERATE, read_records

pytestmark = pytest.mark.slow  # every test starts a process of its own, which imports torch

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_TORCH = """
import importlib.abc, sys
class Gone(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] == 'torch':
            raise ModuleNotFoundError("No module named 'torch'", name='torch')
sys.meta_path.insert(0, Gone())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name.split('.')[0] == 'torch' else found(name, *more)
"""


def run(*arguments: str, lang: str = "en", before: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "VIVA_LANG": lang, "PYTHONIOENCODING": "utf-8", "COLUMNS": "120"}
    code = f"{before}\nfrom viva.cli import main\nmain({list(arguments)!r})"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", env=environment, timeout=300)


def korean(text: str) -> bool:
    return any("가" <= letter <= "힣" for letter in text)


def test_the_list_is_the_records_and_loads_no_torch() -> None:
    after = "import atexit, sys\natexit.register(lambda: sys.stderr.write(str('torch' in sys.modules)))"
    ran = run("models", "--json", before=after)
    assert ran.returncode == 0 and ran.stderr == "False", ran.stderr
    listed = json.loads(ran.stdout)
    assert listed == read_records()
    for record in listed:
        assert {"name", "parameters", "mult_adds", "paper", "reference", "max_rel_error"} <= set(record)
        assert isinstance(record["parameters"], int)


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_the_table_says_how_to_measure_again(lang: str) -> None:
    ran = run("models", lang=lang, before=WITHOUT_TORCH)
    assert ran.returncode == 0, ran.stderr
    assert REGENERATE in ran.stdout and korean(ran.stdout) == (lang == "ko")
    for record in read_records():
        assert record["name"] in ran.stdout and f"{record['parameters']:,}" in ran.stdout


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_one_model_is_shown_with_layers_and_costs(lang: str) -> None:
    ran = run("model", "resnet50", lang=lang)
    assert ran.returncode == 0, ran.stderr
    for part in ("resnet50", "He et al.", "25,557,032", "4,089,184,256", "Bottleneck", "1×1024×14×14", "97.5 MiB"):
        assert part in ran.stdout, part
    assert korean(ran.stdout) == (lang == "ko")


def test_one_model_as_json_on_another_input() -> None:
    found = json.loads(run("model", "resnet50", "--input", "3x448x448", "--depth", "1", "--json").stdout)
    assert found["input"] == [[1, 3, 448, 448]]
    assert found["parameters"] == 25_557_032
    assert not any(layer["type"] == "Bottleneck" for layer in found["layers"])  # one level deeper
    head = 2048 * 1000
    assert found["mult_adds"] - head == 4 * (4_089_184_256 - head)  # four times the pixels, the same head
    assert sum(layer["mult_adds"] * layer["times"] for layer in found["layers"]) == found["mult_adds"]
    assert found["bytes"]["weights_bfloat16"] == 2 * 25_557_032
    assert {"name", "times", "level", "type", "output", "parameters", "mult_adds"} == set(found["layers"][0])


@pytest.mark.slow
def test_the_largest_model_needs_no_memory_for_its_weights() -> None:
    ran = run("model", "mixtral_8x7b", "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["parameters"] == 46_702_792_704
    assert found["bytes"]["cache_per_token_bfloat16"] == 2 * 2 * 32 * 8 * 128
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    assert peak < 8e9 < found["bytes"]["weights_bfloat16"]


SLIPS = [
    (("resnet500",), 1, "There is no model 'resnet500'. Did you mean"),
    (("qqqqqqqq",), 1, "For the list: viva models"),
    (("resnet50", "--input", "3x16x16"), 1, "resnet50 does not take this input"),
    (("resnet50", "--input", "224"), 1, "resnet50 does not take this input"),
    (("resnet50", "--input", "3xx3"), 2, "is not a shape"),
    (("resnet50", "--input", "3x-1x3"), 2, "is not a shape"),
    (("resnet50", "--input", "٣x3x3"), 2, "is not a shape"),
    (("resnet50", "--input", "3x0x3"), 2, "is not a shape"),
    (("resnet50", "--input", "3x999999x999999"), 2, "is too large"),
    (("resnet50", "--input", "9" * 5000), 2, "is not a shape"),
    (("resnet50", "--input", "3x64x64", "--input", "3x64x64"), 1, "takes 1 inputs, and 2 shapes were given"),
    (("gpt2", "--input", "5000"), 1, "gpt2 does not take this input"),
    ((), 2, "Missing argument"),
]


def test_a_slip_gets_a_sentence() -> None:
    """One process for all of them: starting Python and torch takes longer than they do."""
    code = f"""
import json
from click.testing import CliRunner
from viva.cli.main import group
ran = [CliRunner().invoke(group, ["model", *slip]) for slip in {[slip for slip, _, _ in SLIPS]!r}]
print(json.dumps([(one.exit_code, one.output, repr(one.exception)) for one in ran]))
"""
    environment = {**os.environ, "VIVA_LANG": "en"}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300)
    assert ran.returncode == 0, ran.stderr
    for (slip, code, says), (got, output, exception) in zip(SLIPS, json.loads(ran.stdout), strict=True):
        assert (got, exception) == (code, f"SystemExit({code})") and says in output, (slip, got, output, exception)


def test_without_torch_one_is_told_what_to_install() -> None:
    ran = run("model", "resnet50", before=WITHOUT_TORCH)
    assert ran.returncode == 1 and "pip install 'viva[workshop]'" in ran.stderr and "Traceback" not in ran.stderr
    assert korean(run("model", "resnet50", lang="ko", before=WITHOUT_TORCH).stderr)


@pytest.mark.slow
def test_without_torch_the_folder_is_skipped_with_a_reason(tmp_path: Path) -> None:
    code = WITHOUT_TORCH + "\nimport pytest\nsys.exit(pytest.main(sys.argv[1:]))"
    chosen = [str(ROOT / "tests" / "workshop" / name) for name in ("test_models_checkpoint.py", "test_models_summary.py")]
    ran = subprocess.run([sys.executable, "-c", code, "-q", "-rs", "-p", "no:cacheprovider", *chosen], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert "torch is not installed: pip install 'viva[workshop]'" in ran.stdout and "2 skipped" in ran.stdout, ran.stdout + ran.stderr


@pytest.mark.slow
def test_the_documented_command_chooses_the_tests_that_write_records(tmp_path: Path) -> None:
    (tmp_path / "test_two.py").write_text("def test_with(record): pass\ndef test_without(): pass\n")
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "workshop" / "conftest.py").read_text("utf-8"), "utf-8")
    assert REGENERATE == "python3 run.py test tests/workshop --record"
    command = [sys.executable, "-m", "pytest", str(tmp_path), "-q", "-p", "no:cacheprovider", "--collect-only"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "workshop")}
    chosen = subprocess.run([*command, "--record"], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=120).stdout
    assert "test_with" in chosen and "test_without" not in chosen
    assert "test_without" in subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=120).stdout
