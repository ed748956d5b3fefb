"""What the READMEs say of the recipes is what the records say, and every record meets its recipe's target."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from viva.train import recipe

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", recipe.names())
def test_every_recipe_has_a_record_that_meets_its_target(name: str) -> None:
    found = recipe.record(name)
    assert found is not None, f"viva train {name} --record"
    wanted = recipe.find(name)
    assert wanted.reached(found["value"])
    assert (found["score"], found["target"], found["epochs"]) == (wanted.score, wanted.target, wanted.epochs)


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_the_readme_repeats_the_records(readme: str) -> None:
    lines = (ROOT / readme).read_text(encoding="utf-8").splitlines()
    rows = {line.split("`")[1]: line for line in lines if line.startswith("| `") and line.split("`")[1] in recipe.names()}
    assert set(rows) == set(recipe.names())
    for name, row in rows.items():
        found = json.loads((recipe.RECORDS / f"{name}.json").read_text(encoding="utf-8"))
        assert row.rstrip(" |").endswith(f"{found['value']:.4f}".replace("-", "−"))
