"""1,797 handwritten digits of 8×8 pixels, which come with Viva: the first data set of every tutorial, with no download.

Shapes: ``images`` uint8 (1797, 1, 8, 8) with values 0..16, ``labels`` int64 (1797,) with 0..9. Each pixel counts the ink
in a 4×4 block of a 32×32 scan, hence 16 at most.

The digits are the test part of *Optical Recognition of Handwritten Digits*, E. Alpaydin and C. Kaynak (1998), UCI
Machine Learning Repository, https://doi.org/10.24432/C50P49, licensed under CC BY 4.0
(https://creativecommons.org/licenses/by/4.0/). ``digits.npz`` holds the same numbers as ``load_digits`` of scikit-learn,
in its order, stored as bytes; nothing else was changed. People wrote several digits each and the file does not say who
wrote which, so a random split measures how well a network reads *these* writers, not a stranger.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from viva.data.labelled import LabelledImages
from viva.data.sources import Source
from viva.language import Text

SOURCE = Source(
    name="digits",
    folder="",
    what=Text(ko="손글씨 숫자 1,797자, 8×8 픽셀", en="1,797 handwritten digits of 8×8 pixels"),
    licence="CC BY 4.0 (E. Alpaydin, C. Kaynak)",
    home="https://doi.org/10.24432/C50P49",
)
BUNDLED = Path(__file__).with_name("digits.npz")


def load() -> LabelledImages:
    """All digits, in the order in which they are published: images uint8 (1797, 1, 8, 8), labels int64 (1797,)."""
    with np.load(BUNDLED, allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    return LabelledImages(torch.from_numpy(images)[:, None], torch.from_numpy(labels).long(), white=16)
