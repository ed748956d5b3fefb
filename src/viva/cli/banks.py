"""``viva bank check``: validates question files."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from viva.cli.say import say


@click.group("bank", help=say("질문 파일.", "Question files."))
def bank_command() -> None:
    pass


@bank_command.command("check", help=say("기본 질문과 내 팩, 또는 FOLDER의 팩을 검사합니다.", "Checks the built-in bank and your packs, or the pack in FOLDER."))
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
def check(folder: Path | None) -> None:
    from viva.bank.check import check_pack
    from viva.bank.loader import BUILT_IN_FOLDER, load_pack
    from viva.bank.schema import BUILT_IN
    from viva.store import viva_home
    from viva.web.state import pack_folders

    packs = [(folder, folder.name)] if folder else [(BUILT_IN_FOLDER, BUILT_IN), *((path, path.name) for path in pack_folders(viva_home() / "packs"))]
    problems = []
    for path, name in packs:
        found = check_pack(path, name)
        problems += found
        if not found:
            count = len(load_pack(path, name).questions)
            click.echo(say("{name}: {n}문제, 문제없음", "{name}: {n} questions, no problem", name=name, n=count))
    found_wrong = [str(problem) for problem in problems] + ([] if folder else _examples())
    for line in found_wrong:
        click.echo(line, err=True)
    if found_wrong:
        click.echo(say("{n}곳을 고쳐야 합니다.", "{n} problems.", n=len(found_wrong)), err=True)
        sys.exit(1)


def _examples() -> list[str]:
    """What is wrong in the built-in example sentences."""
    from viva.bank.loader import load_bank
    from viva.grading.examples import FOLDER, ExamplesError, read_examples

    built_in, _ = load_bank()
    wrong = []
    for path in sorted(FOLDER.glob("*.yaml")):
        question = built_in.get(path.stem)
        if question is None:
            wrong.append(f"{path}: there is no question '{path.stem}'")
            continue
        try:
            read_examples(path, question)
        except ExamplesError as error:
            wrong.append(str(error))
    return wrong
