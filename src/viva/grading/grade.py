"""The door: ``grade(question, answer, language) -> Grade``.

Reads the answer once, looks for each point's cues in it, holds its clauses against the question's example sentences, weighs both, and
says for every mark which words it was read from and how sure it is. See the README in this folder for a worked example.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from viva.bank import Question
from viva.grading.clauses import Reading, read
from viva.grading.copying import is_copy
from viva.grading.examples import Example, examples_of
from viva.grading.features import POINT, SLIP, Features, measure
from viva.grading.judgement import judgement
from viva.grading.likeness import VERBATIM, ExampleSet, Floats, Likeness, Sentence, items_of
from viva.grading.marks import STATUSES, Grade, MisconceptionMark, PointMark, Status
from viva.grading.quotes import span_of
from viva.grading.rules import ByCues, mark_by_cues
from viva.grading.scorer import conclude, expected
from viva.language import Language, Text

OFFLINE = "offline-2"
LEARNER = "learner"
UNMARKED = "unmarked"
"""The grader of an answer that was written by hand or spoken, until the learner marks it."""
REMOTE = 0.2
"""Less alike than that, no clause can be said to speak of a point."""
DENIED = (0.1, 0.0, 0.1, 0.8)
"""The chances of a point whose own sentence is said with a negation."""
NOTHING_SAID = (0.0, 0.0, 1.0, 0.0)
"""The chances of a point where the clause says the question again."""
ACCUSE = 0.55
"""Nobody is told that he had a point backwards by a grader that is less sure: a false accusation costs more than a miss."""
OWN = 0.8
"""An overruled mark decides by itself where a clause is so much like the words that it was given for."""


def grade(question: Question, answer: str, language: Language, local: Sequence[Example] = ()) -> Grade:
    """What ``answer`` says of the points of ``question``. Deterministic; never raises on any text.

    Args:
        local: the learner's own marks for clauses of earlier answers to this question.
    """
    reading = read(answer)
    if _says_nothing(reading):
        return conclude(question, blank_grade(question).points, (), False, OFFLINE)
    order, examined = languages_of(reading.source.text, language)
    by_cues = mark_by_cues(question, reading, answer, language, order)
    copied = is_copy(question, answer)
    own = tuple(dict.fromkeys(local))
    examples = compiled(question, examined, own)
    if examples is None or not items_of(reading):
        points, slips = _by_cues_alone(by_cues), by_cues.misconceptions
    else:
        likeness = Likeness(examples, reading)
        points, slips = _weighed(question, reading, likeness, by_cues, answer, language, copied)
    if own:
        points = _with_own_marks(question, reading, examples, points, own, answer, language)
    return conclude(question, points, slips, copied, OFFLINE)


def regrade(question: Question, grade: Grade, statuses: dict[str, Status], *, copied: bool | None = None) -> Grade:
    """``grade`` with the learner's own marks in ``statuses`` (by point id); score and suggested rating follow.

    Who corrects one mark has seen the others: they count in full from then on, however sure the grader was.

    Raises:
        ValueError: a point or a status that does not exist; the message names it.
    """
    known = [mark.id for mark in grade.points]
    for point, status in statuses.items():
        if point not in known:
            raise ValueError(f"'{point}' is no point of the question '{question.key}'; its points are {', '.join(known)}")
        if status not in STATUSES:
            raise ValueError(f"'{status}' is no mark for the point '{point}'; marks are {', '.join(STATUSES)}")
    points = tuple(_overrule(mark, statuses[mark.id]) if mark.id in statuses else replace(mark, worth=None) for mark in grade.points)
    return conclude(question, points, grade.misconceptions, grade.copied if copied is None else copied, LEARNER)


def blank_grade(question: Question) -> Grade:
    """All points missed: where an answer that was written by hand or spoken starts to be marked by the learner."""
    return Grade(0.0, tuple(PointMark(point.id, "missed") for point in question.points), grader=UNMARKED)


def likeliest(question: Question, answer: str, language: Language, point: str) -> tuple[int, int]:
    """The part ``answer[start:end]`` that comes closest to speaking of ``point``; (0, 0) where nothing does."""
    reading = read(answer)
    examples = compiled(question, languages_of(reading.source.text, language)[1])
    if not items_of(reading):
        return (0, 0)
    if examples is None:
        examples = _own_set(question, [Example(point, "made", text, language) for text in (question_point(question, point),) if text], None)
    likeness = Likeness(examples, reading)
    own = examples.owner == point
    if not own.any():
        return (0, 0)
    best = likeness.alike[:, own].max(axis=1)
    if best.max() < REMOTE:
        return (0, 0)
    unit = likeness.units[int(best.argmax())]
    return span_of(reading, unit.first, unit.last, answer, widen=False)


def question_point(question: Question, point: str) -> str:
    """The texts of the point ``point``, in both languages."""
    return " ".join(text for entry in question.points if entry.id == point for text in (entry.text.ko, entry.text.en) if text)


@lru_cache(maxsize=256)
def compiled(question: Question, languages: tuple[Language, ...], local: tuple[Example, ...] = ()) -> ExampleSet | None:
    """The examples of ``question`` in ``languages`` with the learner's own; None where a point has none in the bank."""
    found = examples_of(question)
    usable = {example.point for example in found.points if example.language in languages and example.status == "made"}
    if not question.points or any(point.id not in usable for point in question.points):
        return None
    sentences = [Sentence(point.id, "made", text) for point in question.points for language in languages if (text := point.text.get(language))]
    sentences += [Sentence(example.point, example.status, example.words) for example in found.points if example.language in languages]
    sentences += [Sentence(example.point, example.status, example.words, local=True) for example in local if example.status != "missed"]
    sentences += [Sentence(entry.id, "slip", text) for entry in question.misconceptions for language in languages if (text := entry.text.get(language))]
    sentences += [Sentence(slip.misconception, "slip", slip.words) for slip in found.slips if slip.language in languages]
    sentences += [Sentence("", "true", words) for language in languages for words in _told(question, language)]
    return ExampleSet(sentences, " ".join(text for language in languages if (text := question.question.get(language))))


