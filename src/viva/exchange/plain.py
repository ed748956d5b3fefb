"""Plain-text lists: titles with bullets below them, numbered questions, ``Q:``/``A:`` pairs, questions with paragraphs.

The page that such a list was copied from brings its furniture along: menus, an author line, an introduction, share buttons. What
is a question is decided in this order:

1. Marks. Where lines say ``Q1.``, ``질문:``, ``문3)``, those are the questions and all up to the next is the answer.
2. Numbers. Where lines counted 1, 2, 3 … read as questions, those are the questions.
3. Titles. A line with bullets right below it is a question; so is a lone line that reads strongly as one.

The list begins at its first topic heading (a line in brackets, or underlined). What stands before that is introduction,
unless it has bullets and reads strongly as a question. Without topic headings it begins at the first title that
reads as a question. After a question's bullets, a paragraph that stands alone belongs to nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from viva.exchange.report import Ledger
from viva.exchange.signs import (
    Sign,
    answer_mark,
    bare,
    is_bare_question_mark,
    is_furniture_heading,
    is_platform_line,
    number_mark,
    question_and_rest,
    question_mark,
    question_sign,
)
from viva.exchange.unseen import without_unseen
from viva.language import Text

_BULLET = re.compile(r"[•●○◦▪▫■□▸▹►‣⁃∙·ㆍ・◆◇☞]\s*(?=\S)|[-–*+]\s+(?=\S)|[-–](?=[^\W\d_])|-?>\s+(?=\S)")
_ORDERED = re.compile(r"(\d{1,3})[.)]\s+(?=\S)|([①-⑳])\s*(?=\S)|([가나다라마바사아자차카타파하a-z])[.)]\s+(?=\S)")
_HEADING_MARK = re.compile(r"[■□▶▷►◆◇◈★☆※●○]\s*(?=\S)")
_RULE = re.compile(r"[\s\-=_*~·—─━]{3,}$")
_BRACKETED = re.compile(r"\[[^\[\]]{1,60}\]$|【[^【】]{1,60}】$|<[^<>]{1,60}>$|〈[^〈〉]{1,60}〉$|《[^《》]{1,60}》$|≪[^≪≫]{1,60}≫$")
_CHAPTER = re.compile(
    r"(?:제\s?\d{1,3}\s?[장절부편]|\d{1,3}\s?[장부편](?=[.\s:])|(?:chapter|part|section|unit)\s+(?:\d{1,3}|[ivx]{1,5})\b)[.:)\s]*",
    re.IGNORECASE,
)


@dataclass
class Row:
    """A line that is not blank. ``indent`` is in columns; ``glued`` says that no blank line stands before it."""

    number: int
    indent: int
    text: str
    glued: bool
    kind: str = "text"  # or item, rule, topic
    bullet: str = ""
    sign: Sign = Sign.none


def read_plain(lines: list[str], ledger: Ledger) -> None:
    rows = _rows(without_unseen(list(enumerate(lines, start=1)), ledger, fences=False))
    for row in rows:
        if row.kind == "rule":
            ledger.mark([row.number], "structure")
    underlined = {rows[i - 1].number for i in range(1, len(rows)) if rows[i].kind == "rule" and rows[i].glued and "=" in rows[i].text}
    rows = [row for row in rows if row.kind != "rule"]
    marked = _by_marks(rows)
    opens = marked if marked is not None else _by_numbers(rows)
    _find_items(rows, opens)
    _find_topics(rows, underlined, opens)
    if opens is None or marked is None:
        opens = _by_titles(rows, opens or {})
    _collect(rows, opens, ledger, keeps_all=marked is not None)


def _rows(lines: list[tuple[int, str]]) -> list[Row]:
    rows = []
    blank = True
    for number, line in lines:
        wide = line.replace("\u3000", "  ").replace("\u200b", "").expandtabs(4)
        text = wide.strip()
        if text:
            row = Row(number, len(wide) - len(wide.lstrip()), text, not blank)
            row.kind = "rule" if _RULE.match(text) and not re.match(r"[-*]\s*$", text) else "text"
            row.sign = question_sign(text) if len(text) <= 600 else Sign.none
            rows.append(row)
        blank = not text
    return rows


def _by_marks(rows: list[Row]) -> dict[int, str] | None:
    """Rows that open a question by a mark, with the question's text; None where the list does not use marks."""
    opens = {i: rest for i, row in enumerate(rows) if (rest := question_mark(_unbulleted(row.text))) is not None}
    for i, row in enumerate(rows):  # a mark alone on its line: the question is the next line
        if i not in opens and is_bare_question_mark(row.text) and re.search(r"\d|[.:)]", row.text) and i + 1 < len(rows):
            opens[i] = ""
    answered = any(answer_mark(_unbulleted(row.text)) is not None for row in rows)
    return opens if len(opens) >= 2 or (opens and answered) else None


