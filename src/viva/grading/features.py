"""What is measured of an answer for each point and each misconception, before :mod:`viva.grading.judgement` weighs it.

Nothing here looks at how long the answer is or how it is laid out, other than whether it speaks in sentences: a long answer is
not a good one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from viva.bank import Question
from viva.grading.clauses import Reading, glue_ratio
from viva.grading.fluency import fluency
from viva.grading.likeness import Floats, Ints, Likeness
from viva.grading.marks import Status
from viva.grading.morphology import Token

CLOSE = 0.1
"""A shorter unit is quoted where it is as alike as the best one but for so much."""

ALMOST = 0.6
"""From here on, a formula that is not the point's is taken for an attempt at it."""

FORM = ("glue", "relations", "commas", "predicates", "function words", "fluency", "korean")
POINT = (
    "made", "backwards", "partly", "made less backwards", "made anywhere", "backwards anywhere", "made, best three", "backwards, best three",
    "best three, made less backwards", "covered", "ordered", "contrary", "exchanged", "backwards covered", "backwards ordered",
    "backwards contrary", "misconception", "another point made", "another point backwards", "made less another point",
    "words of the point", "words that make it", "words of the point anywhere", "words that make it, whole answer",
    "formula", "formula backwards", "formula almost", "another number", "model answer", "backwards less model answer",
    "names unsaid", "backwards names unsaid", "denials", "backwards denials",
    "rules: made", "rules: partly", "rules: backwards", *(f"clause: {name}" for name in FORM), *(f"answer: {name}" for name in FORM),
    "other points backwards by the rules", "other points made by the rules", "misconceptions by the rules",
    "other points: made less backwards", "other points: made", "other points: backwards",
)  # fmt: skip
"""The columns of :attr:`Features.points`."""
SLIP = (
    "stated", "best three", "stated less the points", "a point made", "a point backwards", "covered", "ordered", "contrary", "exchanged", "rules", "model answer", "stated less model answer",
    *(f"clause: {name}" for name in FORM),
)  # fmt: skip
"""The columns of :attr:`Features.slips`."""


@dataclass(frozen=True)
class Nearest:
    """The unit of the answer that speaks of a point most clearly, and the example that it is most like."""

    unit: int
    made: int | None
    backwards: int | None
    partly: int | None


@dataclass(frozen=True)
class Features:
    """``points`` has a row for each point of the question (columns :data:`POINT`), ``slips`` one for each misconception (:data:`SLIP`)."""

    points: Floats
    slips: Floats
    nearest: tuple[Nearest, ...]
    slip_units: tuple[int, ...]
    slip_examples: tuple[int, ...]


def measure(
    question: Question, reading: Reading, likeness: Likeness, rules: Mapping[str, Status], slips: Sequence[str], pairs: Mapping[str, float]
) -> Features:
    """Features of an answer to ``question``, whose every point has examples.

    Args:
        rules: the status that the cues give each point.
        slips: the misconceptions that the cues find.
        pairs: how much more often than by chance kinds of words stand side by side (:func:`viva.grading.fluency.fit_table`).
    """
    whole = form_of(reading.tokens, pairs)
    kinds = {status: likeness.examples.status == status for status in ("made", "backwards", "partly", "slip", "true")}
    alike = likeness.alike
    stated, told = (_best(alike, np.flatnonzero(kinds[status])) for status in ("slip", "true"))
    rows, nearest = [], []
    for point in question.points:
        row, near = _point(point.id, likeness, kinds, stated, told)
        status = rules.get(point.id, "missed")
        rows.append([*row, status == "made", status == "partly", status == "backwards", *_form_of_unit(reading, likeness, near.unit, pairs), *whole])
        nearest.append(near)
    table = np.array(rows, dtype=float).reshape(len(question.points), -1)
    table = np.hstack([table, _of_others(question, table, rules, len(slips))])
    found = [_slip(entry.id, reading, likeness, kinds, entry.id in slips, pairs) for entry in question.misconceptions]
    return Features(
        table,
        np.array([row for row, _, _ in found], dtype=float).reshape(len(found), len(SLIP)),
        tuple(nearest),
        tuple(unit for _, unit, _ in found),
        tuple(example for _, _, example in found),
    )


def form_of(tokens: Sequence[Token], pairs: Mapping[str, float]) -> list[float]:
    """Whether ``tokens`` are said or listed: glue, relations, commas, predicates and English function words for each content word; fluency."""
    content, ratio = glue_ratio(tokens)
    content = max(1, content)
    return [
        min(ratio, 2.0),
        sum(token.kind == "relation" for token in tokens) / max(1, len(tokens)),
        sum(token.key == "," for token in tokens) / content,
        sum(token.tag[:2] in ("VV", "VA", "XS", "VC", "VX") for token in tokens) / content,
        sum(token.kind == "glue" and token.tag == "L" for token in tokens) / content,
        fluency(tokens, pairs),
        sum(token.tag[0] in "JENVM" and len(token.tag) > 1 for token in tokens) / max(1, len(tokens)),
    ]


def _form_of_unit(reading: Reading, likeness: Likeness, unit: int, pairs: Mapping[str, float]) -> list[float]:
    chosen = likeness.units[unit]
    return form_of(reading.tokens[chosen.first : chosen.last + 1], pairs)


