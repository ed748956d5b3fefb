"""Criteria: how measured numbers become a verdict.

A criterion is a range that one measure has to keep, in every seed or on average, and the range in which it was seen when the
criterion was set. The distance between the two is its margin, and both stand in the sentence that people read:

    at_least("speed_up", 12, seen=(14, 16.9))     speed-up ≥ 12 in every seed (seen over 24 seeds: 14 … 16.9)

In every seed: supported when all values lie inside, refuted when at most half do, inconclusive in between. On average:
supported or refuted when mean ± standard error lies wholly inside or outside. A value that is not finite measures nothing,
so the verdict is inconclusive. A claim with several criteria is supported when all of them hold and refuted when one is refuted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from viva.labs.evidence import Measurement, Verdict, short
from viva.language import Text

SEEDS_SEEN = 24


@dataclass(frozen=True)
class Criterion:
    """``measure`` has to lie in [low, high], in at least ``share`` of the seeds, or with ``mean`` on average over them.

    seen: least and largest value (with ``mean``: means of one run) over ``over`` seeds when the criterion was set.
    """

    measure: str
    low: float | None
    high: float | None
    seen: tuple[float, float]
    over: int = SEEDS_SEEN
    share: float = 1.0
    mean: bool = False

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            raise ValueError(f"{self.measure}: a criterion needs low, high or both")
        if self.share == 1.0 and not (self._inside(self.seen[0]) and self._inside(self.seen[1])):
            raise ValueError(f"{self.measure}: values were seen in {self.seen}, outside the criterion's own {self.low} … {self.high}")

    def verdict(self, measured: Measurement) -> Verdict:
        """The verdict on one measurement."""
        values = [value for value in measured.values if value is not None]
        if len(values) < len(measured.values) or not values:
            return "inconclusive"
        if self.mean:
            assert measured.mean is not None and measured.spread is not None
            error = measured.spread / math.sqrt(len(values))
            ends = [self._inside(measured.mean - error), self._inside(measured.mean + error)]
            return "supported" if all(ends) else "refuted" if not any(ends) else "inconclusive"
        inside = sum(map(self._inside, values)) / len(values)
        return "supported" if inside >= self.share else "refuted" if inside <= 0.5 else "inconclusive"

    def say(self, label: Text) -> Text:
        """The criterion as a sentence, with the range that was seen."""
        span = short(self.seen[0]) if self.seen[0] == self.seen[1] else f"{short(self.seen[0])} … {short(self.seen[1])}"
        how_ko, how_en = "모든 시드에서", "in every seed"
        if self.mean:
            how_ko, how_en = "평균", "on average"
        elif self.share < 1:
            how_ko, how_en = f"시드의 {self.share:.0%} 이상에서", f"in at least {self.share:.0%} of the seeds"
        return Text(
            ko=f"{how_ko} {self._range(label.get('ko'))} (시드 {self.over}개에서 본 값: {span})",
            en=f"{self._range(label.get('en'))} {how_en} (seen over {self.over} seeds: {span})",
        )

    def _range(self, label: str) -> str:
        if self.low is None:
            return f"{label} ≤ {self.high:.9g}"
        if self.high is None:
            return f"{label} ≥ {self.low:.9g}"
        if self.low == self.high:
            return f"{label} = {self.low:.9g}"
        return f"{self.low:.9g} ≤ {label} ≤ {self.high:.9g}"

    def _inside(self, value: float) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def at_least(measure: str, low: float, *, seen: tuple[float, float], over: int = SEEDS_SEEN, share: float = 1.0, mean: bool = False) -> Criterion:
    """measure ≥ low."""
    return Criterion(measure, low, None, seen, over, share, mean)


def at_most(measure: str, high: float, *, seen: tuple[float, float], over: int = SEEDS_SEEN, share: float = 1.0, mean: bool = False) -> Criterion:
    """measure ≤ high."""
    return Criterion(measure, None, high, seen, over, share, mean)


def between(measure: str, low: float, high: float, *, seen: tuple[float, float], over: int = SEEDS_SEEN, share: float = 1.0, mean: bool = False) -> Criterion:
    """low ≤ measure ≤ high."""
    return Criterion(measure, low, high, seen, over, share, mean)


def joint(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a claim whose criteria came out like this."""
    if "refuted" in verdicts:
        return "refuted"
    return "supported" if all(verdict == "supported" for verdict in verdicts) else "inconclusive"
