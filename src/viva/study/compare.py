"""What changed from one answer to the next, word by word.

Words are compared whole, so a Korean word with another particle shows as a changed word. Punctuation is compared by itself:
a full stop added does not mark the word before it. The time is bounded: texts too long to be compared word by word are compared
line by line and sentence by sentence first, and only what differs there is looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal

Op = Literal["equal", "insert", "delete"]
Change = tuple[Op, str]

MOST_PAIRS = 4_000_000
"""Tokens of one text times tokens of the other that are compared with each other: about 1,000 words against 1,000, which
takes some 40 ms at worst."""
_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_SENTENCE = re.compile(r".+?(?:[.!?。]+\s+|\n+|\Z)|\n+", re.DOTALL)


def word_diff(old: str, new: str) -> list[Change]:
    """The way from ``old`` to ``new``: the parts in order, deleted before inserted.

    What is equal or deleted, joined, is ``old``; what is equal or inserted, joined, is ``new``. No part is empty, and
    no two neighbours have the same operation.
    """
    return _tidied(_compared(_WORD.findall(old), _WORD.findall(new)))


def _compared(old: list[str], new: list[str]) -> list[Change]:
    start = _common_start(old, new)
    old_middle, new_middle = old[start:], new[start:]
    end = _common_start(old_middle[::-1], new_middle[::-1])
    old_middle, new_middle = old_middle[: len(old_middle) - end], new_middle[: len(new_middle) - end]
    return [
        ("equal", "".join(old[:start])),
        *_middle("".join(old_middle), "".join(new_middle), len(old_middle) * len(new_middle)),
        ("equal", "".join(old[len(old) - end :])),
    ]


def _middle(old: str, new: str, pairs: int) -> list[Change]:
    if pairs <= MOST_PAIRS:
        return _matched(_WORD.findall(old), _WORD.findall(new))
    old_lines, new_lines = _SENTENCE.findall(old), _SENTENCE.findall(new)
    if len(old_lines) * len(new_lines) > MOST_PAIRS:
        return [("delete", old), ("insert", new)]
    changes: list[Change] = []
    for same, parts in groupby(_matched(old_lines, new_lines), key=lambda change: change[0] == "equal"):
        found = list(parts)
        changes += found if same else _within(found)
    return changes


def _within(changes: list[Change]) -> list[Change]:
    """Sentences deleted and inserted at one place, compared word by word where that is not too much."""
    old = "".join(text for op, text in changes if op == "delete")
    new = "".join(text for op, text in changes if op == "insert")
    old_words, new_words = _WORD.findall(old), _WORD.findall(new)
    if len(old_words) * len(new_words) > MOST_PAIRS:
        return [("delete", old), ("insert", new)]
    return _matched(old_words, new_words)


def _matched(old: Sequence[str], new: Sequence[str]) -> list[Change]:
    changes: list[Change] = []
    for op, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes():
        if op == "equal":
            changes.append(("equal", "".join(old[a:b])))
        else:
            changes += [("delete", "".join(old[a:b])), ("insert", "".join(new[c:d]))]
    return changes


def _common_start(old: Sequence[str], new: Sequence[str]) -> int:
    length = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        length += 1
    return length


def _tidied(changes: list[Change]) -> list[Change]:
    """Neighbours joined, and a space between two changed words drawn into the change, so that it reads as one."""
    tidy: list[Change] = []
    deleted = inserted = ""

    def flush() -> None:
        nonlocal deleted, inserted
        parts: tuple[Change, ...] = (("delete", deleted), ("insert", inserted))
        tidy.extend(part for part in parts if part[1])
        deleted = inserted = ""

    for place, (op, text) in enumerate(changes):
        if op == "delete":
            deleted += text
        elif op == "insert":
            inserted += text
        elif text:
            changed_after = any(part and op != "equal" for op, part in changes[place + 1 : place + 3])
            if text.isspace() and "\n" not in text and deleted and inserted and changed_after:
                deleted, inserted = deleted + text, inserted + text
                continue
            flush()
            if tidy and tidy[-1][0] == "equal":
                tidy[-1] = ("equal", tidy[-1][1] + text)
            else:
                tidy.append(("equal", text))
    flush()
    return tidy
