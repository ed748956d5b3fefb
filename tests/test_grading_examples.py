"""Example sentences: the bank's files, bad files, and the learner's own marks."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bank_cues import BANK, SAMPLE

from viva.bank import Question
from viva.grading import STATUSES, PointMark, grade
from viva.grading.examples import Example, ExamplesError, examples_of, read_examples, write_examples
from viva.language import LANGUAGES, Language

QUESTION = BANK["dropout"]
POINT, OTHER = (point.id for point in QUESTION.points[:2])
ANALOGY: dict[Language, str] = {"ko": "마치 팀원이 돌아가며 결근하는 회사 같은 거예요.", "en": "It is like a company whose staff take turns being absent."}
SIMILAR: dict[Language, str] = {"ko": "팀원들이 돌아가며 결근하는 회사와 같아요.", "en": "The company's staff take turns to be absent."}
UNRELATED: dict[Language, str] = {"ko": "오늘 점심은 김치찌개를 먹었습니다.", "en": "I had soup for lunch today."}


def marks(answer: str, language: Language, *local: Example) -> dict[str, PointMark]:
    return {mark.id: mark for mark in grade(QUESTION, answer, language, local).points}


# --- the bank's files


@pytest.mark.parametrize("question", BANK, ids=lambda question: question.id)
def test_every_point_has_examples_of_both_kinds_in_both_languages(question: Question) -> None:
    for point in question.points:
        for language in LANGUAGES:
            made, backwards = (
                {e.words for e in examples_of(question).points if (e.point, e.language, e.status) == (point.id, language, status)} for status in ("made", "backwards")
            )
            assert len(made) >= 6 and len(backwards) >= 5, (point.id, language)
            assert not made & backwards, point.id


def test_every_file_of_examples_belongs_to_a_question() -> None:
    from viva.grading.examples import FOLDER

    assert {path.stem for path in FOLDER.glob("*.yaml")} == {question.id for question in BANK}


EXAMPLES = st.builds(
    Example, st.sampled_from([p.id for p in QUESTION.points]), st.sampled_from(STATUSES),
    st.text(st.characters(codec="utf-8", exclude_characters="\x85"), min_size=1, max_size=40).filter(str.strip), st.sampled_from(LANGUAGES),
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.lists(EXAMPLES, max_size=8, unique=True))
def test_examples_can_be_written_and_read_again(tmp_path_factory: pytest.TempPathFactory, examples: list[Example]) -> None:
    path = tmp_path_factory.getbasetemp() / "examples.yaml"
    path.write_text(write_examples(examples), encoding="utf-8", newline="")
    assert set(read_examples(path, QUESTION).points) == set(examples)


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="a next-line character in a learner's words comes back as a space")
def test_a_next_line_character_survives_writing(tmp_path: Path) -> None:
    path = tmp_path / "examples.yaml"
    path.write_text(write_examples([Example(POINT, "made", "a\x85b", "ko")]), encoding="utf-8", newline="")
    assert read_examples(path, QUESTION).points[0].words == "a\x85b"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"points: [", "while parsing"), (b"", "mapping"), (b"[]", "mapping"), (b"x: 1", "mapping"), (b"\xff\xfe", "utf-8"),
        (b"points:\n  nope: {}", "nope"), (b"points: [a]", "list"), (b"points: {1: {}}", "no point '1'"),
        (f"points: {{{POINT}: {{fr: {{}}}}}}".encode(), "fr"), (f"points: {{{POINT}: {{ko: {{good: [a]}}}}}}".encode(), "good"),
        (f"points: {{{POINT}: {{ko: {{made: {{a: b}}}}}}}}".encode(), POINT), (f"points: {{{POINT}: {{ko: {{made: [1]}}}}}}".encode(), POINT),
        (f"points: {{{POINT}: {{ko: {{made: ['  ']}}}}}}".encode(), POINT), (b"misconceptions: {nope: {}}", "nope"),
        (b"points: !!python/object:os.system {}", "python/object"), (b"[" * 2_000, "while parsing"),
    ],
)  # fmt: skip
def test_a_malformed_file_is_named_with_the_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(ExamplesError) as caught:
        read_examples(path, QUESTION)
    assert str(caught.value).startswith(f"{path}: ") and reason in str(caught.value)


# --- the learner's own marks


@pytest.mark.parametrize("status", ["made", "partly", "backwards"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_words_get_the_learners_mark_and_say_so(language: Language, status: str) -> None:
    words = ANALOGY[language]
    assert marks(words, language)[POINT].status == "missed"
    mark = marks(words, language, Example(POINT, status, words, language))[POINT]  # type: ignore[arg-type]
    assert mark.status == status
    assert words in mark.why


@pytest.mark.parametrize("language", LANGUAGES)
def test_similar_words_are_worth_more_than_before_and_unrelated_ones_are_not(language: Language) -> None:
    own = Example(POINT, "made", ANALOGY[language], language)
    before, after = marks(SIMILAR[language], language)[POINT], marks(SIMILAR[language], language, own)[POINT]
    assert (before.worth or 0.0) + 0.1 < (1.0 if after.worth is None else after.worth)
    assert marks(UNRELATED[language], language, own)[POINT].status == "missed"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_mark_for_one_point_gives_no_other_point_another_mark(language: Language) -> None:
    own = Example(POINT, "made", ANALOGY[language], language)
    for answer in (ANALOGY[language], SIMILAR[language], QUESTION.answer.get(language)):  # type: ignore[union-attr]
        before, after = marks(answer, language), marks(answer, language, own)
        assert {k: m.status for k, m in after.items() if k != POINT} == {k: m.status for k, m in before.items() if k != POINT}


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_marked_as_missed_no_longer_make_the_point(language: Language) -> None:
    words = QUESTION.points[0].text.get(language)
    assert marks(words, language)[POINT].status == "made"
    mark = marks(words, language, Example(POINT, "missed", words, language))[POINT]
    assert (mark.status, mark.quote) == ("missed", "")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_order_of_the_learners_marks_does_not_matter(language: Language) -> None:
    text = QUESTION.points[0].text.get(language)
    own = [Example(POINT, "made", ANALOGY[language], language), Example(OTHER, "backwards", UNRELATED[language], language), Example(POINT, "missed", text, language)]
    answer = " ".join((ANALOGY[language], text, UNRELATED[language]))
    assert grade(QUESTION, answer, language, own) == grade(QUESTION, answer, language, own[::-1]) == grade(QUESTION, answer, language, own)


def overruled(question: Question, language: Language) -> list[bool]:
    """For every eighth made example: whether marking its own words as missed takes the mark away."""
    examples = [e for e in examples_of(question).points if e.language == language and e.status == "made"][::8]
    return [
        next(m.status for m in grade(question, e.words, language, [Example(e.point, "missed", e.words, language)]).points if m.id == e.point) == "missed" for e in examples
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_nearly_any_words_can_be_overruled(language: Language) -> None:
    decided = [done for question in SAMPLE[::3] for done in overruled(question, language)]
    assert sum(decided) >= 0.95 * len(decided)
