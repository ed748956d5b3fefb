"""A second opinion: what another judge says of the points, shown beside the offline grade and never instead of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from viva.bank import Question
from viva.grading.marks import PointMark
from viva.grading.scorer import total
from viva.language import Language, Text

Kind = Literal["not configured", "not installed", "timeout", "unreachable", "refused", "unreadable"]


class OpinionError(Exception):
    """No second opinion this time; says in both languages why, and what to do. ``kind`` is for code."""

    def __init__(self, kind: Kind, ko: str, en: str) -> None:
        self.kind = kind
        self.text = Text(ko=ko, en=en)
        super().__init__(self.text.en)

    def sentence(self, language: Language) -> str:
        return self.text.get(language)


@dataclass(frozen=True)
class Opinion:
    """One mark per point of the question, in its order, by ``judge``.

    ``refused`` are the marks that the judge gave and that do not hold, as it gave them, each with the reason as its
    ``why``; the point is missed in ``points``. ``seconds`` is how long the judge took.
    """

    judge: str
    points: tuple[PointMark, ...]
    refused: tuple[PointMark, ...] = ()
    seconds: float = 0.0

    def score(self, question: Question) -> float:
        """What these marks earn, in 0..1: Viva's own sum of them, whatever the judge thinks of the whole."""
        return total(question, self.points, ())


class Judge(Protocol):
    def judge(self, question: Question, answer: str, language: Language) -> Opinion:
        """What this judge says of ``answer``.

        Raises:
            OpinionError: it could not be asked, or its reply could not be read.
        """
        ...
