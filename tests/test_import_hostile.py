"""Bad input: each file ends in one clear sentence, and nothing harmful survives in what is kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from viva.bank.markup import render
from viva.exchange import ImportFailed, read_list
from viva.exchange.clean import TAG, clean_inline, clean_markdown

LIST = "1. 편향이란 무엇인가요?\n   평균 오차입니다.\n"

CORPUS: dict[str, tuple[str, bytes, int, str]] = {
    "empty": ("a.txt", b"", 0, "is empty"),
    "only blanks": ("a.txt", b" \n\t\n", 0, "is empty"),
    "broken UTF-8": ("a.txt", LIST.encode() + b"\n- caf\xe9\n", 4, r"byte 67 \(0xe9\)"),
    "UTF-8 cut in a syllable": ("a.txt", LIST.encode()[:-3], 2, "neither UTF-8 nor CP949"),
    "Latin-1": ("a.txt", b"What is na\xefve Bayes?\n", 1, "neither UTF-8 nor CP949"),
    "Shift-JIS": ("a.txt", "学習率とは何ですか\n".encode("shift-jis"), 1, "neither UTF-8 nor CP949"),
    "half of UTF-16": ("a.txt", b"\xff\xfea", 0, "UTF-16"),
    "NUL": ("a.txt", b"What?\nx\x00y\n", 2, "NUL"),
    "PDF": ("a.md", b"%PDF-1.7\n\xff\xfe", 1, r"binary file \(PDF\)"),
    "Word": ("list.docx", b"PK\x03\x04....", 1, "binary file"),
    "picture": ("a.png", b"\x89PNG\r\n", 1, r"\(PNG\)"),
    "too large": ("a.txt", b"a" * 100 + b"\n" * (20 * 1024 * 1024), 0, "larger than 20 MB"),
    "huge line": ("a.txt", b"ok\n" + b"a" * 100_001, 2, "100,001 characters"),
    "web page": ("a.html", b"<!DOCTYPE html>\n<html><script>alert(1)</script></html>", 1, "web page"),
    "web page in Markdown": ("a.md", b"\n<html lang='ko'><body onload=alert(1)>", 1, "web page"),
    "too many questions": ("a.txt", "".join(f"{n}. What is {n}?\n" for n in range(1, 10_002)).encode(), 10_001, "more than 10,000 questions"),
    "too long an answer": ("a.md", b"## What?\n" + b"word word\n" * 21_000, 1, "too long"),
    "open quotation mark": ("a.csv", b'question,answer\n"a?,b\n', 2, "quotation marks"),
}  # fmt: skip


@pytest.mark.parametrize("case", CORPUS)
def test_each_bad_file_ends_in_one_sentence_with_file_and_line(case: str) -> None:
    name, raw, line, reason = CORPUS[case]
    with pytest.raises(ImportFailed, match=reason) as failure:
        read_list(raw, name)
    sentence = str(failure.value)
    assert (failure.value.file, failure.value.line) == (name, line)
    assert sentence.startswith(f"{name}:{line}: " if line else f"{name}: ") and "\n" not in sentence
    assert re.search("[가-힣]", failure.value.sentence("ko"))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match=r"^nowhere\.md: cannot be read"):
        read_list(tmp_path / "nowhere.md")
    with pytest.raises(ImportFailed, match="is a folder"):
        read_list(tmp_path)


def test_an_unknown_kind_lists_those_that_exist() -> None:
    with pytest.raises(ImportFailed, match="plain, markdown, csv, tsv"):
        read_list(b"x", "x", kind="yaml")  # type: ignore[arg-type]


@pytest.mark.parametrize("encoding", ["cp949", "euc-kr", "utf-16", "utf-8-sig"])
def test_korean_files_in_other_encodings_are_read(encoding: str) -> None:
    report = read_list(LIST.encode(encoding), "a.txt")
    assert [(item.question, item.answer) for item in report.items] == [("편향이란 무엇인가요?", "평균 오차입니다.")]
    assert any("CP949" in warning.text for warning in report.warnings) == (encoding in ("cp949", "euc-kr"))


def test_one_bad_byte_does_not_turn_a_utf8_file_into_nonsense() -> None:
    raw = bytearray((LIST * 20).encode())
    raw[500] = 0xFF
    with pytest.raises(ImportFailed, match=r"byte 500 \(0xec\)"):
        read_list(bytes(raw), "a.txt")


def test_invisible_characters_are_removed_and_said_so() -> None:
    report = read_list("What is \u202eA\x07?\n- x\n".encode(), "a.txt")
    assert report.items[0].question == "What is A?"
    assert any("control" in warning.text for warning in report.warnings)


HOSTILE = [
    "<script>alert(1)</script>", "<ScRiPt src=//e.org/x.js></sCrIpT >", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>", "<svg><script>alert(1)</script></svg>",
    "<iframe src='https://e.org'></iframe>", "<a href='javascript:alert(1)'>x</a>", "[x](javascript:alert(1))", "[x](JaVaScRiPt:alert(1))",
    "[x]( javascript:alert(1))", "[x](javascript&#58;alert(1))", "[x](data:text/html;base64,PHNjcmlwdD4=)", "[x](vbscript:x)", "[x](file:///etc/passwd)",
    "<javascript:alert(1)>", "![x](https://e.org/p.png)", "![x][p]\n\n[p]: https://e.org/p.png", "[x][j]\n\n[j]: javascript:alert(1)",
    "[![x](https://e.org/p.png)](javascript:alert(1))", "<<b>script>alert(1)</script>", "<scr<script>ipt>alert(1)</scr</script>ipt>", "<b onclick=alert(1)>x</b>",
    "<unknown onclick=alert(1)>x</unknown>", "<style>body{background:url(//e.org)}</style>", "<link rel=stylesheet href=//e.org>", "<meta http-equiv=refresh content='0;url=//e.org'>",
    "<form action=//e.org><input></form>", "<object data=x>", "<embed src=x>", "<base href=//e.org>", "<!--<img src=x onerror=alert(1)>-->", "<![CDATA[<script>]]>",
    "<?php echo 1 ?>", "<details open ontoggle=alert(1)>x", "<math><mtext><script>x</script></mtext></math>", "x<!--", "<img\nsrc=x\nonerror=alert(1)>", "<x-y onclick=alert(1)>",
]  # fmt: skip
BAD = re.compile(r"(?<!\\)<(?:/?[a-z]|!|\?)|!\[|\]\((?!\s*<?\s*https?://)|^\s*\[[^\]]*\]:(?!\s*https?:)", re.IGNORECASE | re.MULTILINE)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_harmful_survives_in_what_is_kept(text: str) -> None:
    for name, raw in {
        "a.md": f"## What is it?\nbefore {text} after\n\n{text}\n", "a.txt": f"What is it?\n - before {text} after\n", "b.md": f"## What is {text} it?\n- x\n",
        "c.md": f"<details><summary>What is {text} it?</summary>{text}</details>", "a.csv": 'question,answer\n"What is it?","before ' + text.replace('"', '""') + ' after"\n',
    }.items():  # fmt: skip
        report = read_list(raw.encode(), name)
        assert report.questions, name
        for item in report.items:
            for kept in (item.question, item.answer, item.topic or ""):
                assert not BAD.search(kept), (name, kept)
                assert not re.search(r"<(?:script|img|iframe|svg|style|form)|\bhref=\"(?!https?:)", render(kept)), (name, kept)


@pytest.mark.parametrize(
    "text",
    [
        "**bold** and *em* and `code <div>`", "$a < b$ and $$\\frac{a}{b} < c$$", "x < y and y > z", "[a](https://e.org/a_(b))", "a & b &amp; c", "- a\n  - b\n\n1. c",
        "```html\n<script>alert(1)</script>\n```", "| a | b |\n|---|---|\n| 1 | 2 |", "> quoted", "~~gone~~ 5 * 3 * 2", "C++ and C#, [1] and f(x)[0]", "한글 · 「괄호」 — 대시…", "P(a|b)", "1 << 4 <= 20",
    ],
)  # fmt: skip
def test_harmless_markdown_stays_as_it_is(text: str) -> None:
    assert clean_markdown(text) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a<br>b", "a\nb"), ("<b>a</b> <em>b</em> <code>c</code>", "**a** *b* `c`"), ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"), ("x<y", r"x\<y"), ("E[x<sub>i</sub>]", "E[xi]"),
        ("![a cat](https://e.org/c.png)", "a cat"), ("<https://e.org>", "https://e.org"), ("[words](./local.md)", "words"), ("&lt;b&gt;", "&lt;b&gt;"), ("$a<b$ <i>x</i>", "$a< b$ *x*"),
    ],
)  # fmt: skip
def test_html_that_says_something_becomes_markdown(text: str, kept: str) -> None:
    assert clean_markdown(text) == kept


PIECES = st.sampled_from([
    "<", ">", "<b>", "</b>", "<script>", "</script>", "<!--", "-->", "![", "[", "](", ")", "javascript:", "https://e.org", "`", "``", "```\n", "$", "$$", "\\", "&lt;", "&#60;", "\n", "\n\n",
    " ", "a", "가", "<img src=x onerror=y>", "]:", "<a href='", "'", "on", "=", "<br", "/", "*", "<x-y>", "<?", "<!", "\ufdd0",
])  # fmt: skip


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_cleaning_leaves_no_tag_and_no_remote_load_however_the_pieces_fall(text: str) -> None:
    for kept in (clean_markdown(text), clean_inline(text)):
        rendered = render(kept)
        assert not re.search(r"<(?:script|img|iframe|style)|href=\"(?!https?://)", rendered)
    # A reader of Markdown that does allow HTML finds no tag either: what looks like one stands in code.
    tokens = MarkdownIt("commonmark").parse(clean_markdown(text))
    html = [part.content for token in tokens for part in (token, *(token.children or ())) if part.type.startswith("html")]
    assert not [part for part in html if TAG.search(part)]


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=20).map("".join))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = clean_inline(text)
    assert clean_inline(clean_inline(once)) == clean_inline(once)


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["[", "](", "![", "<", "<a ", "<!--", "`", "` ", "$a ", ">", "*a ", "**a ", "<details>", "<summary>", "Q ", "e.g. ", "a. (b. ", "<a on", "( ", "- ", "# ", " ", "답:", "<script>"])  # fmt: skip
def test_a_hostile_line_of_any_kind_is_read_to_its_end(unit: str) -> None:
    line = (unit * 90_000)[:90_000]
    for name in ("a.txt", "a.md", "a.csv"):
        try:
            read_list(f"## What?\n{line}\n- {line}\n".encode(), name)
        except ImportFailed as failure:
            assert len(str(failure)) < 500


def test_a_list_of_ten_thousand_questions_is_read() -> None:
    report = read_list("".join(f"{n}. What is {n}?\n   - it is {n}\n" for n in range(1, 10_001)).encode(), "a.txt")
    assert report.question_count == report.answer_count == 10_000
