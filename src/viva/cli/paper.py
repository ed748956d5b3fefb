"""How questions, answers, grades and numbers look in a terminal."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text as Styled

from viva.bank import Question
from viva.cli.say import say
from viva.grading import Grade
from viva.language import Language, Text
from viva.web.stats import Stats

SIGNS = {"made": ("●", "green"), "partly": ("◐", "yellow"), "missed": ("○", "bright_black"), "backwards": ("⇄", "red")}
RATINGS = {1: say("다시", "again"), 2: say("어려움", "hard"), 3: say("알맞음", "good"), 4: say("쉬움", "easy")}
WIDTH = 88

console = Console(highlight=False, soft_wrap=False, width=min(Console().width, WIDTH))


def plain(text: str) -> str:
    """Markdown for a terminal: formulas as Unicode text, without their dollars."""
    return re.sub(r"\$+([^$]+)\$+", lambda formula: _latex().latex_to_text(formula[1]).strip(), text).replace("**", "")


@lru_cache(maxsize=1)
def _latex() -> Any:
    from pylatexenc.latex2text import LatexNodes2Text

    return LatexNodes2Text(math_mode="text", strict_latex_spaces=False)


def grid() -> Table:
    """A sign and a text that wraps beside it."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=2, justify="right")
    grid.add_column(overflow="fold", width=console.width - 4)
    return grid


def print_question(question: Question, language: Language) -> None:
    console.print()
    console.print(Styled(plain(question.question.get(language)), style="bold"))
    console.print()


def print_answer(question: Question, language: Language, *, points: bool = True) -> None:
    if question.answer is not None:
        console.print(Padding(Styled(plain(question.answer.get(language)), overflow="fold"), (0, 2)))
        console.print()
    listed = grid()
    for point in question.points if points else ():
        listed.add_row("·", plain(point.text.get(language)))
    console.print(listed)
    if question.misconceptions:
        console.print()
        console.print(Styled(Text(ko="많이들 이렇게 말하지만", en="What people often say").get(language), style="bold"))
        wrongs = grid()
        for wrong in question.misconceptions:
            wrongs.add_row(Styled("✗", "red"), Styled(plain(wrong.text.get(language)), "red"))
            wrongs.add_row("", plain(wrong.correction.get(language)))
        console.print(wrongs)
    console.print()


UNSURE = 0.6
"""Marks of less confidence are called unsure."""


def print_grade(question: Question, given: Grade, language: Language) -> None:
    texts = {point.id: plain(point.text.get(language)) for point in question.points}
    marks = grid()
    for mark in given.points:
        sign, colour = SIGNS[mark.status]
        unsure = say(" (확실하지 않음, {n}%)", " (not sure, {n}%)", n=round(100 * mark.confidence)) if mark.confidence < UNSURE else ""
        marks.add_row(Styled(sign, colour), Styled.assemble(texts.get(mark.id, mark.id), (unsure, "bright_black")))
        if mark.quote:
            marks.add_row("", Styled(f"“{' '.join(mark.quote.split())}”", "bright_black"))
    wrongs = {wrong.id: wrong for wrong in question.misconceptions}
    for found in given.misconceptions:
        marks.add_row(Styled("⇄", "red"), plain(wrongs[found.id].correction.get(language)))
        marks.add_row("", Styled(f"“{' '.join(found.quote.split())}”", "bright_black"))
    console.print(marks)
    if given.copied:
        console.print(Styled(say("모범 답안을 거의 그대로 옮긴 답입니다.", "This is the model answer almost word for word."), style="yellow"))
    console.print()
    console.print(say("요점 {n}% · 추천: {rating}", "{n}% of the points · suggested: {rating}", n=round(100 * given.score), rating=RATINGS[given.rating]))


def print_stats(stats: Stats, language: Language) -> None:
    retention = f"{100 * stats.true_retention:.0f}%" if stats.true_retention is not None else "–"
    console.print(
        say("답 {a} · 복습 {r} · {m}분 · 이어진 날 {s} · 기억한 비율 {t}", "{a} answers · {r} reviews · {m} min · {s} days in a row · remembered {t}",
            a=stats.answers, r=stats.reviews, m=round(stats.seconds / 60), s=stats.streak, t=retention)
    )  # fmt: skip
    console.print()
    console.print(Styled(say("앞으로", "Ahead") if stats.days_left is None else say("면접까지 {n}일", "{n} days to the interview", n=stats.days_left), style="bold"))
    ahead = Table(box=None, pad_edge=False)
    for name, side in ((say("날짜", "day"), "left"), (say("복습", "due"), "right"), (say("새로", "new"), "right")):
        ahead.add_column(name, justify=side)  # type: ignore[arg-type]
    for day in stats.ahead.days[:14]:
        ahead.add_row(day.date.isoformat(), str(day.due), str(day.new))
    console.print(ahead)
    console.print()
    topics = Table(box=None, pad_edge=False)
    for name in (say("주제", "topic"), say("만남", "met"), say("기억", "recall")):
        topics.add_column(name)
    for row in stats.topics:
        recall = f"{100 * row['retention']:.0f}%" if row["retention"] is not None else "–"
        topics.add_row(row["topic"].title.get(language), f"{row['seen']}/{row['total']}", recall)
    console.print(topics)
    if stats.missed:
        console.print(Styled(say("자주 빠뜨리는 요점", "The points you miss most"), style="bold"))
        for row in stats.missed[:8]:
            console.print(Styled(f"  {row['missed']}/{row['asked']}  {plain(row['point'].text.get(language))}  ({row['question'].key})"))
