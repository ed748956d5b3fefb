"""Augmentation: other images that mean the same, drawn anew for every image of a batch, on whatever device it is.

A network that should not care whether a cell lies left or right can be built so, or shown both. Augmentation shows both:
the training set grows by every change that keeps the label (a flipped cat is a cat; a flipped 2 is no 2, so choose). It is
a regulariser: what the network is shown in many forms it cannot learn by heart.

Each change comes twice: as a function of its parameters (`flip`, `crop`, `rotate`, ...: exact, and what the tests
compare), and as a class that draws them, one value for each image (`RandomFlip`, `RandomCrop`, `RandomRotation`, ...).
Chance comes from a `torch.Generator` that is handed in, so that a seed gives the same epoch again; None is torch's own.

Images are (N, C, H, W). Flips and crops take any dtype; the rest compute with floats in [0, 1]
(`viva.data.labelled.LabelledImages.floats`). `Mixup` changes labels as well, so it stands at the end of a step, not in a
`Compose`. Validation and test images are not augmented.

    augment = Compose(RandomCrop(28, padding=2), RandomRotation(10), Cutout(8))
    images = augment(images, generator)
    images, targets = Mixup(num_classes=10)(images, labels, generator)  # targets (N, 10), float
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


class Augmentation(Protocol):
    """Images (N, C, H, W) → images (N, C, h, w), changed by chance from ``generator``."""

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor: ...


# ---------------------------------------------------------------- the changes, as functions of their parameters


def flip(images: Tensor, which: Tensor | None = None) -> Tensor:
    """Left and right exchanged, of the images where ``which``, bool (N,), is True; of all of them unless given."""
    _check(images)
    flipped = images.flip(-1)
    return flipped if which is None else torch.where(which[:, None, None, None], flipped, images)


def pad(images: Tensor, width: int, mode: str = "constant", value: float = 0.0) -> Tensor:
    """``width`` pixels more on every side: (N, C, H + 2·width, W + 2·width). Modes as of ``torch.nn.functional.pad``."""
    _check(images)
    if width < 0:
        raise ValueError(f"a border has a width of 0 or more; this is {width}.")
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise ValueError(f"pad has no mode {mode!r}; there are constant, reflect, replicate and circular.")
    largest = min(images.shape[2:]) - (mode == "reflect")
    if mode in ("reflect", "circular") and width > largest:
        raise ValueError(f"images of {images.shape[2]}×{images.shape[3]} can be padded by {largest} at most with {mode!r}; this is {width}.")
    if mode != "constant":
        return F.pad(images, (width,) * 4, mode=mode)
    return F.pad(images, (width,) * 4, value=value)


def crop(images: Tensor, top: Tensor, left: Tensor, size: tuple[int, int]) -> Tensor:
    """Of each image the window of ``size`` (h, w) whose corner is at (``top``, ``left``), int64 (N,): (N, C, h, w)."""
    _check(images)
    count, channels, height, width = images.shape
    h, w = size
    if min(h, w) < 1:
        raise ValueError(f"a window has at least 1×1 pixels; this is {h}×{w}.")
    if h > height or w > width:
        raise ValueError(f"a window of {h}×{w} does not fit into images of {height}×{width}; pad them or crop less.")
    rows = top[:, None] + torch.arange(h, device=images.device)  # (N, h)
    columns = left[:, None] + torch.arange(w, device=images.device)  # (N, w)
    item = torch.arange(count, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[:, None, None]
    return images[item, channel, rows[:, None, :, None], columns[:, None, None, :]]


def rotate(images: Tensor, degrees: Tensor | float, mode: str = "bilinear") -> Tensor:
    """Each image turned counter-clockwise about its middle by its angle, (N,) or one for all; outside is 0.

    The output pixel at (x, y) from the middle takes the input at (x cos θ − y sin θ, x sin θ + y cos θ), y pointing down:
    pixels are asked where they come from, so that none stays empty. Lengths are pixels, so an image that is not square
    is turned and not sheared; grid_sample wants them in units of half the width and half the height.
    """
    _check(images, floating=True)
    count, _, height, width = images.shape
    # Angles in float64: float32 knows 2π only to 2e-7, which is 1e-5 of a pixel at the rim.
    angle = torch.as_tensor(degrees, dtype=torch.float64, device=images.device).expand(count) * (math.pi / 180)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    theta = torch.stack(
        [cos, -sin * (height / width), zero, sin * (width / height), cos, zero], dim=1
    ).reshape(count, 2, 3)  # fmt: skip
    grid = F.affine_grid(theta.to(images.dtype), list(images.shape), align_corners=False)  # (N, H, W, 2)
    return F.grid_sample(images, grid, mode=mode, padding_mode="zeros", align_corners=False)


def brightness(images: Tensor, factor: Tensor | float) -> Tensor:
    """All pixels times ``factor``, (N,) or one for all, held in [0, 1]: 0 black, 1 unchanged."""
    _check(images, floating=True)
    return (images * _each(factor, images)).clamp(0, 1)


def contrast(images: Tensor, factor: Tensor | float) -> Tensor:
    """Distances from the image's mean grey times ``factor``, held in [0, 1]: 0 grey, 1 unchanged."""
    _check(images, floating=True)
    return _blend(images, grey(images).mean(dim=(1, 2, 3), keepdim=True), factor)


