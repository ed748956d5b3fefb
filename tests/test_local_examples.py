"""Overruled marks as examples: read out of the log, used by later grading, taken back, exported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from sqlalchemy import event
from test_cli import viva

from viva.bank import Bank, Question, load_bank
from viva.grading import Grade, PointMark, blank_grade, grade, regrade
from viva.grading.examples import Example, read_examples
from viva.store import Attempt, Learner, Store
from viva.store.examples import LONGEST
from viva.web.app import create_app
from viva.web.marking import UnusableSelection, overruled, selected, taken_back, units
from viva.web.pages.reveal import marked_answer

LOCAL = "http://localhost"
KEY = "relu-vs-sigmoid"
SLOPE, RELU, SCALE = "sigmoid-slope", "relu-slope", "scale-and-weights"
TEXT = "시그모이드는 층마다 신호를 갉아먹어요. 😀 렐루는 켜져 있으면 그대로 통과시킵니다."
EATEN = "시그모이드는 층마다 신호를 갉아먹어요"
PASSED = "렐루는 켜져 있으면 그대로 통과시킵니다"


@pytest.fixture(scope="module")
def bank() -> Bank:
    return load_bank([])[0]


@pytest.fixture
def question(bank: Bank) -> Question:
    return bank[KEY]


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store.open(home / "viva.db") as opened:
        yield opened


@pytest.fixture
def me(store: Store) -> Learner:
    return store.learner()


@pytest.fixture
def client(store: Store) -> TestClient:
    store.learner().set_setting("language", "en")
    client = TestClient(create_app(store, warm=False), base_url=LOCAL)
    client.headers.update({"x-csrf-token": client.get("/api/token").json()["csrf"], "origin": LOCAL})
    return client


def marked(question: Question, text: str, **quotes: tuple[str, str]) -> Grade:
    """A grader's grade of ``text``: for each point (``_`` for ``-``) its status and quote; the other points are missed."""
    wanted = {name.replace("_", "-"): value for name, value in quotes.items()}
    points = []
    for point in question.points:
        status, quote = wanted.get(point.id, ("missed", ""))
        start = text.index(quote) if quote else 0
        points.append(PointMark(point.id, status, quote, start, start + len(quote), why="heard" if quote else ""))  # type: ignore[arg-type]
    return Grade(0.5, tuple(points), rating=2)


def answered(me: Learner, question: Question, text: str = TEXT, way: Any = "text", language: Any = "ko", **quotes: tuple[str, str]) -> Attempt:
    return me.add_attempt(question=question.key, language=language, way=way, text=text, grade=marked(question, text, **quotes))


def overrule(me: Learner, question: Question, attempt: Attempt, point: str, status: Any, chosen: tuple[int, int] | None = None) -> None:
    """As the page does."""
    kept = me.attempt(attempt.id)
    assert kept is not None and kept.grade is not None
    first = me.first_grades([attempt.id])[attempt.id]
    me.add_grade(attempt.id, overruled(question, kept, kept.grade, first, point, status, chosen), grader="learner")


def taught(me: Learner, question: str | None = KEY) -> list[tuple[str, str, str, str]]:
    examples = [own.example for own in me.own_examples(question)]
    return [(example.point, example.status, example.words, example.language) for example in examples]


# ---- what the log says --------------------------------------------------------------------------------------------


def test_an_overruled_mark_gives_its_words_as_an_example(me: Learner, question: Question) -> None:
    attempt = answered(me, question, sigmoid_slope=("made", EATEN), relu_slope=("made", PASSED))
    assert taught(me) == []
    overrule(me, question, attempt, SLOPE, "partly")
    assert taught(me) == [(SLOPE, "partly", EATEN, "ko")]
    (own,) = me.own_examples(KEY)
    assert (own.question, own.was, own.attempts) == (KEY, "made", (attempt.id,))


def test_a_point_marked_as_missed_gives_the_words_that_the_grader_had_read_it_from(me: Learner, question: Question) -> None:
    attempt = answered(me, question, sigmoid_slope=("backwards", EATEN))
    overrule(me, question, attempt, SLOPE, "missed")
    assert taught(me) == [(SLOPE, "missed", EATEN, "ko")]


