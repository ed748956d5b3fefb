"""Train, validation and test without leakage.

A test measures a network on what it has not seen. It stops measuring that when the same thing stands on both sides: the
same text twice, two crops of one photograph, two visits of one patient; or when numbers computed from all the data (mean,
vocabulary, chosen features) reach the training. So: items that belong together stay together (`split`), classes keep
their shares (``strata``), what is fitted is fitted on the training part only (`Standardiser`), and published splits are
looked at before they are believed (`overlap`).

**Together.** Two items are joined when they have the same key (their content: duplicates) or the same group (their
origin), and so are the items joined to those: a chain of joins is one *bundle*, and bundles go to one part as a whole.

**Where to.** Bundles are put in the order of a keyed hash of their smallest key, BLAKE2b(seed, key). Each in turn goes
to the part that lacks most of its share. Nothing depends on the order in which items are given: the same items and the
same seed give the same parts on every machine, in every process, after every shuffle. Where every bundle is one item, each
of three parts is less than two items from its share overall and less than three in each stratum; larger bundles move that by
their own size.

When items are *added*, `split` may move others, because shares are counted. `assign` never does: it looks at one key
alone (hash below 0.8 → train), at the price of shares that are right only on average.

scikit-learn's ``StratifiedGroupKFold`` has the same aim; it is stable under a seed but not under reordering.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from operator import index
from typing import NamedTuple

import torch
from torch import Tensor

Key = str | bytes | int
Keys = Sequence[Key] | Tensor


class Split(NamedTuple):
    """Indices of the items in each part, int64, ascending."""

    train: Tensor
    validation: Tensor
    test: Tensor


def split(
    keys: Keys, fractions: tuple[float, float, float] = (0.8, 0.1, 0.1), *,
    seed: int = 0, strata: Sequence[Hashable] | Tensor | None = None, groups: Sequence[Hashable] | Tensor | None = None,
) -> Split:  # fmt: skip
    """Which items train, which validate and which test.

    Args:
        keys: what each item *is*: a text, a name, a number; or a tensor (N, ...) whose rows are hashed. Equal keys
            are one thing and stay together.
        fractions: shares of the three parts; they add up to 1.
        seed: another seed, another split.
        strata: a class for each item; each part gets its share of each class.
        groups: an origin for each item (patient, film, writer); a group stays together.

    Raises:
        ValueError: lengths that differ, or fractions that are no shares.
    """
    return Split(*_parts(keys, fractions, seed, strata, groups))


def folds(
    keys: Keys, count: int = 5, *, seed: int = 0,
    strata: Sequence[Hashable] | Tensor | None = None, groups: Sequence[Hashable] | Tensor | None = None,
) -> list[tuple[Tensor, Tensor]]:  # fmt: skip
    """``count`` pairs (training, validation) of indices for cross-validation: each item validates once.

    Raises:
        ValueError: fewer than two folds, or as for `split`.
    """
    if count < 2:
        raise ValueError(f"cross-validation needs at least 2 folds; {count} were asked for.")
    parts = _parts(keys, [1 / count] * count, seed, strata, groups)
    return [(torch.cat(parts[:i] + parts[i + 1 :]).sort().values, parts[i]) for i in range(count)]


def assign(key: Key, fractions: Sequence[float] = (0.8, 0.1, 0.1), *, seed: int = 0) -> int:
    """The part (0, 1, 2 ...) of one item, from its key alone: it stays there whatever is added to the data."""
    _check_fractions(fractions)
    position = int.from_bytes(_hash(key_bytes(key), seed)[:8], "big") / 2**64
    for part in range(len(fractions)):
        if position < sum(fractions[: part + 1]):
            return part
    return max(part for part, fraction in enumerate(fractions) if fraction > 0)


def overlap(items: Keys, others: Keys) -> Tensor:
    """Indices of the ``items`` whose key is among ``others`` too, int64: what leaks from one part into another."""
    seen = set(_all_bytes(others))
    return torch.tensor([i for i, key in enumerate(_all_bytes(items)) if key in seen], dtype=torch.int64)


def key_bytes(key: Key) -> bytes:
    """A key as bytes; keys of different types differ."""
    if isinstance(key, bytes):
        return b"b" + key
    if isinstance(key, str):
        return b"s" + key.encode("utf-8", "surrogatepass")
    try:
        return b"i%d" % index(key)  # NumPy's integers, too
    except TypeError:
        raise TypeError(f"a key is a str, bytes or int that says what an item is; this is a {type(key).__name__}.") from None


def _all_bytes(keys: Keys) -> list[bytes]:
    if isinstance(keys, Tensor):
        if keys.dim() == 0:
            raise ValueError("keys are a tensor (N, ...), one row for each item; this is a scalar.")
        if not keys.numel():
            return [b""] * len(keys)
        rows = keys.detach().cpu().contiguous().reshape(len(keys), -1).view(torch.uint8).numpy()
        return [blake2b(row.tobytes(), digest_size=16).digest() for row in rows]
    return [key_bytes(key) for key in keys]


def _hash(key: bytes, seed: int) -> bytes:
    return blake2b(key, key=b"%d" % seed, digest_size=16).digest()


def _check_fractions(fractions: Sequence[float]) -> None:
    if not (all(fraction >= 0 for fraction in fractions) and abs(sum(fractions) - 1) <= 1e-9):  # so that nan fails, too
        raise ValueError(f"the fractions of a split are at least 0 and add up to 1; these are {tuple(fractions)}.")


def _parts(
    keys: Keys, fractions: Sequence[float], seed: int,
    strata: Sequence[Hashable] | Tensor | None, groups: Sequence[Hashable] | Tensor | None,
) -> list[Tensor]:  # fmt: skip
    _check_fractions(fractions)
    contents = _all_bytes(keys)
    for name, values in (("strata", strata), ("groups", groups)):
        if values is not None and len(values) != len(contents):
            raise ValueError(f"{name} has {len(values)} entries for {len(contents)} keys; each item needs one of both.")
    origins: list[Hashable] | None = None
    if groups is not None:
        origins = groups.tolist() if isinstance(groups, Tensor) else list(groups)
    classes: Sequence[Hashable] = [0] * len(contents)
    if strata is not None:
        classes = strata.tolist() if isinstance(strata, Tensor) else strata

    by_stratum: defaultdict[str, list[tuple[bytes, list[int]]]] = defaultdict(list)
    for bundle in _bundles(contents, origins):
        counted = Counter(repr(classes[i]) for i in bundle)
        most = min(counted, key=lambda name: (-counted[name], name))  # of equal counts the first by name
        by_stratum[most].append((_hash(min(contents[i] for i in bundle), seed), bundle))

    chosen: list[list[int]] = [[] for _ in fractions]
    done = 0
    for stratum in sorted(by_stratum):  # one after the other: what one stratum's rounding leaves over, the next makes up
        for _, bundle in sorted(by_stratum[stratum]):
            done += len(bundle)
            lacking = [(share * done - len(part), -i) for i, (share, part) in enumerate(zip(fractions, chosen, strict=True)) if share > 0]
            chosen[-max(lacking)[1]] += bundle
    return [torch.tensor(sorted(part), dtype=torch.int64) for part in chosen]


def _bundles(contents: list[bytes], origins: list[Hashable] | None) -> Iterable[list[int]]:
    """Items that share a key or a group, directly or through others (union-find with path halving)."""
    parent = list(range(len(contents)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for values in (contents, origins or []):
        first: dict[Hashable, int] = {}
        for i, value in enumerate(values):
            parent[root(i)] = root(first.setdefault(value, i))
    bundles: defaultdict[int, list[int]] = defaultdict(list)
    for i in range(len(contents)):
        bundles[root(i)].append(i)
    return bundles.values()


@dataclass(frozen=True)
class Standardiser:
    """``(x − mean) / deviation`` with the statistics of the training part: z-scores.

    Fit it on the training part and apply it to all three; fitting on all of the data tells the training what the test
    looks like. A feature that never varies is only centred.

    Args:
        mean, deviation: (C, 1, 1) for images (N, C, H, W), (F,) for features (N, F).
    """

    mean: Tensor
    deviation: Tensor

    @classmethod
    def fit(cls, train: Tensor) -> Standardiser:
        """From images (N, C, H, W), by channel, or features (N, F), by feature; sums are float64.

        Raises:
            ValueError: another shape, no items, or values that are not finite.
        """
        if train.dim() not in (2, 4) or len(train) == 0 or train.numel() == 0:
            raise ValueError(f"a standardiser is fitted on (N, F) or (N, C, H, W) with N ≥ 1; this is {tuple(train.shape)}.")
        exact = train.double()
        axes = (0,) if train.dim() == 2 else (0, 2, 3)
        deviation, mean = torch.std_mean(exact, dim=axes, correction=0)  # (F,) or (C,)
        if not torch.isfinite(deviation).all():
            raise ValueError("the training part has values that are not finite; mend or drop those items first.")
        # Rounding leaves a constant feature a deviation of about 1e-17 of its size: that is no spread to divide by.
        constant = deviation <= 1e-12 * exact.abs().amax(dim=axes)
        deviation = torch.where(constant, torch.ones_like(deviation), deviation)
        dtype = train.dtype if train.is_floating_point() else torch.float32
        shape = (-1,) if train.dim() == 2 else (-1, 1, 1)
        return cls(mean.reshape(shape).to(dtype), deviation.reshape(shape).to(dtype))

    def __call__(self, x: Tensor) -> Tensor:
        """``x`` (..., F) or (..., C, H, W), standardised, on its own device; integers become the fitted dtype."""
        self._check(x)
        dtype = x.dtype if x.is_floating_point() else self.mean.dtype
        return (x.to(dtype) - self.mean.to(x.device, dtype)) / self.deviation.to(x.device, dtype)

    def inverse(self, z: Tensor) -> Tensor:
        """Back to the original units."""
        self._check(z)
        return z * self.deviation.to(z) + self.mean.to(z)

    def _check(self, x: Tensor) -> None:
        axis = -self.mean.dim()
        if x.dim() < self.mean.dim() or x.shape[axis] != len(self.mean):
            kind = "(..., F)" if self.mean.dim() == 1 else "(..., C, H, W)"
            raise ValueError(f"fitted on {len(self.mean)} features of {kind}; this is {tuple(x.shape)}.")
