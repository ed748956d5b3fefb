"""``read_list``: a list that somebody keeps as text, as questions.

Which kind of list it is follows from the file's name and a look at its lines; ``kind`` overrules that. A list is
``plain`` (titles and bullets, numbered or marked questions), ``markdown``, ``csv`` or ``tsv``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from viva.exchange.decode import decode, read_bytes
from viva.exchange.markdown import read_markdown
from viva.exchange.plain import read_plain
from viva.exchange.report import ImportFailed, ImportReport, Ledger
from viva.exchange.table import read_csv, read_tsv
from viva.language import Language, Text

Kind = Literal["plain", "markdown", "csv", "tsv"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_READERS: dict[Kind, Callable[[list[str], Ledger], None]] = {
    "plain": read_plain,
    "markdown": read_markdown,
    "csv": read_csv,
    "tsv": read_tsv,
}
_SUFFIXES: dict[str, Kind] = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv"}
_MARKDOWN_SUFFIXES = (".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd")


def read_list(
    path_or_bytes: Path | str | bytes, name: str | None = None, *, kind: Kind | None = None, language: Language = "en"
) -> ImportReport:
    """What could be understood of a list. ``name`` is what messages call it (by default the file's name).

    A report without any question is no error here: its warnings say what became of each line.

    Raises:
        ImportFailed: the file cannot be read as text or breaks a limit; one sentence says where and why.
    """
    if isinstance(path_or_bytes, bytes):
        raw, name = path_or_bytes, name or "list.txt"
    else:
        name = name or Path(path_or_bytes).name
        raw = read_bytes(Path(path_or_bytes), name, language)
    if kind is not None and kind not in _READERS:
        raise ImportFailed(name, 0, Text(
            ko=f"'{kind}' 형식은 모릅니다. {', '.join(KINDS)} 중 하나로 지정하세요.",
            en=f"the kind '{kind}' is unknown; kinds are {', '.join(KINDS)}",
        ), language)  # fmt: skip
    lines, notes = decode(raw, name, language)
    ledger = Ledger(name, lines, language)
    for line, note in notes:
        ledger.warn(line, note)
    chosen = kind or detect(name, lines)
    _READERS[chosen](lines, ledger)
    return ledger.finish(chosen)


def detect(name: str, lines: list[str]) -> Kind:
    """The kind of list: by the name's ending, and by its lines where the ending leaves it open."""
    suffix = Path(name).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    written = [text[:400] for line in lines[:5000] if (text := line.strip())]
    if _has_markdown(written):
        return "markdown"
    if suffix in _MARKDOWN_SUFFIXES:
        # A page pasted into a Markdown file keeps its own bullets, which Markdown would read as one long paragraph.
        pasted = sum(1 for line in written if re.match(r"[•●▪◦‣·ㆍ]", line))
        return "plain" if pasted else "markdown"
    tabbed = sum(1 for line in written if re.match(r"[^\t]+\t+[^\t]", line))
    return "tsv" if len(written) >= 2 and tabbed >= 0.8 * len(written) else "plain"


def _has_markdown(written: list[str]) -> bool:
    return any(
        re.match(r"#{1,6}\s+\S", line)
        or re.match(r"<(?:details|summary)\b", line, re.IGNORECASE)
        or re.match(r"\|?\s*:?-{3,}:?\s*\|[\s:|-]*$", line)
        or re.match(r"(?:(?:[-*+]|\d+[.)])\s+)?(?:\*\*|__)[^*_].*(?:\*\*|__)", line)
        for line in written
    )
