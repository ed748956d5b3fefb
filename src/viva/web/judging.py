"""Second opinions behind the pages: which judge the learner set up, and the errands that are under way.

No web framework here: the terminal asks the same things.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

from viva.bank import Question
from viva.bank.schema import Cues, Point
from viva.grading import Grade, PointMark
from viva.grading.judge import LanguageModelJudge
from viva.grading.language_model import (
    KNOWN,
    ModelSettings,
    address,
    how_to_install,
    installed,
    parse_settings,
    time_limit,
)
from viva.grading.normaliser import MAX_CHARACTERS
from viva.grading.opinion import OpinionError
from viva.language import Language, Text
from viva.store import Attempt, Learner
from viva.store.opinions import JUDGE

log = logging.getLogger("viva")
AT_ONCE = 4
"""So many errands run at the same time; each holds a thread and a connection."""
KEPT = 200
TRY = "try"
"""The errand that tries the settings."""

_BUSY = Text(
    ko="지금 묻고 있는 다른 의견이 많아요. 하나가 끝나면 다시 눌러 주세요.", en="Too many opinions are being asked for just now. Press again when one is there."
)
_BROKEN = Text(ko="다른 의견을 묻다가 예상하지 못한 문제가 생겼어요. 다시 눌러 주세요.", en="Something unexpected went wrong while asking. Press again.")

SAMPLE = Question(
    id="try-the-judge",
    topic="activations",
    question=Text(ko="소프트맥스는 무엇을 하나요?", en="What does softmax do?"),
    points=(
        Point(
            id="probabilities",
            text=Text(ko="점수를 합이 1인 확률로 바꾼다", en="It turns scores into probabilities that sum to 1"),
            cues=Cues(ko=("확률 + 합 + 1",), en=("probabilities + sum + 1",)),
        ),
        Point(
            id="exponential",
            text=Text(ko="지수 함수를 써서 큰 점수를 더 키운다", en="It uses exponentials, which favour the largest score"),
            cues=Cues(ko=("지수 + 점수",), en=("exponential + score",)),
        ),
    ),
)
SAMPLE_ANSWER = Text(ko="소프트맥스는 점수를 모두 더하면 1이 되는 확률로 바꿉니다.", en="Softmax turns the scores into probabilities, and these sum to 1.")


def kept(learner: Learner) -> dict[str, Any]:
    """The judge's setting as it is stored, on or off; empty where there is none that can be read."""
    value = learner.settings().get(JUDGE)
    if not isinstance(value, dict):
        return {}
    return {name: value[name] for name in ("provider", "model", "base_url") if isinstance(value.get(name), str)} | {"on": value.get("on") is True}


def chosen(learner: Learner) -> ModelSettings | None:
    """The judge to ask; None where none is set up, or it is switched off."""
    setting = kept(learner)
    if not setting.get("on"):
        return None
    try:
        return parse_settings(setting.get("provider", ""), setting.get("model", ""), setting.get("base_url", ""))
    except OpinionError:  # the page of the settings says why when it is saved again
        return None


def keep(learner: Learner, settings: ModelSettings | None) -> None:
    """Sets up a judge and switches it on, or (None) switches the one there is off; undoable."""
    before = kept(learner)
    if settings is None and not before:
        return
    value = {**before, "on": False} if settings is None else {**settings.to_json(), "on": True}
    learner.set_setting(JUDGE, value, Text(ko="다른 의견 설정 바꾸기", en="change of the second opinion"))


class Ending(NamedTuple):
    """What the last errand had to say."""

    text: Text
    failed: bool


