"""Scenes of digits: pictures with boxes, masks and captions, drawn from the bundled 8×8 digits.

One scene answers for four tasks; all of it is computed from what was painted, none of it labelled by hand:

    image     float32 (1, H, W), 0 to 1               captioning, classification
    boxes     float32 (n, 4), x1 y1 x2 y2 in pixels   detection; x2, y2 just outside: x2 - x1 is the width
    labels    int64 (n,), the digit 0 to 9
    masks     bool (n, H, W), the pixels one sees      instance segmentation; no pixel is in two masks
    semantic  int64 (H, W), 0 background, digit + 1    semantic segmentation (11 classes)
    caption   "왼쪽 위에 3, 오른쪽 아래에 7" / "a 3 at the upper left and a 7 at the lower right" (`captions.py`)

A digit G (8, 8) is scaled to s × s by one matrix on either side, R G Rᵀ with R (s, 8): bilinear interpolation
(pixel centres, as ``F.interpolate(align_corners=False)``) is a matrix of two weights a row, nearest of one.
Digits are put down from front to back: each takes the pixels that are still free, so no mask or box changes
after it was drawn. Two boxes share at most ``max_overlap`` of the smaller one.

Scene i of a seed is always the same, whichever process draws it; one core draws about 2,400 a second at
64×64. Training, validation and test scenes use different digit images (70, 15 and 15 % of each class), so a
network that learns images by heart is found out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from viva.data import digits, splits
from viva.data.captions import caption
from viva.language import Text

Split = Literal["train", "validation", "test"]
Array = NDArray[Any]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SHARES = (0.7, 0.15, 0.15)
NUM_CLASSES = 11  # of the semantic map: the background and ten digits
INK = 0.35  # a pixel belongs to a digit where the pen covers at least this share of it
ATTEMPTS = 30  # places tried for one digit before the scene is laid out on a grid


@dataclass(frozen=True)
class SceneConfig:
    """What scenes look like. Sizes are in pixels.

    Raises ValueError where digits do not fit the canvas.
    """

    height: int = 64
    width: int = 64
    num_digits: tuple[int, int] = (1, 3)  # fewest and most
    size: tuple[int, int] = (14, 28)  # the side of the square that a digit's 8×8 image is scaled to
    max_overlap: float = 0.1  # of the smaller box
    background: Literal["plain", "noise", "texture", "mixed"] = "mixed"
    interpolation: Literal["bilinear", "nearest"] = "bilinear"

    def __post_init__(self) -> None:
        (fewest, most), (smallest, largest) = self.num_digits, self.size
        if not 0 <= fewest <= most:
            raise ValueError(
                f"num_digits {self.num_digits}: expected (fewest, most) with 0 <= fewest <= most"
            )
        if not 8 <= smallest <= largest:
            raise ValueError(f"size {self.size}: expected (smallest, largest) with 8 <= smallest <= largest")
        if not 0 <= self.max_overlap < 1:
            raise ValueError(f"max_overlap {self.max_overlap}: expected a share in [0, 1)")
        if self.background not in ("plain", "noise", "texture", "mixed"):
            raise ValueError(f"background {self.background!r}: expected plain, noise, texture or mixed")
        if self.interpolation not in ("bilinear", "nearest"):
            raise ValueError(f"interpolation {self.interpolation!r}: expected bilinear or nearest")
        if largest > min(self.height, self.width):
            raise ValueError(
                f"a canvas of {self.height}×{self.width} pixels is too small for digits of {largest}×{largest}: "
                "make the canvas larger or the digits smaller"
            )
        room = (self.height // smallest) * (self.width // smallest)
        if room < most:
            raise ValueError(
                f"a canvas of {self.height}×{self.width} pixels has room for {room} digits of {smallest}×{smallest} "
                f"side by side; {most} were asked for"
            )


class Scene(NamedTuple):
    """A picture and all that is true of it; shapes above."""

    image: Tensor
    boxes: Tensor
    labels: Tensor
    masks: Tensor
    semantic: Tensor
    caption: Text


# ------------------------------------------------------------------------------------------------------- painting


@cache
def resize_matrix(size: int, interpolation: str = "bilinear", source: int = 8) -> NDArray[np.float32]:
    """R (size, source): ``R @ image @ R.T`` scales a (source, source) image to (size, size); each row sums to 1."""
    centre = (np.arange(size) + 0.5) * source / size - 0.5  # of each new pixel, in old pixels
    if interpolation == "nearest":
        chosen = np.floor((np.arange(size) + 0.5) * source / size).astype(int)
        return np.eye(source, dtype=np.float32)[chosen]
    centre = centre.clip(0, source - 1)  # beyond the outermost centres: the edge pixel itself
    return np.maximum(0, 1 - abs(centre[:, None] - np.arange(source))).astype(np.float32)


def tight_box(mask: Array) -> tuple[int, int, int, int]:
    """(x1, y1, x2, y2) around the True pixels of ``mask`` (H, W), which has at least one."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """The share of the smaller box that lies in the other; 0 to 1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))


