"""The cues of the built-in bank, held against its own model answers and against lists of their own words."""

from __future__ import annotations

import re

import pytest

from viva.bank import Question
from viva.bank.loader import load_bank
from viva.grading import grade
from viva.language import LANGUAGES, Language

BANK, _ = load_bank()
CASES = [pytest.param(question, language, id=f"{question.id}-{language}") for question in BANK for language in LANGUAGES]


def model_answer(question: Question, language: Language) -> str:
    assert question.answer is not None and question.answer.has(language)
    return question.answer.get(language)


@pytest.mark.parametrize(("question", "language"), CASES)
def test_the_model_answer_makes_every_point_and_no_misconception(question: Question, language: Language) -> None:
    result = grade(question, model_answer(question, language), language)
    assert {mark.id: (mark.status, mark.why) for mark in result.points if mark.status != "made"} == {}
    assert [(mark.id, mark.quote) for mark in result.misconceptions] == []
    assert result.copied


@pytest.mark.parametrize("between", [", ", " ", "\n"], ids=["commas", "spaces", "lines"])
@pytest.mark.parametrize(("question", "language"), CASES)
def test_a_list_of_the_cues_own_nouns_earns_nothing_to_speak_of(question: Question, language: Language, between: str) -> None:
    nouns = [
        idea.split(" | ")[0].strip()
        for point in question.points
        for cue in point.cues.get(language)
        for idea in re.split(r"\s\+\s", cue)[:2]
    ]
    assert grade(question, between.join(nouns), language).score <= 0.35


@pytest.mark.parametrize(("question", "language"), CASES)
def test_the_question_itself_earns_nothing(question: Question, language: Language) -> None:
    result = grade(question, question.question.get(language), language)
    assert (result.score, result.misconceptions) == (0.0, ())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_point_can_be_made_in_each_language(language: Language) -> None:
    without = [f"{question.id}: {point.id}" for question in BANK for point in question.points if not point.cues.get(language)]
    assert without == []
