"""Splits: nothing stands on two sides, shares are kept, and neither order nor process changes where an item goes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from viva.data.splits import Split, Standardiser, assign, folds, key_bytes, overlap, split

KEYS = st.one_of(st.lists(st.text(max_size=3), max_size=40), st.lists(st.integers(-5, 30), max_size=40))
FRACTIONS = st.sampled_from([(0.8, 0.1, 0.1), (0.6, 0.2, 0.2), (1.0, 0.0, 0.0), (1 / 3, 1 / 3, 1 / 3), (0.0, 0.5, 0.5)])


def sides(parts: Split, values: list) -> list[set]:
    return [{values[i] for i in part.tolist()} for part in parts]


def disjoint(sets: list[set]) -> bool:
    return sum(map(len, sets)) == len(set().union(*sets))


@given(keys=KEYS, fractions=FRACTIONS, seed=st.integers(0, 3))
def test_every_item_is_in_one_part_and_no_key_in_two(keys: list, fractions: tuple[float, float, float], seed: int) -> None:
    parts = split(keys, fractions, seed=seed)
    assert sorted(torch.cat(list(parts)).tolist()) == list(range(len(keys)))
    assert disjoint(sides(parts, keys))
    assert all(part.dtype == torch.int64 and part.tolist() == sorted(part.tolist()) for part in parts)
    assert all(len(part) == 0 for part, fraction in zip(parts, fractions, strict=True) if fraction == 0)


@given(data=st.data(), count=st.integers(0, 40), seed=st.integers(0, 3))
def test_neither_a_group_nor_a_duplicate_is_torn_apart(data: st.DataObject, count: int, seed: int) -> None:
    keys = data.draw(st.lists(st.integers(0, 30), min_size=count, max_size=count))
    groups = data.draw(st.lists(st.sampled_from("abcdefghijklmnop"), min_size=count, max_size=count))
    parts = split(keys, seed=seed, groups=groups, strata=[key % 3 for key in keys])
    assert disjoint(sides(parts, keys)) and disjoint(sides(parts, groups))
    assert sorted(torch.cat(list(parts)).tolist()) == list(range(count))


def test_a_chain_of_duplicates_and_groups_is_one_bundle() -> None:
    # patient 1 and 2 share scan b, patient 2 and 3 share scan d: all stay together
    keys, groups = ["a", "b", "b", "c", "d", "d", "e"], [1, 1, 2, 2, 2, 3, 3]
    assert sorted(len(part) for part in split(keys, (0.5, 0.25, 0.25), groups=groups)) == [0, 0, 7]


@given(count=st.integers(1, 300), seed=st.integers(0, 5), fractions=FRACTIONS, classes=st.integers(1, 12))
def test_shares_are_kept_overall_and_in_each_stratum(
    count: int, seed: int, fractions: tuple[float, float, float], classes: int
) -> None:
    strata = [i * i % classes for i in range(count)]
    parts = split(list(range(count)), fractions, seed=seed, strata=strata)
    sizes = Counter(strata)
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - fraction * count) < 2
        inside = Counter(strata[i] for i in part.tolist())
        assert all(abs(inside[name] - fraction * size) < 3 for name, size in sizes.items())


def test_many_small_strata_do_not_all_fall_to_the_training() -> None:
    parts = split(list(range(1000)), strata=list(range(1000)))
    assert [len(part) for part in parts] == [800, 100, 100]


@given(data=st.data(), count=st.integers(0, 30), seed=st.integers(0, 3))
def test_the_order_of_the_data_changes_nothing(data: st.DataObject, count: int, seed: int) -> None:
    items = data.draw(st.lists(st.tuples(st.text(max_size=2), st.integers(0, 4), st.integers(0, 2)), min_size=count, max_size=count))
    shuffled = data.draw(st.permutations(items))

    def parts(rows: list) -> list[Counter]:
        keys, groups, strata = ([row[i] for row in rows] for i in range(3))
        return [Counter(rows[i] for i in part.tolist()) for part in split(keys, seed=seed, groups=groups, strata=strata)]

    assert parts(items) == parts(shuffled)


def test_a_seed_gives_the_same_split_and_another_seed_another() -> None:
    keys = [f"review {i}" for i in range(200)]
    here = split(keys, seed=7).test.tolist()
    assert split(keys, seed=7).test.tolist() == here != split(keys, seed=8).test.tolist()
    assert len(here) == 20


@pytest.mark.slow
def test_another_process_makes_the_same_split() -> None:
    # Python's own hash of a str is another one in each process; nothing here may rest on it.
    program = "from viva.data.splits import split; print(split(list(range(36)), seed=7, groups=[f'g{i % 9}' for i in range(36)]))"
    runs = [
        subprocess.run([sys.executable, "-c", program], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True)
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout != ""


def test_the_split_of_known_keys_never_changes_between_versions() -> None:
    # Anybody's results rest on this; a change here is a change of every published split.
    assert split(list("abcdefghij"), (0.6, 0.2, 0.2)).train.tolist() == [0, 2, 3, 6, 7, 8]
    assert [assign(key) for key in "abcdefghijklmnopqrst"] == [2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]


def test_parts_look_random_and_independent_of_the_class() -> None:
    labels = torch.arange(5000) % 7
    test = split(list(range(5000)), seed=3).test
    assert labels[test].bincount().float().div(5000 / 70).sub(1).abs().max() < 0.4
    gaps = test.diff().float()
    assert 5 < float(gaps.std()) < 15  # geometric with mean 10: about 9.5; a regular comb has 0


@given(count=st.integers(0, 60), number=st.integers(2, 6), seed=st.integers(0, 3))
def test_each_item_validates_in_exactly_one_fold(count: int, number: int, seed: int) -> None:
    made = folds(list(range(count)), number, seed=seed)
    assert len(made) == number
    assert sorted(torch.cat([validation for _, validation in made]).tolist()) == list(range(count))
    for train, validation in made:
        assert sorted(train.tolist() + validation.tolist()) == list(range(count))
        assert abs(len(validation) - count / number) < 1


def test_folds_keep_groups_together() -> None:
    groups = [i // 5 for i in range(100)]
    for train, validation in folds(list(range(100)), 4, groups=groups):
        assert not {groups[i] for i in train.tolist()} & {groups[i] for i in validation.tolist()}
    with pytest.raises(ValueError, match="at least 2 folds; 1"):
        folds([1, 2], 1)


def test_an_assigned_item_stays_when_others_are_added() -> None:
    placed = [assign(f"item {i}", seed=1) for i in range(20_000)]
    shares = [placed.count(part) / len(placed) for part in range(3)]
    assert all(abs(share - wanted) < 0.01 for share, wanted in zip(shares, (0.8, 0.1, 0.1), strict=True))
    assert [assign(i, (0.0, 1.0, 0.0)) for i in range(20)] == [1] * 20
    with pytest.raises(ValueError, match="add up to 1"):
        assign("x", (0.5, 0.4))


def test_rows_of_a_tensor_are_their_own_keys() -> None:
    images = torch.randint(0, 255, (50, 1, 4, 4), dtype=torch.uint8)
    images[10:20] = images[:10]
    parts = split(images, (0.5, 0.25, 0.25))
    content = [image.numpy().tobytes() for image in images]
    assert disjoint(sides(parts, content))
    assert overlap(images[10:], images[:10]).tolist() == list(range(10))
    assert overlap(torch.tensor([3.0, 4.0, 5.0]), torch.tensor([4.0])).tolist() == [1]
    assert overlap(["a", "b"], []).tolist() == [] == overlap([], ["a"]).tolist()


def test_keys_of_different_types_differ_and_others_are_refused() -> None:
    assert len({key_bytes(1), key_bytes("1"), key_bytes(b"1")}) == 3
    assert key_bytes(np.int64(7)) == key_bytes(7)
    with pytest.raises(TypeError, match="this is a float"):
        key_bytes(0.5)  # type: ignore[arg-type]


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="strata has 2 entries for 3 keys"):
        split([1, 2, 3], strata=[0, 1])
    with pytest.raises(ValueError, match="groups has 4 entries for 3 keys"):
        split([1, 2, 3], groups=torch.zeros(4))
    with pytest.raises(ValueError, match="add up to 1"):
        split([1, 2, 3], (0.8, 0.1, 0.2))


# ---------------------------------------------------------------- statistics of the training part


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_training_has_mean_zero_and_deviation_one_afterwards(dtype: torch.dtype) -> None:
    train = torch.randn(200, 3, 5, 5, dtype=dtype) * torch.tensor([1.0, 10.0, 0.1], dtype=dtype)[:, None, None] + 100
    standardised = Standardiser.fit(train)(train)
    assert standardised.dtype == dtype
    assert standardised.mean((0, 2, 3)).abs().max() < 1e-3 and (standardised.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-3


def test_features_equal_scikit_learns_scaler() -> None:
    scaler = pytest.importorskip("sklearn.preprocessing").StandardScaler()
    train, test = torch.rand(40, 6, dtype=torch.float64), torch.rand(10, 6, dtype=torch.float64)
    train[:, 2] = 0.1  # never varies
    ours, theirs = Standardiser.fit(train)(test), scaler.fit(train.numpy()).transform(test.numpy())
    torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=1e-12, atol=1e-12)


def test_the_test_part_is_standardised_with_the_training_statistics() -> None:
    train, test = torch.zeros(4, 1), torch.tensor([[3.0]])
    train[:2] = 2.0  # mean 1, deviation 1
    assert Standardiser.fit(train)(test).item() == 2.0
    assert Standardiser.fit(train)(test + 1).item() == 3.0  # another test changes nothing of the fit


@given(seed=st.integers(0, 50))
def test_the_inverse_undoes_it(seed: int) -> None:
    x = torch.randn(7, 3, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    fitted = Standardiser.fit(x)
    torch.testing.assert_close(fitted.inverse(fitted(x)), x, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(fitted(x[0]), fitted(x)[0])  # one image without a batch


def test_bytes_are_standardised_as_floats() -> None:
    images = torch.randint(0, 256, (10, 1, 4, 4), dtype=torch.uint8)
    assert Standardiser.fit(images)(images).dtype == torch.float32


def test_what_cannot_be_fitted_or_applied_is_said() -> None:
    with pytest.raises(ValueError, match=r"\(N, F\) or \(N, C, H, W\) with N ≥ 1; this is \(0, 3\)"):
        Standardiser.fit(torch.zeros(0, 3))
    with pytest.raises(ValueError, match=r"this is \(2, 3, 4\)"):
        Standardiser.fit(torch.zeros(2, 3, 4))
    with pytest.raises(ValueError, match="not finite"):
        Standardiser.fit(torch.tensor([[1.0], [torch.nan]]))
    with pytest.raises(ValueError, match=r"fitted on 3 features of \(..., C, H, W\); this is \(2, 1, 4, 4\)"):
        Standardiser.fit(torch.rand(2, 3, 4, 4))(torch.zeros(2, 1, 4, 4))
