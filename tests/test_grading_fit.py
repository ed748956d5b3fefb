"""Fitting on a few questions: repeatable, and never measured on what it was fitted on."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_bank_cues import BANK

from viva.grading.evaluate import Answer, read_answers
from viva.grading.features import POINT, SLIP
from viva.grading.judgement import WEIGHTS_FILE, WeightsError, from_data, judgement
from viva.grading.marks import STATUSES

pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install 'viva[test]'")
from viva.grading import fit

pytestmark = pytest.mark.slow  # fitting and what it is made of

CHOSEN = [question.id for question in BANK][4::9]
TUNING = Path(__file__).parent / "data" / "grading" / "tuning-en.jsonl"


@pytest.fixture(scope="module")
def answers() -> list[Answer]:
    return [answer for answer in read_answers(TUNING, BANK) if answer.qid in CHOSEN]


@pytest.fixture(scope="module")
def pairs() -> Mapping[str, float]:
    return judgement().pairs


@pytest.fixture(scope="module")
def rows(answers: list[Answer], pairs: Mapping[str, float]) -> list[fit.Row]:
    return fit.measured(answers, BANK, pairs)


def test_the_weights_belong_to_the_features() -> None:
    weights = judgement()
    assert weights.mean.shape == weights.scale.shape == (len(POINT),)
    assert weights.layers[0][0].shape[0] == len(POINT) and weights.layers[-1][0].shape[1] == len(STATUSES)
    assert weights.slip_weights.shape == (len(SLIP),)


@pytest.mark.parametrize("name", ["point features", "misconception features"])
def test_weights_of_other_features_are_refused_with_the_command_to_run(name: str) -> None:
    data = copy.deepcopy(json.loads(WEIGHTS_FILE.read_text(encoding="utf-8")))
    data[name] = data[name][::-1]
    with pytest.raises(WeightsError, match="viva grading fit"):
        from_data(data)


def test_chances_of_the_marks_sum_to_one_and_none_is_negative_however_odd_the_features() -> None:
    features = np.vstack([np.zeros(len(POINT)), np.full(len(POINT), 1e6), np.full(len(POINT), -1e6), np.random.default_rng(0).normal(size=(20, len(POINT)))])
    chances = judgement().points(features)
    assert np.allclose(chances.sum(axis=1), 1) and (chances >= 0).all()


def test_no_misconceptions_have_no_chances() -> None:
    assert judgement().slips(np.zeros((0, len(SLIP)))).shape == (0,)


def test_fitting_twice_gives_the_same_weights_and_another_seed_others(rows: list[fit.Row], pairs: Mapping[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "SEEDS", 1)
    first = fit.fit(rows, pairs, seed=3)
    assert first == fit.fit(rows, pairs, seed=3)
    assert first["points"]["layers"] != fit.fit(rows, pairs, seed=4)["points"]["layers"]
    assert from_data(json.loads(json.dumps(first))).slip_weights.shape == (len(SLIP),)


def test_no_row_is_judged_by_weights_that_saw_its_question(rows: list[fit.Row], pairs: Mapping[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    built_in = json.loads(WEIGHTS_FILE.read_text(encoding="utf-8"))

    def spy(chosen: list[fit.Row], table: Any, seed: int = 0) -> dict[str, Any]:
        seen.append({row.qid for row in chosen})
        return {**built_in, "misconceptions": {**built_in["misconceptions"], "bias": float(len(seen) - 1)}}

    monkeypatch.setattr(fit, "fit", spy)
    judged = [int(judge.slip_bias) for _, _, judge in fit.out_of_fold(rows, pairs)]
    assert len(seen) == fit.FOLDS and len(judged) == len(rows)
    assert all(row.qid not in seen[number] for row, number in zip(rows, judged, strict=True))
    assert set().union(*seen) == set(CHOSEN)


def test_examples_taken_from_an_answer_are_left_out_while_it_is_measured(answers: list[Answer]) -> None:
    """Otherwise every answer of the tuning half would be graded against its own words."""
    from viva.grading.grade import compiled

    left_out = [fit._taken_from(examples, answer).sum() for answer in answers if (examples := compiled(BANK[answer.qid], (answer.lang,)))]
    assert sum(map(bool, left_out)) > len(answers) / 4
    for answer in fit.told(BANK, CHOSEN[:1]):
        examples = compiled(BANK[answer.qid], (answer.lang,))
        assert examples is not None and not fit._taken_from(examples, answer).any()


@pytest.mark.parametrize("make", [fit.careless, fit.cut, lambda a, seed: fit.empty_talk(a, BANK, seed), lambda a, seed: fit.patchwork(a, BANK, seed)], ids=["careless", "cut", "empty", "patchwork"])
def test_made_up_answers_are_the_same_for_the_same_seed(make: Callable[..., list[Answer]], answers: list[Answer]) -> None:
    answers = [answer for answer in answers if answer.qid in CHOSEN[:3]]
    assert make(answers, 5) == make(answers, 5)
    assert make(answers, 5) != make(answers, 6)


def test_what_is_typed_in_haste_keeps_its_marks_and_empty_talk_has_none(answers: list[Answer]) -> None:
    marked = {answer.answer: answer.points for answer in answers}
    assert all(answer.points == marked[answer.source] for answer in fit.careless(answers))
    assert {mark for answer in fit.empty_talk(answers, BANK) for mark in answer.points.values()} == {"missed"}
