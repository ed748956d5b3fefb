"""Whatever a list looks like: each of its lines is accounted for, and what is not left out is really kept."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viva.exchange import ImportFailed, ImportReport, build_pack, read_list

# Shapes of lines; each gets a word of its own, so that it can be looked for in what was understood.
SHAPES = [
    "What is {}?", "{}란 무엇인가", "Explain {}", "{}의 차이점", "{}", "{} is a thing.", "{}입니다.",
    "- {}", "  - {}", "    - {}", "• {}", "  • {}", "* {}", "1. {}", "2. What is {}?", "3) {}", "   {}", "      {}",
    "# {}", "## {}", "## What is {}?", "### {}", "#### Why {}?", "[{}]", "■ {}", "**{}**", "**What is {}?**", "**What is {}?** yes it is",
    "Q1. {}", "Q: {}?", "A: {}", "답: {}", "문2) {}", "Q. {}", "질문 {}",
    "> {}", "`{}`", "```{}", "```", "~~~", "---", "===", "***", "| {} | x |", "|---|---|", "| Question {} | Answer |",
    "<details><summary>{}</summary>", "<details>", "<summary>What is {}?</summary>", "</details>", "<details><summary>Answer</summary> {}</details>",
    "<!-- {} -->", "<!--", "-->", "<script>{}", "</script> {}", "x <style>{}</style> {}", "<b>{}</b>", "<div>{}</div>", "[{}](#x)", "[{}](http://e.org)", "{} $x_1 < y$", "끝.", "반응형", "    {}", "\t{}",
    "- **{}**: yes", "- Q: {}", "- A: {}", "- [ ] {}", "<h3>{}</h3>", "", "", "", "\u00a0",
]  # fmt: skip
WORD = re.compile(r"word\d+x")


@st.composite
def lists(draw: st.DrawFn) -> str:
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=40))
    return "\n".join(shape.replace("{}", f"word{number}x") for number, shape in enumerate(shapes, start=1))


def check(text: str, report: ImportReport) -> None:
    lines = text.split("\n")
    written = {number for number, line in enumerate(lines, start=1) if line.strip()}
    assert written <= set(report.roles)
    warned = {warning.line for warning in report.warnings}
    kept = " ".join(f"{item.topic} {item.question} {item.answer}" for item in report.items)
    for number in written:
        role = report.roles[number]
        if re.search("<!--|-->|<style|</?script", lines[number - 1]):
            assert role in ("structure", "topic") or number in warned or not WORD.search(lines[number - 1]) or WORD.search(lines[number - 1]).group() in kept  # type: ignore[union-attr]
            continue
        assert role != "left out" or number in warned
        for word in WORD.findall(lines[number - 1]):
            if role in ("question", "answer"):
                assert word in kept, (role, lines[number - 1])
            elif role == "left out":
                assert word not in kept, (role, lines[number - 1])
    assert sorted(item.line for item in report.items) == [item.line for item in report.items]


@settings(max_examples=150)
@given(lists())
def test_every_line_of_a_plain_list_is_kept_or_reported(text: str) -> None:
    try:
        check(text, read_list(text.encode(), "x.txt", kind="plain"))
    except ImportFailed as failure:
        assert "is empty" in str(failure)


@settings(max_examples=150)
@given(lists())
def test_every_line_of_a_markdown_list_is_kept_or_reported(text: str) -> None:
    try:
        check(text, read_list(text.encode(), "x.md", kind="markdown"))
    except ImportFailed as failure:
        assert "is empty" in str(failure)


ASKING = ["What is {}?", "{}란 무엇인가요?", "Explain {} and why", "{}의 원리를 설명하시오."]


@given(st.lists(st.tuples(st.sampled_from(ASKING), st.lists(st.integers(0, 3), max_size=5)), min_size=1, max_size=8))
def test_a_well_formed_list_loses_no_question_and_no_bullet(shapes: list[tuple[str, list[int]]]) -> None:
    blocks, answers = [], []
    for number, (shape, deeper) in enumerate(shapes, start=1):
        depths = [0]
        for depth in deeper:
            depths.append(min(depth, depths[-1] + 1))
        bullets = [(depth, f"item {number}.{at} 입니다") for at, depth in enumerate(depths)]
        blocks.append((shape.format(f"word{number}x"), bullets))
        answers.append("\n".join("  " * depth + f"- {text}" for depth, text in bullets))
    styles = {
        "page.txt": "".join(f"{q}\n\n" + "".join(" " * (2 + 2 * d) + f"• {t}\n" for d, t in bs) + "\n" for q, bs in blocks),
        "heads.md": "# List\n" + "".join(f"## {q}\n" + "".join("  " * d + f"- {t}\n" for d, t in bs) for q, bs in blocks),
        "folds.md": "".join(f"<details><summary>{q}</summary>\n\n" + "".join("  " * d + f"- {t}\n" for d, t in bs) + "\n</details>\n" for q, bs in blocks),
        "numbers.md": "".join(f"{n}. {q}\n" + "".join("  " * d + f"    - {t}\n" for d, t in bs) for n, (q, bs) in enumerate(blocks, 1)),
    }
    for name, text in styles.items():
        report = read_list(text.encode(), name)
        assert [(item.question, item.answer) for item in report.items] == [(q, a) for (q, _), a in zip(blocks, answers, strict=True)], name
        assert report.warnings == (), name


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=400), st.text(max_size=400).map(lambda text: text.encode("utf-8", "surrogatepass"))))
@pytest.mark.parametrize("name", ["x.txt", "x.md", "x.csv", "x.tsv"])
def test_no_bytes_at_all_end_in_anything_but_a_report_or_a_sentence(name: str, raw: bytes) -> None:
    try:
        report = read_list(raw, name)
        if report.questions:
            build_pack(report, "x")
    except ImportFailed as failure:
        assert str(failure).startswith("x.") and "\n" not in str(failure)
        assert re.search("[가-힣]", failure.sentence("ko"))
