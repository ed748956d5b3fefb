"""Questions within one section of a Markdown list: marks, folds, tables, bold lines, lists, lone question lines.

Those are the *styles*, the most explicit first. A question opened by one style is closed only by the same style or a
more explicit one, so that a list of questions inside the answer to ``Q3.`` stays in that answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from viva.exchange.blocks import Block, Item, Line, dedented
from viva.exchange.signs import (
    Sign,
    answer_mark,
    is_bare_question_mark,
    is_fold_of_answer,
    is_platform_line,
    number_mark,
    question_and_rest,
    question_mark,
    question_sign,
)
from viva.exchange.table import columns_by_content, columns_of

_BOLD_LINE = re.compile(r"^\s*(?:\d{1,4}[.)]\s*)?(\*\*|__)(?=\S)(.+?)(?<=\S)\1\s*[:：]?\s*$")
_BOLD_START = re.compile(r"^\s*(\*\*|__)(?=\S)(.+?)(?<=\S)\1\s*[:：\-–]?\s+(?=\S)(.*)$", re.DOTALL)
_TASK_BOX = re.compile(r"^\[[ xX]\]\s+")
_ANCHOR = re.compile(r"^\s*\[[^\[\]]*\]\(#[^()\s]*\)\s*$")
_LINK_ONLY = re.compile(r"\[([^\[\]]+)\]\([^()\s]*\)")


class Style(IntEnum):
    mark = 0
    fold = 1
    table = 2
    bold = 3
    item = 4
    line = 5


@dataclass
class Draft:
    """A question on its way: where it stands, its words, what stands beside them, and the blocks of its answer."""

    lines: list[int]
    question: str
    style: Style
    beside: str = ""
    body: list[Block] = field(default_factory=list)
    topic: str | None = None

    @property
    def answered(self) -> bool:
        return bool(self.beside or self.body)


@dataclass(frozen=True)
class Habits:
    """What the whole file does: bold lines are its questions; it has headings, so links to anchors are its contents."""

    bold: bool
    headings: bool


def habits(found: list[Block]) -> Habits:
    firsts = [m.group(2) for block in walk(found) if block.kind == "paragraph" and (m := _BOLD_LINE.match(block.lines[0][1]))]
    asking = sum(1 for text in firsts if question_sign(text) is not Sign.none)
    levels = {block.level for block in found if block.kind == "heading"}
    return Habits(bool(firsts) and (2 * asking >= len(firsts) or (len(firsts) >= 2 and not levels - {1})), bool(levels))


def walk(found: list[Block]) -> Iterator[Block]:
    for block in found:
        yield block
        yield from walk(block.children)


def questions_within(body: list[Block], habit: Habits, *, headless: bool) -> tuple[list[Draft], list[Block]]:
    """The questions in ``body`` and the blocks that belong to none of them. ``headless``: no heading stands above."""
    reader = _Reader(habit, headless)
    for at, block in enumerate(body):
        reader.read(block, body[at + 1] if at + 1 < len(body) else None)
    return reader.drafts, reader.leftover


class _Reader:
    def __init__(self, habit: Habits, headless: bool) -> None:
        self.habit, self.headless = habit, headless
        self.drafts: list[Draft] = []
        self.leftover: list[Block] = []
        self.open: Draft | None = None
        self.last_number: int | None = None

    def read(self, block: Block, following: Block | None) -> None:
        if block.kind == "fold":
            self._fold(block)
        elif block.kind == "paragraph":
            self._lines(block.lines, first_of_paragraph=True)
        elif block.kind == "list":
            self._list(block, following)
        elif block.kind == "table" and self._may_open(Style.table):
            self._table(block)
        else:
            self._keep(block)

    def _may_open(self, style: Style) -> bool:
        return self.open is None or style <= self.open.style

    def _start(self, draft: Draft) -> None:
        self.drafts.append(draft)
        self.open = draft

    def _keep(self, block: Block) -> None:
        (self.open.body if self.open else self.leftover).append(block)

    def _fold(self, fold: Block) -> None:
        if not fold.text or is_fold_of_answer(fold.text):
            within = [] if self.open else questions_within(fold.children, self.habit, headless=True)[0]
            if within:
                self._nested(within, None)
            else:
                for child in fold.children:
                    self._keep(child)
            return
        within, rest = questions_within(fold.children, self.habit, headless=False)
        asks = question_sign(fold.text) is not Sign.none
        if within and not asks and (within[0].style is Style.fold or len(within) >= 2 or not rest):
            self._nested(within, fold.text)
            self.leftover += rest
        elif not asks and self.open and self.open.style in (Style.mark, Style.bold, Style.item, Style.line):
            self.open.body.append(fold)
        elif self._may_open(Style.fold):
            self._start(Draft([n for n, _ in fold.lines], fold.text, Style.fold, body=list(fold.children)))
        else:
            self._keep(fold)

    def _nested(self, within: list[Draft], topic: str | None) -> None:
        for draft in within:
            draft.topic = draft.topic or topic
        self.drafts += within
        self.open = None

    def _lines(self, lines: list[Line], *, first_of_paragraph: bool) -> None:
        """A paragraph or an item's lines; each may open a question or begin an answer."""
        for at, (numbers, text) in enumerate(_joined(lines)):
            words, number = text.strip(), numbers[0]
            if (asked := question_mark(words)) is not None:
                self._open_mark(numbers, asked, bold=bool(_BOLD_LINE.match(text)))
            elif is_bare_question_mark(words) and self._may_open(Style.mark):
                self._start(Draft(numbers, "", Style.mark))
            elif self.open and (answer := answer_mark(words, colon_only=self.open.style is not Style.mark)) is not None:
                if answer.strip():
                    self._fragment(number, answer, at > 0)
                else:
                    self.open.lines.append(number)
            elif self.open and not self.open.question:
                self.open.question = words
                self.open.lines += numbers
            elif not self._open_bold(numbers, text) and not (at == 0 and first_of_paragraph and self._open_line(numbers, words)):
                for beside, (own, line) in enumerate(lines[: len(numbers)] if at == 0 else [(number, text)]):
                    self._fragment(own, line, at + beside > 0)

    def _open_mark(self, numbers: list[int], asked: str, *, bold: bool) -> None:
        found = re.search(r"\s(?:\*\*|__)?(?:A|답|답변|정답|Answer)\s*\d{0,4}(?:\*\*|__)?\s*[:：]\s*(?=\S)", asked)
        question, beside = (asked[: found.start()], asked[found.end() :]) if found else question_and_rest(asked)
        self._start(Draft(numbers, _even(question), Style.bold if bold else Style.mark, beside=beside))

    def _open_bold(self, numbers: list[int], text: str) -> bool:
        if not self._may_open(Style.bold):
            return False
        whole = _BOLD_LINE.match(text)
        if whole and (question_sign(whole.group(2)) is Sign.strong or (self.habit.bold and not is_fold_of_answer(whole.group(2)))):
            self._start(Draft(numbers, whole.group(2), Style.bold))
            return True
        start = None if whole else _BOLD_START.match(text)
        if start and question_sign(start.group(2)) is Sign.strong:
            self._start(Draft(numbers, start.group(2), Style.bold, beside=start.group(3)))
            return True
        return False

    def _open_line(self, numbers: list[int], words: str) -> bool:
        if not self._may_open(Style.line) or len(words) > 300 or question_sign(words) is not Sign.strong:
            return False
        self._start(Draft(numbers, words, Style.line))
        return True

    def _fragment(self, number: int, text: str, continued: bool) -> None:
        if is_platform_line(text) and not continued:
            self.leftover.append(Block("paragraph", [(number, text)]))
            return
        body = self.open.body if self.open else self.leftover
        if continued and body and body[-1].kind == "paragraph" and body[-1].lines[-1][0] < number:
            body[-1].lines.append((number, text))
        else:
            body.append(Block("paragraph", [(number, text)]))

    def _list(self, block: Block, following: Block | None) -> None:
        heads = [item.lines[0][1] for item in block.items]
        if self.habit.headings and all(_ANCHOR.match(head) for head in heads):
            self.leftover.append(block)
            return
        marked = [head for head in heads if question_mark(head) is not None or is_bare_question_mark(head)]
        answers = [head for head in heads if answer_mark(head, colon_only=True) is not None]
        if (marked or (answers and self.open)) and 2 * (len(marked) + len(answers)) >= len(heads):
            for item in block.items:
                self._marked_item(item)
        elif self._may_open(Style.item) and self._asks(block, following):
            signs = [question_sign(_head(item)[1]) for item in block.items]
            # In a list without numbers that goes question, answer, question, answer, every other item is no question.
            alternating = not block.level and 5 * signs.count(Sign.none) >= 4 * (len(signs) - signs.count(Sign.none))
            for item in block.items:
                self._item(item, alternating)
        else:
            self._keep(block)

    def _asks(self, block: Block, following: Block | None) -> bool:
        signs = [question_sign(_head(item)[1]) for item in block.items]
        asking = sum(1 for sign in signs if sign is Sign.strong)
        if 2 * asking >= len(signs):
            return True
        if not block.level:
            return False
        if self.open and self.open.style is Style.item and self.last_number is not None and block.items[0].number == self.last_number + 1:
            return True  # goes on counting after a fold or a paragraph
        full = sum(1 for item in block.items if len(_after(item)) > 0 or _head(item)[2])
        revealed = following is not None and following.kind == "fold" and is_fold_of_answer(following.text)
        weak = sum(1 for sign in signs if sign is not Sign.none)
        return revealed or (self.headless and 5 * full >= 4 * len(signs)) or (2 * weak >= len(signs) and 2 * full >= len(signs))

    def _item(self, item: Item, alternating: bool) -> None:
        lines, question, beside = _head(item)
        rest = _after(item)
        if alternating and question_sign(question) is Sign.none and not beside and not rest and self.open and not self.open.answered:
            self.open.body.append(Block("paragraph", item.lines))
            return
        draft = Draft(lines, question, Style.item, beside=beside)
        if rest:
            draft.body.append(Block("paragraph", _without_answer_mark(rest)))
            draft.lines += [n for n, text in rest if answer_mark(text.strip(), colon_only=True) == ""]
        self._start(draft)
        self.last_number = item.number

    def _marked_item(self, item: Item) -> None:
        (number, first), rest = item.lines[0], item.lines[1:]
        self._lines([(number, first)], first_of_paragraph=False)
        if rest and self.open:
            self.open.body.append(Block("paragraph", _without_answer_mark(rest)))
        elif rest:
            self.leftover.append(Block("paragraph", rest))

    def _table(self, block: Block) -> None:
        (_, header), rows = block.rows[0], block.rows[1:]
        columns = columns_of(header) or columns_by_content([cells for _, cells in rows])
        if columns is None or not rows or (columns.answer is None and not columns_of(header)):
            self._keep(block)
            return
        for number, cells in rows:
            question, answer, topic = (
                cells[at] if at is not None and at < len(cells) else "" for at in (columns.question, columns.answer, columns.topic)
            )
            if question:
                asked = question_mark(question)
                self._start(Draft([number], question if asked is None else asked, Style.table, beside=answer, topic=topic or None))
        self.open = None