def paint_background(config: SceneConfig, random: np.random.Generator) -> Array:
    """float32 (H, W), never brighter than 0.5: digits, from 0.7 on, can be told from it."""
    height, width = config.height, config.width
    kind = config.background
    if kind == "mixed":
        kind = ("plain", "noise", "texture")[random.integers(3)]
    level = np.float32(random.uniform(0.0, 0.25))
    canvas = np.full((height, width), level, dtype=np.float32)
    if kind == "noise":
        canvas += 0.06 * random.standard_normal((height, width), dtype=np.float32)
    elif kind == "texture":  # a wave in a random direction, and clouds: 8×8 random numbers, scaled up
        angle, wavelength = random.uniform(0, np.pi), random.uniform(4, 16)
        along = np.arange(width) * np.cos(angle) + np.arange(height)[:, None] * np.sin(angle)
        canvas += np.float32(0.05) * np.sin(2 * np.pi / wavelength * along).astype(np.float32)
        clouds = random.uniform(-0.12, 0.12, (8, 8)).astype(np.float32)
        canvas += resize_matrix(height) @ clouds @ resize_matrix(width).T
    return canvas.clip(0, 0.5)


def draw_scene(
    glyphs: Array, labels: Array, config: SceneConfig, random: np.random.Generator
) -> dict[str, Any]:
    """A scene of ``glyphs`` (N, 8, 8), float32 0 to 1, with ``labels`` (N,), as arrays by the names above."""
    fewest, most = config.num_digits
    chosen = random.integers(len(glyphs), size=int(random.integers(fewest, most + 1)))
    image = paint_background(config, random)
    painted = _scatter(glyphs[chosen], config, random) or _lay_out(glyphs[chosen], config, random)

    height, width = config.height, config.width
    free = np.ones((height, width), dtype=bool)
    masks = np.zeros((len(chosen), height, width), dtype=bool)
    semantic = np.zeros((height, width), dtype=np.int64)
    for index, (ink, x, y, mask, _) in enumerate(painted):
        window = np.s_[y : y + len(ink), x : x + len(ink)]
        alpha = np.where(free[window], ink, 0)
        image[window] += alpha * (np.float32(random.uniform(0.7, 1.0)) - image[window])
        masks[index][window] = mask
        semantic[window][mask] = labels[chosen[index]] + 1
        free[window] &= ~mask
    boxes = np.array([box for *_, box in painted], dtype=np.float32).reshape(-1, 4)
    return {
        "image": image[None],
        "boxes": boxes,
        "labels": labels[chosen],
        "masks": masks,
        "semantic": semantic,
    }


Painted = list[tuple[Array, int, int, Array, tuple[int, int, int, int]]]  # ink (s, s), x, y, seen (s, s), box


