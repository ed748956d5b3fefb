"""``viva models`` and ``viva model NAME``: the systems the answers name, and what each of them costs.

The list reads committed records and loads no torch; one model's page builds it on the meta device, which needs torch and
no memory for the weights, however large the model is.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from viva.cli.say import say

if TYPE_CHECKING:
    from viva.models.catalogue import Published
    from viva.models.summary import Summary

JSON = click.option("--json", "as_json", is_flag=True, help=say("JSON으로", "as JSON"))
LARGEST_INPUT = 10**9  # numbers of one input; beyond it a shape is surely a slip of the hand


def print_json(value: Any) -> None:
    import json

    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def amount(number: float | None) -> str:
    """Three digits and a unit: 25557032 is 25.6 M."""
    if number is None:
        return "–"
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            value = number / size
            return f"{value:.{max(0, 3 - len(str(int(value))))}f} {unit}"
    return f"{number:g}"


def size(number: int) -> str:
    """Bytes with a binary unit: 102228128 is 97.5 MiB."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    power = min(len(units) - 1, max(0, number.bit_length() - 1) // 10)
    value, unit = number / 1024**power, units[power]
    return f"{value:.{0 if unit == 'B' else max(0, 3 - len(str(int(value))))}f} {unit}"


def _show(table: Table, *expendable: str) -> None:
    """At the terminal's width, without ``expendable`` columns that do not fit; whole where the output goes to a file or a pipe."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=240)
    left_out: list[str] = []
    while len(left_out) < len(expendable) and _least_width(table) > console.width:
        left_out.append(expendable[len(left_out)])
        table.columns = [column for column in table.columns if column.header != left_out[-1]]
    console.print(table)
    if left_out:
        console.print(say("(화면이 좁아 뺀 열: {columns})", "(left out on this narrow terminal: {columns})", columns=", ".join(left_out)), style="dim")


def _least_width(table: Table) -> int:
    """Cells that the table needs to break no number and no name."""
    widths = [
        max(cell_len(str(text)) for text in (column.header, *column.cells)) if column.no_wrap else column.min_width or 0
        for column in table.columns
    ]
    return sum(widths) + 2 * len(widths)


def _table(*headings: tuple[str, bool], whole: tuple[str, ...] = ()) -> Table:
    """Numbers and the columns ``whole`` are never broken; other texts are, into lines of 16 letters at least."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading, number in headings:
        unbroken = number or heading in whole
        table.add_column(heading, justify="right" if number else "left", no_wrap=unbroken, overflow="fold", min_width=None if unbroken else 16)
    return table


@click.command("models", help=say("모델 목록: 크기와, 기준 구현과 얼마나 같은지.", "Lists the models: their sizes, and how closely they equal their references."))
@JSON
def models_command(as_json: bool) -> None:
    from viva.models.records import REGENERATE, read_records

    found = read_records()
    if as_json:
        print_json(found)
        return
    table = _table(
        (say("이름", "name"), False),
        (say("파라미터", "parameters"), True),
        (say("곱셈-덧셈", "mult-adds"), True),
        (say("최대 상대 오차", "max rel. error"), True),
        (say("기준 구현", "reference"), False),
        (say("논문", "paper"), False),
        whole=(say("이름", "name"),),
    )
    for record in found:
        error = record["max_rel_error"]
        table.add_row(
            record["name"],
            f"{record['parameters']:,}",
            amount(record["mult_adds"]),
            "–" if error is None else f"{error:.1e}" if error else "0",
            record["reference"] or "–",
            record["paper"],
        )
    _show(table, say("논문", "paper"), say("기준 구현", "reference"), say("최대 상대 오차", "max rel. error"), say("곱셈-덧셈", "mult-adds"))
    click.echo(
        say(
            "\n모델 {n}개. 오차는 같은 가중치로 잰 출력과 모든 파라미터 기울기의 상대 오차 중 가장 큰 값(float32)입니다.\n다시 재기: {command}\n자세히: viva model 이름",
            "\n{n} models. The error is the worst relative error of outputs and of every parameter's gradient, with the same weights, in float32.\nMeasure again: {command}\nMore: viva model NAME",
            n=len(found),
            command=REGENERATE,
        )
    )


