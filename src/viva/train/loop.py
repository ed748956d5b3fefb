"""The training loop: one step, said once, for every model here.

For each joint batch (see `batches`), cut into pieces that fit into memory and shared between processes:

    for every piece:      loss = mean over the piece, in mixed precision;  (loss · weight / total weight).backward()
    across processes:     gradients are averaged (see `parallel`)
    once:                 clip the global norm;  η_t = η · schedule(t);  optimiser step;  gradients to None

and after each epoch: evaluate on held-out data, keep the best weights, stop early when nothing got better for
``patience`` evaluations, write a checkpoint. The sum over pieces and processes is the mean over the real number of
samples (or tokens) of the joint batch, never a mean of means, so neither the number of pieces nor of processes
changes what is learnt.

Mixed precision: ``bf16`` runs matrix products in bfloat16 under autocast; weights, gradients and optimiser state stay
float32. ``fp16`` does so in float16, whose smallest number is 6e-8: GradScaler multiplies the loss so that small
gradients survive, divides before the step, and skips steps that overflowed.

A checkpoint holds all that decides what comes next: weights, optimiser, scaler, every generator of every process, the
position in the epoch, the best weights so far, the patience left and the length of the journal. A run that was killed
and resumed therefore ends in the same bits as one that was not (same machine, device, number of threads and processes;
on CUDA with ``deterministic=True``).
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from viva.optim import Schedule, clip_by_global_norm, constant, global_norm, set_learning_rate
from viva.train import checkpoints, seeds
from viva.train.batches import Batches, Piece, to_device
from viva.train.journal import Journal
from viva.train.parallel import World, average_gradients, share_weights
from viva.train.reporter import Reporter

Precision = Literal["float32", "bf16", "fp16"]
Parts = Tensor | dict[str, Tensor]
Loss = Callable[[nn.Module, Any], Parts]  # (model, batch) → the mean loss, or {"loss": …, other parts to write down}
Evaluate = Callable[[nn.Module], dict[str, float]]
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Settings:
    """How to train, whatever the model. What it says is checked when it is made (ValueError)."""

    epochs: int
    clip: float | None = None  # largest global norm of the gradient
    precision: Precision = "float32"
    score: str = "loss"  # the evaluation's number that decides which weights are best
    higher_is_better: bool = False
    patience: int | None = None  # evaluations without a better score before stopping
    evaluate_every: int = 1  # epochs
    checkpoint_every: int | None = None  # steps; besides one after every epoch
    log_every: int = 20  # steps
    seed: int = 0
    deterministic: bool = False  # only deterministic kernels: needed for equal bits on CUDA, slower

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "evaluate_every", "checkpoint_every", "log_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it has to be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it has to be at least 0")
        if self.precision not in ("float32", *_TYPES):
            raise ValueError(f"precision is {self.precision!r}; it is one of 'float32', 'bf16' and 'fp16'")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip is {self.clip}; the largest norm has to be above 0 (None: do not clip)")


@dataclass
class Outcome:
    """What became of a run. ``history``: one evaluation each, with its epoch; ``best``: the one that was kept."""

    steps: int = 0
    epoch: int = 0  # epochs done
    finished: bool = False  # False: interrupted, to be resumed
    stopped_early: bool = False
    best: dict[str, Any] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0  # spent in the loop, earlier sessions included


class _Objective(nn.Module):
    """Model and loss as one module: DistributedDataParallel sees a forward pass whatever the loss calls in the model."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, batch: Any, weight: int = 1) -> Parts:
        if weight == 0:  # nothing to learn from here, but the peers wait for this rank's gradients: zeros
            return next(p for p in self.model.parameters() if p.requires_grad).sum() * 0
        return self.loss(self.model, batch)


