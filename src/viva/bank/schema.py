"""What a question is made of.

One file of the bank becomes one :class:`Question`; the words are those of the design: a *point* is one thing that a
full answer says, a *misconception* a wrong thing that people say here, a *claim* a statement that a lab can support
or refute. All models are frozen, so a bank can be shared between threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from viva.language import Language, Text

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$", max_length=64)]


LabId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*$", max_length=64)]
"""Labs are named after what they show, so ``two-over-L`` and ``pm-0.1-depends-on-width`` are ids too."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cues(_Frozen):
    """Ways of saying something, per language.

    A cue is a list of ideas joined by `` + ``; each idea is one or more wordings joined by `` | ``. The cue
    ``도함수 | 기울기 + 1/4 | 0.25`` is said by any clause that names the derivative and the quarter. A cue without
    operators is a plain phrase, matched by its content words.
    """

    ko: tuple[str, ...] = ()
    en: tuple[str, ...] = ()

    def get(self, language: Language) -> tuple[str, ...]:
        return self.ko if language == "ko" else self.en

    def __bool__(self) -> bool:
        return bool(self.ko or self.en)


class Point(_Frozen):
    """One thing that a full answer says. ``weight`` 3 is the heart of the answer, 1 a refinement."""

    id: Slug
    weight: Annotated[int, Field(ge=1, le=3)] = 2
    text: Text
    cues: Cues
    opposite: Cues = Cues()
    """Ways of saying it backwards (the direction swapped, the roles exchanged)."""
    claim: Slug | None = None
    """The claim of this question that backs the point."""


class Misconception(_Frozen):
    """A wrong thing that people say here, and what is right instead."""

    id: Slug
    text: Text
    correction: Text
    cues: Cues
    claim: Slug | None = None


class Claim(_Frozen):
    """A statement of the answer: tested by a ``lab``, or marked as a definition or an opinion."""

    id: Slug
    text: Text
    kind: Literal["lab", "definition", "opinion"]
    lab: LabId | None = None

    @model_validator(mode="after")
    def _lab_is_named(self) -> Claim:
        if (self.kind == "lab") != (self.lab is not None):
            raise ValueError("'lab: <id>' is needed with 'kind: lab', and only there")
        return self


class FollowUp(_Frozen):
    """What an interviewer asks next; ``id`` is the question of the bank that it leads to."""

    id: str
    text: Text


class Question(_Frozen):
    """One entry of a bank. ``key`` is unique over all packs; ``id`` only within its pack."""

    id: Slug
    seed: Annotated[int, Field(ge=1)] | None = None
    topic: str
    level: Annotated[int, Field(ge=1, le=3)] = 2
    question: Text
    answer: Text | None = None
    points: tuple[Point, ...]
    misconceptions: tuple[Misconception, ...] = ()
    claims: tuple[Claim, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    pack: str = "viva"

    @property
    def key(self) -> str:
        """``id`` for the built-in pack, ``pack.id`` for every other."""
        return self.id if self.pack == BUILT_IN else f"{self.pack}.{self.id}"

    @model_validator(mode="after")
    def _ids_are_unique_and_known(self) -> Question:
        for name in ("points", "misconceptions", "claims"):
            ids = [part.id for part in getattr(self, name)]
            twice = sorted({i for i in ids if ids.count(i) > 1})
            if twice:
                raise ValueError(f"{name}: the id '{twice[0]}' is used twice")
        known = {claim.id for claim in self.claims}
        entries: tuple[Point | Misconception, ...] = (*self.points, *self.misconceptions)
        for entry in entries:
            if entry.claim is not None and entry.claim not in known:
                raise ValueError(f"'{entry.id}' names the claim '{entry.claim}', which this question does not have")
        return self


class Topic(_Frozen):
    """A chapter of the outline."""

    id: str
    title: Text


BUILT_IN = "viva"


class Bank:
    """All questions of all packs, in order, by key and by topic."""

    def __init__(self, topics: Iterable[Topic], questions: Iterable[Question]) -> None:
        self.questions: tuple[Question, ...] = tuple(questions)
        self._by_key = {question.key: question for question in self.questions}
        used = {question.topic for question in self.questions}
        self.topics: tuple[Topic, ...] = tuple(topic for topic in topics if topic.id in used)

    def __iter__(self) -> Iterator[Question]:
        return iter(self.questions)

    def __len__(self) -> int:
        return len(self.questions)

    def __contains__(self, key: object) -> bool:
        return key in self._by_key

    def __getitem__(self, key: str) -> Question:
        return self._by_key[key]

    def get(self, key: str) -> Question | None:
        return self._by_key.get(key)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._by_key)

    @cached_property
    def by_topic(self) -> dict[str, tuple[Question, ...]]:
        """Questions of each topic, topics in outline order."""
        chapters: dict[str, list[Question]] = {topic.id: [] for topic in self.topics}
        for question in self.questions:
            chapters.setdefault(question.topic, []).append(question)
        return {topic: tuple(questions) for topic, questions in chapters.items()}

    def topic(self, topic_id: str) -> Topic:
        for topic in self.topics:
            if topic.id == topic_id:
                return topic
        return Topic(id=topic_id, title=Text(ko=topic_id, en=topic_id))
