r"""Markdown with formulas, as safe HTML.

Texts of the bank and of imported packs are CommonMark with tables and ``$…$`` / ``$$…$$`` formulas. They are rendered by
markdown-it-py and cleaned by nh3 against a short list of tags: no scripts, no styles, no images and no request to another machine.
A formula becomes ``<span class="math" data-display="…">\tex</span>``; the page sets it with KaTeX.
"""

from __future__ import annotations

import html
from functools import lru_cache
from typing import Any

import nh3
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

TAGS = {
    "p", "br", "em", "strong", "del", "code", "pre", "ul", "ol", "li", "blockquote", "hr", "h3", "h4", "h5", "h6",
    "table", "thead", "tbody", "tr", "th", "td", "span", "div", "a", "sub", "sup",
}  # fmt: skip
ATTRIBUTES = {"span": {"class", "data-display"}, "a": {"href"}, "ol": {"start"}}


def _math(tex: str, options: dict[str, Any]) -> str:
    display = "true" if options.get("display_mode") else "false"
    return f'<span class="math" data-display="{display}">{html.escape(tex.strip())}</span>'


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    # html=False: raw HTML is shown as text. It is the first fence; nh3 is the second.
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])
    parser.use(dollarmath_plugin, allow_space=False, allow_digits=True, renderer=_math)
    parser.disable(["image"])
    return parser


@lru_cache(maxsize=4096)
def render(text: str) -> str:
    """``text`` as HTML that is safe to put into a page."""
    return nh3.clean(
        _parser().render(text),
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https"},
        link_rel="noopener noreferrer nofollow",
        attribute_filter=lambda tag, name, value: value if (tag, name) != ("span", "class") or value == "math" else None,
    )


@lru_cache(maxsize=8192)
def render_inline(text: str) -> str:
    """Like :func:`render` for a title or a list item: no paragraph around it."""
    return nh3.clean(
        _parser().renderInline(text), tags={"em", "strong", "del", "code", "span", "sub", "sup"},
        attributes={"span": {"class", "data-display"}},
        attribute_filter=lambda tag, name, value: value if (tag, name) != ("span", "class") or value == "math" else None,
    )  # fmt: skip


def formulas(text: str) -> list[str]:
    """The LaTeX of every formula in ``text``, in order."""
    found: list[str] = []

    def walk(tokens: list[Any]) -> None:
        for token in tokens:
            if token.type.startswith("math"):
                found.append(token.content.strip())
            walk(token.children or [])

    walk(_parser().parse(text))
    return found
