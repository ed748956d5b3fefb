"""Toy sets in the plane: shapes, balance, seeds, and that each is as hard as it says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from viva.data.spirals import blobs, moons, spirals, xor

SETS: list[tuple[Callable[..., Any], int]] = [(spirals, 3), (moons, 2), (xor, 2), (blobs, 3)]


@pytest.mark.parametrize(("draw", "classes"), SETS)
@given(n=st.integers(0, 50), seed=st.integers(0, 99))
def test_points_labels_and_balance(draw: Callable[..., Any], classes: int, n: int, seed: int) -> None:
    points, labels = draw(n, seed=seed)
    assert (points.dtype, points.shape) == (torch.float32, (n, 2))
    assert (labels.dtype, labels.shape) == (torch.int64, (n,))
    counts = torch.bincount(labels, minlength=classes)
    assert len(counts) == classes and counts.max() - counts.min() <= 1


@pytest.mark.parametrize(("draw", "_classes"), SETS)
def test_one_seed_one_set(draw: Callable[..., Any], _classes: int) -> None:
    assert all(torch.equal(a, b) for a, b in zip(draw(50, seed=1), draw(50, seed=1), strict=True))
    assert not torch.equal(draw(50, seed=1)[0], draw(50, seed=2)[0])


@given(st.integers(1, 7), st.floats(0.1, 2))
def test_points_lie_on_their_arm(arms: int, turns: float) -> None:
    points, labels = spirals(40, arms, turns=turns, noise=0)
    radius = points.norm(dim=1)
    angle = torch.atan2(points[:, 1], points[:, 0])
    expected = 2 * math.pi * (labels / arms + turns * radius)
    apart = torch.remainder(angle - expected + math.pi, 2 * math.pi) - math.pi
    assert (apart.abs()[radius > 0.01] < 1e-3).all()
    assert radius.max() <= 1


def linear_accuracy(points: torch.Tensor, labels: torch.Tensor) -> float:
    """The best a straight border does by least squares on one-hot classes."""
    inputs = torch.cat([points, torch.ones(len(points), 1)], dim=1)
    weights = torch.linalg.lstsq(inputs, torch.eye(int(labels.max()) + 1)[labels]).solution
    return float(((inputs @ weights).argmax(1) == labels).float().mean())


def nearest_accuracy(draw: Callable[..., Any]) -> float:
    """The nearest point of one sample tells the class of another: the border bends as it must."""
    (points, labels), (others, answers) = draw(600, seed=0), draw(600, seed=1)
    return float((labels[torch.cdist(others, points).argmin(1)] == answers).float().mean())


@pytest.mark.parametrize(
    ("draw", "lowest", "highest"), [(spirals, 0, 0.75), (xor, 0, 0.7), (moons, 0.7, 0.95), (blobs, 0.97, 1)]
)
def test_a_line_does_as_badly_as_it_should(draw: Callable[..., Any], lowest: float, highest: float) -> None:
    assert lowest <= linear_accuracy(*draw(600)) <= highest
    assert nearest_accuracy(draw) > 0.95


def test_moons_and_xor_without_noise_are_where_they_are_said_to_be() -> None:
    points, labels = moons(100, noise=0)
    centre = torch.stack([labels * 1.0, labels * 0.5], dim=1)
    torch.testing.assert_close((points - centre).norm(dim=1), torch.ones(100))
    points, labels = xor(100, noise=0)
    assert torch.equal(labels, (points.prod(dim=1) < 0).long())


def test_bad_input_is_told_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="-1 points, 3 classes"):
        spirals(-1)
    with pytest.raises(ValueError, match="10 points, 0 classes"):
        blobs(10, 0)