def test_a_mark_that_is_as_it_was_is_no_example(me: Learner, question: Question) -> None:
    attempt = answered(me, question, sigmoid_slope=("made", EATEN))
    overrule(me, question, attempt, SLOPE, "made")
    assert taught(me) == []
    overrule(me, question, attempt, SLOPE, "missed")
    overrule(me, question, attempt, SLOPE, "made")
    assert taught(me) == []
    kept = me.attempt(attempt.id)
    assert kept is not None and kept.grade is not None
    mark = next(mark for mark in kept.grade.points if mark.id == SLOPE)
    assert (mark.quote, mark.why, mark.by) == (EATEN, "heard", "learner"), "the words came back with the mark"


def test_undo_takes_the_example_away_and_redo_brings_it_back(me: Learner, question: Question) -> None:
    attempt = answered(me, question, sigmoid_slope=("made", EATEN), relu_slope=("made", PASSED))
    overrule(me, question, attempt, SLOPE, "partly")
    overrule(me, question, attempt, RELU, "backwards")
    both = taught(me)
    assert [point for point, *_ in both] == [RELU, SLOPE]
    me.undo()
    assert [point for point, *_ in taught(me)] == [SLOPE]
    me.undo()
    assert taught(me) == []
    me.redo()
    me.redo()
    assert taught(me) == both


def test_of_the_same_words_the_newest_mark_counts(me: Learner, question: Question) -> None:
    first = answered(me, question, sigmoid_slope=("made", EATEN))
    second = answered(me, question, EATEN.replace(" ", "\n") + "!", sigmoid_slope=("made", EATEN.replace(" ", "\n")))
    overrule(me, question, first, SLOPE, "backwards")
    overrule(me, question, second, SLOPE, "partly")
    assert taught(me) == [(SLOPE, "partly", EATEN, "ko")]
    assert me.own_examples(KEY)[0].attempts == (second.id, first.id)
    # Marking another point of the first answer does not make what it says of this one newer.
    overrule(me, question, first, RELU, "missed")
    assert taught(me) == [(SLOPE, "partly", EATEN, "ko")]
    overrule(me, question, first, SLOPE, "missed")
    assert taught(me) == [(SLOPE, "missed", EATEN, "ko")]


def test_an_example_is_in_the_language_of_its_words(me: Learner, question: Question) -> None:
    english = "the sigmoid starves the early layers"
    attempt = answered(me, question, f"{english}. {PASSED}.", language="ko", sigmoid_slope=("made", english), relu_slope=("made", PASSED))
    overrule(me, question, attempt, SLOPE, "partly")
    overrule(me, question, attempt, RELU, "partly")
    assert {(words, language) for _, _, words, language in taught(me)} == {(english, "en"), (PASSED, "ko")}


def test_marks_for_spoken_answers_and_marks_of_older_versions_are_no_examples(me: Learner, question: Question) -> None:
    spoken = me.add_attempt(question=KEY, language="ko", way="spoken", grade=blank_grade(question))
    overrule(me, question, spoken, SLOPE, "made")
    typed = answered(me, question, sigmoid_slope=("made", EATEN))
    without = [{"id": SLOPE, "status": "partly", "quote": EATEN, "start": 0, "end": len(EATEN)}]
    me.add_grade(typed.id, {"score": 0.1, "rating": 1, "points": without}, grader="learner")
    assert taught(me) == []


def test_another_learner_has_nothing_of_it(store: Store, me: Learner, question: Question) -> None:
    attempt = answered(me, question, sigmoid_slope=("made", EATEN))
    overrule(me, question, attempt, SLOPE, "partly")
    other = store.learner("other")
    assert other.own_examples(KEY) == other.own_examples() == []
    assert other.first_grades([attempt.id]) == {}


