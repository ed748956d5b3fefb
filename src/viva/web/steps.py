"""Undo for what lies outside the database: edited questions and removed packs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

from viva.bank import Question
from viva.exchange import write_question
from viva.store import Store, StoreError


def register(store: Store, packs_folder: Path) -> None:
    """Teaches ``store`` to undo and redo the steps that change files under ``packs_folder``."""

    def edit_question(payload: Any, direction: Literal["undo", "redo"]) -> None:
        path = packs_folder / payload["path"]
        if not path.parent.is_dir():
            raise StoreError(
                ko="이 질문이 들어 있던 팩이 없어서 되돌릴 수 없어요. 먼저 팩을 되살려 주세요.",
                en="The pack of this question is not there, so the edit cannot be undone; bring the pack back first.",
            )
        write_question(path, Question.model_validate(payload["before" if direction == "undo" else "after"]))

    def remove_pack(payload: Any, direction: Literal["undo", "redo"]) -> None:
        move(payload, to_the_side=direction == "redo")

    def import_pack(payload: Any, direction: Literal["undo", "redo"]) -> None:
        move(payload, to_the_side=direction == "undo")

    def move(payload: Any, *, to_the_side: bool) -> None:
        shown, aside = packs_folder / payload["name"], packs_folder / payload["aside"]
        source, target = (shown, aside) if to_the_side else (aside, shown)
        if target.exists() and not source.exists():
            return  # done already, before a crash
        if target.exists() or not source.exists():
            raise StoreError(
                ko=f"팩 '{payload['name']}'을(를) 옮길 수 없어요. 같은 이름의 팩이 있거나 파일이 지워졌어요.",
                en=f"The pack '{payload['name']}' cannot be moved: another one has its name, or its files are gone.",
            )
        shutil.move(source, target)

    store.undo_handlers["edit-question"] = edit_question
    store.undo_handlers["remove-pack"] = remove_pack
    store.undo_handlers["import-pack"] = import_pack
