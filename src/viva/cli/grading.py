"""``viva grading``: how well the grader agrees with people, and what the learner taught it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from viva.bank import Question
from viva.cli.judges import Summon, nli_options
from viva.cli.reading import JSON, bank, find, print_json
from viva.cli.say import say
from viva.language import Language

GRADED = Path(__file__).parents[3] / "tests" / "data" / "grading"
"""Graded answers of a checkout; an installed Viva has none."""


@click.group("grading", help=say("채점기를 재어 보고, 내가 고친 표시를 꺼내 보기.", "The grader, measured, and the marks that you corrected."))
def grading_command() -> None:
    pass


@grading_command.command("evaluate", help=say("사람이 매긴 답과 채점기를 견줍니다.", "Compares the grader with answers that people marked."))
@click.option("--answers", "files", multiple=True, type=click.Path(path_type=Path), help=say("{qid, lang, answer, human_score} 줄로 된 JSONL. 여러 번 줄 수 있습니다. 없으면 저장소에 있는 답으로 잽니다.", "JSON lines of {qid, lang, answer, human_score}; may be given several times. Without it, the answers that lie in the repository."))
@nli_options
@JSON
def evaluate_command(files: tuple[Path, ...], nli: Summon | None, as_json: bool) -> None:
    from viva.grading.evaluate import evaluate, read_answers

    found = bank()
    files = files or tuple(sorted(GRADED.glob("blind-*.jsonl")))
    if not files:
        raise click.ClickException(say("채점된 답이 없습니다. --answers FILE.jsonl로 알려 주세요.", "there are no graded answers here; name some with --answers FILE.jsonl"))
    answers = [answer for file in files for answer in read_answers(file, found)]
    if not answers:
        raise click.ClickException(say("{file}: 답이 없습니다.", "{file}: there are no answers in it.", file=files[0]))
    judge = nli() if nli is not None else None
    bar: Any = click.progressbar(length=len(answers) * (1 if judge is None else 2), label=say("채점", "Grading"), file=sys.stderr)
    with bar as shown:

        def entailed(question: Question, answer: str, language: Language) -> float:
            shown.update(1)
            return judge.judge(question, answer, language).score(question) if judge is not None else 0.0

        result = evaluate(answers, found, lambda done: shown.update(1), {} if judge is None else {"entailment": entailed})
    if as_json:
        print_json(result)
        return
    for language, graders in result["metrics"].items():
        _table(language, graders)


@grading_command.command(
    "fit",
    help=say("채점한 답으로 채점기의 가중치를 다시 맞춥니다. 보지 않은 질문에서 얼마나 맞는지도 보여 줍니다.", "Fits the grader's weights on marked answers, and shows how well they do on questions they did not see."),
)
@click.option("--answers", "files", required=True, multiple=True, type=click.Path(path_type=Path), help=say("요점 표시가 있는 JSONL. 여러 번 줄 수 있습니다.", "JSON lines with marks for the points; may be given several times"))
@click.option("--output", type=click.Path(path_type=Path), help=say("가중치를 쓸 파일 (없으면 기본 가중치)", "where to write the weights (the built-in ones unless told)"))
def fit_command(files: tuple[Path, ...], output: Path | None) -> None:
    import json

    from viva.grading.evaluate import compare, read_answers
    from viva.grading.judgement import WEIGHTS_FILE

    try:
        from viva.grading import fit
    except ImportError:
        raise click.ClickException(say("scikit-learn이 필요합니다: pip install 'viva[test]'", "needs scikit-learn: pip install 'viva[test]'")) from None
    found = bank()
    answers = [answer for file in files for answer in read_answers(file, found)]
    pairs = fit.pairs_of(found)
    made_up = fit.practised(answers, found)
    bar: Any = click.progressbar(length=len(answers) + len(made_up), label=say("재는 중", "Measuring"), file=sys.stderr)
    with bar as shown:
        rows = fit.measured([*answers, *made_up], found, pairs, lambda done: shown.update(1))
    if not rows:
        raise click.ClickException(say("요점마다 표시가 있는 답이 없습니다.", "no answer has a mark for every point."))
    bar = click.progressbar(length=fit.FOLDS + 1, label=say("맞추는 중", "Fitting"), file=sys.stderr)
    with bar as shown:
        unseen = fit.out_of_fold(rows, pairs, lambda done: shown.update(1))
        data = fit.fit(rows, pairs)
        shown.update(1)
    graded = fit.grades_of(rows, unseen, found)
    reports = (
        (say("보지 않은 질문에서", "on questions not seen"), lambda answer: not answer.source and answer.kind not in (*fit.EMPTY, "model")),
        (say("보지 않은 질문에서, 요점마다 따로 이어 붙인 답", "on questions not seen, patchwork"), lambda answer: answer.kind == "patchwork"),
        (say("보지 않은 질문에서, 뜻 없이 늘어놓은 말", "on questions not seen, empty talk"), lambda answer: answer.kind in fit.EMPTY),
    )
    for name, belongs in reports:
        chosen = [place for place, row in enumerate(rows) if belongs(row.answer)]
        click.echo(f"\n== {name}: n = {len(chosen)}")
        for language, graders in compare([rows[place].answer for place in chosen], [graded[place] for place in chosen], {}).items():
            _table(language, graders)
    target = output or WEIGHTS_FILE
    target.write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    click.echo(say("{file}에 썼습니다.", "Written to {file}.", file=target))


@grading_command.command(
    "examples",
    help=say(
        "내가 고친 표시를 기본 예문 파일과 같은 꼴로 적습니다. 내가 쓴 말이 그대로 들어 있습니다.",
        "Prints the marks that you corrected, in the layout of the bank's example files. They hold your own words.",
    ),
)
@click.option("--question", help=say("이 질문만", "only this question"))
@click.option("--format", "form", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help=say("형식", "the format"))
def examples_command(question: str | None, form: str) -> None:
    from viva.store import Store
    from viva.web import transfer

    with Store.open() as store:
        found = transfer.export_examples(store.learner(), question)
    if not found:
        if question is not None:
            find(question)
        click.echo(say("viva: 아직 고친 표시가 없습니다. 답을 본 뒤 요점의 표시를 눌러 고칠 수 있습니다.", "viva: you have corrected no mark yet; press a mark beside a point after an answer."), err=True)
    tree = found if question is None else found.get(question, {"points": {}})
    if form == "json":
        print_json(tree)
    else:
        click.echo(transfer.as_yaml(tree), nl=False)


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
    slips = viva["misconceptions"]
    console.print(f"misconceptions: n {slips['n']}, precision {_number(slips['precision'])}, recall {_number(slips['recall'])}")
    sure = Table(box=None, pad_edge=False)
    for name in ("confidence", "n", "mean", "right"):
        sure.add_column(name, justify="left" if name == "confidence" else "right")
    for row in viva["calibration"]["bins"]:
        sure.add_row(f"≥ {row['from']:.2f}", str(row["n"]), _number(row["confidence"]), _number(row["right"]))
    console.print(sure)
    console.print(f"expected calibration error {_number(viva['calibration']['error'])}")
    rating = viva["rating"]
    console.print(f"rating: exact {_number(rating['exact'])}, within one {_number(rating['within_one'])}, quadratic kappa {_number(rating['quadratic_kappa'])}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
