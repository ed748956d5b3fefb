"""Lists kept as a table: CSV, TSV, and what a Markdown table and they have in common, the names of columns."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from viva.exchange.report import Ledger
from viva.exchange.signs import Sign, question_mark, question_sign
from viva.language import Text

_NAMES = {
    "question": "question questions q front prompt term card 질문 문제 문항 물음 앞면 질의 면접질문 용어",
    "answer": "answer answers a back definition response modelanswer sampleanswer explanation 답변 답 정답 해답 해설 모범답안 뒷면 설명 풀이 내용",
    "topic": "topic topics category chapter section deck subject 주제 분류 카테고리 단원 영역 과목 분야 챕터",
    "tags": "tags tag labels label 태그 라벨 키워드",
    "number": "no # id number num index 번호 순번 연번 순서",
}
_COLUMN = {name: column for column, names in _NAMES.items() for name in names.split()}


@dataclass(frozen=True)
class Columns:
    """Where a table has what; ``None`` for what it has not."""

    question: int
    answer: int | None = None
    topic: int | None = None
    tags: int | None = None
    number: int | None = None

    @property
    def used(self) -> set[int]:
        return {at for at in (self.question, self.answer, self.topic, self.tags, self.number) if at is not None}


def columns_of(header: list[str]) -> Columns | None:
    """The columns that a header row names; None where no column is a question."""
    found: dict[str, int] = {}
    for at, cell in enumerate(header):
        key = "".join(sign for sign in cell.lower() if sign.isalnum() or sign == "#")
        if key in _COLUMN:
            found.setdefault(_COLUMN[key], at)
    if "question" not in found:
        return None
    return Columns(**found)


def columns_by_content(rows: list[list[str]]) -> Columns | None:
    """Columns of a table without header: the one that reads as questions, the next one as answers; None if none does."""
    width = max((len(row) for row in rows), default=0)
    for at in range(min(width, 4)):
        cells = [row[at] for row in rows if len(row) > at and row[at].strip()]
        if cells and 2 * sum(1 for cell in cells if question_sign(cell) is not Sign.none) >= len(cells):
            return Columns(at, at + 1 if width > at + 1 else None, at + 2 if width > at + 2 else None)
    return None


def read_csv(lines: list[str], ledger: Ledger) -> None:
    """Rows as questions. The separator is the one of ``,`` ``;`` tab and ``|`` that splits the rows most evenly."""
    _read(lines, ledger, _separator(lines))


def read_tsv(lines: list[str], ledger: Ledger) -> None:
    """Rows separated by tabs; quotation marks mean themselves unless they open a field."""
    _read(lines, ledger, "\t")


def _separator(lines: list[str]) -> str:
    head = [line for line in lines[:200] if line.strip()]
    named = next((s for s in ",;\t|" if head and columns_of([cell.strip(' "') for cell in head[0].split(s)]) and s in head[0]), None)
    if named:
        return named

    def evenness(separator: str) -> float:
        counts = Counter(line.count(separator) for line in head)
        return sum(times for count, times in counts.items() if count == counts.most_common(1)[0][0] and count) / max(1, len(head))

    best = max(",;\t|", key=evenness)
    return best if evenness(best) > 0 else ","


def _read(lines: list[str], ledger: Ledger, separator: str) -> None:
    rows = _rows(lines, ledger, separator)
    if not rows:
        return
    columns = columns_of(rows[0][1])
    if columns:
        (first, header, last), rows = rows[0], rows[1:]
        ledger.mark(range(first, last + 1), "structure")
        unused = [cell.strip() for at, cell in enumerate(header) if at not in columns.used and cell.strip()]
        if unused:
            names = ", ".join(unused)
            ledger.warn(first, Text(ko=f"쓰지 않은 열: {names}", en=f"columns that are not used: {names}"))
    else:
        columns = columns_by_content([cells for _, cells, _ in rows])
        width = max(len(cells) for _, cells, _ in rows)
        if columns is None:
            columns = Columns(0, 1 if width > 1 else None, 2 if width > 2 else None)
        ledger.warn(1, Text(
            ko=f"열 이름이 없어 {columns.question + 1}번째 열을 질문으로, 그다음 열을 답으로 읽었습니다",
            en=f"there is no header; column {columns.question + 1} was read as the question and the next one as the answer",
        ))  # fmt: skip
    for first, cells, last in rows:
        _add(first, last, cells, columns, ledger)


def _add(first: int, last: int, cells: list[str], columns: Columns, ledger: Ledger) -> None:
    def cell(at: int | None) -> str:
        return cells[at].strip() if at is not None and at < len(cells) else ""

    question = cell(columns.question)
    if not question:
        for number in range(first, last + 1):
            if ledger.lines[number - 1].strip():
                ledger.leave_out(number, Text(ko="질문 칸이 비어 있어 뺐습니다", en="left out, its question is empty"))
        return
    topic = cell(columns.topic) or next((tag.strip() for tag in cell(columns.tags).replace(";", ",").split(",")), "")
    extra = [text.strip() for at, text in enumerate(cells) if at not in columns.used and text.strip()]
    if extra:
        shown = " / ".join(extra)[:60]
        ledger.warn(first, Text(ko=f"쓰지 않은 칸이 있습니다: “{shown}”", en=f"cells that are not used: “{shown}”"))
    ledger.mark(range(first, last + 1), "question")
    ledger.add(question_mark(question) or question, cell(columns.answer), topic or None, first)


def _rows(lines: list[str], ledger: Ledger, separator: str) -> list[tuple[int, list[str], int]]:
    """Rows with cells as (first line, cells, last line)."""
    try:
        return _split(lines, ledger, separator, csv.QUOTE_MINIMAL)
    except _Unreadable as error:
        if separator == "\t":  # many tools write tabs without quoting anything
            return _split(lines, ledger, separator, csv.QUOTE_NONE)
        raise ledger.failed(error.line, Text(
            ko=f"여기서 시작하는 행을 표로 읽을 수 없습니다({error}). 따옴표가 짝이 맞는지 확인하세요.",
            en=f"the row that starts here cannot be read as a table ({error}); check that its quotation marks come in pairs",
        )) from None  # fmt: skip


class _Unreadable(Exception):
    def __init__(self, line: int, why: str) -> None:
        self.line = line
        super().__init__(why)


def _split(lines: list[str], ledger: Ledger, separator: str, quoting: Literal[0, 3]) -> list[tuple[int, list[str], int]]:
    reader = csv.reader(io.StringIO("\n".join(lines), newline=""), delimiter=separator, quoting=quoting, strict=True)
    rows: list[tuple[int, list[str], int]] = []
    before = 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((before + 1, cells, reader.line_num))
            else:
                ledger.mark(range(before + 1, reader.line_num + 1), "structure")
            before = reader.line_num
    except csv.Error as error:
        raise _Unreadable(before + 1, str(error)) from None
    return rows