class Trainer:
    """One run. ``Trainer(...).run()`` trains, or goes on where the folder's checkpoint stands.

    model: on its device, in train mode or not. loss: see `Loss`; its mean is over as many items as ``batches.weigh`` says.
    step: instead of ``loss``, for learning rules that are no gradient of a loss (contrastive divergence): leaves the
    batch's *mean* gradient in each parameter's ``.grad`` and returns the number to report. evaluate: on held-out data;
    runs on the leading process, in eval mode, without gradients and without touching the run's random numbers.
    folder: for checkpoints and the journal; None keeps the run in memory.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss | None,
        batches: Batches,
        settings: Settings,
        *,
        optimiser: torch.optim.Optimizer,
        schedule: Schedule | None = None,
        step: Loss | None = None,
        evaluate: Evaluate | None = None,
        folder: Path | None = None,
        resume: bool = False,
        world: World | None = None,
        reporter: Reporter | None = None,
        tensorboard: bool = True,
    ) -> None:
        if (loss is None) == (step is None):
            raise ValueError("give either a loss or a step of its own, not both or neither")
        if step is not None and settings.precision != "float32":
            raise ValueError(f"a step of its own computes gradients itself and is run in float32; precision is {settings.precision!r}")
        if settings.patience is not None and evaluate is None:
            raise ValueError(f"patience {settings.patience} needs an evaluation to wait for; give evaluate=")
        self.model, self.batches, self.settings, self.optimiser = model, batches, settings, optimiser
        self.schedule = schedule or constant()
        self.step, self.evaluate, self.folder = step, evaluate, folder
        self.world = world or World()
        self.reporter = (reporter or Reporter()) if self.world.leads else Reporter(silent=True)
        self.device = next(model.parameters()).device
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=settings.precision == "fp16")
        self.outcome = Outcome()
        self.position = 0  # joint batches done in this epoch
        self.waited = 0  # evaluations since the best one
        self.best_weights: dict[str, Tensor] | None = None
        self.sums = torch.zeros(2, dtype=torch.float64, device=self.device)  # this epoch: Σ loss · weight, Σ weight
        self._stop = False
        self._began = time.monotonic()
        if settings.deterministic:
            torch.use_deterministic_algorithms(True, warn_only=True)
            torch.backends.cudnn.benchmark = False
        seeds.seed_everything(settings.seed, self.world.rank)
        saved = self._open_checkpoint() if resume and folder is not None else None
        self.journal = Journal(
            folder if self.world.leads else None,
            keep_bytes=saved["journal"] if saved else None,
            from_step=saved["steps"] if saved else 0,
            tensorboard=tensorboard,
        )
        if self.world.size > 1 and step is not None:
            share_weights(model)
        self.objective: nn.Module | None = None
        if loss is not None:
            objective = _Objective(model, loss)
            # Parameters that a loss leaves out (BERT's pooler under MLM) must not be waited for.
            self.objective = DistributedDataParallel(objective, find_unused_parameters=True) if self.world.size > 1 else objective
        if saved is not None:
            # After wrapping, which makes every rank's buffers rank 0's.
            self._restore(saved)

    # The run

    def run(self) -> Outcome:
        """Trains to the end, or until SIGINT or SIGTERM asks to stop after the step at hand; ends with a checkpoint."""
        done = self.outcome
        if done.finished:
            return done
        self.reporter.begin(self.settings.epochs * len(self.batches), done.steps)
        with self._listening(), self.reporter:
            try:
                while done.epoch < self.settings.epochs and not done.stopped_early:
                    self.model.train()
                    for pieces in self.batches.epoch(done.epoch, start=self.position):
                        self._step(pieces)
                        if self._asked_to_stop():
                            self.save()
                            self.reporter.say("interrupted", steps=done.steps, epoch=done.epoch + 1)
                            return done
                        if self.settings.checkpoint_every and done.steps % self.settings.checkpoint_every == 0:
                            self.save()
                    self._end_epoch()
                if self.best_weights is not None:
                    self.model.load_state_dict(self.best_weights)
                    self.best_weights = None
                done.finished = True
                self.save()
            finally:
                self.journal.close()
        return done

    def _step(self, pieces: list[Piece]) -> None:
        """One optimiser step on one joint batch, of which ``pieces`` are this process's share."""
        rate = set_learning_rate(self.optimiser, self.schedule, self.outcome.steps)
        (total,) = self.world.total(sum(weight for _, weight in pieces))
        if total == 0:
            raise ValueError(f"the batch of step {self.outcome.steps + 1} weighs 0: weigh= counted nothing that the loss could average over")
        parts = {"loss": torch.zeros((), dtype=torch.float64, device=self.device)}  # Σ value · weight
        for number, (batch, weight) in enumerate(pieces):
            last = number == len(pieces) - 1
            if weight == 0 and not (last and isinstance(self.objective, DistributedDataParallel)):
                continue
            for name, value in self._backward(to_device(batch, self.device), weight, weight * self.world.size / total, last).items():
                parts[name] = parts.get(name, 0) + value.detach().double() * weight
        if self.step is not None and self.world.size > 1:
            average_gradients(self.model.parameters())
        self.sums += torch.stack([parts["loss"], torch.full_like(parts["loss"], sum(weight for _, weight in pieces))])
        self.scaler.unscale_(self.optimiser)
        logs = self.outcome.steps % self.settings.log_every == 0
        norm = None
        if self.settings.clip is not None:
            norm = clip_by_global_norm(self.model.parameters(), self.settings.clip)
        elif logs:
            norm = global_norm(p.grad for p in self.model.parameters() if p.grad is not None)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        self.outcome.steps += 1
        self.position += 1
        if logs:
            self._log(parts, total, rate, norm)
        self.reporter.advance(self.outcome.steps)

    def _backward(self, batch: Any, weight: int, share: float, last: bool) -> dict[str, Tensor]:
        """Adds ``share`` times the gradient of a piece's mean loss to ``.grad``; returns the loss and its parts."""
        if self.step is not None:
            before = [parameter.grad for parameter in self.model.parameters()]
            self.optimiser.zero_grad(set_to_none=True)
            found = _named(self.step(self.model, batch))
            for parameter, sum_so_far in zip(self.model.parameters(), before, strict=True):
                if parameter.grad is not None:
                    parameter.grad.mul_(share)
                    if sum_so_far is not None:
                        parameter.grad.add_(sum_so_far)
                else:
                    parameter.grad = sum_so_far
            return found
        assert self.objective is not None
        # Gradients travel once a step, with the last piece.
        waits = isinstance(self.objective, DistributedDataParallel) and not last
        with self.objective.no_sync() if waits else nullcontext():  # type: ignore[operator]
            with self._autocast():
                found = _named(self.objective(batch, weight))
            self.scaler.scale(found["loss"] * share).backward()
        return found

    def _autocast(self) -> AbstractContextManager[Any]:
        kind = _TYPES.get(self.settings.precision)
        return torch.autocast(self.device.type, kind) if kind is not None else nullcontext()

    def _log(self, parts: dict[str, Tensor], total: float, rate: float, norm: Tensor | None) -> None:
        sums: dict[str, float] = {}
        for own in self.world.gather({name: part.item() for name, part in parts.items()}):
            for name, value in own.items():  # a rank without samples has no parts
                sums[name] = sums.get(name, 0.0) + value
        means = self.world.from_leader({name: value / total for name, value in sums.items()})
        line: dict[str, Any] = {"step": self.outcome.steps, "epoch": self.outcome.epoch + 1, **means, "lr": rate}
        if not math.isfinite(line["loss"]):
            raise FloatingPointError(f"the loss is {line['loss']} at step {self.outcome.steps}: use a smaller learning rate, a longer warm-up or clip the gradient")
        if norm is not None and math.isfinite(norm.item()):  # fp16 may overflow once: that step was skipped
            line["gradient_norm"] = norm.item()
        self.journal.write(line, batches_per_second=self.reporter.speed)
        self.reporter.loss(line["loss"])

    def _end_epoch(self) -> None:
        """Evaluation, best weights, patience, checkpoint."""
        done, settings = self.outcome, self.settings
        loss, weight = self.world.total(*self.sums.tolist())
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss of epoch {done.epoch + 1} is {loss}: use a smaller learning rate, a longer warm-up or clip the gradient")
        self.sums.zero_()
        done.epoch += 1
        self.position = 0
        line: dict[str, Any] = {"step": done.steps, "epoch": done.epoch}
        if weight:
            line["train_loss"] = loss / weight
        if self.evaluate is not None and (done.epoch % settings.evaluate_every == 0 or done.epoch == settings.epochs):
            scores = self.held_out(self.evaluate)
            if settings.score not in scores:
                raise ValueError(f"the evaluation returns {', '.join(scores)}; the score to go by is {settings.score!r}")
            line["validation"] = scores
            done.history.append({"epoch": done.epoch, **scores})
            if self._is_better(scores[settings.score]):
                done.best, self.waited = done.history[-1], 0
                self.best_weights = {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}
            else:
                self.waited += 1
                done.stopped_early = settings.patience is not None and self.waited >= settings.patience
        self.journal.write(line)
        self.reporter.epoch(line, settings.epochs)
        if done.stopped_early:
            self.reporter.say("early", patience=settings.patience, epoch=done.best["epoch"] if done.best else 0)
        self.save()

    def _is_better(self, score: float) -> bool:
        if self.outcome.best is None:
            return True
        best = self.outcome.best[self.settings.score]
        return score > best if self.settings.higher_is_better else score < best

    def held_out(self, evaluate: Evaluate) -> dict[str, float]:
        """An evaluation's scores, the same on every process; the run's random numbers stay where they are."""
        scores: dict[str, float] | None = None
        if self.world.leads:
            training = self.model.training
            self.model.eval()
            with seeds.aside(self.settings.seed), torch.no_grad(), self._autocast():
                scores = {name: float(value) for name, value in evaluate(self.model).items()}
            self.model.train(training)
        shared: dict[str, float] = self.world.from_leader(scores)
        return shared

    # Stopping

    def _asked_to_stop(self) -> bool:
        # All processes stop after the same step, or the others would wait for ever.
        return self._stop if self.world.size == 1 else self.world.total(float(self._stop))[0] > 0

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """The first SIGINT or SIGTERM asks; a second one does what it always does."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def ask(number: int, frame: Any) -> None:
            self._stop = True
            signal.signal(number, before[number])  # type: ignore[index]

        for number in before:
            signal.signal(number, ask)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # Checkpoints

    def save(self) -> None:
        """Writes a checkpoint of this very moment (nothing without a folder)."""
        now = time.monotonic()
        self.outcome.seconds += now - self._began
        self._began = now
        if self.folder is None:
            return
        # What differs between processes: random numbers, buffers (BatchNorm, persistent chains), sums.
        own = {"random": seeds.state(), "buffers": {name: buffer.cpu() for name, buffer in self.model.named_buffers()}, "sums": self.sums.cpu()}
        every = self.world.gather(own)
        if not self.world.leads:
            return
        checkpoints.save(
            self.folder,
            {
                "model": self.model.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "scaler": self.scaler.state_dict(),
                "processes": every,
                "steps": self.outcome.steps,
                "position": self.position,
                "outcome": dict(vars(self.outcome)),
                "waited": self.waited,
                "best_weights": self.best_weights,
                "journal": self.journal.position(),
            },
        )

    def _open_checkpoint(self) -> dict[str, Any] | None:
        assert self.folder is not None
        saved, damaged = checkpoints.load(self.folder)
        for sentence in damaged:
            self.reporter.say("damaged", problem=sentence)
        if saved is None:
            return None
        if saved["position"] > len(self.batches):
            raise ValueError(f"the checkpoint stands at batch {saved['position']} of an epoch that has {len(self.batches)}: the data or the batch size differ")
        self.reporter.say("resumed", steps=saved["steps"], epoch=saved["outcome"]["epoch"] + 1)
        return saved

    def _restore(self, saved: dict[str, Any]) -> None:
        try:
            self.model.load_state_dict(saved["model"])
            self.optimiser.load_state_dict(saved["optimiser"])
        except (RuntimeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"the checkpoint in {self.folder} is of another model or optimiser ({reason}): start again in another folder") from None
        self.scaler.load_state_dict(saved["scaler"])
        self.outcome = Outcome(**saved["outcome"])
        self.position, self.waited, self.best_weights = saved["position"], saved["waited"], saved["best_weights"]
        if len(saved["processes"]) != self.world.size:
            self.reporter.say("processes", before=len(saved["processes"]), now=self.world.size)
            seeds.seed_everything(seeds.stream_seed(self.settings.seed, saved["steps"]), self.world.rank)
            if self.world.leads:
                self.sums.copy_(sum(own["sums"] for own in saved["processes"]))
            return
        own = saved["processes"][self.world.rank]
        buffers = dict(self.model.named_buffers())
        for name, value in own["buffers"].items():
            buffers[name].copy_(value)
        self.sums.copy_(own["sums"])
        seeds.restore(own["random"])


def _named(parts: Parts) -> dict[str, Tensor]:
    return parts if isinstance(parts, dict) else {"loss": parts}
