"""Between the learner's data and the plain functions of ``study``: what pages and terminal both ask for.

No web framework here, so that ``viva practice`` starts as fast as it can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache

from viva.bank import Bank, Question
from viva.grading import Grade, blank_grade
from viva.language import Language, Text
from viva.store import Attempt, Learner, Session
from viva.study.cards import Card
from viva.study.queue import Item
from viva.study.schedule import Horizon
from viva.study.settings import StudySettings

NEW_PER_DAY = 10
GRADES_LOOKED_AT = 5000
MOST_DAYS_AHEAD = 3 * 366
RETENTION = 0.9


def study_settings(learner: Learner, *, extra_new: int = 0) -> StudySettings:
    """The learner's settings as the scheduler wants them; ``extra_new`` allows more new questions just now."""
    kept = learner.settings()
    interview = kept.get("interview")
    return StudySettings(
        new_per_day=int(kept.get("new_per_day", NEW_PER_DAY)) + extra_new,
        interview=date.fromisoformat(str(interview)) if interview else None,
        retention=float(kept.get("retention", RETENTION)),
        utc_offset_minutes=round(local_offset().total_seconds() / 60),
        begun=date.fromisoformat(str(kept["begun"])) if interview and kept.get("begun") else None,
    )


@lru_cache(maxsize=4)
def queue_items(bank: Bank) -> list[Item]:
    """The bank's questions as the queue wants them; a bank never changes, so they are made once."""
    return [Item(question.key, question.topic, question.level, order) for order, question in enumerate(bank)]


class FormError(ValueError):
    """What was typed into a form cannot be used; ``text`` says why, in both languages."""

    def __init__(self, ko: str, en: str) -> None:
        self.text = Text(ko=ko, en=en)
        super().__init__(en)


def parse_interview(value: str, today: date) -> date:
    """The interview's date from a form.

    Raises:
        FormError: it is not a date, is over, or lies more than three years ahead.
    """
    shown = value.strip()[:40]
    try:
        day = date.fromisoformat(shown)
    except ValueError:
        raise FormError(f"'{shown}'은(는) 날짜가 아닙니다. {today.isoformat()}처럼 적어 주세요.", f"'{shown}' is not a date; write it like {today.isoformat()}.") from None
    if day < today:
        raise FormError(f"면접일 {shown}은 이미 지났습니다. 앞으로의 날짜를 적거나 비워 두세요.", f"The interview date {shown} is over; give one ahead, or none.")
    if (day - today).days > MOST_DAYS_AHEAD:
        raise FormError(f"면접일 {shown}이 너무 멉니다. 3년 안의 날짜를 적어 주세요.", f"The interview date {shown} is too far ahead; give one within three years.")
    return day


def parse_number(value: str, least: int, most: int, what: Text) -> int:
    """A whole number from a form.

    Raises:
        FormError: it is no whole number, or outside ``least``..``most``.
    """
    shown = value.strip()[:20]
    if shown.lstrip("+-").isdecimal() and least <= int(shown) <= most:
        return int(shown)
    raise FormError(
        f"{what.ko}: '{shown}'은(는) 쓸 수 없습니다. {least}부터 {most}까지의 수를 적어 주세요.",
        f"{what.en}: '{shown}' cannot be used; give a whole number from {least} to {most}.",
    )


def days_left(learner: Learner, moment: datetime) -> int | None:
    return study_settings(learner).days_left(moment)


def new_today(learner: Learner, moment: datetime) -> int:
    """How many questions were reviewed for the first time since the learner's day began."""
    settings = study_settings(learner)
    today = Counter(review.question for review in learner.reviews(since=settings.start_of(settings.day_of(moment))))
    # A question whose reviews are all of today was met today.
    return sum(1 for question, count in today.items() if (card := learner.card(question)) is not None and card.reviews == count)


def next_due(cards: Mapping[str, Card], settings: StudySettings, moment: datetime) -> datetime | None:
    """When the next review comes up, where there is one ahead."""
    horizon = Horizon(settings, moment)
    ahead = [due for card in cards.values() if (due := horizon.due(card)) > moment]
    return min(ahead, default=None)


def weak_points(learner: Learner) -> dict[str, float]:
    """Per question, the share of its points that were missed or turned round at the last answer."""
    costs = {"missed": 1.0, "backwards": 1.0, "partly": 0.5}
    return {
        question: sum(costs.get(mark.status, 0.0) for mark in grade.points) / len(grade.points)
        for question, grade in last_grades(learner).items() if grade.points
    }  # fmt: skip


def last_grades(learner: Learner) -> dict[str, Grade]:
    """The grade that counts of the newest answer to each question."""
    return {question: stored.grade for question, stored in reversed(learner.latest_grades(GRADES_LOOKED_AT))}


def rating_of(learner: Learner, attempt: str) -> int | None:
    review = learner.review_of(attempt)
    return review.rating if review else None


def grade_of(attempt: Attempt, question: Question) -> Grade:
    """The attempt's grade; all points missed where it was stored without one."""
    return attempt.grade or blank_grade(question)


def interview_values(day: date | None, today: date) -> dict[str, str | None]:
    """The settings of a new date for the interview, or of none: preparing for it begins ``today``."""
    if day is None:
        return {"interview": None}
    return {"interview": day.isoformat(), "begun": today.isoformat()}


def attempts_in(session: Session, learner: Learner) -> dict[str, Attempt]:
    """The newest attempt of each question of the session."""
    return {attempt.question: attempt for attempt in learner.attempts_in(session.id)}


def first_open(session: Session, learner: Learner) -> int | None:
    """The place (from 1) of the first question without an answer."""
    answered = attempts_in(session, learner)
    return next((place for place, key in enumerate(session.questions, 1) if key not in answered), None)


def unrated(session: Session, learner: Learner) -> Attempt | None:
    """The first answer of the session that was not rated yet."""
    return next((attempt for attempt in learner.attempts_in(session.id) if learner.review_of(attempt.id) is None), None)


def seconds_left(session: Session, moment: datetime) -> float | None:
    """What is left of an exam's time; None where there is no limit."""
    if session.time_limit_seconds is None:
        return None
    return session.time_limit_seconds - (moment - session.started_at).total_seconds()


def exam_goes_on(session: Session, learner: Learner, moment: datetime) -> bool:
    """Whether ``session`` is an exam with time and questions left: its answers stay closed until then."""
    left = seconds_left(session, moment)
    return session.mode == "exam" and session.finished_at is None and (left or 0) > 0 and first_open(session, learner) is not None


def own_path(value: str) -> str:
    """``value`` where it is a path of this site, else the front page: a form must not lead elsewhere."""
    if value.startswith("/") and not value.startswith("//") and "\\" not in value and value.isprintable():
        return value
    return "/"


def no_question(language: Language, key: str) -> str:
    shown = key[:80]
    return Text(
        ko=f"'{shown}'라는 질문이 없습니다. 목차에서 찾아보세요.", en=f"There is no question '{shown}'. Look for it in the outline."
    ).get(language)


def local_offset() -> timedelta:
    """The machine's offset from UTC now; the learner's day is this machine's day."""
    return datetime.now().astimezone().utcoffset() or timedelta(0)
