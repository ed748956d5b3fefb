"""Whom to ask for a second opinion, from the command line's options."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from viva.cli.say import LANGUAGE, say

if TYPE_CHECKING:
    from viva.bank import Question
    from viva.grading.opinion import Judge, Opinion
    from viva.language import Language

Summon = Callable[[], "Judge"]
"""Makes a judge when it is needed: loading one takes seconds and can fail."""


def nli_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--nli``, ``--download`` and ``--labels``; ``command`` gets ``nli``, a :data:`Summon` or None."""

    @click.option("--nli", metavar="NAME", help=say("함의 모델의 의견도 봅니다: 폴더나 Hugging Face의 이름 (viva[nli])", "asks an entailment model too: a folder, or a name on Hugging Face (viva[nli])"))
    @click.option("--download", is_flag=True, help=say("--nli의 모델을 먼저 받아 옵니다", "fetches the model of --nli first"))
    @click.option("--labels", metavar="NAMES", help=say("그 모델의 출력에 이름이 없을 때, 차례대로: entailment,neutral,contradiction", "where that model's outputs have no names, in order: entailment,neutral,contradiction"))
    @wraps(command)
    def wrapped(*arguments: Any, nli: str | None, download: bool, labels: str | None, **options: Any) -> Any:
        if nli is None and (download or labels):
            raise click.UsageError(say("--download와 --labels는 --nli와 함께 씁니다.", "--download and --labels go with --nli."))

        def summon() -> Judge:
            from viva.grading.entailment import load

            return load(nli or "", download, [label.strip() for label in labels.split(",")] if labels else ())

        return command(*arguments, nli=None if nli is None else summon, **options)

    return wrapped


def language_model() -> Judge:
    """The language model of the learner's settings, or of the environment; says on standard error what it is about to send.

    Raises:
        OpinionError: none is set up, or it is switched off.
    """
    from viva.grading.judge import LanguageModelJudge
    from viva.grading.language_model import OVERRIDES, address, from_environment
    from viva.grading.opinion import OpinionError
    from viva.store import Store
    from viva.web import judging

    with Store.open() as store:
        settings = from_environment(judging.chosen(store.learner()))
    if settings is None:
        names = ", ".join((OVERRIDES["provider"], OVERRIDES["model"]))
        raise OpinionError(
            "not configured",
            f"물어볼 언어 모델이 정해져 있지 않습니다. 앱의 설정에서 ‘다른 의견’을 켜거나, 환경 변수 {names}을(를) 정해 주세요.",
            f"No language model is set up. Switch on the second opinion in the app's settings, or set {names} in the environment.",
        )
    place = address(settings)
    where = say("이 컴퓨터의 {host}", "{host} on this machine", host=place.name) if place.local else place.name
    plain = "" if place.local or place.encrypted else say(" (http라서 암호화하지 않고)", " (unencrypted: the address is http)")
    click.echo(say("viva: 질문과 요점, 이 답을 {where}의 {model}에 보냅니다{plain}. 그 밖의 것은 보내지 않습니다.", "viva: sending the question, its points and this answer to {model} at {where}{plain}, and nothing else.", where=where, model=settings.model, plain=plain), err=True)
    return LanguageModelJudge(settings)


def ask(summon: Summon, question: Question, answer: str, language: Language) -> Opinion | None:
    """What the judge says; None where it cannot be asked, and standard error says why."""
    from viva.grading.opinion import OpinionError

    try:
        return summon().judge(question, answer, language)
    except OpinionError as error:
        click.echo(f"viva: {error.sentence(LANGUAGE)}", err=True)
        return None
