"""The bundled digits are scikit-learn's, and the container that holds them refuses what is no set of images."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader

from viva.data import digits
from viva.data.labelled import LabelledImages


def test_the_bundled_digits_are_scikit_learns() -> None:
    published = pytest.importorskip("sklearn.datasets").load_digits()
    ours = digits.load()
    assert torch.equal(ours.images[:, 0].double(), torch.from_numpy(published.images))
    assert torch.equal(ours.labels, torch.from_numpy(published.target))


def test_the_digits_have_the_documented_shapes() -> None:
    ours = digits.load()
    assert ours.images.shape == (1797, 1, 8, 8) and ours.images.dtype == torch.uint8
    assert ours.labels.shape == (1797,) and ours.labels.dtype == torch.int64
    assert int(ours.images.max()) == ours.white == 16
    assert ours.labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_attribution_stands_where_the_digits_are_loaded() -> None:
    for name in ("Optical Recognition of Handwritten Digits", "Alpaydin", "UCI", "CC BY 4.0", "creativecommons.org/licenses/by/4.0"):
        assert name in (digits.__doc__ or "")


def test_floats_are_between_paper_and_ink() -> None:
    ours = digits.load()
    assert ours.floats().dtype == torch.float32 and ours.floats(torch.float64).dtype == torch.float64
    assert float(ours.floats().min()) == 0.0 and float(ours.floats().max()) == 1.0
    assert torch.equal(ours.floats()[7], ours[7][0])


def test_a_loader_takes_the_set_as_it_is() -> None:
    images, labels = next(iter(DataLoader(digits.load(), batch_size=5)))
    assert images.shape == (5, 1, 8, 8) and images.dtype == torch.float32
    assert labels.tolist() == [0, 1, 2, 3, 4]


def test_taking_indices_keeps_images_with_their_labels() -> None:
    taken = digits.load().take([3, 3, 0])
    assert taken.labels.tolist() == [3, 3, 0] and len(taken) == 3 and taken.white == 16
    assert torch.equal(taken.images[0], taken.images[1])
    assert digits.load().take(torch.tensor([], dtype=torch.int64)).images.shape == (0, 1, 8, 8)


def test_images_without_their_labels_are_refused() -> None:
    images, labels = torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"uint8 \(N, C, H, W\); these are torch.float32"):
        LabelledImages(images.float(), labels)
    with pytest.raises(ValueError, match=r"these are torch.uint8 \(3, 2, 2\)"):
        LabelledImages(images[:, 0], labels)
    with pytest.raises(ValueError, match=r"int64 \(3,\).*these are torch.int64 \(2,\)"):
        LabelledImages(images, labels[:2])
    with pytest.raises(ValueError, match=r"torch.int32"):
        LabelledImages(images, labels.int())
