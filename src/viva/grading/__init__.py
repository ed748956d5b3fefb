"""An answer against its points, offline.

:func:`grade` is the one door: ``grade(question, answer, language) -> Grade``. It is deterministic, needs no network
and explains every mark with the words it was read from. The README in this folder walks through an example.
"""

from viva.grading.grade import blank_grade, grade, likeliest, prepare, regrade, warm_up
from viva.grading.marks import STATUSES, Grade, MisconceptionMark, PointMark, Status

__all__ = ["STATUSES", "Grade", "MisconceptionMark", "PointMark", "Status", "blank_grade", "grade", "likeliest", "prepare", "regrade", "warm_up"]
