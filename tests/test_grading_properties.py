"""What holds of every grade, whatever is typed."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from test_bank_cues import BANK
from test_grading import QUESTION

from viva.bank import Question
from viva.grading import STATUSES, Grade, blank_grade, grade, regrade
from viva.grading.normaliser import normalise

PIECES = [
    "시그모이드", "의", " 도함수는", " 최대", " 1/4", "이다", ". ", " ReLU", "는", " 신호를", " 유지", "하지", " 않는다", " not ", "sigmoid's ",
    "derivative ", "is ", "a quarter", ", ", "\n", "$\\frac{1}{4}$", "σ(1−σ)", "이 아니라 ", " 때문에", "죽은 뉴런", "\u200b", "¼", "?", "but ",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=120),
    st.text(alphabet=st.characters(codec=None), max_size=60),  # lone surrogates too
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
    st.text(alphabet="\\{}$^_/()=-+*√σ∂1aT ", max_size=80),
)
LANGUAGES = st.sampled_from(["ko", "en"])


def check(question: Question, answer: str, result: Grade) -> None:
    assert 0.0 <= result.score <= 1.0
    assert result.rating in (1, 2, 3, 4)
    assert [mark.id for mark in result.points] == [point.id for point in question.points]
    for mark in (*result.points, *result.misconceptions):
        assert mark.quote == answer[mark.start : mark.end]
        assert 0.0 <= mark.confidence <= 1.0
    for point in result.points:
        assert point.status in STATUSES
        assert point.worth is None or -0.5 <= point.worth <= 1.0
        assert (point.status == "missed") == (point.quote == "")
    if result.misconceptions or result.copied or any(mark.status == "backwards" for mark in result.points):
        assert result.rating < 4


@settings(max_examples=300, deadline=None)
@given(TEXTS, LANGUAGES)
def test_any_text_gets_a_sound_grade_with_verbatim_quotes(answer: str, language: str) -> None:
    result = grade(QUESTION, answer, language)  # type: ignore[arg-type]
    check(QUESTION, answer, result)
    assert result == grade(QUESTION, answer, language)  # type: ignore[arg-type]


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_every_normalised_character_knows_where_it_came_from(text: str) -> None:
    source = normalise(text)
    assert len(source.text) == len(source.starts) == len(source.ends)
    assert all(0 <= a < b <= len(text) for a, b in zip(source.starts, source.ends, strict=True))
    squeezed, places = source.squeezed
    assert len(squeezed) == len(places)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([point.id for point in QUESTION.points]), st.sampled_from(STATUSES)), st.booleans())
def test_regrading_is_sound_and_the_last_word_counts(statuses: dict, copied: bool) -> None:  # type: ignore[type-arg]
    result = regrade(QUESTION, blank_grade(QUESTION), statuses, copied=copied)
    assert {mark.id: mark.status for mark in result.points} == {p.id: statuses.get(p.id, "missed") for p in QUESTION.points}
    assert 0.0 <= result.score <= 1.0
    assert not copied or result.rating <= 2


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), st.integers(0, 3))
def test_an_unrelated_sentence_behind_an_answer_takes_nothing_away(answer: str, seed: int) -> None:
    """Making a point is monotone: more talk does not unmake it."""
    extra = random.Random(seed).choice(["오늘은 날씨가 맑습니다.", "I had coffee this morning.", "질문 감사합니다.", "That is all."])
    before = {mark.id for mark in grade(QUESTION, answer, "ko").points if mark.status == "made"}
    after = {mark.id for mark in grade(QUESTION, answer + "\n\n" + extra, "ko").points if mark.status == "made"}
    assert before <= after


WITH_EXAMPLES = BANK["relu-vs-sigmoid"]
UNRELATED = ["오늘은 날씨가 맑아서 산책을 했습니다.", "I had coffee this morning.", "질문 감사합니다.", "That is all."]


@settings(max_examples=60, deadline=None)
@given(TEXTS, LANGUAGES)
def test_any_text_gets_a_sound_grade_where_there_are_examples(answer: str, language: str) -> None:
    result = grade(WITH_EXAMPLES, answer, language)  # type: ignore[arg-type]
    check(WITH_EXAMPLES, answer, result)
    assert result == grade(WITH_EXAMPLES, answer, language)  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(TEXTS, LANGUAGES)
def test_with_every_point_marked_made_the_score_is_one(answer: str, language: str) -> None:
    given_ = grade(WITH_EXAMPLES, answer, language)  # type: ignore[arg-type]
    result = regrade(WITH_EXAMPLES, given_, dict.fromkeys((point.id for point in WITH_EXAMPLES.points), "made"))
    assert result.score == max(0.0, 1.0 - 0.15 * len(given_.misconceptions))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), st.sampled_from(UNRELATED), LANGUAGES)
def test_an_unrelated_sentence_raises_no_score_by_much(answer: str, extra: str, language: str) -> None:
    before, after = (grade(WITH_EXAMPLES, text, language).score for text in (answer, f"{answer}\n\n{extra}"))  # type: ignore[arg-type]
    assert after <= before + 0.35
