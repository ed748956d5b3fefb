r"""Hostile Markdown in, plain Markdown out.

Imported texts keep their emphasis, code, formulas, lists and ``http(s)`` links. Raw HTML goes (``<b>``, ``<li>``, ``<br>`` and
the like become Markdown first), with the whole content of scripts and styles; pictures become their caption; links of
any other kind become their words. A ``<`` that opens no tag of HTML, as in ``x<y``, stays, written ``\<`` where a
reader could take it for a tag. Tags are removed by nh3, pages still render with HTML off (:mod:`viva.bank.markup`).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import nh3
from markdown_it import MarkdownIt

from viva.language import Text

# Noncharacters: the decoder removes them from every input, so they can stand for something here.
_LESS, _AMPERSAND, _KEPT = "\ufdd0", "\ufdd1", "\ufdd2"

_NAMES = (
    "a|abbr|acronym|address|applet|area|article|aside|audio|b|base|basefont|bdi|bdo|bgsound|big|blink|blockquote|"
    "body|br|button|canvas|caption|center|cite|code|col|colgroup|command|content|data|datalist|dd|del|details|"
    "dfn|dialog|dir|div|dl|dt|element|em|embed|fieldset|figcaption|figure|font|footer|form|frame|frameset|h1|h2|"
    "h3|h4|h5|h6|head|header|hgroup|hr|html|i|iframe|image|img|input|ins|isindex|kbd|keygen|label|legend|li|link|"
    "listing|main|map|mark|marquee|math|menu|menuitem|meta|meter|nav|nobr|noembed|noframes|noscript|object|ol|"
    "optgroup|option|output|p|param|picture|plaintext|portal|pre|progress|q|rb|rp|rt|rtc|ruby|s|samp|script|"
    "section|select|shadow|slot|small|source|spacer|span|strike|strong|style|sub|summary|sup|svg|table|tbody|td|"
    "template|textarea|tfoot|th|thead|time|title|tr|track|tt|u|ul|var|video|wbr|xmp"
)
TAG = re.compile(
    rf"<!--.*?-->|</?(?:{_NAMES}|[a-z][a-z0-9]*-[a-z0-9-]*)(?=[\s/>])[^<>]*>|<[!?][^<>]*>"
    r"|<[a-z][\w:-]*\s[^<>]*\bon[a-z]+\s*=[^<>]*>",
    re.IGNORECASE | re.DOTALL,
)
_SCRIPT = re.compile(r"<(script|style|iframe|object|embed|svg|math|template|noscript)\b", re.IGNORECASE)
_AUTOLINK = re.compile(r"<(https?://[^\s<>]+)>", re.IGNORECASE)
_OTHER_AUTOLINK = re.compile(r"<[a-z][a-z0-9+.-]{1,31}:[^\s<>]*>", re.IGNORECASE)
_FENCE = re.compile(r"^ {0,12}(`{3,}(?=[^`]*$)|~{3,})")
# A line that opens with a tag starts a block of HTML, even inside what else were a code span.
_SPAN = re.compile(
    r"(?<![`\\])(?P<code>(?P<ticks>`{1,4})(?!`)(?:(?!\n\s*\n|\n[\s>*+\-\d.)]*<).){1,2000}?(?<!`)(?P=ticks)(?!`))"
    r"|(?<![\\$])(?P<math>\$\$(?:(?!\n\s*\n)[^$]){1,4000}\$\$|\$(?![\s$])[^$\n]{1,1000}(?<![\s\\])\$)",
    re.DOTALL,
)
_IMAGE = re.compile(r"!\[([^\[\]]{0,1000})\](?:\([^()\n]{0,2000}(?:\([^()\n]{0,500}\)[^()\n]{0,500})?\)|\[[^\[\]\n]{0,500}\])?")
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\\[\[\]]){0,1000})\]\(\s*<?([^()\s<>]{0,2000}(?:\([^()\s<>]{0,500}\)[^()\s<>]{0,500})?)>?(?:\s+[^()\n]{0,500})?\s*\)")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]\n]{1,500}\]:[ \t]*\n?[ \t]*(\S+)[^\n]*$", re.MULTILINE)
_TO_MARKDOWN: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"<br\s*/?>[ \t]*\n?", "\n"),
        (r"</?(?:p|div)(?:\s[^<>]*)?>", "\n\n"),
        (r"<li(?:\s[^<>]*)?>\s*", "\n- "),
        (r"</?(?:strong|b)(?:\s[^<>]*)?>", "**"),
        (r"</?(?:em|i)(?:\s[^<>]*)?>", "*"),
        (r"</?(?:code|kbd|samp)(?:\s[^<>]*)?>", "`"),
    )
)


def clean_markdown(text: str) -> str:
    """``text`` without HTML, pictures and links other than http(s); no blank lines around it."""
    parts: list[str] = []
    for code, part in _split_fences(text):
        parts.append(part if code else _outside_spans(part))
    cleaned = "\n".join(parts)
    cleaned = "\n".join(line.rstrip() if not line.endswith("  ") else line for line in cleaned.split("\n"))
    cleaned = re.sub(r"\n{3,}", "\n\n", cleaned).strip("\n").rstrip() if cleaned.strip() else ""
    return _escaped(cleaned) if _a_reader_finds_html(cleaned) else cleaned


def _a_reader_finds_html(text: str) -> bool:
    """Whether a Markdown reader that allows HTML would find some: taking a tag away may turn what was code into prose."""
    if "<" not in text:
        return False
    tokens = MarkdownIt("commonmark").parse(text)
    return any(part.type.startswith("html") for token in tokens for part in (token, *(token.children or ())))


def _escaped(text: str) -> str:
    return re.sub(r"(?<!\\)((?:\\\\)*)<(?=[A-Za-z/!?])", r"\1\\<", text)


def clean_inline(text: str) -> str:
    """``text`` as one line of Markdown."""
    return " ".join(clean_markdown(text).split())


def clean_notes(text: str) -> list[Text]:
    """Sentences about what :func:`clean_markdown` takes out of ``text``, for the report."""
    notes = []
    prose = "\n".join(_SPAN.sub("", part) for code, part in _split_fences(text) if not code)
    if _SCRIPT.search(prose):
        notes.append(Text(ko="스크립트나 끼워 넣은 HTML을 지웠습니다", en="a script or embedded HTML was removed"))
    elif TAG.search(prose):
        notes.append(Text(ko="HTML 태그를 지우고 글만 남겼습니다", en="HTML tags were removed, their text was kept"))
    if _IMAGE.search(prose):
        notes.append(Text(ko="그림은 가져오지 않습니다", en="pictures are not imported"))
    if any(not _is_web(match.group(2)) for match in _LINK.finditer(_IMAGE.sub("", prose))):
        notes.append(Text(ko="웹 주소가 아닌 링크는 글만 남겼습니다", en="links that are no web address were reduced to their words"))
    return notes


def plain(text: str) -> str:
    """``text`` as a phrase without Markdown's signs: for sentences that are matched, not shown."""
    text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", text))
    text = re.sub(r"(?<!\\)(\*\*|__|~~|`)", "", text)
    text = re.sub(r"(?<![\w\\*])\*(?=\S)|(?<=[^\s\\*])\*(?!\w)", "", text)
    text = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text) if "$" not in text else text
    return " ".join(html.unescape(text).split())


