"""Reads packs from disk.

A question file is YAML front matter between two ``---`` lines and the model answer in two sections, ``## ko`` and
``## en``. A file that cannot be read becomes a :class:`Problem` with file, line and reason; the other files load.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from viva.bank.schema import BUILT_IN, Bank, Question, Topic
from viva.language import LANGUAGES, Text

BUILT_IN_FOLDER = Path(__file__).parent / "questions"
MAX_FILE_BYTES = 1_000_000

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Problem:
    """Something wrong in a file of a pack; ``line`` counts from 1."""

    file: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class BankError(Exception):
    """A pack that cannot be used; carries the problems found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


@dataclass(frozen=True)
class Pack:
    """A folder of questions: its name, title, chapters and questions in order."""

    name: str
    title: Text
    folder: Path
    topics: tuple[Topic, ...]
    questions: tuple[Question, ...]
    problems: tuple[Problem, ...] = ()


def read_question(path: Path, pack: str = BUILT_IN) -> Question:
    """The question in ``path``.

    Raises:
        BankError: the file is not UTF-8, has no front matter, or does not fit the schema; every problem found in it
            is named with its line.
    """
    text = _read_text(path)
    front, body, body_line = _split(path, text)
    data = _load_yaml(path, front)
    if not isinstance(data, dict):
        raise BankError([Problem(path, 2, "the front matter has to be a mapping of 'name: value' lines")])
    answer = _answer_sections(path, body, body_line)
    if answer:
        data["answer"] = answer
    data.setdefault("id", path.stem)
    data.setdefault("topic", path.parent.name)
    data["pack"] = pack
    try:
        question = Question.model_validate(data)
    except ValidationError as error:
        lines = _lines(front)
        raise BankError([Problem(path, _line_of(lines, e["loc"]), _sentence(e)) for e in error.errors()]) from None
    wrong = [
        Problem(path, _lines(front).get((name,), 2), f"{name} is '{given}', but the file is {kind} '{expected}'")
        for name, given, kind, expected in (("id", question.id, "named", path.stem), ("topic", question.topic, "in the folder", path.parent.name))
        if given != expected
    ]
    if wrong:
        raise BankError(wrong)
    return question


def load_pack(folder: Path, name: str) -> Pack:
    """The pack in ``folder``; files that cannot be read are listed in its ``problems``.

    Raises:
        BankError: the folder or its ``pack.yaml`` cannot be read.
    """
    manifest = folder / "pack.yaml"
    title, topics = _read_manifest(manifest, name)
    questions: list[Question] = []
    problems: list[Problem] = []
    seen: dict[str, Path] = {}
    for path in sorted(folder.glob("*/*.md")):
        try:
            question = read_question(path, pack=name)
        except BankError as error:
            problems.extend(error.problems)
            continue
        if question.id in seen:
            problems.append(Problem(path, 1, f"the id '{question.id}' is taken by {seen[question.id].relative_to(folder)}"))
            continue
        seen[question.id] = path
        questions.append(question)
    position = {topic.id: index for index, topic in enumerate(topics)}
    questions.sort(key=lambda q: (q.seed is None, q.seed or 0, position.get(q.topic, len(position)), q.id))
    unlisted = {question.topic for question in questions} - set(position)
    topics += [Topic(id=topic, title=Text(ko=topic, en=topic)) for topic in sorted(unlisted)]
    return Pack(name, title, folder, tuple(topics), tuple(questions), tuple(problems))


def load_bank(
    pack_folders: Iterable[Path] = (), *, built_in: bool = True, cache: Path | None = None
) -> tuple[Bank, tuple[Problem, ...]]:
    """The built-in bank and the packs in ``pack_folders`` (each named after its folder), with the problems of both.

    A broken built-in bank is an error of the program; a broken pack of a user is reported and the rest is served. ``cache`` is
    a folder for what was read before (:mod:`viva.bank.cache`).
    """
    packs = [_load(BUILT_IN_FOLDER, BUILT_IN, cache)] if built_in else []
    problems: list[Problem] = [problem for pack in packs for problem in pack.problems]
    for folder in pack_folders:
        try:
            packs.append(_load(folder, folder.name, cache))
        except BankError as error:
            problems.extend(error.problems)
            continue
        problems.extend(packs[-1].problems)
    topics: list[Topic] = []
    titles: set[str | None] = set()
    for pack in packs:
        for topic in pack.topics:
            clash = {topic.title.ko, topic.title.en} & titles - {None}
            topics.append(topic if not clash else Topic(id=topic.id, title=_beside(topic.title, pack.title)))
        titles |= {title for topic in pack.topics for title in (topic.title.ko, topic.title.en)}
    return Bank(topics, [question for pack in packs for question in pack.questions]), tuple(problems)


def _beside(title: Text, pack: Text) -> Text:
    """A chapter's title that is told apart from another pack's by its pack."""
    return Text(**{language: f"{title.get(language)} · {pack.get(language)}" for language in LANGUAGES})


