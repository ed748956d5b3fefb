"""Markdown as a row of blocks that remember their lines: headings, paragraphs, lists, tables, folds.

markdown-it-py says where blocks begin and end; their source is kept as it is. ``<details>`` folds, which Markdown
sees as loose pieces of HTML, become blocks with a summary and blocks of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from viva.exchange.signs import is_fold_of_answer

Line = tuple[int, str]  # number, counted from 1, and text

_FOLD_TAG = re.compile(r"<details\b[^>]*>|</details\s*>|<summary\b[^>]*>|</summary\s*>", re.IGNORECASE)
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
_MARKER = re.compile(r"^(\s*)([-*+]|\d{1,9}[.)])(\s+|$)")
_HTML_HEADING = re.compile(r"^\s*<h([1-6])\b[^>]*>(.*?)</h\1>\s*$", re.IGNORECASE | re.DOTALL)
MAX_FOLDS_DEEP = 20


@dataclass
class Item:
    """An item of a list: its lines without the marker and the indentation."""

    lines: list[Line]
    number: int | None = None


@dataclass
class Block:
    """``kind`` is heading, paragraph, list, table, fold, rule or other (code, quote, HTML)."""

    kind: str
    lines: list[Line] = field(default_factory=list)
    text: str = ""
    """The words of a heading, the summary of a fold."""
    level: int = 0
    items: list[Item] = field(default_factory=list)
    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    """Table rows with their line; the first is the header."""
    children: list[Block] = field(default_factory=list)

    @property
    def line(self) -> int:
        return self.lines[0][0] if self.lines else 1

    def numbers(self) -> Iterable[int]:
        """All lines of the block, those of folds within included."""
        yield from (number for number, _ in self.lines)
        for child in self.children:
            yield from child.numbers()


def blocks(lines: list[Line]) -> tuple[list[Block], list[int]]:
    """The blocks of ``lines``, and the numbers of the lines that hold a fold's tags."""
    top: list[Block] = []
    stack: list[Block] = []
    tag_lines: list[int] = []
    text: list[Line] = []
    summary: list[str] | None = None
    fence = ""

    def flush() -> None:
        (stack[-1].children if stack else top).extend(_parse(dedented(text)))
        text.clear()

    for number, line in lines:
        found = _FENCE.match(line)
        if found and (not fence or found.group(1).startswith(fence)):
            fence = "" if fence else found.group(1)
        if fence or "<" not in line or not _FOLD_TAG.search(re.sub(r"`[^`]*`", "", line)):
            if summary is not None:
                summary.append(line.strip())
                stack[-1].lines.append((number, ""))
            else:
                text.append((number, line))
            continue
        tag_lines.append(number)
        at = 0
        for tag in [*_FOLD_TAG.finditer(line), None]:
            piece = line[at : tag.start() if tag else len(line)]
            if summary is not None:
                summary.append(piece.strip())
            elif piece.strip():
                text.append((number, piece if at == 0 else piece.strip()))
            if tag is None:
                break
            at = tag.end()
            name = tag.group(0).lower()
            if name.startswith("<details") and len(stack) < MAX_FOLDS_DEEP:
                flush()
                fold = Block("fold", [(number, "")])
                (stack[-1].children if stack else top).append(fold)
                stack.append(fold)
            elif name.startswith("</details") and stack:
                flush()
                stack.pop()
                summary = None
            elif name.startswith("<summary") and stack:
                summary = []
                stack[-1].lines = [(number, "")]
            elif name.startswith("</summary") and stack and summary is not None:
                stack[-1].text = _summary_words(" ".join(part for part in summary if part))
                summary = None
    flush()
    return top, tag_lines