@click.command("model", help=say("모델 하나의 층, 모양, 파라미터, 곱셈-덧셈, 메모리.", "Layers, shapes, parameters, multiply-adds and memory of one model."))
@click.argument("name")
@click.option("--input", "shapes", multiple=True, metavar="3x224x224", help=say("견본 하나의 모양 (배치 없이); 입력이 여럿이면 여러 번", "shape of one sample, without the batch; once for each input"))
@click.option("--depth", type=click.IntRange(1, 20), default=2, show_default=True, help=say("몇 겹까지 볼지", "how many levels to show"))
@JSON
def model_command(name: str, shapes: tuple[str, ...], depth: int, as_json: bool) -> None:
    if importlib.util.find_spec("torch") is None:
        raise click.ClickException(say("모델을 보려면 torch가 있어야 합니다: pip install 'viva[workshop]'", "Looking at a model needs torch: pip install 'viva[workshop]'"))
    wanted = [_shape(text) for text in shapes]

    import torch

    from viva.models import catalogue
    from viva.models.summary import summary

    try:
        entry = catalogue.entry(name)
    except catalogue.UnknownModel as unknown:
        hint = say(" 혹시 이것인가요: {near}", " Did you mean {near}?", near=", ".join(unknown.near)) if unknown.near else say(" 목록: viva models", " For the list: viva models")
        raise click.ClickException(say("이름이 '{name}'인 모델이 없습니다.", "There is no model '{name}'.", name=name[:80]) + hint) from None
    with torch.device("meta"):
        model = entry.build()
        inputs = tuple(value.to("meta") if isinstance(value, torch.Tensor) else value for value in entry.example()) if entry.example else ()
    inputs = _reshaped(name, inputs, wanted)
    try:
        found = summary(model, *inputs)
    except (ValueError, TypeError, RuntimeError, IndexError) as error:
        if not wanted:
            raise
        raise click.ClickException(
            say(
                "{name} 모델은 이 입력을 받지 않습니다: {error}",
                "{name} does not take this input: {error}",
                name=name,
                error=str(error).splitlines()[0],
            )
        ) from None
    taken = [list(value.shape) for value in inputs if isinstance(value, torch.Tensor)]
    if as_json:
        print_json(_as_json(entry, found, taken, depth))
    else:
        _print_model(entry, found, taken, depth)


def _shape(text: str) -> tuple[int, ...]:
    sides = text.lower().replace("×", "x").split("x")
    if not all(side.isascii() and side.isdigit() and len(side) <= 12 and int(side) > 0 for side in sides):
        raise click.BadParameter(
            say("모양이 아닙니다: '{text}'. 3x224x224처럼 양의 정수를 x로 이어 주세요.", "'{text}' is not a shape. Join positive integers with x, as in 3x224x224.", text=text[:40]),
            param_hint="--input",
        )
    total = 1
    for side in sides:
        total *= int(side)
    if total > LARGEST_INPUT:
        raise click.BadParameter(say("{text}: 너무 큽니다. 수가 {most:,}개까지인 모양을 주세요.", "{text}: is too large; give a shape of {most:,} numbers at most.", text=text[:40], most=LARGEST_INPUT), param_hint="--input")
    return tuple(int(side) for side in sides)


def _reshaped(name: str, inputs: tuple[Any, ...], wanted: list[tuple[int, ...]]) -> tuple[Any, ...]:
    """The model's own example inputs with the wanted shapes, a batch of one; a single shape goes to all that had the first's."""
    if not wanted:
        return inputs
    shaped = [index for index, value in enumerate(inputs) if hasattr(value, "shape")]
    if not shaped or len(wanted) not in (1, len(shaped)):
        raise click.ClickException(
            say("{name}의 입력은 {n}개인데 모양을 {m}개 주셨습니다.", "{name} takes {n} inputs, and {m} shapes were given.", name=name, n=len(shaped), m=len(wanted))
        )
    first = inputs[shaped[0]].shape
    changed = list(inputs)
    for place, index in enumerate(shaped):
        if len(wanted) > 1 or inputs[index].shape == first:
            shape = wanted[place if len(wanted) > 1 else 0]
            if len(shape) != len(inputs[index].shape) - 1:
                raise click.ClickException(
                    say(
                        "{name}에 맞지 않는 입력입니다. 견본 하나는 {own}처럼 {n}차원인데 {m}차원({given})을 주셨습니다.",
                        "{name} does not take this input: a sample of it has {n} dimensions, as {own}, and {given} has {m}.",
                        name=name,
                        own="x".join(map(str, inputs[index].shape[1:])),
                        n=len(inputs[index].shape) - 1,
                        given="x".join(map(str, shape)),
                        m=len(shape),
                    )
                )
            changed[index] = inputs[index].new_zeros((1, *shape))
    return tuple(changed)


