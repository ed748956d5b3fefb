"""IDX files: what is written comes back, and a file that lies about itself is named."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from viva.data import mnist
from viva.data.sources import MissingData


def idx(array: Tensor, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, array.dim()]) + struct.pack(f">{array.dim()}I", *array.shape) + array.numpy().tobytes()


def write_set(folder: Path, part: str = "train", images: int = 3, labels: int = 3) -> Path:
    folder.mkdir(exist_ok=True)
    drawn = torch.arange(images * 784, dtype=torch.int64).remainder(251).to(torch.uint8).reshape(images, 28, 28)
    (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(drawn)))
    (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(torch.arange(labels, dtype=torch.uint8))))
    return folder


@given(shape=st.lists(st.integers(0, 4), min_size=1, max_size=4), packed=st.booleans(), seed=st.integers(0, 99))
def test_what_is_written_comes_back(tmp_path_factory: pytest.TempPathFactory, shape: list[int], packed: bool, seed: int) -> None:
    array = torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    assert torch.equal(mnist.read_idx(path, rank=len(shape)), array)


@given(content=st.binary(max_size=40))
def test_any_other_bytes_are_an_error_or_an_array(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(content)
    try:
        read = mnist.read_idx(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert idx(read) == content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "begins with nothing"),
        (b"\x89PNG\r\n\x1a\n", "begins with 89 50 4e 47"),
        (b"<html>not found</html>", "is no IDX file"),
        (idx(torch.zeros(2, 2, 2, dtype=torch.uint8), kind=0x0D), "IDX type 0x0d"),
        (idx(torch.zeros(2, 2, dtype=torch.uint8)), "2 dimensions, expected 3"),
        (bytes([0, 0, 8, 0]), "0 dimensions"),
        (bytes([0, 0, 8, 3, 0, 0]), "ends within its header, at 6 of 16 bytes"),
        (idx(torch.zeros(3, 2, 2, dtype=torch.uint8))[:-1], "announces 3×2×2 = 12 bytes and has 11"),
        (idx(torch.zeros(3, 2, 2, dtype=torch.uint8)) + b"\0", "12 bytes and has 13"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12, "4294967295×4294967295×4294967295"),
        (gzip.compress(idx(torch.zeros(3, 2, 2, dtype=torch.uint8)))[:-9], "no whole gzip file"),
        (b"\x1f\x8b" + b"junk" * 9, "no whole gzip file"),
    ],
)
def test_a_file_that_lies_is_named_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError) as raised:
        mnist.read_idx(path, rank=3)
    assert reason in str(raised.value) and str(path) in str(raised.value)


def test_a_bit_flipped_in_the_gzip_is_noticed(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(idx(torch.arange(200, dtype=torch.uint8))))
    packed[len(packed) // 2] ^= 1
    (tmp_path / "file").write_bytes(packed)
    with pytest.raises(ValueError, match="no whole gzip file"):
        mnist.read_idx(tmp_path / "file")


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bomb").write_bytes(gzip.compress(b"\0" * 1_000_000))
    with pytest.raises(ValueError, match="unpacks to more than 1000 bytes"):
        mnist._gunzip(tmp_path / "bomb", ceiling=1000)


def test_a_folder_of_ones_own_is_read(tmp_path: Path) -> None:
    read = mnist.load("train", folder=write_set(tmp_path))
    assert read.images.shape == (3, 1, 28, 28) and read.labels.tolist() == [0, 1, 2]
    assert read.images[1, 0, 0, 0] == 784 % 251
    with pytest.raises(MissingData, match="t10k-images"):
        mnist.load("test", folder=tmp_path)


def test_images_and_labels_of_different_sets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"3 images and .* 2 labels"):
        mnist.load("train", folder=write_set(tmp_path, labels=2))


def test_another_part_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no 'validation'"):
        mnist.load("validation")  # type: ignore[arg-type]


def test_the_pinned_names_sizes_and_digests_are_those_of_four_files() -> None:
    assert len(mnist.SOURCE.files) == 4 and mnist.SOURCE.size == 11_594_722
    for file in mnist.SOURCE.files:
        assert len(file.urls) == 2 and all(url.startswith("https://") and url.endswith(file.name) for url in file.urls)
        assert all(len(digest) == 64 and int(digest, 16) for digest in file.sha256)


def test_mnist_is_mnist(mirror: Path) -> None:
    train, test = mnist.load("train", allow_download=False), mnist.load("test", allow_download=False)
    assert train.images.shape == (60_000, 1, 28, 28) and test.images.shape == (10_000, 1, 28, 28)
    assert train.images.dtype == torch.uint8 and train.labels.dtype == torch.int64
    # The counts of the published set; a shuffle does not change them.
    assert train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    mean = int(train.images.sum(dtype=torch.int64)) / train.images.numel() / 255
    squares = sum(float((piece.float() / 255).square().sum(dtype=torch.float64)) for piece in train.images.split(5000))
    assert abs(mean - 0.1307) < 5e-5 and abs((squares / train.images.numel() - mean**2) ** 0.5 - 0.3081) < 5e-5


def test_test_images_do_not_stand_in_the_training(mirror: Path) -> None:
    from viva.data.splits import overlap

    train, test = mnist.load("train", allow_download=False), mnist.load("test", allow_download=False)
    assert len(overlap(test.images, train.images)) == 0
