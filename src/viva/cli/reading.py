"""``viva questions``, ``show``, ``grade`` and ``stats``: looking without changing anything."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from viva.bank import Bank, Question, load_bank
from viva.cli.judges import Summon, ask, language_model, nli_options
from viva.cli.say import LANGUAGE, say
from viva.language import Language

LANG = click.option("--lang", type=click.Choice(["ko", "en"]), default=LANGUAGE, help=say("언어", "language"))
JSON = click.option("--json", "as_json", is_flag=True, help=say("JSON으로", "as JSON"))
MAX_ANSWER_BYTES = 1_000_000


def bank() -> Bank:
    """The built-in bank and the learner's packs; what is wrong in a pack is said on standard error."""
    from viva.store import viva_home
    from viva.web.state import pack_folders

    found, problems = load_bank(pack_folders(viva_home() / "packs"), cache=viva_home() / "cache")
    for problem in problems:
        click.echo(f"viva: {problem}", err=True)
    return found


def find(key: str) -> Question:
    found = bank()
    question = found.get(key)
    if question is None:
        import difflib

        near = difflib.get_close_matches(key, found.keys, n=3, cutoff=0.4)
        hint = say(" 혹시 {near}?", " Did you mean {near}?", near=", ".join(near)) if near else ""
        raise click.ClickException(say("'{key}'라는 질문이 없습니다.", "There is no question '{key}'.", key=key[:80]) + hint)
    return question


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


@click.command("questions", help=say("질문 목록.", "Lists the questions."))
@click.option("--topic", help=say("이 주제만", "only this topic"))
@LANG
@JSON
def questions_command(topic: str | None, lang: Language, as_json: bool) -> None:
    from viva.web import present

    found = bank()
    if topic is not None and topic not in found.by_topic:
        raise click.ClickException(say("'{topic}'라는 주제가 없습니다. 있는 주제: {all}", "There is no topic '{topic}'. There are: {all}", topic=topic, all=", ".join(found.by_topic)))
    chosen = [question for question in found if topic in (None, question.topic)]
    if as_json:
        print_json([present.question(question) for question in chosen])
        return
    for name, questions in found.by_topic.items():
        if topic in (None, name):
            click.secho(found.topic(name).title.get(lang), bold=True)
            for question in questions:
                click.echo(f"  {question.key:<38} {question.question.get(lang)}")


@click.command("show", help=say("질문 하나를 답과 함께.", "Shows one question with its answer."))
@click.argument("id")
@LANG
@JSON
def show_command(id: str, lang: Language, as_json: bool) -> None:
    from viva.web import present

    question = find(id)
    if as_json:
        print_json(present.question(question, whole=True))
        return
    from viva.cli.paper import print_answer, print_question

    print_question(question, lang)
    print_answer(question, lang)


@click.command("grade", help=say("파일이나 표준 입력의 답을 채점합니다.", "Grades the answer in FILE or on standard input; nothing is kept."))
@click.argument("id")
@click.argument("file", required=False, default="-", metavar="[FILE|-]")
@click.option("--judge", is_flag=True, help=say("설정해 둔 언어 모델의 의견도 봅니다: 답을 그 모델에 보냅니다 (viva[llm])", "asks the language model of your settings too, which sends it the answer (viva[llm])"))
@nli_options
@LANG
@JSON
def grade_command(id: str, file: str, judge: bool, nli: Summon | None, lang: Language, as_json: bool) -> None:
    from viva.cli.opinions import opinion_as_json, print_opinion
    from viva.cli.paper import print_grade
    from viva.grading import grade
    from viva.web import present

    question = find(id)
    raw = sys.stdin.buffer.read(MAX_ANSWER_BYTES + 1) if file == "-" else Path(file).read_bytes()
    if len(raw) > MAX_ANSWER_BYTES:
        raise click.ClickException(say("{file}: 답은 {n}바이트까지입니다.", "{file}: an answer has at most {n} bytes.", file=file, n=f"{MAX_ANSWER_BYTES:,}"))
    try:
        answer = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise click.ClickException(say("{file}:{line}: UTF-8 텍스트가 아닙니다.", "{file}:{line}: is not UTF-8 text.", file=file, line=line)) from None
    given = grade(question, answer, lang)
    if not as_json:
        print_grade(question, given, lang)
    judges = [summon for summon in (nli, language_model if judge else None) if summon is not None]
    opinions = [opinion for summon in judges if (opinion := ask(summon, question, answer, lang)) is not None]
    if as_json:
        print_json(present.grade(given) | ({"opinions": [opinion_as_json(question, opinion) for opinion in opinions]} if judges else {}))
    else:
        for opinion in opinions:
            print_opinion(question, given, opinion, lang)
    if len(opinions) < len(judges):
        sys.exit(1)


@click.command("stats", help=say("기록과 앞으로의 계획.", "Your record and the days ahead."))
@LANG
@JSON
def stats_command(lang: Language, as_json: bool) -> None:
    from viva.store import Store
    from viva.web import stats
    from viva.web.state import now

    with Store.open() as store:
        found = stats.collect(store.learner(), bank(), now())
    if as_json:
        print_json(stats.as_json(found, lang))
        return
    from viva.cli.paper import print_stats

    print_stats(found, lang)
