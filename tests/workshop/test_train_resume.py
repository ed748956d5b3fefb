"""A run that is killed and resumed ends in the same bits as one that was left alone.

Run as a script (``python test_train_resume.py FOLDER [--resume]``) this file is the run that gets killed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from viva.optim import AdamW, decay_groups, warmup_cosine
from viva.train import Batches, Held, Options, Recipe, Splits, checkpoints, run
from viva.train.loop import Settings, Trainer
from viva.train.measures import classification
from viva.train.reporter import Reporter

QUIET = Reporter(silent=True)


def data() -> Splits:
    """Three blobs in 6 dimensions: 103 / 39 / 39 samples; no number divides the batch size."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(3, (181,), generator=generator)
    inputs = torch.randn(181, 6, generator=generator) + torch.eye(3, 6)[labels] * 2
    return Splits((inputs[:103], labels[:103]), (inputs[103:142], labels[103:142]), (inputs[142:], labels[142:]))


def fetch(dataset: tuple[Tensor, Tensor], indices: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Draws from every generator there is: each of them has to come back after a resume."""
    inputs, labels = dataset[0][indices], dataset[1][indices]
    if generator is not None:
        inputs = inputs + 0.1 * torch.randn(inputs.shape, generator=generator) + 0.01 * torch.randn(inputs.shape)
        inputs = inputs + 0.01 * float(np.random.rand()) + 0.01 * random.random()
        time.sleep(float(os.environ.get("VICTIM_SLEEP", "0")))
    return inputs, labels


def loss(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    inputs, labels = batch
    logits = model(inputs)
    return {"loss": nn.functional.cross_entropy(logits, labels), "confidence": logits.softmax(-1).amax(-1).mean()}


def recipe(**changes: Any) -> Recipe:
    fields: dict[str, Any] = {
        "about": "a victim",
        "model_name": "small",
        "data_name": "blobs",
        "data": data,
        "model": lambda splits: nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3)),
        "loss": loss,
        "evaluate": classification,
        "score": "loss",
        "higher_is_better": False,
        "target": 1.0,
        "minutes": 0.1,
        "epochs": 12,
        "batch_size": 16,
        "accumulate": 3,
        "lr": 0.02,
        "optimiser": lambda model, lr: AdamW(decay_groups(model, 0.05), lr),
        "schedule": lambda steps: warmup_cosine(steps // 10, steps),
        "patience": 6,
        "clip": 0.5,
        "fetch": fetch,
        "checkpoint_every": 3,
        "log_every": 2,
    }
    return Recipe(**{**fields, **changes})


def left_behind(folder: Path) -> dict[str, bytes]:
    """What has to be equal to the bit."""
    result = json.loads((folder / "result.json").read_text())
    del result["seconds"]
    return {
        "weights": (folder / "model.safetensors").read_bytes(),
        "metrics": (folder / "metrics.jsonl").read_bytes(),
        "result": json.dumps(result).encode(),
    }


class Crash(Exception):
    pass


def crash_after(steps: int) -> Any:
    """A recipe like the victim, whose loss dies in the forward pass after so many pieces."""
    left = [steps]

    def dying(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        left[0] -= 1
        if left[0] < 0:
            raise Crash
        return loss(model, batch)

    return recipe(loss=dying)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("alone") / "run"
    run("victim", Options(out=folder, seed=4), recipe=recipe(), reporter=QUIET)
    return left_behind(folder)


@pytest.mark.parametrize("after", [[1], [2], [40], [41, 5, 60], [7, 8, 9, 10, 100]])
def test_a_crash_at_any_step_changes_no_bit(after: list[int], alone: dict[str, bytes], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for number, steps in enumerate(after):
        with pytest.raises(Crash):
            run("victim", Options(out=folder, seed=4, resume=number > 0), recipe=crash_after(steps), reporter=QUIET)
    run("victim", Options(out=folder, seed=4, resume=True), recipe=recipe(), reporter=QUIET)
    assert left_behind(folder) == alone


def test_two_seeds_differ_and_one_seed_does_not(alone: dict[str, bytes], tmp_path: Path) -> None:
    for seed, same in ((4, True), (5, False)):
        run("victim", Options(out=tmp_path / str(seed), seed=seed), recipe=recipe(), reporter=QUIET)
        assert (left_behind(tmp_path / str(seed))["weights"] == alone["weights"]) is same


def test_loader_workers_change_nothing_that_comes_from_the_batches_own_generator(tmp_path: Path) -> None:
    def own(dataset: Any, indices: Tensor, generator: torch.Generator | None) -> Any:
        inputs, labels = dataset[0][indices], dataset[1][indices]
        return (inputs if generator is None else inputs + torch.randn(inputs.shape, generator=generator)), labels

    found = []
    for workers in (0, 2):
        run("victim", Options(out=tmp_path / str(workers), workers=workers, epochs=2), recipe=recipe(fetch=own), reporter=QUIET)
        found.append(left_behind(tmp_path / str(workers)))
    assert found[0] == found[1]


@pytest.mark.slow
def test_sigkill_at_random_moments_changes_no_bit(tmp_path: Path) -> None:
    draw = random.Random(time.time_ns())
    environment = {**os.environ, "VICTIM_SLEEP": "0.004"}

    def start(folder: Path, *more: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, __file__, str(folder), *more], env=environment, stderr=subprocess.PIPE)

    whole = start(tmp_path / "alone")
    assert whole.wait(300) == 0, whole.stderr.read() if whole.stderr else ""
    folder, kills, waits = tmp_path / "killed", 0, []
    for attempt in range(40):
        process = start(folder, *(["--resume"] if attempt else []))
        journal = folder / "metrics.jsonl"
        if kills < 4:
            # Once this session writes, wait a little more: the kill falls anywhere in a step or a checkpoint.
            since = (folder / checkpoints.CURRENT).stat().st_mtime_ns if (folder / checkpoints.CURRENT).exists() else 0
            while process.poll() is None and not (journal.exists() and (folder / checkpoints.CURRENT).exists() and (folder / checkpoints.CURRENT).stat().st_mtime_ns > since):
                time.sleep(0.002)
            waits.append(draw.uniform(0, 0.12))
            time.sleep(waits[-1])
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait(60)
                kills += 1
                continue
        assert process.wait(300) == 0, process.stderr.read() if process.stderr else ""
        break
    assert kills >= 2, f"the run ended before it could be killed often enough: {waits}"
    assert left_behind(folder) == left_behind(tmp_path / "alone"), waits


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_with_a_checkpoint_and_says_how_to_go_on(number: int, tmp_path: Path, alone: dict[str, bytes]) -> None:
    folder = tmp_path / "run"
    process = subprocess.Popen([sys.executable, __file__, str(folder)], env={**os.environ, "VICTIM_SLEEP": "0.01"}, stderr=subprocess.PIPE)
    while process.poll() is None and not (folder / checkpoints.CURRENT).exists():
        time.sleep(0.01)
    process.send_signal(number)
    said = process.communicate(timeout=120)[1].decode()
    assert process.returncode == 130, said
    assert "--resume goes on" in said and "Traceback" not in said
    assert not (folder / "result.json").exists()
    run("victim", Options(out=folder, seed=4, resume=True), recipe=recipe(), reporter=QUIET)
    assert left_behind(folder) == alone


def test_a_torn_or_changed_checkpoint_gives_way_to_the_one_before_it(alone: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, harm in enumerate((lambda b: b[: len(b) // 2], lambda b: b[:500] + bytes([b[500] ^ 1]) + b[501:], lambda b: b"", lambda b: b"viva-checkpoint 1 5\n")):
        folder = tmp_path / str(number)
        with pytest.raises(Crash):
            run("victim", Options(out=folder, seed=4), recipe=crash_after(50), reporter=QUIET)
        current = folder / checkpoints.CURRENT
        current.write_bytes(harm(current.read_bytes()))
        run("victim", Options(out=folder, seed=4, resume=True), recipe=recipe())
        said = " ".join(capsys.readouterr().err.split())
        assert "Not whole, so the one before it is taken: checkpoint.pt" in said and "Resuming after step" in said
        assert left_behind(folder) == alone


def test_with_no_whole_checkpoint_it_says_so_and_touches_nothing(tmp_path: Path) -> None:
    with pytest.raises(Crash):
        run("victim", Options(out=tmp_path / "run", seed=4), recipe=crash_after(50), reporter=QUIET)
    for name in (checkpoints.CURRENT, checkpoints.PREVIOUS):
        (tmp_path / "run" / name).write_bytes(b"nothing")
    metrics = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    with pytest.raises(checkpoints.DamagedCheckpoint, match=r"no checkpoint in .* is whole"):
        run("victim", Options(out=tmp_path / "run", seed=4, resume=True), recipe=recipe(), reporter=QUIET)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == metrics


def test_a_finished_run_answers_from_its_files(alone: dict[str, bytes], tmp_path: Path) -> None:
    options = Options(out=tmp_path / "run", seed=4)
    first = run("victim", options, recipe=recipe(), reporter=QUIET)

    def never(model: nn.Module, held: Held) -> dict[str, float]:
        raise AssertionError("the test set was looked at twice")

    again = run("victim", Options(out=tmp_path / "run", seed=4, resume=True), recipe=recipe(evaluate=never), reporter=QUIET)
    assert again.score == first.score and left_behind(tmp_path / "run") == alone


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (os.system, ("false",))

    checkpoints.save(tmp_path, {"model": Evil()})
    with pytest.raises(Exception, match=r"[Ww]eights.only|Unsupported"):
        checkpoints.load(tmp_path)


def test_every_generator_comes_back(tmp_path: Path) -> None:
    from viva.train import seeds

    seeds.seed_everything(3)
    checkpoints.save(tmp_path, {"random": seeds.state()})

    def draw() -> list[float]:
        return [random.random(), float(np.random.randn()), torch.rand(()).item(), random.gauss(0, 1)]

    first = draw()
    saved, _ = checkpoints.load(tmp_path)
    assert saved is not None
    seeds.restore(saved["random"])
    assert draw() == first
    with seeds.aside(9):
        draw()
    second = draw()
    seeds.restore(saved["random"])
    draw()
    assert draw() == second


def test_journal_that_was_shortened_is_no_ground_to_go_on_from(tmp_path: Path) -> None:
    with pytest.raises(Crash):
        run("victim", Options(out=tmp_path / "run", seed=4), recipe=crash_after(50), reporter=QUIET)
    (tmp_path / "run" / "metrics.jsonl").write_bytes(b"")
    with pytest.raises(ValueError, match="it was shortened"):
        run("victim", Options(out=tmp_path / "run", seed=4, resume=True), recipe=recipe(), reporter=QUIET)


def test_fp16_with_its_scaler_resumes_too(tmp_path: Path) -> None:
    found = []
    for crashes in ((), (25, 30)):
        folder = tmp_path / str(len(crashes))
        for number, steps in enumerate(crashes):
            with pytest.raises(Crash):
                run("victim", Options(out=folder, precision="fp16", resume=number > 0), recipe=crash_after(steps), reporter=QUIET)
        run("victim", Options(out=folder, precision="fp16", resume=bool(crashes)), recipe=recipe(), reporter=QUIET)
        found.append(left_behind(folder))
    assert found[0] == found[1]


def test_a_run_in_memory_needs_no_folder() -> None:
    splits = data()
    model = nn.Linear(6, 3)
    trainer = Trainer(model, loss, Batches(splits.train, 16), Settings(epochs=3), optimiser=AdamW(model.parameters(), 0.01), reporter=QUIET)
    outcome = trainer.run()
    assert outcome.finished and outcome.steps == 21 and outcome.epoch == 3


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = run("victim", Options(out=Path(sys.argv[1]), seed=4, resume="--resume" in sys.argv), recipe=recipe())
    sys.exit(0 if found.finished else 130)
