"""Measuring the grader: the metrics against figures worked out by hand, bad files, and a floor under what was reached."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from viva.bank import load_bank
from viva.cli import grading, main
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
    assert ours["pearson"] >= 0.90
    assert ours["P(complete > stuffed)"] >= 0.985
    assert ours["P(complete > wrong)"] >= 0.95
    assert ours["P(half > wrong)"] >= 0.95
    assert ours["mean_of_nothing"] <= 0.03
    assert ours["calibration"]["error"] <= 0.05
    assert all(ours["pearson"] > result[name]["pearson"] for name in result if name != "viva")


# --- viva grading evaluate


LINE = {"qid": "softmax", "lang": "en", "answer": "", "human_score": 0}


def written(path: Path, *lines: dict[str, object] | str) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")
    return path


def ran(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as done:
        main(["grading", "evaluate", *arguments])
    out = capsys.readouterr()
    code = done.value.code
    return (code if isinstance(code, int) else int(code is not None)), out.out, out.err


def test_several_files_are_one_set_in_the_order_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = written(tmp_path / "1.jsonl", {**LINE, "qid": "dropout", "lang": "ko"}, LINE)
    second = written(tmp_path / "2.jsonl", {**LINE, "qid": "momentum"})
    code, out, _ = ran(["--answers", str(first), "--answers", str(second), "--json"], capsys)
    rows = json.loads(out)["rows"]
    assert code == 0 and [(row["qid"], row["lang"]) for row in rows] == [("dropout", "ko"), ("softmax", "en"), ("momentum", "en")]
    for row in rows:
        assert set(row) == {"qid", "lang", "score", "rating", "points"}
        assert row["points"] == {point.id: "missed" for point in BANK[row["qid"]].points}


def test_without_files_the_blind_answers_of_the_checkout_are_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert {path.name for path in grading.GRADED.glob("blind-*.jsonl")} == {"blind-ko.jsonl", "blind-en.jsonl"}
    monkeypatch.setattr(grading, "GRADED", tmp_path)
    code, _, said = ran(["--json"], capsys)
    assert code != 0 and "--answers" in said
    written(tmp_path / "blind-en.jsonl", LINE)
    written(tmp_path / "tuning-en.jsonl", LINE, LINE)
    code, out, _ = ran(["--json"], capsys)
    assert code == 0 and len(json.loads(out)["rows"]) == 1


def test_the_table_shows_what_the_json_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ran(["--answers", str(written(tmp_path / "a.jsonl", LINE))], capsys)
    assert code == 0 and "n = 1" in out and "pearson" in out


@pytest.mark.parametrize(
    ("line", "said"),
    [("{", "object"), ({**LINE, "qid": "nope"}, "nope"), ({**LINE, "human_score": 7}, "human_score"), ({**LINE, "human_score": float("nan")}, "human_score")],
)
def test_the_command_names_file_and_line_of_a_bad_answer(line: dict[str, object] | str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "answers.jsonl", LINE, line)
    code, out, error = ran(["--answers", str(path), "--json"], capsys)
    assert code != 0 and out == ""
    assert f"{path}:2: " in error and said in error


def test_a_file_that_is_not_there_or_empty_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path / "absent.jsonl", written(tmp_path / "empty.jsonl")):
        code, _, error = ran(["--answers", str(path)], capsys)
        assert code != 0 and str(path) in error


@pytest.mark.xfail(strict=True, raises=AnswersError, reason="str.splitlines also cuts at U+2028, which JSON allows in a string")
def test_a_line_separator_inside_an_answer_ends_no_line(tmp_path: Path) -> None:
    (answer,) = read_answers(written(tmp_path / "a.jsonl", {**LINE, "answer": "a\u2028b"}), BANK)
    assert answer.answer == "a\u2028b"


@pytest.mark.xfail(strict=True, raises=(TypeError, UnicodeDecodeError), reason="TypeError and UnicodeDecodeError are not turned into sentences")
@pytest.mark.parametrize("content", [json.dumps({**LINE, "points": {"x": []}}).encode(), b'{"qid": "softmax", "answer": "\xe9"}'], ids=["list as mark", "not UTF-8"])
def test_no_file_ends_in_a_traceback(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(content)
    with pytest.raises(AnswersError):
        read_answers(path, BANK)
