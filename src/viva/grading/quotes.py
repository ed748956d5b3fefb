"""The learner's own words behind a mark."""

from __future__ import annotations

from viva.grading.clauses import Reading

_CLAUSE = 14
"""A quote is widened to its clause by at most so many tokens on each side."""


def span_of(reading: Reading, start_token: int, end_token: int, answer: str, *, widen: bool = True) -> tuple[int, int]:
    """The original's span of tokens ``start_token..end_token``, widened to their clauses where asked, in whole words."""
    first, last = start_token, end_token
    if widen:
        for low in range(start_token, max(-1, start_token - _CLAUSE), -1):
            if reading.segment[low] != reading.segment[start_token] or reading.tokens[low].kind == "break":
                break
            first = low
        for high in range(end_token, min(len(reading.tokens), end_token + _CLAUSE)):
            if reading.segment[high] != reading.segment[end_token] or reading.tokens[high].kind == "break":
                break
            last = high
    start, end = reading.source.span(reading.tokens[first].start, max(t.end for t in reading.tokens[first : last + 1]))
    while start > 0 and not answer[start - 1].isspace() and answer[start - 1] not in ".,;!?":
        start -= 1
    while end < len(answer) and not answer[end].isspace() and answer[end] not in ",;!?":
        end += 1
    return start, end
