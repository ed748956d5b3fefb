"""Plain-text lists: the public list that Viva started from, and pages like it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from viva.exchange import ImportReport, build_pack, read_list

DATA = Path(__file__).parent / "data" / "import"


def found(text: str, name: str = "list.txt") -> list[tuple[str, str]]:
    return [(item.question, item.answer) for item in read_list(text.encode(), name).items]


@pytest.fixture(scope="module")
def seed(seed_list: Path) -> ImportReport:
    return read_list(seed_list, language="ko")


def test_the_public_list_has_its_seventy_questions_each_with_an_answer(seed: ImportReport) -> None:
    assert (seed.question_count, seed.answer_count) == (70, 70)
    assert {item.topic for item in seed.items} == {"딥러닝"}


def test_every_bullet_of_the_public_list_is_kept_as_deep_as_it_stood(seed: ImportReport, seed_list: Path) -> None:
    lines = seed_list.read_text(encoding="utf-8").split("\n")
    start = next(number for number, line in enumerate(lines) if line.strip() == "[딥러닝]")
    columns = {2: 0, 4: 2, 6: 4}  # bullet column in the page -> in the Markdown
    wanted = [
        " " * columns[len(line) - len(line.lstrip())] + "- " + line.strip()[1:].strip() for line in lines[start:] if line.strip().startswith("•")
    ]
    kept = [line for item in seed.items for line in item.answer.split("\n")]
    assert kept == wanted
    assert len(kept) == 127


def test_nothing_of_the_pages_furniture_is_imported_and_all_of_it_is_reported(seed: ImportReport, seed_list: Path) -> None:
    lines = seed_list.read_text(encoding="utf-8").split("\n")
    texts = "\n".join(f"{item.question}\n{item.answer}" for item in seed.items)
    for furniture in ("반응형", "진정성", "사용 방법", "목차(Outline)", "tistory", "본문 바로가기", "끝."):
        assert any(furniture in line for line in lines), furniture
        assert furniture not in texts
    first = next(number for number, line in enumerate(lines, start=1) if line.strip() == "[딥러닝]")
    before = {number for number, line in enumerate(lines[: first - 1], start=1) if line.strip()}
    reported = {warning.line for warning in seed.warnings}
    assert before <= reported
    assert reported - before == {number for number, line in enumerate(lines, start=1) if number > first and line.strip() in ("끝.", "반응형")}


def test_the_public_list_can_be_practised_at_once(seed: ImportReport) -> None:
    questions = build_pack(seed, "seed", "목록")
    assert [question.seed for question in questions] == list(range(1, 71))
    assert all(1 <= len(question.points) <= 8 for question in questions)
    assert all(question.answer and question.answer.ko and question.answer.en is None for question in questions)


def test_a_page_without_the_public_lists_words_is_read_by_the_same_rules() -> None:
    report = read_list(DATA / "blog.ko.txt", language="ko")
    assert [(item.topic, item.question) for item in report.items] == [
        ("기초", "학습률이 너무 크면 어떻게 되는가"),
        ("기초", "배치 크기의 영향"),
        ("모델", "LSTM에 대하여 설명하라 (2024.03)"),
    ]
    assert report.items[0].answer.split("\n") == [
        "- 손실이 줄지 않고 튀거나 발산합니다.",
        "- (확인 방법)",
        "  - 손실 곡선을 본다.",
        "    - 처음 100걸음이면 충분하다.",
        "  - 기울기의 크기를 기록한다.",
    ]
    assert sum("반응형" in warning.text for warning in report.warnings) == 2


def test_a_page_without_topics_begins_at_the_first_title_that_reads_as_a_question() -> None:
    report = read_list(
        "블로그입니다.\n\n읽는 법\n\n • 천천히\n\nCNN과 RNN의 차이를 설명해 주세요\n - 공간과 시간\n\nBatch size의 영향\n - 분산\n\n관련 글\n - 다른 글\n댓글 3\n".encode(), "x.txt"
    )
    assert [item.question for item in report.items] == ["CNN과 RNN의 차이를 설명해 주세요", "Batch size의 영향"]
    assert [item.answer for item in report.items] == ["- 공간과 시간", "- 분산"]


def test_titles_that_are_only_terms_are_questions_where_all_titles_are() -> None:
    assert found("CNN\n-필터를 쓴다\n-공유한다\nRNN\n-순서를 본다\n") == [("CNN", "- 필터를 쓴다\n- 공유한다"), ("RNN", "- 순서를 본다")]


def test_marks_decide_what_is_a_question() -> None:
    report = read_list(DATA / "numbered.txt")
    assert [(item.question, item.answer) for item in report.items] == [
        ("조기 종료란?", "검증 손실이 나빠지기 시작하면 멈춥니다.\n가장 좋았던 가중치로 되돌립니다."),
        ("라벨 스무딩은 무엇인가요?", "정답 확률을 1보다 조금 낮게 둡니다.\n\n- 과신을 줄입니다."),
        ("지식 증류를 설명하시오.", "큰 모델의 출력을 작은 모델이 따라 배웁니다."),
    ]
    assert [warning.line for warning in report.warnings] == [1]


@pytest.mark.parametrize("mark", ["1. ", "1) ", "(1) ", "1번 ", "Q1. ", "Q1) ", "Q. ", "Q: ", "질문 1: ", "질문: ", "문1) ", "문제 1. ", "[Q1] ", "Question 1: "])
def test_each_way_of_marking_a_question_is_understood(mark: str) -> None:
    text = f"{mark}What is a kernel?\nA small filter.\n\n{mark.replace('1', '2')}What is a stride?\nThe step.\n"
    assert found(text) == [("What is a kernel?", "A small filter."), ("What is a stride?", "The step.")]


@pytest.mark.parametrize("mark", ["A: ", "A1. ", "A. ", "답: ", "답) ", "답변: ", "정답: ", "Answer: "])
def test_each_way_of_marking_an_answer_is_understood(mark: str) -> None:
    assert found(f"Q1. 편향이란?\n{mark}평균 오차입니다.\nQ2. 분산이란?\n{mark}흔들림입니다.\n") == [("편향이란?", "평균 오차입니다."), ("분산이란?", "흔들림입니다.")]


def test_a_question_and_its_answer_on_one_line_come_apart() -> None:
    assert found("Q: 편향이란? A: 평균 오차입니다.\nQ: 분산이란? A: 흔들림입니다.\n") == [("편향이란?", "평균 오차입니다."), ("분산이란?", "흔들림입니다.")]


def test_numbered_steps_of_an_answer_are_no_questions() -> None:
    assert found("Explain SGD.\n 1. sample a batch\n 2. take a step\n\nWhat is momentum?\n - a running mean\n") == [
        ("Explain SGD.", "1. sample a batch\n2. take a step"),
        ("What is momentum?", "- a running mean"),
    ]


def test_numbers_that_begin_again_in_each_chapter_are_questions() -> None:
    report = read_list("[A]\n1. 편향이란?\n - 평균\n2. 분산이란?\n - 흔들림\n[B]\n1. 잡음이란?\n - 남는 것\n".encode(), "x.txt")
    assert [(item.topic, item.question) for item in report.items] == [("A", "편향이란?"), ("A", "분산이란?"), ("B", "잡음이란?")]


def test_questions_with_paragraphs_need_no_bullets() -> None:
    text = "What is a GAN?\n\nTwo networks compete.\nThey play a game.\n\nWhat is a VAE?\n\nAn autoencoder with a prior.\n"
    assert found(text) == [("What is a GAN?", "Two networks compete.\nThey play a game."), ("What is a VAE?", "An autoencoder with a prior.")]


def test_questions_without_answers_are_kept_and_said_to_have_none() -> None:
    report = read_list("딥러닝이란 무엇인가?\n과적합의 원인을 설명하라\n".encode(), "x.txt", language="ko")
    assert (report.question_count, report.answer_count) == (2, 0)
    assert [warning.text for warning in report.warnings] == ["이 질문에는 답이 없습니다"] * 2


def test_heading_marks_name_topics_and_questions_by_what_follows() -> None:
    report = read_list("■ 기초\n\n▶ 편향이란?\n  - 평균\n▶ 분산이란?\n  - 흔들림\n\n■ 심화\n▶ 잡음이란?\n  - 남는 것\n".encode(), "x.txt")
    assert [(item.topic, item.question, item.answer) for item in report.items] == [
        ("기초", "편향이란?", "- 평균"), ("기초", "분산이란?", "- 흔들림"), ("심화", "잡음이란?", "- 남는 것"),
    ]  # fmt: skip


@pytest.mark.parametrize("bullet", ["•", "-", "*", "·", "–", "◦", "▪", "+", "ㆍ", "●"])
def test_each_kind_of_bullet_is_a_bullet(bullet: str) -> None:
    text = f"편향이란 무엇인가\n\n  {bullet} 평균 오차\n    {bullet} 모델이 단순하다\n\n분산이란 무엇인가\n\n  {bullet} 흔들림\n"
    assert found(text) == [("편향이란 무엇인가", "- 평균 오차\n  - 모델이 단순하다"), ("분산이란 무엇인가", "- 흔들림")]


def test_a_bullet_that_runs_over_two_lines_stays_one_bullet() -> None:
    assert found("편향이란 무엇인가\n\n• 평균이\n  어긋난 정도\n• 단순한 모델에서 크다\n\n분산이란 무엇인가\n\n• 흔들림\n")[0][1] == "- 평균이\n  어긋난 정도\n- 단순한 모델에서 크다"


def test_a_star_between_letters_is_a_multiplication_not_emphasis() -> None:
    answer = found("면적을 어떻게 구하는가?\n - a*b*c 입니다\n")[0][1]
    assert answer == r"- a\*b\*c 입니다"


def test_warnings_are_in_the_language_asked_for() -> None:
    korean, english = (read_list(DATA / "blog.ko.txt", language=language).warnings for language in ("ko", "en"))
    assert [warning.line for warning in korean] == [warning.line for warning in english]
    assert all(re.search("[가-힣]", re.sub("“.*”", "", warning.text)) for warning in korean)
    assert not any(re.search("[가-힣]", re.sub("“.*”", "", warning.text)) for warning in english)


def test_the_report_as_json_has_the_promised_shape() -> None:
    data = read_list(DATA / "blog.ko.txt").to_json()
    assert (data["questions"], data["answers"]) == (3, 3)
    assert all(set(warning) == {"line", "text"} for warning in data["warnings"])
    assert data["items"][1] == {"line": 33, "topic": "기초", "question": "배치 크기의 영향", "answer": "- 배치가 크면 기울기의 분산이 작아집니다."}
