"""Second opinions on answers: kept beside the grades, which they leave as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import select

from viva.grading.opinion import Opinion
from viva.store.access import Access
from viva.store.clock import after, new_id
from viva.store.records import StoredOpinion, opinion_from
from viva.store.tables import attempts, opinions

JUDGE = "judge"
"""The learner's setting that says which judge to ask: an object, ``on`` in it."""


def switched_off(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``settings`` from a file, which must not switch a judge on: that is for whoever sits here to do."""
    if row["key"] != JUDGE:
        return dict(row)
    return {**row, "value": {**row["value"], "on": False} if isinstance(row["value"], dict) else {}}


class Opinions(Access):
    """The part of :class:`~viva.store.Learner` that keeps what other judges said."""

    def add_opinion(self, attempt: str, opinion: Opinion, score: float) -> StoredOpinion:
        """Keeps a second opinion for ever. Nothing is undone by undoing: it changes no grade and no card.

        Raises:
            StoreError: there is no such attempt.
        """
        with self._write() as connection:
            self._require(connection, attempts, attempt, "답", "answer")
            stored = StoredOpinion(
                id=new_id(),
                attempt=attempt,
                created_at=after(connection, opinions.c.created_at, opinions.c.attempt == attempt),
                score=score,
                opinion=opinion,
            )
            marks = {name: [asdict(mark) for mark in getattr(opinion, name)] for name in ("points", "refused")}
            connection.execute(
                opinions.insert().values(
                    id=stored.id,
                    attempt=attempt,
                    created_at=stored.created_at,
                    judge=opinion.judge[:255],
                    score=score,
                    seconds=opinion.seconds,
                    **marks,
                )
            )
            return stored

    def opinions_of(self, attempt: str) -> list[StoredOpinion]:
        """The second opinions on an attempt, newest first."""
        query = (
            select(opinions)
            .join(attempts, attempts.c.id == opinions.c.attempt)
            .where(attempts.c.learner == self.id, opinions.c.attempt == attempt)
            .order_by(opinions.c.created_at.desc(), opinions.c.id.desc())
        )
        with self._read() as connection:
            found = connection.execute(query).mappings().all()
        return [
            StoredOpinion(
                row["id"], row["attempt"], row["created_at"], row["score"], opinion_from(dict(row))
            )
            for row in found
        ]
