"""From the bytes of a list to its lines.

UTF-8 with or without a byte-order mark, UTF-16 with one, and CP949/EUC-KR, in which Korean lists on Windows are often
kept (accepted with a warning). Anything else ends in one sentence with file, line and byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from viva.exchange.report import ImportFailed
from viva.language import Language, Text

MAX_BYTES = 20 * 1024 * 1024
MAX_LINE_CHARACTERS = 100_000

_MAGIC = (
    (b"%PDF", "PDF"), (b"PK\x03\x04", "ZIP, Word, Excel, Anki"), (b"\xd0\xcf\x11\xe0", "Word, Excel, HWP"), (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"), (b"GIF8", "GIF"), (b"\x1f\x8b", "gzip"), (b"7z\xbc\xaf", "7z"), (b"SQLite format 3", "SQLite"),
    (b"{\\rtf", "RTF"), (b"\x7fELF", "ELF"), (b"MZ\x90", "EXE"),
)  # fmt: skip
# Control characters, noncharacters and the marks that reorder what a reader sees; none of them belongs in a list.
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufeff\ufffe\uffff\ud800-\udfff]")
_ODD_SPACES = str.maketrans({"\x0b": " ", "\x0c": " ", "\x85": " ", "\u00a0": " ", "\u2028": " ", "\u2029": " "})


def read_bytes(path: Path, name: str, language: Language) -> bytes:
    """The bytes of ``path``, not more than an import may have.

    Raises:
        ImportFailed: no such file, not a file, not readable, or too large.
    """
    try:
        if path.is_dir():
            raise ImportFailed(name, 0, Text(ko="폴더입니다. 파일을 하나씩 지정하세요.", en="is a folder; name the files in it"), language)
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        why = error.strerror or str(error)
        raise ImportFailed(name, 0, Text(ko=f"파일을 읽을 수 없습니다: {why}", en=f"cannot be read: {why}"), language) from None


def decode(raw: bytes, name: str, language: Language) -> tuple[list[str], list[tuple[int, Text]]]:
    """The lines of ``raw`` and the warnings about how it was read.

    Raises:
        ImportFailed: too large, binary, empty, in an unknown encoding, or with a line of more than 100,000 characters.
    """

    def failed(line: int, ko: str, en: str) -> ImportFailed:
        return ImportFailed(name, line, Text(ko=ko, en=en), language)

    if len(raw) > MAX_BYTES:
        limit = MAX_BYTES // 1024 // 1024
        raise failed(0, f"파일이 {limit} MB보다 큽니다. 나누어 가져오세요.", f"is larger than {limit} MB; split it and import its parts")
    for magic, kind in _MAGIC:
        if raw.startswith(magic):
            raise failed(1, f"글이 아니라 이진 파일입니다({kind}). 글만 저장한 .txt, .md, .csv 파일을 주세요.",
                         f"is no text but a binary file ({kind}); save its text as .txt, .md or .csv")  # fmt: skip
    text, notes = _text(raw, failed)
    if "\x00" in text:
        at = text.index("\x00")
        line = text.count("\n", 0, at) + 1
        raise failed(line, f"NUL 문자가 있습니다({at + 1}번째 글자). 글 파일이 아니거나 깨졌습니다.",
                     f"has a NUL character (character {at + 1}); this is no text file, or it is damaged")  # fmt: skip
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_ODD_SPACES)
    unwanted = _UNWANTED.search(text)
    if unwanted:
        line = text.count("\n", 0, unwanted.start()) + 1
        notes.append((line, Text(ko="보이지 않는 제어 문자를 지웠습니다", en="invisible control characters were removed")))
        text = _UNWANTED.sub("", text)
    lines = text.split("\n")
    for number, content in enumerate(lines, start=1):
        if len(content) > MAX_LINE_CHARACTERS:
            raise failed(number, f"한 줄이 {len(content):,}자입니다. {MAX_LINE_CHARACTERS:,}자까지 읽습니다.",
                         f"this line has {len(content):,} characters; at most {MAX_LINE_CHARACTERS:,} are read")  # fmt: skip
    if not text.strip():
        raise failed(0, "빈 파일입니다.", "is empty")
    if re.match(r"\s*(?:<\?xml[^>]*>\s*)?(?:<!doctype html|<html[\s>])", text[:2000], re.IGNORECASE):
        raise failed(1, "웹 페이지(HTML)입니다. 브라우저에서 글을 복사해 .txt나 .md로 저장해 주세요.",
                     "is a web page (HTML); copy its text from the browser and save it as .txt or .md")  # fmt: skip
    return lines, notes


def _text(raw: bytes, failed: Callable[[int, str, str], ImportFailed]) -> tuple[str, list[tuple[int, Text]]]:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return raw.decode("utf-16"), []
        except UnicodeDecodeError as error:
            raise failed(0, f"UTF-16으로 읽을 수 없습니다({error.start + 1}번째 바이트).",
                         f"cannot be read as UTF-16 (byte {error.start + 1})") from None  # fmt: skip
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        if b"\x00" not in raw and (korean := _cp949(raw)) is not None:
            note = Text(ko="UTF-8이 아니라 CP949(EUC-KR)로 저장된 파일이라 그렇게 읽었습니다", en="is not UTF-8; it was read as CP949 (EUC-KR)")
            return korean, [(1, note)]
        line = raw.count(b"\n", 0, error.start) + 1
        byte = raw[error.start]
        raise failed(
            line, f"{error.start + 1}번째 바이트({byte:#04x})를 읽을 수 없습니다. 파일을 UTF-8로 다시 저장해 주세요.",
            f"byte {error.start + 1} ({byte:#04x}) is neither UTF-8 nor CP949; save the file as UTF-8",
        ) from None  # fmt: skip


def _cp949(raw: bytes) -> str | None:
    """``raw`` as CP949 where that is what it must be, else None.

    A damaged UTF-8 file often decodes as CP949 too, into nonsense. So: no Korean syllable may show in it as UTF-8, and what
    comes out has to be Korean for the most part, in the 2,350 syllables that people use.
    """
    if re.search("[가-힣]{2}", raw.decode("utf-8", errors="ignore")):
        return None
    try:
        text = raw.decode("cp949")
    except UnicodeDecodeError:
        return None
    foreign = [sign for sign in text if sign > "\x7f"]
    hangul = [sign for sign in foreign if "가" <= sign <= "힣"]
    common = sum(1 for sign in hangul if _is_common(sign))
    return text if hangul and len(hangul) >= 0.6 * len(foreign) and common >= 0.97 * len(hangul) else None


def _is_common(syllable: str) -> bool:
    return len(syllable.encode("euc-kr")) == 2  # the codec spells the rarer ones in eight bytes