def _load(folder: Path, name: str, cache: Path | None) -> Pack:
    if cache is None:
        return load_pack(folder, name)
    from viva.bank.cache import load_pack_kept

    return load_pack_kept(folder, name, cache)


def _read_text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BankError([Problem(path, 1, f"cannot be read: {error.strerror or error}")]) from None
    if len(raw) > MAX_FILE_BYTES:
        raise BankError([Problem(path, 1, f"is {len(raw):,} bytes; a question file has at most {MAX_FILE_BYTES:,}")])
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise BankError([Problem(path, line, f"is not UTF-8: byte {raw[error.start]:#04x} cannot be read")]) from None


def _split(path: Path, text: str) -> tuple[str, str, int]:
    """Front matter, body, and the line on which the body starts."""
    lines = text.split("\n")
    if lines[0].rstrip() != "---":
        raise BankError([Problem(path, 1, "has to start with a line '---' that opens the front matter")])
    for number, line in enumerate(lines[1:], start=2):
        if line.rstrip() == "---":
            return "\n".join(lines[1 : number - 1]), "\n".join(lines[number:]), number + 1
    raise BankError([Problem(path, len(lines), "the front matter is not closed by a line '---'")])


def _load_yaml(path: Path, front: str) -> Any:
    try:
        if "*" in front:
            _refuse_aliases(path, front)
        return yaml.load(front, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise BankError([Problem(path, (mark.line if mark else 0) + 2, f"YAML: {error.problem}")]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BankError([Problem(path, 2, f"YAML: {str(error).splitlines()[0]}")]) from None


def _lines(front: str) -> dict[tuple[str | int, ...], int]:
    """The file's line of every key and item of the front matter; only worked out when there is an error to place."""
    lines: dict[tuple[str | int, ...], int] = {}

    def walk(node: yaml.Node, at: tuple[str | int, ...]) -> None:
        lines.setdefault(at, node.start_mark.line + 2)  # +1 for counting from 1, +1 for the opening '---'
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                lines[(*at, str(key.value))] = key.start_mark.line + 2
                walk(value, (*at, str(key.value)))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                walk(value, (*at, index))

    node = yaml.compose(front, Loader=_Loader)
    if node is not None:
        walk(node, ())
    return lines


def _refuse_aliases(path: Path, front: str) -> None:
    """Aliases allow a small file to unfold into gigabytes; questions have no use for them."""
    for event in yaml.parse(front, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise BankError([Problem(path, (event.start_mark.line if event.start_mark else 0) + 2, "YAML aliases ('*name') are not allowed here")])


def _answer_sections(path: Path, body: str, first_line: int) -> dict[str, str]:
    sections: dict[str, list[str]] = {}
    current: list[str] | None = None
    for number, line in enumerate(body.split("\n"), start=first_line):
        if line.startswith("## "):
            language = line[3:].strip()
            if language not in ("ko", "en"):
                raise BankError([Problem(path, number, f"the section '## {language}' is neither '## ko' nor '## en'")])
            if language in sections:
                raise BankError([Problem(path, number, f"the section '## {language}' is there twice")])
            current = sections.setdefault(language, [])
        elif current is not None:
            current.append(line)
        elif line.strip():
            raise BankError([Problem(path, number, "the model answer has to stand under '## ko' or '## en'")])
    return {language: text for language, text in ((k, "\n".join(v).strip()) for k, v in sections.items()) if text}


def _read_manifest(path: Path, name: str) -> tuple[Text, list[Topic]]:
    if not path.exists():
        if not path.parent.is_dir():
            raise BankError([Problem(path.parent, 1, "there is no such folder")])
        return Text(ko=name, en=name), []
    text = _read_text(path)
    data = _load_yaml(path, text)
    try:
        if not isinstance(data, dict):
            raise ValueError("has to be a mapping with 'title' and 'topics'")
        title = Text.model_validate(data.get("title") or {"ko": name, "en": name})
        return title, [Topic.model_validate(topic) for topic in data.get("topics") or []]
    except ValidationError as error:
        raise BankError([Problem(path, _line_of(_lines(text), e["loc"]) - 1, _sentence(e)) for e in error.errors()]) from None
    except (ValueError, TypeError) as error:
        raise BankError([Problem(path, 1, str(error))]) from None


def _line_of(lines: dict[tuple[str | int, ...], int], location: tuple[str | int, ...]) -> int:
    while location and location not in lines:
        location = location[:-1]
    return lines.get(location, 2)


def _sentence(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        message = "is missing"
    elif error["type"] == "extra_forbidden":
        message = "is not a field of a question"
    given = error.get("input")
    shown = f" (found {given!r})" if isinstance(given, (str, int, float)) and len(repr(given)) <= 60 else ""
    return f"{where}: {message}{shown}" if where else f"{message}{shown}"
