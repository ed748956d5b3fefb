"""Grading, claim by claim: what is made, half made, missed and said backwards, and what follows from it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from viva.bank import Question
from viva.bank.schema import Cues, Misconception, Point
from viva.grading import Grade, blank_grade, grade, regrade
from viva.language import Text

QUESTION = Question(
    id="relu-or-sigmoid",
    topic="activations",
    question=Text(ko="은닉층에서 시그모이드 대신 ReLU를 쓰는 이유는 무엇인가요?", en="Why do hidden layers use ReLU rather than the sigmoid?"),
    answer=Text(
        ko="시그모이드의 도함수는 아무리 커도 $\\frac{1}{4}$이어서 층이 쌓이면 신호가 줄어듭니다. ReLU는 켜진 쪽에서 도함수가 1이라 신호가 줄지 않습니다. 대신 죽은 ReLU가 생길 수 있습니다.",
        en="The sigmoid's derivative is never more than $1/4$, so the signal shrinks with depth. Where ReLU is on, its derivative is 1 and the signal does not shrink. The price is the dead ReLU.",
    ),
    points=(
        Point(
            id="sigmoid-slope",
            weight=3,
            text=Text(ko="시그모이드의 도함수는 최대 1/4이다", en="The sigmoid's derivative is at most 1/4"),
            cues=Cues(
                ko=("시그모이드 + 도함수 | 미분 | 기울기 + 1/4 | 4분의 1", "σ(1-σ) + 최대 | 이하"),
                en=("sigmoid + derivative | slope | gradient + 1/4 | quarter", "σ(1-σ) + at most | maximum"),
            ),
            opposite=Cues(ko=("시그모이드 + 기울기 | 도함수 + 항상 1",), en=("sigmoid + gradient | derivative + always 1",)),
        ),
        Point(
            id="relu-keeps",
            weight=2,
            text=Text(ko="ReLU는 켜진 쪽에서 신호를 줄이지 않는다", en="Where ReLU is on it does not shrink the signal"),
            cues=Cues(ko=("ReLU + 신호 | 기울기 + 줄지 않 | 유지 | 그대로",), en=("ReLU + signal | gradient + does not shrink | keeps",)),
        ),
        Point(
            id="dead",
            weight=1,
            text=Text(ko="죽은 ReLU가 생길 수 있다", en="ReLU units can die"),
            cues=Cues(ko=("죽은 ReLU | 죽은 뉴런",), en=("dead ReLU | dying ReLU",)),
        ),
    ),
    misconceptions=(
        Misconception(
            id="bounded-output",
            text=Text(ko="출력이 0과 1 사이로 막혀 있어서 기울기가 작다", en="The gradient is small because the output is bounded"),
            correction=Text(ko="원인은 도함수의 크기입니다.", en="The size of the derivative is the cause."),
            cues=Cues(
                ko=("출력 + 0과 1 사이 | 제한 | 막혀 + 때문 | 그래서 | 있어서",),
                en=("output + bounded | between 0 and 1 + because | so the gradient",),
            ),
        ),
    ),
)


def marks(answer: str, language: str = "ko") -> dict[str, str]:
    return {mark.id: mark.status for mark in grade(QUESTION, answer, language).points}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "answer",
    [
        "시그모이드의 도함수는 최대 1/4입니다.",
        "시그모이드는 미분하면 기껏해야 0.25예요.",
        "시그모이드 미분값은 아무리 커봤자 4분의 1이라 금방 작아져요.",
        "sigmoid의 gradient가 아무리 커도 ¼밖에 안 됩니다.",
        "씨그모이드는 그래디언트가 커 봐야 25%라서 문제예요.",
        "σ(1−σ)는 최대 0.25이하예요.",
        "시그모이드 함수는 문제가 있어요. 기울기가 1/4을 넘지 못하거든요.",
        "The sigmoid's slope is a quarter at best.",
        "Sigmoid derivatives are at most $\\frac{1}{4}$.",
        "I think that sigma'(x) = sigma(x)(1 - sigma(x)) has its maximum at zero.",
    ],
)
def test_a_point_is_made_in_any_wording_script_or_notation(answer: str) -> None:
    assert marks(answer)["sigmoid-slope"] == "made"


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("answer_language", ["ko", "en"])
def test_the_model_answer_makes_every_point_in_either_session(language: str, answer_language: str) -> None:
    result = grade(QUESTION, QUESTION.answer.get(answer_language), language)  # type: ignore[arg-type,union-attr]
    assert [mark.status for mark in result.points] == ["made"] * 3
    assert result.misconceptions == ()
    assert result.score == 1.0


def test_ideas_in_neighbouring_sentences_belong_together_and_distant_ones_do_not() -> None:
    assert marks("시그모이드를 보면요. 도함수가 1/4 이하예요.")["sigmoid-slope"] == "made"
    far = "시그모이드를 보면요. 은닉층이 있습니다. 학습이 됩니다. 비용이 듭니다. 무엇이든 도함수가 1/4 이하예요."
    assert marks(far)["sigmoid-slope"] == "partly"


def test_half_of_the_ideas_make_a_point_partly_and_the_reason_names_what_is_open() -> None:
    mark = grade(QUESTION, "시그모이드는 도함수가 작아지는 것이 문제입니다.", "ko").points[0]
    assert mark.status == "partly"
    assert "1/4" in mark.why and "도함수" in mark.why


def test_a_missed_point_has_no_quote() -> None:
    mark = grade(QUESTION, "잘 모르겠습니다만 계산이 편한 것 같습니다.", "ko").points[2]
    assert (mark.status, mark.quote, mark.start, mark.end) == ("missed", "", 0, 0)


@pytest.mark.parametrize(
    ("answer", "language"),
    [
        ("시그모이드의 도함수는 최대 1/4이 아닙니다.", "ko"),
        ("시그모이드의 기울기는 항상 1이에요.", "ko"),
        ("The derivative of the sigmoid is not 1/4.", "en"),
        ("The sigmoid's gradient is always 1.", "en"),
    ],
)
def test_a_denied_or_reversed_point_is_backwards(answer: str, language: str) -> None:
    assert marks(answer, language)["sigmoid-slope"] == "backwards"


@pytest.mark.parametrize(
    ("answer", "language"),
    [("ReLU에서는 신호가 줄어듭니다.", "ko"), ("With ReLU the signal does shrink at every layer.", "en")],
)
def test_leaving_out_the_not_of_a_cue_is_backwards(answer: str, language: str) -> None:
    assert marks(answer, language)["relu-keeps"] == "backwards"


@pytest.mark.parametrize(
    "answer",
    [
        "시그모이드의 도함수는 1이 아니라 최대 1/4입니다.",
        "The sigmoid's derivative is never more than 1/4.",
        "The sigmoid's derivative is no larger than 1/4.",
        "시그모이드는 도함수가 1/4뿐만 아니라 포화되면 더 작아집니다.",
    ],
)
def test_negations_of_something_else_leave_the_point_made(answer: str) -> None:
    assert marks(answer)["sigmoid-slope"] == "made"


def test_a_point_said_backwards_in_one_place_and_right_in_another_is_made() -> None:
    answer = "시그모이드의 기울기는 항상 1이라고 하는 사람도 있습니다. 저는 다르게 봅니다. 시그모이드의 도함수는 최대 1/4입니다."
    assert marks(answer)["sigmoid-slope"] == "made"


@pytest.mark.parametrize(
    ("answer", "language"),
    [
        ("시그모이드는 출력이 0과 1 사이로 제한되어 있기 때문에 기울기가 작습니다.", "ko"),
        ("Its output is bounded, so the gradient is tiny.", "en"),
    ],
)
def test_a_misconception_is_named_and_quoted(answer: str, language: str) -> None:
    (mark,) = grade(QUESTION, answer, language).misconceptions  # type: ignore[arg-type]
    assert mark.id == "bounded-output"
    assert mark.quote and mark.quote == answer[mark.start : mark.end]


@pytest.mark.parametrize(
    ("answer", "language"),
    [
        ("출력이 0과 1 사이로 막혀서가 아니라 도함수가 작아서 그렇습니다.", "ko"),
        ("출력이 0과 1 사이로 제한되어 있기 때문이 아니라 도함수 때문입니다.", "ko"),
        ("출력이 0과 1 사이로 제한되어 있기 때문이라는 말은 오해입니다.", "ko"),
        ("It is not because the output is bounded.", "en"),
        ("People say it is because the output is bounded, which is a myth.", "en"),
        ("Is it because the output is bounded?", "en"),
    ],
)
def test_denying_or_asking_about_a_misconception_is_not_making_it(answer: str, language: str) -> None:
    assert grade(QUESTION, answer, language).misconceptions == ()  # type: ignore[arg-type]


def test_a_quote_is_a_verbatim_slice_even_where_the_answer_had_to_be_normalised() -> None:
    answer = "음…\u200b 시그\u200b모이드의 도함수는\u3000최대 ¼ 입니다！ ReLU 는 신호를 유지해요."
    for mark in grade(QUESTION, answer, "ko").points[:2]:
        assert mark.status == "made"
        assert mark.quote == answer[mark.start : mark.end]
    assert "시그\u200b모이드" in grade(QUESTION, answer, "ko").points[0].quote


def test_a_copy_of_the_model_answer_earns_hard_at_most() -> None:
    assert QUESTION.answer is not None
    for text in (QUESTION.answer.ko, QUESTION.answer.en):
        assert text is not None
        result = grade(QUESTION, text.replace(".", " ,").replace("  ", " "), "ko")
        assert result.copied and result.rating == 2


def test_an_answer_in_own_words_is_no_copy_and_can_be_easy() -> None:
    answer = (
        "제 생각엔 시그모이드는 미분해 봐야 0.25가 한계라서 깊어질수록 앞쪽까지 전해지는 양이 거의 없어져요. "
        "렐루는 양수 쪽이면 기울기를 그대로 흘려보내니까 유지가 되죠. 물론 죽은 뉴런 문제는 있습니다."
    )
    result = grade(QUESTION, answer, "ko")
    assert not result.copied
    assert (result.score, result.rating) == (1.0, 4)


def test_the_score_is_the_weighted_mean_and_backwards_costs_a_quarter() -> None:
    one_made = grade(QUESTION, "시그모이드의 도함수는 최대 1/4입니다.", "ko")
    assert one_made.score == pytest.approx(3 / 6)
    and_backwards = grade(QUESTION, "시그모이드의 도함수는 최대 1/4입니다. ReLU를 쓰면 신호가 줄어듭니다.", "ko")
    assert and_backwards.score == pytest.approx((3 - 0.25 * 2) / 6, abs=1e-3)


def test_regrading_takes_the_learners_marks_and_keeps_the_quotes() -> None:
    first = grade(QUESTION, "시그모이드의 도함수는 최대 1/4입니다.", "ko")
    second = regrade(QUESTION, first, {"relu-keeps": "made", "dead": "partly"})
    assert second.grader == "learner"
    assert second.score == pytest.approx((3 + 2 + 0.5) / 6, abs=1e-3)
    assert second.rating == 4
    assert second.points[0] == first.points[0]
    third = regrade(QUESTION, second, {"sigmoid-slope": "missed"})
    assert (third.points[0].quote, third.points[0].start, third.points[0].end) == ("", 0, 0)


def test_regrading_a_copy_can_lift_or_keep_the_limit() -> None:
    blank = blank_grade(QUESTION)
    everything = dict.fromkeys(("sigmoid-slope", "relu-keeps", "dead"), "made")
    assert regrade(QUESTION, blank, everything, copied=True).rating == 2  # type: ignore[arg-type]
    assert regrade(QUESTION, blank, everything, copied=False).rating == 4  # type: ignore[arg-type]


def test_a_blank_grade_misses_everything_and_can_be_marked_by_hand() -> None:
    blank = blank_grade(QUESTION)
    assert blank == Grade(0.0, blank.points, grader="unmarked")
    assert {mark.status for mark in blank.points} == {"missed"}
    assert regrade(QUESTION, blank, {"dead": "made"}).score == pytest.approx(1 / 6, abs=1e-3)


@pytest.mark.parametrize("statuses", [{"no-such-point": "made"}, {"dead": "perfect"}])
def test_regrading_refuses_unknown_points_and_marks_by_name(statuses: dict[str, str]) -> None:
    wrong = next(iter(statuses)) if "no-such-point" in statuses else "perfect"
    with pytest.raises(ValueError, match=wrong):
        regrade(QUESTION, blank_grade(QUESTION), statuses)  # type: ignore[arg-type]


def test_an_imported_sentence_is_matched_by_most_of_its_content_words() -> None:
    sentence = "드롭아웃은 학습 중에 뉴런을 무작위로 꺼서 과적합을 줄이는 정규화 기법이다"
    imported = Question(
        id="dropout",
        topic="mine",
        question=Text(ko="드롭아웃이란?"),
        points=(Point(id="p1", text=Text(ko=sentence), cues=Cues(ko=(sentence,))),),
        pack="mine",
    )

    def status(answer: str) -> str:
        return grade(imported, answer, "ko").points[0].status

    assert status("드랍아웃은 학습할 때 뉴런을 랜덤하게 끄는 정규화로, 과적합을 감소시켜요.") == "made"
    assert status("드롭아웃은 학습할 때 뉴런을 무작위로 끄는 방법이에요.") == "partly"
    assert status("배치마다 평균과 분산을 맞추는 방법이에요.") == "missed"


def test_many_threads_get_the_grade_that_one_gets() -> None:
    answers = ["시그모이드의 도함수는 최대 1/4입니다.", "ReLU는 신호를 유지합니다.", "The sigmoid's slope is a quarter at best."] * 8
    alone = [grade(QUESTION, answer, "ko") for answer in answers]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda answer: grade(QUESTION, answer, "ko"), answers)) == alone


def test_the_reason_speaks_the_sessions_language() -> None:
    answer = "The sigmoid's slope is a quarter at best."
    assert grade(QUESTION, answer, "en").points[0].why.startswith("Found")
    assert grade(QUESTION, answer, "ko").points[0].why.startswith("찾은 말")
