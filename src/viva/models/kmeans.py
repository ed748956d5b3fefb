"""k-means: k centres such that every point is near one of them.

Lloyd 1957 (published 1982), "Least squares quantization in PCM"; MacQueen 1967. Of points x (N, D) it seeks centres
c (k, D) that make the *inertia* small,

    inertia = Σ_i min_j |x_i - c_j|²

by two steps in turn, neither of which can raise it: every point joins its nearest centre, every centre moves to the mean
of its points. The result is a local minimum, so where one begins matters: k-means++ (Arthur and Vassilvitskii 2007) draws
each further centre with probability proportional to the squared distance from the nearest of those there are, and the best
of several runs is kept. k has to be given, features must be scaled alike, and clusters come out convex: every point belongs
to the nearest centre.

Distances come from |x|² - 2 x·c + |c|², one matrix product (N, D) x (D, k): never a tensor of (N, k, D). Points and centres
are shifted by the data's mean before, which changes no distance and saves the digits that large coordinates would cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from viva.nn.shapes import expect_tensor

BLOCK = 2**24  # distances held at once: 64 MiB in float32


@dataclass(frozen=True)
class Clusters:
    """What one run found: centres (k, D), and the labels (N,) int64 of the points.

    inertias: after every iteration, never rising. converged: False where ``max_iterations`` ended the run.
    """

    centres: Tensor
    labels: Tensor
    inertias: tuple[float, ...]
    converged: bool

    @property
    def inertia(self) -> float:
        return self.inertias[-1]


class KMeans:
    """k-means++ and Lloyd's iterations, the best of ``runs``.

    clusters: k. centres: (k, D) to begin from instead of k-means++ (then one run is enough and is all there is).
    tolerance: a run ends when the centres' squared movement is at most this share of the data's mean variance, or when no
        point changes its cluster. 0 waits for the latter.
    """

    found: Clusters

    def __init__(
        self,
        clusters: int,
        *,
        runs: int = 10,
        max_iterations: int = 300,
        tolerance: float = 1e-4,
        centres: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        for name, value in (("clusters", clusters), ("runs", runs), ("max_iterations", max_iterations)):
            if not isinstance(value, int):
                raise TypeError(f"{name}={value!r}, expected a whole number")
            if value < 1:
                raise ValueError(f"{name}={value}, expected 1 or more")
        if not tolerance >= 0:
            raise ValueError(f"tolerance={tolerance}, expected 0 or more")
        self.clusters, self.runs, self.max_iterations, self.tolerance = clusters, runs, max_iterations, tolerance
        self.start, self.generator = centres, generator

    def fit(self, x: Tensor) -> KMeans:
        """Clusters x (N, D), N >= k; the result is ``found``. Raises ValueError for NaN or fewer points than clusters."""
        x = _checked(x)
        if len(x) < self.clusters:
            raise ValueError(f"{self.clusters} clusters asked for, but there are only {len(x)} points")
        if self.start is not None and not torch.isfinite(self.start).all():
            raise ValueError("the first centres hold NaN or infinite numbers; give finite ones")
        if self.start is not None and self.start.shape != (self.clusters, x.shape[1]):
            raise ValueError(f"the first centres have shape {tuple(self.start.shape)}, expected {(self.clusters, x.shape[1])}")
        mean = x.mean(0)
        x = x - mean
        limit = self.tolerance * float(x.square().mean(0).mean())
        best: Clusters | None = None
        for _ in range(1 if self.start is not None else self.runs):
            start = plus_plus(x, self.clusters, self.generator) if self.start is None else self.start.to(x) - mean
            run = lloyd(x, start, self.max_iterations, limit)
            if best is None or run.inertia < best.inertia:
                best = run
        assert best is not None
        self.found = Clusters(best.centres + mean, best.labels, best.inertias, best.converged)
        return self

    def predict(self, x: Tensor) -> Tensor:
        """The nearest centre's number for every point: (N, D) -> (N,) int64."""
        x = self._fitting(x)
        mean = self.found.centres.mean(0)
        return nearest(x - mean, self.found.centres - mean)[0]

    def transform(self, x: Tensor) -> Tensor:
        """The distance from every point to every centre: (N, D) -> (N, k)."""
        x = self._fitting(x)
        mean = self.found.centres.mean(0)
        return squared_distances(x - mean, self.found.centres - mean).sqrt()

    def _fitting(self, x: Tensor) -> Tensor:
        if not hasattr(self, "found"):
            raise RuntimeError("there are no centres yet: call fit(x) first")
        x, centres = _checked(x), self.found.centres
        if x.shape[1] != centres.shape[1]:
            raise ValueError(f"got points of shape {tuple(x.shape)}, expected (N, {centres.shape[1]}) as in fit")
        return x.to(centres.dtype)


