"""One file over HTTP, whole or not at all: resumed where it broke off, checked, then renamed into place.

While it travels the file is called ``NAME.part``; beside it ``NAME.part.json`` remembers where it came from and the
server's validator (ETag or Last-Modified; RFC 9110, section 8.8). A later try asks for the rest with ``Range`` and
``If-Range`` (sections 14.2 and 13.1.5), and believes the server only as far as the answer says:

====================  =====================================================================================
answer                what it means here
====================  =====================================================================================
206, our offset       append
206, another offset   a server that counts wrongly: begin again
200                   no ranges, or the file has changed there: begin again
416                   everything is here already (same length: check it), or the file has shrunk: begin again
408 425 429 5xx       try again, after ``Retry-After`` or a growing pause
other                 this address has nothing for us: the next one
====================  =====================================================================================

What arrives is fsynced, checked against its digest and only then renamed, so that a file under its own name is always
whole. Two processes that want the same file share one download: the second one waits at a lock and finds it there.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from viva.data.lock import locked

CHUNK = 256 * 1024  # bytes
LIMIT = 256 * 1024 * 1024  # bytes; nobody's disk is filled by an answer of unknown length
TRIES = 40  # of one address in all, however much each of them brought
TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}
ADVICE = (
    "Check the network, or set VIVA_DATA_DIR to a folder that has the file "
    "(mnist/, bccd/, tinyshakespeare/ and nsmc/ below it)."
)


class DownloadError(RuntimeError):
    """A file could not be had; the message says from where, why and what to do."""


class ChecksumError(DownloadError):
    """A file is there, but its bytes are not the ones that were published."""


class _Again(Exception):
    """This try failed in a way that another one may not."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


