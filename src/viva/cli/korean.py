"""click's own sentences in Korean: usage, headings, and what is wrong with a command line.

click passes every sentence it says through gettext's ``_``. `speak_korean` puts this table in its place; what the table
lacks (a sentence of another version of click) stays English.
"""

from __future__ import annotations

import sys

SENTENCES = {
    "Usage:": "사용법:",
    "Options": "옵션",
    "Commands": "명령",
    "Positional arguments": "인자",
    "Show this message and exit.": "이 도움말을 보여 줍니다.",
    "Show the version and exit.": "버전을 보여 줍니다.",
    "%(prog)s, version %(version)s": "%(prog)s %(version)s",
    "default: {default}": "기본값: {default}",
    "required": "필수",
    "Error: {message}": "오류: {message}",
    "Try '{command} {option}' for help.": "도움말: {command} {option}",
    "Aborted!": "멈췄습니다.",
    "Invalid value: {message}": "값이 잘못되었습니다. {message}",
    "Invalid value for {param_hint}: {message}": "{param_hint} 값이 잘못되었습니다. {message}",
    "Missing command.": "명령이 빠졌습니다.",
    "Missing argument": "빠진 인자:",
    "Missing option": "빠진 옵션:",
    "Missing parameter": "빠진 값:",
    "No such option {name!r}.": "{name} 옵션은 없습니다.",
    "No such option: {name}": "{name} 옵션은 없습니다.",
    "No such command {name!r}.": "{name!r} 명령은 없습니다.",
    "Did you mean {possibility}?": "혹시 {possibility}?",
    "(Did you mean one of: {possibilities}?)": "(혹시 이 가운데 하나: {possibilities})",
    "Got unexpected extra argument ({args})": "남는 인자가 있습니다: {args}",
    "Got unexpected extra arguments ({args})": "남는 인자가 있습니다: {args}",
    "Option {name!r} requires an argument.": "{name} 옵션에는 값을 주어야 합니다.",
    "Option {name!r} requires {nargs} arguments.": "{name} 옵션에는 값을 {nargs}개 주어야 합니다.",
    "Option {name!r} does not take a value.": "{name} 옵션에는 값을 주지 않습니다.",
    "{value!r} is not a valid {number_type}.": "{value!r}: 맞는 수({number_type})가 아닙니다.",
    "{value} is not in the range {range}.": "{value}: 범위({range})를 벗어났습니다.",
    "{value!r} is not {choice}.": "{value!r}: {choice}만 쓸 수 있습니다.",
    "{value!r} is not one of {choices}.": "{value!r}: {choices} 가운데 하나여야 합니다.",
    "Choose from:\n\t{choices}": "이 가운데에서 고르세요:\n\t{choices}",
    "file": "파일",
    "directory": "폴더",
    "path": "경로",
    "File": "파일",
    "Directory": "폴더",
    "Path": "경로",
    "{name} {filename!r} does not exist.": "{filename}: 없습니다 ({name}).",
    "{name} {filename!r} is a file.": "{filename}: 폴더가 아니라 파일입니다.",
    "{name} {filename!r} is a directory.": "{filename}: 파일이 아니라 폴더입니다.",
    "{name} {filename!r} is not readable.": "{filename}: 읽을 권한이 없습니다.",
    "{name} {filename!r} is not writable.": "{filename}: 쓸 권한이 없습니다.",
    "Do you want to continue?": "계속할까요?",
}


def speak_korean() -> None:
    """From here on click says what the table has in Korean."""
    for name in ("core", "decorators", "exceptions", "formatting", "parser", "termui", "types"):
        module = sys.modules.get(f"click.{name}")
        if hasattr(module, "_"):
            setattr(module, "_", _translated)  # noqa: B010
        if hasattr(module, "ngettext"):
            setattr(module, "ngettext", _translated_number)  # noqa: B010


def _translated(sentence: str) -> str:
    return SENTENCES.get(sentence, sentence)


def _translated_number(one: str, many: str, number: int) -> str:
    return _translated(one if number == 1 else many)
