"""Import and export.

Lists that people keep as text become packs (:func:`read_list`, :func:`build_pack`, :mod:`viva.exchange.packs`), a
learner's data becomes one JSON document and back (:mod:`viva.exchange.learner`), and handwriting becomes SVG or InkML
(:mod:`viva.exchange.ink`). To read one more kind of list, add a module with a function
``read_<kind>(lines, ledger)`` and name it in :mod:`viva.exchange.lists`.

Everything that comes in is taken as hostile; what is kept of it is plain Markdown (:mod:`viva.exchange.clean`).
"""

from viva.exchange.lists import read_list
from viva.exchange.packs import build_pack, pack_topics, write_pack, write_question
from viva.exchange.report import ImportedQuestion, ImportFailed, ImportReport, ImportWarning

__all__ = [
    "ImportFailed",
    "ImportReport",
    "ImportWarning",
    "ImportedQuestion",
    "build_pack",
    "pack_topics",
    "read_list",
    "write_pack",
    "write_question",
]
