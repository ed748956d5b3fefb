"""How well the grader agrees with people: ``viva grading evaluate``.

Graded answers are JSON lines ``{qid, lang, answer, human_score}`` with ``kind`` and ``points`` where their author gave them. Agreement
is reported per language and per kind, for the grader and, in the same run, for three baselines that read no meaning: cosine of
character n-grams with the model answer, share of the points' words that occur, and mere length.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from viva.bank import Bank, Question
from viva.grading.grade import grade
from viva.grading.marks import STATUSES, Grade
from viva.grading.morphology import tokenise
from viva.grading.normaliser import normalise
from viva.grading.scorer import suggest
from viva.language import LANGUAGES, Language, Text

PAIRS = (("complete", "wrong"), ("complete", "stuffed"), ("half", "wrong"))
NOTHING = ("stuffed", "offtopic")


class AnswersError(ValueError):
    """A file of graded answers that cannot be read; names file, line and reason."""

    def __init__(self, file: Path, line: int, ko: str, en: str) -> None:
        self.text = Text(ko=f"{file}:{line}: {ko}", en=f"{file}:{line}: {en}")
        super().__init__(self.text.en)

    def sentence(self, language: Language) -> str:
        return self.text.get(language)


@dataclass(frozen=True)
class Answer:
    """An answer and what a person said of it; ``human_score`` is in 0..1, ``points`` a status per point id."""

    qid: str
    lang: Language
    answer: str
    human_score: float
    kind: str = ""
    points: Mapping[str, str] = field(default_factory=dict)
    misconceptions: tuple[str, ...] = ()
    quotes: Mapping[str, str] = field(default_factory=dict)
    """The words of the answer that earned a point its mark, by point."""
    source: str = ""
    """The answer that this one was made from, where it was."""


def read_answers(path: Path, bank: Bank) -> list[Answer]:
    """The graded answers in ``path``.

    Raises:
        AnswersError: a line is not such an object, or names a question or point that does not exist.
    """
    answers = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            answer = Answer(str(row["qid"]), row["lang"], str(row["answer"]), float(row["human_score"]), str(row.get("kind", "")), dict(row.get("points") or {}), tuple(row.get("misconceptions") or ()), dict(row.get("quotes") or {}))
        except (ValueError, KeyError, TypeError) as error:
            reason = f"'{error.args[0]}'" if isinstance(error, KeyError) else str(error)
            raise AnswersError(path, number, f"{{qid, lang, answer, human_score}} 객체가 아닙니다 ({reason}).", f"is no {{qid, lang, answer, human_score}} object ({reason}).") from None
        if answer.qid not in bank:
            raise AnswersError(path, number, f"'{answer.qid}'라는 질문이 없습니다.", f"there is no question '{answer.qid}'.")
        if answer.lang not in LANGUAGES or not 0 <= answer.human_score <= 1:
            raise AnswersError(path, number, "lang은 ko나 en, human_score는 0과 1 사이여야 합니다.", "lang has to be ko or en, and human_score between 0 and 1.")
        unknown = [*(set(answer.points) - {p.id for p in bank[answer.qid].points}), *(set(answer.points.values()) - set(STATUSES))]
        if unknown:
            raise AnswersError(path, number, f"'{unknown[0]}'라는 요점이나 표시가 없습니다.", f"there is no point or mark '{unknown[0]}'.")
        answers.append(answer)
    return answers


def evaluate(
    answers: Sequence[Answer],
    bank: Bank,
    progress: Callable[[int], None] = lambda done: None,
    extra: Mapping[str, Callable[[Question, str, Language], float]] | None = None,
) -> dict[str, Any]:
    """``{rows: [{qid, lang, score, rating, points}], metrics}``, rows in the order of ``answers``; ``extra`` scores stand beside the baselines."""
    grades: list[Grade] = []
    for done, answer in enumerate(answers, 1):
        grades.append(grade(bank[answer.qid], answer.answer, answer.lang))
        progress(done)
    scores = _baselines(answers, bank)
    for name, score in (extra or {}).items():
        scores[name] = [score(bank[answer.qid], answer.answer, answer.lang) for answer in answers]
    rows = [
        {"qid": answer.qid, "lang": answer.lang, "score": round(given.score, 4), "rating": given.rating, "points": {mark.id: mark.status for mark in given.points}}
        for answer, given in zip(answers, grades, strict=True)
    ]
    return {"rows": rows, "metrics": compare(answers, grades, scores)}


def compare(answers: Sequence[Answer], grades: Sequence[Grade], others: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Agreement of ``grades`` with the people who marked ``answers``, per language and in all; the same for the scores in ``others``."""
    scores: dict[str, Sequence[float]] = {"viva": [given.score for given in grades], **others}
    metrics: dict[str, Any] = {}
    for language in (*LANGUAGES, "all"):
        chosen = [index for index, answer in enumerate(answers) if language in (answer.lang, "all")]
        if chosen:
            metrics[language] = {name: _agreement(answers, values, chosen) for name, values in scores.items()}
            metrics[language]["viva"]["points"] = _point_marks(answers, grades, chosen)
            metrics[language]["viva"]["misconceptions"] = _misconceptions(answers, grades, chosen)
            metrics[language]["viva"]["rating"] = _rating_agreement(answers, grades, chosen)
            metrics[language]["viva"]["calibration"] = _calibration(answers, grades, chosen)
    return metrics


