"""Fits the weights of :mod:`viva.grading.judgement` on graded answers: ``viva grading fit``.

Needs scikit-learn (extra ``viva[test]``). Every figure that it prints comes from questions that the weights in question did not see
(five folds over the questions); the weights that it writes are fitted on all of them.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from viva.bank import Bank, Question
from viva.grading.clauses import read
from viva.grading.evaluate import Answer
from viva.grading.examples import examples_of
from viva.grading.features import POINT, SLIP, measure
from viva.grading.fluency import fit_table
from viva.grading.grade import compiled, decide, languages_of
from viva.grading.judgement import Judgement, from_data
from viva.grading.likeness import ExampleSet, Flags, Floats, Ints, Likeness, items_of
from viva.grading.marks import STATUSES, Grade, MisconceptionMark, PointMark
from viva.grading.rules import mark_by_cues
from viva.grading.scorer import conclude, expected
from viva.language import LANGUAGES, Language

FOLDS = 5
HIDDEN = 16
DECAY = 1.0
SEEDS = 4
"""Networks that are fitted from different starts and kept side by side: their chances are averaged through one wider layer."""
LEAST_PRECISION = 0.7
"""A misconception is named from the chance on at which so many of those named are really stated."""


EMPTY = ("shuffled", "listed", "repeated")
"""The kinds of :func:`empty_talk`."""


@dataclass(frozen=True)
class Row:
    """One graded answer, measured. ``marks`` are places in :data:`STATUSES`."""

    answer: Answer
    qid: str
    points: Floats
    marks: Ints
    slips: Floats
    stated: Ints
    by_cues: tuple[str, ...]


def pairs_of(bank: Bank) -> dict[str, float]:
    """Which kinds of words stand side by side in the example sentences of ``bank``."""
    return fit_table(example.words for question in bank for example in examples_of(question).points if example.status in ("made", "backwards"))


def measured(
    answers: Sequence[Answer], bank: Bank, pairs: Mapping[str, float], progress: Callable[[int], None] = lambda done: None
) -> list[Row]:
    """Features and marks of those ``answers`` whose points were marked."""
    rows = []
    for done, answer in enumerate(answers, 1):
        question = bank[answer.qid]
        reading = read(answer.answer)
        order, examined = languages_of(reading.source.text, answer.lang)
        examples = compiled(question, examined)
        progress(done)
        if examples is None or not items_of(reading) or set(answer.points) != {point.id for point in question.points}:
            continue
        by_cues = mark_by_cues(question, reading, answer.answer, answer.lang, order)
        statuses = {mark.id: mark.status for mark in by_cues.points}
        found = measure(question, reading, Likeness(examples, reading, _taken_from(examples, answer)), statuses, tuple(mark.id for mark in by_cues.misconceptions), pairs)
        marks = np.array([STATUSES.index(answer.points[point.id]) for point in question.points], dtype=np.int64)
        stated = np.array([entry.id in answer.misconceptions for entry in question.misconceptions], dtype=np.int64)
        rows.append(Row(answer, question.id, found.points, marks, found.slips, stated, tuple(statuses[point.id] for point in question.points)))
    return rows


def _taken_from(examples: ExampleSet, answer: Answer) -> Flags:
    """Which examples were taken from ``answer`` itself: nobody is graded against his own words, but for the model answer."""
    if answer.kind == "model":
        return np.zeros(len(examples), dtype=bool)
    text = " ".join((answer.source or answer.answer).split())
    return np.array([sentence.words in text for sentence in examples.sentences], dtype=bool)


def empty_talk(answers: Sequence[Answer], bank: Bank, seed: int = 0) -> list[Answer]:
    """Answers that say nothing although their words are right: good ones with their words shuffled, and the question said again."""
    shuffle = random.Random(seed)
    made: list[Answer] = []
    for answer in answers:
        missed = dict.fromkeys(answer.points, "missed")
        if answer.kind in ("complete", "spoken") and shuffle.random() < 0.6:
            words = answer.answer.split()
            shuffle.shuffle(words)
            made.append(Answer(answer.qid, answer.lang, " ".join(words), 0.0, "shuffled", missed, source=answer.answer))
    for qid in dict.fromkeys(answer.qid for answer in answers):
        question = bank[qid]
        missed = dict.fromkeys((point.id for point in question.points), "missed")
        for language in LANGUAGES:
            for separator in shuffle.sample((", ", " ", " / ", "\n", "; ", " + "), 2):
                made.append(Answer(qid, language, separator.join(_keywords(question, language, shuffle)), 0.0, "listed", missed))
            ideas = [idea.split(" | ")[0].strip() for point in question.points for cue in point.cues.get(language) for idea in cue.split(" + ")[:2]]
            made.append(Answer(qid, language, shuffle.choice((", ", " ", "\n")).join(ideas), 0.0, "listed", missed))
        for language, text in (("ko", question.question.ko), ("en", question.question.en)):
            if text:
                made.append(Answer(qid, language, text, 0.0, "repeated", missed))
    return made


def _keywords(question: Question, language: Language, shuffle: random.Random) -> list[str]:
    """Twelve to thirty words and terms of the examples that make the points of ``question``."""
    words: dict[str, None] = {}
    for example in examples_of(question).points:
        if example.language == language and example.status == "made":
            reading = read(example.words)
            spans = [(span.first, span.last) for span in reading.spans if span.key.startswith("term:")]
            spans += [(at, at) for at, token in enumerate(reading.tokens) if token.kind == "content" and token.tag[0] in "NSL"]
            for first, last in spans:
                words[reading.source.text[reading.tokens[first].start : reading.tokens[last].end]] = None
    return shuffle.sample(list(words), min(len(words), shuffle.randrange(12, 31)))


def cut(answers: Sequence[Answer], seed: int = 0) -> list[Answer]:
    """``answers`` without the sentences that speak of some of their points: people leave things out in every style."""
    chance = random.Random(seed)
    made = []
    for answer in answers:
        gone = {point for point in answer.quotes if chance.random() < 0.5}
        sentences = [words for words in re.split(r"(?<=[.!?;])\s+|\n+", answer.answer) if words.strip()]
        kept = [words for words in sentences if not any(_shares(words, answer.quotes[point]) for point in gone)]
        text = " ".join(kept)
        left = {point: status if point not in answer.quotes or _shares(text, answer.quotes[point]) else "missed" for point, status in answer.points.items()}
        if gone and kept and len(kept) < len(sentences):
            slips = answer.misconceptions if len(kept) > 0.8 * len(sentences) else ()
            made.append(Answer(answer.qid, answer.lang, text, answer.human_score, "cut", left, slips, source=answer.answer))
    return made


def _shares(text: str, quote: str) -> bool:
    return quote in text or (text in quote and len(text) > 0.4 * len(quote))


def patchwork(answers: Sequence[Answer], bank: Bank, seed: int = 0, each: int = 8) -> list[Answer]:
    """Answers sewn together from what people said of single points: some made, some the wrong way round, some left out.

    In written answers the marks go together (who gets one point backwards gets the next); here they do not, so that every point has to
    be read for itself.
    """
    chance = random.Random(seed)
    made = []
    for qid, language in dict.fromkeys((answer.qid, answer.lang) for answer in answers):
        question = bank[qid]
        pieces: dict[tuple[str, str], list[tuple[str, dict[str, str]]]] = {}
        for answer in answers:
            if (answer.qid, answer.lang) == (qid, language):
                for point, words in answer.quotes.items():
                    also = {other: answer.points[other] for other, more in answer.quotes.items() if more in words or words in more}
                    pieces.setdefault((point, answer.points[point]), []).append((words, also))
        for example in examples_of(question).points:
            if example.language == language:
                pieces.setdefault((example.point, example.status), []).append((example.words, {example.point: example.status}))
        for _ in range(each):
            points = [point.id for point in question.points]
            chance.shuffle(points)
            marks = dict.fromkeys((point.id for point in question.points), "missed")
            sewn = []
            for point in points[: chance.randrange(1, len(points) + 1)]:
                status = chance.choices(("made", "backwards", "denied", "partly"), (0.47, 0.31, 0.15, 0.07))[0]
                if marks[point] == "missed" and (choice := pieces.get((point, "made" if status == "denied" else status))):
                    words, also = chance.choice(choice)
                    if status == "denied":
                        denial = denied(words, language)
                        if denial is None:
                            continue
                        words, also = denial, {point: "backwards"}
                    if all(marks[other] == "missed" for other in also):
                        marks.update(also)
                        sewn.append(words.strip().rstrip(".,;"))
            if sewn:
                text = chance.choice((". ", ". ", "\n", "; ")).join(sewn) + "."
                made.append(Answer(qid, language, text, 0.0, "patchwork", marks, source=text))
    return made


_KOREAN_ENDS = (
    ("입니다", "이 아닙니다"), ("이에요", "이 아니에요"), ("예요", "가 아니에요"), ("이다", "이 아니다"), ("습니다", "지 않습니다"), ("\u11b8니다", "지 않습니다"),
    ("해요", "하지 않아요"), ("\u11ab다", "지 않는다"), ("는다", "지 않는다"), ("하다", "하지 않다"),
)  # fmt: skip


def denied(sentence: str, language: str) -> str | None:
    """``sentence`` with its main verb denied; None where it is denied already or the verb is not easily found."""
    body = sentence.strip().rstrip(".,; ")
    if language == "en":
        if re.search(r"\b(?:not|never|no|without|neither|nor|none|nothing)\b|n't", body):
            return None
        found = re.search(r"\b(?:is|are|can|will|has|does|do|must|should|was)\b", body)
        if found:
            return f"{body[: found.end()]} not{body[found.end() :]}"
        verb = re.search(r"\b(\w{3,})s\b(?= (?:the|a|an|to|in|each|every|one|all|its|it|by|up|on|with)\b)", body)
        return f"{body[: verb.start()]}does not {verb[1]}{body[verb.end() :]}" if verb else None
    if re.search("않|아니|아닙|없|못", body):
        return None
    jamo = unicodedata.normalize("NFD", body)
    for ending, contrary in _KOREAN_ENDS:
        end = unicodedata.normalize("NFD", ending)
        if jamo.endswith(end):
            return unicodedata.normalize("NFC", jamo[: -len(end)] + unicodedata.normalize("NFD", contrary))
    return None


def told(bank: Bank, names: Iterable[str]) -> list[Answer]:
    """The model answers of the questions ``names``: whoever says that makes every point."""
    return [
        Answer(question.id, language, text, 1.0, "model", dict.fromkeys((point.id for point in question.points), "made"))
        for question in (bank[name] for name in dict.fromkeys(names))
        for language in LANGUAGES
        if question.answer is not None and (text := question.answer.get(language))
    ]


_FILLERS = {
    "ko": ("음", "그", "뭐", "약간", "그러니까", "이제", "뭐랄까", "막", "어", "그 뭐지"),
    "en": ("um", "like", "you know", "so", "I mean", "uh", "basically", "sort of", "right", "well"),
}


def careless(answers: Sequence[Answer], seed: int = 0, share: float = 0.5) -> list[Answer]:
    """A ``share`` of ``answers`` again as if typed in haste or transcribed: fillers, no full stops, lost spaces, slips of the finger.

    What is said stays the same, and so do the marks.
    """
    chance = random.Random(seed)
    return [
        Answer(a.qid, a.lang, roughen(a.answer, a.lang, chance), a.human_score, "careless " + a.kind, a.points, a.misconceptions, source=a.answer)
        for a in answers
        if chance.random() < share
    ]


def roughen(text: str, language: str, chance: random.Random) -> str:
    """``text`` with fillers, lost full stops and spaces, and slips of the finger in about one word of twenty-five."""
    words = text.split()
    rough = []
    stops = chance.random() < 0.5
    for word in words:
        if chance.random() < 0.06:
            rough.append(chance.choice(_FILLERS[language]) + ("" if stops else chance.choice((",", "...", ""))))
        if stops and word[-1] in ".!?;" and len(word) > 2:
            word = word[:-1]
        if len(word) >= 4 and word.isalpha() and chance.random() < 0.05:
            word = _slip(word, chance)
        glued = rough and language == "ko" and chance.random() < 0.12 and rough[-1][-1:].isalpha()
        if glued:
            rough[-1] += word
        else:
            rough.append(word)
    rough_text = " ".join(rough)
    return rough_text.lower() if chance.random() < 0.5 else rough_text


def _slip(word: str, chance: random.Random) -> str:
    """``word`` with one slip of the finger: two letters exchanged or one lost; in Hangul a jamo lost or taken for its neighbour."""
    if word.isascii():
        at = chance.randrange(1, len(word) - 1)
        return word[:at] + (word[at + 1] + word[at] if chance.random() < 0.5 else word[at + 1]) + word[at + 2 :]
    jamo = unicodedata.normalize("NFD", word)
    alike = [at for at, letter in enumerate(jamo) if letter in _NEIGHBOURS]
    if not alike:
        return word
    at = chance.choice(alike)
    return unicodedata.normalize("NFC", jamo[:at] + _NEIGHBOURS[jamo[at]] + jamo[at + 1 :])


_NEIGHBOURS = {
    "\u1162": "\u1166", "\u1166": "\u1162", "\u1164": "\u1168", "\u1168": "\u1164", "\u116b": "\u116c", "\u116c": "\u116b",
    "\u11ab": "", "\u11b7": "\u11ab", "\u11ba": "\u11bb", "\u11bb": "\u11ba", "\u11a8": "", "\u11af": "", "\u1169": "\u116e",
}  # fmt: skip
"""Vowels that sound alike (ㅐ and ㅔ), final consonants that get lost."""


def practised(answers: Sequence[Answer], bank: Bank) -> list[Answer]:
    """Everything that is made from ``answers`` to fit on beside them."""
    return [*empty_talk(answers, bank), *careless(answers), *cut(answers), *patchwork(answers, bank), *told(bank, (answer.qid for answer in answers))]


def fit(rows: Sequence[Row], pairs: Mapping[str, float], seed: int = 0) -> dict[str, Any]:
    """The content of ``weights.json`` from measured answers."""
    from sklearn.linear_model import LogisticRegression

    table, marks = np.vstack([row.points for row in rows]), np.concatenate([row.marks for row in rows])
    mean, scale = table.mean(axis=0), table.std(axis=0)
    scale[scale < 1e-6] = 1.0
    layers = _network((table - mean) / scale, marks, seed)
    marked = [row for row in rows if row.answer.kind not in ("cut", "patchwork")]  # whose misconceptions nobody marked
    slips, stated = np.vstack([row.slips for row in marked]), np.concatenate([row.stated for row in marked])
    slip_mean, slip_scale = slips.mean(axis=0), slips.std(axis=0)
    slip_scale[slip_scale < 1e-6] = 1.0
    line = LogisticRegression(C=0.3, max_iter=2000).fit((slips - slip_mean) / slip_scale, stated)
    chance = line.predict_proba((slips - slip_mean) / slip_scale)[:, 1]
    right = {status: [] for status in STATUSES}  # type: dict[str, list[bool]]
    for row in rows:
        for status, mark in zip(row.by_cues, row.marks, strict=True):
            right[status].append(STATUSES[mark] == status)
    return {
        "point features": list(POINT),
        "misconception features": list(SLIP),
        "points": {"mean": _plain(mean), "scale": _plain(scale), "layers": [{"weights": _plain(w), "bias": _plain(b)} for w, b in layers]},
        "misconceptions": {
            "mean": _plain(slip_mean), "scale": _plain(slip_scale), "weights": _plain(line.coef_[0]), "bias": round(float(line.intercept_[0]), 4),
            "threshold": round(_threshold(chance, stated), 3),
        },
        "cues": {status: round(float(np.mean(values)), 3) if values else 0.5 for status, values in right.items()},
        "pairs": dict(pairs),
    }  # fmt: skip


def out_of_fold(rows: Sequence[Row], pairs: Mapping[str, float], progress: Callable[[int], None] = lambda done: None) -> list[tuple[Floats, Floats, Judgement]]:
    """For each row the chances of its points and misconceptions by weights that did not see its question, and those weights."""
    names = sorted({row.qid for row in rows})
    random.Random(1).shuffle(names)
    fold = {name: place % FOLDS for place, name in enumerate(names)}
    judges = []
    for number in range(FOLDS):
        judges.append(from_data(fit([row for row in rows if fold[row.qid] != number], pairs)))
        progress(number + 1)
    return [(judge.points(row.points), judge.slips(row.slips), judge) for row in rows for judge in (judges[fold[row.qid]],)]


def grades_of(rows: Sequence[Row], chances: Sequence[tuple[Floats, Floats, Judgement]], bank: Bank) -> list[Grade]:
    """The grades that follow from the ``chances`` of each row."""
    grades = []
    for row, (points, slips, judge) in zip(rows, chances, strict=True):
        question = bank[row.qid]
        marks = [
            PointMark(point.id, STATUSES[decide(chance)], confidence=float(chance[decide(chance)]), worth=expected(chance.tolist()))
            for point, chance in zip(question.points, points, strict=True)
        ]
        named = [MisconceptionMark(entry.id, "", 0, 0) for entry, chance in zip(question.misconceptions, slips, strict=True) if chance >= judge.slip_threshold]
        grades.append(conclude(question, marks, named, False, "offline"))
    return grades


def _network(table: Floats, marks: Ints, seed: int) -> list[tuple[Floats, Floats]]:
    """Several small networks as one: hidden layers side by side, the logits averaged."""
    from sklearn.neural_network import MLPClassifier

    fitted = [MLPClassifier((HIDDEN,), alpha=DECAY, max_iter=400, random_state=seed + number).fit(table, marks) for number in range(SEEDS)]
    hidden = np.hstack([one.coefs_[0] for one in fitted])
    hidden_bias = np.concatenate([one.intercepts_[0] for one in fitted])
    out = np.zeros((hidden.shape[1], len(STATUSES)))
    out_bias = np.full(len(STATUSES), -20.0)
    classes = fitted[0].classes_
    out[:, classes] = np.vstack([one.coefs_[1] for one in fitted]) / SEEDS
    out_bias[classes] = np.mean([one.intercepts_[1] for one in fitted], axis=0)
    return [(hidden, hidden_bias), (out, out_bias)]


def _threshold(chance: Floats, stated: Ints) -> float:
    """The least chance from which on :data:`LEAST_PRECISION` of the misconceptions named are stated."""
    order = np.argsort(-chance)
    precision = np.cumsum(stated[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(precision >= LEAST_PRECISION)
    return float(min(0.9, max(0.3, chance[order[enough[-1]]]))) if len(enough) else 0.9


def _plain(values: Floats) -> list[Any]:
    return np.round(values, 4).tolist()
