"""The two languages of Viva, and text that exists in both.

A sentence that a person reads is written once in each language, side by side where it is used:
``Text(ko="답 보기", en="Show the answer")``. There is no catalogue to keep in step.
"""

from __future__ import annotations

from typing import Literal, cast

from pydantic import BaseModel, ConfigDict, model_validator

Language = Literal["ko", "en"]
LANGUAGES: tuple[Language, ...] = ("ko", "en")


class Text(BaseModel):
    """A text in Korean, English or both; at least one of them is there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ko: str | None = None
    en: str | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Text:
        if not (self.ko or "").strip() and not (self.en or "").strip():
            raise ValueError("needs a text under 'ko', 'en' or both")
        return self

    def has(self, language: Language) -> bool:
        return bool((getattr(self, language) or "").strip())

    def get(self, language: Language) -> str:
        """The text in ``language``, or in the other one where that is missing."""
        other: Language = "en" if language == "ko" else "ko"
        return getattr(self, language) or getattr(self, other) or ""


def parse_language(value: str | None, default: Language = "ko") -> Language:
    """``value`` as a language, or ``default`` where it is not one of the two."""
    short = (value or "").strip().lower().replace("_", "-").split("-")[0]
    return cast(Language, short) if short in LANGUAGES else default

