"""A learner's data as one JSON file and back, packs included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from viva.bank import Question, load_pack
from viva.exchange import write_pack
from viva.exchange.learner import LearnerDocument, PackDocument, dump, parse
from viva.grading.examples import Example, write_examples
from viva.store import Learner
from viva.web.state import now, pack_folders


def export_learner(learner: Learner, packs_folder: Path) -> str:
    """Everything the learner wrote, rated, set and imported, as one JSON document."""
    packs = []
    for folder in pack_folders(packs_folder):
        pack = load_pack(folder, folder.name)
        packs.append(PackDocument(name=pack.name, title=pack.title, topics=pack.topics, questions=pack.questions))
    return dump(LearnerDocument(exported_at=now(), rows=learner.export_rows(), packs=tuple(packs)))


def export_examples(learner: Learner, question: str | None = None) -> dict[str, Any]:
    """The learner's own examples (at ``question``, or at all) by question, each as in a file of the bank's examples."""
    found: dict[str, list[Example]] = {}
    for own in reversed(learner.own_examples(question)):
        found.setdefault(own.question, []).append(own.example)
    return {key: yaml.safe_load(write_examples(examples)) for key, examples in sorted(found.items())}


def as_yaml(tree: dict[str, Any]) -> str:
    return yaml.safe_dump(tree, allow_unicode=True, sort_keys=False, width=1000)


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
        added["packs"] += _add_pack(pack, packs_folder)
    return added


def _add_pack(pack: PackDocument, packs_folder: Path) -> int:
    """Writes ``pack`` where it is not there yet. A pack of the same name that differs is left alone and this one goes beside it."""
    packs_folder.mkdir(parents=True, exist_ok=True)
    name, number = pack.name, 2
    while (folder := packs_folder / name).exists():
        if _same(load_pack(folder, name).questions, pack.questions):
            return 0
        name, number = f"{pack.name}-{number}", number + 1
    write_pack(folder, pack.title, pack.topics, [question.model_copy(update={"pack": name}) for question in pack.questions])
    return 1


def _same(ours: tuple[Question, ...], theirs: tuple[Question, ...]) -> bool:
    return {question.id: question.model_dump(exclude={"pack"}) for question in ours} == {question.id: question.model_dump(exclude={"pack"}) for question in theirs}
