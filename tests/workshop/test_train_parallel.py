"""Two processes with half a batch each learn what one process learns with the joint batch.

Run under torchrun this file trains every case below and writes the weights it ended with.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from viva.optim import SGD
from viva.train.batches import Batches
from viva.train.loop import Settings, Trainer
from viva.train.parallel import World, average_gradients
from viva.train.reporter import Reporter

# samples, batch size, pieces; 33 in batches of 8 leaves a last batch of 1: the second process has nothing to do.
CASES: dict[str, dict[str, Any]] = {
    "even": {"samples": 32, "batch": 8},
    "uneven last batch": {"samples": 37, "batch": 8},
    "a last batch of one": {"samples": 33, "batch": 8},
    "accumulation": {"samples": 37, "batch": 12, "pieces": 3},
    "accumulation, a last batch of one": {"samples": 25, "batch": 12, "pieces": 3},
    "tokens": {"samples": 37, "batch": 8, "tokens": True},
    "tokens, accumulation": {"samples": 37, "batch": 8, "pieces": 2, "tokens": True},
    "clipped": {"samples": 37, "batch": 8, "clip": 0.05},
    "a step of its own": {"samples": 33, "batch": 8, "pieces": 2, "own": True},
    "unused parameters": {"samples": 37, "batch": 8, "pieces": 2, "unused": True},
}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 9), nn.Tanh())
        self.head = nn.Linear(9, 4)
        self.never = nn.Linear(3, 3)
        self.sometimes = nn.Linear(9, 4)


def train(case: dict[str, Any], world: World, folder: Path | None = None) -> dict[str, Tensor]:
    """Three epochs in float64; the weights they end with."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(case["samples"], 6, 5, dtype=torch.float64, generator=generator)  # six positions a sample
    targets = torch.randint(4, (case["samples"], 6), generator=generator)
    if case.get("tokens"):
        targets[torch.rand(targets.shape, generator=generator) < 0.85] = -100  # few count; of some samples none
    torch.manual_seed(2)
    model = Net().double()
    pieces = itertools.count()

    def loss(model: nn.Module, batch: Any) -> Tensor:
        x, y = batch
        hidden = model.body(x)  # type: ignore[operator]
        logits = model.head(hidden)  # type: ignore[operator]
        if case.get("unused") and next(pieces) // case["pieces"] % 2:  # in every second step
            logits = logits + model.sometimes(hidden)  # type: ignore[operator]
        return nn.functional.cross_entropy(logits.transpose(1, 2), y)

    def step(model: nn.Module, batch: Any) -> Tensor:
        value = loss(model, batch)
        value.backward()
        return value.detach()

    own, tokens = bool(case.get("own")), bool(case.get("tokens"))
    batches = Batches(
        (inputs, targets), case["batch"], seed=3, pieces=case.get("pieces", 1), rank=world.rank, world=world.size,
        weigh=(lambda batch: int((batch[1] != -100).sum())) if tokens else None,
    )  # fmt: skip
    trainer = Trainer(
        model, None if own else loss, batches, Settings(epochs=3, clip=case.get("clip"), log_every=1, seed=5), step=step if own else None,
        optimiser=SGD(model.parameters(), 0.3, 0.9), world=world, reporter=Reporter(silent=True), folder=folder, tensorboard=False,
        evaluate=lambda model: {"loss": float(next(model.parameters()).sum())},
    )  # fmt: skip
    trainer.run()
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def under_torchrun(folder: Path) -> None:
    world = World()
    try:
        found = {name: train(case, world, folder / name) for name, case in CASES.items()}
        found["by hand"], found["by torch"] = by_hand_and_by_torch()
        found["batch norm"] = batch_norm()
        torch.save(found, folder / f"{world.rank}.pt")
    finally:
        world.leave()


