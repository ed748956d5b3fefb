"""A recipe: one model, one data set and everything needed to train the one on the other to a stated score.

A recipe is a module of `viva.train.recipes` with a constant ``RECIPE``; its name is the module's with hyphens
(``digits_mlp.py`` → ``digits-mlp``). There is no list to edit. The smallest whole one is `recipes/digits_mlp.py`; copy it.

How the pieces meet (shapes and types are the recipe's own business):

    data()                        → Splits(train, validation, test), each a tuple of tensors (N, …) or anything with len
    model(splits)                 → nn.Module
    fetch(dataset, indices, gen)  → batch            a tuple, dict, dataclass … of tensors; gen is None when evaluating
    loss(model, batch)            → mean loss        over the weigh(batch) items of the batch
    evaluate(model, held)         → {"accuracy": …}  held: iterable of batches in order, already on the device
    train …, keep the weights with the best ``score`` (or ``monitor``) on *validation*, then evaluate once on *test*: that is the score

The test split is looked at once, by `run`, after training: a recipe must not choose anything by it.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import pkgutil
import platform
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import nn

from viva.models.checkpoint import save_checkpoint
from viva.optim import Schedule, constant
from viva.train import batches, checkpoints, journal, seeds
from viva.train.batches import Batches, Fetch, Held, Order, Weigh
from viva.train.loop import Loss, Precision, Settings, Trainer
from viva.train.parallel import World
from viva.train.reporter import Reporter

RECORDS = Path(__file__).with_name("records")


class RecipeError(ValueError):
    """A run that was asked for cannot be: the sentence says why and what to do. ``kind`` names it, for translations."""

    def __init__(self, kind: str, sentence: str, **values: Any) -> None:
        super().__init__(sentence.format(**values))
        self.kind, self.values = kind, values


@dataclass(frozen=True)
class Splits:
    """Three disjoint parts of a data set. ``train`` is fitted, ``validation`` chooses, ``test`` is looked at once."""

    train: Any
    validation: Any
    test: Any


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to train on what, how, and how good it has to get.

    In the order in which one reads it:

    about:     one sentence for ``viva train --list``: "MLP 64-128-10 on 8×8 digits".
    model_name, data_name: its two columns.
    data:      () → Splits. Split by what leaks (writer, scene, document), with a fixed seed of its own: every run and
               every seed sees the same test set. Tokenisers are fitted on ``train`` alone.
    model:     Splits → model, freshly initialised (after the seeds were set). The splits are there for vocabulary sizes.
    loss:      (model, batch) → mean loss, a scalar tensor; or {"loss": …, "part": …} to have the parts written down too.
               Call whatever the model offers. The mean runs over weigh(batch) items.
    step:      instead of ``loss``: (model, batch) → number, leaving the batch's mean gradient in ``.grad``; for rules that
               are not the gradient of a loss (contrastive divergence). Float32 only. State that must survive a resume
               (persistent chains) belongs into a buffer of the model.
    evaluate:  (model, held) → {name: number}, called in eval mode without gradients. ``held`` yields batches in order and
               may be iterated over again; ``held.dataset`` is the split itself. Generate, decode, compare as you like;
               random numbers drawn here are seeded and do not touch the training's.
    score:     which of those numbers counts; ``higher_is_better`` says which way.
    monitor:   the number by which weights are chosen and patience is counted, where that is not the score; lower is better.
               On a small validation set many epochs tie in accuracy, and "loss" tells them apart.
    target:    what the score on the *test* split has to reach with the settings here, on every ordinary seed.
    minutes:   about how long that takes on two CPU cores.

    epochs, batch_size, lr: batch_size counts samples of a joint batch (one optimiser step), whoever computes them.
    optimiser: (model, lr) → optimiser: ``lambda model, lr: AdamW(decay_groups(model, 0.05), lr)``.
    schedule:  number of steps of the whole run → Schedule: ``lambda steps: warmup_cosine(steps // 10, steps)``.
    clip:      largest global norm of the gradient.
    patience:  evaluations (one an epoch) without a better validation score before stopping.
    accumulate: into how many pieces a joint batch is cut, where it does not fit into memory; learns the same, except that
               BatchNorm normalises each piece by itself.

    fetch:     (dataset, indices (B,), generator | None) → batch. Default: index a tuple of tensors, or collate items. Draw
               augmentation, masks and crops from ``generator`` and from nothing else; None means: none of them.
    order:     (dataset, generator) → indices of one epoch. Default: all, shuffled. For balanced sampling or buckets.
    weigh:     batch → number of items its mean loss runs over, when that is not the number of samples: masked tokens,
               target tokens without padding. At least 1.
    drop_last: leave out a last joint batch that is not full (BatchNorm cannot train on one sample).
    held_batch_size: for evaluation (default: batch_size).
    channels_last: keep convolutions' weights and maps with the channels together in memory: faster, the same numbers.
    """

    about: str
    model_name: str
    data_name: str
    data: Callable[[], Splits]
    model: Callable[[Splits], nn.Module]
    evaluate: Callable[[nn.Module, Held], dict[str, float]]
    score: str
    target: float
    minutes: float
    epochs: int
    batch_size: int
    lr: float
    optimiser: Callable[[nn.Module, float], torch.optim.Optimizer]
    loss: Loss | None = None
    step: Loss | None = None
    schedule: Callable[[int], Schedule] = lambda steps: constant()
    higher_is_better: bool = True
    monitor: str | None = None
    clip: float | None = None
    patience: int | None = None
    accumulate: int = 1
    fetch: Fetch = batches.fetch
    order: Order = batches.shuffled
    weigh: Weigh | None = None
    drop_last: bool = False
    held_batch_size: int | None = None
    channels_last: bool = False
    checkpoint_every: int | None = None
    log_every: int = 20

    def reached(self, value: float) -> bool:
        """Whether a score meets the target."""
        return value >= self.target if self.higher_is_better else value <= self.target