def source(body: Iterable[Block]) -> str:
    """The Markdown of ``body``; headings become bold lines, so that they cannot outrank the answer that they stand in."""
    parts = []
    for block in body:
        if block.kind == "heading":
            parts.append(f"**{block.text}**")
        elif block.kind == "fold":
            label = "" if is_fold_of_answer(block.text) else f"**{block.text}**"
            parts.append("\n\n".join(part for part in (label, source(block.children)) if part))
        elif block.kind != "rule":
            parts.append("\n".join(text for _, text in block.lines).strip("\n"))
    return "\n\n".join(part for part in parts if part.strip())


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    # Only where blocks lie is asked for; leaving inline markup unread keeps hostile lines cheap.
    return MarkdownIt("commonmark").enable("table").disable("inline")


def _parse(lines: list[Line]) -> list[Block]:
    if not any(text.strip() for _, text in lines):
        return []
    tokens = _parser().parse("\n".join(text for _, text in lines))
    found: list[Block] = []
    for at, token in enumerate(tokens):
        if token.level != 0 or token.map is None or token.nesting < 0:
            continue
        own = _trimmed(lines[token.map[0] : token.map[1]])
        if not own:  # Markdown takes fewer characters for blank than Python does
            continue
        if token.type == "heading_open":
            words = tokens[at + 1].content.strip()
            if words.endswith("}") and "{#" in words:  # an anchor that some tools write behind a heading
                words = words[: words.rindex("{#")].rstrip()
            found.append(Block("heading", own, words, level=int(token.tag[1])))
        elif token.type == "paragraph_open":
            found.append(Block("paragraph", own))
        elif token.type in ("bullet_list_open", "ordered_list_open"):
            found.append(Block("list", own, level=int(token.type.startswith("ordered")), items=_items(tokens, at, lines)))
        elif token.type == "table_open":
            found.append(Block("table", own, rows=_table(tokens, at, lines)))
        elif token.type == "hr":
            found.append(Block("rule", own))
        elif heading := _HTML_HEADING.match("\n".join(text for _, text in own)) if token.type == "html_block" else None:
            found.append(Block("heading", own, " ".join(heading.group(2).split()), level=int(heading.group(1))))
        else:
            found.append(Block("other", own))
    return found


def _items(tokens: list[Token], start: int, lines: list[Line]) -> list[Item]:
    items = []
    for at in range(start + 1, len(tokens)):
        token = tokens[at]
        if token.level == 0:
            break
        if token.type != "list_item_open" or token.level != 1 or token.map is None:
            continue
        own = _trimmed(lines[token.map[0] : token.map[1]]) or [lines[token.map[0]]]
        number, first = own[0]
        marker = _MARKER.match(first)
        if marker is None:  # a list within a list may open on its parent's line
            items.append(Item(own))
            continue
        width = len(marker.group(1)) + len(marker.group(2)) + max(1, min(4, len(marker.group(3))))
        rest = [(n, text[min(width, len(text) - len(text.lstrip())) :]) for n, text in own[1:]]
        ordinal = marker.group(2)[:-1]
        items.append(Item([(number, first[marker.end() :]), *rest], int(ordinal) if ordinal.isdigit() else None))
    return items


def _table(tokens: list[Token], start: int, lines: list[Line]) -> list[tuple[int, list[str]]]:
    rows: list[tuple[int, list[str]]] = []
    for at in range(start + 1, len(tokens)):
        token = tokens[at]
        if token.level == 0:
            break
        if token.type == "tr_open" and token.map is not None:
            rows.append((lines[token.map[0]][0], []))
        elif token.type in ("th_open", "td_open") and rows:
            rows[-1][1].append(tokens[at + 1].content.strip())
    return rows


def _trimmed(lines: list[Line]) -> list[Line]:
    while lines and not lines[-1][1].strip():
        lines = lines[:-1]
    return lines


def dedented(lines: list[Line], most: int = 80) -> list[Line]:
    """``lines`` without the indentation that they share, up to ``most`` spaces of it."""
    depth = min((len(text) - len(text.lstrip(" ")) for _, text in lines if text.strip()), default=0)
    return [(number, text[min(depth, most) :]) for number, text in lines]


def _summary_words(summary: str) -> str:
    return " ".join(re.sub(r"</?[a-z][^<>]*>", " ", summary, flags=re.IGNORECASE).split()).lstrip("# ")