def by_hand_and_by_torch() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Gradients of even shares, averaged by `average_gradients` and by DistributedDataParallel."""
    torch.manual_seed(dist.get_rank())
    x = torch.randn(4, 5, dtype=torch.float64)
    found = []
    for wrapped in (False, True):
        torch.manual_seed(7)
        model = nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 4)).double()
        runs = nn.parallel.DistributedDataParallel(model) if wrapped else model
        runs(x).square().mean().backward()
        if not wrapped:
            average_gradients(model.parameters())
        found.append({name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None})
    return found[0], found[1]


def batch_norm() -> dict[str, Any]:
    """A BatchNorm layer's output and running mean after one step on shares with means 0 and 10; what SyncBatchNorm says."""
    norm = nn.BatchNorm1d(1, affine=False)
    share = torch.tensor([[-1.0], [1.0]]) + 10 * dist.get_rank()
    output = norm(share)
    try:
        nn.SyncBatchNorm(1)(share)
        said = ""
    except (ValueError, RuntimeError) as error:
        said = str(error)
    return {"output": output, "running_mean": norm.running_mean, "sync": said}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """What both processes of a real torchrun ended with."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", __file__, str(folder)]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_processes_learn_what_one_does(name: str, two: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    folder, found = two
    alone = train(CASES[name], World(), tmp_path)
    for weight, value in alone.items():
        assert torch.equal(found[0][name][weight], found[1][name][weight]), "the two differ"
        torch.testing.assert_close(found[0][name][weight], value, rtol=0, atol=1e-12)
    journals = [(path / "metrics.jsonl").read_text().splitlines() for path in (folder / name, tmp_path)]
    assert len(journals[0]) == len(journals[1])
    for ours, theirs in zip(*(map(json.loads, lines) for lines in journals), strict=True):
        assert ours["step"] == theirs["step"] and ours.keys() == theirs.keys()
        for key in ("loss", "train_loss", "gradient_norm"):
            if key in ours:
                assert ours[key] == pytest.approx(theirs[key], rel=1e-9)


def test_pieces_learn_what_whole_batches_do() -> None:
    for tokens in (False, True):
        case = {"samples": 37, "batch": 8, "tokens": tokens}
        whole = train(case, World())
        for pieces in (2, 3, 8):
            if tokens and pieces == 8:
                continue  # a piece of one sample may have no token at all: its weight is 0 and it is left out
            cut = train({**case, "pieces": pieces}, World())
            for name, value in whole.items():
                torch.testing.assert_close(cut[name], value, rtol=0, atol=1e-12)


@pytest.mark.slow
def test_averaging_by_hand_equals_torchs(two: tuple[Path, list[dict[str, Any]]]) -> None:
    for found in two[1]:
        for name, gradient in found["by torch"].items():
            torch.testing.assert_close(found["by hand"][name], gradient, rtol=0, atol=1e-15)


@pytest.mark.slow
def test_batchnorm_sees_its_own_share_only(two: tuple[Path, list[dict[str, Any]]]) -> None:
    """The joint batch has mean 5; each process normalises around its own mean, 0 and 10."""
    for rank, found in enumerate(two[1]):
        assert found["batch norm"]["output"].flatten().tolist() == pytest.approx([-1, 1], abs=1e-4)
        assert found["batch norm"]["running_mean"].item() == pytest.approx(0.1 * 10 * rank)
        assert "SyncBatchNorm expected input tensor to be on" in found["batch norm"]["sync"]


@pytest.mark.slow
def test_a_recipe_runs_under_torchrun_and_one_process_writes(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2",
        "-m", "viva.train", "digits-mlp", "--out", str(tmp_path / "run"), "--epochs", "2", "--threads", "1",
    ]  # fmt: skip
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("epoch 1/2") == 1 and "cpu × 2" in done.stderr and (tmp_path / "run" / "result.json").exists()
    again = subprocess.run([*command, "--resume"], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600)
    assert again.returncode == 0 and "on the test set" in again.stderr


if __name__ == "__main__":
    torch.set_num_threads(1)
    under_torchrun(Path(sys.argv[1]))
