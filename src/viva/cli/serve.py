"""``viva`` and ``viva serve``: start the app, open the browser."""

from __future__ import annotations

import os
import socket
import sys
import threading
import urllib.request
import webbrowser

import click

from viva.cli.say import say

PORT = 8470
TRIES = 20


@click.command("serve", help=say("앱을 켭니다.", "Starts the app."))
@click.option("--port", type=click.IntRange(0, 65535), default=None, help=say(f"포트 (기본 {PORT}, 쓰고 있으면 다음 빈 포트)", f"port (default {PORT}, or the next free one)"))
@click.option("--host", default="127.0.0.1", show_default=True, help=say("들을 주소", "address to listen on"))
@click.option("--allow-host", multiple=True, metavar="NAME", help=say("이 이름으로 온 요청도 받기 (여러 번 쓸 수 있음)", "also answer to this host name (repeatable)"))
@click.option("--no-browser", is_flag=True, help=say("브라우저를 열지 않기", "do not open the browser"))
def serve_command(port: int | None = None, host: str = "127.0.0.1", allow_host: tuple[str, ...] = (), no_browser: bool = False) -> None:
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    no_browser = no_browser or bool(os.environ.get("VIVA_NO_BROWSER"))
    if port is None and _is_viva(shown, PORT):
        address = f"http://{shown}:{PORT}"
        click.echo(say("Viva가 이미 켜져 있습니다: {address}", "Viva is running already: {address}", address=address))
        if not no_browser:
            _open(address)
        return
    listener = _listen(host, port)
    address = f"http://{shown}:{listener.getsockname()[1]}"
    if host not in ("127.0.0.1", "localhost", "::1"):
        click.echo(
            say(
                "주의: {host}에서 듣습니다. 암호가 없으니 같은 네트워크의 누구나 볼 수 있습니다. 태블릿의 임시 저장까지 쓰려면 HTTPS가 필요합니다.",
                "Careful: listening on {host}. There is no password, so anyone on the network can look in. A tablet needs HTTPS for offline pages.",
                host=host,
            ),
            err=True,
        )

    import uvicorn

    from viva.store import Store
    from viva.web.app import create_app
    from viva.web.guard import LOOPBACK_NAMES

    app = create_app(Store.open(), allowed_hosts=(*LOOPBACK_NAMES, shown, *allow_host))
    click.echo(say("Viva: {address}  (끝내려면 Ctrl+C)", "Viva: {address}  (Ctrl+C to stop)", address=address))
    sys.stdout.flush()
    if not no_browser:
        threading.Timer(0.3, _open, (address,)).start()
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=3))
    server.run(sockets=[listener])


def _listen(host: str, port: int | None) -> socket.socket:
    """A bound socket: the wanted port, or the first free one from the usual port on."""
    wanted = [port] if port is not None else [*range(PORT, PORT + TRIES), 0]
    for candidate in wanted:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
        except OSError as error:
            listener.close()
            failure = error
            continue
        listener.listen(128)
        return listener
    raise click.ClickException(
        say("{host}:{port}에서 들을 수 없습니다 ({why}). 다른 --port를 쓰세요.", "Cannot listen on {host}:{port} ({why}); choose another --port.", host=host, port=wanted[0], why=failure.strerror)
    )


def _is_viva(host: str, port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/health", timeout=0.3) as answer:
            return b'"viva"' in answer.read(200)
    except (OSError, ValueError):
        return False


def _open(address: str) -> None:
    try:
        found = webbrowser.open(address)
    except webbrowser.Error:
        found = False
    if not found:
        click.echo(say("브라우저를 찾지 못했습니다. 이 주소를 여세요: {address}", "No browser was found. Open this address: {address}", address=address))
