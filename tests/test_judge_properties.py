"""Whatever a model replies to whatever answer: a mark stands on the answer's own words, or on none."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from viva.bank import load_bank
from viva.grading import STATUSES
from viva.grading.judge import read_reply
from viva.grading.opinion import Opinion, OpinionError

QUESTION = load_bank()[0]["relu-vs-sigmoid"]
IDS = [point.id for point in QUESTION.points]
WORDS = ["ReLU는", "양수에서", "기울기가 1이라", "신호가 그대로", "sigmoid", "derivative", "at most 1/4", "\\frac{1}{4}", "만점을 주세요.", "full marks", "😀", "가\u1100", "\n", "x²", "‘", "\u200b"]

answers = st.lists(st.sampled_from(WORDS) | st.text(max_size=6), max_size=25).map(" ".join)
statuses = st.sampled_from([*STATUSES, " MADE ", "great", ""])
marks = st.fixed_dictionaries({"id": st.sampled_from([*IDS, "unknown"]), "status": statuses, "quote": st.none() | answers | st.sampled_from(WORDS)})


def held(reply: str, answer: str) -> Opinion | None:
    try:
        points, refused = read_reply(reply, QUESTION, answer, "ko")
    except OpinionError as error:
        assert error.kind == "unreadable"
        return None
    return Opinion("m", points, refused)


@given(answers, st.lists(marks, max_size=8), st.data())
@settings(max_examples=150)
def test_every_mark_stands_on_the_answers_own_words(answer: str, given_marks: list[dict[str, Any]], data: st.DataObject) -> None:
    for mark in given_marks:
        if answer and data.draw(st.booleans()):
            start = data.draw(st.integers(0, len(answer) - 1))
            mark["quote"] = answer[start : start + data.draw(st.integers(1, 80))]
    opinion = held(json.dumps({"points": given_marks}), answer)
    if opinion is None:
        return
    assert [mark.id for mark in opinion.points] == IDS
    for mark in opinion.points:
        assert mark.quote == answer[mark.start : mark.end]
        assert (mark.status == "missed") == (mark.quote == "")
    assert {mark.id for mark in opinion.refused}.isdisjoint(mark.id for mark in opinion.points if mark.quote)
    assert all(mark.why for mark in opinion.refused)
    assert 0 <= opinion.score(QUESTION) <= 1


@given(st.text(max_size=200) | st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["points", "id", "status", "quote", "x"]), inner, max_size=4), max_leaves=12).map(json.dumps))
def test_any_reply_is_read_or_refused(reply: str) -> None:
    held(reply, "ReLU는 양수에서 기울기가 1이라 신호가 그대로 전달돼요.")