def _by_numbers(rows: list[Row]) -> dict[int, str] | None:
    """Rows that open a question by counting; None where the numbers of the list are steps of answers."""
    base = min((row.indent for row in rows), default=0)
    opens: dict[int, str] = {}
    last, restarts = 0, 0
    for i, row in enumerate(rows):
        found = number_mark(row.text) if row.indent <= base + 1 else None
        if found and found[0] in (last + 1, 1):
            restarts += found[0] == 1 and last > 0
            last = found[0]
            opens[i] = found[1]
    if not opens:
        return None
    asking = sum(1 for text in opens.values() if question_sign(text) is not Sign.none)
    rivals = sum(1 for i, row in enumerate(rows) if i not in opens and row.sign is Sign.strong and row.indent <= base + 1)
    with_answers = sum(1 for i in opens if i + 1 < len(rows) and i + 1 not in opens)
    if 2 * asking >= len(opens) or (len(opens) >= 2 and not restarts and not rivals and 2 * with_answers >= len(opens)):
        return opens
    return None


def _find_items(rows: list[Row], opens: dict[int, str] | None) -> None:
    """Tells bullets from text. Signs such as ■ are bullets only where the list has no other ones."""
    usual = [row for i, row in enumerate(rows) if not (opens and i in opens) and _BULLET.match(row.text) and not _HEADING_MARK.match(row.text)]
    for i, row in enumerate(rows):
        if opens and i in opens:
            continue
        heading = _HEADING_MARK.match(row.text)
        if heading and usual and row.indent <= min(item.indent for item in usual):
            row.text = row.text[heading.end() :]
            row.sign = question_sign(row.text)
            row.bullet = "heading"
            continue
        found = _BULLET.match(row.text)
        ordered = None if found else _ORDERED.match(row.text)
        if found or (ordered and not (row.indent == 0 and row.sign is Sign.strong)):
            cut = found or ordered
            assert cut is not None
            row.kind = "item"
            row.bullet = f"{ordered.group(1)}." if ordered and ordered.group(1) else "-"
            row.text = row.text[cut.end() :] if found or (ordered and ordered.group(1)) else row.text


def _find_topics(rows: list[Row], underlined: set[int], opens: dict[int, str] | None) -> None:
    bracketed = [i for i, row in enumerate(rows) if row.kind == "text" and _BRACKETED.match(row.text)]
    asking = sum(1 for i in bracketed if _has_items(rows, i) or rows[i].sign is Sign.strong)
    for i in bracketed:
        if 2 * asking <= len(bracketed):
            rows[i].kind = "topic"
        else:  # brackets are how this list writes its questions
            rows[i].text = rows[i].text[1:-1].strip()
            rows[i].sign = question_sign(rows[i].text)
    for i, row in enumerate(rows):
        if row.kind != "text" or (opens and i in opens):
            continue
        chapter = _CHAPTER.match(row.text)
        named = (row.number in underlined or chapter) and row.sign is not Sign.strong and len(row.text) <= 80
        if named or (row.bullet == "heading" and row.sign is Sign.none and not _has_items(rows, i)):
            row.kind = "topic"


