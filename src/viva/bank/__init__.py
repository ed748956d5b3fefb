"""Questions as data.

A *pack* is a folder of Markdown files, one question each: ``<topic>/<id>.md`` with YAML front matter
(:mod:`viva.bank.schema`) and the model answer under ``## ko`` and ``## en``. The built-in bank is the pack beside
this file; a learner's imported packs have the same shape. To add a question, add a file and run ``viva bank check``.

This is the top room of the study half: it imports nothing of Viva but :mod:`viva.language`.
"""

from viva.bank.loader import BankError, Problem, load_bank, load_pack, read_question
from viva.bank.schema import Bank, Claim, Cues, FollowUp, Misconception, Point, Question, Topic

__all__ = [
    "Bank",
    "BankError",
    "Claim",
    "Cues",
    "FollowUp",
    "Misconception",
    "Point",
    "Problem",
    "Question",
    "Topic",
    "load_bank",
    "load_pack",
    "read_question",
]
