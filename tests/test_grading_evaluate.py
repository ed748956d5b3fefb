"""Measuring the grader: the metrics against figures worked out by hand, bad files, and a floor under what was reached."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from viva.bank import load_bank
from viva.grading.evaluate import AnswersError, _correlation, _quadratic_kappa, _ranks, evaluate, read_answers

BANK, _ = load_bank()
DATA = Path(__file__).parent / "data" / "grading"


def test_ranks_share_their_mean_where_values_tie() -> None:
    assert _ranks([0.2, 0.9, 0.2, 0.5]) == [1.5, 4.0, 1.5, 3.0]


def test_correlation_of_equals_is_none_and_of_a_line_is_one() -> None:
    assert _correlation([1.0, 1.0], [0.0, 1.0]) is None
    assert _correlation([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]) == pytest.approx(1.0)


def test_quadratic_kappa_is_one_for_agreement_zero_for_chance_and_negative_for_contrariness() -> None:
    assert _quadratic_kappa([(1, 1), (4, 4), (2, 2)]) == 1.0
    assert _quadratic_kappa([(1, 1), (1, 4), (4, 1), (4, 4)]) == pytest.approx(0.0)
    assert _quadratic_kappa([(1, 4), (4, 1)]) == pytest.approx(-1.0)
    assert _quadratic_kappa([(2, 2), (2, 2)]) is None


def test_rows_stand_in_the_order_of_the_answers_and_know_nothing_of_each_other(tmp_path: Path) -> None:
    lines = [
        {"qid": "softmax", "lang": "en", "answer": "", "human_score": 0},
        {"qid": "dropout", "lang": "ko", "answer": "학습할 때 뉴런을 무작위로 끄고 테스트에서는 모두 씁니다.", "human_score": 0.5, "kind": "half"},
        {"qid": "softmax", "lang": "en", "answer": "", "human_score": 0},
    ]
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n", encoding="utf-8")
    result = evaluate(read_answers(path, BANK), BANK)
    assert [(row["qid"], row["lang"]) for row in result["rows"]] == [("softmax", "en"), ("dropout", "ko"), ("softmax", "en")]
    assert result["rows"][0] == result["rows"][2] and result["rows"][0]["score"] == 0
    assert set(result["metrics"]) == {"ko", "en", "all"}
    assert set(result["metrics"]["all"]) == {"viva", "character tf-idf", "point words", "length"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "2"),
        ('{"qid": "softmax", "lang": "en", "answer": "x"}', "human_score"),
        ('{"qid": "nope", "lang": "en", "answer": "x", "human_score": 0}', "nope"),
        ('{"qid": "softmax", "lang": "fr", "answer": "x", "human_score": 0}', "lang"),
        ('{"qid": "softmax", "lang": "en", "answer": "x", "human_score": 7}', "human_score"),
        ('{"qid": "softmax", "lang": "en", "answer": "x", "human_score": 1, "points": {"no-point": "made"}}', "no-point"),
        ("[]", "2"),
    ],
)
def test_a_bad_line_is_named_with_file_line_and_reason(line: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"qid": "softmax", "lang": "en", "answer": "", "human_score": 0}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(AnswersError) as caught:
        read_answers(path, BANK)
    for language in ("ko", "en"):
        sentence = caught.value.sentence(language)
        assert sentence.startswith(f"{path}:2: ") and said in sentence


@pytest.mark.slow
@pytest.mark.parametrize("language", ["ko", "en"])
def test_on_answers_whose_authors_did_not_see_the_cues_the_grader_stays_above_what_it_reached(language: str) -> None:
    result = evaluate(read_answers(DATA / f"blind-{language}.jsonl", BANK), BANK)["metrics"][language]
    ours = result["viva"]
    assert ours["n"] == 560
    assert ours["pearson"] >= 0.74
    assert ours["P(complete > stuffed)"] == 1.0
    assert ours["mean_of_nothing"] <= 0.10
    assert all(ours["pearson"] > result[name]["pearson"] for name in result if name != "viva")
