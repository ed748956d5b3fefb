"""Between the learner's data and the plain functions of ``study``: what pages and terminal both ask for.

No web framework here, so that ``viva practice`` starts as fast as it can.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from viva.bank import Bank
from viva.language import Language, Text
from viva.store import Attempt, Learner, Session
from viva.study.cards import Card
from viva.study.queue import Item
from viva.study.settings import StudySettings
from viva.study.schedule import effective_due
from viva.study.progress import most_missed_points

NEW_PER_DAY = 10
RETENTION = 0.9


def study_settings(learner: Learner, *, extra_new: int = 0) -> StudySettings:
    """The learner's settings as the scheduler wants them; ``extra_new`` allows more new questions just now."""
    kept = learner.settings()
    interview = kept.get("interview")
    return StudySettings(
        new_per_day=int(kept.get("new_per_day", NEW_PER_DAY)) + extra_new,
        interview=date.fromisoformat(str(interview)) if interview else None,
        retention=float(kept.get("retention", RETENTION)),
        utc_offset_minutes=round(_offset().total_seconds() / 60),
    )


def queue_items(bank: Bank) -> list[Item]:
    return [Item(question.key, question.topic, question.level, order) for order, question in enumerate(bank)]


def parse_interview(value: str) -> date:
    """The interview's date from a form.

    Raises:
        ValueError: not a date, or one in the past.
    """
    try:
        day = date.fromisoformat(value.strip())
    except ValueError:
        raise ValueError(f"'{value[:40]}' is not a date; write it as 2026-12-24") from None
    return day


def days_left(learner: Learner, moment: datetime) -> int | None:
    interview = study_settings(learner).interview
    if interview is None:
        return None
    return (interview - (moment + _offset()).date()).days


def new_today(learner: Learner, moment: datetime) -> int:
    """How many questions were reviewed for the first time since the learner's day began."""
    start = day_start(moment, study_settings(learner))
    return sum(1 for first in learner.first_reviews().values() if first >= start)


def day_start(moment: datetime, settings: StudySettings) -> datetime:
    offset = timedelta(minutes=settings.utc_offset_minutes)
    local = moment + offset - timedelta(hours=settings.day_start_hour)
    return moment - timedelta(hours=local.hour, minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


def next_due(cards: Mapping[str, Card], settings: StudySettings, moment: datetime) -> datetime | None:
    """When the next review comes up, where there is one ahead."""
    ahead = [due for card in cards.values() if (due := effective_due(card, settings, moment)) > moment]
    return min(ahead, default=None)


def weak_points(learner: Learner) -> dict[str, float]:
    """Per question, the share of its points that were missed or turned round at the last answer."""
    weak: dict[str, float] = {}
    for question, grade in learner.latest_grades().items():
        if grade.points:
            weak[question] = sum({"missed": 1.0, "backwards": 1.5, "partly": 0.5}.get(mark.status, 0.0) for mark in grade.points) / len(grade.points)
    return weak


def most_missed(learner: Learner, limit: int = 20) -> list[object]:
    return list(most_missed_points(learner.all_grades(), limit=limit))


def attempts_in(session: Session, learner: Learner) -> dict[str, Attempt]:
    """The newest attempt of each question of the session."""
    return {attempt.question: attempt for attempt in reversed(list(learner.attempts_in(session.id)))}


def attempt_in(session: Session, learner: Learner, key: str) -> Attempt | None:
    return attempts_in(session, learner).get(key)


def first_open(session: Session, learner: Learner) -> int | None:
    """The place (from 1) of the first question without an answer."""
    answered = attempts_in(session, learner)
    return next((place for place, key in enumerate(session.questions, 1) if key not in answered), None)


def seconds_left(session: Session, moment: datetime) -> float | None:
    """What is left of an exam's time; None where there is no limit."""
    if session.time_limit_seconds is None:
        return None
    return session.time_limit_seconds - (moment - session.started_at).total_seconds()


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


def by_topic(bank: Bank, keys: Iterable[str]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for key in keys:
        question = bank.get(key)
        if question is not None:
            counted[question.topic] = counted.get(question.topic, 0) + 1
    return counted


def _offset() -> timedelta:
    return datetime.now().astimezone().utcoffset() or timedelta(0)
