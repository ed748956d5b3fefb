"""Principal component analysis: the directions along which data varies most.

Pearson 1901, "On lines and planes of closest fit"; Hotelling 1933. Of data X (samples, features), centred to X - mean, the
singular value decomposition is

    X - mean = U S Vᵀ        U (N, k), S (k,), Vᵀ (k, D)

and the rows of Vᵀ are the components: orthonormal, the first along the greatest variance, every further one along the
greatest that is left. They are the eigenvectors of the covariance (X - mean)ᵀ(X - mean) / (N - 1), whose eigenvalues are
S² / (N - 1), the *explained variances*; taking the SVD of the data avoids squaring it, which would halve the digits.

    z = (x - mean) V         (N, D) -> (N, k)        transform
    x' = z Vᵀ + mean         (N, k) -> (N, D)        inverse_transform: of all linear maps through k numbers, the one
                                                     with the least squared error (Eckart and Young 1936)

Whitening divides z by its standard deviations: uncorrelated, variance 1. A component's sign is free (v and -v span the
same line); here, as in scikit-learn, the entry largest in magnitude is positive. Variance has units: where features are not
measured alike, standardise them first, or the one with the largest numbers becomes the first component.
"""

from __future__ import annotations

import torch
from torch import Tensor

from viva.nn.shapes import expect_tensor

OVERSAMPLING = 10  # more random directions than asked for, which makes the wanted ones exact enough (Halko et al., §4.2)


class PCA:
    """Fits components to data and projects onto them.

    components: how many to keep; a fraction keeps as many as explain that share of the variance; None keeps
        min(samples, features).
    whiten: whether `transform` scales every coordinate to variance 1.
    power_iterations: None takes the full decomposition; a number takes the randomised one of Halko, Martinsson and Tropp
        2011 with that many iterations, for a few components of a large matrix (4 is plenty unless the spectrum is flat).

    After `fit`, in the data's dtype (float32 for data in half precision): ``mean`` (D,), ``directions`` (k, D),
    ``explained_variance`` (k,), ``explained_variance_ratio`` (k,), ``singular_values`` (k,).
    """

    mean: Tensor
    directions: Tensor
    explained_variance: Tensor
    explained_variance_ratio: Tensor
    singular_values: Tensor

    def __init__(
        self,
        components: int | float | None = None,
        *,
        whiten: bool = False,
        power_iterations: int | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        whole = isinstance(components, int) and not isinstance(components, bool)
        if components is not None and not (components >= 1 if whole else isinstance(components, float) and 0 < components < 1):
            raise ValueError(f"components={components!r}: give a whole number from 1 up, a fraction between 0 and 1, or None for all")
        if power_iterations is not None and not whole:
            raise ValueError(f"the randomised decomposition needs to know how many components to find; got components={components!r}")
        self.components, self.whiten = components, whiten
        self.power_iterations, self.generator = power_iterations, generator

    def fit(self, x: Tensor) -> PCA:
        """Finds the components of x (N, D), N >= 2. Raises ValueError for NaN, or more components than min(N, D)."""
        x = _checked(x)
        samples, features = x.shape
        most = min(samples, features)
        if samples < 2:
            raise ValueError("one sample does not vary; principal components need two or more")
        if isinstance(self.components, int) and self.components > most:
            raise ValueError(f"{self.components} components asked for, but {samples} samples of {features} features have {most} at most")
        self.mean = x.mean(0)
        centred = x - self.mean
        variance = centred.square().sum() / (samples - 1)
        if self.power_iterations is None:
            _, singular, directions = torch.linalg.svd(centred, full_matrices=False)  # (N, m), (m,), (m, D)
        else:
            assert isinstance(self.components, int)
            singular, directions = _randomised_svd(centred, self.components, self.power_iterations, self.generator)
        explained = singular.square() / (samples - 1)
        ratio = explained / variance if variance > 0 else torch.zeros_like(explained)  # constant data explains nothing
        kept = self._kept(ratio, most)
        self.directions = _signed(directions[:kept])
        self.explained_variance, self.explained_variance_ratio, self.singular_values = explained[:kept], ratio[:kept], singular[:kept]
        return self

    def _kept(self, ratio: Tensor, most: int) -> int:
        if isinstance(self.components, float):  # the first k whose shares sum to more than the fraction
            return min(most, int(torch.searchsorted(ratio.cumsum(0), self.components, right=True)) + 1)
        return most if self.components is None else self.components

    def transform(self, x: Tensor) -> Tensor:
        """Coordinates along the components: (N, D) -> (N, k)."""
        x = self._fitting(x, self._fitted().shape[1], "features")
        z = (x - self.mean) @ self.directions.T
        return z / self._scale() if self.whiten else z

    def inverse_transform(self, z: Tensor) -> Tensor:
        """The points with these coordinates: (N, k) -> (N, D)."""
        z = self._fitting(z, self._fitted().shape[0], "coordinates")
        return (z * self._scale() if self.whiten else z) @ self.directions + self.mean

    def reconstruct(self, x: Tensor) -> Tensor:
        """x through the bottleneck of k numbers and back: (N, D) -> (N, D)."""
        return self.inverse_transform(self.transform(x))

    def _scale(self) -> Tensor:
        # A direction without variance has coordinates of rounding noise only: it must not be blown up.
        return self.explained_variance.sqrt().clamp_min(torch.finfo(self.mean.dtype).eps)

    def _fitted(self) -> Tensor:
        if not hasattr(self, "directions"):
            raise RuntimeError("this PCA has no components yet: call fit(x) first")
        return self.directions

    def _fitting(self, x: Tensor, width: int, what: str) -> Tensor:
        x = _checked(x)
        if x.shape[1] != width:
            raise ValueError(f"got {x.shape[1]} {what} ({tuple(x.shape)}), expected {width} as in fit: (N, {width})")
        return x.to(self.mean.dtype)


def _randomised_svd(x: Tensor, rank: int, iterations: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Singular values (rank,) and right vectors (rank, D) of x (N, D), by Halko et al. 2011, algorithms 4.4 and 5.1.

    x times a few random directions lands almost surely in the span of its leading left vectors; each power iteration
    multiplies by x xᵀ and so separates them from the rest, with a QR between that keeps small ones from drowning.
    """
    width = min(rank + OVERSAMPLING, *x.shape)
    sketch = torch.randn(x.shape[1], width, dtype=x.dtype, device=x.device, generator=generator)
    basis = torch.linalg.qr(x @ sketch).Q  # (N, width)
    for _ in range(iterations):
        basis = torch.linalg.qr(x @ torch.linalg.qr(x.T @ basis).Q).Q
    _, singular, right = torch.linalg.svd(basis.T @ x, full_matrices=False)  # of a (width, D) matrix: small
    return singular[:rank], right[:rank]


def _signed(directions: Tensor) -> Tensor:
    """Every row turned so that its entry of largest magnitude is positive."""
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))  # (k, 1)
    return torch.where(largest < 0, -directions, directions)


def _checked(x: Tensor) -> Tensor:
    expect_tensor("PCA", x)
    if x.dim() != 2 or 0 in x.shape:
        raise ValueError(f"got data of shape {tuple(x.shape)}, expected (samples, features) with at least one of each")
    if not x.is_floating_point():
        raise TypeError(f"got data of dtype {x.dtype}, expected floating-point numbers: call x.float() first")
    if not torch.isfinite(x).all():
        raise ValueError("the data holds NaN or infinite numbers; fill or drop those samples first")
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
