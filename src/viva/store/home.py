"""Where Viva keeps a person's data: ``$VIVA_HOME``, or the platform's folder for an application's data."""

from __future__ import annotations

import os
from pathlib import Path

from viva.store.errors import StoreError

DATABASE = "viva.db"


def viva_home() -> Path:
    """The folder of the database, the backups and the imported packs. It is not created here."""
    named = os.environ.get("VIVA_HOME", "").strip()
    if named:
        return Path(named).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("viva", appauthor=False)


def private_folder(folder: Path) -> Path:
    """``folder``, created with its parents and open to its owner only; an existing one stays as it is.

    Raises:
        StoreError: the folder cannot be made.
    """
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreError(
            ko=f"폴더({folder})를 만들 수 없어요({error.strerror}). 쓰기 권한을 확인하거나 VIVA_HOME에 다른 폴더를 지정해 주세요.",
            en=f"The folder {folder} cannot be created ({error.strerror}); check its permissions or set VIVA_HOME to another one.",
        ) from error
    return folder


def private_file(path: Path) -> None:
    """Makes an empty file at ``path`` that only its owner may read, where there is none.

    Raises:
        StoreError: it cannot be made.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(
            ko=f"파일({path})에 쓸 수 없어요({error.strerror}). 파일과 폴더에 쓰기 권한이 있는지 확인해 주세요.",
            en=f"{path} cannot be written ({error.strerror}); check that you may write to the file and its folder.",
        ) from error
