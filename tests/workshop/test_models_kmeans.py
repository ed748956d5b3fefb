"""k-means: scikit-learn's centres from the same beginning, an inertia that never rises, and awkward data."""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from parity import reference, relative
from torch import Tensor

from viva.models import kmeans
from viva.models.kmeans import KMeans, nearest, plus_plus, squared_distances


def blobs(points: int = 200, features: int = 3, clusters: int = 5, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    middles = 4 * torch.randn(clusters, features, generator=chance, dtype=torch.float64)
    which = torch.randint(clusters, (points,), generator=chance)
    return (middles[which] + torch.randn(points, features, generator=chance, dtype=torch.float64) + 10).to(dtype)


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("tolerance", [0.0, 1e-4])
@pytest.mark.parametrize("seed", range(4))
def test_from_the_same_centres_it_ends_at_scikit_learns(dtype: torch.dtype, limit: float, tolerance: float, seed: int) -> None:
    sklearn = reference("sklearn.cluster")
    x = blobs(300, 4, 6, seed, dtype)
    start = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:6]]
    ours = KMeans(6, centres=start, tolerance=tolerance).fit(x)
    theirs = sklearn.KMeans(6, init=start.numpy(), n_init=1, algorithm="lloyd", tol=tolerance).fit(x.numpy())
    assert relative(ours.found.centres, torch.as_tensor(theirs.cluster_centers_)) <= limit
    assert ours.found.labels.tolist() == theirs.labels_.tolist() == ours.predict(x).tolist()
    assert ours.found.inertia == pytest.approx(theirs.inertia_, rel=10 * limit)
    assert relative(ours.transform(x), torch.as_tensor(theirs.transform(x.numpy()))) <= 10 * limit
    assert ours.found.converged and ours.found.centres.dtype == dtype


def test_with_several_runs_it_is_as_good_as_scikit_learn_on_the_digits() -> None:
    reference("sklearn")
    from sklearn.cluster import KMeans as Theirs
    from sklearn.datasets import load_digits

    x = torch.as_tensor(load_digits().data[:600])
    ours = KMeans(10, runs=8, generator=torch.Generator().manual_seed(0)).fit(x)
    theirs = Theirs(10, n_init=8, random_state=0).fit(x.numpy())
    assert ours.found.inertia <= 1.01 * theirs.inertia_


@given(seed=st.integers(0, 10**6), clusters=st.integers(1, 12), points=st.integers(12, 60), spread=st.sampled_from([0.0, 1e-3, 1.0]))
def test_the_inertia_never_rises_and_every_point_is_with_its_nearest_centre(seed: int, clusters: int, points: int, spread: float) -> None:
    chance = torch.Generator().manual_seed(seed)
    x = torch.randint(3, (points, 2), generator=chance).double() + spread * torch.randn(points, 2, generator=chance, dtype=torch.float64)
    far = 50 + torch.randn(clusters, 2, generator=chance, dtype=torch.float64)  # most of these win no point
    found = KMeans(clusters, centres=far, tolerance=0).fit(x).found
    assert all(after <= before * (1 + 1e-9) + 1e-9 for before, after in zip(found.inertias, found.inertias[1:], strict=False))
    assert found.centres.isfinite().all()
    distances = torch.cdist(x, found.centres)
    torch.testing.assert_close(distances.gather(1, found.labels[:, None])[:, 0], distances.min(1).values, atol=1e-6, rtol=1e-6)
    if spread == 1.0:  # all points differ: no cluster needs to stay empty
        assert found.labels.bincount(minlength=clusters).min() > 0 or not found.converged


def test_empty_clusters_take_over_far_points() -> None:
    x = torch.tensor([[0.0], [1.0], [10.0], [11.0], [30.0]])
    start = torch.tensor([[5.0], [1000.0], [2000.0]])
    found = KMeans(3, centres=start, tolerance=0).fit(x).found
    assert sorted(found.centres[:, 0].tolist()) == [0.5, 10.5, 30.0]


def test_fewer_different_points_than_clusters_still_ends() -> None:
    x = torch.ones(10, 2)
    found = KMeans(3, generator=torch.Generator().manual_seed(0)).fit(x).found
    assert found.inertia == 0 and found.converged and found.centres.tolist() == [[1, 1]] * 3
    two = torch.tensor([[0.0], [1.0]]).repeat(20, 1)
    found = KMeans(4, runs=3).fit(two).found
    assert found.inertia == 0 and set(found.centres[:, 0].tolist()) == {0.0, 1.0}


