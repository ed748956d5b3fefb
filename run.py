#!/usr/bin/env python3
"""Sets Viva up beside this file and starts it: ``python3 run.py``. Tests: ``python3 run.py test``.

Needs nothing but Python 3.11 or newer. The environment goes to ``.venv``; later starts find it and begin at once.
PyTorch is installed when a command first needs it (``train``, ``model``, ``lab``, ``test``). ``python3 run.py prepare [EXTRA]`` only
installs.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
NEEDS = {"datasets": "workshop", "lab": "labs", "model": "workshop", "train": "workshop"}  # command → the extra that it needs
KOREAN = (os.environ.get("VIVA_LANG") or os.environ.get("LC_ALL") or os.environ.get("LANG") or "").lower().startswith("ko")


def say(ko: str, en: str) -> None:
    print(ko if KOREAN else en, flush=True)


def fingerprint(extra: str) -> str:
    """What the environment depends on: the requirements and, since they are built into it, the page's sources."""
    digest = hashlib.sha256(f"{extra} {sys.version_info[:2]} {ROOT}".encode())
    paths = [ROOT / name for name in ("pyproject.toml", "constraints.txt", "hatch_build.py")]
    paths += [path for path in sorted((ROOT / "client").rglob("*")) if path.is_file() and "node_modules" not in path.parts]
    for path in paths:
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


def prepare(extra: str) -> None:
    """Makes or updates ``.venv`` with ``extra`` ('', 'workshop', 'labs' or 'test'); does nothing where it is up to date."""
    stamp = VENV / f".ready-{extra or 'app'}"
    wanted = fingerprint(extra)
    built = (ROOT / "src" / "viva" / "web" / "static" / ".built-from").exists()
    if stamp.exists() and stamp.read_text() == wanted and PYTHON.exists() and built:
        return
    say("환경을 준비합니다. 처음에는 1분쯤 걸립니다.", "Preparing the environment. The first time takes about a minute.")
    if not PYTHON.exists():
        try:
            import venv

            venv.create(VENV, with_pip=True, clear=VENV.exists())
        except Exception as error:  # ensurepip is a package of its own on some systems
            shutil.rmtree(VENV, ignore_errors=True)
            sys.exit(f"{error}\n" + ("python3-venv 패키지를 설치한 뒤 다시 시도해 주세요." if KOREAN else "Install your system's python3-venv package and try again."))
    target = f"{ROOT}[{extra}]" if extra else str(ROOT)
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", str(ROOT / "constraints.txt"), "-e", target]
    if subprocess.run(command, cwd=ROOT).returncode:
        say(
            "설치하지 못했습니다. 위의 메시지를 보고, 네트워크를 확인한 뒤 다시 실행해 주세요. 이미 받은 것은 남아 있습니다.",
            "The installation failed: see the message above, check the network and run this again. What was fetched is kept.",
        )
        sys.exit(1)
    stamp.write_text(wanted)


def test(arguments: list[str]) -> int:
    """Formatting, types, layers, the bank, the page's types, then every test."""
    prepare("test")
    environment = {**os.environ, "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", "")])}
    if not arguments:
        steps = (
            ["ruff", "check", "."],
            ["mypy"],
            ["lint-imports"],
            ["viva", "bank", "check"],
            ["viva", "lab", "record", "--check", "--quick"],
            [str(PYTHON), "client/check.py"],
        )
        for step in steps:
            print("$", *step, flush=True)
            if code := subprocess.run(step, cwd=ROOT, env=environment).returncode:
                return code
    # The pages are tested one at a time: two browsers and two servers on two cores only wait for each other.
    runs = [arguments] if arguments else [["-n", "auto", "-m", "not browser"], ["-m", "browser"]]
    for run in runs:
        if code := subprocess.run([str(PYTHON), "-m", "pytest", *run], cwd=ROOT, env=environment).returncode:
            return code
    return 0


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036  (this file alone may meet an older Python)
        sys.exit(f"Viva needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    arguments = sys.argv[1:]
    if arguments[:1] == ["test"]:
        return test(arguments[1:])
    if arguments[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    if arguments[:1] == ["prepare"]:
        prepare(arguments[1] if len(arguments) > 1 else "")
        return 0
    prepare(NEEDS.get(arguments[0], "") if arguments else "")
    command = [str(PYTHON), "-m", "viva", *(arguments or ["serve"])]
    if os.name == "nt":
        return subprocess.run(command).returncode
    os.execv(command[0], command)


if __name__ == "__main__":
    sys.exit(main())