class Errands:
    """What is being asked for, by key: one errand for a key at a time, and how the last one ended. Safe to share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[None]] = {}
        self._ended: dict[str, Ending] = {}

    def is_under_way(self, key: str) -> bool:
        with self._lock:
            return key in self._under_way

    def ended(self, key: str) -> Ending | None:
        """How the last errand for ``key`` ended; None where it had nothing to say, or one is under way."""
        with self._lock:
            return None if key in self._under_way else self._ended.get(key)

    def run(self, key: str, work: Callable[[], Text | None]) -> Future[None]:
        """Runs ``work`` in a thread of its own; done when it has ended. While one for ``key`` is under way, that one.

        What ``work`` returns, or the sentence of the :class:`OpinionError` that it raises, is what :meth:`ended` gives.
        """
        with self._lock:
            running = self._under_way.get(key)
            if running is not None:
                return running
            done: Future[None] = Future()
            if len(self._under_way) >= AT_ONCE:
                self._say(key, Ending(_BUSY, failed=True))
                done.set_result(None)
                return done
            self._under_way[key] = done
        # A daemon: a model that is slow to answer does not keep Viva from closing.
        threading.Thread(target=self._work, args=(key, work, done), name="viva-opinion", daemon=True).start()
        return done

    def _work(self, key: str, work: Callable[[], Text | None], done: Future[None]) -> None:
        try:
            said = work()
            ending = None if said is None else Ending(said, failed=False)
        except OpinionError as error:
            ending = Ending(error.text, failed=True)
        except Exception:
            log.exception("asking for a second opinion failed")
            ending = Ending(_BROKEN, failed=True)
        with self._lock:
            self._say(key, ending)
            del self._under_way[key]
        done.set_result(None)

    def _say(self, key: str, ending: Ending | None) -> None:
        self._ended.pop(key, None)
        if ending is not None:
            self._ended[key] = ending
            while len(self._ended) > KEPT:
                del self._ended[next(iter(self._ended))]


def fetch(learner: Learner, settings: ModelSettings, attempt: Attempt, question: Question) -> None:
    """Asks for an opinion on ``attempt`` and keeps it.

    Raises:
        OpinionError: there is none this time.
    """
    opinion = LanguageModelJudge(settings).judge(question, attempt.text, attempt.language)
    learner.add_opinion(attempt.id, opinion, opinion.score(question))


def try_out(settings: ModelSettings, language: Language) -> Text:
    """Asks about a made-up answer to a made-up question; what came of it.

    Raises:
        OpinionError: nothing did.
    """
    opinion = LanguageModelJudge(settings).judge(SAMPLE, SAMPLE_ANSWER.get(language), language)
    said = sum(mark.status == "made" for mark in opinion.points)
    return Text(
        ko=f"잘 돼요. {opinion.judge}에서 {opinion.seconds:.1f}초 만에 답했어요. 지어낸 답에서 요점 {len(opinion.points)}개 가운데 {said}개를 말했다고 해요(하나면 알맞아요).",
        en=f"It works: {opinion.judge} answered in {opinion.seconds:.1f} s. In the made-up answer it found {said} of {len(opinion.points)} points (one is right).",
    )


def on_answer(learner: Learner, errands: Errands, attempt: Attempt, question: Question, grade: Grade, *, failed: bool = False) -> dict[str, Any] | None:
    """What the reveal shows of second opinions; None where there is neither one nor a judge to ask.

    ``failed`` asks for the sentence that the last errand ended with.
    """
    settings = chosen(learner) if attempt.way == "text" and attempt.text.strip() and question.points else None
    stored = learner.opinions_of(attempt.id)
    if settings is None and not stored:
        return None
    newest = stored[0] if stored else None
    return {
        "newest": newest,
        "count": len(stored),
        "marks": {mark.id: mark for mark in newest.opinion.points} if newest else {},
        "refused": {mark.id: mark for mark in newest.opinion.refused} if newest else {},
        "unfounded": sum(mark.status != "missed" for mark in newest.opinion.refused) if newest else 0,
        "differ": _differences(newest.opinion.points, grade) if newest else 0,
        "ask": settings,
        "address": address(settings) if settings else None,
        "cut": MAX_CHARACTERS if len(attempt.text) > MAX_CHARACTERS else None,
        "waiting": errands.is_under_way(attempt.id),
        "trouble": ended.text if failed and (ended := errands.ended(attempt.id)) else None,
        "limit": _limit() if settings else None,
    }


def in_settings(learner: Learner, errands: Errands, *, tried: bool = False, typed: dict[str, str] | None = None) -> dict[str, Any]:
    """What the settings page shows: the fields, as ``typed`` where they were refused, and where requests would go."""
    settings = chosen(learner)
    return {
        "fields": typed or kept(learner),
        "on": typed is not None or settings is not None,
        "ask": settings,
        "address": address(settings) if settings else None,
        "known": KNOWN,
        "install": None if installed() else how_to_install(),
        "tried": errands.ended(TRY) if tried else None,
        "limit": _limit(),
    }


def _limit() -> float | None:
    try:
        return time_limit()
    except OpinionError:  # said when somebody asks
        return None


def _differences(points: tuple[PointMark, ...], grade: Grade) -> int:
    given = {mark.id: mark.status for mark in grade.points}
    return sum(given.get(mark.id, "missed") != mark.status for mark in points)
