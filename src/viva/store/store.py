"""The store: one database, its learners, its backups."""

from __future__ import annotations

import uuid
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from viva.store import backups, migrate, tables
from viva.store.clock import now
from viva.store.database import Database
from viva.store.home import private_file
from viva.store.learner import Learner
from viva.store.tables import learners
from viva.store.undo import Handler

LOCAL = "me"
_NAMESPACE = uuid.UUID("6f1f0a52-6c0e-4b52-9c55-1a7b3d2a9e10")


class Store:
    """An open database. Threads may share it; other processes may have it open too.

    ``undo_handlers`` maps an action's kind to what undoes and redoes it, for steps outside the database.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.undo_handlers: dict[str, Handler] = {}

    @classmethod
    def open(cls, url_or_path: str | Path | None = None) -> Store:
        """Opens the database, making it where there is none and bringing an older one up to date after a backup.

        Raises:
            StoreError: it is locked, damaged, not Viva's or newer than this version, or cannot be written.
        """
        database = Database(url_or_path)
        try:
            if database.path is not None:
                private_file(database.path)  # SQLite gives its log the same mode
            found = migrate.version(database)
            if found != tables.REVISIONS[-1]:
                if found is not None:
                    backups.make(database, "before-update")
                migrate.upgrade(database)
            return cls(database)
        except BaseException:
            database.close()
            raise

    def learner(self, name: str = LOCAL) -> Learner:
        """The learner called ``name``, made at the first call."""
        # The id follows from the name, so that a restored database and two processes agree on it.
        identity = str(uuid.uuid5(_NAMESPACE, name))
        with self.database.read() as connection:
            known = connection.scalar(select(learners.c.id).where(learners.c.id == identity))
        if known is None:
            try:
                with self.database.write() as connection:
                    connection.execute(learners.insert().values(id=identity, name=name, created_at=now()))
            except IntegrityError:
                pass  # somebody else made it in the meantime
        return Learner(self.database, self.undo_handlers, identity, name)

    def learners(self) -> list[str]:
        """The names, oldest first."""
        with self.database.read() as connection:
            return list(connection.scalars(select(learners.c.name).order_by(learners.c.created_at)))

    def backup(self, path: str | Path | None = None) -> Path:
        """Copies the database to ``path``, or to a new file among the backups, which is never thinned out.

        Raises:
            StoreError: the file exists, or cannot be written.
        """
        return backups.make(self.database, "manual", Path(path).expanduser().absolute() if path else None)

    def maybe_backup(self) -> Path | None:
        """Makes the automatic backup where one is due; for start-up and once an hour. Cheap when none is."""
        return backups.make_if_due(self.database)

    def list_backups(self) -> list[backups.Backup]:
        """The backups, newest first."""
        return backups.listed(self.database)

    def restore(self, path: str | Path) -> Path | None:
        """Brings back the database in ``path``, after checking it; the current one is kept among the backups.

        Returns where the current one is kept.

        Raises:
            StoreError: the file is damaged, not Viva's or newer than this version; nothing has changed.
        """
        return backups.restore(self.database, Path(path).expanduser().absolute())

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
