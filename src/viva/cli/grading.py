"""``viva grading evaluate``: how well the grader agrees with people."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from viva.cli.reading import JSON, bank, print_json
from viva.cli.say import say


@click.group("grading", help=say("채점기를 재어 보기.", "The grader, measured."))
def grading_command() -> None:
    pass


@grading_command.command("evaluate", help=say("사람이 매긴 답과 채점기를 견줍니다.", "Compares the grader with answers that people marked."))
@click.option("--answers", "file", required=True, type=click.Path(path_type=Path), help=say("{qid, lang, answer, human_score} 줄로 된 JSONL", "JSON lines of {qid, lang, answer, human_score}"))
@JSON
def evaluate_command(file: Path, as_json: bool) -> None:
    from viva.grading.evaluate import evaluate, read_answers

    found = bank()
    answers = read_answers(file, found)
    if not answers:
        raise click.ClickException(say("{file}: 답이 없습니다.", "{file}: there are no answers in it.", file=file))
    bar: Any = click.progressbar(length=len(answers), label=say("채점", "Grading"), file=sys.stderr)
    with bar as shown:
        result = evaluate(answers, found, lambda done: shown.update(1))
    if as_json:
        print_json(result)
        return
    for language, graders in result["metrics"].items():
        _table(language, graders)


def _table(language: str, graders: dict[str, Any]) -> None:
    from rich.table import Table

    from viva.cli.paper import console

    viva = graders["viva"]
    console.print()
    table = Table(title=f"{language} · n = {viva['n']}", title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for name in graders:
        table.add_column(name, justify="right")
    for row in ("pearson", "spearman", "mean_error", "P(complete > wrong)", "P(complete > stuffed)", "P(half > wrong)", "mean_of_nothing"):
        table.add_row(row, *(_number(graders[name][row]) for name in graders))
    console.print(table)
    kinds = Table(box=None, pad_edge=False)
    for name in ("kind", "n", "viva", "human"):
        kinds.add_column(name, justify="left" if name == "kind" else "right")
    for kind, row in viva["kinds"].items():
        kinds.add_row(kind, str(row["n"]), _number(row["mean"]), _number(row["human"]))
    console.print(kinds)
    marks = Table(box=None, pad_edge=False)
    for name in ("mark", "n", "precision", "recall"):
        marks.add_column(name, justify="left" if name == "mark" else "right")
    for status, row in viva["points"].items():
        marks.add_row(status, str(row["n"]), _number(row["precision"]), _number(row["recall"]))
    console.print(marks)
    rating = viva["rating"]
    console.print(f"rating: exact {_number(rating['exact'])}, within one {_number(rating['within_one'])}, quadratic kappa {_number(rating['quadratic_kappa'])}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
