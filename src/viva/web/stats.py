"""The numbers of the progress page and of ``viva stats``, gathered once for both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from viva.bank import Bank
from viva.language import Language
from viva.store import Learner
from viva.study import progress
from viva.study.plan import plan_days
from viva.study.schedule import REVIEW_STATE
from viva.web import desk

DAYS_SHOWN = 28
MISSED_SHOWN = 15
DAYS_LOOKED_AT = 400


@dataclass(frozen=True)
class Stats:
    """What the learner has done and what is ahead; all counts are of questions, reviews or seconds."""

    reviews: int
    answers: int
    seconds: float
    streak: int
    true_retention: float | None
    by_day: list[Any]
    ahead: Any
    days_left: int | None
    topics: list[dict[str, Any]]
    missed: list[dict[str, Any]]


def collect(learner: Learner, bank: Bank, moment: datetime) -> Stats:
    """Everything the progress page shows, for the learner's days as this machine's clock counts them."""
    settings = desk.study_settings(learner)
    cards = {key: card for key, card in learner.cards().items() if key in bank}
    # A year and a bit is what the page shows; a learner of ten years should not wait for the other nine.
    reviews = learner.reviews(since=moment - timedelta(days=DAYS_LOOKED_AT))
    # Right after an answer everybody remembers it; recall says something from the first review on another day.
    known = {key: card for key, card in cards.items() if card.state == REVIEW_STATE}
    coverage = progress.coverage_by_topic(desk.queue_items(bank), cards)
    retention = progress.retention_by_topic(desk.queue_items(bank), known, moment, settings.retention)
    topics = [
        {"topic": topic, "seen": coverage[topic.id].seen, "total": coverage[topic.id].total, "retention": retention.get(topic.id)}
        for topic in bank.topics
    ]
    missed: list[dict[str, Any]] = []
    for entry in progress.most_missed_points(((key, stored.grade) for key, stored in learner.latest_grades(desk.GRADES_LOOKED_AT)), limit=MISSED_SHOWN * 3):
        question = bank.get(entry.question)
        point = next((p for p in question.points if p.id == entry.point), None) if question else None
        if question and point:
            missed.append({"question": question, "point": point, "missed": entry.missed, "asked": entry.asked, "last": entry.last_status})
    totals = learner.totals()
    # A point missed at its only chance says little, as long as there are points that were missed twice.
    missed = [row for row in missed if row["asked"] > 1] or missed
    return Stats(
        reviews=totals.reviews,
        answers=totals.answers,
        seconds=totals.seconds,
        streak=progress.streak(reviews, moment, settings),
        true_retention=progress.true_retention(reviews),
        by_day=progress.reviews_by_day(reviews, moment, settings, days=DAYS_SHOWN),
        ahead=plan_days(desk.queue_items(bank), cards, moment, settings, new_today=desk.new_today(learner, moment)),
        days_left=settings.days_left(moment),
        topics=topics,
        missed=missed[:MISSED_SHOWN],
    )


def as_json(stats: Stats, language: Language = "en") -> dict[str, Any]:
    """``viva stats --json``."""
    return {
        "reviews": stats.reviews,
        "answers": stats.answers,
        "seconds": round(stats.seconds, 1),
        "streak_days": stats.streak,
        "true_retention": stats.true_retention,
        "days_left": stats.days_left,
        "reviews_by_day": [{"date": day.date.isoformat(), "again": day.again, "hard": day.hard, "good": day.good, "easy": day.easy} for day in stats.by_day],
        "plan": [{"date": day.date.isoformat(), "due": day.due, "new": day.new, "final": day.final} for day in stats.ahead.days],
        "topics": [
            {"topic": row["topic"].id, "title": row["topic"].title.get(language), "seen": row["seen"], "total": row["total"], "retention": row["retention"]}
            for row in stats.topics
        ],
        "missed_points": [
            {"question": row["question"].key, "point": row["point"].id, "text": row["point"].text.get(language), "missed": row["missed"], "asked": row["asked"]}
            for row in stats.missed
        ],
    }
