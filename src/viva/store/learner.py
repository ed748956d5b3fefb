"""One learner's data: what the pages and the terminal call.

Every method is one transaction. Methods that write return after the commit has reached the disk. Those named
*undoable* put a step on the undo stack. A :class:`Learner` holds no data and may be kept, and used by many threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from viva.grading import Grade
from viva.language import Language, Text
from viva.store import answers, rows, scheduling, undo
from viva.store.clock import after, new_id, now, utc
from viva.store.database import Database, clean
from viva.store.errors import StoreError
from viva.store.records import (
    Action,
    Attempt,
    Draft,
    MyAnswer,
    Session,
    StoredGrade,
    StoredReview,
    Way,
    grade_fields,
)
from viva.store.retracting import effective, retract_all
from viva.store.tables import attempts, drafts, learners, my_answers, reviews, sessions, settings
from viva.study.cards import Card, Rating, Review


class Learner:
    """A learner by name; :meth:`viva.store.Store.learner` makes one.

    All methods raise :class:`StoreError` where the database is locked, full, damaged or cannot be written.
    """

    def __init__(self, database: Database, handlers: Mapping[str, undo.Handler], identity: str, name: str) -> None:
        self._database = database
        self._handlers = handlers
        self.id = identity
        self.name = name

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._database.read() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._database.write() as connection:
            # Where several processes may write at once (PostgreSQL), this row is the learner's lock.
            connection.execute(select(learners.c.id).where(learners.c.id == self.id).with_for_update())
            yield connection

    # Settings

    def settings(self) -> dict[str, Any]:
        with self._read() as connection:
            query = select(settings.c.key, settings.c.value).where(settings.c.learner == self.id)
            return {key: value for key, value in connection.execute(query)}

    def set_setting(self, key: str, value: Any, label: Text | None = None) -> Action | None:
        """Sets ``key`` to a JSON ``value``; undoable. None where it had that value already.

        Setting ``retention`` (0..1) computes every card anew.
        """
        with self._write() as connection:
            before = list(
                connection.scalars(
                    select(settings.c.value).where(settings.c.learner == self.id, settings.c.key == key)
                )
            )
            if before == [value] and type(before[0]) is type(value):
                return None
            undo.put_setting(connection, self.id, key, [value])
            label = label or Text(ko="설정 바꾸기", en="change of a setting")
            move = {"move": "set", "key": key, "before": before, "after": [value]}
            return undo.record(connection, self.id, "setting", label, [move])

    # Sessions

    def start_session(
        self,
        mode: str,
        questions: Sequence[str],
        params: Mapping[str, Any] | None = None,
        time_limit_seconds: int | None = None,
        id: str | None = None,
    ) -> Session:
        """A new session over ``questions``, in this order."""
        session = Session(
            id=id or new_id(),
            mode=mode,
            params=dict(params or {}),
            questions=tuple(questions),
            started_at=now(),
            finished_at=None,
            time_limit_seconds=time_limit_seconds,
        )
        values = {**vars(session), "learner": self.id, "questions": list(session.questions)}
        with self._write() as connection:
            connection.execute(sessions.insert().values(values))
        return session

    def session(self, id: str) -> Session | None:
        found = self._sessions(sessions.c.id == id)
        return found[0] if found else None

    def sessions(self, limit: int | None = None, unfinished: bool = False) -> list[Session]:
        """The sessions, newest first."""
        return self._sessions(*([sessions.c.finished_at.is_(None)] if unfinished else []), limit=limit)

    def _sessions(self, *where: Any, limit: int | None = None) -> list[Session]:
        query = select(sessions).where(sessions.c.learner == self.id, *where)
        query = query.order_by(sessions.c.started_at.desc(), sessions.c.id.desc()).limit(limit)
        with self._read() as connection:
            found = connection.execute(query).mappings().all()
        return [
            Session(**{**{k: v for k, v in row.items() if k != "learner"}, "questions": tuple(row["questions"])})
            for row in found
        ]

    def finish_session(self, id: str) -> Session:
        """Marks the session as finished now; one that is finished keeps its time.

        Raises:
            StoreError: there is no such session.
        """
        with self._write() as connection:
            connection.execute(
                update(sessions)
                .where(sessions.c.learner == self.id, sessions.c.id == id, sessions.c.finished_at.is_(None))
                .values(finished_at=now())
            )
        found = self.session(id)
        if found is None:
            raise _unknown("세션", "session", id)
        return found

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
            stored = connection.execute(select(attempts).where(attempts.c.id == given["id"])).mappings().first()
            if stored is not None:
                if not answers.same(stored, given):
                    raise StoreError(
                        ko=f"id가 {given['id']}인 다른 답이 이미 저장되어 있어요. 새 id로 다시 보내 주세요.",
                        en=f"Another answer is already stored under the id {given['id']}; send this one with a new id.",
                    )
            else:
                if session is not None:
                    self._require(connection, sessions, session, "세션", "session")
                at = after(connection, attempts.c.created_at, attempts.c.learner == self.id, attempts.c.question == question)
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
        query = select(attempts.c.question, func.count()).where(attempts.c.learner == self.id, effective(attempts))
        with self._read() as connection:
            return {question: count for question, count in connection.execute(query.group_by(attempts.c.question))}

    def add_grade(self, attempt: str, grade: Grade | dict[str, Any], grader: str | None = None, label: Text | None = None) -> StoredGrade:
        """Adds a grade, which counts from now on; undoable.

        Raises:
            StoreError: there is no such attempt.
        """
        fields = grade_fields(grade, grader)
        with self._write() as connection:
            self._require(connection, attempts, attempt, "답", "answer")
            stored = answers.insert_grade(connection, attempt, fields)
            label = label or Text(ko="채점 고치기", en="change of marks")
            undo.record(connection, self.id, "grade", label, [{"move": "add", "table": "grades", "id": stored.id}])
            return stored

    def current_grade(self, attempt: str) -> StoredGrade | None:
        with self._read() as connection:
            mine = select(attempts.c.id).where(attempts.c.learner == self.id, attempts.c.id == attempt)
            return answers.current_grades(connection, connection.scalars(mine)).get(attempt)

    def latest_grades(self, limit: int = 1000, since: datetime | None = None) -> list[tuple[str, StoredGrade]]:
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

    def counts_by_day(self, tz_offset: timedelta = timedelta(0), since: datetime | None = None) -> dict[str, int]:
        """How many reviews each day had, by ISO date of a clock that is ``tz_offset`` ahead of UTC."""
        where = [] if since is None else [reviews.c.at >= utc(since)]
        query = select(reviews.c.at).where(reviews.c.learner == self.id, effective(reviews), *where)
        counts: dict[str, int] = {}
        with self._read() as connection:
            for at in connection.scalars(query.order_by(reviews.c.at)):
                day = (at + tz_offset).date().isoformat()
                counts[day] = counts.get(day, 0) + 1
        return counts

    # My answers

    def save_my_answer(self, question: str, language: Language, text: str, label: Text | None = None) -> MyAnswer:
        """A new version of the learner's own answer; undoable. The same text again changes nothing."""
        text = clean(text)
        with self._write() as connection:
            versions = self._my_answers(connection, question, language)
            if versions and versions[0].text == text:
                return versions[0]
            mine = (my_answers.c.learner == self.id, my_answers.c.question == question, my_answers.c.language == language)
            at = after(connection, my_answers.c.created_at, *mine)
            saved = MyAnswer(id=new_id(), question=question, language=language, text=text, created_at=at)
            connection.execute(my_answers.insert().values(learner=self.id, **vars(saved)))
            label = label or Text(ko="내 답 저장", en="saving of my answer")
            undo.record(connection, self.id, "my_answer", label, [{"move": "add", "table": "my_answers", "id": saved.id}])
            return saved

    def my_answers(self, question: str, language: Language | None = None) -> list[MyAnswer]:
        """The versions, newest first."""
        with self._read() as connection:
            return self._my_answers(connection, question, language)

    def _my_answers(self, connection: Connection, question: str, language: Language | None) -> list[MyAnswer]:
        where = [my_answers.c.learner == self.id, my_answers.c.question == question, effective(my_answers)]
        where += [] if language is None else [my_answers.c.language == language]
        query = select(my_answers).where(*where).order_by(my_answers.c.created_at.desc(), my_answers.c.id.desc())
        return [
            MyAnswer(row["id"], row["question"], row["language"], row["text"], row["created_at"])
            for row in connection.execute(query).mappings()
        ]

    # Drafts

    def draft(self, question: str, language: Language) -> Draft | None:
        with self._read() as connection:
            return self._draft(connection, question, language)

    def _draft(self, connection: Connection, question: str, language: Language) -> Draft | None:
        row = connection.execute(select(drafts).where(*self._draft_key(question, language))).mappings().first()
        return None if row is None else Draft(**{name: value for name, value in row.items() if name != "learner"})

    def save_draft(
        self, question: str, language: Language, text: str, ink: Any = None, at: datetime | None = None
    ) -> Draft:
        """Keeps what stands in the answer field. One that is older (``at``) than the stored one is passed over.

        Returns what is stored afterwards.
        """
        draft = Draft(question, language, clean(text), ink, now() if at is None else utc(at))
        with self._write() as connection:
            stored = self._draft(connection, question, language)
            if stored is None:
                connection.execute(drafts.insert().values(learner=self.id, **vars(draft)))
            elif at is None or stored.updated_at <= draft.updated_at:
                connection.execute(update(drafts).where(*self._draft_key(question, language)).values(vars(draft)))
            else:
                return stored
        return draft

    def delete_draft(self, question: str, language: Language) -> None:
        with self._write() as connection:
            connection.execute(delete(drafts).where(*self._draft_key(question, language)))

    def _draft_key(self, question: str, language: Language) -> tuple[Any, ...]:
        return drafts.c.learner == self.id, drafts.c.question == question, drafts.c.language == language

    # Undo

    def record_action(self, kind: str, label: Text, payload: Any) -> Action:
        """Puts a step outside the database on the stack; ``store.undo_handlers[kind]`` undoes and redoes it."""
        with self._write() as connection:
            return undo.record(connection, self.id, kind, label, [{"move": "call", "payload": payload}])

    def undo(self) -> Text | None:
        """Takes the last step back; its label, or None where there is none."""
        with self._write() as connection:
            return undo.step(connection, self.id, "undo", self._handlers)

    def redo(self) -> Text | None:
        """Does the last undone step again; its label, or None where there is none."""
        with self._write() as connection:
            return undo.step(connection, self.id, "redo", self._handlers)

    def undo_list(self) -> list[Action]:
        """The last 30 steps, newest first; those ``undone`` are what :meth:`redo` does again."""
        with self._read() as connection:
            return undo.listed(connection, self.id)

    # Everything at once

    def export_rows(self) -> dict[str, list[dict[str, Any]]]:
        """Everything of this learner as JSON-safe rows, by table."""
        with self._read() as connection:
            return rows.export(connection, self.id)

    def import_rows(self, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, int]:
        """Adds exported rows, all or none; how many were new, by table. See :func:`viva.store.rows.add`."""
        with self._write() as connection:
            return rows.add(connection, self.id, tables)

    def _require(self, connection: Connection, table: Any, id: str, ko: str, en: str, question: str | None = None) -> None:
        where = [table.c.id == id, table.c.learner == self.id]
        where += [] if question is None else [table.c.question == question]
        if connection.scalar(select(table.c.id).where(*where)) is None:
            raise _unknown(ko, en, id)


def _unknown(ko: str, en: str, id: str) -> StoreError:
    return StoreError(ko=f"id가 {id}인 {ko}을(를) 찾을 수 없어요.", en=f"There is no {en} with the id {id}.")
