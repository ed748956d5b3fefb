"""From features to chances: how likely each mark is.

One small network (a hidden layer, softmax over made, partly, missed and backwards) weighs the features of a point, a logistic
regression those of a misconception. ``viva grading fit`` fits both on graded answers and writes ``weights.json``; nothing is
fitted while grading.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from viva.grading.features import POINT, SLIP
from viva.grading.likeness import Floats
from viva.grading.marks import STATUSES, Status

WEIGHTS_FILE = Path(__file__).parent / "weights.json"


@dataclass(frozen=True)
class Judgement:
    """Fitted weights. ``mean`` and ``scale`` bring each feature to mean 0 and deviation 1."""

    mean: Floats
    scale: Floats
    layers: tuple[tuple[Floats, Floats], ...]
    slip_mean: Floats
    slip_scale: Floats
    slip_weights: Floats
    slip_bias: float
    slip_threshold: float
    cues: Mapping[Status, float]
    """How often a mark is right that was read off the cues alone."""
    pairs: Mapping[str, float]
    """For :func:`viva.grading.fluency.fluency`."""

    def points(self, features: Floats) -> Floats:
        """Chances of :data:`~viva.grading.marks.STATUSES` (columns) for each row of features."""
        value = (features - self.mean) / self.scale
        for number, (weights, bias) in enumerate(self.layers):
            value = value @ weights + bias
            if number + 1 < len(self.layers):
                value = np.maximum(value, 0.0)
        value = np.exp(value - value.max(axis=1, keepdims=True))
        return value / value.sum(axis=1, keepdims=True)

    def slips(self, features: Floats) -> Floats:
        """The chance that each misconception (row) is stated."""
        if not len(features):
            return np.zeros(0)
        return 1.0 / (1.0 + np.exp(-(((features - self.slip_mean) / self.slip_scale) @ self.slip_weights + self.slip_bias)))


class WeightsError(ValueError):
    """``weights.json`` does not belong to this version's features; says which command writes it anew."""


@lru_cache(maxsize=1)
def judgement() -> Judgement:
    """The weights that came with this version.

    Raises:
        WeightsError: the file was fitted on other features.
    """
    return from_data(json.loads(WEIGHTS_FILE.read_text(encoding="utf-8")))


def from_data(data: Mapping[str, Any]) -> Judgement:
    """Weights from the content of ``weights.json``."""
    if tuple(data["point features"]) != POINT or tuple(data["misconception features"]) != SLIP:
        raise WeightsError(f"{WEIGHTS_FILE.name} was fitted on other features; fit it again with 'viva grading fit'")
    points, slips = data["points"], data["misconceptions"]
    return Judgement(
        _array(points["mean"]),
        _array(points["scale"]),
        tuple((_array(layer["weights"]), _array(layer["bias"])) for layer in points["layers"]),
        _array(slips["mean"]),
        _array(slips["scale"]),
        _array(slips["weights"]),
        float(slips["bias"]),
        float(slips["threshold"]),
        {status: float(data["cues"][status]) for status in STATUSES},
        data["pairs"],
    )


def _array(values: Sequence[Any]) -> Floats:
    return np.array(values, dtype=np.float64)
