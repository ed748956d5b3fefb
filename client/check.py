"""Type-checks the page's scripts with the TypeScript of ``node_modules``: ``python client/check.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from viva.bank.check import find_node

HERE = Path(__file__).resolve().parent


def main() -> int:
    node, compiler = find_node(), HERE / "node_modules" / "typescript" / "bin" / "tsc"
    if node is None or not compiler.exists():
        print("client/check.py: Node or TypeScript is missing; run `python3 run.py test`, which installs them", file=sys.stderr)
        return 1
    return subprocess.run([node, str(compiler), "--noEmit", "-p", str(HERE)]).returncode


if __name__ == "__main__":
    sys.exit(main())