def test_examples_travel_with_the_learners_data(me: Learner, question: Question, tmp_path: Path) -> None:
    attempt = answered(me, question, sigmoid_slope=("made", EATEN), relu_slope=("made", PASSED))
    overrule(me, question, attempt, SLOPE, "partly")
    overrule(me, question, attempt, RELU, "backwards")
    me.undo()
    rows = json.loads(json.dumps(me.export_rows()))
    with Store.open(tmp_path / "second.db") as second:
        there = second.learner()
        there.import_rows(rows)
        assert there.own_examples() == me.own_examples() != []
        there.redo()
        assert [point for point, *_ in taught(there)] == [RELU, SLOPE]


@pytest.mark.parametrize(
    "change",
    [{"quote": 5}, {"quote": None}, {"quote": ["a"]}, {"quote": "말 " * LONGEST}, {"quote": " \n"}, {"status": "excellent"}, {"status": None}],
)
def test_an_imported_file_cannot_spoil_later_grading(me: Learner, question: Question, change: dict[str, Any]) -> None:
    attempt = answered(me, question, sigmoid_slope=("made", EATEN), relu_slope=("made", PASSED))
    bad = {"id": SLOPE, "status": "partly", "quote": EATEN, "by": "learner", **change}
    good = {"id": RELU, "status": "partly", "quote": PASSED, "by": "learner"}
    me.add_grade(attempt.id, {"score": 0.1, "rating": 1, "points": [bad, good]}, grader="learner")
    assert taught(me) == [(RELU, "partly", PASSED, "ko")]


def test_only_the_newest_examples_of_a_question_count(me: Learner, question: Question, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("viva.store.examples.MOST", 3)
    for number in range(5):
        text = f"시그모이드 {number}번 말"
        overrule(me, question, answered(me, question, text, sigmoid_slope=("made", text)), SLOPE, "partly")
    assert [words for _, _, words, _ in taught(me)] == [f"시그모이드 {number}번 말" for number in (4, 3, 2)]


def test_the_examples_of_a_question_are_one_query_that_scans_no_table(store: Store, me: Learner, question: Question) -> None:
    for number in range(30):
        attempt = answered(me, question, f"{EATEN} {number}", sigmoid_slope=("made", EATEN))
        overrule(me, question, attempt, SLOPE, "partly")
    seen: list[tuple[str, Any]] = []
    event.listen(store.database.engine, "before_cursor_execute", lambda *call: seen.append((call[2], call[3])))
    assert len(me.own_examples(KEY)[0].attempts) == 30
    queries = [call for call in seen if call[0] != "BEGIN"]
    assert len(queries) == 1
    with store.database.read() as connection:
        plan = [row[3] for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + queries[0][0], queries[0][1])]
    assert plan and not [step for step in plan if step.startswith("SCAN") and ("attempts" in step or "grades" in step or "overruled" in step)], plan


# ---- which words --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [EATEN, "😀", "😀 렐루는", PASSED, TEXT, "요. 😀"])
def test_places_of_a_browser_are_utf_16_units(words: str) -> None:
    start = units(TEXT[: TEXT.index(words)])
    span = selected(TEXT, str(start), str(start + units(words)))
    assert span is not None and TEXT[slice(*span)] == words


def test_a_place_inside_a_pair_of_surrogates_takes_no_half_of_a_character() -> None:
    at = units(TEXT[: TEXT.index("😀")])
    span = selected(TEXT, str(at + 1), str(at + 5))
    assert span is not None and TEXT[slice(*span)] == "😀 렐루"
    span = selected(TEXT, "0", str(at + 1))
    assert span is not None and TEXT[slice(*span)] == f"{EATEN}."


def test_spaces_around_the_selected_words_do_not_count() -> None:
    assert selected(" \n 가 나 \n", "0", "8") == (3, 6)


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        ("0", "0", "outside"), ("5", "2", "outside"), ("0", "10000", "outside"), ("-3", "4", "outside"), ("1", "", "outside"), ("", "4", "outside"),
        ("0.5", "4", "outside"), ("1e2", "200", "outside"), ("٣", "٩", "outside"), ("9" * 5000, "9" * 5001, "outside"), ("0x1", "5", "outside"), ("0\0", "5", "outside"),
        ("5", "6", "outside"), ("6", str(6 + LONGEST + 1), "long"),
    ],
)  # fmt: skip
def test_a_selection_that_cannot_be_is_refused_with_its_reason(start: str, end: str, reason: str) -> None:
    with pytest.raises(UnusableSelection) as caught:
        selected("가나다라마 " + "말" * 500, start, end)
    assert caught.value.reason == reason


