"""The JSON shapes that the API and the terminal share. They are documented in the README and do not change lightly."""

from __future__ import annotations

from typing import Any

from viva.bank import Question
from viva.grading import Grade
from viva.language import Text
from viva.store import Attempt


def question(entry: Question, *, whole: bool = False) -> dict[str, Any]:
    """A question; with ``whole`` its model answer and misconceptions too."""
    shape: dict[str, Any] = {
        "id": entry.key,
        "seed": entry.seed,
        "topic": entry.topic,
        "level": entry.level,
        "question": _text(entry.question),
        "points": [{"id": point.id, "weight": point.weight, "text": _text(point.text)} for point in entry.points],
        "claims": [{"id": claim.id, "text": _text(claim.text), "kind": claim.kind, "lab": claim.lab} for claim in entry.claims],
        "follow_ups": [{"id": follow_up.id, "text": _text(follow_up.text)} for follow_up in entry.follow_ups],
    }
    if whole:
        shape["answer"] = _text(entry.answer) if entry.answer else None
        shape["misconceptions"] = [
            {"id": wrong.id, "text": _text(wrong.text), "correction": _text(wrong.correction)} for wrong in entry.misconceptions
        ]
    return shape


def grade(given: Grade) -> dict[str, Any]:
    """A grade; ``rating`` is the suggested one, 1 again to 4 easy."""
    return {
        "score": round(given.score, 4),
        "points": [
            {"id": mark.id, "status": mark.status, "quote": mark.quote, "confidence": mark.confidence, "why": mark.why} for mark in given.points
        ],
        "misconceptions": [{"id": mark.id, "quote": mark.quote, "confidence": mark.confidence} for mark in given.misconceptions],
        "copied": given.copied,
        "rating": given.rating,
    }


def attempt(kept: Attempt) -> dict[str, Any]:
    return {
        "id": kept.id,
        "question": kept.question,
        "language": kept.language,
        "way": kept.way,
        "text": kept.text,
        "seconds": kept.seconds,
        "created_at": kept.created_at.isoformat(),
    }


def _text(text: Text) -> dict[str, str | None]:
    return {"ko": text.ko, "en": text.en}
