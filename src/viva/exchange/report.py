"""What an import understood of a list, and the book-keeping behind it.

Every line of the input that is not blank ends in exactly one *role*: it is (part of) a question, an answer, a topic, or
structure that carries no words of its own (a rule, a table's dashes), or it was left out, and then a warning names it.
The :class:`Ledger` keeps that promise: whatever an importer forgets becomes a warning when the report is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from viva.exchange.clean import clean_inline, clean_markdown, clean_notes
from viva.language import Language, Text

Role = Literal["question", "answer", "topic", "structure", "left out"]

MAX_QUESTIONS = 10_000
MAX_ANSWER_CHARACTERS = 200_000
MAX_QUESTION_CHARACTERS = 2_000
_EXCERPT = 60


class ImportFailed(Exception):
    """A list that cannot be imported; ``str()`` and :meth:`sentence` name file, line (0: the whole file) and reason."""

    def __init__(self, file: str, line: int, reason: Text, language: Language = "en") -> None:
        self.file, self.line, self.text, self.language = file, line, reason, language
        super().__init__(self.sentence(language))

    @property
    def reason(self) -> str:
        return self.text.get(self.language)

    def sentence(self, language: Language) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.text.get(language)}"


@dataclass(frozen=True)
class ImportWarning:
    """What was left out or changed; ``line`` counts from 1."""

    line: int
    text: str


@dataclass(frozen=True)
class ImportedQuestion:
    """One question as it was found. ``answer_markdown`` is empty where the list has no answer."""

    question: str
    answer_markdown: str
    topic: str | None
    line: int

    @property
    def answer(self) -> str:
        return self.answer_markdown


@dataclass(frozen=True)
class ImportReport:
    """The questions of a list in its order, what was left out, and the role of each line."""

    name: str
    format: str
    questions: tuple[ImportedQuestion, ...]
    warnings: tuple[ImportWarning, ...]
    roles: dict[int, Role] = field(repr=False)

    @property
    def items(self) -> tuple[ImportedQuestion, ...]:
        return self.questions

    @property
    def question_count(self) -> int:
        return len(self.questions)

    @property
    def answer_count(self) -> int:
        return sum(1 for question in self.questions if question.answer_markdown)

    def to_json(self) -> dict[str, Any]:
        """``{questions, answers, warnings: [{line, text}], items: [{line, topic, question, answer}]}``; the first two are numbers."""
        return {
            "questions": self.question_count,
            "answers": self.answer_count,
            "warnings": [{"line": warning.line, "text": warning.text} for warning in self.warnings],
            "items": [
                {"line": item.line, "topic": item.topic, "question": item.question, "answer": item.answer_markdown}
                for item in self.questions
            ],
        }


class Ledger:
    """Collects questions and line roles while a list is read, and makes the report."""

    def __init__(self, name: str, lines: list[str], language: Language) -> None:
        self.name, self.lines, self.language = name, lines, language
        self.roles: dict[int, Role] = {}
        self.questions: list[ImportedQuestion] = []
        self._warnings: list[ImportWarning] = []

    def mark(self, numbers: Iterable[int], role: Role) -> None:
        """Gives the lines ``numbers`` a role; the first role that a line gets stays."""
        for number in numbers:
            self.roles.setdefault(number, role)

    def warn(self, line: int, text: Text) -> None:
        self._warnings.append(ImportWarning(line, text.get(self.language)))

    def leave_out(self, line: int, why: Text | None = None) -> None:
        """A line that goes nowhere, with the reason."""
        if line in self.roles:
            return
        self.roles[line] = "left out"
        shown = self.excerpt(line)
        reason = why or Text(ko="어느 질문에도 속하지 않아 뺐습니다", en="left out, it belongs to no question")
        self.warn(line, Text(ko=f"{reason.get('ko')}: “{shown}”", en=f"{reason.get('en')}: “{shown}”"))

    def excerpt(self, line: int) -> str:
        text = " ".join(self.lines[line - 1].split())
        return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"

    def add(self, question: str, answer: str, topic: str | None, line: int) -> None:
        """Adds a question; texts are Markdown as it came and are cleaned here.

        Raises:
            ImportFailed: more questions, or a longer text, than a pack can hold.
        """
        if len(self.questions) >= MAX_QUESTIONS:
            raise self.failed(line, Text(
                ko=f"질문이 {MAX_QUESTIONS:,}개를 넘습니다. 파일을 나누어 가져오세요.",
                en=f"has more than {MAX_QUESTIONS:,} questions; split the file and import its parts",
            ))  # fmt: skip
        if len(question) > MAX_QUESTION_CHARACTERS or len(answer) > MAX_ANSWER_CHARACTERS:
            raise self.failed(line, Text(
                ko=f"여기서 시작하는 질문이나 답이 너무 깁니다(질문 {MAX_QUESTION_CHARACTERS:,}자, 답 {MAX_ANSWER_CHARACTERS:,}자까지). 질문과 답이 나뉘어 있는지 확인하세요.",
                en=f"the question or answer that starts here is too long (a question has up to {MAX_QUESTION_CHARACTERS:,} characters, "
                f"an answer up to {MAX_ANSWER_CHARACTERS:,}); check that questions and answers are told apart",
            ))  # fmt: skip
        asked = clean_inline(question)
        if not asked:
            self.roles[line] = "left out"
            self.warn(line, Text(ko="지우고 나니 남는 글이 없는 질문이라 뺐습니다", en="left out, nothing readable is left of this question"))
            return
        kept = clean_markdown(answer)
        for note in clean_notes(f"{question}\n{answer}"):
            self.warn(line, note)
        if not kept:
            self.warn(line, Text(ko="이 질문에는 답이 없습니다", en="this question has no answer"))
        self.questions.append(ImportedQuestion(asked, kept, clean_inline(topic) or None if topic else None, line))

    def failed(self, line: int, reason: Text) -> ImportFailed:
        return ImportFailed(self.name, line, reason, self.language)

    def finish(self, kind: str) -> ImportReport:
        """The report; lines that no importer claimed are reported as not understood."""
        for number, line in enumerate(self.lines, start=1):
            if line.strip() and number not in self.roles:
                self.leave_out(number, Text(ko="이해하지 못해 뺐습니다", en="not understood, left out"))
        first: dict[str, int] = {}
        for question in self.questions:
            before = first.setdefault(" ".join(question.question.lower().split()), question.line)
            if before != question.line:
                self.warn(question.line, Text(ko=f"{before}번째 줄과 같은 질문입니다", en=f"the same question as on line {before}"))
        warnings = sorted(self._warnings, key=lambda warning: warning.line)
        return ImportReport(self.name, kind, tuple(self.questions), tuple(warnings), dict(sorted(self.roles.items())))