def _told(question: Question, language: Language) -> list[str]:
    """The sentences of the model answer: whatever else they are like, they are true."""
    text = question.answer.get(language) if question.answer is not None else ""
    if not text:
        return []
    reading = read(text)
    spans = [reading.source.span(reading.tokens[first].start, reading.tokens[last].end) for first, last in reading.by_sentence.values()]
    return [text[start:end] for start, end in spans]


def _overrule(mark: PointMark, status: Status) -> PointMark:
    if status == "missed":
        return PointMark(mark.id, "missed", by="learner")
    return replace(mark, status=status, confidence=1.0, by="learner", worth=None)


def _says_nothing(reading: Reading) -> bool:
    """Empty, or one word."""
    words = [token for token in reading.tokens if token.kind in ("content", "negation", "relation")]
    return len(reading.source.text.split()) < 2 and len(words) < 3


def languages_of(text: str, language: Language) -> tuple[tuple[Language, ...], tuple[Language, ...]]:
    """Whose cues to try, the answer's own language first (where it is mixed, the session's), and whose examples.

    Korean answers are full of English terms, so three letters of ten in Hangul make one Korean. An answer without Hangul is tried
    on English alone (and needs no Korean morphology). Examples are those of the first language; of both where the answer switches
    between them rather than borrowing words.
    """
    hangul = len(re.findall("[가-힣]", text))
    share = hangul / max(1, hangul + len(re.findall("[a-z]", text)))
    if not share:
        return ("en",), ("en",)
    korean = share > 0.3 or (share >= 0.1 and language == "ko")
    order: tuple[Language, ...] = ("ko", "en") if korean else ("en", "ko")
    return order, order if 0.05 <= share <= 0.5 else order[:1]


def _by_cues_alone(by_cues: ByCues) -> tuple[PointMark, ...]:
    sure = judgement().cues
    return tuple(replace(mark, confidence=sure[mark.status]) for mark in by_cues.points)


def _weighed(
    question: Question, reading: Reading, likeness: Likeness, by_cues: ByCues, answer: str, language: Language, copied: bool
) -> tuple[tuple[PointMark, ...], tuple[MisconceptionMark, ...]]:
    """Cues and examples weighed together; what is ``copied`` from the model answer is denied and mistaken nowhere."""
    rules = {mark.id: mark for mark in by_cues.points}
    stated = {mark.id: mark for mark in by_cues.misconceptions}
    weights = judgement()
    features = measure(question, reading, likeness, {name: mark.status for name, mark in rules.items()}, tuple(stated), weights.pairs)
    chances = weights.points(features.points)
    points = []
    for row, point in enumerate(question.points):
        near = features.nearest[row]
        told = copied or features.points[row, POINT.index("model answer")] >= VERBATIM - 0.15
        if near.made is not None and not told and likeness.denies(near.unit, near.made):
            chances[row] = DENIED
        best = decide(chances[row])
        mark = _point(rules[point.id], STATUSES[best], float(chances[row, best]), row, features, reading, likeness, answer, language)
        if mark.status != "missed" and not likeness.says_more(features.nearest[row].unit):
            mark, chances[row] = PointMark(point.id, "missed"), NOTHING_SAID
        points.append(replace(mark, worth=expected(chances[row].tolist())))
    slips = []
    for row, (entry, chance) in enumerate(zip(question.misconceptions, weights.slips(features.slips), strict=True)):
        if not copied and chance >= weights.slip_threshold and features.slips[row, SLIP.index("stated less model answer")] > 0 and likeness.says_more(features.slip_units[row]):
            named = stated.get(entry.id)
            if named is None:
                unit = likeness.units[features.slip_units[row]]
                start, end = span_of(reading, unit.first, unit.last, answer, widen=False)
                named = MisconceptionMark(entry.id, answer[start:end], start, end)
            slips.append(replace(named, confidence=round(float(chance), 3)))
    return tuple(points), tuple(slips)


