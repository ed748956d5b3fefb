"""PCA: scikit-learn's numbers, signs included, and what holds for any data."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from parity import reference, relative
from torch import Tensor

from viva.models.pca import PCA


def data(samples: int = 60, features: int = 9, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Correlated, far from the origin, with clearly different variances."""
    chance = torch.Generator().manual_seed(seed)
    spread = torch.linspace(3.0, 0.3, features, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(features, features, generator=chance, dtype=torch.float64)).Q
    return ((torch.randn(samples, features, generator=chance, dtype=torch.float64) * spread) @ turn + 5).to(dtype)


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize(("samples", "features"), [(60, 9), (7, 20)])
@pytest.mark.parametrize("components", [None, 3, 0.9, 0.5])
@pytest.mark.parametrize("whiten", [False, True])
def test_it_equals_scikit_learn_to_the_sign(dtype: torch.dtype, limit: float, samples: int, features: int, components: int | float | None, whiten: bool) -> None:
    sklearn = reference("sklearn.decomposition")
    x = data(samples, features, dtype)
    ours, theirs = PCA(components, whiten=whiten).fit(x), sklearn.PCA(components, whiten=whiten, svd_solver="full").fit(x.numpy())
    kept = len(theirs.components_)
    # With as many components as samples, the last has no variance and its direction is arbitrary.
    certain = min(kept, samples - 1)
    for mine, yours in (
        (ours.mean, theirs.mean_),
        (ours.directions[:certain], theirs.components_[:certain]),
        (ours.explained_variance, theirs.explained_variance_),
        (ours.explained_variance_ratio, theirs.explained_variance_ratio_),
        (ours.singular_values, theirs.singular_values_),
        (ours.transform(x)[:, :certain], theirs.transform(x.numpy())[:, :certain]),
        (ours.reconstruct(x), theirs.inverse_transform(theirs.transform(x.numpy()))),
    ):
        assert mine.dtype == dtype
        assert relative(mine, torch.as_tensor(yours)) <= 10 * limit


def test_the_digits_equal_scikit_learn() -> None:
    reference("sklearn")
    from sklearn.datasets import load_digits
    from sklearn.decomposition import PCA as Theirs

    x = torch.as_tensor(load_digits().data)  # three of the 64 pixels are black in every picture
    ours, theirs = PCA(20).fit(x), Theirs(20, svd_solver="full").fit(x.numpy())
    assert relative(ours.directions, torch.as_tensor(theirs.components_)) < 1e-10
    assert relative(ours.transform(x), torch.as_tensor(theirs.transform(x.numpy()))) < 1e-10


def test_components_are_orthonormal_and_coordinates_uncorrelated() -> None:
    x = data()
    fitted = PCA(5).fit(x)
    torch.testing.assert_close(fitted.directions @ fitted.directions.T, torch.eye(5, dtype=x.dtype))
    torch.testing.assert_close(torch.cov(fitted.transform(x).T), torch.diag(fitted.explained_variance))
    torch.testing.assert_close(torch.cov(PCA(5, whiten=True).fit(x).transform(x).T), torch.eye(5, dtype=x.dtype))


def test_the_error_of_reconstruction_is_the_variance_left_out() -> None:
    x = data()
    whole, few = PCA().fit(x), PCA(4).fit(x)
    error = (few.reconstruct(x) - x).square().sum() / (len(x) - 1)
    torch.testing.assert_close(error, whole.explained_variance[4:].sum())
    torch.testing.assert_close(whole.reconstruct(x), x)
    torch.testing.assert_close(PCA(whiten=True).fit(x).reconstruct(x), x)


@given(seed=st.integers(0, 10**6), components=st.integers(1, 4))
def test_no_other_projection_through_as_many_numbers_does_better(seed: int, components: int) -> None:
    x = data(20, 6, seed=seed)
    centred = x - x.mean(0)
    other = torch.linalg.qr(torch.randn(6, components, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)).Q
    theirs = (centred @ other @ other.T - centred).square().sum()
    assert (PCA(components).fit(x).reconstruct(x) - x).square().sum() <= theirs * (1 + 1e-9)


@pytest.mark.parametrize(("samples", "features"), [(300, 80), (80, 300)])
def test_the_randomised_decomposition_finds_the_same(samples: int, features: int) -> None:
    chance = torch.Generator().manual_seed(1)
    spread = 0.7 ** torch.arange(features, dtype=torch.float64)  # a falling spectrum, as pictures have
    x = torch.randn(samples, features, generator=chance, dtype=torch.float64) * spread
    exact, quick = PCA(5).fit(x), PCA(5, power_iterations=4, generator=chance).fit(x)
    for name in ("directions", "explained_variance", "explained_variance_ratio", "singular_values"):
        assert relative(getattr(quick, name), getattr(exact, name)) < 1e-6


def test_constant_columns_duplicates_and_constant_data_give_finite_numbers() -> None:
    x = data()
    x[:, 3] = 7.0
    fitted = PCA(whiten=True).fit(x)
    assert fitted.explained_variance[-1] < 1e-20 and fitted.transform(x).isfinite().all()
    torch.testing.assert_close(fitted.reconstruct(x), x)
    same = PCA().fit(torch.full((5, 3), 2.0))
    assert same.explained_variance_ratio.tolist() == [0, 0, 0]
    assert PCA(0.9).fit(torch.full((5, 3), 2.0)).transform(torch.ones(1, 3)).isfinite().all()
    twice = PCA(2).fit(torch.cat([data(), data()]))
    torch.testing.assert_close(twice.directions, PCA(2).fit(data()).directions)


def test_half_precision_is_computed_in_float32() -> None:
    x = data(dtype=torch.bfloat16)
    fitted = PCA(3).fit(x)
    assert fitted.transform(x).dtype == torch.float32
    torch.testing.assert_close(fitted.directions, PCA(3).fit(x.float()).directions)


def test_bad_input_gets_a_sentence() -> None:
    x = data()
    for components in (0, -1, 1.0, 0.0, 1.5, True, "mle"):
        with pytest.raises(ValueError, match="give a whole number from 1 up"):
            PCA(components)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="how many components"):
        PCA(0.5, power_iterations=2)
    with pytest.raises(ValueError, match="8 components asked for, but 5 samples of 9 features have 5 at most"):
        PCA(8).fit(x[:5])
    with pytest.raises(ValueError, match="one sample does not vary"):
        PCA().fit(x[:1])
    with pytest.raises(ValueError, match=r"shape \(3,\), expected \(samples, features\)"):
        PCA().fit(torch.ones(3))
    with pytest.raises(ValueError, match=r"shape \(0, 3\)"):
        PCA().fit(torch.ones(0, 3))
    with pytest.raises(TypeError, match=r"torch.int64.*x\.float\(\)"):
        PCA().fit(torch.ones(3, 3, dtype=torch.int64))
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="NaN or infinite"):
            PCA().fit(torch.where(torch.arange(9) == 4, bad, x))
    with pytest.raises(RuntimeError, match="call fit"):
        PCA().transform(x)
    with pytest.raises(ValueError, match=r"got 4 features \(\(60, 4\)\), expected 9"):
        PCA(3).fit(x).transform(x[:, :4])
    with pytest.raises(ValueError, match="got 4 coordinates"):
        PCA(3).fit(x).inverse_transform(x[:, :4])
