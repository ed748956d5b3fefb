"""Whether an answer is the model answer, copied.

Both are cut into runs of twelve characters (spaces and marks left out, so a changed comma does not hide a copy); an
answer is a copy when it is long enough to be one and four fifths of its runs stand in the model answer.
"""

from __future__ import annotations

import re
from functools import lru_cache

from viva.bank import Question
from viva.grading.normaliser import MAX_CHARACTERS, normalise

RUN = 12
SHARE = 0.8
SHORTEST = 60
"""Characters without spaces; below that two people may well use the same words."""

_MARKS = re.compile(r"[\W_]+")


def is_copy(question: Question, answer: str) -> bool:
    """Whether at least :data:`SHARE` of ``answer`` stands word for word in the model answer of either language."""
    given = _bare(answer)
    if len(given) < SHORTEST:
        return False
    runs = _runs(given)
    return any(len(runs & model) >= SHARE * len(runs) for model in _model_runs(question))


@lru_cache(maxsize=512)
def _model_runs(question: Question) -> tuple[frozenset[str], ...]:
    if question.answer is None:
        return ()
    return tuple(_runs(_bare(text)) for text in (question.answer.ko, question.answer.en) if text)


def _bare(text: str) -> str:
    return _MARKS.sub("", normalise(text[:MAX_CHARACTERS]).text)


def _runs(bare: str) -> frozenset[str]:
    return frozenset(bare[i : i + RUN] for i in range(max(1, len(bare) - RUN + 1)))