# Finding them


def names() -> list[str]:
    """The names of all recipes, sorted."""
    package = importlib.import_module("viva.train.recipes")
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(package.__path__))


def find(name: str) -> Recipe:
    """The recipe of that name. Raises RecipeError, with similar names, where there is none."""
    there = names()
    if name not in there:
        near = get_close_matches(name, there, n=3, cutoff=0.4) or there
        raise RecipeError("unknown", "there is no recipe '{name}'; there are {near}", name=name[:80], near=", ".join(near))
    recipe = importlib.import_module(f"viva.train.recipes.{name.replace('-', '_')}").RECIPE
    assert isinstance(recipe, Recipe)
    return recipe


def record(name: str) -> dict[str, Any] | None:
    """The committed result of a recipe, as `run` wrote it."""
    path = RECORDS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


# Running them


@dataclass(frozen=True)
class Options:
    """What a run may be asked for. None: as the recipe says. `python -m viva.train` makes its command line of these."""

    out: Path | None = field(default=None, metadata={"help": "folder for checkpoints, metrics and weights (default: runs/NAME)"})
    epochs: int | None = field(default=None, metadata={"help": "passes over the training set"})
    batch_size: int | None = field(default=None, metadata={"help": "samples of one optimiser step, over all processes"})
    lr: float | None = field(default=None, metadata={"help": "learning rate"})
    accumulate: int | None = field(default=None, metadata={"help": "cut each batch into so many pieces (needs less memory, learns the same)"})
    device: str = field(default="cpu", metadata={"help": "cpu or cuda"})
    precision: Precision = field(default="float32", metadata={"help": "float32, bf16 or fp16 (autocast)"})
    seed: int = field(default=0, metadata={"help": "of weights, order, dropout and augmentation"})
    threads: int | None = field(default=None, metadata={"help": "CPU threads"})
    workers: int = field(default=0, metadata={"help": "processes that prepare batches"})
    limit_batches: int | None = field(default=None, metadata={"help": "use so many batches of each part only: a smoke run"})
    deterministic: bool = field(default=False, metadata={"help": "deterministic kernels only (bit-exact on CUDA, slower)"})
    resume: bool = field(default=False, metadata={"help": "go on where the folder's checkpoint stands"})
    record: bool = field(default=False, metadata={"help": "write the score into the recipe's record"})


# What a resumed run has to be asked for again, or it would be another run.
_KEPT = ("recipe", "epochs", "batch_size", "lr", "accumulate", "precision", "seed", "limit_batches", "deterministic")
# More threads or processes than any machine has cores: OpenMP ends the process instead of refusing them.
_MOST_THREADS = 1024
# With one of these the score is not the recipe's.
_OVERRIDES = ("epochs", "batch_size", "lr", "accumulate", "limit_batches")


@dataclass(frozen=True)
class Result:
    """``score`` on the test split; None for a run that was interrupted. ``scores``: all of the evaluation's numbers."""

    finished: bool
    folder: Path
    score: float | None = None
    scores: dict[str, float] = field(default_factory=dict)
    recorded: Path | None = None


