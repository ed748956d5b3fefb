"""A learner's data as one JSON file and back, packs included."""

from __future__ import annotations

from pathlib import Path

from viva.bank import load_pack
from viva.exchange.learner import LearnerDocument, PackDocument, dump, parse
from viva.exchange.packs import write_pack
from viva.store import Learner
from viva.web.state import now, pack_folders


def export_learner(learner: Learner, packs_folder: Path) -> str:
    """Everything the learner wrote, rated, set and imported, as one JSON document."""
    packs = []
    for folder in pack_folders(packs_folder):
        pack = load_pack(folder, folder.name)
        packs.append(PackDocument(name=pack.name, title=pack.title, topics=pack.topics, questions=pack.questions))
    return dump(LearnerDocument(exported_at=now(), rows=learner.export_rows(), packs=tuple(packs)))


def import_learner(learner: Learner, packs_folder: Path, raw: bytes) -> dict[str, int]:
    """Adds what a file of :func:`export_learner` holds to ``learner``; importing it twice changes nothing.

    Returns the number of rows added per table, and of packs.

    Raises:
        LearnerDocumentError: not such a file, or a newer one.
        StoreError: the file contradicts what is stored; nothing was changed.
    """
    document = parse(raw)
    added = learner.import_rows(document.rows)
    added["packs"] = 0
    for pack in document.packs:
        folder = packs_folder / pack.name
        if not folder.exists():
            write_pack(folder, pack.title, pack.topics, pack.questions)
            added["packs"] += 1
    return added
