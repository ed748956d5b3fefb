"""Classes of unequal size: draw the small ones more often, the large ones less, or weigh their losses.

With 99 healthy patients for one ill, "healthy" is right 99 times in 100 and useless. Four answers, on labels (N,):

==================  ==============================================================================================
`oversample`        every item, and copies drawn from the small classes until all are as large as the largest
`undersample`       of each class as many as the smallest has, drawn without repetition; the rest is thrown away
`WeightedSampler`   each draw picks a class with equal chance (`item_weights`), epoch after epoch
`class_weights`     all items once; the loss of an item counts N / (K · n_class)
==================  ==============================================================================================

In expectation the last two minimise the same loss; sampling has the smaller variance when a class is rare in batches, and
weighing does not repeat items. Copies teach nothing new and invite overfitting, which is why over-sampling is paired
with augmentation, or with SMOTE (Chawla et al. 2002), which interpolates neighbours and needs features in which a mean
of two items is an item. imbalanced-learn's ``RandomOverSampler`` and ``RandomUnderSampler`` do what the first two do.

Split first, then resample the training part only: a copy of a training item in the test is a leak, and a test must keep
the frequencies of the world. All of these change the prior that the network learns, so its probabilities are no longer
calibrated: divide each class's by the weight it was drawn with and let them sum to 1 again, or move the threshold. (Moving
the threshold of a network trained on the data as they are often does as well, and keeps its calibration.)

Every function takes an explicit `torch.Generator`; indices are int64 on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.utils.data import Sampler


def class_counts(labels: Tensor, num_classes: int | None = None) -> Tensor:
    """How many items each class has: int64 (K,), with K one more than the largest label unless given.

    Raises:
        TypeError, ValueError: labels are not integers (N,) of 0..K − 1.
    """
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels are a tensor; this is a {type(labels).__name__}. Convert it with torch.as_tensor(labels).")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(f"labels are integers; these are {labels.dtype}.")
    if labels.dim() != 1 or len(labels) == 0:
        raise ValueError(f"labels have the shape (N,) with N ≥ 1; these are {tuple(labels.shape)}.")
    smallest, largest = int(labels.min()), int(labels.max())
    if smallest < 0 or (num_classes is not None and largest >= num_classes):
        limit = "" if num_classes is None else f" and below {num_classes}"
        raise ValueError(f"labels are at least 0{limit}; these go from {smallest} to {largest}.")
    return torch.bincount(labels.long().cpu(), minlength=num_classes or 0)


def class_weights(
    labels: Tensor, num_classes: int | None = None, *, scheme: Literal["balanced", "effective"] = "balanced",
    beta: float = 0.999,
) -> Tensor:  # fmt: skip
    """A weight for each class, float32 (K,): what ``cross_entropy(weight=...)`` takes.

    "balanced": N / (K · n), so that the weights of all items add up to N (K counts the classes that occur).
    "effective": (1 − β) / (1 − βⁿ), by the effective number of items (Cui et al. 2019), scaled likewise; it
    goes from no weighting (β = 0) to "balanced" (β → 1). A class that does not occur weighs 0.
    """
    counts = class_counts(labels, num_classes).double()
    if scheme == "balanced":
        weights = 1 / counts
    elif scheme == "effective":
        if not 0 <= beta < 1:
            raise ValueError(f"beta is in [0, 1); this is {beta}.")
        weights = (1 - beta) / (1 - beta**counts)
    else:
        raise ValueError(f"the schemes are 'balanced' and 'effective'; there is no {scheme!r}.")
    weights = torch.where(counts > 0, weights, 0.0)
    return (weights * counts.sum() / (weights * counts).sum()).float()


def item_weights(labels: Tensor) -> Tensor:
    """1 / n of each item's class, float64 (N,): drawn with these, all classes come equally often."""
    return 1 / class_counts(labels).double()[labels.long().cpu()]


def oversample(labels: Tensor, *, size: int | None = None, generator: torch.Generator | None = None) -> Tensor:
    """Indices of every item once, in order, then of copies that bring each class to ``size``.

    Args:
        size: items of a class in the end; that of the largest class unless given. Larger classes stay as they are.
    """
    counts = class_counts(labels)
    target = int(counts.max()) if size is None else size
    pieces = [torch.arange(len(labels))]
    for members in _by_class(labels, counts):
        missing = max(0, target - len(members))
        pieces.append(members[_integers(len(members), missing, generator)])
    return torch.cat(pieces)