def download(
    urls: Sequence[str],
    target: Path,
    *,
    check: Callable[[Path], object],
    size: int | None = None,
    attempts: int = 4,
    timeout: float = 30.0,
    pause: float = 1.0,
    patience: float = 1800.0,
) -> Path:
    """``target``, downloaded from the first of ``urls`` that has it, unless it is there already and passes ``check``.

    Args:
        urls: public homes of the same bytes, best first.
        check: raises `ChecksumError` for a file that is not the right one.
        size: the published length in bytes; None where it is not known.
        attempts: tries in a row that bring nothing before an address is given up.
        timeout: seconds without a byte.
        pause: seconds before the second try; doubled each time, 30 at most.
        patience: seconds to wait for another process that is downloading the same file.

    Raises:
        DownloadError: no address had it; the reason of each is named.
        ChecksumError: what the last address sent is not the published file. It is not kept.
        LockError: another process kept the file to itself for ``patience`` seconds.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(target.name + ".lock"), patience):
            if target.is_file():
                try:
                    check(target)
                    return target
                except ChecksumError:
                    target.unlink()  # damaged since it was stored
            return _download(urls, target, check, size, attempts, timeout, pause)
    except OSError as error:
        raise DownloadError(
            f"{target} cannot be written ({error.strerror or error}); free some space, "
            "or set VIVA_CACHE_DIR to a folder that can be written to."
        ) from error


def _download(
    urls: Sequence[str], target: Path, check: Callable[[Path], object], size: int | None,
    attempts: int, timeout: float, pause: float,
) -> Path:  # fmt: skip
    part = _Part(target)
    reasons: list[str] = []
    failure: type[DownloadError] = DownloadError
    for url in urls:
        for _ in range(2):  # a file put together from pieces that fails its check gets one try in one piece
            resumed = part.length() > 0
            try:
                with _Bar(target.name) as bar:
                    resumed = _transfer(url, part, size, attempts, timeout, pause, bar) or resumed
                check(part.path)
            except ChecksumError as error:
                reasons.append(f"{url}: {error}{part.opening()}")
                failure = ChecksumError
                part.discard()
                if resumed:
                    continue
            except DownloadError as error:
                reasons.append(f"{url}: {error}")
                failure = DownloadError
            else:
                part.finish(target)
                return target
            break
    raise failure(f"{target.name} could not be downloaded. " + " ".join(reasons) + f" {ADVICE}")


def _transfer(
    url: str, part: _Part, size: int | None, attempts: int, timeout: float, pause: float, bar: _Bar
) -> bool:
    """Fills ``part`` from ``url``; True where it took more than one try."""
    in_vain = 0
    for tries in range(TRIES):
        before = part.length()
        if size is not None and before == size:
            return tries > 0
        if size is not None and before > size:
            part.discard()
        try:
            _try(url, part, size, timeout, bar)
            return tries > 0
        except _Again as error:
            in_vain = 0 if part.length() > before else in_vain + 1
            if in_vain >= attempts or tries == TRIES - 1:
                raise DownloadError(f"given up after {tries + 1} tries: {error}.") from error
            time.sleep(min(30.0, max(error.wait, pause * 2**in_vain)))
    raise AssertionError("unreachable")


def _try(url: str, part: _Part, size: int | None, timeout: float, bar: _Bar) -> None:
    """One request, appended to ``part``; returns when the file is complete as far as the server says."""
    start = part.length()
    headers = {"User-Agent": "viva", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator := part.validator(url):
            headers["If-Range"] = validator
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and start:
                if _total(error.headers.get("Content-Range")) == start:
                    return
                part.discard()
                raise _Again("the file there is shorter than the part that is here") from error
            if error.code in TRY_AGAIN:
                raise _Again(f"the server answered {error.code} {error.reason}", _seconds(error.headers)) from error
            raise DownloadError(f"the server answered {error.code} {error.reason}.") from error
    except (OSError, http.client.HTTPException) as error:  # URLError and time-outs are OSErrors
        raise _Again(f"no answer ({getattr(error, 'reason', None) or error})") from error

    with response:
        if response.status == 206 and start:
            if _first(response.headers.get("Content-Range")) != start:
                part.discard()
                raise _Again("the server sent another range than the one asked for")
            total = _total(response.headers.get("Content-Range"))
        elif response.status == 200:
            start = 0
            total = _number(response.headers.get("Content-Length"))
        else:
            raise DownloadError(f"the server answered {response.status} to a request for the file.")
        if size is not None and total is not None and total != size:
            raise DownloadError(f"the server offers {total} bytes where {size} were published.")
        ceiling = size or total or LIMIT
        if ceiling > LIMIT:
            raise DownloadError(f"the server offers {ceiling} bytes, more than the {LIMIT} that Viva will store.")
        part.remember(url, response.headers)
        bar.begin(total or size, start)
        with part.path.open("ab" if start else "wb") as out:
            length = _copy(response, out, start, ceiling, bar)
        if length > ceiling:
            part.discard()
            raise DownloadError(f"the server sent more than the {ceiling} bytes of the file.")
        if total is not None and length < total:
            raise _Again(f"the connection broke off at {length} of {total} bytes")
        if size is not None and length < size:
            raise DownloadError(f"the server sent {length} bytes where {size} were published.")


def _copy(response: http.client.HTTPResponse, out: IO[bytes], length: int, ceiling: int, bar: _Bar) -> int:
    """Appends what comes to ``out``, up to one byte past ``ceiling``; the length of the file then."""
    while length <= ceiling:
        try:
            # read1 hands over what has come; read would lose it all when the rest never comes.
            piece = response.read1(min(CHUNK, ceiling + 1 - length))
        except (OSError, http.client.HTTPException) as error:
            raise _Again(f"the connection broke off at {length} bytes ({error})") from error
        if not piece:
            break
        out.write(piece)
        length += len(piece)
        bar.advance(len(piece))
    return length


class _Part:
    """The unfinished file and the note beside it."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(target.name + ".part")
        self.note = target.with_name(target.name + ".part.json")

    def length(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def validator(self, url: str) -> str | None:
        """What ``url`` said it was serving when this part began; None where nothing is known."""
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
            return str(note["validator"]) if note["url"] == url and note["validator"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remember(self, url: str, headers: Any) -> None:
        etag = headers.get("ETag") or ""
        # A weak ETag promises the same meaning, not the same bytes: it may not stand in If-Range.
        validator = etag if etag.startswith('"') else headers.get("Last-Modified")
        self.note.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")

    def opening(self) -> str:
        """How the file begins, where it is a text: a log-in page says so itself."""
        with suppress(OSError):
            with self.path.open("rb") as file:
                head = file.read(60)
            if head and all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head):
                return f" It begins {head.decode('ascii')!r}."
        return ""

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(self.path, target)
        self.note.unlink(missing_ok=True)
        if os.name == "posix":  # the new name itself must survive a power cut
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


class _Bar:
    """A progress bar on standard error: only on a terminal, and only once a transfer has lasted a second."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = time.monotonic()
        self.total: int | None = None
        self.done = 0
        self.progress: Any = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self.progress is not None:
            self.progress.stop()

    def begin(self, total: int | None, done: int) -> None:
        self.total, self.done = total, done
        self._show()

    def advance(self, count: int) -> None:
        self.done += count
        self._show()

    def _show(self) -> None:
        if self.progress is None:
            if time.monotonic() - self.started < 1.0 or not sys.stderr.isatty():
                return
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
            self.progress = Progress(*columns, console=Console(stderr=True), transient=True)
            self.task = self.progress.add_task(self.name, total=self.total)
            self.progress.start()
        self.progress.update(self.task, completed=self.done, total=self.total)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdigit() else None


def _first(content_range: str | None) -> int | None:
    """The offset in ``bytes 100-199/300``: 100."""
    unit, _, rest = (content_range or "").strip().partition(" ")
    return _number(rest.partition("-")[0]) if unit == "bytes" else None


def _total(content_range: str | None) -> int | None:
    """The length in ``bytes 100-199/300`` or ``bytes */300``: 300; None for ``*``."""
    return _number((content_range or "").rpartition("/")[2])


def _seconds(headers: Any) -> float:
    return float(min(_number(headers.get("Retry-After")) or 0, 30))
