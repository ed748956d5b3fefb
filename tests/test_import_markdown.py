"""Markdown lists: headings, folds, tables, numbers, bold lines, bullets."""

from __future__ import annotations

from pathlib import Path

import pytest

from viva.exchange import ImportReport, read_list

DATA = Path(__file__).parent / "data" / "import"


def read(text: str, name: str = "list.md") -> ImportReport:
    return read_list(text.encode(), name)


def found(text: str) -> list[tuple[str, str]]:
    return [(item.question, item.answer) for item in read(text).items]


def topics(text: str) -> list[tuple[str | None, str]]:
    return [(item.topic, item.question) for item in read(text).items]


def test_headings_that_read_as_questions_are_questions_and_those_above_are_topics() -> None:
    report = read_list(DATA / "headings.md", language="ko")
    assert [(item.line, item.topic, item.question) for item in report.items] == [
        (13, "최적화", "가중치 감쇠란 무엇인가요?"),
        (21, "최적화", "Why do we warm up the learning rate?"),
        (28, "모델", "임베딩은 왜 필요한가요?"),
    ]
    assert report.items[0].answer.endswith("**수식**\n\n$w \\leftarrow (1-\\eta\\lambda)w - \\eta g$")
    assert report.items[1].answer == "- Early gradients are noisy.\n  - Adam's second moment is not yet estimated."
    assert "| one-hot | 어휘 크기 |" in report.items[2].answer


def test_introductions_tables_of_contents_comments_and_references_are_left_out_and_reported() -> None:
    report = read_list(DATA / "headings.md")
    assert [warning.line for warning in report.warnings] == [7, 9, 34, 36, 38]


def test_folds_are_questions_and_folds_of_folds_are_topics() -> None:
    report = read_list(DATA / "folds.md")
    assert [(item.topic, item.question, item.answer) for item in report.items] == [
        ("Convolution", "What is a dilated convolution?", "A kernel with gaps: the receptive field grows, the number of weights stays.\n\n- `dilation=2` skips every other pixel"),
        ("Convolution", "Why are kernels odd-sized?", "They have a centre."),
        ("Sequences", "What does teacher forcing do?", "It feeds the true previous token.\n\n- exposure bias is its price"),
        ("Sequences", "Beam search", "It keeps the k best prefixes."),
    ]
    assert report.warnings == ()


@pytest.mark.parametrize("summary", ["Answer", "Show answer", "Click to expand", "정답 보기", "답", "펼치기", "모범 답안", "👉 정답 확인", "Solution", "더보기"])
def test_a_fold_that_only_hides_the_answer_belongs_to_the_question_above(summary: str) -> None:
    assert found(f"### What is a seed?\n<details><summary>{summary}</summary>\n\nA number.\n\n</details>\n") == [("What is a seed?", "A number.")]


def test_a_table_with_named_columns_is_read_row_by_row() -> None:
    report = read("| No | 질문 | 답변 | 주제 |\n|--|--|--|--|\n| 1 | 편향이란? | 평균 \\| 오차 | 기초 |\n| 2 | 분산이란? | | 기초 |\n")
    assert [(item.question, item.answer, item.topic) for item in report.items] == [("편향이란?", "평균 | 오차", "기초"), ("분산이란?", "", "기초")]
    assert [warning.line for warning in report.warnings] == [4]


def test_a_table_inside_an_answer_stays_a_table() -> None:
    assert found("## What is bias?\n\n| model | bias |\n|---|---|\n| linear | high |\n") == [("What is bias?", "| model | bias |\n|---|---|\n| linear | high |")]


def test_numbered_questions_keep_their_bullets_and_code() -> None:
    assert found("1. What is dropout?\n   Random off.\n   - training only\n\n2. Explain Adam\n\n   ```python\n   m = b1 * m\n   ```\n3. Bagging\n") == [
        ("What is dropout?", "Random off.\n- training only"),
        ("Explain Adam", "```python\nm = b1 * m\n```"),
        ("Bagging", ""),
    ]


