"""MNIST: 70,000 handwritten digits of 28×28 pixels (LeCun, Bottou, Bengio and Haffner 1998), read from its IDX files.

Shapes: ``images`` uint8 (N, 1, 28, 28), 0 paper and 255 ink, ``labels`` int64 (N,); N is 60,000 for "train" and 10,000
for "test". Mean and standard deviation of the training pixels in [0, 1]: 0.1307 and 0.3081.

An IDX file is a header and a plain array, all big-endian::

    0  0  type  rank | size of each dimension, uint32 × rank | the numbers, last dimension fastest

Type 8 is uint8, the only one MNIST needs. `read_idx` believes none of it: sizes are compared with what is there before
a tensor is made.

The published ``.gz`` files are pinned by their SHA-256, which several libraries pin alike (their MD5 are those of
torchvision). A mirror may hold the rebuilt form instead: the same images, shuffled once within each part, gzipped anew.
The order matters to no experiment that shuffles; an index into one form means nothing in the other.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from viva.data.labelled import LabelledImages
from viva.data.sources import File, Source
from viva.language import Text

Part = Literal["train", "test"]
NAMES = {"train": "train", "test": "t10k"}
HOMES = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
PUBLISHED, SHUFFLED = "as published", "rebuilt, shuffled once"

# name → bytes and SHA-256 as published, SHA-256 of the rebuilt form
PINNED = {
    "train-images-idx3-ubyte.gz": (
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "a9095478e612d4272df8d19c531dbfe18bc4abe3a8fbd6224c3744ba96936088",
    ),
    "train-labels-idx1-ubyte.gz": (
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "0eb5fab4565d39ac4e82c98556175a7fa806cc3366b3c98a60afff46bfd31179",
    ),
    "t10k-images-idx3-ubyte.gz": (
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "a99f3e196e7d5a2367a144fd91241de6e947f69d3e86b7e36438d5a76cd1ff5c",
    ),
    "t10k-labels-idx1-ubyte.gz": (
        4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "78f1199052b8f3c72bfb7fa4055eacf1665e645463df4035bb821c520210d03e",
    ),
}

SOURCE = Source(
    name="mnist",
    folder="mnist",
    what=Text(ko="손글씨 숫자 70,000자, 28×28 픽셀", en="70,000 handwritten digits of 28×28 pixels"),
    licence="CC BY-SA 3.0 (Y. LeCun, C. Cortes)",
    home="https://yann.lecun.com/exdb/mnist/",
    files=tuple(
        File(name, tuple(home + name for home in HOMES), {published: PUBLISHED, shuffled: SHUFFLED}, size)
        for name, (size, published, shuffled) in PINNED.items()
    ),
)


def load(part: Part = "train", *, folder: str | Path | None = None, allow_download: bool = True) -> LabelledImages:
    """One part of MNIST: images uint8 (N, 1, 28, 28), labels int64 (N,).

    Args:
        part: "train" (60,000) or "test" (10,000).
        folder: read the two files from here, whatever their checksum (Fashion-MNIST has the same names and shapes).
        allow_download: False raises where the set is not on this machine.

    Raises:
        ValueError: another part, or files that are no IDX or do not belong together.
        ChecksumError, DownloadError, MissingData: see `viva.data.sources.Source.open`.
    """
    if part not in NAMES:
        raise ValueError(f"MNIST has the parts 'train' and 'test'; there is no {part!r}.")
    names = [f"{NAMES[part]}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1")]
    paths = [SOURCE.open(name, folder=folder, allow_download=allow_download) for name in names]
    images, labels = read_idx(paths[0], rank=3), read_idx(paths[1], rank=1)  # (N, H, W), (N,)
    if len(images) != len(labels):
        raise ValueError(
            f"{paths[0]} has {len(images)} images and {paths[1]} {len(labels)} labels; they are not of one set."
        )
    return LabelledImages(images[:, None], labels.long())


def read_idx(path: str | Path, rank: int | None = None) -> Tensor:
    """The uint8 tensor in an IDX file, gzipped or not.

    Args:
        rank: how many dimensions it must have.

    Raises:
        ValueError: it is not such a file; the message names the file and what is wrong with it.
    """
    path = Path(path)
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = _gunzip(path)
    if len(content) < 4 or content[:2] != b"\0\0":
        raise ValueError(f"{path} is no IDX file: it begins with {content[:4].hex(' ') or 'nothing'}, expected 00 00 08.")
    if content[2] != 8:
        raise ValueError(f"{path} holds numbers of IDX type {content[2]:#04x}; only 0x08 (uint8) is read here.")
    dims = content[3]
    if dims == 0 or (rank is not None and dims != rank):
        raise ValueError(f"{path} has {dims} dimensions, expected {rank or 'at least 1'}.")
    start = 4 + 4 * dims
    if len(content) < start:
        raise ValueError(f"{path} ends within its header, at {len(content)} of {start} bytes.")
    shape = struct.unpack(f">{dims}I", content[4:start])
    if len(content) - start != prod(shape):
        raise ValueError(
            f"{path} announces {'×'.join(map(str, shape))} = {prod(shape)} bytes and has {len(content) - start}; "
            "it was cut off or is another file."
        )
    if not prod(shape):
        return torch.empty(shape, dtype=torch.uint8)
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).reshape(shape)


def _gunzip(path: Path, ceiling: int = 1 << 30) -> bytes:
    """The unpacked content, to ``ceiling`` bytes at most: a small file may unpack to a huge one."""
    try:
        with gzip.open(path) as file:
            unpacked = file.read(ceiling + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} is no whole gzip file ({error}); fetch it again.") from error
    if len(unpacked) > ceiling:
        raise ValueError(f"{path} unpacks to more than {ceiling} bytes; it is not MNIST.")
    return unpacked
