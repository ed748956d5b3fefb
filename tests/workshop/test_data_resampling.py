"""Resampling: classes come out equal, and the weighted sampler draws what torch's draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from viva.data.resampling import (
    WeightedSampler,
    class_counts,
    class_weights,
    item_weights,
    oversample,
    undersample,
)

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=60).map(torch.tensor)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(labels=LABELS, seed=st.integers(0, 99))
def test_oversampling_keeps_every_item_and_makes_classes_equal(labels: Tensor, seed: int) -> None:
    drawn = oversample(labels, generator=generator(seed))
    assert drawn[: len(labels)].tolist() == list(range(len(labels)))
    counts = class_counts(labels[drawn])
    assert set(counts[counts > 0].tolist()) == {int(class_counts(labels).max())}
    assert set(labels[drawn].tolist()) == set(labels.tolist())


@given(labels=LABELS, seed=st.integers(0, 99))
def test_undersampling_repeats_nothing_and_makes_classes_equal(labels: Tensor, seed: int) -> None:
    drawn = undersample(labels, generator=generator(seed))
    counts = class_counts(labels)
    smallest = int(counts[counts > 0].min())
    assert len(set(drawn.tolist())) == len(drawn) == smallest * int((counts > 0).sum())
    assert drawn.tolist() == sorted(drawn.tolist())
    kept = class_counts(labels[drawn])
    assert set(kept[kept > 0].tolist()) == {smallest}


def test_a_size_may_be_given() -> None:
    labels = torch.tensor([0] * 10 + [1] * 3)
    assert class_counts(labels[oversample(labels, size=6)]).tolist() == [10, 6]
    assert class_counts(labels[undersample(labels, size=4)]).tolist() == [4, 3]
    assert len(undersample(labels, size=0)) == 0
    with pytest.raises(ValueError, match="-1 were asked for"):
        undersample(labels, size=-1)


def test_copies_and_survivors_are_drawn_evenly() -> None:
    labels = torch.tensor([0] * 8 + [1] * 4)
    copies = torch.cat([oversample(labels, generator=generator(seed))[12:] for seed in range(1000)])
    survivors = torch.cat([undersample(labels, generator=generator(seed))[:4] for seed in range(1000)])
    assert chi_squared(copies.bincount(minlength=12)[8:], torch.ones(4)) < 16.3  # 0.1 % of chi-squared, 3 degrees
    assert chi_squared(survivors.bincount(minlength=8), torch.ones(8)) < 24.3


def test_a_seed_gives_the_same_indices() -> None:
    labels = torch.tensor([0] * 50 + [1] * 7)
    for draw in (oversample, undersample):
        assert torch.equal(draw(labels, generator=generator(1)), draw(labels, generator=generator(1)))
        assert not torch.equal(draw(labels, generator=generator(1)), draw(labels, generator=generator(2)))


def test_balanced_weights_are_scikit_learns() -> None:
    compute = pytest.importorskip("sklearn.utils.class_weight").compute_class_weight
    labels = torch.tensor([0] * 17 + [1] * 3 + [2] * 40)
    theirs = torch.from_numpy(compute("balanced", classes=np.arange(3), y=labels.numpy()))
    torch.testing.assert_close(class_weights(labels), theirs.float())


@given(labels=LABELS, scheme=st.sampled_from(["balanced", "effective"]), beta=st.floats(0, 0.9999))
def test_weights_of_all_items_add_up_to_their_number(labels: Tensor, scheme: str, beta: float) -> None:
    weights = class_weights(labels, 8, scheme=scheme, beta=beta)  # type: ignore[arg-type]
    assert weights.shape == (8,) and weights.dtype == torch.float32
    assert float(weights[labels].sum()) == pytest.approx(len(labels), rel=1e-4)
    counts = class_counts(labels, 8)
    assert (weights[counts == 0] == 0).all() and (weights[counts > 0] > 0).all()


def test_effective_weights_go_from_none_to_balanced() -> None:
    labels = torch.tensor([0] * 30 + [1] * 2)
    torch.testing.assert_close(class_weights(labels, scheme="effective", beta=0.0), torch.ones(2))
    torch.testing.assert_close(class_weights(labels, scheme="effective", beta=1 - 1e-9), class_weights(labels), rtol=1e-4, atol=0)
    middle = class_weights(labels, scheme="effective", beta=0.9)
    assert float(middle[1] / middle[0]) == pytest.approx((1 - 0.9**30) / (1 - 0.9**2), rel=1e-6)  # equation 2
    with pytest.raises(ValueError, match=r"in \[0, 1\); this is 1"):
        class_weights(labels, scheme="effective", beta=1)
    with pytest.raises(ValueError, match="there is no 'sqrt'"):
        class_weights(labels, scheme="sqrt")  # type: ignore[arg-type]


def test_weighing_the_loss_and_oversampling_minimise_the_same() -> None:
    labels = torch.tensor([0] * 6 + [1] * 2)
    losses = torch.rand(8, dtype=torch.float64)
    weighed = (class_weights(labels).double()[labels] * losses).mean()
    copies = torch.stack([losses[oversample(labels, generator=generator(seed))].mean() for seed in range(1500)]).mean()
    assert float(copies) == pytest.approx(float(weighed), rel=0.02)


# ---------------------------------------------------------------- the weighted sampler


def chi_squared(counts: Tensor, weights: Tensor) -> float:
    expected = counts.sum() * weights.double() / weights.sum()
    return float(((counts - expected) ** 2 / expected).sum())


def test_draws_follow_the_weights_as_torchs_do() -> None:
    weights = torch.tensor([0.1, 0.0, 3.0, 1.0, 0.5, 5.0])
    ours = WeightedSampler(weights, 50_000, generator=generator()).draw().bincount(minlength=6)
    theirs = torch.tensor(list(WeightedRandomSampler(weights.tolist(), 50_000, generator=generator()))).bincount(minlength=6)
    assert ours[1] == theirs[1] == 0
    used = weights > 0
    assert chi_squared(ours[used], weights[used]) < 18.5 > chi_squared(theirs[used], weights[used])  # 0.1 %, 4 degrees
    both = torch.stack([ours, theirs])[:, used].double()
    expected = both.sum(0, keepdim=True) / 2
    assert float(((both - expected) ** 2 / expected).sum()) < 18.5  # of one distribution


def test_draws_without_replacement_follow_torchs_in_their_order() -> None:
    weights = torch.tensor([1.0, 2.0, 4.0])
    rounds = 3000

    def pairs(make: type) -> Tensor:
        drawn = torch.tensor([list(make(weights, 2, replacement=False, generator=source)) for source in [generator(3)] for _ in range(rounds)])
        return (drawn[:, 0] * 3 + drawn[:, 1]).bincount(minlength=9)

    # P(i then j) = w_i / W · w_j / (W − w_i)
    exact = torch.stack([weights[i] / 7 * weights[j] / (7 - weights[i]) if i != j else torch.tensor(0.0) for i in range(3) for j in range(3)])
    used = exact > 0
    for make in (WeightedSampler, WeightedRandomSampler):
        counts = pairs(make)
        assert counts[~used].sum() == 0
        assert chi_squared(counts[used], exact[used]) < 20.5  # 0.1 %, 5 degrees


@given(weights=st.lists(st.sampled_from([0.0, 1e-300, 1e-9, 1.0, 1e9]), min_size=1, max_size=20).filter(any), seed=st.integers(0, 99))
def test_what_weighs_nothing_is_never_drawn(weights: list[float], seed: int) -> None:
    positive = {i for i, weight in enumerate(weights) if weight > 0}
    assert set(WeightedSampler(weights, 200, generator=generator(seed))) <= positive
    once = list(WeightedSampler(weights, len(positive), replacement=False, generator=generator(seed)))
    assert len(once) == len(positive) and set(once) == positive


def test_an_epoch_of_item_weights_has_equal_classes() -> None:
    labels = torch.tensor([0] * 900 + [1] * 90 + [2] * 10)
    drawn = labels[WeightedSampler(item_weights(labels), 30_000, generator=generator()).draw()]
    assert chi_squared(drawn.bincount(), torch.ones(3)) < 13.8


def test_a_loader_takes_the_sampler_and_epochs_differ() -> None:
    labels = torch.tensor([0] * 95 + [1] * 5)
    sampler = WeightedSampler(item_weights(labels), generator=generator())
    loader = DataLoader(TensorDataset(labels), batch_size=50, sampler=sampler)
    assert len(loader) == 2
    first, second = list(sampler), list(sampler)
    assert first != second and len(first) == len(sampler) == 100
    sampler.generator = generator()
    assert list(sampler) == first
    assert sum(int(batch[0].sum()) for batch in loader) > 25  # 5 without weights


@pytest.mark.parametrize(
    ("weights", "number", "replacement", "reason"),
    [
        ([], None, True, r"\(N,\) with N ≥ 1; these are \(0,\)"),
        ([[1.0]], None, True, r"these are \(1, 1\)"),
        ([1.0, -1.0], None, True, "at least 0"),
        ([0.0, 0.0], None, True, "not all 0"),
        ([1.0, float("nan")], None, True, "finite"),
        ([1.0, 1.0], -1, True, "-1 samples"),
        ([1.0, 0.0, 1.0], 3, False, "3 samples were asked for and 2 items have a weight above 0"),
    ],
)
def test_weights_that_are_none_are_refused(weights: list, number: int | None, replacement: bool, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        WeightedSampler(weights, number, replacement=replacement)


def test_labels_that_are_none_are_refused() -> None:
    with pytest.raises(TypeError, match=r"these are torch.float32"):
        class_counts(torch.tensor([0.0, 1.0]))
    with pytest.raises(ValueError, match=r"these are \(0,\)"):
        class_counts(torch.tensor([], dtype=torch.int64))
    with pytest.raises(ValueError, match="go from -1 to 2"):
        class_counts(torch.tensor([-1, 2]))
    with pytest.raises(ValueError, match="below 2; these go from 0 to 2"):
        class_counts(torch.tensor([0, 2]), 2)
    assert class_counts(torch.tensor([0, 2, 2], dtype=torch.uint8), 4).tolist() == [1, 0, 2, 0]


@pytest.mark.parametrize(("u", "drawn"), [(0.0, 1), (1.0, 2)])
def test_the_ends_of_the_unit_interval_fall_on_items_that_weigh_something(monkeypatch: pytest.MonkeyPatch, u: float, drawn: int) -> None:
    monkeypatch.setattr("viva.data.resampling._uniform", lambda count, _: torch.full((count,), u, dtype=torch.float64))
    assert WeightedSampler([0.0, 1.0, 1.0, 0.0]).draw().tolist() == [drawn] * 4