def _has_items(rows: list[Row], i: int) -> bool:
    following = rows[i + 1] if i + 1 < len(rows) else None
    return following is not None and following.kind == "item" and following.indent >= rows[i].indent


def _by_titles(rows: list[Row], numbered: dict[int, str]) -> dict[int, str]:
    """Rows that open a question as a title, besides the numbered ones."""
    base = min((row.indent for row in rows if row.kind == "text"), default=0)
    titles = [i for i, row in enumerate(rows) if row.kind == "text" and i not in numbered and _has_items(rows, i)]
    titles = [i for i in titles if not is_furniture_heading(rows[i].text)]
    titles = [i for i in titles if rows[i].indent <= base + 1 or not (i and rows[i - 1].kind == "item")]
    airy = 2 * sum(1 for i in titles if not rows[i].glued) > len(titles)
    if airy:  # where titles stand apart, a line stuck to a bullet is the bullet's second line
        titles = [i for i in titles if not (rows[i].glued and i and rows[i - 1].kind == "item" and rows[i].sign is Sign.none)]
    topics = [i for i, row in enumerate(rows) if row.kind == "topic" and not _has_items(rows, i)]
    if topics and not numbered:
        start = topics[0]
        titles = [i for i in titles if i > start or rows[i].sign is Sign.strong]
    else:
        start = 0
        if numbered:
            titles = [i for i in titles if rows[i].sign is Sign.strong]
        elif 2 * sum(1 for i in titles if rows[i].sign is not Sign.none) >= len(titles):
            first = next((i for i in titles if _opens_a_list(rows[i])), 0)
            titles = [i for i in titles if i >= first]
    opens = {i: rows[i].text for i in titles}
    lone = [
        i for i, row in enumerate(rows)
        if row.kind == "text" and row.sign is Sign.strong and row.indent <= base + 1 and i not in numbered
        and (i > start or not topics) and (not numbered or (row.text.endswith(("?", "？")) and not row.glued))
    ]  # fmt: skip
    for i in lone:
        opens.setdefault(i, rows[i].text)
    _give_back_answers(rows, opens)
    return numbered | opens


def _opens_a_list(row: Row) -> bool:
    return row.sign is Sign.strong or (row.sign is Sign.weak and len(bare(row.text).split()) >= 3)


def _give_back_answers(rows: list[Row], opens: dict[int, str]) -> None:
    """A title that reads as no question, right after a lone question, introduces that question's bullets."""
    for i in sorted(opens):
        if rows[i].sign is Sign.none and i - 1 in opens and rows[i - 1].sign is Sign.strong and not _has_items(rows, i - 1):
            del opens[i]


def _collect(rows: list[Row], opens: dict[int, str], ledger: Ledger, *, keeps_all: bool) -> None:
    topic: str | None = None
    named_topics = any(row.kind == "topic" for row in rows)
    most_ask = bool(opens) and sum(1 for i in opens if question_sign(opens[i]) is not Sign.none) >= 0.8 * len(opens)
    current: int | None = None
    body: list[Row] = []

    def close() -> None:
        nonlocal current, body
        if current is not None:
            _add(rows[current], opens[current], body, topic, ledger)
        current, body = None, []

    for i, row in enumerate(rows):
        if row.kind == "topic":
            close()
            topic = re.sub(r"^[\[【<〈《≪]\s*|\s*[\]】>〉》≫]$", "", row.text).strip() or None
            ledger.mark([row.number], "topic")
        elif i in opens:
            close()
            current = i
            if not keeps_all and most_ask and question_sign(opens[i]) is Sign.none:
                ledger.warn(row.number, Text(
                    ko=f"질문처럼 읽히지 않지만 아래에 답이 있어 질문으로 두었습니다: “{ledger.excerpt(row.number)}”",
                    en=f"does not read as a question, but was kept as one for what stands below it: “{ledger.excerpt(row.number)}”",
                ))  # fmt: skip
        elif row.kind == "text" and is_furniture_heading(row.text) and _has_items(rows, i):
            close()
            ledger.leave_out(row.number)
        elif current is None:
            if not named_topics and not keeps_all and _is_bare_topic(rows, i, opens):
                topic = row.text
                ledger.mark([row.number], "topic")
            else:
                ledger.leave_out(row.number)
        elif not named_topics and not row.glued and body and _is_bare_topic(rows, i, opens):
            close()
            topic = row.text
            ledger.mark([row.number], "topic")
        elif _belongs(rows, i, body, keeps_all):
            body.append(row)
        else:
            ledger.leave_out(row.number)
    close()


