"""What all requests share: the bank with the learner's packs, and the store."""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path

from viva.bank import Bank, Problem, load_bank
from viva.grading import Grade, grade, prepare
from viva.language import Language
from viva.store import Learner, Store, viva_home
from viva.study.search import MANY_QUESTIONS, SearchIndex
from viva.web.judging import Errands

log = logging.getLogger("viva")
WATCHED_FILES = 500


class AppState:
    """Bank and store behind the pages. Safe to share between threads.

    The bank is read again when a file of a pack changes (looked at once a second at most), so a question edited in a text
    editor shows up on the next page.
    """

    def __init__(self, store: Store, packs_folder: Path) -> None:
        self.store = store
        self.packs_folder = packs_folder
        self.cache_folder = packs_folder.parent / "cache"
        self._lock = threading.Lock()
        self._bank: Bank | None = None
        self._problems: tuple[Problem, ...] = ()
        self._signature: object = None
        self._looked_at = 0.0
        self._search: SearchIndex | None = None
        self._prepared: set[tuple[str, Language]] = set()
        self.errands = Errands()

    @cached_property
    def learner(self) -> Learner:
        return self.store.learner()

    @property
    def bank(self) -> Bank:
        with self._lock:
            now = time.monotonic()
            if self._bank is None or now - self._looked_at > 1.0:
                self._looked_at = now
                signature = _signature(self.packs_folder)
                if self._bank is None or signature != self._signature:
                    self._bank, self._problems = load_bank(pack_folders(self.packs_folder), cache=self.cache_folder)
                    self._signature = signature
                    self._search = None
            return self._bank

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong in the learner's packs; the questions around it are served all the same."""
        _ = self.bank
        return self._problems

    def reload(self) -> None:
        """Reads the packs again at the next look: call after writing one."""
        with self._lock:
            self._looked_at, self._signature = 0.0, None

    @property
    def search(self) -> SearchIndex:
        bank = self.bank
        with self._lock:
            if self._search is None or self._search.bank is not bank:
                self._search = SearchIndex(bank)
            return self._search

    def warm_up(self) -> None:
        """Loads the Korean analyser in the background, so that the first answer is not the one that waits."""

        def work() -> None:
            try:
                question = next(iter(self.bank))
                grade(question, "시그모이드의 기울기는 작습니다.", "ko")
                if len(self.bank) <= MANY_QUESTIONS:
                    self.search.find("기울기", "ko")
            except Exception:
                log.exception("warming up failed; the first answer will take longer")

        threading.Thread(target=work, name="viva-warm-up", daemon=True).start()

    def prepare(self, key: str, language: Language) -> None:
        """Readies the grader for ``key`` in the background while the learner thinks."""
        with self._lock:
            if (key, language) in self._prepared:
                return
            self._prepared.add((key, language))
        question = self.bank.get(key)
        if question is not None:
            threading.Thread(target=prepare, args=(question, language), name="viva-prepare", daemon=True).start()

    def grade(self, key: str, answer: str, language: Language) -> Grade:
        """The grade of ``answer``, with the learner's own examples at this question."""
        return grade(self.bank[key], answer, language, [own.example for own in self.learner.own_examples(key)])


def default_packs(store: Store) -> Path:
    """The learner's packs lie beside the database."""
    return (store.database.path.parent if store.database.path else viva_home()) / "packs"


def now() -> datetime:
    return datetime.now(UTC)


def pack_folders(folder: Path) -> list[Path]:
    """The packs under ``folder``, by name; hidden ones are unfinished imports."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _signature(folder: Path) -> tuple[tuple[str, int, int], ...]:
    watched: list[str] = []
    for pack in pack_folders(folder):
        folders = [str(pack), *(entry.path for entry in os.scandir(pack) if entry.is_dir())]
        files = list(islice((entry.path for parent in folders for entry in os.scandir(parent) if entry.is_file()), WATCHED_FILES + 1))
        # A large pack is watched by its folders alone, whose time of change every new and replaced file moves.
        watched += folders + (files if len(files) <= WATCHED_FILES else [])
    entries = []
    for path in watched:
        try:
            stat = os.stat(path)
        except OSError:
            continue
        entries.append((path, stat.st_mtime_ns, stat.st_size))
    return tuple(sorted(entries))