def undersample(labels: Tensor, *, size: int | None = None, generator: torch.Generator | None = None) -> Tensor:
    """Indices of at most ``size`` items of each class, without repetition, ascending.

    Args:
        size: that of the smallest class that occurs unless given. Smaller classes stay as they are.
    """
    counts = class_counts(labels)
    target = int(counts[counts > 0].min()) if size is None else size
    if target < 0:
        raise ValueError(f"a class keeps 0 items or more; {size} were asked for.")
    kept = [members[_permutation(len(members), generator)[:target]] for members in _by_class(labels, counts)]
    return torch.cat(kept).sort().values


class WeightedSampler(Sampler[int]):
    """Draws indices with the given weights; equal in distribution to ``torch.utils.data.WeightedRandomSampler``.

    With replacement, by the inverse of the cumulative sum: u uniform in [0, Σw), the first index whose cumulative weight
    exceeds u. Without, the k items with the smallest Eᵢ / wᵢ, Eᵢ exponential (Efraimidis and Spirakis 2006): the first to
    ring of alarms with rates w, which is drawing one after the other from what is left. ``torch.multinomial`` stops at 2²⁴
    weights; this does not.

    Args:
        weights: (N,), not negative; they need not add up to 1. 0 is never drawn.
        num_samples: indices in an epoch; N unless given.
        generator: the source of chance; each pass over the sampler goes on with it.

    Raises:
        ValueError: weights that are none, or more samples than positive weights without replacement.
    """

    def __init__(
        self, weights: Tensor | Sequence[float], num_samples: int | None = None, *, replacement: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        self.weights = torch.as_tensor(weights, dtype=torch.float64).cpu()
        if self.weights.dim() != 1 or len(self.weights) == 0:
            raise ValueError(f"weights have the shape (N,) with N ≥ 1; these are {tuple(self.weights.shape)}.")
        if not (torch.isfinite(self.weights).all() and (self.weights >= 0).all() and self.weights.sum() > 0):
            raise ValueError("weights are finite, at least 0, and not all 0.")
        self.num_samples = len(self.weights) if num_samples is None else num_samples
        self.replacement = replacement
        self.generator = generator
        positive = int((self.weights > 0).sum())
        if self.num_samples < 0 or (not replacement and self.num_samples > positive):
            raise ValueError(
                f"{self.num_samples} samples were asked for and {positive} items have a weight above 0; "
                "draw fewer, or with replacement."
            )

    def __len__(self) -> int:
        return self.num_samples

    def __iter__(self) -> Iterator[int]:
        return iter(self.draw().tolist())

    def draw(self) -> Tensor:
        """One epoch of indices at once, int64 (num_samples,)."""
        if self.replacement:
            cumulative = self.weights.cumsum(0)  # (N,)
            u = _uniform(self.num_samples, self.generator) * cumulative[-1]
            last = int(self.weights.nonzero()[-1])  # u may round up to the whole sum
            return torch.searchsorted(cumulative, u, right=True).clamp_(max=last)
        rings = -torch.log1p(-_uniform(len(self.weights), self.generator)) / self.weights  # w = 0 never rings: inf
        rings[self.weights == 0] = torch.inf  # 0 / 0 would be nan
        return rings.topk(self.num_samples, largest=False, sorted=True).indices


def _by_class(labels: Tensor, counts: Tensor) -> tuple[Tensor, ...]:
    """Indices of each class's items, ascending; nothing for a class without any."""
    order = torch.argsort(labels.long().cpu(), stable=True)
    return tuple(members for members in order.split(counts.tolist()) if len(members))


def _device(generator: torch.Generator | None) -> torch.device:
    return generator.device if generator is not None else torch.device("cpu")


def _uniform(count: int, generator: torch.Generator | None) -> Tensor:
    return torch.rand(count, generator=generator, dtype=torch.float64, device=_device(generator)).cpu()


def _integers(high: int, count: int, generator: torch.Generator | None) -> Tensor:
    return torch.randint(high, (count,), generator=generator, device=_device(generator)).cpu()


def _permutation(count: int, generator: torch.Generator | None) -> Tensor:
    return torch.randperm(count, generator=generator, device=_device(generator)).cpu()