def test_bullets_that_ask_are_questions_with_the_deeper_bullets_as_answer() -> None:
    text = "## CNN\n- **What is pooling?** Downsampling.\n- Why padding?\n  - keeps the size\n## NLP\n* What is BPE? It merges frequent pairs.\n"
    assert topics(text) == [("CNN", "What is pooling?"), ("CNN", "Why padding?"), ("NLP", "What is BPE?")]
    assert [answer for _, answer in found(text)] == ["Downsampling.", "- keeps the size", "It merges frequent pairs."]


def test_bold_lines_are_questions() -> None:
    assert found("**Q: What is attention?**\n\nA weighted sum.\n\n**What is a token?** A piece of text.\n\n**Why positions?**\nOrder is lost.\n") == [
        ("What is attention?", "A weighted sum."),
        ("What is a token?", "A piece of text."),
        ("Why positions?", "Order is lost."),
    ]


def test_bold_terms_are_questions_where_nothing_else_is() -> None:
    assert found("**Overfitting**\n\nFits noise.\n\n**Dropout**\n\n- switches units off\n") == [("Overfitting", "Fits noise."), ("Dropout", "- switches units off")]


def test_bold_labels_within_an_answer_are_part_of_it() -> None:
    assert found("## What is ridge?\n\n**Idea**\n\nShrink.\n\n**Why?**\n\nVariance.\n") == [("What is ridge?", "**Idea**\n\nShrink.\n\n**Why?**\n\nVariance.")]


def test_marked_paragraphs_and_quoted_answers_are_pairs() -> None:
    assert found("Q. What is A?\n> A is a thing.\n\nQ. What is B?\nA. B is a thing.\n") == [("What is A?", "> A is a thing."), ("What is B?", "B is a thing.")]


def test_a_list_of_bare_questions_loses_none() -> None:
    report = read("# Questions\n\n1. What is deep learning?\n2. Why nonlinearities?\n3. Bias-variance trade-off\n4. Describe backprop.\n")
    assert (report.question_count, report.answer_count) == (4, 0)


def test_glossaries_without_a_single_question_are_read_by_their_deepest_full_level() -> None:
    assert topics("# DL\n## Transformers\n### Self-attention\nText.\n### Positions\nText.\n## CNN\n### Pooling\nText.\n") == [
        ("Transformers", "Self-attention"), ("Transformers", "Positions"), ("CNN", "Pooling"),
    ]  # fmt: skip


def test_subheadings_of_a_question_are_part_of_its_answer() -> None:
    assert found("## Q1. ResNet을 설명하라\n### 핵심\n- skip\n### 수식\n- y=F(x)+x\n## Q2. GAN을 설명하라\n### 핵심\n- 경쟁\n") == [
        ("ResNet을 설명하라", "**핵심**\n\n- skip\n\n**수식**\n\n- y=F(x)+x"),
        ("GAN을 설명하라", "**핵심**\n\n- 경쟁"),
    ]


def test_questions_asked_within_an_answer_do_not_split_it() -> None:
    text = "## What is A?\nText. Why does it matter? Because.\n\nDo you see it?\n\n- What if not?\n- Why?\n## What is B?\nText.\n"
    assert [question for question, _ in found(text)] == ["What is A?", "What is B?"]
    assert "Do you see it?\n\n- What if not?" in found(text)[0][1]


def test_signs_within_code_are_no_structure() -> None:
    assert found("## What is a comment?\n```python\n# What is this?\n<details>\nQ1. no\n```\n") == [("What is a comment?", "```python\n# What is this?\n<details>\nQ1. no\n```")]


def test_the_kind_follows_the_name_and_the_content_and_can_be_told() -> None:
    assert read_list(b"# T\n## What is A?\nx\n", "a.txt").format == "markdown"
    assert read_list("딥러닝이란?\n  • 신경망\n".encode(), "a.md").format == "plain"
    assert read_list(b"What is A?\tan A\nWhat is B?\ta B\n", "a.txt").format == "tsv"
    assert read_list(b"What is A?,an A\n", "a.txt", kind="csv").items[0].answer == "an A"