def run(name: str, options: Options | None = None, *, recipe: Recipe | None = None, reporter: Reporter | None = None, records: Path = RECORDS) -> Result:
    """Trains a recipe and leaves, in ``options.out``:

    ``checkpoint.pt`` (and the one before it), ``metrics.jsonl``, ``tensorboard/``, ``config.json``, and at the end
    ``model.safetensors`` with the best weights and ``result.json`` with their scores.

    ``recipe``: one that is not in the package, called ``name``. Raises RecipeError for what cannot be done.
    """
    recipe, options = recipe or find(name), options or Options()
    folder = options.out or Path("runs") / name
    _check(recipe, options, folder)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it starts
    world = World(options.device)
    reporter = (reporter or Reporter()) if world.leads else Reporter(silent=True)
    try:
        return _run(name, recipe, options, folder, world, reporter, records)
    finally:
        world.leave()


def _check(recipe: Recipe, options: Options, folder: Path) -> None:
    kind, _, number = options.device.partition(":")
    if kind not in ("cpu", "cuda") or (":" in options.device and not (kind == "cuda" and number.isascii() and number.isdigit())):
        raise RecipeError("device", "device is '{device}'; it is cpu or cuda", device=options.device)
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise RecipeError("no-cuda", "torch {version} sees no CUDA device here; use --device cpu", version=torch.__version__)
    for name in ("epochs", "batch_size", "accumulate", "threads", "limit_batches"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise RecipeError("small", "{name} is {value}; it has to be at least 1", name=name.replace("_", "-"), value=value)
    for name, wanted, right in (
        ("lr", "0 < lr < ∞", lambda value: 0 < value < math.inf),
        ("seed", "0 ≤ seed < 2⁶³", lambda value: 0 <= value < 2**63),
        ("threads", f"1 ≤ threads ≤ {_MOST_THREADS}", lambda value: value <= _MOST_THREADS),
        ("workers", f"0 ≤ workers ≤ {_MOST_THREADS}", lambda value: 0 <= value <= _MOST_THREADS),
    ):
        value = getattr(options, name)
        if value is not None and not right(value):
            raise RecipeError("range", "{name} is {value}; expected {wanted}", name=name, value=value, wanted=wanted)
    overridden = [name.replace("_", "-") for name in _OVERRIDES if getattr(options, name) is not None]
    if options.record and overridden:
        raise RecipeError("override", "a record is of the recipe as it stands; leave out {names}", names=", ".join(f"--{name}" for name in overridden))
    if not options.resume and any((folder / name).exists() for name in (checkpoints.CURRENT, checkpoints.PREVIOUS)):
        raise RecipeError("taken", "{folder} holds a run: go on with --resume, or name another folder with --out", folder=folder)


def _run(name: str, recipe: Recipe, options: Options, folder: Path, world: World, reporter: Reporter, records: Path) -> Result:
    chosen = {key: getattr(recipe, key) if getattr(options, key) is None else getattr(options, key) for key in ("epochs", "batch_size", "lr", "accumulate")}
    config = {"recipe": name, **chosen, **{key: value for key, value in asdict(options).items() if key not in chosen and key not in ("out", "resume", "record")}}
    if world.leads:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecipeError(
                "unwritable",
                "{folder} cannot be written ({reason}): name another folder with --out",
                folder=folder,
                reason=error.strerror,
            ) from None
        _write_config(folder / "config.json", config, options.resume)
    splits = recipe.data()
    limit = options.limit_batches
    train = Batches(
        splits.train,
        chosen["batch_size"],
        seed=options.seed,
        fetch=recipe.fetch,
        order=recipe.order,
        weigh=recipe.weigh,
        drop_last=recipe.drop_last,
        limit=limit,
        pieces=chosen["accumulate"],
        rank=world.rank,
        world=world.size,
        workers=options.workers,
    )
    held = {
        part: Held(getattr(splits, part), recipe.held_batch_size or recipe.batch_size, world.device, fetch=recipe.fetch, limit=limit)
        for part in ("validation", "test")
    }
    seeds.seed_everything(options.seed)  # the same weights on every rank
    model = recipe.model(splits).to(world.device)
    if recipe.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    settings = Settings(
        epochs=chosen["epochs"],
        clip=recipe.clip,
        precision=options.precision,
        score=recipe.monitor or recipe.score,
        higher_is_better=recipe.higher_is_better and recipe.monitor is None,
        patience=recipe.patience,
        checkpoint_every=recipe.checkpoint_every,
        log_every=recipe.log_every,
        seed=options.seed,
        deterministic=options.deterministic,
    )
    reporter.say(
        "begin",
        name=name,
        model=recipe.model_name,
        data=recipe.data_name,
        parameters=sum(p.numel() for p in model.parameters()),
        device=str(world.device) + (f" × {world.size}" if world.size > 1 else ""),
        precision=options.precision,
        seed=options.seed,
    )
    if not journal.has_tensorboard():
        reporter.say("tensorboard")
    trainer = Trainer(
        model,
        recipe.loss,
        train,
        settings,
        optimiser=recipe.optimiser(model, chosen["lr"]),
        schedule=recipe.schedule(settings.epochs * len(train)),
        step=recipe.step,
        evaluate=lambda model: recipe.evaluate(model, held["validation"]),
        folder=folder,
        resume=options.resume,
        world=world,
        reporter=reporter,
    )
    outcome = trainer.run()
    if not outcome.finished:
        return Result(False, folder)
    weights, found = folder / "model.safetensors", folder / "result.json"
    # Once: a finished run that is asked again answers from its file.
    scores: dict[str, float] | None = world.from_leader(json.loads(found.read_text())["test"] if world.leads and found.exists() else None)
    if scores is None:
        scores = trainer.held_out(lambda model: recipe.evaluate(model, held["test"]))
        if world.leads:
            save_checkpoint(model, weights)
            _write_json(found, {"test": scores, "validation": outcome.best, "epochs": outcome.epoch, "steps": outcome.steps, "seconds": round(outcome.seconds, 1)})
    value = scores[recipe.score]
    reporter.say("score", score=recipe.score, value=value, target=recipe.target, weights=weights)
    if not recipe.reached(value):
        reporter.say("below")
    recorded = None
    if options.record and world.leads:
        recorded = _record(name, recipe, options, scores, outcome.epoch, outcome.seconds, world, records)
        reporter.say("recorded", path=recorded)
    return Result(True, folder, value, scores, recorded)


def _write_config(path: Path, config: dict[str, Any], resume: bool) -> None:
    """Writes the run's settings; a resumed run has to have the ones it began with."""
    if resume and path.exists():
        try:
            before = dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise RecipeError("config", "{path} is no run's settings ({reason}): start again with another --out", path=path, reason=error) from None
        for key in _KEPT:
            if before.get(key) != config[key]:
                raise RecipeError(
                    "other-settings",
                    "the run in {folder} began with {key} {before} and is asked to go on with {now}: give the same, or another --out",
                    folder=path.parent,
                    key=key.replace("_", "-"),
                    before=before.get(key),
                    now=config[key],
                )
    _write_json(path, {**config, **_surroundings()})


def _write_json(path: Path, value: dict[str, Any]) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    os.replace(fresh, path)


def _surroundings() -> dict[str, Any]:
    from viva import __version__

    return {"versions": {"viva": __version__, "torch": torch.__version__, "python": platform.python_version()}, "machine_threads": torch.get_num_threads()}


def _record(name: str, recipe: Recipe, options: Options, scores: dict[str, float], epochs: int, seconds: float, world: World, records: Path) -> Path:
    value = scores[recipe.score]
    if not recipe.reached(value):
        raise RecipeError("below", "{score} is {value:.4f} and the target {target}: not recorded", score=recipe.score, value=value, target=recipe.target)
    command = ["viva", "train", name]
    for key, given in asdict(options).items():
        if key == "out" or given == getattr(Options(), key):
            continue
        command += [f"--{key.replace('_', '-')}"] + ([] if given is True else [str(given)])
    records.mkdir(parents=True, exist_ok=True)
    path = records / f"{name}.json"
    _write_json(
        path,
        {
            "name": name,
            "model": recipe.model_name,
            "data": recipe.data_name,
            "score": recipe.score,
            "value": round(value, 6),
            "target": recipe.target,
            "test": {key: round(number, 6) for key, number in scores.items() if math.isfinite(number)},
            "seed": options.seed,
            "epochs": epochs,
            "seconds": round(seconds, 1),
            "device": world.device.type,
            "precision": options.precision,
            "processes": world.size,
            "threads": torch.get_num_threads(),
            "versions": _surroundings()["versions"],
            "command": shlex.join(command),
        },
    )
    return path