def _best(alike: Floats, columns: Ints) -> Floats:
    """The best of ``columns`` for each unit; 0 where there is none."""
    return alike[:, columns].max(axis=1) if len(columns) else np.zeros(len(alike))


def _best_three(alike: Floats, unit: int, columns: Ints) -> float:
    return float(np.sort(alike[unit, columns])[-3:].mean()) if len(columns) else 0.0


def _argbest(alike: Floats, unit: int, columns: Ints) -> int | None:
    return int(columns[alike[unit, columns].argmax()]) if len(columns) else None


def _point(
    point: str, likeness: Likeness, kinds: Mapping[str, np.ndarray], stated: Floats, told: Floats
) -> tuple[list[float], Nearest]:
    own, alike = likeness.examples.owner == point, likeness.alike
    made, backwards, partly = (np.flatnonzero(own & kinds[status]) for status in ("made", "backwards", "partly"))
    others, turned = (np.flatnonzero(~own & kinds[status]) for status in ("made", "backwards"))
    by_unit = {name: _best(alike, columns) for name, columns in (("made", made), ("backwards", backwards), ("partly", partly), ("others", others), ("turned", turned))}
    unit = clearest(likeness, np.maximum(by_unit["made"], by_unit["backwards"]))
    near = Nearest(unit, _argbest(alike, unit, made), _argbest(alike, unit, backwards), _argbest(alike, unit, partly))
    m, b, p, o = (float(by_unit[name][unit]) for name in ("made", "backwards", "partly", "others"))
    column = likeness.examples.owners.index(point)
    topical, leaning = (values[:, column] for values in likeness.odds)
    single = likeness.sentences
    right, wrong = likeness.formula(point, "made"), likeness.formula(point, "backwards")
    formula = (right, wrong, float(right) if ALMOST <= right < 1.0 else 0.0)
    made3, backwards3 = _best_three(alike, unit, made), _best_three(alike, unit, backwards)
    e = near.made if near.made is not None else 0
    t = near.backwards if near.backwards is not None else e
    row = [
        m, b, p, m - b, float(by_unit["made"].max()), float(by_unit["backwards"].max()), made3, backwards3, made3 - backwards3,
        float(likeness.covered[unit, e]), float(likeness.ordered[unit, e]), float(likeness.contrary[unit, e]), float(likeness.exchanged[unit, e]),
        float(likeness.covered[unit, t]), float(likeness.ordered[unit, t]), float(likeness.contrary[unit, t]),
        float(stated[unit]), o, float(by_unit["turned"][unit]), m - o,
        float(topical[unit]), float(leaning[unit]), float(topical.max()), float((leaning * topical)[single].sum() / max(1.0, topical[single].sum())),
        *formula, float(near.made is not None and likeness.other_number(point, unit, near.made)),
        float(told[unit]), b - float(told[unit]), likeness.unnamed(unit, near.made), likeness.unnamed(unit, near.backwards),
        likeness.denials(unit, near.made), likeness.denials(unit, near.backwards),
    ]  # fmt: skip
    return row, near


def _of_others(question: Question, table: Floats, rules: Mapping[str, Status], slips: int) -> Floats:
    """How the rest of the answer does: who has one thing the wrong way round is likelier to have the next."""
    count = max(1, len(table) - 1)
    columns = {name: table[:, POINT.index(name)] for name in ("made less backwards", "made", "backwards", "rules: backwards", "rules: made")}
    rest = {name: (column.sum() - column) / count for name, column in columns.items()}
    flags = np.full(len(table), float(slips))
    return np.stack([rest["rules: backwards"], rest["rules: made"], flags, rest["made less backwards"], rest["made"], rest["backwards"]], axis=1)


def _slip(
    name: str, reading: Reading, likeness: Likeness, kinds: Mapping[str, np.ndarray], by_rules: bool, pairs: Mapping[str, float]
) -> tuple[list[float], int, int]:
    alike = likeness.alike
    own = np.flatnonzero((likeness.examples.owner == name) & kinds["slip"])
    stated = _best(alike, own)
    made, turned, told = (_best(alike, np.flatnonzero(kinds[status])) for status in ("made", "backwards", "true"))
    unit = clearest(likeness, stated)
    e = _argbest(alike, unit, own)
    e = 0 if e is None else e
    row = [
        float(stated[unit]), _best_three(alike, unit, own), float(stated[unit] - made[unit]), float(made[unit]), float(turned[unit]),
        float(likeness.covered[unit, e]), float(likeness.ordered[unit, e]), float(likeness.contrary[unit, e]), float(likeness.exchanged[unit, e]),
        float(by_rules), float(told[unit]), float(stated[unit] - told[unit]), *_form_of_unit(reading, likeness, unit, pairs),
    ]  # fmt: skip
    return row, unit, e


def clearest(likeness: Likeness, worth: Floats) -> int:
    """The shortest unit whose ``worth`` is that of the best one, but for :data:`CLOSE`."""
    enough = np.flatnonzero(worth >= worth.max() - CLOSE)
    return int(min(enough, key=lambda unit: (len(likeness.units[unit].places), -worth[unit], unit)))
