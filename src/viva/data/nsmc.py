"""NSMC: short Korean film reviews from Naver, each liked (1) or not (0); what Korean text classifiers are measured on.

Naver sentiment movie corpus v1.0 (L. Park 2015, CC0): 150,000 reviews for training and 50,000 for the test, of at most
140 characters, half of them 1. Ratings of 9 and 10 are 1, ratings up to 4 are 0, those between were left out.
A mirror may hold a smaller set, rebuilt from the same raw reviews with 50,000 and 10,000 of them: its split is not the
official one, so figures on it compare with published ones only loosely. Both are pinned by their SHA-256: the published
files by the digests in the metadata that Hugging Face's ``datasets`` keeps of them, the rebuilt ones by their own.

The files are tab-separated, ``id document label``, with a header, and no quoting at all: a ``"`` is a character that
somebody typed, and a csv reader that thinks otherwise swallows whole lines. A review may hold a carriage return, so lines
end at ``\\n`` alone. A few official documents are empty; `load` leaves them out unless asked.

People write "최고" more than once: some texts stand in both parts, a few of them with both labels. `without_leaks` takes
from the training what the test has, and `review_key` tells `viva.data.splits.split` which reviews are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from viva.data.sources import File, Source
from viva.language import Text

Part = Literal["train", "test"]
HOME = "https://raw.githubusercontent.com/e9t/nsmc/master/"
PUBLISHED, REBUILT = "as published", "rebuilt from the raw reviews, another split"
SOURCE = Source(
    name="nsmc",
    folder="nsmc",
    what=Text(ko="네이버 영화 감상평 20만 개, 좋음/나쁨", en="200,000 Korean film reviews, liked or not"),
    licence="CC0 1.0 (L. Park)",
    home="https://github.com/e9t/nsmc",
    files=(
        File(
            "ratings_train.txt",
            (HOME + "ratings_train.txt",),
            {
                "e03b7d14e9e41be8d464a28057cd25d7396c53e67aa7fd5f7e552c59b0ee2940": PUBLISHED,
                "da8af539f6d32b5c2ca9d5ee1459b5db81083b0dce4d268b454643b3a44d9284": REBUILT,
            },
            14_628_807,
        ),
        File(
            "ratings_test.txt",
            (HOME + "ratings_test.txt",),
            {
                "8ac9f64052f11dbf6ae0acb5e038f03d90a76f0eda7820cfb3a92d02edfcebda": PUBLISHED,
                "5da7e48644038fa857af898a39a3ee04d01627a8900d29bdb5fa401558901ccb": REBUILT,
            },
            4_893_335,
        ),
    ),
)


@dataclass(frozen=True)
class Reviews:
    """Texts and what their writers thought of the film.

    Args:
        ids: as in the file, one for each review.
        documents: the texts.
        labels: int64 (N,), 1 liked, 0 not.
    """

    ids: list[str]
    documents: list[str]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.documents)

    def __getitem__(self, index: int) -> tuple[str, int]:
        return self.documents[index], int(self.labels[index])

    def take(self, indices: Tensor | Sequence[int]) -> Reviews:
        """The reviews at ``indices``, in that order."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        rows = chosen.tolist()
        return Reviews([self.ids[i] for i in rows], [self.documents[i] for i in rows], self.labels[chosen])


def load(
    part: Part = "train", *, folder: str | Path | None = None, allow_download: bool = True, keep_empty: bool = False
) -> Reviews:
    """One part of NSMC, in the order of its file.

    Args:
        part: "train" or "test".
        folder: read ``ratings_train.txt`` or ``ratings_test.txt`` from here, whatever their checksum.
        keep_empty: keep reviews without a text.

    Raises:
        ValueError: another part, or a file that is not of this form; the message names the line.
        ChecksumError, DownloadError, MissingData: see `viva.data.sources.Source.open`.
    """
    if part not in ("train", "test"):
        raise ValueError(f"NSMC has the parts 'train' and 'test'; there is no {part!r}.")
    path = SOURCE.open(f"ratings_{part}.txt", folder=folder, allow_download=allow_download)
    return read_reviews(path.read_bytes(), str(path), keep_empty=keep_empty)


def read_reviews(content: bytes, origin: str = "the file", *, keep_empty: bool = False) -> Reviews:
    """The reviews in a file of NSMC's form.

    Raises:
        ValueError: no UTF-8, another header, a line without three columns or with another label.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{origin} is no UTF-8 text ({error}).") from error
    header, *lines = text.split("\n")
    if header.rstrip("\r").split("\t") != ["id", "document", "label"]:
        raise ValueError(f"{origin} begins with {header[:60]!r}, expected the header 'id\\tdocument\\tlabel'.")
    if lines and not lines[-1]:
        lines.pop()  # after the last line's end
    ids: list[str] = []
    documents: list[str] = []
    labels: list[int] = []
    for number, line in enumerate(lines, start=2):
        columns = line.split("\t")
        if len(columns) != 3:
            raise ValueError(f"{origin}, line {number}: {len(columns)} columns, expected id, document and label.")
        identity, document, label = columns
        label = label.rstrip("\r")  # a file that passed through Windows
        if label not in ("0", "1"):
            raise ValueError(f"{origin}, line {number}: the label is {label[:20]!r}, expected 0 or 1.")
        if not document.strip() and not keep_empty:
            continue
        ids.append(identity)
        documents.append(document)
        labels.append(int(label))
    return Reviews(ids, documents, torch.tensor(labels, dtype=torch.int64))


def review_key(document: str) -> str:
    """What two reviews share that say the same: the text without its case and without differences of white space."""
    return " ".join(document.casefold().split())


def without_leaks(train: Reviews, test: Reviews) -> Reviews:
    """``train`` without the reviews whose text is in ``test``; the test stays as it was published."""
    seen = {review_key(document) for document in test.documents}
    return train.take([i for i, document in enumerate(train.documents) if review_key(document) not in seen])
