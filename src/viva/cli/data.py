"""``viva import``, ``export``, ``backup``, ``restore`` and ``check``: the learner's data in and out."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from viva.cli.reading import JSON, print_json
from viva.cli.say import LANGUAGE, say

WARNINGS_SHOWN = 20


@click.command("import", help=say("텍스트, 마크다운, CSV 목록이나 viva export의 JSON을 가져옵니다.", "Imports lists (text, Markdown, CSV), or the JSON of viva export."))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@click.option("--dry-run", is_flag=True, help=say("저장하지 않고 무엇을 알아들었는지만 보기", "keep nothing; only report what was understood"))
@click.option("--title", help=say("목록의 이름", "a name for the list"))
@JSON
def import_command(files: tuple[Path, ...], dry_run: bool, title: str | None, as_json: bool) -> None:
    from viva.exchange import ImportFailed, read_list
    from viva.store import Store, viva_home
    from viva.web.pages.packs import save_pack
    from viva.web.transfer import import_learner

    reports = []
    packs = viva_home() / "packs"
    for path in files:
        raw = path.read_bytes()
        if path.suffix == ".json":
            from viva.exchange.learner import LearnerDocumentError, parse

            try:
                document = parse(raw)
            except LearnerDocumentError as error:
                raise click.ClickException(f"{path}: {error.sentence(LANGUAGE)}") from None
            if dry_run:
                click.echo(say("{file}: 읽을 수 있습니다 ({n}줄).", "{file}: can be imported ({n} rows).", file=path, n=sum(map(len, document.rows.values()))))
                continue
            with Store.open() as store:
                added = import_learner(store.learner(), packs, raw)
            click.echo(say("{file}: {n}줄을 더했습니다.", "{file}: {n} rows added.", file=path, n=sum(added.values())))
            continue
        try:
            report = read_list(raw, path.name, language=LANGUAGE)
        except ImportFailed as error:
            raise click.ClickException(error.sentence(LANGUAGE)) from None
        reports.append(report)
        if not as_json:
            click.echo(say("{file}: {q}문제, 그중 {a}문제에 답이 있습니다.", "{file}: {q} questions, {a} of them with an answer.", file=path, q=report.question_count, a=report.answer_count))
            for warning in report.warnings[:WARNINGS_SHOWN]:
                click.echo(f"  {path.name}:{warning.line}: {warning.text}", err=True)
            if len(report.warnings) > WARNINGS_SHOWN:
                click.echo(say("  … 그 밖에 {n}줄 (--json으로 모두 보기)", "  … and {n} more lines (--json shows all)", n=len(report.warnings) - WARNINGS_SHOWN), err=True)
        if not report.question_count:
            raise click.ClickException(say("{file}: 질문으로 읽을 수 있는 줄이 없습니다.", "{file}: no line could be read as a question.", file=path))
        if not dry_run:
            name = save_pack(report, title or path.stem, packs, LANGUAGE)
            if not as_json:
                click.echo(say("  → 팩 '{name}'. viva를 켜면 바로 연습할 수 있습니다.", "  → pack '{name}'. Start viva to practise it.", name=name))
    if as_json:
        shown = [report.to_json() for report in reports]
        print_json(shown[0] if len(shown) == 1 else shown)


@click.command("export", help=say("모든 데이터를 JSON 하나로.", "Writes all your data as one JSON file."))
@click.argument("file", required=False, default="-", metavar="[FILE|-]")
def export_command(file: str) -> None:
    from viva.store import Store, viva_home
    from viva.web.transfer import export_learner

    with Store.open() as store:
        text = export_learner(store.learner(), viva_home() / "packs")
    if file == "-":
        click.echo(text)
        return
    path = Path(file)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    click.echo(say("{file}: 저장했습니다 ({n} KB).", "{file}: written ({n} KB).", file=path, n=round(len(text) / 1024)), err=True)


@click.command("backup", help=say("지금 백업합니다.", "Makes a backup now, in FILE or among the automatic ones."))
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--list", "listing", is_flag=True, help=say("있는 백업 보기", "show the backups"))
def backup_command(file: Path | None, listing: bool) -> None:
    from viva.store import Store

    with Store.open() as store:
        if listing:
            for backup in store.list_backups():
                click.echo(f"{backup.at:%Y-%m-%d %H:%M}  {backup.kind:<15} {backup.size / 1024:>8.0f} KB  {backup.path}")
            return
        click.echo(str(store.backup(file)))


@click.command("restore", help=say("백업으로 되돌립니다.", "Goes back to a backup; the present data is kept aside."))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help=say("묻지 않기", "do not ask"))
def restore_command(file: Path, yes: bool) -> None:
    from viva.store import DamagedError, Store, backups
    from viva.store.database import Database

    if not yes:
        click.confirm(say("지금 데이터를 {file}의 것으로 바꿀까요? 지금 것은 따로 남겨 둡니다.", "Replace the present data with {file}? The present data is kept aside.", file=file), abort=True)
    try:
        with Store.open() as store:
            aside = store.restore(file)
    except DamagedError:
        # The database that is being replaced may be the broken one; a broken backup is refused again here.
        aside = backups.restore(Database(), file.expanduser().absolute())
    click.echo(say("되돌렸습니다. 그전 데이터: {aside}", "Restored. The data before is in {aside}.", aside=aside))


@click.command("check", help=say("저장된 데이터를 검사합니다.", "Checks the stored data; repairs nothing unless told."))
@click.option("--repair", is_flag=True, help=say("카드를 복습 기록에서 다시 만들기", "rebuild the cards from the reviews"))
@JSON
def check_command(repair: bool, as_json: bool) -> None:
    from viva.store import Store, check_store

    with Store.open() as store:
        findings = check_store(store, repair=repair)
    if as_json:
        print_json([json.loads(json.dumps(vars(finding), default=str)) for finding in findings])
    for finding in [] if as_json else findings:
        click.echo(str(finding), err=True)
    if not findings and not as_json:
        click.echo(say("문제없습니다. 카드는 복습 기록에서 다시 만든 것과 같습니다.", "No problem: the cards equal what the reviews give."))
    sys.exit(1 if findings and not repair else 0)
