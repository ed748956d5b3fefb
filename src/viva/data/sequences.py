"""Sequence to sequence on characters: the vocabulary, the pairs and the batches of `dates` and `reversal`.

A source and a target are two short strings. Ids: 0 <pad>, 1 <bos>, 2 <eos>, then the characters. A source
ends with <eos>; a target begins with <bos> and ends with <eos>, so a decoder reads ``target[:, :-1]`` and is
asked for ``target[:, 1:]``:

    "5 Mar 2026" -> 5 ␣ M a r ␣ 2 0 2 6 <eos>        "2026-03-05" -> <bos> 2 0 2 6 - 0 3 - 0 5 <eos>
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from viva.data.padding import pad

PAD, BOS, EOS = 0, 1, 2


class Vocabulary:
    """Characters and their ids, after <pad> 0, <bos> 1 and <eos> 2. ``len(vocabulary)`` counts those three."""

    def __init__(self, characters: Iterable[str]) -> None:
        self.tokens = ("<pad>", "<bos>", "<eos>", *sorted(set(characters)))
        self._ids = {token: index for index, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str, *, bos: bool = False) -> list[int]:
        """Ids of ``text`` with <eos> behind, and with ``bos`` <bos> before. ValueError for a character it lacks."""
        strange = next((letter for letter in text if letter not in self._ids), None)
        if strange is not None:
            raise ValueError(
                f"{text!r} has the character {strange!r}, which is not among the {len(self) - 3} of this task"
            )
        return [BOS] * bos + [self._ids[letter] for letter in text] + [EOS]

    def decode(self, ids: Iterable[int] | Tensor) -> str:
        """The text of ids (T,), from after <bos> up to the first <eos>. ValueError for an unknown id."""
        letters = []
        for index in ids.tolist() if isinstance(ids, Tensor) else ids:
            if not 0 <= index < len(self):
                raise ValueError(f"token id {index} is outside the vocabulary of {len(self)}")
            if index == EOS:
                break
            if index > EOS:
                letters.append(self.tokens[index])
        return "".join(letters)


class Pair(NamedTuple):
    """Ids of one example, int64 (S,) and (T,)."""

    source: Tensor
    target: Tensor


class PairBatch(NamedTuple):
    """``source`` int64 (N, S), ``target`` int64 (N, T), and their masks, bool, True = token."""

    source: Tensor
    target: Tensor
    source_mask: Tensor
    target_mask: Tensor


def pair(vocabulary: Vocabulary, source: str, target: str) -> Pair:
    """Two strings as ids: the source with <eos>, the target with <bos> and <eos>."""
    return Pair(torch.tensor(vocabulary.encode(source)), torch.tensor(vocabulary.encode(target, bos=True)))


def collate(pairs: Sequence[Pair]) -> PairBatch:
    """Pairs padded with <pad> on the right to the longest source and the longest target of the batch."""
    source = pad([example.source.tolist() for example in pairs], PAD)
    target = pad([example.target.tolist() for example in pairs], PAD)
    return PairBatch(source.ids, target.ids, source.mask, target.mask)
