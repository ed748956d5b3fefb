"""Markdown lists: which headings are questions, which are topics, and what stands between them.

Questions within a section (:mod:`viva.exchange.inner`) make its heading a topic. Of the other headings, the level at which
most read as questions is the question level; where no level reads so, it is the level with the most text below it. Levels
above are topics, levels below are part of the answer.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from viva.exchange.blocks import Block, Line, blocks, source
from viva.exchange.inner import Draft, Habits, Style, habits, questions_within, walk
from viva.exchange.report import Ledger
from viva.exchange.signs import Sign, bare, is_furniture_heading, number_mark, question_mark, question_sign
from viva.exchange.unseen import without_unseen
from viva.language import Text


@dataclass
class Section:
    """A heading (none before the first), the blocks below it, and the questions found among them."""

    heading: Block | None
    body: list[Block] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    leftover: list[Block] = field(default_factory=list)

    @property
    def level(self) -> int:
        return self.heading.level if self.heading else 0

    @property
    def sign(self) -> Sign:
        if self.heading is None:
            return Sign.none
        return Sign.strong if question_mark(self.heading.text) is not None else question_sign(_title(self.heading.text))


def read_markdown(lines: list[str], ledger: Ledger) -> None:
    found, tag_lines = blocks(without_unseen(_without_front_matter(list(enumerate(lines, start=1)), ledger), ledger, fences=True))
    habit = habits(found)
    sections = _sections(found)
    for section in sections:
        _look_within(section, habit, len(sections) == 1)
    _forget_asides(sections)
    _Walk(sections, ledger).run()
    for block in walk(found):
        if block.kind == "rule":
            ledger.mark(block.numbers(), "structure")
        elif block.kind == "table":  # names of columns and the dashes below them
            ledger.mark([block.rows[0][0], block.rows[0][0] + 1], "structure")
    ledger.mark(tag_lines, "structure")


def _sections(found: list[Block]) -> list[Section]:
    sections = [Section(None)]
    for block in found:
        if block.kind == "heading":
            sections.append(Section(block))
        else:
            sections[-1].body.append(block)
    return sections


def _look_within(section: Section, habit: Habits, headless: bool) -> None:
    drafts, leftover = questions_within(section.body, habit, headless=headless or section.heading is None)
    if section.sign is Sign.strong:
        # Questions below a question are its follow-ups, unless there are several and they have answers of their own.
        answered = sum(1 for draft in drafts if draft.answered)
        if len(drafts) < 3 or 2 * answered < len(drafts):
            return
    section.drafts, section.leftover = drafts, leftover


def _forget_asides(sections: list[Section]) -> None:
    """A rhetorical question in one answer of many makes no list: such finds count only where most of their level has them."""
    for level in {section.level for section in sections if section.heading}:
        peers = [section for section in sections if section.level == level and section.body]
        asking = [section for section in peers if section.drafts]
        if 2 * len(asking) < len(peers):
            for section in asking:
                if all(draft.style >= Style.bold for draft in section.drafts) and (len(section.drafts) < 3 or section.leftover):
                    section.drafts, section.leftover = [], []


class _Walk:
    def __init__(self, sections: list[Section], ledger: Ledger) -> None:
        self.sections, self.ledger = sections, ledger
        self.asks_level = _question_level(sections)
        self.topics: dict[int, str] = {}
        self.open: Draft | None = None
        self.open_level = 0
        self.skipping: int | None = None
        asking = [section for section in sections if section.level == self.asks_level]
        self.most_ask = sum(1 for section in asking if section.sign is not Sign.none) >= 0.8 * max(1, len(asking))

    def run(self) -> None:
        for at, section in enumerate(self.sections):
            deeper = at + 1 < len(self.sections) and self.sections[at + 1].level > section.level
            self._section(section, deeper)
        self._close()

    def _section(self, section: Section, deeper: bool) -> None:
        heading = section.heading
        if heading is not None and self.skipping is not None and section.level > self.skipping:
            self._leave_out([heading, *section.body])
            return
        self.skipping = None
        if heading is None or section.drafts:
            self._close()
            if heading is not None:
                self._topic(heading)
            self._leave_out(section.leftover)
            for draft in section.drafts:
                self._add(draft, draft.topic or self._topic_above(99))
        elif is_furniture_heading(heading.text) and section.sign is Sign.none:
            self._close()
            self.skipping = section.level
            self._leave_out([heading, *section.body])
        elif self.open is not None and section.level > self.open_level and self.asks_level is not None:
            self.open.body += [heading, *section.body]
        elif self._is_question(section, deeper):
            self._close()
            self._drop_topics(section.level)
            self.open = Draft([n for n in heading.numbers()], heading.text, Style.line, body=list(section.body))
            self.open_level = section.level
            if section.sign is Sign.none and self.most_ask:
                shown = self.ledger.excerpt(heading.line)
                self.ledger.warn(heading.line, Text(
                    ko=f"질문처럼 읽히지 않지만 아래에 답이 있어 질문으로 두었습니다: “{shown}”",
                    en=f"does not read as a question, but was kept as one for what stands below it: “{shown}”",
                ))  # fmt: skip
        else:
            self._close()
            self._topic(heading)
            self._leave_out(section.body)

    def _is_question(self, section: Section, deeper: bool) -> bool:
        full = bool([block for block in section.body if block.kind != "rule"])
        if self.asks_level is None:
            words = len(bare(section.heading.text).split()) if section.heading else 0
            return section.sign is Sign.strong or (section.sign is Sign.weak and words >= 3 and full)
        if section.level < self.asks_level:
            return section.sign is Sign.strong and full
        if section.sign is Sign.strong or full:
            return True
        return (not deeper and section.sign is Sign.weak) or (deeper and not self.most_ask)

    def _close(self) -> None:
        if self.open is not None:
            self._add(self.open, self._topic_above(self.open_level))
        self.open = None

    def _add(self, draft: Draft, topic: str | None) -> None:
        self.ledger.mark(draft.lines, "question")
        for block in draft.body:
            self.ledger.mark(block.numbers(), "answer")
        answer = "\n\n".join(part for part in (draft.beside, source(draft.body)) if part.strip())
        self.ledger.add(_title(draft.question), answer, topic and _title(topic), draft.lines[0])

    def _topic(self, heading: Block) -> None:
        self.ledger.mark(heading.numbers(), "topic")
        self._drop_topics(heading.level)
        self.topics[heading.level] = heading.text

    def _drop_topics(self, level: int) -> None:
        self.topics = {at: text for at, text in self.topics.items() if at < level}

    def _topic_above(self, level: int) -> str | None:
        above = [at for at in self.topics if at < level]
        return self.topics[max(above)] if above else None

    def _leave_out(self, left: list[Block]) -> None:
        for block in left:
            for number in block.numbers():
                if block.kind != "rule" and self.ledger.lines[number - 1].strip():
                    self.ledger.leave_out(number)


def _question_level(sections: list[Section]) -> int | None:
    """The level whose headings are questions; None where questions stand within sections only."""
    plain = [section for section in sections if section.heading and not section.drafts and not is_furniture_heading(section.heading.text)]
    count = Counter(section.level for section in plain)
    strong = Counter(section.level for section in plain if section.sign is Sign.strong)
    asking = [level for level in count if 2 * strong[level] >= count[level] and strong[level]]
    if asking:
        return max(asking, key=lambda level: (strong[level], -level))
    if any(section.drafts for section in sections):
        return None
    weak = Counter(section.level for section in plain if section.sign is not Sign.none)
    asking = [level for level in count if 2 * weak[level] >= count[level] and weak[level] >= 2]
    if asking:
        return max(asking, key=lambda level: (weak[level], -level))
    full = Counter(section.level for section in plain if section.body)
    return max(full, key=lambda level: (full[level], level)) if full else None


def _title(text: str) -> str:
    """The words of a heading without number, mark and the bold around them."""
    words = text.strip().strip("#").strip()
    whole = re.fullmatch(r"(\*\*|__)(.+)\1", words)
    words = whole.group(2) if whole and whole.group(1) not in whole.group(2) else words
    words = re.sub(r"\[([^\[\]]+)\]\([^()\s]*\)", r"\1", words)
    for _ in range(2):
        marked = question_mark(words)
        numbered = number_mark(words)
        words = marked if marked is not None else numbered[1] if numbered else words
    return words.strip()


def _without_front_matter(lines: list[Line], ledger: Ledger) -> list[Line]:
    if lines[0][1].strip() != "---":
        return lines
    for at, (_, text) in enumerate(lines[1:200], start=1):
        if text.strip() in ("---", "..."):
            if all(re.match(r"\s*(?:[\w-]+\s*:|-\s|#|$)|\s+\S", text) for _, text in lines[1:at]):
                ledger.mark(range(1, at + 2), "structure")
                return lines[at + 1 :]
            return lines
    return lines

