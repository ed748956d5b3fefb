"""The ``viva`` command.

``main`` is the entry point; each file beside this one holds the commands of one kind. Nothing heavy is imported until a command
needs it, so that ``viva --help`` answers at once.
"""

from viva.cli.main import main

__all__ = ["main"]