def _is_bare_topic(rows: list[Row], i: int, opens: dict[int, str]) -> bool:
    """A short line that ends in no full stop, right before a question."""
    row = rows[i]
    return (
        row.kind == "text" and i + 1 in opens and len(row.text) <= 30 and row.sign is not Sign.strong
        and not re.search(r"[.!?:,。다요]$", row.text) and not is_platform_line(row.text) and answer_mark(row.text) is None
    )  # fmt: skip


def _belongs(rows: list[Row], i: int, body: list[Row], keeps_all: bool) -> bool:
    """Whether a row that opens nothing is part of the open question's answer."""
    row = rows[i]
    if row.kind == "text" and is_platform_line(row.text) and not (row.glued and row.indent):
        return False
    if row.kind == "item" or keeps_all or answer_mark(row.text, colon_only=True) is not None:
        return True
    had_items = any(part.kind == "item" for part in body)
    return row.glued or not had_items or row.indent > 1


def _add(opening: Row, question: str, body: list[Row], topic: str | None, ledger: Ledger) -> None:
    ledger.mark([opening.number], "question")
    if not question and body:  # the mark stood alone
        ledger.mark([body[0].number], "question")
        question, body = body[0].text, body[1:]
    question, rest = _inline_answer(question)
    ledger.mark((row.number for row in body), "answer")
    answer = _as_markdown(body)
    topic_text = topic if topic is None else bare(topic)
    ledger.add(_unnumbered(question), "\n\n".join(part for part in (rest, answer) if part), topic_text, opening.number)


def _inline_answer(question: str) -> tuple[str, str]:
    """``Q: … A: …`` or ``What …? It …`` on one line."""
    found = re.search(r"\s(?:A|답|답변|정답|Answer)\s*\d{0,4}\s*[:：]\s*(?=\S)", question)
    if found:
        return question[: found.start()].strip(), question[found.end() :].strip()
    return question_and_rest(question)


def _unnumbered(question: str) -> str:
    rest = question_mark(question)
    question = rest if rest is not None else question
    found = number_mark(question)
    return found[1] if found else question


def _unbulleted(text: str) -> str:
    found = _BULLET.match(text)
    return text[found.end() :] if found else text


def _as_markdown(rows: list[Row]) -> str:
    """Bullets as a nested Markdown list, other lines as paragraphs or as a bullet's further lines."""
    out: list[str] = []
    stack: list[tuple[int, int]] = []  # (indent in the source, column of the text in the Markdown)
    previous: Row | None = None
    for row in rows:
        text = _literal(row.text)
        marked = answer_mark(_unbulleted(text))
        if marked is not None and (row.kind == "text" or not previous):
            text = marked
            if not text:
                continue
        if row.kind == "item":
            if out and not stack:
                out.append("")
            while stack and stack[-1][0] >= row.indent:
                stack.pop()
            column = stack[-1][1] if stack else 0
            out.append(" " * column + f"{row.bullet} {text}")
            stack.append((row.indent, column + len(row.bullet) + 1))
        elif stack and (row.glued or row.indent > stack[0][0]):
            if not row.glued:
                out.append("")
            out.append(" " * stack[-1][1] + text)
        else:
            if out and (not row.glued or stack):
                out.append("")
            stack = []
            out.append(text)
        previous = row
    return "\n".join(out)


def _literal(text: str) -> str:
    """A star between two characters is a multiplication here, not emphasis."""
    return re.sub(r"(?<=[\w)\]])\*(?=[\w(\[])", r"\\*", text)
