"""An entailment model as a second judge, on this machine (extra ``viva[nli]``).

A cross-encoder trained on natural language inference (Bowman et al. 2015; as a grader of short answers: Dzikovska et al. 2013) reads
a premise and a hypothesis together and says whether the one entails the other:

    p(entailment, neutral, contradiction) = softmax(logits(premise, hypothesis))

Premises are the answer's sentences and pairs of neighbouring ones; hypotheses are the points' texts, in both languages where the model
reads both. A point is *made* where some premise entails it, *partly* where one half does, *backwards* where one contradicts it and none
entails it. Any checkpoint of Hugging Face transformers for sequence classification will do; nothing is fetched unless asked for, and
no code that comes with a checkpoint is run.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from viva.bank import Question
from viva.grading.checkpoint import Checkpoint, installed, on_disk, open_checkpoint
from viva.grading.clauses import Reading, read
from viva.grading.grade import languages_of
from viva.grading.marks import PointMark, Status
from viva.grading.normaliser import normalise
from viva.grading.opinion import Opinion, OpinionError
from viva.language import LANGUAGES, Language, Text

__all__ = ["MAX_PAIRS", "Entailment", "Thresholds", "installed", "load", "on_disk"]

MAX_PAIRS = 512
"""Premises times hypotheses for one answer: half a minute to a minute of a base-sized model on two cores. Twenty sentences for a
question of six points fit; later ones are left out, and the marks say so."""


@dataclass(frozen=True)
class Thresholds:
    """Probabilities from which a mark is given. Round figures, not fitted: ``viva grading evaluate --nli`` measures a model with them."""

    made: float = 0.7
    partly: float = 0.35
    backwards: float = 0.8


@dataclass(frozen=True)
class _Premise:
    """``answer[start:end]`` and the concepts and content words in it."""

    start: int
    end: int
    keys: frozenset[str]
    alone: bool
    """One sentence, not two."""


@dataclass(frozen=True)
class Entailment:
    """A loaded checkpoint as a :class:`~viva.grading.opinion.Judge`."""

    checkpoint: Checkpoint
    thresholds: Thresholds = Thresholds()

    def judge(self, question: Question, answer: str, language: Language) -> Opinion:
        """A mark for every point; ``confidence`` is the model's own probability. The same text always gets the same marks.

        Raises:
            OpinionError: the model does not read the answer's language, or its files do not fit together.
        """
        began = time.monotonic()
        marks = self._marks(question, read(answer), answer, language)
        return Opinion(self.checkpoint.name, marks, seconds=round(time.monotonic() - began, 3))

    def _marks(self, question: Question, reading: Reading, answer: str, language: Language) -> tuple[PointMark, ...]:
        sentences = _sentences(reading)
        if not sentences:
            return tuple(PointMark(point.id, "missed") for point in question.points)
        hypotheses = self._hypotheses(question, languages_of(reading.source.text, language)[0][0])
        most = max(1, (MAX_PAIRS // max(1, len(hypotheses)) + 1) // 2)  # n sentences are 2n - 1 premises
        premises = _premises(reading, sentences[:most], answer)
        texts = [_plain(answer[premise.start : premise.end]) for premise in premises]
        chances = self.checkpoint.probabilities([(text, hypothesis) for _, hypothesis in hypotheses for text in texts])
        chances = chances.reshape(len(hypotheses), len(premises), 2)
        note = _left_out(reading, len(sentences), most, language)
        asked = {key for text in (question.question.ko, question.question.en) if text for key in _keys(read(text))}
        marks = []
        for point in question.points:
            rows = chances[[i for i, (owner, _) in enumerate(hypotheses) if owner == point.id]]  # (languages, premises, 2)
            kept = rows[rows[:, :, 0].argmax(axis=0), np.arange(len(premises))]  # the language in which more is entailed
            own = {key for text in (point.text.ko, point.text.en) if text for key in _keys(read(text))}
            keys = own - asked or own
            marks.append(_mark(point.id, kept, premises, keys, answer, self.thresholds, language, note))
        return tuple(marks)

    def _hypotheses(self, question: Question, own: Language) -> list[tuple[str, str]]:
        """(point id, text) in every language that the model and the point have; the answer's ``own`` has to be one of the model's."""
        known = self.checkpoint.languages
        found = []
        for point in question.points:
            texts = [point.text.get(language) for language in LANGUAGES if language in known and point.text.has(language)]
            if own not in known or not texts:
                raise _unread(self.checkpoint.name, own if own not in known else "ko" if point.text.has("ko") else "en")
            found += [(point.id, _plain(text)) for text in texts]
        return found


def load(name: str, download: bool = False, labels: Sequence[str] = ()) -> Entailment:
    """The checkpoint ``name`` as a judge; arguments and errors are those of :func:`~viva.grading.checkpoint.open_checkpoint`."""
    return Entailment(open_checkpoint(name, download, labels))


def _sentences(reading: Reading) -> list[tuple[int, int]]:
    """First and last token of each sentence that says something."""
    return [(first, last) for first, last in reading.by_sentence.values() if any(token.kind == "content" for token in reading.tokens[first : last + 1])]


def _premises(reading: Reading, sentences: Sequence[tuple[int, int]], answer: str) -> list[_Premise]:
    """Each sentence, then each two neighbours together: a second sentence often says 'it'."""
    spans = [*sentences, *((a[0], b[1]) for a, b in pairwise(sentences))]
    return [_premise(reading, first, last, answer, alone=at < len(sentences)) for at, (first, last) in enumerate(spans)]


def _premise(reading: Reading, first: int, last: int, answer: str, alone: bool) -> _Premise:
    start, end = reading.source.span(reading.tokens[first].start, reading.tokens[last].end)
    while end > start and answer[end - 1].isspace():
        end -= 1
    return _Premise(start, end, _keys(reading, first, last), alone)


def _keys(reading: Reading, first: int = 0, last: int | None = None) -> frozenset[str]:
    """Content words and concepts of a stretch of tokens; concepts are the same in both languages."""
    tokens = reading.tokens[first : None if last is None else last + 1]
    words = {token.key for token in tokens if token.kind == "content"}
    return frozenset(words | {span.key for span in reading.spans if span.first >= first and (last is None or span.last <= last)})


def _mark(
    point: str, kept: np.ndarray, premises: Sequence[_Premise], keys: set[str], answer: str, thresholds: Thresholds, language: Language, note: str
) -> PointMark:
    """The mark that ``kept``, the (premises, 2) probabilities of entailment and contradiction, give."""
    entailed, against = kept[:, 0], kept[:, 1]
    levels: tuple[tuple[Status, float], ...] = (("made", thresholds.made), ("partly", thresholds.partly))
    for status, enough in levels:
        if entailed.max() >= enough:
            # A sentence of its own is quoted rather than two that say no more.
            alone = np.where([premise.alone for premise in premises], entailed, 0.0)
            at = int(alone.argmax() if alone.max() >= enough else entailed.argmax())
            return _quoted(point, status, float(entailed[at]), premises[at], answer, language, note)
    # Models call unrelated sentences contradictions, and a false accusation costs more than a miss: it has to share
    # a word with the point, and not one of the question's, which every answer has.
    against = np.where([bool(premise.keys & keys) for premise in premises], against, 0.0)
    worst = int(against.argmax())
    if against[worst] >= thresholds.backwards:
        return _quoted(point, "backwards", float(against[worst]), premises[worst], answer, language, note)
    return PointMark(point, "missed", why=note, confidence=round(1 - float(entailed.max()), 3))


def _quoted(point: str, status: Status, chance: float, premise: _Premise, answer: str, language: Language, note: str) -> PointMark:
    why = (
        Text(ko=f"이 말이 요점과 모순될 확률 {chance:.0%}.", en=f"{chance:.0%} likely to contradict the point.")
        if status == "backwards"
        else Text(ko=f"이 말에서 요점이 따라 나올 확률 {chance:.0%}.", en=f"{chance:.0%} likely to entail the point.")
    )
    said = f"{why.get(language)} {note}".strip()
    return PointMark(point, status, answer[premise.start : premise.end], premise.start, premise.end, said, round(chance, 3))


def _left_out(reading: Reading, sentences: int, most: int, language: Language) -> str:
    """What of the answer was not read, as a sentence; empty where all was."""
    if sentences > most:
        return Text(ko=f"답의 앞 {most}문장만 읽었어요.", en=f"Only the first {most} sentences of the answer were read.").get(language)
    if reading.source.truncated:
        return Text(ko="답의 앞 20,000자만 읽었어요.", en="Only the first 20,000 characters were read.").get(language)
    return ""


def _unread(name: str, language: Language) -> OpinionError:
    ko, en = ("한국어", "Korean") if language == "ko" else ("영어", "English")
    return OpinionError(
        "not configured",
        f"{name}: 이 모델의 어휘에는 {ko}가 없어요. 한국어와 영어를 함께 배운 NLI 체크포인트를 골라 주세요.",
        f"{name}: this model's vocabulary has no {en}. Choose an NLI checkpoint that was trained on both Korean and English.",
    )


def _plain(text: str) -> str:
    """``text`` on one line, its formulas spelled as in the answers that people type."""
    spelled = re.sub(r"\${1,2}([^$]+)\${1,2}", lambda formula: normalise(formula[1]).text.strip(), text)
    return " ".join(spelled.replace("**", "").split())
