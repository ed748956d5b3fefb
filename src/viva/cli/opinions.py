"""Second opinions in the terminal: beside the offline grade, which stays as it is."""

from __future__ import annotations

from typing import Any

from rich.text import Text as Styled

from viva.bank import Question
from viva.cli.paper import SIGNS, console, grid, plain
from viva.cli.say import say
from viva.grading import Grade
from viva.grading.opinion import Opinion
from viva.language import Language

WORDS = {"made": say("말함", "made"), "partly": say("일부만", "partly"), "missed": say("빠짐", "missed"), "backwards": say("반대로 말함", "backwards")}


def opinion_as_json(question: Question, opinion: Opinion) -> dict[str, Any]:
    """``{judge, score, points, refused, seconds}``; the marks have the shape of those of the offline grade."""
    return {
        "judge": opinion.judge,
        "score": round(opinion.score(question), 4),
        "points": [{"id": mark.id, "status": mark.status, "quote": mark.quote} for mark in opinion.points],
        "refused": [{"id": mark.id, "status": mark.status, "quote": mark.quote, "why": mark.why} for mark in opinion.refused],
        "seconds": round(opinion.seconds, 3),
    }


def print_opinion(question: Question, given: Grade, opinion: Opinion, language: Language) -> None:
    """Its marks with their quotes; where one differs from the offline grade's, what that one says."""
    ours = {mark.id: mark.status for mark in given.points}
    texts = {point.id: plain(point.text.get(language)) for point in question.points}
    console.print()
    console.print(Styled(say("다른 의견: {judge}", "Second opinion: {judge}", judge=opinion.judge), style="bold"))
    marks = grid()
    for mark in opinion.points:
        sign, colour = SIGNS[mark.status]
        text = Styled(texts.get(mark.id, mark.id))
        if ours.get(mark.id) != mark.status:
            text.append(say("  ({a}, 오프라인 채점은 {b})", "  ({a}; the offline grade says {b})", a=WORDS[mark.status], b=WORDS[ours[mark.id]]), style="yellow")
        marks.add_row(Styled(sign, colour), text)
        if mark.quote:
            marks.add_row("", Styled(f"“{' '.join(mark.quote.split())}”", "bright_black"))
        if mark.why:
            marks.add_row("", Styled(mark.why, "bright_black"))
    for mark in opinion.refused:
        marks.add_row(Styled("✗", "red"), texts.get(mark.id, mark.id))
        marks.add_row("", Styled(say("받지 않은 표시: ", "Refused: ") + mark.why, "bright_black"))
    console.print(marks)
    console.print()
    console.print(say("요점 {n}% · {s}초", "{n}% of the points · {s} s", n=round(100 * opinion.score(question)), s=f"{opinion.seconds:.1f}"))
