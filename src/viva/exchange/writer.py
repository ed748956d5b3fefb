"""Writes packs and questions so that they are never half there: beside the place first, then renamed into it.

The files are those that :mod:`viva.bank.loader` reads. A model answer stands under ``## ko`` and ``## en``; one that
those sections cannot hold to the letter (it begins with spaces, or has a line ``## …`` itself) stands in the front matter.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from viva.bank import Question, Topic
from viva.bank.loader import MAX_FILE_BYTES
from viva.language import LANGUAGES, Text

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_ODD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_WIDTH = 4096  # YAML folds longer lines; texts are kept on their own


class PackExists(FileExistsError):
    """The folder of a new pack is taken; the message says by what."""


def write_pack(folder: Path, title: Text, topics: Sequence[Topic], questions: Iterable[Question], *, overwrite: bool = False) -> Path:
    """Writes a whole pack and returns its folder. Nothing is there under this name until all of it is.

    Raises:
        PackExists: there is something at ``folder`` and ``overwrite`` is not set.
        ValueError: a topic that cannot be a folder, an id used twice, or a question too large for one file.
        OSError: the disk is full or refuses.
    """
    if folder.exists() and not overwrite:
        raise PackExists(f"{folder} is there already; choose another name for the pack, or say that it may be replaced")
    questions = list(questions)
    _check(folder, topics, questions)
    manifest = _yaml({"title": _data(title), "topics": [{"id": topic.id, "title": _data(topic.title)} for topic in topics]})
    if len(manifest.encode()) > MAX_FILE_BYTES:
        raise ValueError(f"the {len(topics):,} topics of {folder.name} do not fit into one pack.yaml of {MAX_FILE_BYTES:,} bytes; split the list")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # The leading dot hides the folder from whoever lists packs, should the process die before the end.
    fresh = folder.with_name(f".writing-{folder.name}-{secrets.token_hex(4)}")
    try:
        fresh.mkdir()
        _write(fresh / "pack.yaml", manifest)
        for question in questions:
            path = fresh / question.topic / f"{question.id}.md"
            path.parent.mkdir(exist_ok=True)
            _write(path, question_file(question))
        _sync_folder(fresh)
        _put(fresh, folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    _sync_folder(folder.parent)
    return folder


def write_question(path: Path, question: Question) -> None:
    """Replaces the file of one question; a reader sees the old one or the new one, never less.

    Raises:
        ValueError: ``path`` is not the file of this question, or the question is too large for one file.
        OSError: the disk is full or refuses; the old file is still there.
    """
    if path.stem != question.id or path.parent.name != question.topic:
        raise ValueError(f"{path} is not the file of '{question.id}' in '{question.topic}'; that would be {question.topic}/{question.id}.md")
    text = question_file(question)
    fresh = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        _write(fresh, text)
        os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def question_file(question: Question) -> str:
    """The text of a question's file.

    Raises:
        ValueError: it would be larger than the loader reads, or holds characters that no UTF-8 file can hold.
    """
    data = question.model_dump(mode="json", exclude={"pack", "answer"}, exclude_none=True)
    for name in ("misconceptions", "claims", "follow_ups"):
        if not data[name]:
            del data[name]
    for entry in (*data["points"], *data.get("misconceptions", ())):
        for name in ("cues", "opposite"):
            if name in entry:
                entry[name] = {language: cues for language, cues in entry[name].items() if cues}
        if not entry.get("opposite"):
            entry.pop("opposite", None)
    answer = _data(question.answer) if question.answer is not None else {}
    as_sections = all(_fits_a_section(text) for text in answer.values())
    if not as_sections:
        data["answer"] = answer
    body = "".join(f"\n## {name}\n\n{answer[name]}\n" for name in LANGUAGES if name in answer) if as_sections else ""
    try:
        json.dumps([data, body], ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"'{question.id}' holds the character U+{ord(error.object[error.start]):04X}, which is half of a character; delete it") from None
    text = f"---\n{_yaml(data)}---\n{body}"
    size = len(text.encode())
    if size > MAX_FILE_BYTES:
        raise ValueError(f"'{question.id}' would take {size:,} bytes; a question file has at most {MAX_FILE_BYTES:,}. Shorten its answer")
    return text


def _check(folder: Path, topics: Sequence[Topic], questions: Sequence[Question]) -> None:
    seen: set[str] = set()
    for question in questions:
        if not _SLUG.fullmatch(question.topic) or len(question.topic) > 64:
            raise ValueError(f"the topic '{question.topic}' of '{question.id}' cannot name a folder; use lower-case letters, digits and hyphens")
        if question.id in seen:
            raise ValueError(f"the id '{question.id}' is used twice in {folder.name}; ids are unique within a pack")
        seen.add(question.id)
    listed: set[str] = set()
    for topic in topics:
        if topic.id in listed:
            raise ValueError(f"the topic '{topic.id}' is listed twice in {folder.name}")
        listed.add(topic.id)


def _put(fresh: Path, folder: Path) -> None:
    """Renames ``fresh`` to ``folder``. An old folder steps aside first and comes back if the rename fails."""
    if not folder.exists():
        os.rename(fresh, folder)
        return
    aside = folder.with_name(f".replaced-{folder.name}-{secrets.token_hex(4)}")
    os.rename(folder, aside)
    try:
        os.rename(fresh, folder)
    except OSError:
        os.rename(aside, folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _fits_a_section(text: str) -> bool:
    return bool(text) and text == text.strip() and "\r" not in text and not re.search(r"^## ", text, re.MULTILINE)


def _data(text: Text) -> dict[str, str]:
    return text.model_dump(exclude_none=True)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """No aliases (the loader refuses them); texts with odd line breaks or control characters in escapes."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if _ODD.search(text) else None)
)


def _yaml(data: Any) -> str:
    return str(yaml.dump(data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=_WIDTH))


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Makes renames in ``folder`` survive a power cut where the system can do that."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
