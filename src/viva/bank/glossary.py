"""The words of the field: one term under all its names.

``시그모이드``, ``sigmoid`` and ``logistic sigmoid`` are one term; so are ``기울기 소실``, ``그래디언트 배니싱`` and ``vanishing
gradient``. Grading matches by term, search expands a query to a term's other names, and pages show its definition.
The data stand in ``glossary.yaml``; how a name is recognised stands here:

* Latin names match whole words only, whatever the case, hyphens, spaces or plural (``Batch-Norm``, ``batchnorms``);
  so ``BN`` is never found inside another word. Short forms may have Korean particles behind them (``BN을``).
* Hangul names match whatever the spacing; names of two syllables only at the start of a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from viva.bank.schema import Slug
from viva.language import Language, Text

GLOSSARY_FILE = Path(__file__).parent / "glossary.yaml"
_LONGEST = 6  # words of a Latin name
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Term(BaseModel):
    """One term. The first name of each language is the one to show; ``aka`` holds short forms and misspellings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Slug
    ko: tuple[str, ...]
    en: tuple[str, ...]
    aka: tuple[str, ...] = ()
    definition: Text | None = None

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.ko, *self.en, *self.aka)))

    def name(self, language: Language) -> str:
        return (self.ko if language == "ko" else self.en)[0]


class Found(NamedTuple):
    """A term's name at ``text[start:end]``."""

    start: int
    end: int
    term: str


class Glossary:
    """Terms by id, with a finder over all their names."""

    def __init__(self, terms: Iterable[Term]) -> None:
        self.terms: dict[str, Term] = {term.id: term for term in terms}
        self._latin: dict[str, list[str]] = {}
        self._hangul: dict[str, list[tuple[str, str]]] = {}
        for term in self.terms.values():
            for name in term.names:
                if _HANGUL.search(name):
                    squeezed = _tight(name)
                    self._hangul.setdefault(squeezed[:2], []).append((squeezed, term.id))
                else:
                    ids = self._latin.setdefault(_joined(_WORD.findall(name.lower())), [])
                    if term.id not in ids:
                        ids.append(term.id)

    def __len__(self) -> int:
        return len(self.terms)

    def __iter__(self) -> Iterator[Term]:
        return iter(self.terms.values())

    def canonical(self, text: str) -> Term | None:
        """The term that ``text`` as a whole names, whatever its spelling; None where it is no term."""
        found = [hit for hit in self.find(text) if not text[: hit.start].strip() and not text[hit.end :].strip()]
        return self.terms[found[0].term] if found else None

    def find(self, text: str) -> tuple[Found, ...]:
        """Every name in ``text``, nested and overlapping ones too, by place, longest first."""
        found = {*self._find_latin(text), *self._find_hangul(text)}
        return tuple(sorted(found, key=lambda hit: (hit.start, -hit.end, hit.term)))

    def longest(self, text: str) -> tuple[Found, ...]:
        """The names in ``text`` without overlaps, the longest at each place: what a page underlines."""
        chosen: list[Found] = []
        for hit in self.find(text):
            if not chosen or hit.start >= chosen[-1].end:
                chosen.append(hit)
        return tuple(chosen)

    def expand(self, query: str) -> tuple[str, ...]:
        """``query`` and the ways of asking the same with a term's other names, ``query`` itself first.

        Each term in the query is replaced in turn; a query without terms comes back alone.
        """
        alternatives = [query]
        for hit in self.longest(query):
            for same in self.find(query[hit.start : hit.end]):
                if same.start == 0 and same.end == hit.end - hit.start:
                    alternatives += [query[: hit.start] + name + query[hit.end :] for name in self.terms[same.term].names]
        seen: dict[str, str] = {}
        for alternative in alternatives:
            seen.setdefault(alternative.strip().lower(), alternative.strip())
        return tuple(seen.values())

    def _find_latin(self, text: str) -> Iterator[Found]:
        words = [(match.start(), match.end(), match[0].lower().replace("×", "x")) for match in _WORD.finditer(text)]
        for first, (start, _, _) in enumerate(words):
            joined = ""
            for last in range(first, min(first + _LONGEST, len(words))):
                if last > first and not _GAP.fullmatch(text, words[last - 1][1], words[last][0]):
                    break
                bare = joined + words[last][2]
                joined = bare
                for spelled in dict.fromkeys((bare, _singular(bare))):
                    for term in self._latin.get(spelled, ()):
                        if last == first or len(spelled) > 3:  # "B N" is not BN
                            yield Found(start, words[last][1], term)

    def _find_hangul(self, text: str) -> Iterator[Found]:
        if not _HANGUL.search(text):
            return
        places = [i for i, ch in enumerate(text) if not ch.isspace() and ch not in "-·‐–"]
        tight = "".join(text[i].lower() if len(text[i].lower()) == 1 else text[i] for i in places)
        for at in range(len(tight) - 1):
            for name, term in self._hangul.get(tight[at : at + 2], ()):
                if not tight.startswith(name, at):
                    continue
                start, end = places[at], places[at + len(name) - 1] + 1
                before = text[start - 1] if start else " "
                if _HANGUL.match(name):
                    if len(name) <= 2 and _HANGUL.match(before):
                        continue
                elif before.isascii() and before.isalnum():
                    continue
                after = text[end] if end < len(text) else " "
                if name[-1].isascii() and after.isascii() and after.isalnum():
                    continue
                yield Found(start, end, term)


_HANGUL = re.compile(r"[가-힣]")
_WORD = re.compile(r"[A-Za-z0-9×Α-Ωα-ω]+(?:'(?=[A-Za-z]{2}))?")
_GAP = re.compile(r"[ \t\n]?[-–/_.·∙ \t]?[ \t\n]?")


def _tight(name: str) -> str:
    return re.sub(r"[\s\-·‐–]+", "", name).lower()


def _joined(words: list[str]) -> str:
    return "".join(words).replace("×", "x")


def _singular(joined: str) -> str:
    if joined.endswith("ies") and len(joined) > 5:
        return joined[:-3] + "y"
    if joined.endswith(("sses", "xes", "ches", "shes")):
        return joined[:-2]
    if joined.endswith("s") and len(joined) > 2 and not joined.endswith(("ss", "us", "is")):
        return joined[:-1]
    return joined


@lru_cache(maxsize=1)
def glossary() -> Glossary:
    """The built-in glossary, read once."""
    return read_glossary(GLOSSARY_FILE)


def read_glossary(path: Path) -> Glossary:
    """The glossary in a YAML file.

    Raises:
        ValueError: the file is no list of terms, an id is used twice, or a name is given to two terms of which
            neither lists it under ``aka``; the message names the entry and the name.
    """
    try:
        entries = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(entries, list):
        raise ValueError(f"{path}: has to be a list of terms, each with 'id', 'ko' and 'en'")
    terms: dict[str, Term] = {}
    for number, entry in enumerate(entries, start=1):
        try:
            term = Term.model_validate(entry)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"{path}: term {number} ({_id_of(entry)}): {where}: {first['msg']}") from None
        if not term.ko or not term.en:
            raise ValueError(f"{path}: term {number} ({term.id}): needs at least one name under 'ko' and one under 'en'")
        if term.id in terms:
            raise ValueError(f"{path}: term {number}: the id '{term.id}' is used twice")
        terms[term.id] = term
    return Glossary(terms.values())


def _id_of(entry: object) -> str:
    return str(entry.get("id", "no id")) if isinstance(entry, dict) else "not a mapping"