def saturation(images: Tensor, factor: Tensor | float) -> Tensor:
    """Distances from each pixel's own grey times ``factor``: 0 without colour, 1 unchanged. One channel stays as it is."""
    _check(images, floating=True)
    return images if images.shape[1] == 1 else _blend(images, grey(images), factor)


def hue(images: Tensor, shift: Tensor | float) -> Tensor:
    """Colours moved around the wheel by ``shift`` of a turn, (N,) or one for all, −0.5 to 0.5; greys stay."""
    _check(images, floating=True)
    if images.shape[1] == 1:
        return images
    grey(images)  # refuses other numbers of channels
    red, green, blue = images.unbind(1)  # (N, H, W) each
    value, smallest = images.amax(1), images.amin(1)
    chroma = value - smallest
    safe = torch.where(chroma == 0, 1.0, chroma)
    sector = torch.where(
        value == red, (green - blue) / safe, torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe)
    )  # in sixths of a turn
    sector = (sector + 6 * _each(shift, images)[:, 0]) % 6
    # Each channel falls from value to smallest and rises again, two sixths after the one before it.
    offsets = torch.tensor([5.0, 3.0, 1.0], dtype=images.dtype, device=images.device)[:, None, None]
    k = (sector[:, None] + offsets) % 6  # (N, 3, H, W)
    return value[:, None] - chroma[:, None] * torch.minimum(k, 4 - k).clamp(0, 1)


def grey(images: Tensor) -> Tensor:
    """Luma after ITU-R BT.601, 0.2989 R + 0.587 G + 0.114 B: (N, 1, H, W). One channel is its own grey."""
    _check(images)
    if images.shape[1] == 1:
        return images
    if images.shape[1] != 3:
        raise ValueError(f"colours need 1 or 3 channels; these images have {images.shape[1]}.")
    weights = torch.tensor([0.2989, 0.587, 0.114], dtype=images.dtype, device=images.device)
    return (images * weights[:, None, None]).sum(1, keepdim=True)


