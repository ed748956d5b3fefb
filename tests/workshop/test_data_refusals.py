"""What tokenisers, augmentation and splits say to inputs that they cannot take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from viva.data import augmentation, padding, resampling, splits
from viva.data.tokenisers import Tokeniser, byte_level_bpe, character_tokeniser

IMAGES = torch.zeros(2, 3, 8, 8)
REFUSALS: dict[str, tuple[Callable[[], object], str]] = {
    "half a character": (lambda: byte_level_bpe(["abc"], 257).encode("a\ud800"), "half of a character"),
    "half a character to learn from": (lambda: byte_level_bpe(["a\ud800"], 257), "half of a character"),
    "an id with a point": (lambda: character_tokeniser("abc").decode([1.5]), "expected an integer"),  # type: ignore[list-item]
    "no ids": (lambda: character_tokeniser("abc").decode(None), "expected ids"),  # type: ignore[arg-type]
    "one id": (lambda: character_tokeniser("abc").decode(torch.tensor(1)), "row by row"),
    "two and a half tokens": (lambda: character_tokeniser("abc").encode("a", max_length=2.5), "whole number"),  # type: ignore[arg-type]
    "a row with a point": (lambda: padding.pad([[1.5]]), "expected an integer"),  # type: ignore[list-item]
    "images that are an array": (lambda: augmentation.flip(np.zeros((2, 3, 8, 8))), "torch.as_tensor"),  # type: ignore[arg-type]
    "a border of -1": (lambda: augmentation.pad(IMAGES, -1), "0 or more"),
    "a mirror too wide": (lambda: augmentation.pad(IMAGES, 8, "reflect"), "7 at most"),
    "a window of nothing": (lambda: augmentation.RandomCrop(0), "at least 1×1"),
    "a turn by nan": (lambda: augmentation.RandomRotation(float("nan")), "finite"),
    "fractions of nan": (lambda: splits.split(range(9), (float("nan"), 0.5, 0.5)), "add up to 1"),
    "labels in a list": (lambda: resampling.class_counts([0, 1]), "torch.as_tensor"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_cannot_be_is_refused_in_a_sentence(what: str) -> None:
    attempt, says = REFUSALS[what]
    with pytest.raises((ValueError, TypeError), match=says):
        attempt()


def test_a_json_of_something_else_is_no_tokeniser(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"kind": "x", "specials": [], "tokenizer": {}}')
    with pytest.raises(ValueError, match="is no tokeniser"):
        Tokeniser.load(path)
