"""Answering: attempts, their grades, the ratings and the cards that follow from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from viva.grading import Grade
from viva.language import Language, Text
from viva.store import answers, examples, scheduling, undo
from viva.store.access import Access
from viva.store.clock import after, new_id, now, utc
from viva.store.errors import StoreError
from viva.store.examples import OwnExample
from viva.store.records import Attempt, StoredGrade, StoredReview, Totals, Way, grade_fields
from viva.store.retracting import effective, retract_all
from viva.store.tables import attempts, reviews, sessions
from viva.study.cards import Card, Rating, Review


class Practice(Access):
    """The part of :class:`~viva.store.Learner` that one question's journey runs through."""

    # Attempts and grades

    def add_attempt(
        self,
        *,
        question: str,
        language: Language,
        way: Way = "text",
        text: str = "",
        ink: Any = None,
        seconds: float | None = None,
        session: str | None = None,
        grade: Grade | dict[str, Any] | None = None,
        id: str | None = None,
    ) -> Attempt:
        """Keeps an answer for ever. ``id`` is the sender's key: sent twice, the answer is stored once and returned.

        ``seconds`` is how long the answer took; ``grade``, if any, is stored in the same transaction.

        Raises:
            StoreError: another answer has this id, the session is unknown, or a value cannot be stored.
        """
        given = answers.attempt_values(
            {
                "id": id or new_id(),
                "learner": self.id,
                "session": session,
                "question": question,
                "language": language,
                "way": way,
                "text": text,
                "ink": ink,
                "seconds": seconds,
            }
        )
        fields = None if grade is None else grade_fields(grade)
        with self._write() as connection:
            stored = (
                connection.execute(select(attempts).where(attempts.c.id == given["id"])).mappings().first()
            )
            if stored is not None:
                if not answers.same(stored, given):
                    raise StoreError(
                        ko=f"id가 {given['id']}인 다른 답이 이미 저장되어 있어요. 새 id로 다시 보내 주세요.",
                        en=f"Another answer is already stored under the id {given['id']}; send this one with a new id.",
                    )
            else:
                if session is not None:
                    self._require(connection, sessions, session, "세션", "session")
                at = after(
                    connection,
                    attempts.c.created_at,
                    attempts.c.learner == self.id,
                    attempts.c.question == question,
                )
                connection.execute(attempts.insert().values(created_at=at, **given))
                if fields is not None:
                    answers.insert_grade(connection, given["id"], fields)
            return answers.read_attempts(connection, self.id, attempts.c.id == given["id"])[0]

    def attempt(self, id: str) -> Attempt | None:
        with self._read() as connection:
            found = answers.read_attempts(connection, self.id, attempts.c.id == id)
        return found[0] if found else None

    def attempts_of(self, question: str, limit: int | None = None) -> list[Attempt]:
        """The answers to a question, newest first, each with the grade that counts."""
        with self._read() as connection:
            return answers.read_attempts(connection, self.id, attempts.c.question == question, limit=limit)

    def attempts_in(self, session: str) -> list[Attempt]:
        """The answers given in a session, oldest first."""
        with self._read() as connection:
            return answers.read_attempts(connection, self.id, attempts.c.session == session)[::-1]

    def attempt_counts(self) -> dict[str, int]:
        """How many answers each question has."""
        query = select(attempts.c.question, func.count()).where(
            attempts.c.learner == self.id, effective(attempts)
        )
        with self._read() as connection:
            return {
                question: count for question, count in connection.execute(query.group_by(attempts.c.question))
            }

    def totals(self) -> Totals:
        """How many answers and reviews count, and the seconds spent on answering."""
        mine = (attempts.c.learner == self.id, effective(attempts))
        answered = select(func.count(), func.coalesce(func.sum(attempts.c.seconds), 0.0)).where(*mine)
        reviewed = select(func.count()).select_from(reviews).where(reviews.c.learner == self.id, effective(reviews))
        with self._read() as connection:
            count, seconds = connection.execute(answered).one()
            return Totals(int(count), float(seconds), connection.scalar(reviewed) or 0)

    def add_grade(
        self,
        attempt: str,
        grade: Grade | dict[str, Any],
        grader: str | None = None,
        label: Text | None = None,
    ) -> StoredGrade:
        """Adds a grade, which counts from now on; undoable.

        Raises:
            StoreError: there is no such attempt.
        """
        return self.add_grades({attempt: grade}, grader, label)[0]

    def add_grades(
        self,
        given: Mapping[str, Grade | dict[str, Any]],
        grader: str | None = None,
        label: Text | None = None,
    ) -> list[StoredGrade]:
        """Adds a grade to each of these attempts, all or none; undoable in one step.

        Raises:
            StoreError: there is no such attempt.
        """
        fields = {attempt: grade_fields(grade, grader) for attempt, grade in given.items()}
        label = label or Text(ko="채점 고치기", en="change of marks")
        with self._write() as connection:
            stored: list[StoredGrade] = []
            for attempt, values in fields.items():
                self._require(connection, attempts, attempt, "답", "answer")
                stored.append(answers.insert_grade(connection, attempt, values))
            moves = [{"move": "add", "table": "grades", "id": kept.id} for kept in stored]
            undo.record(connection, self.id, "grade", label, moves)
            return stored

    def first_grades(self, ids: Iterable[str]) -> dict[str, Grade]:
        """What the grader said of each of these attempts before its marks were overruled."""
        with self._read() as connection:
            return examples.first_grades(connection, self.id, ids)

    def own_examples(self, question: str | None = None) -> list[OwnExample]:
        """What the learner's overruled marks say of words, at ``question`` or at all, newest first: one query."""
        with self._read() as connection:
            return examples.read_examples(connection, self.id, question)

    def current_grade(self, attempt: str) -> StoredGrade | None:
        with self._read() as connection:
            mine = select(attempts.c.id).where(attempts.c.learner == self.id, attempts.c.id == attempt)
            return answers.current_grades(connection, connection.scalars(mine)).get(attempt)

    def latest_grades(
        self, limit: int = 1000, since: datetime | None = None
    ) -> list[tuple[str, StoredGrade]]:
        """(question, grade that counts) of the newest ``limit`` attempts, newest first: what missed points are
        counted from."""
        where = [] if since is None else [attempts.c.created_at >= utc(since)]
        with self._read() as connection:
            return answers.latest_grades(connection, self.id, limit, *where)

    # Reviews and cards

    def add_review(
        self,
        question: str,
        rating: int,
        attempt: str | None = None,
        at: datetime | None = None,
        label: Text | None = None,
    ) -> tuple[StoredReview, Card]:
        """Adds a rating and carries the card over it; undoable.

        An attempt has one rating: rating it again replaces the first one and, unless ``at`` says otherwise, keeps
        its time. The same rating again changes nothing.

        Raises:
            StoreError: there is no such attempt of this question.
            ValueError: the rating is not 1..4, or ``at`` has no time zone.
        """
        rating = Rating(rating)
        moment = None if at is None else utc(at)
        with self._write() as connection:
            earlier: list[StoredReview] = []
            if attempt is not None:
                self._require(connection, attempts, attempt, "답", "answer", question)
                earlier = self._reviews_of(connection, attempt)
            if earlier and earlier[-1].rating == rating and moment in (None, earlier[-1].at):
                card = scheduling.read_card(connection, self.id, question)
                assert card is not None
                return earlier[-1], card
            review = StoredReview(
                id=new_id(),
                question=question,
                attempt=attempt,
                rating=int(rating),
                at=moment or (earlier[-1].at if earlier else now()),
            )
            connection.execute(reviews.insert().values(learner=self.id, **vars(review)))
            retract_all(connection, self.id, "reviews", (old.id for old in earlier))
            if earlier:
                scheduling.rebuild(connection, self.id, {question})
                card = scheduling.read_card(connection, self.id, question)
                assert card is not None
            else:
                card = scheduling.add(connection, self.id, Review(question, rating, review.at))
            moves = [{"move": "drop", "table": "reviews", "id": old.id} for old in earlier]
            moves.append({"move": "add", "table": "reviews", "id": review.id})
            undo.record(connection, self.id, "review", label or Text(ko="평가", en="rating"), moves)
            return review, card

    def review_of(self, attempt: str) -> StoredReview | None:
        """The rating of an attempt that counts."""
        with self._read() as connection:
            found = self._reviews_of(connection, attempt)
        return found[-1] if found else None

    def _reviews_of(self, connection: Connection, attempt: str) -> list[StoredReview]:
        columns = (reviews.c.id, reviews.c.question, reviews.c.attempt, reviews.c.rating, reviews.c.at)
        where = (reviews.c.learner == self.id, reviews.c.attempt == attempt, effective(reviews))
        found = connection.execute(select(*columns).where(*where).order_by(reviews.c.at, reviews.c.id))
        return [StoredReview(*row) for row in found]

    def cards(self) -> dict[str, Card]:
        """Every question's scheduling state, by its key."""
        with self._read() as connection:
            return scheduling.read_cards(connection, self.id)

    def card(self, question: str) -> Card | None:
        with self._read() as connection:
            return scheduling.read_card(connection, self.id, question)

    def reviews(self, since: datetime | None = None, question: str | None = None) -> list[Review]:
        """The reviews that count, oldest first."""
        where = [] if since is None else [reviews.c.at >= utc(since)]
        where += [] if question is None else [reviews.c.question == question]
        with self._read() as connection:
            return scheduling.read_reviews(connection, self.id, *where)

    def counts_by_day(
        self, tz_offset: timedelta = timedelta(0), since: datetime | None = None
    ) -> dict[str, int]:
        """How many reviews each day had, by ISO date of a clock that is ``tz_offset`` ahead of UTC."""
        where = [] if since is None else [reviews.c.at >= utc(since)]
        query = select(reviews.c.at).where(reviews.c.learner == self.id, effective(reviews), *where)
        counts: dict[str, int] = {}
        with self._read() as connection:
            for at in connection.scalars(query.order_by(reviews.c.at)):
                day = (at + tz_offset).date().isoformat()
                counts[day] = counts.get(day, 0) + 1
        return counts
