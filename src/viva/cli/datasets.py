"""``viva datasets``: which data sets there are, where they lie on this machine, and how they get here."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from typing import TYPE_CHECKING

import click

from viva.cli.say import LANGUAGE, say

if TYPE_CHECKING:
    from viva.data.sources import Source


@click.group("datasets", help=say("데이터셋을 보고 내려받습니다.", "Lists data sets and downloads them."))
def datasets_command() -> None:
    pass


@datasets_command.command("list", help=say("모든 데이터셋과 그 위치.", "All data sets, and where they are."))
@click.option("--json", "as_json", is_flag=True, help=say("JSON으로 출력", "As JSON"))
def list_sets(as_json: bool) -> None:
    sources = _sources()
    if as_json:
        rows = [
            {
                "name": source.name, "what": source.what.get(LANGUAGE), "bytes": source.size, "licence": source.licence,
                "home": source.home, "present": place is not None, "path": place,
            }
            for source in sources.values() for place in [_place(source)]
        ]  # fmt: skip
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in (say("이름", "name"), say("내용", "what"), say("크기", "size"), say("사용 조건", "licence"), say("위치", "where")):
        table.add_column(heading, overflow="fold")
    for source in sources.values():
        absent = say("없음 (viva datasets fetch {name})", "not here (viva datasets fetch {name})", name=source.name)
        table.add_row(source.name, source.what.get(LANGUAGE), _size(source), source.licence, _place(source) or absent)
    Console(width=None if sys.stdout.isatty() else 200, markup=False, highlight=False).print(table)


@datasets_command.command("fetch", help=say("데이터셋을 내려받고 체크섬을 확인합니다.", "Downloads data sets and checks them."))
@click.argument("names", nargs=-1, required=True)
def fetch(names: tuple[str, ...]) -> None:
    for source in [_source(name) for name in names]:
        if source.bundled:
            click.echo(say("{name}: Viva에 들어 있습니다.", "{name}: comes with Viva.", name=source.name))
        for file in source.files:
            path = source.open(file.name)
            click.echo(
                say("{name}: {path} (체크섬 확인: {form})", "{name}: {path} (checksum right: {form})", name=source.name, path=path, form=file.check(path))
            )


@datasets_command.command("path", help=say("데이터셋이 있는 폴더.", "The folder that has a data set."))
@click.argument("name")
def path(name: str) -> None:
    source = _source(name)
    place = _place(source)
    if place is None:
        click.echo(
            say("이 컴퓨터에 없습니다: {name}. 받으려면 viva datasets fetch {name}", "{name} is not on this machine; run viva datasets fetch {name}.", name=source.name),
            err=True,
        )
        sys.exit(1)
    click.echo(place)


def _sources() -> dict[str, Source]:
    if importlib.util.find_spec("torch") is None:
        raise click.ClickException(
            say("데이터셋을 쓰려면 torch가 있어야 합니다: pip install 'viva[workshop]'", "Data sets need torch: pip install 'viva[workshop]'")
        )
    from viva.data import SETS

    return {name: importlib.import_module(f"viva.data.{name}").SOURCE for name in SETS}


def _source(name: str) -> Source:
    sources = _sources()
    if name not in sources:
        raise click.BadParameter(
            say("이름이 '{name}'인 데이터셋은 없습니다. 있는 것: {all}", "there is no data set '{name}'; there are {all}", name=name[:80], all=", ".join(sources))
        )
    return sources[name]


def _place(source: Source) -> str | None:
    """The folder with all files of ``source``; None where one is missing."""
    if source.bundled:
        module = importlib.import_module(f"viva.data.{source.name}")
        return str(module.BUNDLED.parent)
    paths = [source.where(file.name) for file in source.files]
    return None if None in paths else str(paths[0].parent if paths[0] else "")


def _size(source: Source) -> str:
    if source.bundled:
        return say("내장", "bundled")
    return f"{source.size / 1e6:.1f} MB"