def test_without_a_selection_the_words_are_those_of_the_mark_or_the_clause_closest_to_the_point(me: Learner, question: Question) -> None:
    attempt = answered(me, question, sigmoid_slope=("made", EATEN))
    assert attempt.grade is not None
    kept = overruled(question, attempt, attempt.grade, attempt.grade, SLOPE, "backwards", None)
    assert next(mark for mark in kept.points if mark.id == SLOPE).quote == EATEN
    found = overruled(question, attempt, attempt.grade, attempt.grade, RELU, "made", None)
    mark = next(mark for mark in found.points if mark.id == RELU)
    assert "렐루" in mark.quote and TEXT[mark.start : mark.end] == mark.quote and mark.by == "learner"
    assert "가장 가까운 말" in mark.why
    again = next(mark for mark in overruled(question, attempt, found, attempt.grade, RELU, "partly", None).points if mark.id == RELU)
    assert (again.quote, again.why) == (mark.quote, mark.why), "the guess is said as long as the words are guessed"
    start = TEXT.index(PASSED)
    chosen = overruled(question, attempt, attempt.grade, attempt.grade, SLOPE, "backwards", (start, start + len(PASSED)))
    mark = next(mark for mark in chosen.points if mark.id == SLOPE)
    assert (mark.quote, mark.start, mark.why) == (PASSED, start, "")


def test_a_point_that_came_after_the_answer_can_be_marked(me: Learner, question: Question) -> None:
    attempt = answered(me, question, sigmoid_slope=("made", EATEN))
    assert attempt.grade is not None
    older = replace(attempt.grade, points=tuple(mark for mark in attempt.grade.points if mark.id != RELU))
    now = overruled(question, attempt, older, older, RELU, "made", (0, 4))
    assert {mark.id: mark.status for mark in now.points}[RELU] == "made"


def test_taking_a_mark_back_restores_the_graders_mark_and_the_score(me: Learner, question: Question) -> None:
    attempt = answered(me, question, sigmoid_slope=("made", EATEN))
    first = regrade(question, replace(marked(question, TEXT, sigmoid_slope=("made", EATEN))), {})
    both = overruled(question, attempt, first, first, SLOPE, "backwards", None)
    both = overruled(question, attempt, both, first, RELU, "made", (0, 4))
    back = taken_back(question, both, first, SLOPE)
    assert back.points[0] == first.points[0] and back.points[1] == both.points[1]
    assert taken_back(question, back, first, RELU) == first


# ---- the pages ----------------------------------------------------------------------------------------------------


def press(client: TestClient, attempt: Attempt, point: str, status: str, **places: object) -> Any:
    return client.post(f"/attempts/{attempt.id}/marks", data={"point": point, "status": status, **places})


