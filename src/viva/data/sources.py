"""Where the files of a data set are: in the mirror that ``VIVA_DATA_DIR`` names, in the cache, or at their public homes.

A `File` is looked for in that order. The mirror is a folder with one sub-folder for each set (``mnist/``, ``bccd/``,
``tinyshakespeare/``, ``nsmc/``); it is only ever read. Downloads go to the cache: ``VIVA_CACHE_DIR``, or the platform's
folder for caches.

Every file is checked each time it is opened, against the SHA-256 digests that are known for it: one for each form in
which it is published (a mirror may hold a rebuilt form), or, for an archive that its host packs anew now and then, the
digest of what is inside. A reader with files of another kind names their folder (``mnist.load(folder=...)``); those are
taken as they are.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from viva.data.download import ChecksumError, download
from viva.language import Text


class MissingData(RuntimeError):
    """A data set is not on this machine, and was not to be downloaded."""


@dataclass(frozen=True)
class File:
    """One file of a data set.

    Args:
        name: as it is called in the mirror and in the cache.
        urls: its public homes.
        sha256: digest (hexadecimal) → which form of the file has it.
        size: bytes of the published form; None where it is not known.
        about: roughly how many, where ``size`` is not known.
        contents: gives the digest of what is inside, for archives; compared with ``contents_sha256``.
    """

    name: str
    urls: tuple[str, ...]
    sha256: Mapping[str, str]
    size: int | None = None
    about: int = 0
    contents: Callable[[Path], str] | None = None
    contents_sha256: str = ""

    def check(self, path: Path) -> str:
        """Which form of the file ``path`` is.

        Raises:
            ChecksumError: none that is known.
        """
        found = digest(path)
        if found in self.sha256:
            return self.sha256[found]
        if self.contents is not None:
            try:
                inside = self.contents(path)
            except (OSError, ValueError) as error:
                raise ChecksumError(f"{path} is not the published {self.name}: {error}") from error
            if inside == self.contents_sha256:
                return "repacked, contents as published"
            found = f"{inside} (of its contents)"
        expected = [*self.sha256] + ([f"{self.contents_sha256} (of its contents)"] if self.contents else [])
        raise ChecksumError(
            f"{path} is not the published {self.name}: its SHA-256 is {found}, expected {' or '.join(expected)}."
        )


@dataclass(frozen=True)
class Source:
    """A data set as ``viva datasets`` lists it.

    Args:
        name: what a person calls it; also the module that loads it.
        folder: its folder in the mirror and in the cache; empty where the set comes with Viva.
        what: one sentence.
        licence: with the names of the authors where it asks for them.
        home: a page about it.
    """

    name: str
    folder: str
    what: Text
    licence: str
    home: str
    files: tuple[File, ...] = field(default=())

    @property
    def bundled(self) -> bool:
        return not self.files

    @property
    def size(self) -> int:
        """Bytes of the published files together; roughly, where one of them has no known size."""
        return sum(file.size or file.about for file in self.files)

    def file(self, name: str) -> File:
        """The file called ``name``, which is one of ``files``."""
        return next(file for file in self.files if file.name == name)

    def where(self, name: str) -> Path | None:
        """The file called ``name`` in the mirror or the cache (it is not checked here); None where it is in neither."""
        return next((path for path in self._places(name) if path.is_file()), None)

    def open(self, name: str, *, folder: str | Path | None = None, allow_download: bool = True) -> Path:
        """The file called ``name``: checked, and downloaded where need be.

        Args:
            folder: read it from here instead, without a check.
            allow_download: False raises `MissingData` where it is in neither the mirror nor the cache.

        Raises:
            ChecksumError, DownloadError, MissingData: each says which file and what to do.
        """
        file = self.file(name)
        if folder is not None:
            path = Path(folder) / name
            if not path.is_file():
                raise MissingData(f"There is no {name} in {folder}; give the folder that has it.")
            return path
        *mirrored, cached = self._places(name)
        for path in mirrored:
            if path.is_file():
                try:
                    file.check(path)
                except ChecksumError as error:
                    raise ChecksumError(f"{error} Replace it, or unset VIVA_DATA_DIR to download it.") from None
                return path
        if cached.is_file():
            try:
                file.check(cached)
                return cached
            except ChecksumError:
                if not allow_download:
                    raise
        if not allow_download:
            raise MissingData(
                f"{self.name} is not on this machine ({cached} is missing): run `viva datasets fetch {self.name}`, "
                f"or set VIVA_DATA_DIR to a folder that has {self.folder}/{name}."
            )
        return download(file.urls, cached, check=file.check, size=file.size)

    def _places(self, name: str) -> list[Path]:
        mirror = mirror_folder()
        return ([mirror / self.folder / name] if mirror else []) + [cache_folder() / self.folder / name]


def mirror_folder() -> Path | None:
    """The folder that ``VIVA_DATA_DIR`` names; None where it is unset or empty.

    Raises:
        MissingData: it names something that is no folder.
    """
    named = os.environ.get("VIVA_DATA_DIR", "").strip()
    if not named:
        return None
    folder = Path(named).expanduser().absolute()
    if not folder.is_dir():
        raise MissingData(f"VIVA_DATA_DIR names {folder}, which is no folder; mend it, or unset it to download instead.")
    return folder


def cache_folder() -> Path:
    """Where downloads are kept: ``$VIVA_CACHE_DIR/data`` or the platform's own place. It is not created here."""
    named = os.environ.get("VIVA_CACHE_DIR", "").strip()
    if named:
        return Path(named).expanduser().absolute() / "data"
    from platformdirs import user_cache_path

    return user_cache_path("viva", appauthor=False) / "data"


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_members(members: Iterable[tuple[str, bytes]]) -> str:
    """SHA-256 of an archive's contents, whatever packed it: of the sorted lines ``NAME SHA256-OF-MEMBER``."""
    lines = sorted(f"{name} {hashlib.sha256(content).hexdigest()}\n" for name, content in members)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
