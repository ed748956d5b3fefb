"""The loop: what a step computes, when it stops, what it writes and what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from viva.optim import SGD, AdamW, cosine, step_decay
from viva.train import seeds
from viva.train.batches import Batches, Held, size, to_device
from viva.train.checkpoints import CURRENT
from viva.train.journal import Journal
from viva.train.loop import Settings, Trainer
from viva.train.measures import classification, mean_iou
from viva.train.reporter import Reporter

QUIET = Reporter(silent=True)


def blobs(samples: int = 60) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(3, (samples,), generator=generator)
    return torch.randn(samples, 4, generator=generator) + torch.eye(3, 4)[labels] * 3, labels


def loss(model: nn.Module, batch: Any) -> Tensor:
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def trainer(model: nn.Module, **changes: Any) -> Trainer:
    settings = Settings(**{"epochs": 3, **changes.pop("settings", {})})
    return Trainer(
        model, changes.pop("loss", loss), changes.pop("batches", Batches(blobs(), 16)), settings,
        optimiser=changes.pop("optimiser", None) or SGD(model.parameters(), 0.1), reporter=QUIET, tensorboard=False, **changes,
    )  # fmt: skip


def test_the_loop_is_the_textbook_loop() -> None:
    """The same weights, to the bit, as a dozen lines anybody would write."""
    model, plain = nn.Linear(4, 3), nn.Linear(4, 3)
    plain.load_state_dict(model.state_dict())
    schedule = cosine(12)
    trainer(model, schedule=schedule, settings={"clip": 0.5, "seed": 9}, batches=Batches(blobs(), 16, seed=9)).run()
    optimiser = torch.optim.SGD(plain.parameters(), 0.1)
    inputs, labels = blobs()
    t = 0
    for epoch in range(3):
        for indices in torch.randperm(60, generator=seeds.stream(9, epoch)).split(16):
            optimiser.param_groups[0]["lr"] = 0.1 * schedule(t)
            optimiser.zero_grad()
            nn.functional.cross_entropy(plain(inputs[indices]), labels[indices]).backward()
            nn.utils.clip_grad_norm_(plain.parameters(), 0.5, foreach=False)
            optimiser.step()
            t += 1
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-7)


def test_early_stopping_waits_patiently_and_brings_the_best_weights_back() -> None:
    scores = iter([0.5, 0.8, 0.7, 0.8, 0.75, 0.99])
    model, seen = nn.Linear(4, 3), []

    def evaluate(model: nn.Module) -> dict[str, float]:
        seen.append(next(model.parameters()).detach().clone())
        return {"accuracy": next(scores)}

    outcome = trainer(model, evaluate=evaluate, settings={"epochs": 50, "patience": 3, "score": "accuracy", "higher_is_better": True}).run()
    assert outcome.stopped_early and outcome.finished and outcome.epoch == 5
    assert outcome.best == {"epoch": 2, "accuracy": 0.8}, "an equal score is no better one"
    assert torch.equal(next(model.parameters()), seen[1]) and not torch.equal(seen[1], seen[4])


def test_evaluation_leaves_the_training_as_it_was() -> None:
    """Dropout in training draws the same numbers whether or not an evaluation draws some in between."""
    found = []
    for evaluates in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3))

        def evaluate(model: nn.Module) -> dict[str, float]:
            assert not model.training and not torch.is_grad_enabled()
            torch.rand(100)
            return {"loss": -float(torch.rand(()))}

        run = trainer(model, evaluate=evaluate if evaluates else None, settings={"seed": 3})
        run.run()
        # The last weights, not the best ones.
        found.append(run.outcome.steps)
        found.append(torch.rand(()).item())
    assert found[:2] == found[2:]


@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
def test_every_precision_learns_and_keeps_float32_weights(precision: str) -> None:
    model = nn.Linear(4, 3)
    inputs, labels = blobs()
    seen = []

    def watched(model: nn.Module, batch: Any) -> Tensor:
        logits = model(batch[0])
        seen.append(logits.dtype)
        return nn.functional.cross_entropy(logits, batch[1])

    trainer(model, loss=watched, settings={"precision": precision, "epochs": 15}).run()
    assert (model(inputs).argmax(-1) == labels).float().mean() > 0.85
    assert model.weight.dtype is torch.float32
    assert set(seen) == {{"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]}


def test_a_step_of_its_own_leaves_mean_gradients() -> None:
    """A rule given as gradients learns what the same rule given as a loss does, in one piece and in three."""

    def step(model: nn.Module, batch: Any) -> Tensor:
        value = loss(model, batch)
        for parameter, gradient in zip(model.parameters(), torch.autograd.grad(value, list(model.parameters())), strict=True):
            parameter.grad = gradient
        return value.detach()

    found = []
    for pieces, rule in ((1, {"loss": loss}), (1, {"loss": None, "step": step}), (3, {"loss": None, "step": step})):
        torch.manual_seed(0)
        model = nn.Linear(4, 3).double()
        data = blobs()
        trainer(model, batches=Batches((data[0].double(), data[1]), 16, pieces=pieces), **rule).run()
        found.append(model.weight.detach())
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)
    torch.testing.assert_close(found[2], found[0], rtol=0, atol=1e-13)


def test_a_loss_that_is_no_number_stops_the_run_in_a_sentence(tmp_path: Path) -> None:
    model = nn.Linear(4, 3)
    with pytest.raises(FloatingPointError, match=r"the loss is nan at step 1: use a smaller learning rate"):
        trainer(model, loss=lambda model, batch: loss(model, batch) * math.nan, folder=tmp_path).run()


def test_the_journal_says_what_happened(tmp_path: Path) -> None:
    model = nn.Linear(4, 3)
    held = Held(blobs(), 16, torch.device("cpu"))
    trainer(
        model, folder=tmp_path, schedule=step_decay(4, 0.5), evaluate=lambda model: classification(model, held), settings={"log_every": 2, "epochs": 2},
    ).run()  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 3, 4, 5, 7, 8]
    assert [line["lr"] for line in lines if "lr" in line] == [0.1, 0.1, 0.05, 0.05]
    assert all(line["gradient_norm"] > 0 for line in lines if "lr" in line)
    assert [line["epoch"] for line in lines if "validation" in line] == [1, 2]
    assert set(lines[-1]["validation"]) == {"accuracy", "loss"} and lines[-1]["train_loss"] > 0


def test_tensorboard_gets_the_same_numbers(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    journal = Journal(tmp_path)
    journal.write({"step": 3, "epoch": 1, "loss": 0.5, "validation": {"accuracy": 0.25}}, batches_per_second=7.0)
    journal.close()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"]} == {"epoch": 1, "loss": 0.5, "validation/accuracy": 0.25, "batches_per_second": 7.0}
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 3, "epoch": 1, "loss": 0.5, "validation": {"accuracy": 0.25}}


def test_without_tensorboard_the_journal_is_the_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("viva.train.journal.has_tensorboard", lambda: False)
    journal = Journal(tmp_path)
    journal.write({"step": 1, "loss": 1.0})
    journal.close()
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_checkpoint_of_more_processes_goes_on_with_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from viva.train import checkpoints

    trainer(nn.Linear(4, 3), folder=tmp_path, settings={"epochs": 1}).run()
    saved, _ = checkpoints.load(tmp_path)
    assert saved is not None
    saved["processes"] *= 2
    saved["outcome"]["finished"] = False
    checkpoints.save(tmp_path, saved)
    model = nn.Linear(4, 3)
    Trainer(model, loss, Batches(blobs(), 16), Settings(epochs=2), optimiser=SGD(model.parameters(), 0.1), folder=tmp_path, resume=True, tensorboard=False).run()
    assert "written by 2 processes and 1 go on" in capsys.readouterr().err
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 3


def test_impossible_settings_are_named() -> None:
    for changes, says in (
        ({"epochs": 0}, "epochs is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"precision": "int8"}, "precision is 'int8'"),
        ({"clip": 0.0}, "clip is 0"),
        ({"patience": 0}, "patience is 0"),
    ):
        with pytest.raises(ValueError, match=says):
            Settings(**{"epochs": 1, **changes})
    model = nn.Linear(4, 3)
    with pytest.raises(ValueError, match="either a loss or a step"):
        trainer(model, loss=None)
    with pytest.raises(ValueError, match="needs an evaluation"):
        trainer(model, settings={"patience": 2})
    with pytest.raises(ValueError, match="run in float32"):
        trainer(model, loss=None, step=loss, settings={"precision": "bf16"})
    with pytest.raises(ValueError, match=r"returns accuracy; the score to go by is 'f1'"):
        trainer(model, evaluate=lambda model: {"accuracy": 1.0}, settings={"score": "f1"}).run()
    with pytest.raises(ValueError, match="weighs 0"):
        trainer(model, batches=Batches(blobs(), 16, weigh=lambda batch: 0)).run()


def test_a_resume_with_other_data_is_refused(tmp_path: Path) -> None:
    class Crash(Exception):
        pass

    def dying(model: nn.Module, batch: Any) -> Tensor:
        if (tmp_path / CURRENT).exists():
            raise Crash
        return loss(model, batch)

    with pytest.raises(Crash):
        trainer(nn.Linear(4, 3), loss=dying, folder=tmp_path, settings={"checkpoint_every": 3}).run()
    with pytest.raises(ValueError, match="stands at batch 3 of an epoch that has 2"):
        trainer(nn.Linear(4, 3), folder=tmp_path, resume=True, batches=Batches(blobs(), 32)).run()


@given(samples=st.integers(1, 60), batch=st.integers(1, 20), pieces=st.integers(1, 4), world=st.integers(1, 4), epoch=st.integers(0, 3), start=st.integers(0, 5))
def test_every_sample_comes_once_an_epoch_whoever_computes_it(samples: int, batch: int, pieces: int, world: int, epoch: int, start: int) -> None:
    data = (torch.arange(samples),)
    alone = [pieces_of[0][0][0] for pieces_of in Batches(data, batch, seed=5).epoch(epoch)]
    assert sorted(torch.cat(alone).tolist()) == list(range(samples))
    ranks = [list(Batches(data, batch, seed=5, pieces=pieces, rank=rank, world=world).epoch(epoch, start)) for rank in range(world)]
    for number, joint in enumerate(alone[start:]):
        shares = [piece for rank in ranks for piece in rank[number]]
        assert torch.equal(torch.cat([content[0] for content, weight in shares if weight]), joint)
        assert sum(weight for _, weight in shares) == len(joint) and len(shares) == pieces * world


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=5), st.integers(0, 4))
def test_neighbouring_addresses_draw_unrelated_numbers(address: list[int], place: int) -> None:
    other = list(address)
    other[place % len(address)] += 1
    assert torch.rand(4, generator=seeds.stream(*address)).tolist() == torch.rand(4, generator=seeds.stream(*address)).tolist()
    assert torch.rand(4, generator=seeds.stream(*address)).tolist() != torch.rand(4, generator=seeds.stream(*other)).tolist()


def test_batches_say_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="3 samples make no batch of 4"):
        Batches((torch.zeros(3),), 4, drop_last=True)
    with pytest.raises(ValueError, match="at least 1"):
        Batches((torch.zeros(3),), 0)
    with pytest.raises(ValueError, match=r"\[3, 4\] samples"):
        size((torch.zeros(3), torch.zeros(4)))


def test_batches_of_any_shape_reach_the_device() -> None:
    moved = to_device({"x": [torch.zeros(2), (torch.ones(1), "text", 3)]}, torch.device("meta"))
    assert moved["x"][0].is_meta and moved["x"][1][0].is_meta and moved["x"][1][1:] == ("text", 3)


def test_held_out_data_come_in_order_and_again() -> None:
    held = Held((torch.arange(10),), 4, torch.device("cpu"))
    for _ in range(2):
        assert [batch[0].tolist() for batch in held] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(held) == 3 and [len(b[0]) for b in Held((torch.arange(10),), 4, torch.device("cpu"), limit=2)] == [4, 4]


def test_measures_count_over_samples_not_over_batches() -> None:
    inputs, labels = blobs(10)
    model = nn.Linear(4, 3)
    whole, cut = (classification(model, Held((inputs, labels), n, torch.device("cpu"))) for n in (10, 3))
    assert whole["accuracy"] == cut["accuracy"] == int((model(inputs).argmax(-1) == labels).sum()) / 10
    assert whole["loss"] == pytest.approx(cut["loss"], rel=1e-6)
    assert mean_iou(torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]])) == pytest.approx((3 / 4 + 4 / 5) / 2)


def test_the_loop_takes_torchs_optimisers_too() -> None:
    found = []
    for make in (AdamW, torch.optim.AdamW):
        torch.manual_seed(0)
        model = nn.Linear(4, 3).double()
        data = blobs()
        trainer(model, optimiser=make(model.parameters(), lr=0.01), batches=Batches((data[0].double(), data[1]), 16)).run()
        found.append(model.weight.detach())
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-13)
