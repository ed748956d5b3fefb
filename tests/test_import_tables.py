"""CSV and TSV lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from viva.exchange import ImportFailed, read_list

DATA = Path(__file__).parent / "data" / "import"


def test_named_columns_are_found_wherever_they_stand() -> None:
    report = read_list(DATA / "cards.csv", language="ko")
    assert [(item.line, item.topic, item.question, item.answer) for item in report.items] == [
        (2, "언어 모델", "퍼플렉시티란, 무엇인가요?", "교차 엔트로피의 지수입니다.\n낮을수록 좋습니다."),
        (4, "metrics", "What is BLEU?", "An n-gram overlap score."),
    ]
    assert {warning.line for warning in report.warnings} == {1, 2, 5}  # an unused column, its cell, a row without question


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_each_separator_is_recognised(separator: str) -> None:
    text = separator.join(("question", "answer")) + "\n" + separator.join(("What is A?", "an A")) + "\n"
    assert [(item.question, item.answer) for item in read_list(text.encode(), "x.csv").items] == [("What is A?", "an A")]


def test_without_a_header_the_column_that_asks_is_the_question() -> None:
    report = read_list(b"basics;What is A?;an A\nbasics;Why B?;so\n", "x.csv")
    assert [(item.question, item.answer) for item in report.items] == [("What is A?", "an A"), ("Why B?", "so")]
    assert "no header" in report.warnings[0].text


def test_cards_of_terms_need_no_question_mark() -> None:
    assert [item.question for item in read_list("편향\t평균 오차\n분산\t흔들림\n".encode(), "x.tsv").items] == ["편향", "분산"]


def test_tabs_without_quoting_keep_their_quotation_marks() -> None:
    assert read_list(b'question\tanswer\nWhat is "A"?\tthe "first\n', "x.tsv").items[0].answer == 'the "first'


def test_tags_serve_as_topic_where_there_is_none() -> None:
    assert read_list(b"front,back,tags\nWhat is A?,an A,cnn;vision\n", "x.csv").items[0].topic == "cnn"


def test_an_unclosed_quotation_mark_names_the_row_it_opens_in() -> None:
    with pytest.raises(ImportFailed, match=r"^x\.csv:3: .*quotation marks") as failure:
        read_list(b'question,answer\na?,b\n"c?,d\ne?,f\n', "x.csv")
    assert failure.value.line == 3


def test_windows_line_ends_and_a_byte_order_mark_leave_no_trace() -> None:
    report = read_list("\ufeff질문,답변\r\n편향이란?,평균\r\n".encode(), "x.csv")
    assert [(item.question, item.answer) for item in report.items] == [("편향이란?", "평균")]
