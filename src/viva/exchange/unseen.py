"""What a reader of a page never sees: comments, scripts, styles. They go before a list is read, and each is reported."""

from __future__ import annotations

import re
from bisect import bisect_right

from viva.exchange.report import Ledger
from viva.language import Text

Line = tuple[int, str]

_OPENING = re.compile(r"<!--|<(script|style|template|iframe|noscript)(?:\s[^<>]*)?>", re.IGNORECASE)
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_COMMENT = Text(ko="주석이라 뺐습니다", en="a comment, left out")
_SCRIPT = Text(ko="화면에 보이지 않는 스크립트나 스타일이라 뺐습니다", en="a script or style that no reader sees, left out")


def without_unseen(lines: list[Line], ledger: Ledger, *, fences: bool) -> list[Line]:
    """``lines`` with the unseen blanked out. ``fences``: what stands in a fenced code block is code, and stays.

    An opening without an end hides nothing: it is dropped and the text after it stays.
    """
    endings: dict[str, list[int]] = {}  # closing tag -> the positions in ``lines`` where it stands
    for at, (_, text) in enumerate(lines):
        if "<" in text or "-->" in text:
            for ending in re.findall(r"-->|</[a-z]+", text.lower()):
                endings.setdefault(ending, []).append(at)
    out: list[Line] = []
    fence, until, why = "", "", _COMMENT
    for at, (number, text) in enumerate(lines):
        found = _FENCE.match(text) if fences and not until else None
        if found and (not fence or found.group(1).startswith(fence)):
            fence = "" if fence else found.group(1)
        if not until and (fence or "<" not in text):
            out.append((number, text))
            continue
        kept, start, low = [], 0, text.lower()
        last: dict[str, int] = {}  # where each closing tag stands last in this line
        while start < len(text):
            if until:
                end = low.find(until, start)
                if end < 0:
                    break
                start = end + len(until) if until == "-->" else (low.find(">", end) + 1 or len(text))
                until = ""
                continue
            opening = _OPENING.search(text, start)
            if opening is None or (fences and low.count("`", 0, opening.start()) % 2):
                kept.append(text[start:])
                break
            kept.append(text[start : opening.start()])
            start = opening.end()
            ending = "-->" if opening.group(1) is None else f"</{opening.group(1).lower()}"
            ends = endings.get(ending, [])
            if ending not in last:
                last[ending] = low.rfind(ending)
            if last[ending] >= start or bisect_right(ends, at) < len(ends):
                until, why = ending, _COMMENT if ending == "-->" else _SCRIPT
        left = "".join(kept)
        out.append((number, left))
        if left != text and text.strip():
            if left.strip():
                ledger.warn(number, Text(ko="주석이나 스크립트를 지웠습니다", en="a comment or a script was removed"))
            else:
                ledger.leave_out(number, why)
    return out
