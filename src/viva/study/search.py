"""Search over questions, in both languages at once.

Text is compared by morphemes and stems, so particles and inflection do not hide a hit ('기울기가 사라지는' finds '기울기는
사라진다'), and by the glossary's terms, so '시그모이드' finds 'sigmoid'. What is still being typed matches as a plain part of the text.
"""

from __future__ import annotations

from dataclasses import dataclass

from viva.bank import Bank, Question
from viva.bank.glossary import glossary
from viva.grading.morphology import tokenise
from viva.grading.normaliser import normalise
from viva.language import LANGUAGES, Language, Text

MANY_QUESTIONS = 2000
"""Above this only the questions' own words are indexed, not their answers: analysing Korean takes about a millisecond a sentence."""


@dataclass(frozen=True, slots=True)
class _Entry:
    text: str
    words: frozenset[str]
    terms: frozenset[str]


class SearchIndex:
    """An index over ``bank``; made once, read by any number of threads."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        whole = len(bank) <= MANY_QUESTIONS
        self._entries = {question.key: _entry(_text_of(question, whole=whole)) for question in bank}

    def find(self, query: str, language: Language) -> set[str]:
        """The keys of the questions that hold every word and term of ``query``; ``language`` is what the query is in."""
        del language  # both are searched; a Korean session may ask with an English name
        plain = normalise(query).text.strip()
        if not plain:
            return set(self._entries)
        known = glossary().longest(plain)
        terms = {hit.term for hit in known}
        # The whole query is read, since a particle alone, cut off its term, would be taken for a word ('보다' for a verb).
        words = {
            token.key for token in tokenise(plain)
            if token.kind == "content" and not any(hit.start < token.end and token.start < hit.end for hit in known)
        }  # fmt: skip
        found = set()
        for key, entry in self._entries.items():
            by_meaning = (terms or words) and terms <= entry.terms and all(_holds(entry, word) for word in words)
            if by_meaning or plain in entry.text:
                found.add(key)
        return found


def _holds(entry: _Entry, word: str) -> bool:
    return word in entry.words or (len(word) >= 3 and word.isascii() and any(known.startswith(word) for known in entry.words))


def _entry(text: str) -> _Entry:
    plain = normalise(text).text
    return _Entry(plain, frozenset(_words(plain)), frozenset(hit.term for hit in glossary().find(plain)))


def _words(plain: str) -> set[str]:
    return {token.key for token in tokenise(plain) if token.kind == "content"}


def _text_of(question: Question, *, whole: bool) -> str:
    texts: list[Text] = [question.question]
    if whole:
        texts += [point.text for point in question.points] + [wrong.text for wrong in question.misconceptions]
        texts += [question.answer] if question.answer else []
    return " \n ".join(text for entry in texts for language in LANGUAGES if (text := getattr(entry, language)))
