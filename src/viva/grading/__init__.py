"""An answer against its points, offline.

:func:`grade` is the one door: ``grade(question, answer, language) -> Grade``. It is deterministic, needs no network
and explains every mark with the words it was read from.
"""

from viva.grading.grade import Grade, MisconceptionMark, PointMark, Status, grade, regrade

__all__ = ["Grade", "MisconceptionMark", "PointMark", "Status", "grade", "regrade"]
