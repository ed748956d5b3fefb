"""The one exception of the store: a sentence in both languages that says what is wrong and what to do next."""

from __future__ import annotations

from viva.language import Language, Text


class StoreError(Exception):
    """Something about the stored data that the person in front of the screen has to know.

    ``str(error)`` is the English sentence; ``error.get(language)`` either.
    """

    def __init__(self, ko: str, en: str) -> None:
        self.text = Text(ko=ko, en=en)
        super().__init__(en)

    def get(self, language: Language) -> str:
        return self.text.get(language)


class DamagedError(StoreError):
    """The file is no database, or no whole one."""
