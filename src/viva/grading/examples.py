"""What candidates say when they make a point, and what they say when they have it the wrong way round.

The bank keeps such sentences in ``bank/examples/<question>.yaml``; a learner's overruled marks add their own. The grader holds
each clause of an answer against them (:mod:`viva.grading.likeness`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from viva.bank import Question
from viva.bank.schema import BUILT_IN
from viva.grading.marks import STATUSES, Status
from viva.language import LANGUAGES, Language

FOLDER = Path(__file__).parent.parent / "bank" / "examples"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Example:
    """``words`` say the point ``point`` so that an interviewer marks it ``status``."""

    point: str
    status: Status
    words: str
    language: Language


@dataclass(frozen=True)
class Slip:
    """``words`` state the misconception ``misconception``."""

    misconception: str
    words: str
    language: Language


@dataclass(frozen=True)
class Examples:
    """The example sentences of one question."""

    points: tuple[Example, ...] = ()
    slips: tuple[Slip, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.points)


class ExamplesError(ValueError):
    """A file of examples that cannot be read; names the file and the reason."""


@lru_cache(maxsize=512)
def examples_of(question: Question) -> Examples:
    """The bank's examples for ``question``; none for questions of other packs."""
    path = FOLDER / f"{question.id}.yaml"
    if question.pack != BUILT_IN or not path.exists():
        return Examples()
    return read_examples(path, question)


def read_examples(path: Path, question: Question) -> Examples:
    """The examples in ``path``.

    Raises:
        ExamplesError: the file is no such YAML, or names a point, misconception or mark that ``question`` does not have.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ExamplesError(f"{path}: {error}") from None
    if not isinstance(data, dict) or set(data) - {"points", "misconceptions"}:
        raise ExamplesError(f"{path}: has to be a mapping with 'points' and 'misconceptions'")
    points = [
        Example(name, status, words, language)
        for name, by_language in _known(path, data.get("points"), {p.id for p in question.points}, "point")
        for language, by_status in _known(path, by_language, set(LANGUAGES), "language")
        for status, sentences in _known(path, by_status, set(STATUSES), "mark")
        for words in _sentences(path, sentences, name)
    ]
    slips = [
        Slip(name, words, language)
        for name, by_language in _known(path, data.get("misconceptions"), {m.id for m in question.misconceptions}, "misconception")
        for language, sentences in _known(path, by_language, set(LANGUAGES), "language")
        for words in _sentences(path, sentences, name)
    ]
    return Examples(tuple(points), tuple(slips))


def write_examples(examples: Iterable[Example]) -> str:
    """``examples`` of one question as YAML in the layout of the bank's files."""
    tree: dict[str, dict[str, dict[str, list[str]]]] = {}
    for example in examples:
        tree.setdefault(example.point, {}).setdefault(example.language, {}).setdefault(example.status, []).append(example.words)
    return yaml.safe_dump({"points": tree}, allow_unicode=True, sort_keys=False, width=1000)


def _known(path: Path, mapping: object, names: set[str], kind: str) -> list[tuple[Any, Any]]:
    if mapping is None:
        return []
    if not isinstance(mapping, Mapping):
        raise ExamplesError(f"{path}: below a {kind} has to stand a mapping, not {type(mapping).__name__}")
    for name in mapping:
        if name not in names:
            raise ExamplesError(f"{path}: there is no {kind} '{name}' here; there are {', '.join(sorted(names))}")
    return list(mapping.items())


def _sentences(path: Path, sentences: object, name: str) -> list[str]:
    if not isinstance(sentences, list) or not all(isinstance(words, str) and words.strip() for words in sentences):
        raise ExamplesError(f"{path}: the examples of '{name}' have to be a list of sentences")
    return list(dict.fromkeys(sentences))