def test_later_answers_are_graded_with_the_examples_of_their_question_alone(
    client: TestClient, me: Learner, bank: Bank, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[tuple[str, list[Example]]] = []

    def spy(asked: Question, answer: str, language: Any, local: Any = ()) -> Grade:
        handed.append((asked.key, list(local)))
        return blank_grade(asked)

    monkeypatch.setattr("viva.web.state.grade", spy)
    attempt = answered(me, question, sigmoid_slope=("made", EATEN))
    press(client, attempt, SLOPE, "partly")
    for key in (KEY, "dropout"):
        body = {"attempt": f"00000000-0000-4000-8000-{len(handed):012}", "question": key, "text": "말", "language": "ko"}
        assert client.post("/api/attempts", json=body).status_code == 201
    client.post("/undo")
    client.post("/api/grade", json={"question": KEY, "answer": "말"})
    client.post("/redo")
    client.post("/api/grade", json={"question": KEY, "answer": "말"})
    example = Example(SLOPE, "partly", EATEN, "ko")
    assert handed == [(KEY, [example]), ("dropout", []), (KEY, []), (KEY, [example])]


def test_an_answer_that_says_the_same_again_is_marked_as_the_learner_marked_it(client: TestClient, me: Learner, question: Question) -> None:
    def mark_of(text: str) -> Any:
        points = client.post("/api/grade", json={"question": KEY, "answer": text, "language": "ko"}).json()["points"]
        return next(point for point in points if point["id"] == SLOPE)

    text = f"음 {EATEN}. 그래서 요즘은 잘 안 씁니다."
    before = mark_of(text)
    status = "backwards" if before["status"] != "backwards" else "partly"
    attempt = me.add_attempt(question=KEY, language="ko", text=TEXT, grade=grade(question, TEXT, "ko"))
    press(client, attempt, SLOPE, status, start=0, end=units(EATEN))
    after = mark_of(text)
    assert after["status"] == status and EATEN in after["quote"]
    assert mark_of("점심에는 된장찌개를 먹었습니다.")["status"] == "missed"
    client.post("/undo")
    assert mark_of(text) == before


def test_selected_words_stand_under_the_point_and_are_underlined(client: TestClient, me: Learner, question: Question) -> None:
    attempt = answered(me, question)
    start = units(TEXT[: TEXT.index(PASSED)])
    page = press(client, attempt, RELU, "made", start=start, end=start + units(PASSED)).text
    assert f"“{PASSED}”" in page and f'<mark class="made" data-mark="{RELU}">{PASSED}</mark>' in page
    assert "your mark" in page and 'role="alert"' not in page
    assert taught(me) == [(RELU, "made", PASSED, "ko")]


@pytest.mark.parametrize(("end", "sentence"), [("100000", "not in this answer"), ("<script>", "not in this answer"), ("450", "more than 400 characters")])
def test_a_selection_that_cannot_be_used_is_told_and_the_mark_is_kept(client: TestClient, me: Learner, question: Question, end: str, sentence: str) -> None:
    attempt = answered(me, question, "시그모이드는 신호를 줄입니다. " + "그리고 아주 긴 말이 이어져요. " * 40)
    page = press(client, attempt, SLOPE, "made", start="0", end=end).text
    assert sentence in page and "The mark is kept." in page and "<script>" not in page.split("</head>")[1]
    assert 'id="mark-sigmoid-slope-made" name="status" value="made" aria-pressed="true"' in page
    assert sentence not in client.get(f"/attempts/{attempt.id}?done=undone&words=long").text
    assert client.get(f"/attempts/{attempt.id}?done=mark&words=<b>x").status_code == 200


@pytest.mark.parametrize("wrong", [{"point": "nope", "status": "made"}, {"point": SLOPE, "status": "perfect"}])
def test_marks_that_do_not_exist_are_refused(client: TestClient, me: Learner, question: Question, wrong: dict[str, str]) -> None:
    attempt = answered(me, question)
    assert client.post(f"/attempts/{attempt.id}/marks", data=wrong).status_code == 422


def test_the_questions_page_lists_the_examples_and_takes_one_back(client: TestClient, me: Learner, question: Question) -> None:
    hostile = '시그모이드는 <script>alert("x")</script> 신호를 갉아먹어요'
    first = answered(me, question, hostile, sigmoid_slope=("made", hostile))
    again = answered(me, question, hostile, sigmoid_slope=("partly", hostile), relu_slope=("made", hostile))
    assert "own-examples" not in client.get(f"/questions/{KEY}").text
    for attempt in (first, again):
        press(client, attempt, SLOPE, "backwards")
    press(client, again, RELU, "missed")
    page = client.get(f"/questions/{KEY}").text
    assert page.count('class="m backwards"') == 1 and "alert(&#34;x&#34;)" in page and "<script>alert" not in page
    assert f'href="/questions/{KEY}#own-examples">2 of your own examples' in client.get(f"/attempts/{first.id}").text

    remove = f"/questions/{KEY}/examples/remove"
    page = client.post(remove, data={"attempt": again.id, "point": SLOPE}).text
    assert "Undo: removal of your example" in page
    assert [point for point, *_ in taught(me)] == [RELU], "the same words in the earlier answer came up again"
    marks = [{mark.id: mark.status for mark in kept.grade.points} for kept in me.attempts_of(KEY) if kept.grade]
    assert [(mark[SLOPE], mark[RELU]) for mark in marks] == [("partly", "missed"), ("made", "missed")]
    client.post("/undo")
    assert {point for point, *_ in taught(me)} == {SLOPE, RELU}
    client.post("/redo")
    assert [point for point, *_ in taught(me)] == [RELU]
    assert client.post(remove, data={"attempt": again.id, "point": SLOPE}).status_code == 404
    assert client.post("/questions/nope/examples/remove", data={"attempt": again.id, "point": SLOPE}).status_code == 404


def test_a_line_break_in_an_answer_is_one_on_the_page_and_underlines_go_across_paragraphs(question: Question) -> None:
    text = "하나 😀\n둘 <b>\n\n셋\n\n\n\n넷"
    start, end = text.index("둘"), text.index("셋") + 1
    mark = PointMark(SLOPE, "made", text[start:end], start, end)
    html = str(marked_answer(Attempt("a", KEY, "ko", "text", text, None, None, None, None), Grade(0, (mark,))))  # type: ignore[arg-type]
    assert html == (
        f'<p data-at="0">하나 😀<br><mark class="made" data-mark="{SLOPE}">둘 &lt;b&gt;</mark></p>'
        f'<p data-at="{units(text[: text.index("셋")])}"><mark class="made" data-mark="{SLOPE}">셋</mark></p><p data-at="{units(text[: text.index("넷")])}">넷</p>'
    )


# ---- exporting ----------------------------------------------------------------------------------------------------


def test_the_export_has_the_layout_of_the_banks_example_files(client: TestClient, me: Learner, question: Question, tmp_path: Path) -> None:
    tricky = "!!python/object:os.system - 'a': {b} # 시그모이드 😀 yes"
    attempt = answered(me, question, f"{tricky}\n{PASSED}", sigmoid_slope=("made", tricky), relu_slope=("made", PASSED))
    assert yaml.safe_load(client.get("/export/examples.yaml").text) == {}
    press(client, attempt, SLOPE, "backwards")
    press(client, attempt, RELU, "missed")
    answer = client.get("/export/examples.yaml")
    assert answer.headers["content-disposition"].startswith('attachment; filename="viva-examples-')
    found = yaml.safe_load(answer.text)
    assert found == {KEY: {"points": {SLOPE: {"ko": {"backwards": [tricky]}}, RELU: {"ko": {"missed": [PASSED]}}}}}
    file = tmp_path / f"{KEY}.yaml"
    file.write_text(yaml.safe_dump(found[KEY], allow_unicode=True), encoding="utf-8")
    assert set(read_examples(file, question).points) == {own.example for own in me.own_examples()}
    assert "/export/examples.yaml" in client.get("/settings").text and "your own words" in client.get("/settings").text


def test_the_terminal_prints_the_same_examples(store: Store, me: Learner, question: Question, home: Path, tmp_path: Path) -> None:
    nothing = viva("grading", "examples", home=home)
    assert nothing.returncode == 0 and yaml.safe_load(nothing.stdout) == {} and "corrected no mark yet" in nothing.stderr
    attempt = answered(me, question, sigmoid_slope=("made", EATEN))
    overrule(me, question, attempt, SLOPE, "backwards")
    tree = {"points": {SLOPE: {"ko": {"backwards": [EATEN]}}}}
    assert yaml.safe_load(viva("grading", "examples", home=home).stdout) == {KEY: tree}
    assert json.loads(viva("grading", "examples", "--format", "json", "--question", KEY, home=home).stdout) == tree
    file = tmp_path / "examples.yaml"
    file.write_text(viva("grading", "examples", "--question", KEY, home=home).stdout, encoding="utf-8")
    assert read_examples(file, question).points == (Example(SLOPE, "backwards", EATEN, "ko"),)
    assert viva("grading", "examples", "--question", "dropout", home=home).stdout == "points: {}\n"
    wrong = viva("grading", "examples", "--question", "dropuot", home=home)
    assert wrong.returncode == 1 and "Did you mean dropout" in wrong.stderr
