"""One learner's data: what the pages and the terminal call.

Every method is one transaction. Methods that write return after the commit has reached the disk. Those named
*undoable* put a step on the undo stack. A :class:`Learner` holds no data and may be kept, and used by many threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from viva.language import Language, Text
from viva.store import rows, undo
from viva.store.access import unknown
from viva.store.clock import after, new_id, now, utc
from viva.store.database import clean, to_json
from viva.store.opinions import Opinions
from viva.store.practice import Practice
from viva.store.records import Action, Draft, MyAnswer, Session
from viva.store.retracting import effective
from viva.store.tables import drafts, my_answers, sessions, settings


class Learner(Practice, Opinions):
    """A learner by name; :meth:`viva.store.Store.learner` makes one.

    All methods raise :class:`StoreError` where the database is locked, full, damaged or cannot be written.
    """

    # Settings

    def settings(self) -> dict[str, Any]:
        with self._read() as connection:
            query = select(settings.c.key, settings.c.value).where(settings.c.learner == self.id)
            return {key: value for key, value in connection.execute(query)}

    def set_setting(self, key: str, value: Any, label: Text | None = None) -> Action | None:
        """Sets ``key`` to a JSON ``value``; undoable. None where it had that value already.

        Setting ``retention`` (0..1) computes every card anew.
        """
        return self.set_settings({key: value}, label)

    def set_settings(self, values: Mapping[str, Any], label: Text | None = None) -> Action | None:
        """Sets several at once; undoable in one step. None where nothing changed."""
        with self._write() as connection:
            query = select(settings.c.key, settings.c.value).where(settings.c.learner == self.id)
            stored = {key: value for key, value in connection.execute(query)}
            moves: list[dict[str, Any]] = []
            for key, value in values.items():
                before = [stored[key]] if key in stored else []
                if not before or to_json(before[0]) != to_json(value):
                    undo.put_setting(connection, self.id, key, [value])
                    moves.append({"move": "set", "key": key, "before": before, "after": [value]})
            if not moves:
                return None
            label = label or Text(ko="설정 바꾸기", en="change of a setting")
            return undo.record(connection, self.id, "setting", label, moves)

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
            Session(
                **{**{k: v for k, v in row.items() if k != "learner"}, "questions": tuple(row["questions"])}
            )
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
            raise unknown("세션", "session", id)
        return found

    # My answers

    def save_my_answer(
        self, question: str, language: Language, text: str, label: Text | None = None
    ) -> MyAnswer:
        """A new version of the learner's own answer; undoable. The same text again changes nothing."""
        text = clean(text)
        with self._write() as connection:
            versions = self._my_answers(connection, question, language)
            if versions and versions[0].text == text:
                return versions[0]
            mine = (
                my_answers.c.learner == self.id,
                my_answers.c.question == question,
                my_answers.c.language == language,
            )
            at = after(connection, my_answers.c.created_at, *mine)
            saved = MyAnswer(id=new_id(), question=question, language=language, text=text, created_at=at)
            connection.execute(my_answers.insert().values(learner=self.id, **vars(saved)))
            label = label or Text(ko="내 답 저장", en="saving of my answer")
            undo.record(
                connection,
                self.id,
                "my_answer",
                label,
                [{"move": "add", "table": "my_answers", "id": saved.id}],
            )
            return saved

    def my_answers(self, question: str, language: Language | None = None) -> list[MyAnswer]:
        """The versions, newest first."""
        with self._read() as connection:
            return self._my_answers(connection, question, language)

    def _my_answers(self, connection: Connection, question: str, language: Language | None) -> list[MyAnswer]:
        where = [my_answers.c.learner == self.id, my_answers.c.question == question, effective(my_answers)]
        where += [] if language is None else [my_answers.c.language == language]
        query = (
            select(my_answers).where(*where).order_by(my_answers.c.created_at.desc(), my_answers.c.id.desc())
        )
        return [
            MyAnswer(row["id"], row["question"], row["language"], row["text"], row["created_at"])
            for row in connection.execute(query).mappings()
        ]

    # Drafts

    def draft(self, question: str, language: Language) -> Draft | None:
        with self._read() as connection:
            return self._draft(connection, question, language)

    def _draft(self, connection: Connection, question: str, language: Language) -> Draft | None:
        row = (
            connection.execute(select(drafts).where(*self._draft_key(question, language))).mappings().first()
        )
        return (
            None
            if row is None
            else Draft(**{name: value for name, value in row.items() if name != "learner"})
        )

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
                connection.execute(
                    update(drafts).where(*self._draft_key(question, language)).values(vars(draft))
                )
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