def test_as_many_clusters_as_points_leave_no_error() -> None:
    x = blobs(9)
    found = KMeans(9, generator=torch.Generator().manual_seed(0)).fit(x).found
    assert found.inertia == pytest.approx(0, abs=1e-18) and sorted(found.labels.tolist()) == list(range(9))


def test_a_run_that_is_out_of_turns_says_so() -> None:
    x = blobs(300, 2, 8)
    found = KMeans(8, centres=x[:8], max_iterations=1, tolerance=0).fit(x).found
    assert not found.converged and torch.equal(found.labels, nearest(x, found.centres)[0])


def test_plus_plus_never_draws_a_point_twice_while_others_are_left() -> None:
    x = torch.tensor([[0.0], [0.0], [0.0], [0.0], [1.0], [2.0]])
    for seed in range(50):
        chosen = plus_plus(x, 3, torch.Generator().manual_seed(seed))
        assert sorted(chosen[:, 0].tolist()) == [0.0, 1.0, 2.0]


def test_plus_plus_begins_better_than_chance() -> None:
    x = blobs(400, 2, 12)
    chance = torch.Generator().manual_seed(0)

    def cost(centres: Tensor) -> float:
        return float(nearest(x, centres)[1].sum())

    drawn = sum(cost(plus_plus(x, 12, chance)) for _ in range(10))
    random = sum(cost(x[torch.randperm(len(x), generator=chance)[:12]]) for _ in range(10))
    assert drawn < 0.6 * random


def test_distances_in_blocks_equal_distances_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x, centres = blobs(101), blobs(7, seed=1)
    torch.testing.assert_close(squared_distances(x, centres), torch.cdist(x, centres).square())
    whole = nearest(x, centres)
    monkeypatch.setattr(kmeans, "BLOCK", 70)
    blocks = nearest(x, centres)
    assert torch.equal(whole[0], blocks[0])
    torch.testing.assert_close(whole[1], blocks[1])


def test_data_far_from_the_origin_keeps_its_digits() -> None:
    near = blobs(200, 2, 4) - 10
    far = (near + 1e4).float()
    start = far[:4]
    found = KMeans(4, centres=start, tolerance=0).fit(far)
    exact = KMeans(4, centres=start.double(), tolerance=0).fit(far.double())
    assert found.found.labels.tolist() == exact.found.labels.tolist()
    assert found.found.inertia == pytest.approx(exact.found.inertia, rel=1e-4)
    assert found.predict(far).tolist() == exact.found.labels.tolist()


def test_constant_columns_do_not_matter() -> None:
    x = blobs(100, 2, 3)
    wider = torch.cat([x, torch.full((100, 1), 3.0, dtype=x.dtype)], 1)
    assert KMeans(3, centres=wider[:3]).fit(wider).found.labels.tolist() == KMeans(3, centres=x[:3], tolerance=1e-4 * 2 / 3).fit(x).found.labels.tolist()


def test_bad_input_gets_a_sentence() -> None:
    x = blobs(20)
    for arguments, match in (({"clusters": 0}, "clusters=0"), ({"clusters": 2, "runs": 0}, "runs=0"), ({"clusters": 2, "max_iterations": 0}, "max_iterations=0"), ({"clusters": 2, "tolerance": -1}, "tolerance=-1")):
        with pytest.raises(ValueError, match=match):
            KMeans(**arguments)
    with pytest.raises(ValueError, match="21 clusters asked for, but there are only 20 points"):
        KMeans(21).fit(x)
    with pytest.raises(ValueError, match=r"shape \(2, 2\), expected \(2, 3\)"):
        KMeans(2, centres=torch.ones(2, 2)).fit(x)
    with pytest.raises(ValueError, match=r"shape \(20, 2\), expected \(N, 3\)"):
        KMeans(2).fit(x).predict(x[:, :2])
    with pytest.raises(RuntimeError, match="call fit"):
        KMeans(2).predict(x)
    with pytest.raises(TypeError, match=r"torch.int64"):
        KMeans(2).fit(torch.ones(3, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="NaN or infinite"):
        KMeans(2).fit(torch.full((3, 3), float("nan")))
    with pytest.raises(ValueError, match="expected \\(points, features\\)"):
        KMeans(2).fit(torch.ones(3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        KMeans(2).fit(x)