def _split_fences(text: str) -> list[tuple[bool, str]]:
    """Runs of lines, each with whether it is a fenced code block."""
    runs: list[tuple[bool, list[str]]] = []
    fence = ""
    for line in text.split("\n"):
        found = _FENCE.match(line)
        inside = bool(fence) or bool(found)
        if not runs or runs[-1][0] != inside:
            runs.append((inside, []))
        runs[-1][1].append(line)
        if found and not fence:
            fence = found.group(1)
        elif fence and found and found.group(1).startswith(fence) and not line.strip(" `~"):
            fence = ""
    return [(inside, "\n".join(lines)) for inside, lines in runs]


def _outside_spans(text: str) -> str:
    """Cleans what is neither a code span nor a formula; those are put back as they were."""
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        span = match.group(0)
        # Inside a formula a space after '<' changes nothing that is set, and no reader takes it for a tag.
        kept.append(span if match.group("code") else re.sub(r"<(?=[A-Za-z/!?])", "< ", span))
        return f"{_KEPT}{len(kept) - 1};"

    text = _links(_tags(_OTHER_AUTOLINK.sub("", _AUTOLINK.sub(r"\1", _SPAN.sub(keep, text)))))
    return re.sub(rf"{_KEPT}(\d+);", lambda match: kept[int(match.group(1))], text)


def _tags(text: str) -> str:
    if "<" not in text:
        return text
    text = re.sub(r"<!\[CDATA\[|\]\]>", "", text)
    for pattern, replacement in _TO_MARKDOWN:
        text = pattern.sub(replacement, text)
    for _ in range(10):  # a removed tag may leave two halves of another one side by side
        if not TAG.search(text):
            break
        text = _strip(text)
    else:
        text = text.replace("<", "\\<")
    return re.sub(r"(?<!\\)<(?=[A-Za-z/!?])", r"\\<", text)


def _strip(text: str) -> str:
    starts = {match.start() for match in TAG.finditer(text)}
    shielded = "".join(_LESS if sign == "<" and at not in starts else sign for at, sign in enumerate(text)).replace("&", _AMPERSAND)
    stripped = nh3.clean(shielded, tags=set(), attributes={}, clean_content_tags={"script", "style", "template", "iframe", "noscript"})
    return html.unescape(stripped).replace(_AMPERSAND, "&").replace(_LESS, "<")


def _links(text: str) -> str:
    if "[" not in text:
        return text
    text = _settle(_IMAGE, lambda match: match.group(1), text)
    text = _settle(_LINK, lambda match: match.group(0) if _is_web(match.group(2)) else match.group(1), text)
    return _DEFINITION.sub(lambda match: match.group(0) if _is_web(match.group(1)) else "", text)


def _settle(pattern: re.Pattern[str], replacement: Callable[[re.Match[str]], str], text: str) -> str:
    """Replaces until nothing changes, so that brackets within brackets are reached."""
    for _ in range(10):
        changed = pattern.sub(replacement, text)
        if changed == text:
            return text
        text = changed
    return text.replace("](", "] (")


def _is_web(address: str) -> bool:
    return bool(re.match(r"https?://[^\s]", html.unescape(address).strip("<> \t"), re.IGNORECASE))
