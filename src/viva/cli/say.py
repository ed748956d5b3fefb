"""The terminal's language: ``VIVA_LANG``, else the locale; Korean or English."""

from __future__ import annotations

import os
from typing import Literal

_NAMED = os.environ.get("VIVA_LANG") or os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
LANGUAGE: Literal["ko", "en"] = "ko" if _NAMED.lower().startswith("ko") else "en"


def say(ko: str, en: str, **values: object) -> str:
    """The sentence in the terminal's language, with ``{name}`` filled in."""
    sentence = ko if LANGUAGE == "ko" else en
    return sentence.format(**values) if values else sentence
