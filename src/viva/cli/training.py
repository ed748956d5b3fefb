"""``viva train``: recipes that train a model to a stated score."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from viva.cli.say import say

# What `viva.train.reporter` says, in both languages.
SENTENCES = {
    "begin": say(
        "{name}: {data}에 {model}. 가중치 {parameters:,}개, {device}, {precision}, 시드 {seed}",
        "{name}: {model} on {data}; {parameters:,} parameters, {device}, {precision}, seed {seed}",
    ),
    "resumed": say("{steps}단계까지 한 데서 이어 갑니다 ({epoch}번째 에폭).", "Resuming after step {steps}, in epoch {epoch}."),
    "damaged": say("온전하지 않아 그 앞의 것을 씁니다: {problem}", "Not whole, so the one before it is taken: {problem}."),
    "processes": say(
        "프로세스 {before}개가 쓴 체크포인트를 {now}개가 이어 갑니다. 드롭아웃 등은 새 난수를 뽑습니다.",
        "The checkpoint was written by {before} processes and {now} go on: dropout and the like draw new numbers.",
    ),
    "epoch": say("에폭 {epoch}/{epochs}  {scores}", "epoch {epoch}/{epochs}  {scores}"),
    "early": say(
        "{patience}번을 재도 나아지지 않아 멈춥니다. {epoch}번째 에폭의 가중치를 남깁니다.",
        "No better for {patience} evaluations: stopping; the weights of epoch {epoch} are kept.",
    ),
    "interrupted": say(
        "{steps}단계({epoch}번째 에폭) 뒤에 멈췄고 체크포인트를 썼습니다. 같은 명령에 --resume을 붙이면 이어 갑니다.",
        "Stopped after step {steps}, in epoch {epoch}; the checkpoint is written. The same command with --resume goes on.",
    ),
    "tensorboard": say(
        "TensorBoard가 없어 (pip install tensorboard) 기록은 metrics.jsonl에만 남습니다.",
        "TensorBoard is not installed (pip install tensorboard): metrics go to metrics.jsonl alone.",
    ),
    "score": say("시험 집합 {score} {value:.4f} (목표 {target}). 가중치: {weights}", "{score} on the test set: {value:.4f} (target {target}). Weights: {weights}"),
    "below": say("목표에 못 미칩니다.", "Below the target."),
    "recorded": say("{path}에 기록했습니다.", "Recorded in {path}."),
}  # fmt: skip

# Why a run cannot be, by `RecipeError.kind`.
PROBLEMS = {
    "unknown": say("이름이 '{name}'인 레시피가 없습니다. 있는 것: {near}", "there is no recipe '{name}'; there are {near}"),
    "device": say("--device 값이 '{device}'입니다. cpu나 cuda를 주세요", "device is '{device}'; it is cpu or cuda"),
    "no-cuda": say("torch {version}에서 CUDA 장치가 보이지 않습니다. --device cpu를 쓰세요", "torch {version} sees no CUDA device here; use --device cpu"),
    "small": say("--{name} 값이 {value}입니다. 1 이상이어야 합니다", "{name} is {value}; it has to be at least 1"),
    "override": say("기록은 레시피 그대로일 때만 남깁니다. {names} 없이 부르세요", "a record is of the recipe as it stands; leave out {names}"),
    "taken": say(
        "{folder}에 이미 학습이 있습니다. --resume으로 이어 가거나 --out으로 다른 폴더를 주세요",
        "{folder} holds a run: go on with --resume, or name another folder with --out",
    ),
    "other-settings": say(
        "{folder}의 학습은 {key} 값이 {before}일 때 시작했는데 지금은 {now}입니다. 같은 값을 주거나 다른 --out을 주세요",
        "the run in {folder} began with {key} {before} and is asked to go on with {now}: give the same, or another --out",
    ),
    "range": say("--{name} 값이 {value}입니다. 맞는 범위: {wanted}", "{name} is {value}; expected {wanted}"),
    "unwritable": say("{folder}에 쓸 수 없습니다({reason}). --out으로 다른 폴더를 주세요", "{folder} cannot be written ({reason}): name another folder with --out"),
    "config": say("{path}: 학습 설정 파일이 아닙니다({reason}). 다른 --out으로 다시 시작하세요", "{path} is no run's settings ({reason}): start again with another --out"),
    "below": say("점수({score} {value:.4f})가 목표 {target}에 못 미쳐 기록하지 않습니다", "{score} is {value:.4f} and the target {target}: not recorded"),
}  # fmt: skip


def recipe_table() -> list[dict[str, Any]]:
    """What ``viva train --list`` shows, a row for each recipe."""
    from viva.train.recipe import find, names, record

    rows = []
    for name in names():
        recipe, recorded = find(name), record(name)
        rows.append(
            {
                "name": name,
                "model": recipe.model_name,
                "data": recipe.data_name,
                "score": recipe.score,
                "target": recipe.target,
                "recorded": recorded["value"] if recorded else None,
                "minutes": recipe.minutes,
                "about": recipe.about,
            }
        )
    return rows


def _print_table() -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    heads = (say("이름", "name"), say("모델", "model"), say("데이터", "data"), say("목표", "target"), say("기록", "recorded"), say("분", "minutes"))
    for head in heads:
        # On a narrow terminal the model and its data take two lines; names and numbers stay whole.
        table.add_column(head, no_wrap=head not in heads[1:3], overflow="fold", justify="right" if head in heads[3:] else "left")
    for row in recipe_table():
        recorded = "-" if row["recorded"] is None else f"{row['recorded']:.4f}"
        table.add_row(row["name"], row["model"], row["data"], f"{row['score']} {row['target']:g}", recorded, f"{row['minutes']:g}")
    # In a pipe there is no width to fit: rows stay whole for grep.
    Console(width=None if sys.stdout.isatty() else 160).print(table)


@click.command(
    "train",
    help=say(
        "레시피 하나를 학습합니다. 여러 프로세스로는: torchrun --nproc_per_node=2 -m viva.train 이름",
        "Trains a recipe. In several processes: torchrun --nproc_per_node=2 -m viva.train NAME",
    ),
)
@click.argument("name", required=False)
@click.option("--list", "list_them", is_flag=True, help=say("레시피 목록", "list the recipes"))
@click.option("--json", "as_json", is_flag=True, help=say("목록이나 결과를 JSON으로", "the list or the result as JSON"))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help=say("체크포인트와 지표, 가중치를 둘 폴더 (기본: runs/이름)", "folder for checkpoints, metrics and weights (default: runs/NAME)"))
@click.option("--epochs", type=int, help=say("학습 데이터를 도는 횟수", "passes over the training set"))
@click.option("--batch-size", type=int, help=say("한 단계의 표본 수 (모든 프로세스를 합쳐)", "samples of one step, over all processes"))
@click.option("--lr", type=float, help=say("학습률", "learning rate"))
@click.option("--accumulate", type=int, help=say("배치를 이만큼으로 나눠 계산 (메모리를 덜 쓰고 같은 것을 배움)", "cut each batch into so many pieces (less memory, learns the same)"))
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda")
@click.option("--precision", type=click.Choice(["float32", "bf16", "fp16"]), default="float32", show_default=True, help=say("행렬곱의 정밀도 (autocast)", "of matrix products (autocast)"))
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help=say("가중치, 순서, 드롭아웃, 증강의 시드", "of weights, order, dropout and augmentation"))
@click.option("--threads", type=int, help=say("CPU 스레드 수", "CPU threads"))
@click.option("--workers", type=click.IntRange(min=0), default=0, help=say("배치를 준비할 프로세스 수", "processes that prepare batches"))
@click.option("--limit-batches", type=int, help=say("부분마다 배치 몇 개만: 돌아가는지 보기", "so many batches of each part only: a smoke run"))
@click.option("--deterministic", is_flag=True, help=say("결정적인 커널만 (CUDA에서도 비트까지 같게, 느림)", "deterministic kernels only (equal bits on CUDA, slower)"))
@click.option("--resume", is_flag=True, help=say("폴더의 체크포인트에서 이어 가기", "go on where the folder's checkpoint stands"))
@click.option("--record", is_flag=True, help=say("점수를 레시피의 기록에 쓰기", "write the score into the recipe's record"))
def train_command(name: str | None, list_them: bool, as_json: bool, **options: Any) -> None:
    if name is None and not list_them:
        raise click.UsageError(say("레시피 이름을 주거나 --list로 목록을 보세요.", "Give a recipe's name, or --list to see them."))
    try:
        import torch
    except ImportError:
        raise click.ClickException(say("학습에는 PyTorch가 필요합니다: pip install 'viva[workshop]'", "training needs PyTorch: pip install 'viva[workshop]'")) from None
    if list_them:
        if as_json:
            click.echo(json.dumps(recipe_table(), ensure_ascii=False, indent=2))
        else:
            _print_table()
        return
    from viva.train.recipe import Options, RecipeError, run
    from viva.train.reporter import Reporter

    assert name is not None
    try:
        result = run(name, Options(**options), reporter=Reporter(SENTENCES))
    except RecipeError as problem:
        raise click.ClickException(PROBLEMS[problem.kind].format(**problem.values)) from None
    except (FloatingPointError, torch.OutOfMemoryError) as problem:
        raise click.ClickException(str(problem)) from None
    if as_json:
        click.echo(json.dumps({"finished": result.finished, "folder": str(result.folder), "score": result.score, "scores": result.scores}, ensure_ascii=False))
    if not result.finished:
        sys.exit(130)