def _head(item: Item) -> tuple[list[int], str, str]:
    """The lines, the question and what stands beside it of an item that is a question."""
    lines, first = _joined(item.lines)[0]
    text = _TASK_BOX.sub("", first).strip()
    whole = _BOLD_LINE.match(text)
    if whole:
        return lines, whole.group(2), ""
    start = _BOLD_START.match(text)
    if start and (question_sign(start.group(2)) is not Sign.none or number_mark(start.group(2))):
        return lines, start.group(2), start.group(3)
    return lines, *question_and_rest(_LINK_ONLY.sub(r"\1", text))


def _after(item: Item) -> list[Line]:
    rest = [(numbers[0], text) for numbers, text in _joined(item.lines)[1:]]
    while rest and not rest[0][1].strip():
        rest = rest[1:]
    return dedented(rest, 3)  # more would be a block of code


def _joined(lines: list[Line]) -> list[tuple[list[int], str]]:
    """``lines`` with their numbers; a question that runs over the first few, up to its question mark, becomes one."""
    single = [([number], text) for number, text in lines]
    first = lines[0][1].strip() if lines else ""
    if not first or question_sign(first) is Sign.strong or question_mark(first) is not None or answer_mark(first) is not None:
        return single
    words = [first]
    for at, (_, text) in enumerate(lines[1:4], start=1):
        if not text.strip() or re.match(r"\s*(?:[-*+]|\d+[.)])\s", text) or question_mark(text) is not None:
            break
        words.append(text.strip())
        if re.search(r"[?？][*_]*$", text.strip()) and not re.search(r"[.!?。]\s", " ".join(words)):
            return [([number for number, _ in lines[: at + 1]], " ".join(words)), *single[at + 1 :]]
    return single


def _without_answer_mark(lines: list[Line]) -> list[Line]:
    out, marked = [], False
    for number, text in lines:
        answer = None if marked else answer_mark(text.strip(), colon_only=True)
        marked = marked or answer is not None
        if answer != "":
            out.append((number, text if answer is None else answer))
    return out


def _even(question: str) -> str:
    """``question`` without the bold sign whose partner went with the mark."""
    for sign in ("**", "__"):
        if question.count(sign) % 2:
            question = question.replace(sign, "", 1) if question.startswith(sign) else question[::-1].replace(sign, "", 1)[::-1]
    return question.strip()
