"""A local server that misbehaves in every way one has met, and the file that arrives whole all the same, or not at all."""

from __future__ import annotations

import errno
import hashlib
import http.server
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from viva.data import download as transfer
from viva.data.download import ChecksumError, DownloadError, download
from viva.data.lock import LockError, locked
from viva.data.sources import (
    File,
    MissingData,
    Source,
    cache_folder,
    digest,
    digest_of_members,
    mirror_folder,
)
from viva.language import Text

CONTENT = bytes(range(256)) * 4096  # 1 MiB
ETAG = '"first"'


class Server:
    """Serves ``content`` at any path; ``answers`` replace the usual answer, one for each request in turn."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.etag: str | None = ETAG
        self.ranges = True
        self.answers: list[Callable[[Any], None]] = []
        self.requests: list[dict[str, str]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.requests.append({"path": self.path, **dict(self.headers.items())})
                self.close_connection = True
                with suppress(BrokenPipeError, ConnectionResetError):  # some tests mean the client to hang up first
                    (outer.answers.pop(0) if outer.answers else outer.usual)(self)

            def log_message(self, *_: object) -> None:
                pass

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}/file.bin"
        threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def usual(self, handler: Any) -> None:
        wanted = handler.headers.get("Range")
        condition = handler.headers.get("If-Range")
        if wanted and self.ranges and (condition is None or condition == self.etag):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(self.content):
                return reply(handler, 416, b"", {"Content-Range": f"bytes */{len(self.content)}"})
            head = {"Content-Range": f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"}
            return reply(handler, 206, self.content[start:], head | self._tag())
        reply(handler, 200, self.content, self._tag())

    def _tag(self) -> dict[str, str]:
        return {"ETag": self.etag} if self.etag else {}


def reply(handler: Any, status: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None) -> None:
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    if length != -1:
        handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(body)


def broken_off(at: int, **headers: str) -> Callable[[Any], None]:
    return lambda handler: reply(handler, 200, CONTENT[:at], {"ETag": ETAG, **headers}, length=len(CONTENT))


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.httpd.shutdown()
    server.httpd.server_close()


def check(path: Path, content: bytes = CONTENT) -> None:
    if path.read_bytes() != content:
        raise ChecksumError(f"{path} is not the published file: its SHA-256 is another.")


def fetch(server: Server, target: Path, **options: Any) -> Path:
    return download([server.url], target, check=check, **{"pause": 0.001, "timeout": 5.0, **options})


def left_over(target: Path) -> set[str]:
    return {path.name for path in target.parent.iterdir()} - {target.name, target.name + ".lock"}


def test_a_file_arrives_whole_and_nothing_is_left_beside_it(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.bin"
    assert fetch(server, target, size=len(CONTENT)) == target
    assert target.read_bytes() == CONTENT and left_over(target) == set()


def test_a_file_that_is_there_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(CONTENT)
    fetch(server, tmp_path / "file.bin")
    assert server.requests == []


def test_a_file_damaged_on_the_disk_is_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"\0" * len(CONTENT))
    assert fetch(server, tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_connection_that_breaks_off_is_taken_up_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.answers = [broken_off(300_000)]
    assert fetch(server, tmp_path / "file.bin", size=len(CONTENT)).read_bytes() == CONTENT
    assert [request.get("Range") for request in server.requests] == [None, "bytes=300000-"]
    assert server.requests[1]["If-Range"] == ETAG


def test_a_part_left_by_a_killed_process_is_taken_up(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    assert fetch(server, tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.requests[0]["Range"] == "bytes=1000-" and "If-Range" not in server.requests[0]


def test_a_server_without_ranges_is_read_from_the_beginning(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    assert fetch(server, tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_not_sewn_together(server: Server, tmp_path: Path) -> None:
    server.answers = [lambda handler: reply(handler, 200, b"old " * 1000, {"ETag": '"old"'}, length=len(CONTENT))]
    assert fetch(server, tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.requests[1]["If-Range"] == '"old"' and len(server.requests) == 2


def test_a_weak_validator_is_not_sent_back(server: Server, tmp_path: Path) -> None:
    since = "Sat, 01 Jan 2022 00:00:00 GMT"
    server.answers = [broken_off(1000, **{"ETag": 'W/"first"', "Last-Modified": since})]  # the weak one replaces the strong
    fetch(server, tmp_path / "file.bin")
    assert server.requests[1]["If-Range"] == since


def test_a_wrong_part_without_a_validator_costs_one_more_request_not_the_file(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(b"\xff" * 5000)
    assert fetch(server, tmp_path / "file.bin", size=len(CONTENT)).read_bytes() == CONTENT
    assert [request.get("Range") for request in server.requests] == ["bytes=5000-", None]


def test_a_wrong_part_of_full_length_is_replaced(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(b"\xff" * len(CONTENT))
    assert fetch(server, tmp_path / "file.bin", size=len(CONTENT)).read_bytes() == CONTENT


def test_a_complete_part_of_unknown_size_is_recognised_by_416(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert fetch(server, tmp_path / "file.bin").read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_part_longer_than_the_file_is_thrown_away_after_416(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT + b"more")
    assert fetch(server, tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_416_without_a_length_begins_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:10])
    server.answers = [lambda handler: reply(handler, 416, b"")]
    assert fetch(server, tmp_path / "file.bin").read_bytes() == CONTENT


def test_another_range_than_the_one_asked_for_begins_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:10])
    server.answers = [lambda handler: reply(handler, 206, CONTENT[5:], {"Content-Range": f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}"})]
    assert fetch(server, tmp_path / "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again(server: Server, tmp_path: Path, status: int) -> None:
    server.answers = [lambda handler: reply(handler, status, b"busy")] * 2
    assert fetch(server, tmp_path / "file.bin").read_bytes() == CONTENT


def test_retry_after_is_waited_for(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(transfer.time, "sleep", waited.append)
    server.answers = [lambda handler: reply(handler, 503, b"", {"Retry-After": "7"}), lambda handler: reply(handler, 503, b"", {"Retry-After": "86400"})]
    fetch(server, tmp_path / "file.bin", pause=1.0)
    assert waited == [7.0, 30.0]


def test_the_pause_doubles(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(transfer.time, "sleep", waited.append)
    server.answers = [lambda handler: reply(handler, 500, b"")] * 3
    fetch(server, tmp_path / "file.bin", pause=1.0)
    assert waited == [2.0, 4.0, 8.0]


def test_a_server_that_never_recovers_is_given_up_with_advice(server: Server, tmp_path: Path) -> None:
    server.answers = [lambda handler: reply(handler, 503, b"")] * 99
    with pytest.raises(DownloadError, match=r"given up after 3 tries: the server answered 503.*VIVA_DATA_DIR"):
        fetch(server, tmp_path / "file.bin", attempts=3)
    assert len(server.requests) == 3 and not (tmp_path / "file.bin").exists()


def test_a_server_that_drips_is_given_up_in_the_end(server: Server, tmp_path: Path) -> None:
    def drip(handler: Any) -> None:
        start = int((handler.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        status, head = (206, {"Content-Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"}) if start else (200, {})
        reply(handler, status, CONTENT[start : start + 1], head, length=len(CONTENT) - start)

    server.answers = [drip] * 999
    with pytest.raises(DownloadError, match="given up after 40 tries"):
        fetch(server, tmp_path / "file.bin", pause=0.0)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_address_without_the_file_is_asked_once(server: Server, tmp_path: Path, status: int) -> None:
    server.answers = [lambda handler: reply(handler, status, b"")] * 9
    with pytest.raises(DownloadError, match=f"{status}"):
        fetch(server, tmp_path / "file.bin")
    assert len(server.requests) == 1


def test_the_next_address_is_tried(server: Server, tmp_path: Path) -> None:
    server.answers = [lambda handler: reply(handler, 404, b"")]
    download([server.url + "?a", server.url + "?b"], tmp_path / "file.bin", check=check, pause=0.001)
    assert [request["path"][-1] for request in server.requests] == ["a", "b"]


def test_the_second_address_goes_on_with_the_part_of_the_first(server: Server, tmp_path: Path) -> None:
    server.answers = [broken_off(700_000), lambda handler: reply(handler, 404, b"")]
    download([server.url + "?a", server.url + "?b"], tmp_path / "file.bin", check=check, pause=0.001)
    assert server.requests[-1]["Range"] == "bytes=700000-" and "If-Range" not in server.requests[-1]


def test_a_log_in_page_is_no_file_and_says_what_it_is(server: Server, tmp_path: Path) -> None:
    server.answers = [lambda handler: reply(handler, 200, b"<html>Please log in to the hotel's network</html>")] * 9
    with pytest.raises(ChecksumError, match="<html>Please log in"):
        fetch(server, tmp_path / "file.bin")
    assert left_over(tmp_path / "file.bin") == set() and not (tmp_path / "file.bin").exists()


def test_an_answer_of_another_length_is_refused_before_it_is_read(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:500])
    server.answers = [lambda handler: reply(handler, 200, b"<html></html>")]
    with pytest.raises(DownloadError, match=f"offers 13 bytes where {len(CONTENT)}"):
        fetch(server, tmp_path / "file.bin", size=len(CONTENT))
    assert (tmp_path / "file.bin.part").read_bytes() == CONTENT[:500]  # kept for a better network


def test_an_answer_without_an_end_does_not_fill_the_disk(server: Server, tmp_path: Path) -> None:
    def endless(handler: Any) -> None:
        reply(handler, 200, CONTENT, length=-1)
        while True:
            handler.wfile.write(CONTENT)

    server.answers = [endless]
    with pytest.raises(DownloadError, match=f"more than the {len(CONTENT)} bytes"):
        fetch(server, tmp_path / "file.bin", size=len(CONTENT))
    assert left_over(tmp_path / "file.bin") == set()


def test_a_file_too_large_for_any_set_is_refused(server: Server, tmp_path: Path) -> None:
    server.answers = [lambda handler: reply(handler, 200, b"x", length=10**12)]
    with pytest.raises(DownloadError, match="1000000000000 bytes, more than"):
        fetch(server, tmp_path / "file.bin")


def test_a_chunked_answer_that_is_cut_is_tried_again(server: Server, tmp_path: Path) -> None:
    def cut(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"400\r\n" + CONTENT[:1024] + b"\r\n400\r\n" + CONTENT[1024:1500])

    server.answers = [cut]
    assert fetch(server, tmp_path / "file.bin").read_bytes() == CONTENT


def test_an_answer_that_is_no_http_is_tried_again(server: Server, tmp_path: Path) -> None:
    server.answers = [lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n")]
    assert fetch(server, tmp_path / "file.bin").read_bytes() == CONTENT


def test_silence_is_a_failure(server: Server, tmp_path: Path) -> None:
    server.answers = [lambda handler: time.sleep(1.0)] * 9
    with pytest.raises(DownloadError, match="given up after 2 tries: no answer"):
        fetch(server, tmp_path / "file.bin", attempts=2, timeout=0.1)


def test_silence_in_the_middle_is_resumed(server: Server, tmp_path: Path) -> None:
    def stall(handler: Any) -> None:
        reply(handler, 200, CONTENT[:4096], {"ETag": ETAG}, length=len(CONTENT))
        handler.wfile.flush()
        time.sleep(1.0)

    server.answers = [stall]
    assert fetch(server, tmp_path / "file.bin", timeout=0.2).read_bytes() == CONTENT
    assert server.requests[1]["Range"] == "bytes=4096-"


def test_nobody_at_the_address_is_said_with_advice(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"refused.*VIVA_DATA_DIR"):
        download(["http://127.0.0.1:9/x"], tmp_path / "x", check=check, attempts=1)


@pytest.mark.skipif(os.name != "posix" or not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_with_advice(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").symlink_to("/dev/full")
    with pytest.raises(DownloadError, match=r"cannot be written .*No space left.*VIVA_CACHE_DIR") as raised:
        fetch(server, tmp_path / "file.bin")
    assert isinstance(raised.value.__cause__, OSError) and raised.value.__cause__.errno == errno.ENOSPC


def test_the_name_appears_only_with_the_whole_checked_file(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "file.bin"
    seen: list[bool] = []

    def looking(path: Path) -> None:
        seen.append(target.exists())
        check(path)

    download([server.url], target, check=looking)
    assert seen == [False] and target.exists()


def _fetch_in_a_process(url: str, target: str) -> None:
    download([url], Path(target), check=check, pause=0.001)


def test_two_processes_share_one_download(server: Server, tmp_path: Path) -> None:
    def slow(handler: Any) -> None:
        time.sleep(0.5)
        server.usual(handler)

    server.answers = [slow, slow, slow]
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    processes = [context.Process(target=_fetch_in_a_process, args=(server.url, str(tmp_path / "file.bin"))) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(server.requests) == 1 and (tmp_path / "file.bin").read_bytes() == CONTENT


def test_two_threads_share_one_download(server: Server, tmp_path: Path) -> None:
    threads = [threading.Thread(target=fetch, args=(server, tmp_path / "file.bin")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(server.requests) == 1 and (tmp_path / "file.bin").read_bytes() == CONTENT


def _hold(path: str, ready: Any) -> None:
    with locked(Path(path)):
        ready.set()
        time.sleep(60)


def test_a_lock_falls_open_when_its_holder_is_killed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(str(tmp_path / "lock"), ready))
    holder.start()
    assert ready.wait(30)
    with pytest.raises(LockError, match="Another process has held"), locked(tmp_path / "lock", patience=0.1):
        pass
    holder.kill()
    holder.join(30)
    with locked(tmp_path / "lock", patience=5.0):
        pass


def test_no_bar_is_drawn_where_nobody_looks(server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fetch(server, tmp_path / "file.bin")
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("seconds", "drawn"), [(0.0, False), (2.0, True)])
def test_a_terminal_sees_a_bar_after_a_second(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, drawn: bool
) -> None:
    import pty

    parent, child = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(transfer._Bar, "__init__", _with_age(transfer._Bar.__init__, seconds))
    with os.fdopen(child, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        fetch(server, tmp_path / "file.bin")
    try:
        shown = os.read(parent, 65536).decode()
    except OSError:
        shown = ""
    os.close(parent)
    assert ("file.bin" in shown) is drawn


def _with_age(construct: Callable[..., None], seconds: float) -> Callable[..., None]:
    def aged(self: Any, name: str) -> None:
        construct(self, name)
        self.started -= seconds

    return aged


# ---------------------------------------------------------------- where files are found


def source(url: str = "http://127.0.0.1:9/", **file: Any) -> Source:
    known = {hashlib.sha256(CONTENT).hexdigest(): "as published"}
    one = File("file.bin", (url,), **{"sha256": known, **file})
    return Source("toy", "toys", Text(en="A toy"), "CC0", "https://example.org", (one,))


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    mirror = tmp_path / "mirror"
    (mirror / "toys").mkdir(parents=True)
    monkeypatch.setenv("VIVA_DATA_DIR", str(mirror))
    monkeypatch.setenv("VIVA_CACHE_DIR", str(tmp_path / "cache"))
    return mirror / "toys", tmp_path / "cache" / "data" / "toys"


def test_the_mirror_comes_first_and_is_never_written(places: tuple[Path, Path]) -> None:
    mirror, cache = places
    (mirror / "file.bin").write_bytes(CONTENT)
    assert source().open("file.bin") == mirror / "file.bin"
    assert [path.name for path in mirror.iterdir()] == ["file.bin"] and not cache.exists()


def test_what_the_mirror_lacks_is_downloaded_to_the_cache(places: tuple[Path, Path], server: Server) -> None:
    mirror, cache = places
    assert source(server.url).open("file.bin") == cache / "file.bin"
    assert list(mirror.iterdir()) == []


def test_a_wrong_file_in_the_mirror_is_refused_by_name(places: tuple[Path, Path]) -> None:
    mirror, _ = places
    (mirror / "file.bin").write_bytes(b"something else")
    with pytest.raises(ChecksumError, match=rf"{mirror}/file.bin is not the published file.bin: its SHA-256 is .*, expected"):
        source().open("file.bin")


def test_a_damaged_cache_is_mended(places: tuple[Path, Path], server: Server) -> None:
    _, cache = places
    cache.mkdir(parents=True)
    (cache / "file.bin").write_bytes(b"damaged")
    with pytest.raises(ChecksumError):
        source(server.url).open("file.bin", allow_download=False)
    assert source(server.url).open("file.bin").read_bytes() == CONTENT


def test_without_permission_to_download_the_advice_is_a_command(places: tuple[Path, Path]) -> None:
    with pytest.raises(MissingData, match=r"viva datasets fetch toy.*VIVA_DATA_DIR.*toys/file.bin"):
        source().open("file.bin", allow_download=False)


def test_a_readers_own_folder_is_taken_as_it_is(places: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"my own")
    assert source().open("file.bin", folder=tmp_path) == tmp_path / "file.bin"
    with pytest.raises(MissingData, match=r"no file\.bin in"):
        source().open("file.bin", folder=tmp_path / "elsewhere")


def test_an_archive_packed_anew_is_known_by_its_contents(places: tuple[Path, Path]) -> None:
    mirror, _ = places
    (mirror / "file.bin").write_bytes(CONTENT)
    inside = digest_of_members([("b", b"2"), ("a", b"1")])
    assert inside == digest_of_members([("a", b"1"), ("b", b"2")]) != digest_of_members([("a", b"2"), ("b", b"1")])
    file = source(sha256={}, contents=lambda _: inside, contents_sha256=inside).files[0]
    assert "contents as published" in file.check(mirror / "file.bin")
    other = source(sha256={}, contents=lambda _: "0" * 64, contents_sha256=inside).files[0]
    with pytest.raises(ChecksumError, match="of its contents"):
        other.check(mirror / "file.bin")


def test_a_mirror_that_is_no_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVA_DATA_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(MissingData, match="nowhere, which is no folder"):
        mirror_folder()
    monkeypatch.setenv("VIVA_DATA_DIR", " ")
    assert mirror_folder() is None


def test_the_cache_is_the_platforms_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIVA_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path / "data"
    monkeypatch.delenv("VIVA_CACHE_DIR")
    assert cache_folder().name == "data" and "viva" in cache_folder().parts


def test_the_digest_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert digest(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# ---------------------------------------------------------------- viva datasets


def viva(*arguments: str) -> Any:
    from click.testing import CliRunner

    from viva.cli.main import group

    return CliRunner().invoke(group, ["datasets", *arguments])


def test_the_command_lists_every_set(places: tuple[Path, Path]) -> None:
    listed = json.loads(viva("list", "--json").output)
    assert [row["name"] for row in listed] == ["digits", "mnist", "bccd", "shakespeare", "nsmc"]
    assert {row["name"]: row["present"] for row in listed} == {"digits": True, "mnist": False, "bccd": False, "shakespeare": False, "nsmc": False}
    assert all(row["licence"] and row["home"].startswith("https://") for row in listed)
    table = viva("list").output
    assert "CC BY-SA 3.0" in table and "11.6 MB" in table


def test_the_command_names_the_folder_or_says_how_to_get_one(places: tuple[Path, Path]) -> None:
    assert viva("path", "digits").output.strip().endswith("data")
    missing = viva("path", "nsmc")
    assert missing.exit_code == 1 and "viva datasets fetch nsmc" in missing.output
    unknown = viva("path", "nsms")
    assert unknown.exit_code == 2 and "digits, mnist" in unknown.output


def test_the_command_fetches_and_checks(mirror: Path) -> None:
    result = viva("fetch", "digits", "shakespeare")
    assert result.exit_code == 0 and str(mirror / "tinyshakespeare" / "input.txt") in result.output
