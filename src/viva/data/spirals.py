"""Toy sets in the plane: points one can see, to watch a classifier bend its border.

    spirals(n, arms)   k arms wound about the origin: no straight line separates them, a small MLP does
    moons(n)           two half circles, one inside the other's reach
    xor(n)             four clouds, opposite corners alike: the set that one layer cannot learn (Minsky, Papert 1969)
    blobs(n, classes)  one Gaussian cloud for each class: the set that one layer can

Each returns ``(points, labels)``: float32 (n, 2) and int64 (n,), classes as equal in number as n allows, in
random order. Point j of arm k of a spiral, with t from 0 to 1 along the arm:

    (x, y) = t · (cos φ, sin φ) + noise · ε,   φ = 2π (k / arms + turns · t),   ε ~ N(0, I)

One seed, one set; another seed is a fresh sample of the same shape, fit for validation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

Points = tuple[Tensor, Tensor]


def spirals(
    n: int = 300, arms: int = 3, *, turns: float = 0.75, noise: float = 0.02, seed: int = 0
) -> Points:
    """``arms`` spirals of radius 1, each ``turns`` times about the origin."""
    labels, generator = _classes(n, arms, noise, seed)
    t = torch.rand(n, generator=generator)  # (n,) along the arm
    angle = 2 * math.pi * (labels / arms + turns * t)
    return _scattered(torch.stack([t * angle.cos(), t * angle.sin()], dim=1), noise, generator), labels


def moons(n: int = 300, *, noise: float = 0.1, seed: int = 0) -> Points:
    """Two half circles of radius 1: the upper about (0, 0), the lower about (1, 0.5)."""
    labels, generator = _classes(n, 2, noise, seed)
    angle = math.pi * torch.rand(n, generator=generator)
    sign = 1.0 - 2.0 * labels
    points = torch.stack([sign * angle.cos() + labels, sign * angle.sin() + 0.5 * labels], dim=1)
    return _scattered(points, noise, generator), labels


def xor(n: int = 300, *, noise: float = 0.2, seed: int = 0) -> Points:
    """Clouds about (±1, ±1); label 1 where exactly one coordinate of the centre is positive."""
    labels, generator = _classes(n, 2, noise, seed)
    first = torch.randint(2, (n,), generator=generator)
    centres = torch.stack([first, first ^ labels], dim=1) * 2.0 - 1.0
    return _scattered(centres, noise, generator), labels


def blobs(n: int = 300, classes: int = 3, *, noise: float = 0.2, seed: int = 0) -> Points:
    """Clouds of standard deviation ``noise`` about points at equal distances on the unit circle."""
    labels, generator = _classes(n, classes, noise, seed)
    angle = 2 * math.pi * labels / classes
    return _scattered(torch.stack([angle.cos(), angle.sin()], dim=1), noise, generator), labels


def _classes(n: int, classes: int, noise: float, seed: int) -> tuple[Tensor, torch.Generator]:
    """Labels (n,) of classes in equal numbers, shuffled; the generator that draws the rest."""
    if n < 0 or classes < 1 or noise < 0:
        raise ValueError(
            f"{n} points, {classes} classes, noise {noise}: expected n >= 0, classes >= 1, noise >= 0"
        )
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(n, generator=generator) % classes, generator


def _scattered(points: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    return points + noise * torch.randn(points.shape, generator=generator)
