"""The smallest sequence task: read a string, write it backwards.

    source "kqzab" -> target "bazqk"; ids by `sequences`, source (S,) with <eos>, target (S + 1,) with <bos>
    and <eos>

Each output looks at one input, at a place that the output's own place decides: attention must learn positions
and nothing else, so its weights are the anti-diagonal, easy to see. A recurrent network without attention has
to carry the whole string.

Strings are random letters a to z, of random length. A string belongs to one split by its hash alone, so no
test string was ever trained on, whatever the seeds and the numbers of examples.
"""

from __future__ import annotations

import random
import string
from typing import Literal

from torch.utils.data import Dataset

from viva.data import splits
from viva.data.sequences import Pair, Vocabulary, pair

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
VOCABULARY = Vocabulary(string.ascii_lowercase)  # 29 tokens


class Reversal(Dataset[Pair]):
    """``length`` strings of ``shortest`` to ``longest`` letters and the same backwards; the i-th is the same
    every time.

    ``texts(i)`` gives the two strings, ``[i]`` their ids. Raises ValueError for a split that is none or
    lengths under 2 letters (of the 26 strings of one letter a split might have none), IndexError outside 0 <=
    i < length.
    """

    vocabulary = VOCABULARY

    def __init__(
        self,
        split: Split = "train",
        length: int = 10_000,
        *,
        shortest: int = 4,
        longest: int = 16,
        seed: int = 0,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f"split {split!r}: expected {', '.join(SPLITS)}")
        if not 2 <= shortest <= longest:
            raise ValueError(f"lengths from {shortest} to {longest}: expected 2 <= shortest <= longest")
        if length < 0:
            raise ValueError(f"length {length}: expected 0 or more")
        self.split, self.length, self.seed = split, length, seed
        self.shortest, self.longest = shortest, longest

    def __len__(self) -> int:
        return self.length

    def texts(self, index: int) -> tuple[str, str]:
        """The string and the string reversed."""
        if not 0 <= index < self.length:
            raise IndexError(f"example {index} was asked for; there are {self.length}, from 0 on")
        draw = random.Random(f"{self.seed} {self.split} {index}")
        while True:
            letters = "".join(
                draw.choices(string.ascii_lowercase, k=draw.randint(self.shortest, self.longest))
            )
            if splits.assign(letters) == SPLITS.index(self.split):
                return letters, letters[::-1]

    def __getitem__(self, index: int) -> Pair:
        return pair(VOCABULARY, *self.texts(index))
