"""What a run says while it goes: a progress bar on a terminal, a line an epoch elsewhere, and a few sentences.

The sentences are data, so that a face of Viva can say them in another language: give `Reporter` a table of its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SENTENCES: dict[str, str] = {
    "begin": "{name}: {model} on {data}; {parameters:,} parameters, {device}, {precision}, seed {seed}",
    "resumed": "Resuming after step {steps}, in epoch {epoch}.",
    "damaged": "Not whole, so the one before it is taken: {problem}.",
    "processes": "The checkpoint was written by {before} processes and {now} go on: dropout and the like draw new numbers.",
    "epoch": "epoch {epoch}/{epochs}  {scores}",
    "early": "No better for {patience} evaluations: stopping; the weights of epoch {epoch} are kept.",
    "interrupted": "Stopped after step {steps}, in epoch {epoch}; the checkpoint is written. The same command with --resume goes on.",
    "tensorboard": "TensorBoard is not installed (pip install tensorboard): metrics go to metrics.jsonl alone.",
    "score": "{score} on the test set: {value:.4f} (target {target}). Weights: {weights}",
    "below": "Below the target.",
    "recorded": "Recorded in {path}.",
}


class Reporter:
    """Speaks on standard error. Use it as a context around the loop."""

    def __init__(self, sentences: Mapping[str, str] = SENTENCES, *, silent: bool = False) -> None:
        self.sentences, self.silent = {**SENTENCES, **sentences}, silent
        self.console = Console(file=sys.stderr, quiet=silent, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._total, self._done, self._first, self._since = 0, 0, 0, time.monotonic()

    def say(self, sentence: str, **values: Any) -> None:
        """One of the table's sentences, with its values."""
        self.console.print(self.sentences[sentence].format(**values), markup=False)

    def begin(self, total: int, done: int) -> None:
        """The loop is about to make steps done + 1 … total."""
        self._total, self._done, self._first, self._since = total, done, done, time.monotonic()

    @property
    def speed(self) -> float:
        """Joint batches a second since `begin`."""
        return (self._done - self._first) / max(time.monotonic() - self._since, 1e-9)

    def advance(self, done: int) -> None:
        self._done = done
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done)

    def loss(self, value: float) -> None:
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], loss=f"loss {value:.4g}")

    def epoch(self, line: dict[str, Any], epochs: int) -> None:
        scores = {"train_loss": line.get("train_loss"), **line.get("validation", {})}
        said = "  ".join(f"{name} {value:.4f}" for name, value in scores.items() if value is not None)
        self.say("epoch", epoch=line["epoch"], epochs=epochs, scores=said)

    def __enter__(self) -> Reporter:
        if self.console.is_terminal and not self.silent:
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"), TimeRemainingColumn())
            self._bar = Progress(*columns, console=self.console, transient=True)
            self._bar.add_task("", total=self._total, completed=self._done, loss="")
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