def _agreement(answers: Sequence[Answer], values: Sequence[float], chosen: Sequence[int]) -> dict[str, Any]:
    human = [answers[i].human_score for i in chosen]
    ours = [values[i] for i in chosen]
    by_kind: dict[str, list[int]] = defaultdict(list)
    for i in chosen:
        by_kind[answers[i].kind].append(i)
    return {
        "n": len(chosen),
        "pearson": _correlation(ours, human),
        "spearman": _correlation(_ranks(ours), _ranks(human)),
        "mean_error": statistics.fmean(abs(a - b) for a, b in zip(ours, human, strict=True)),
        **{f"P({better} > {worse})": _preference(answers, values, by_kind.get(better, ()), by_kind.get(worse, ())) for better, worse in PAIRS},
        "kinds": {
            kind: {"n": len(indices), "mean": statistics.fmean(values[i] for i in indices), "human": statistics.fmean(answers[i].human_score for i in indices)}
            for kind, indices in sorted(by_kind.items()) if kind
        },
        "mean_of_nothing": _mean([values[i] for kind in NOTHING for i in by_kind.get(kind, ())]),
    }  # fmt: skip


def _preference(answers: Sequence[Answer], values: Sequence[float], better: Iterable[int], worse: Iterable[int]) -> float | None:
    """How often the better answer to a question scores above the worse one in the same language; a tie is half."""
    others: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i in worse:
        others[answers[i].qid, answers[i].lang].append(i)
    wins = [1.0 if values[i] > values[j] else 0.5 if values[i] == values[j] else 0.0 for i in better for j in others[answers[i].qid, answers[i].lang]]
    return _mean(wins)


def _point_marks(answers: Sequence[Answer], grades: Sequence[Grade], chosen: Sequence[int]) -> dict[str, Any]:
    """Precision and recall of each status over all points that a person marked."""
    pairs = [(answers[i].points[mark.id], mark.status) for i in chosen for mark in grades[i].points if mark.id in answers[i].points]
    table: dict[str, Any] = {}
    for status in STATUSES:
        right = sum(human == ours == status for human, ours in pairs)
        table[status] = {
            "precision": _share(right, sum(ours == status for _, ours in pairs)),
            "recall": _share(right, sum(human == status for human, _ in pairs)),
            "n": sum(human == status for human, _ in pairs),
        }
    return table


def _misconceptions(answers: Sequence[Answer], grades: Sequence[Grade], chosen: Sequence[int]) -> dict[str, Any]:
    """Precision and recall of the misconceptions named, over answers whose points a person marked."""
    marked = [i for i in chosen if answers[i].points]
    named = [(i, mark.id) for i in marked for mark in grades[i].misconceptions]
    stated = [(i, name) for i in marked for name in answers[i].misconceptions]
    both = len(set(named) & set(stated))
    return {"precision": _share(both, len(named)), "recall": _share(both, len(stated)), "n": len(stated)}


