"""``viva lab list``, ``run`` and ``record``: the experiments behind the claims.

The list loads neither torch nor Altair. A run shows its progress on standard error, its verdicts on standard output, and with
``--out`` leaves the evidence and its figures in a folder. ``record`` writes what is committed, or with ``--check`` holds it to a fresh run.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from viva.cli.say import LANGUAGE, say
from viva.language import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from viva.labs import Evidence, Lab, Progress

JSON = click.option("--json", "as_json", is_flag=True, help=say("JSON으로", "as JSON"))
QUICK = click.option("--quick", is_flag=True, help=say("적은 시드와 작은 설정으로 빠르게; 결론은 같습니다", "few seeds and small settings; the verdicts are the same"))
SEED = click.option("--seed", type=int, default=0, show_default=True, help=say("첫 시드", "the first seed"))
SEEDS = click.option("--seeds", type=int, help=say("시드의 수 (기본: 랩마다 다름)", "how many seeds (default: the lab's own)"))
COLOURS = {"supported": "green", "refuted": "red", "inconclusive": "yellow"}


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


@contextmanager
def _sentences() -> Iterator[None]:
    """What a person can put right becomes one sentence."""
    from viva.labs import LabError

    try:
        yield
    except LabError as error:
        raise click.ClickException(error.get(LANGUAGE)) from None


@click.group("lab", help=say("주장을 뒷받침하는 실험: 목록, 실행, 기록.", "The experiments behind the claims: list, run, record."))
def lab_command() -> None: ...


@lab_command.command("list", help=say("랩 목록.", "Lists the labs."))
@JSON
def list_command(as_json: bool) -> None:
    from viva.labs import every

    labs = list(every().values())
    if as_json:
        print_json([_entry(lab) for lab in labs])
        return
    for lab in labs:
        seconds = say("약 {n:g}초", "about {n:g} s", n=lab.seconds)
        click.echo(f"{click.style(lab.id, bold=True)}  {lab.title.get(LANGUAGE)}  ({seconds})")
        for claim in lab.claims:
            click.echo(f"    {claim.question} / {claim.id}")
    click.echo(say("\n랩 {n}개. 돌려 보기: viva lab run 이름", "\n{n} labs. To run one: viva lab run ID", n=len(labs)))


def _entry(lab: Lab) -> dict[str, Any]:
    return {
        "id": lab.id,
        "title": lab.title.model_dump(),
        "claims": [claim.id for claim in lab.claims],
        "parameters": [parameter.as_json() for parameter in lab.parameters.values()],
        "seconds": lab.seconds,
    }


@lab_command.command("run", help=say("랩 하나를 돌립니다.", "Runs a lab."))
@click.argument("id")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help=say("매개변수 하나; 여럿이면 여러 번", "a parameter; once for each"))
@SEED
@SEEDS
@QUICK
@JSON
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help=say("evidence.json과 그림(PNG, SVG, HTML)을 둘 폴더", "folder for evidence.json and the figures (PNG, SVG, HTML)"))
@click.option("--theme", type=click.Choice(["light", "dark"]), default="light", show_default=True, help=say("--out에 둘 그림의 바탕", "of the figures in --out"))
def run_command(id: str, settings: tuple[str, ...], seed: int, seeds: int | None, quick: bool, as_json: bool, out: Path | None, theme: Any) -> None:
    from viva.labs import lab, run

    with _sentences():
        chosen = lab(id)
        given = dict(_pair(setting) for setting in settings)
        with _watched(chosen.id) as (progress, cancel):
            evidence = run(chosen, given, seed=seed, seeds=seeds, quick=quick, progress=progress, cancel=cancel)
    if out is not None:
        _write(evidence, out, theme)
    if as_json:
        print_json(evidence.shape(LANGUAGE))
    else:
        _print(evidence, chosen)


def _pair(setting: str) -> tuple[str, str]:
    name, equals, value = setting.partition("=")
    if not equals or not name.strip():
        raise click.BadParameter(say("'{given}'은 이름=값이 아닙니다.", "'{given}' is not NAME=VALUE.", given=setting[:80]), param_hint="--set")
    return name.strip(), value.strip()


@contextmanager
def _watched(id: str) -> Iterator[tuple[Callable[[Progress], None], threading.Event]]:
    """A progress bar on standard error, and an event that Ctrl-C sets, so that a run ends at its next report."""
    import signal

    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from viva.labs import Cancelled

    cancel = threading.Event()
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, lambda *_: cancel.set()) if main else None
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("{task.fields[numbers]}"))
    try:
        with Bar(*columns, console=Console(file=sys.stderr), transient=True) as bar:
            task = bar.add_task(id, total=1.0, numbers="")

            def progress(now: Progress) -> None:
                numbers = "  ".join(f"{name} {value:.3g}" for name, value in list(now.numbers.items())[:3])
                bar.update(task, completed=now.fraction, description=f"{id} {now.trial}/{now.trials}", numbers=numbers)

            yield progress, cancel
    except Cancelled as stopped:
        click.echo(stopped.get(LANGUAGE), err=True)
        sys.exit(130)
    finally:
        if main:
            signal.signal(signal.SIGINT, before)


def _write(evidence: Evidence, folder: Path, theme: Any) -> None:
    from viva.labs import figures

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evidence.json").write_text(evidence.model_dump_json(indent=1), encoding="utf-8")
    if not figures.can_draw():
        click.echo(say("그림 파일을 만들려면 vl-convert가 있어야 합니다: pip install 'viva[labs]'", "Figures as files need vl-convert: pip install 'viva[labs]'"), err=True)
        return
    for figure in evidence.figures:
        for path in figures.export(figure, folder, f"{evidence.lab}-{figure.id}", LANGUAGE, theme):
            click.echo(str(path), err=True)
    if LANGUAGE == "ko" and not figures.draws_korean():
        click.echo("이 컴퓨터에 한글 글꼴이 없어 PNG는 영어로 그렸습니다. SVG와 HTML은 한국어입니다.", err=True)


def _print(evidence: Evidence, lab: Lab) -> None:
    from viva.labs.evidence import VERDICTS

    click.secho(evidence.title.get(LANGUAGE), bold=True)
    click.echo(lab.about.get(LANGUAGE))
    seeds = evidence.environment.seeds
    settings = [f"{name} {value}" for name, value in evidence.parameters.items()]
    where = say("시드 {first}–{last}, {n:.1f}초", "seeds {first}–{last}, {n:.1f} s", first=seeds[0], last=seeds[-1], n=evidence.seconds)
    click.echo(", ".join([*settings, where]) + "\n")
    for judged in evidence.claims:
        click.echo(f"{click.style(VERDICTS[judged.verdict].get(LANGUAGE), fg=COLOURS[judged.verdict], bold=True)}  {judged.question} / {judged.id}")
        for number in judged.measured:
            click.echo(f"    {number.say(LANGUAGE)}")
        criterion = say("기준: ", "criterion: ") + judged.criterion.get(LANGUAGE)
        click.echo("    " + criterion)
        if judged.note is not None:
            click.echo("    " + judged.note.get(LANGUAGE))


@lab_command.command("record", help=say("기본 설정으로 돌려 기록을 씁니다 (이름이 없으면 모두).", "Runs labs at their defaults and writes their records (all, unless named)."))
@click.argument("ids", nargs=-1)
@click.option("--check", is_flag=True, help=say("쓰지 않고, 기록과 다르면 실패로 끝냅니다", "write nothing; fail where a run differs from its record"))
@click.option("--quick", is_flag=True, help=say("--check와 함께: 빠른 설정으로 결론만 견줍니다", "with --check: quick settings, only the verdicts are compared"))
def record_command(ids: tuple[str, ...], check: bool, quick: bool) -> None:
    from viva.labs import every, lab, records, run

    if quick and not check:
        raise click.UsageError(say("기록은 기본 설정으로만 씁니다. --quick은 --check와 함께 쓰세요.", "Records are of the default settings; use --quick with --check."))
    failed = 0
    with _sentences():
        chosen = [lab(id) for id in ids] or list(every().values())
        for each in chosen:
            with _watched(each.id) as (progress, cancel):
                evidence = run(each, quick=quick, progress=progress, cancel=cancel)
            before = records.read(each.id)
            found = records.compare(before, evidence) if before is not None else [_missing()] if check else []
            problems = found if check else [difference for difference in found if difference.kind != "number"]
            verdicts = ", ".join(judged.verdict for judged in evidence.claims)
            click.echo(f"{each.id:<28} {evidence.seconds:6.1f} s  {verdicts}")
            for difference in found:
                click.secho(f"    {difference.text.get(LANGUAGE)}", fg="red" if difference in problems else None, err=True)
            failed += bool(problems)
            if not check:
                records.write(evidence)
    if failed and check:
        raise click.ClickException(say("랩 {n}개가 기록과 다릅니다.", "{n} labs differ from their records.", n=failed))


def _missing() -> Any:
    from viva.labs import records

    return records.Difference("claims", Text(ko=f"기록이 없습니다: {records.REGENERATE}", en=f"there is no record: {records.REGENERATE}"))