def _scatter(glyphs: Array, config: SceneConfig, random: np.random.Generator) -> Painted | None:
    """Digits of any size at any place, each behind those before it; None where one of them found no place."""
    free = np.ones((config.height, config.width), dtype=bool)
    painted: Painted = []
    for glyph in glyphs:
        for _ in range(ATTEMPTS):
            size = int(random.integers(config.size[0], config.size[1] + 1))
            x = int(random.integers(config.width - size + 1))
            y = int(random.integers(config.height - size + 1))
            ink = _scaled(glyph, size, config.interpolation)
            whole = ink >= INK
            seen = whole & free[y : y + size, x : x + size]
            if np.count_nonzero(seen) < (1 - config.max_overlap) * np.count_nonzero(whole):
                continue
            x1, y1, x2, y2 = tight_box(seen)
            box = (x1 + x, y1 + y, x2 + x, y2 + y)
            if all(overlap(box, other) <= config.max_overlap for *_, other in painted):
                break
        else:
            return None
        free[y : y + size, x : x + size] &= ~seen
        painted.append((ink, x, y, seen, box))
    return painted


def _lay_out(glyphs: Array, config: SceneConfig, random: np.random.Generator) -> Painted:
    """The crowded case: digits of the smallest size in squares side by side, of which there are enough."""
    size = config.size[0]
    columns = config.width // size
    painted: Painted = []
    for glyph, cell in zip(glyphs, random.permutation(columns * (config.height // size)), strict=False):
        x, y = int(cell) % columns * size, int(cell) // columns * size
        ink = _scaled(glyph, size, config.interpolation)
        x1, y1, x2, y2 = tight_box(ink >= INK)
        painted.append((ink, x, y, ink >= INK, (x1 + x, y1 + y, x2 + x, y2 + y)))
    return painted


def _scaled(glyph: Array, size: int, interpolation: str) -> Array:
    matrix = resize_matrix(size, interpolation)
    return matrix @ glyph @ matrix.T


# --------------------------------------------------------------------------------------------------- the data set


def digit_indices(split: Split) -> Tensor:
    """Which of the 1,797 digits scenes of ``split`` are made of, int64: each class in its share, whatever the seed."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r}: expected {', '.join(SPLITS)}")
    everything = digits.load()
    parts = splits.split(everything.images, SHARES, strata=everything.labels)
    return parts[SPLITS.index(split)]


class Scenes(Dataset[Scene]):
    """``length`` scenes of one split; ``scenes[i]`` is drawn when it is asked for, the same every time.

    Raises ValueError for a split that is none, IndexError outside 0 <= i < length.
    """

    def __init__(
        self,
        split: Split = "train",
        length: int = 10_000,
        config: SceneConfig | None = None,
        *,
        seed: int = 0,
    ) -> None:
        if length < 0 or seed < 0:
            raise ValueError(f"length {length}, seed {seed}: expected numbers of 0 or more")
        self.split, self.length, self.seed = split, length, seed
        self.config = config or SceneConfig()
        chosen = digits.load().take(digit_indices(split))
        self.glyphs = chosen.floats().squeeze(1).numpy()  # (N, 8, 8), 0 to 1
        self.digits = chosen.labels.numpy()  # (N,)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Scene:
        if not 0 <= index < self.length:
            raise IndexError(f"scene {index} was asked for; there are {self.length}, from 0 on")
        random = np.random.default_rng((self.seed, SPLITS.index(self.split), index))
        drawn = draw_scene(self.glyphs, self.digits, self.config, random)
        text = caption(
            drawn["boxes"].tolist(),
            drawn["labels"].tolist(),
            self.config.height,
            self.config.width,
            relation=bool(random.random() < 0.5),
        )
        return Scene(**{name: torch.from_numpy(array) for name, array in drawn.items()}, caption=text)


def collate_detection(scenes: Sequence[Scene]) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """For detectors, whose pictures may differ in size: a list of images (1, H, W), a list of targets by name."""
    return (
        [scene.image for scene in scenes],
        [{"boxes": scene.boxes, "labels": scene.labels, "masks": scene.masks} for scene in scenes],
    )


def collate_segmentation(scenes: Sequence[Scene]) -> tuple[Tensor, Tensor]:
    """For segmentation: images float32 (N, 1, H, W) and classes int64 (N, H, W)."""
    return torch.stack([scene.image for scene in scenes]), torch.stack([scene.semantic for scene in scenes])


def collate_captions(scenes: Sequence[Scene]) -> tuple[Tensor, list[Text]]:
    """For captioning: images float32 (N, 1, H, W) and their captions in both languages."""
    return torch.stack([scene.image for scene in scenes]), [scene.caption for scene in scenes]
