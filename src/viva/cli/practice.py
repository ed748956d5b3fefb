"""``viva practice``: the same questions, grading and schedule, in a terminal."""

from __future__ import annotations

import os
import time
import uuid

import click

from viva.bank import Question
from viva.cli.reading import bank
from viva.cli.say import say
from viva.language import Language, parse_language


@click.command("practice", help=say("터미널에서 연습합니다.", "Practises in the terminal."))
@click.option("--mode", type=click.Choice(["due", "list", "shuffled", "weak"]), default="due", show_default=True, help=say("순서", "which questions, in which order"))
@click.option("--topic", help=say("이 주제만", "only this topic"))
@click.option("--count", type=click.IntRange(1, 500), help=say("많아야 이만큼", "at most this many"))
@click.option("--lang", type=click.Choice(["ko", "en"]), default=None, help=say("언어", "language"))
def practice_command(mode: str, topic: str | None, count: int | None, lang: Language | None) -> None:
    import random

    from viva.cli.paper import console
    from viva.store import Store
    from viva.study.queue import build_queue
    from viva.web import desk
    from viva.web.state import now

    found = bank()
    if topic is not None and topic not in found.by_topic:
        raise click.ClickException(say("'{topic}'라는 주제가 없습니다. 있는 주제: {all}", "There is no topic '{topic}'. There are: {all}", topic=topic, all=", ".join(found.by_topic)))
    with Store.open() as store:
        learner = store.learner()
        language = lang or parse_language(os.environ.get("VIVA_LANG") or str(learner.settings().get("language") or ""), default=parse_language(say("ko", "en")))
        queue = build_queue(
            "topic" if topic and mode == "due" else mode, desk.queue_items(found), learner.cards(), now(), desk.study_settings(learner),
            new_today=desk.new_today(learner, now()), seed=random.SystemRandom().randrange(2**31), topic=topic,
            weak=desk.weak_points(learner) if mode == "weak" else {},
        )[:count]  # fmt: skip
        if not queue:
            console.print(say("오늘 몫을 마쳤습니다. 더 하려면 --mode list를 쓰세요.", "You are done for today. For more, use --mode list."))
            return
        session = learner.start_session(mode, queue)
        for number, key in enumerate(queue, 1):
            console.rule(f"{number}/{len(queue)}")
            if not _one(learner, found[key], language, session.id):
                break
        else:
            learner.finish_session(session.id)
        console.print(say("모든 답은 저장되어 있습니다.", "All your answers are kept."))


def _one(learner: object, question: Question, language: Language, session: str) -> bool:
    """Asks, grades and rates one question; False where the learner wants to stop."""
    from viva.cli.paper import RATINGS, console, print_answer, print_grade, print_question
    from viva.grading import grade
    from viva.store import Learner

    assert isinstance(learner, Learner)
    print_question(question, language)
    console.print(say("답을 적고 빈 줄에서 Ctrl+D (또는 점 하나만 있는 줄). :q 는 그만두기.", "Write your answer; end with Ctrl+D on an empty line (or a line with a single dot). :q stops."), style="bright_black")
    begun = time.monotonic()
    answer = _read()
    if answer is None:
        return False
    given = grade(question, answer, language, [own.example for own in learner.own_examples(question.key)])
    attempt = learner.add_attempt(
        id=str(uuid.uuid4()), question=question.key, language=language, way="text", text=answer, seconds=time.monotonic() - begun, session=session, grade=given
    )
    console.print()
    print_grade(question, given, language)
    mine = learner.my_answers(question.key, language)
    if mine:
        console.print(say("내가 준비한 답", "Your prepared answer"), style="bold")
        console.print(mine[0].text, markup=False)
    console.print(say("모범 답안", "Model answer"), style="bold")
    print_answer(question, language, points=False)
    choices = "  ".join(f"{n} {word}" for n, word in RATINGS.items())
    while True:
        try:
            typed = input(f"{choices}  [{given.rating}] > ").strip().lower()
        except EOFError:
            typed = ""
            console.print()
        if typed in (":q", "q"):
            return False
        if typed == "" or typed in ("1", "2", "3", "4"):
            break
        console.print(say("1, 2, 3, 4 가운데 하나를 적거나 그냥 Enter를 누르세요.", "Type 1, 2, 3 or 4, or just press Enter."))
    rating = int(typed) if typed else given.rating
    if given.copied and rating == 4:
        rating = 2
    learner.add_review(question.key, rating, attempt.id)
    return True


def _read() -> str | None:
    lines: list[str] = []
    while True:
        try:
            line = input("  ")
        except EOFError:
            break
        except KeyboardInterrupt:
            return None
        if line.strip() == ":q":
            return None
        if line.strip() == ".":
            break
        lines.append(line)
    return "\n".join(lines).strip()