def cut(images: Tensor, row: Tensor, column: Tensor, size: int, value: float = 0.0) -> Tensor:
    """A square of ``size``×``size`` pixels set to ``value``; what of it lies outside of the image is clipped.

    Its middle is at (``row``, ``column``), int64 (N,); of an even size, half lies before the middle and half from it on.
    """
    _check(images)
    rows = torch.arange(images.shape[2], device=images.device) - (row[:, None] - size // 2)  # (N, H)
    columns = torch.arange(images.shape[3], device=images.device) - (column[:, None] - size // 2)  # (N, W)
    inside = ((rows >= 0) & (rows < size))[:, :, None] & ((columns >= 0) & (columns < size))[:, None, :]
    return images.masked_fill(inside[:, None], value)


def mix(images: Tensor, targets: Tensor, share: Tensor | float, partner: Tensor) -> tuple[Tensor, Tensor]:
    """``share`` of each image and its soft target (N, K), and 1 − ``share`` of those of its ``partner``, int64 (N,)."""
    _check(images, floating=True)
    if targets.dim() != 2 or not targets.is_floating_point():
        raise ValueError(f"soft targets are floats (N, K); these are {targets.dtype} {tuple(targets.shape)}.")
    share = _each(share, images)
    shares = share.to(targets.dtype)[:, :, 0, 0]  # (N or 1, 1)
    # partner + share · (own − partner): two equal labels give exactly that label back.
    mixed = images[partner] + share * (images - images[partner])
    return mixed, targets[partner] + shares * (targets - targets[partner])


# ---------------------------------------------------------------- the same with parameters drawn for each image


class Compose:
    """One after the other."""

    def __init__(self, *steps: Augmentation) -> None:
        self.steps = steps

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        for step in self.steps:
            images = step(images, generator)
        return images


class RandomFlip:
    """Left and right exchanged in each image with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"a probability is in [0, 1]; this is {p}.")
        self.p = p

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        _check(images)
        return flip(images, _uniform(images, generator) < self.p)


class RandomCrop:
    """A window of ``size`` at a random place, after ``padding`` pixels were added on every side (He et al. 2016, §4.2)."""

    def __init__(self, size: int | tuple[int, int], padding: int = 0, mode: str = "constant", value: float = 0.0) -> None:
        self.size = (size, size) if isinstance(size, int) else size
        if min(*self.size, padding + 1) < 1:
            raise ValueError(f"a window has at least 1×1 pixels and padding is not negative; given were {size} and {padding}.")
        self.padding, self.mode, self.value = padding, mode, value

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        _check(images)
        if self.padding:
            images = pad(images, self.padding, self.mode, self.value)
        # A window that does not fit leaves no place to draw; crop() says so.
        places = [max(1, full - part + 1) for full, part in zip(images.shape[2:], self.size, strict=True)]
        top, left = (_integers(images, count, generator) for count in places)
        return crop(images, top, left, self.size)


class RandomRotation:
    """Each image turned by an angle drawn evenly from −``degrees`` to ``degrees``."""

    def __init__(self, degrees: float, mode: str = "bilinear") -> None:
        if not math.isfinite(degrees) or mode not in ("bilinear", "nearest", "bicubic"):
            raise ValueError(f"a rotation needs a finite angle and bilinear, nearest or bicubic; given were {degrees} and {mode!r}.")
        self.degrees, self.mode = degrees, mode

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return rotate(images, (2 * _uniform(images, generator) - 1) * self.degrees, self.mode)


class ColourJitter:
    """Brightness, contrast, saturation (factors drawn evenly from 1 − x to 1 + x, not below 0) and hue (shift −x to x).

    The four follow each other in an order drawn once for the batch.
    """

    def __init__(self, brightness: float = 0.0, contrast: float = 0.0, saturation: float = 0.0, hue: float = 0.0) -> None:
        if min(brightness, contrast, saturation, hue) < 0 or hue > 0.5:
            raise ValueError(
                f"strengths are at least 0 and that of hue at most 0.5; given were {brightness}, {contrast}, {saturation}, {hue}."
            )
        self.strengths = (brightness, contrast, saturation, hue)

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        order = torch.randperm(4, generator=generator, device=_source(images, generator)).tolist()
        for which in order:
            strength = self.strengths[which]
            if not strength:
                continue
            drawn = (2 * _uniform(images, generator) - 1) * strength
            change = (brightness, contrast, saturation, hue)[which]
            images = change(images, drawn if change is hue else (1 + drawn).clamp(min=0))
        return images


class Cutout:
    """A square of ``size`` pixels about a random pixel, set to 0 (DeVries and Taylor 2017); it may stick out at the rim,
    so that images also come nearly whole."""

    def __init__(self, size: int, value: float = 0.0) -> None:
        if size < 0:
            raise ValueError(f"a square has a size of 0 or more; this is {size}.")
        self.size, self.value = size, value

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        _check(images)
        row = _integers(images, images.shape[2], generator)
        column = _integers(images, images.shape[3], generator)
        return cut(images, row, column, self.size, self.value)


class Mixup:
    """Images and labels mixed in pairs: λ x + (1 − λ) x', λ y + (1 − λ) y' (Zhang et al. 2018).

    λ comes from Beta(α, α), one for the batch as in the authors' code; partners are a random permutation of the batch.
    """

    def __init__(self, num_classes: int, alpha: float = 0.2) -> None:
        if not alpha > 0:
            raise ValueError(f"alpha is above 0; this is {alpha}.")
        self.num_classes, self.alpha = num_classes, alpha

    def __call__(
        self, images: Tensor, labels: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """``labels`` int64 (N,) or soft, float (N, K); gives images (N, C, H, W) and soft targets (N, K)."""
        _check(images, floating=True)
        if labels.shape[:1] != images.shape[:1]:
            raise ValueError(f"{len(images)} images came with labels of shape {tuple(labels.shape)}; one for each is needed.")
        targets = labels if labels.is_floating_point() else F.one_hot(labels, self.num_classes).to(images.dtype)
        source = _source(images, generator)
        partner = torch.randperm(len(images), generator=generator, device=source).to(images.device)
        # torch draws no Beta from a generator that is handed in; NumPy does, from a seed that the generator gives.
        seed = int(torch.randint(2**62, (), generator=generator, device=source))
        return mix(images, targets, float(np.random.default_rng(seed).beta(self.alpha, self.alpha)), partner)


# ---------------------------------------------------------------- what the above stands on


def _check(images: Tensor, floating: bool = False) -> None:
    if not isinstance(images, Tensor):
        raise TypeError(f"images are a tensor; this is a {type(images).__name__}. Convert it with torch.as_tensor(images).")
    if images.dim() != 4:
        raise ValueError(f"images are (N, C, H, W); these are {tuple(images.shape)}. One image is images[None].")
    if floating and not images.is_floating_point():
        raise TypeError(f"this needs floats in [0, 1]; these images are {images.dtype}. Divide them by their largest value.")


def _each(value: Tensor | float | Sequence[float], images: Tensor) -> Tensor:
    """One number for each image, or one for all, as (N or 1, 1, 1, 1)."""
    each = torch.as_tensor(value, dtype=images.dtype, device=images.device).reshape(-1, 1, 1, 1)
    if len(each) not in (1, len(images)):
        raise ValueError(f"{len(each)} values were given for {len(images)} images; give one for each, or one.")
    return each


def _blend(images: Tensor, other: Tensor, factor: Tensor | float) -> Tensor:
    return (other + _each(factor, images) * (images - other)).clamp(0, 1)


def _source(images: Tensor, generator: torch.Generator | None) -> torch.device:
    return images.device if generator is None else generator.device


def _uniform(images: Tensor, generator: torch.Generator | None) -> Tensor:
    """In [0, 1), float64 (N,), the same numbers from one seed whatever the dtype of the images."""
    drawn = torch.rand(len(images), generator=generator, dtype=torch.float64, device=_source(images, generator))
    return drawn.to(images.device)


def _integers(images: Tensor, high: int, generator: torch.Generator | None) -> Tensor:
    drawn = torch.randint(high, (len(images),), generator=generator, device=_source(images, generator))
    return drawn.to(images.device)
