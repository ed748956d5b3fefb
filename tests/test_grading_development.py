"""The grader on short answers written to develop it: mostly right, and never an accusation of what is right."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from viva.bank.loader import load_bank
from viva.grading import grade
from viva.language import LANGUAGES

BANK = {question.id: question for question in load_bank()[0]}
MARKS = {"m": "made", "p": "partly", "b": "backwards", "x": "missed"}
FILE = Path(__file__).parent / "data" / "grading-development.txt"


def counts() -> Counter[tuple[str, str]]:
    """How often each wanted mark was given as each mark."""
    found: Counter[tuple[str, str]] = Counter()
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("- "):
            continue
        key, language, marks, answer = line[2:].split("|", 3)
        result = grade(BANK[key], answer.replace("\\n", "\n"), language)  # type: ignore[arg-type]
        given = {mark.id: mark.status for mark in result.points}
        for wanted in marks.split(","):
            point, mark = wanted.split("=")
            if point != "mis":
                found[MARKS[mark], given[point]] += 1
    return found


def test_right_answers_are_made_and_never_called_backwards() -> None:
    found = counts()
    right = sum(count for (wanted, _), count in found.items() if wanted == "made")
    assert found["made", "backwards"] == 0
    assert found["made", "made"] >= 0.94 * right


def test_near_half_of_the_wrong_answers_are_called_backwards() -> None:
    found = counts()
    wrong = sum(count for (wanted, _), count in found.items() if wanted == "backwards")
    assert found["backwards", "backwards"] >= 0.45 * wrong


def test_nine_misconceptions_in_ten_are_recognised_in_their_own_words() -> None:
    cases = [(question, entry, language) for question in BANK.values() for entry in question.misconceptions for language in LANGUAGES]
    heard = [
        any(mark.id == entry.id for mark in grade(question, entry.text.get(language) + ".", language).misconceptions)
        for question, entry, language in cases
    ]
    assert sum(heard) >= 0.9 * len(heard)
