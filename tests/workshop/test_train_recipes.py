"""Recipes: found without a list, run from the command line, recorded only as they stand."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from viva.cli.training import PROBLEMS, SENTENCES, train_command
from viva.models.checkpoint import load_checkpoint
from viva.train import Options, Recipe, RecipeError, find, names, record, run
from viva.train.batches import size
from viva.train.recipe import RECORDS
from viva.train.reporter import SENTENCES as ENGLISH
from viva.train.reporter import Reporter

QUIET = Reporter(silent=True)


def test_every_recipe_says_what_it_is() -> None:
    assert {"digits-mlp", "digits-cnn"} <= set(names())
    for name in names():
        recipe = find(name)
        assert isinstance(recipe, Recipe) and recipe.about and recipe.model_name and recipe.data_name
        assert (recipe.loss is None) != (recipe.step is None), name
        assert recipe.minutes > 0 and recipe.epochs > 0 and recipe.lr > 0


def test_every_record_is_of_a_recipe_and_reaches_its_target() -> None:
    for path in RECORDS.glob("*.json"):
        recipe, recorded = find(path.stem), record(path.stem)
        assert recorded is not None and recorded["name"] == path.stem and recorded["score"] == recipe.score
        assert recorded["target"] == recipe.target and recipe.reached(recorded["value"])
        assert {"seed", "epochs", "seconds", "threads", "versions", "command"} <= set(recorded)
        assert shlex.split(recorded["command"])[:3] == ["viva", "train", path.stem]


def test_digits_are_split_without_leakage() -> None:
    from viva.train.recipes import digits_mlp

    parts = digits_mlp.data()
    images = [{image.numpy().tobytes() for image in split[0]} for split in (parts.train, parts.validation, parts.test)]
    assert not (images[0] & images[1] or images[0] & images[2] or images[1] & images[2])
    assert sum(size(split) for split in (parts.train, parts.validation, parts.test)) == 1797
    again = digits_mlp.data()
    assert torch.equal(parts.test[0], again.test[0])


def test_shifts_are_shifts_and_held_out_digits_are_not_shifted() -> None:
    from viva.train.recipes import digits_cnn

    images = torch.zeros(50, 1, 16, 16)
    images[:, 0, 8, 8] = 1
    labels = torch.arange(50)
    still, _ = digits_cnn.fetch((images, labels), labels, None)
    assert torch.equal(still, images)
    moved, same = digits_cnn.fetch((images, labels), labels, torch.Generator().manual_seed(0))
    places = moved[:, 0].nonzero()[:, 1:]
    assert torch.equal(same, labels) and len(places) == 50 and (places - 8).abs().max() == 2 and (places.unique(dim=0)).shape[0] > 15


def test_a_short_run_leaves_what_it_says(tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = run("digits-mlp", Options(out=out, epochs=2, limit_batches=3), reporter=QUIET)
    assert result.finished and 0 <= (result.score or 0) <= 1
    assert {path.name for path in out.iterdir()} >= {"checkpoint.pt", "checkpoint.previous.pt", "metrics.jsonl", "config.json", "model.safetensors", "result.json"}
    config = json.loads((out / "config.json").read_text())
    assert config["recipe"] == "digits-mlp" and config["epochs"] == 2 and config["limit_batches"] == 3 and config["versions"]["torch"] == torch.__version__
    assert json.loads((out / "result.json").read_text())["steps"] == 6
    recipe = find("digits-mlp")
    model = recipe.model(recipe.data())
    load_checkpoint(model, out / "model.safetensors")


def test_a_folder_with_a_run_is_not_overwritten_and_its_settings_stay(tmp_path: Path) -> None:
    small = Options(out=tmp_path, epochs=1, limit_batches=2)
    run("digits-mlp", small, reporter=QUIET)
    with pytest.raises(RecipeError, match="holds a run: go on with --resume"):
        run("digits-mlp", small, reporter=QUIET)
    with pytest.raises(RecipeError, match="began with epochs 1 and is asked to go on with 3"):
        run("digits-mlp", replace(small, epochs=3, resume=True), reporter=QUIET)
    with pytest.raises(RecipeError, match="began with recipe digits-mlp"):
        run("digits-cnn", replace(small, resume=True), reporter=QUIET)


def test_a_record_is_of_the_recipe_as_it_stands(tmp_path: Path) -> None:
    for option in ({"epochs": 1}, {"lr": 0.1}, {"limit_batches": 1}, {"batch_size": 3}):
        with pytest.raises(RecipeError, match=r"leave out --"):
            run("digits-mlp", Options(out=tmp_path / "run", record=True, **option), reporter=QUIET, records=tmp_path / "records")  # type: ignore[arg-type]
    quick = replace(find("digits-mlp"), epochs=1)
    with pytest.raises(RecipeError, match=r"accuracy is 0\.\d+ and the target 1.01: not recorded"):
        run("quick", Options(out=tmp_path / "low", record=True), recipe=replace(quick, target=1.01), reporter=QUIET, records=tmp_path / "records")
    assert not (tmp_path / "records").exists()
    result = run("quick", Options(out=tmp_path / "high", record=True, seed=3), recipe=replace(quick, target=0.1), reporter=QUIET, records=tmp_path / "records")
    written = json.loads((tmp_path / "records" / "quick.json").read_text())
    assert result.recorded and written["value"] == round(result.score or 0, 6) and written["command"] == "viva train quick --seed 3 --record"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (Options(device="tpu"), "device is 'tpu'; it is cpu or cuda"),
        (Options(epochs=0), "epochs is 0; it has to be at least 1"),
        (Options(limit_batches=0), "limit-batches is 0"),
    ],
)
def test_impossible_options_are_named(options: Options, says: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=says):
        run("digits-mlp", replace(options, out=tmp_path / "run"), reporter=QUIET)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_where_there_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="sees no CUDA device here; use --device cpu"):
        run("digits-mlp", Options(out=tmp_path, device="cuda"), reporter=QUIET)


def test_the_command_lists_trains_and_says_what_is_wrong(tmp_path: Path) -> None:
    runner = CliRunner()
    listed = json.loads(runner.invoke(train_command, ["--list", "--json"]).stdout)
    assert {"name", "model", "data", "score", "target", "recorded", "minutes"} <= set(listed[0]) and [row["name"] for row in listed] == names()
    assert "digits-mlp" in runner.invoke(train_command, ["--list"]).stdout
    trained = runner.invoke(train_command, ["digits-mlp", "--out", str(tmp_path / "run"), "--epochs", "1", "--limit-batches", "2", "--json"])
    assert trained.exit_code == 0 and json.loads(trained.stdout)["finished"], trained.output
    for arguments, code, says in (
        ([], 2, "--list"),
        (["digit-mlp"], 1, "digits-mlp"),
        (["digits-mlp", "--out", str(tmp_path / "run")], 1, "--resume"),
        (["digits-mlp", "--precision", "int8"], 2, "int8"),
        (["digits-mlp", "--out", str(tmp_path / "new"), "--epochs", "1", "--record"], 1, "--epochs"),
    ):
        result = runner.invoke(train_command, arguments)
        assert result.exit_code == code and says in result.output, result.output


def test_both_languages_say_the_same_things() -> None:
    assert SENTENCES.keys() == ENGLISH.keys()
    import inspect

    from viva.train import recipe

    source = inspect.getsource(recipe)
    assert all(f'RecipeError("{kind}"' in source or f'"{kind}",\n' in source for kind in PROBLEMS)
    assert source.count("raise RecipeError(") == len(PROBLEMS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits-mlp", "digits-cnn"])
def test_the_digit_recipes_reach_their_targets(name: str, tmp_path: Path) -> None:
    result = run(name, Options(out=tmp_path / "run", seed=1), reporter=QUIET)
    assert result.score is not None and find(name).reached(result.score)


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_every_recipe_runs_from_end_to_end(name: str, tmp_path: Path, mirror: Path) -> None:
    result = run(name, Options(out=tmp_path / "run", epochs=1, limit_batches=2), reporter=QUIET)
    assert result.finished and result.score is not None and find(name).score in result.scores