def _as_json(entry: Published, found: Summary, taken: list[list[int]], depth: int) -> dict[str, Any]:
    return {
        "name": entry.name,
        "paper": entry.paper,
        "reference": entry.reference,
        "input": taken,
        "parameters": found.parameters,
        "mult_adds": found.mult_adds,
        "paper_parameters": entry.paper_parameters,
        "paper_mult_adds": entry.paper_mult_adds,
        "bytes": {
            "weights_float32": 4 * found.parameters,
            "weights_bfloat16": 2 * found.parameters,
            "activations_float32": found.activations,
            "cache_per_token_bfloat16": None if found.cache_per_token is None else 2 * found.cache_per_token,
        },
        "layers": [
            {
                "name": layer.name,
                "times": times,
                "level": level,
                "type": layer.kind,
                "output": None if layer.output is None else list(layer.output),
                "parameters": layer.parameters,
                "mult_adds": layer.mult_adds,
            }
            for level, _, times, layer in found.rows(depth)
        ],
    }


def _print_model(entry: Published, found: Summary, taken: list[list[int]], depth: int) -> None:
    click.secho(entry.name, bold=True, nl=False)
    click.echo(f"  {entry.paper}")
    if entry.reference:
        click.echo(say("기준 구현: {name}", "reference: {name}", name=entry.reference))
    if taken:
        click.echo(say("입력: {shapes}", "input: {shapes}", shapes=", ".join(map(_sides, taken))))
    click.echo("")
    table = _table(
        (say("층", "layer"), False),
        (say("종류", "type"), False),
        (say("출력", "output"), False),
        (say("파라미터", "parameters"), True),
        (say("곱셈-덧셈", "mult-adds"), True),
        whole=(say("층", "layer"), say("출력", "output")),
    )
    for level, label, times, layer in found.rows(depth):
        table.add_row(
            "  " * (level - 1) + label + (f"  ×{times}" if times > 1 else ""),
            layer.kind,
            "" if layer.output is None else _sides(list(layer.output)),
            f"{layer.parameters:,}" if layer.parameters else "",
            amount(layer.mult_adds) if layer.mult_adds else "",
        )
    root = found.root
    own = root.mult_adds - sum(layer.mult_adds for layer in root.below)
    if own:
        table.add_row(say("(층 밖에서)", "(outside its layers)"), root.kind, "" if root.output is None else _sides(list(root.output)), "", amount(own))
    _show(table, say("종류", "type"), say("출력", "output"))
    click.echo("")
    lines = [(say("파라미터", "parameters"), f"{found.parameters:,}" + _in_paper(entry.paper_parameters))]
    if found.mult_adds is not None:
        lines.append((say("곱셈-덧셈", "mult-adds"), f"{found.mult_adds:,}" + _in_paper(entry.paper_mult_adds)))
    lines.append((say("가중치", "weights"), say("float32 {a}, bfloat16 {b}", "{a} in float32, {b} in bfloat16", a=size(4 * found.parameters), b=size(2 * found.parameters))))
    if found.activations is not None:
        lines.append((say("활성값", "activations"), say("이 입력으로 학습할 때 float32 {a}", "{a} in float32, kept for the backward pass of this input", a=size(found.activations))))
    if found.cache_per_token is not None:
        lines.append((say("KV 캐시", "KV cache"), say("토큰마다 bfloat16 {a}", "{a} a token in bfloat16", a=size(2 * found.cache_per_token))))
    from rich.cells import cell_len

    width = max(cell_len(heading) for heading, _ in lines)
    for heading, text in lines:
        click.echo(f"{heading}{' ' * (width - cell_len(heading))}  {text}")
    if any(times > 1 for _, _, times, _ in found.rows(depth)):
        click.echo(say("×n: 같은 층 n개, 적힌 값은 하나의 것.", "×n: n equal layers; the figures are those of one."))


def _in_paper(number: float | None) -> str:
    return "" if number is None else say("  (논문: {n})", "  (paper: {n})", n=amount(number))


def _sides(shape: list[int]) -> str:
    return "×".join(map(str, shape)) or say("수 하나", "scalar")