BINS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Lower edges of the bins of confidence."""


def _calibration(answers: Sequence[Answer], grades: Sequence[Grade], chosen: Sequence[int]) -> dict[str, Any]:
    """How often a mark of a given confidence is the person's; ``error`` is the expected calibration error (Naeini et al. 2015)."""
    pairs = [(mark.confidence, answers[i].points[mark.id] == mark.status) for i in chosen for mark in grades[i].points if mark.id in answers[i].points]
    bins = []
    for low, high in zip(BINS, (*BINS[1:], 1.01), strict=True):
        inside = [(confidence, right) for confidence, right in pairs if low <= confidence < high]
        if inside:
            bins.append({"from": low, "n": len(inside), "confidence": statistics.fmean(c for c, _ in inside), "right": statistics.fmean(float(r) for _, r in inside)})
    error = sum(b["n"] * abs(b["confidence"] - b["right"]) for b in bins) / len(pairs) if pairs else None
    return {"bins": bins, "error": error}


def _rating_agreement(answers: Sequence[Answer], grades: Sequence[Grade], chosen: Sequence[int]) -> dict[str, Any]:
    pairs = [(suggest(answers[i].human_score, (), (), False), grades[i].rating) for i in chosen]
    return {
        "exact": _mean([float(a == b) for a, b in pairs]),
        "within_one": _mean([float(abs(a - b) <= 1) for a, b in pairs]),
        "quadratic_kappa": _quadratic_kappa(pairs),
    }


def _quadratic_kappa(pairs: Sequence[tuple[int, int]]) -> float | None:
    """Cohen's kappa with quadratic weights (Cohen 1968) over the ratings 1..4."""
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    seen = sum((a - b) ** 2 for a, b in pairs) / len(pairs)
    chance = sum(first[a] * second[b] * (a - b) ** 2 for a in first for b in second) / len(pairs) ** 2
    return 1 - seen / chance if chance else None


def _baselines(answers: Sequence[Answer], bank: Bank) -> dict[str, list[float]]:
    questions = {answer.qid: bank[answer.qid] for answer in answers}
    models = {(qid, language): _grams(question.answer.get(language)) for qid, question in questions.items() if question.answer for language in LANGUAGES}
    documents = Counter(gram for grams in models.values() for gram in grams)
    rarity = {gram: math.log(len(models) / count) + 1 for gram, count in documents.items()}
    words = {(qid, language): _point_words(question, language) for qid, question in questions.items() for language in LANGUAGES}
    longest = max((len(answer.answer) for answer in answers), default=1) or 1
    return {
        "character tf-idf": [_cosine(_grams(answer.answer), models.get((answer.qid, answer.lang), Counter()), rarity) for answer in answers],
        "point words": [_point_recall(answer.answer, words[answer.qid, answer.lang]) for answer in answers],
        "length": [len(answer.answer) / longest for answer in answers],
    }


def _grams(text: str) -> Counter[str]:
    squeezed = re.sub(r"\s+", " ", text.lower())
    return Counter(squeezed[i : i + n] for n in (2, 3, 4) for i in range(len(squeezed) - n + 1))


def _cosine(a: Counter[str], b: Counter[str], rarity: Mapping[str, float]) -> float:
    def weight(grams: Counter[str]) -> dict[str, float]:
        return {gram: count * rarity.get(gram, 1.0) for gram, count in grams.items()}

    x, y = weight(a), weight(b)
    size = math.sqrt(sum(v * v for v in x.values()) * sum(v * v for v in y.values()))
    return sum(v * y.get(gram, 0.0) for gram, v in x.items()) / size if size else 0.0


def _point_words(question: Question, language: Language) -> list[set[str]]:
    return [_content(point.text.get(language)) for point in question.points]


def _point_recall(answer: str, points: Sequence[set[str]]) -> float:
    said = _content(answer)
    return statistics.fmean(len(words & said) / len(words) if words else 0.0 for words in points) if points else 0.0


def _content(text: str) -> set[str]:
    return {token.key for token in tokenise(normalise(text).text) if token.kind == "content"}


def _correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    try:
        return statistics.correlation(a, b)
    except statistics.StatisticsError:  # fewer than two answers, or all the same
        return None


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1, ties sharing their mean."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    at = 0
    while at < len(order):
        end = at
        while end + 1 < len(order) and values[order[end + 1]] == values[order[at]]:
            end += 1
        for i in order[at : end + 1]:
            ranks[i] = (at + end) / 2 + 1
        at = end + 1
    return ranks


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
