"""Tables, migrations, backups, integrity check: everything a learner wrote, kept.

:class:`Store` is the one door: ``Store.open().learner()`` has a method for everything that the pages and the terminal
do. What a person wrote goes into append-only tables and is on the disk when the method returns; undo adds rows instead
of removing any. SQLite is spoken to in :mod:`viva.store.sqlite` alone; everything else also runs on PostgreSQL.

To add a table or a column: change :mod:`viva.store.tables`, add a revision under ``migrations/versions/`` and name it in
``REVISIONS``; a test compares the two. This room may import every study room above it, and is imported by the faces.
"""

from viva.store.backups import Backup
from viva.store.check import Finding, check_store
from viva.store.errors import DamagedError, StoreError
from viva.store.examples import OwnExample
from viva.store.home import viva_home
from viva.store.learner import Learner
from viva.store.records import (
    Action,
    Attempt,
    Draft,
    MyAnswer,
    Session,
    StoredGrade,
    StoredOpinion,
    StoredReview,
)
from viva.store.store import Store

__all__ = [
    "Action",
    "Attempt",
    "Backup",
    "DamagedError",
    "Draft",
    "Finding",
    "Learner",
    "MyAnswer",
    "OwnExample",
    "Session",
    "Store",
    "StoreError",
    "StoredGrade",
    "StoredOpinion",
    "StoredReview",
    "check_store",
    "viva_home",
]