def lloyd(x: Tensor, centres: Tensor, max_iterations: int, limit: float) -> Clusters:
    """Assign, move, repeat, from the given centres: x (N, D), centres (k, D)."""
    labels: Tensor | None = None
    inertias: list[float] = []
    for _ in range(max_iterations):
        before = labels
        labels, distances = nearest(x, centres)
        settled = before is not None and torch.equal(labels, before)
        if settled:
            break
        labels = _reseeded(labels, distances, len(centres))
        moved = _means(x, labels, centres)
        shift = float((moved - centres).square().sum())
        centres = moved
        inertias.append(_inertia(x, centres, labels))
        if shift <= limit:
            labels, _ = nearest(x, centres)  # the centres moved a little after the last assignment
            return Clusters(centres, labels, (*inertias, _inertia(x, centres, labels)), True)
    else:
        labels, _ = nearest(x, centres)
        return Clusters(centres, labels, (*inertias, _inertia(x, centres, labels)), False)
    return Clusters(centres, labels, tuple(inertias), True)


def nearest(x: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest centre's number and its squared distance: (N, D), (k, D) -> (N,) int64, (N,)."""
    rows = max(1, BLOCK // len(centres))
    found = [squared_distances(block, centres).min(1) for block in x.split(rows)]
    return torch.cat([block.indices for block in found]), torch.cat([block.values for block in found])


def squared_distances(x: Tensor, centres: Tensor) -> Tensor:
    """|x_i - c_j|²: (N, D), (k, D) -> (N, k). Rounding may make the formula negative; a distance is not."""
    products = torch.addmm(centres.square().sum(1), x, centres.T, alpha=-2)  # |c|² - 2 x·c
    return (products + x.square().sum(1, keepdim=True)).clamp_min_(0)


def plus_plus(x: Tensor, clusters: int, generator: torch.Generator | None = None) -> Tensor:
    """First centres by k-means++, each the best of 2 + ln k draws (the paper's "greedy" variant): (N, D) -> (k, D)."""
    trials = 2 + int(math.log(clusters))
    first = int(torch.randint(len(x), (1,), generator=generator, device=x.device))
    chosen = [x[first]]
    distances = squared_distances(x, x[first : first + 1])[:, 0]  # (N,) to the nearest centre so far
    for _ in range(1, clusters):
        sums = distances.double().cumsum(0)
        draws = torch.rand(trials, generator=generator, device=x.device, dtype=torch.float64) * sums[-1]
        candidates = torch.searchsorted(sums, draws, right=True).clamp_max_(len(x) - 1)  # (trials,)
        closer = torch.minimum(distances[:, None], squared_distances(x, x[candidates]))  # (N, trials)
        best = int(closer.sum(0).argmin())
        chosen.append(x[candidates[best]])
        distances = closer[:, best]
    return torch.stack(chosen)


def _means(x: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """The mean of every cluster's points; a cluster that is still empty keeps its centre."""
    counts = torch.bincount(labels, minlength=len(centres))[:, None]  # (k, 1)
    sums = torch.zeros_like(centres).index_add_(0, labels, x)
    return torch.where(counts > 0, sums / counts.clamp_min(1), centres)


def _reseeded(labels: Tensor, distances: Tensor, clusters: int) -> Tensor:
    """Every empty cluster takes over a point among those farthest from their own centres, which lowers the inertia."""
    empty = (torch.bincount(labels, minlength=clusters) == 0).nonzero()[:, 0]
    if not len(empty):
        return labels
    farthest = distances.topk(len(empty))
    away = farthest.values > 0  # with fewer different points than clusters there is nobody left to take over
    labels = labels.clone()
    labels[farthest.indices[away]] = empty[away]
    return labels


def _inertia(x: Tensor, centres: Tensor, labels: Tensor) -> float:
    """From the differences themselves: exact where the three-term formula cancels."""
    return float((x - centres[labels]).square().sum(dtype=torch.float64))


def _checked(x: Tensor) -> Tensor:
    expect_tensor("KMeans", x)
    if x.dim() != 2 or 0 in x.shape:
        raise ValueError(f"got points of shape {tuple(x.shape)}, expected (points, features) with at least one of each")
    if not x.is_floating_point():
        raise TypeError(f"got points of dtype {x.dtype}, expected floating-point numbers: call x.float() first")
    if not torch.isfinite(x).all():
        raise ValueError("the points hold NaN or infinite numbers; fill or drop those first")
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