def decide(chances: Floats) -> int:
    """The place in :data:`~viva.grading.marks.STATUSES` of the mark to give: the likeliest, but no accusation below :data:`ACCUSE`."""
    order = np.argsort(-chances, kind="stable")
    best, second = int(order[0]), int(order[1])
    return second if STATUSES[best] == "backwards" and chances[best] < ACCUSE else best


def _point(
    rule: PointMark, status: Status, chance: float, row: int, features: Features, reading: Reading, likeness: Likeness, answer: str, language: Language
) -> PointMark:
    sure = round(chance, 3)
    if status == "missed":
        return PointMark(rule.id, "missed", why=rule.why if rule.status == "missed" else "", confidence=sure)
    if rule.status == status:
        return replace(rule, confidence=sure)
    near = features.nearest[row]
    unit = likeness.units[near.unit]
    start, end = span_of(reading, unit.first, unit.last, answer, widen=False)
    example = {"made": near.made, "backwards": near.backwards, "partly": near.partly if near.partly is not None else near.made}[status]
    return PointMark(rule.id, status, answer[start:end], start, end, _why(status, example, likeness, reading, language), sure)


def _why(status: Status, example: int | None, likeness: Likeness, reading: Reading, language: Language) -> str:
    words = likeness.examples.sentences[example].words if example is not None else ""
    if not words:
        return ""
    text = {
        "made": Text(ko=f"이렇게 말한 것으로 들었어요: ‘{words}’", en=f"Heard as: ‘{words}’"),
        "partly": Text(ko=f"여기까지는 들었어요: ‘{words}’", en=f"Heard only as far as: ‘{words}’"),
        "backwards": Text(ko=f"이렇게 들려요: ‘{words}’ 방향이 거꾸로예요.", en=f"Sounds like: ‘{words}’, which has it the other way round."),
    }[status]
    cut = Text(ko=" 답의 앞 20,000자만 읽었어요.", en=" Only the first 20,000 characters were read.").get(language) if reading.source.truncated else ""
    return text.get(language) + cut


def _own_set(question: Question, local: Sequence[Example], like: ExampleSet | None) -> ExampleSet:
    asked = " ".join(text for text in (question.question.ko, question.question.en) if text)
    return ExampleSet((Sentence(example.point, example.status, example.words, local=True) for example in local), asked, like)


def _with_own_marks(
    question: Question, reading: Reading, examples: ExampleSet | None, points: tuple[PointMark, ...], local: Sequence[Example], answer: str, language: Language
) -> tuple[PointMark, ...]:
    """``points``, overruled where a clause is like one that the learner marked, and liker than what the mark was read from."""
    own = _own_set(question, local, examples)
    if not len(own) or not items_of(reading):
        return points
    likeness = Likeness(own, reading)
    decided = []
    for mark in points:
        columns = np.flatnonzero(own.owner == mark.id)
        worth = likeness.alike[:, columns] if len(columns) else np.zeros((0, 0))
        if not worth.size or worth.max() < OWN:
            decided.append(mark)
            continue
        unit, column = np.unravel_index(int(worth.argmax()), worth.shape)
        sentence = own.sentences[columns[column]]
        status = STATUSES[STATUSES.index(sentence.status)]
        chance = round(float(min(1.0, worth.max())), 3)
        why = Text(ko=f"전에 이렇게 표시했어요: ‘{sentence.words}’", en=f"You marked this before: ‘{sentence.words}’").get(language)
        place = likeness.units[int(unit)]
        start, end = span_of(reading, place.first, place.last, answer, widen=False)
        decided.append(PointMark(mark.id, status, answer[start:end], start, end, why, chance) if status != "missed" else PointMark(mark.id, "missed", why=why, confidence=chance))
    return tuple(decided)


def prepare(question: Question, language: Language) -> None:
    """Compiles what answers to ``question`` in ``language`` are held against, so that the first one is not the one that waits."""
    compiled(question, (language,))


@lru_cache(maxsize=1)
def warm_up() -> bool:
    """Loads what Korean answers need (two seconds the first time), so that the first grade is quick."""
    read("준비")
    return True
