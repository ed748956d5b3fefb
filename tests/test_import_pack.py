"""An imported list as questions that can be practised at once."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva.bank.check import check_question
from viva.exchange import ImportFailed, build_pack, pack_topics, read_list
from viva.exchange.packs import slug_of
from viva.exchange.sentences import MAX_POINTS, cue_of, points_of, sentences
from viva.grading import grade
from viva.language import Text

LIST = """# 목록
## 딥러닝
### 학습률이란 무엇인가요?
- 한 걸음의 크기입니다. 너무 크면 발산합니다.
- (예시)
  - 0.1이면 튑니다.
## CNN & ViT
### What is a kernel?
A small filter, e.g. 3x3. It is shared over all positions.
### 스트라이드란 무엇인가요?
"""


def test_questions_carry_their_place_topic_and_language() -> None:
    report = read_list(LIST.encode(), "list.md")
    questions = build_pack(report, "mine", Text(ko="내 목록"))
    assert [(q.id, q.seed, q.topic, q.pack) for q in questions] == [
        ("q001", 1, "mine-dipreoning", "mine"), ("q002", 2, "mine-cnn-vit", "mine"), ("q003", 3, "mine-cnn-vit", "mine"),
    ]  # fmt: skip
    assert (questions[0].question, questions[1].question) == (Text(ko="학습률이란 무엇인가요?"), Text(en="What is a kernel?"))
    assert questions[1].answer == Text(en="A small filter, e.g. 3x3. It is shared over all positions.")
    assert [(topic.id, topic.title) for topic in pack_topics(report, "mine")] == [("mine-dipreoning", Text(ko="딥러닝")), ("mine-cnn-vit", Text(en="CNN & ViT"))]


def test_points_are_the_sentences_of_the_answer() -> None:
    first, second, third = build_pack(read_list(LIST.encode(), "list.md"), "mine", "x")
    assert [point.text.ko for point in first.points] == ["한 걸음의 크기입니다.", "너무 크면 발산합니다.", "0.1이면 튑니다."]
    assert [point.cues.en for point in second.points] == [("A small filter, e.g. 3x3",), ("It is shared over all positions",)]
    assert {point.weight for point in (*first.points, *second.points)} == {2}
    assert third.points == () and third.answer is None


def test_an_imported_question_is_graded_by_what_its_answer_says() -> None:
    question = build_pack(read_list(LIST.encode(), "list.md"), "mine", "x")[1]
    marks = grade(question, "A kernel is a small 3x3 filter.", "en").points
    assert [mark.status for mark in marks][1] == "missed"
    assert marks[0].status in ("made", "partly")


def test_the_cues_of_imported_points_pass_the_banks_own_check(tmp_path: object) -> None:
    answer = "- P(a | b) + c | d + e 입니다\n- |x| + |y| 이하입니다. a+b | c\n- + 앞에 옵니다\n- 끝에 옵니다 |\n"
    question = build_pack(read_list(f"## 무엇인가요?\n{answer}".encode(), "x.md"), "mine", "x")[0]
    from pathlib import Path

    assert len(question.points) >= 4
    assert check_question(question, Path("none.md"), known=set(), complete=False) == []


@given(st.lists(st.sampled_from(["+", "|", " ", " + ", " | ", "a", "가", "x", "||", "++", ".", "*", "`", "$"]), max_size=20).map("".join))
def test_a_cue_is_a_phrase_whatever_the_sentence_was(text: str) -> None:
    cue = cue_of(text)
    assert " + " not in cue and " | " not in cue
    assert not re.search(r"\S\|\s|\s\|\S|\s\+$|^\+\s", cue)
    assert cue == cue.strip()


def test_a_list_without_headings_is_one_chapter_named_after_the_pack() -> None:
    report = read_list("1. A란?\n - x입니다\n2. B란?\n - y입니다\n".encode(), "x.txt")
    assert {question.topic for question in build_pack(report, "mine", "x")} == {"mine"}
    assert [topic.id for topic in pack_topics(report, "mine")] == ["mine"]


def test_headings_that_romanise_alike_stay_apart() -> None:
    report = read_list(b"# L\n## A+B\n### What?\n- x\n## A B\n### Why?\n- y\n## A-B\n### How many?\n- z\n", "x.md")
    assert [question.topic for question in build_pack(report, "p", "x")] == ["p-a-b", "p-a-b-2", "p-a-b-3"]


def test_a_list_without_questions_makes_no_pack_and_says_what_to_do() -> None:
    with pytest.raises(ImportFailed, match="no question was found"):
        build_pack(read_list("그냥 글입니다.\n".encode(), "x.txt"), "mine", "x")


@pytest.mark.parametrize(
    ("text", "slug"),
    [("딥러닝", "dipreoning"), ("한글 CNN", "hangeul-cnn"), ("Batch & Layer Norm", "batch-layer-norm"), ("深度学習", "topic-"), ("!!!", "topic-")],
)
def test_topics_get_readable_ids(text: str, slug: str) -> None:
    assert slug_of(text).startswith(slug) and re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", slug_of(text))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("하나입니다. 둘이에요. 셋이죠?", ["하나입니다.", "둘이에요.", "셋이죠?"]),
        ("띄우지 않았습니다.그래도 나뉩니다.", ["띄우지 않았습니다.", "그래도 나뉩니다."]),
        ("Use it, e.g. here. Or, i.e. there, vs. that. Done.", ["Use it, e.g. here.", "Or, i.e. there, vs. that.", "Done."]),
        ("A loss (ex. MSE. Or CE.) is used. Then stop.", ["A loss (ex. MSE. Or CE.) is used.", "Then stop."]),
        ("$f(x) = 0. 5$ holds. Fine.", ["$f(x) = 0. 5$ holds.", "Fine."]),
        ("Call `a. b` now. Then 3.14 is pi.", ["Call `a. b` now.", "Then 3.14 is pi."]),
        ("1. first step", ["1. first step"]),
        ("by J. Schmidhuber. It works", ["by J. Schmidhuber.", "It works"]),
        ("no full stop", ["no full stop"]),
    ],
)
def test_sentences_end_where_people_end_them(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


def test_fragments_join_their_neighbour() -> None:
    assert [point.text.en for point in points_of("Yes. It is differentiable everywhere but at zero. OK.", "en")] == ["Yes. It is differentiable everywhere but at zero. OK."]


def test_of_a_long_answer_the_upper_bullets_become_points() -> None:
    answer = "".join(f"- upper bullet number {n} says this\n  - a detail of bullet {n}\n" for n in range(6))
    assert [point.text.en for point in points_of(answer, "en")] == [f"upper bullet number {n} says this" for n in range(6)]


def test_code_and_table_rules_are_no_points() -> None:
    points = points_of("It is a loop over batches.\n\n```python\nfor batch in loader: step(batch)\n```\n\n| a | b |\n|---|---|\n", "en")
    assert [point.text.en for point in points] == ["It is a loop over batches."]


@given(st.text(alphabet="ab가나.!? \n-*|+$`()#>1", max_size=200))
def test_points_are_few_valid_and_in_the_answer(answer: str) -> None:
    points = points_of(answer, "ko")
    assert len(points) <= MAX_POINTS
    assert len({point.id for point in points}) == len(points)
    assert all(point.cues.ko and point.text.ko and point.text.en is None for point in points)
