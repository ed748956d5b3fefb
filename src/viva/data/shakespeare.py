"""Tiny Shakespeare: 1,115,394 characters of his plays in one string; what character models have learnt to babble on.

Published with char-rnn (A. Karpathy 2015, "The Unreasonable Effectiveness of Recurrent Neural Networks"): pure ASCII,
65 different characters, newlines included.

A text is split in one place, not shuffled: windows of one scene overlap and share names and lines, so a random split
would put most of the test into the training. `split` cuts it into three runs, 90 %, 5 % and 5 % unless told otherwise.

`windows` draws what a language model trains on: inputs (B, T) and the same shifted by one, (B, T).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from viva.data.sources import File, Source
from viva.language import Text

NAME = "input.txt"
SOURCE = Source(
    name="shakespeare",
    folder="tinyshakespeare",
    what=Text(ko="셰익스피어 희곡 1,115,394자", en="1,115,394 characters of Shakespeare's plays"),
    licence="MIT (A. Karpathy, char-rnn); the plays are in the public domain",
    home="https://github.com/karpathy/char-rnn",
    files=(
        File(
            NAME,
            ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
            {"86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed": "as published"},
            1_115_394,
        ),
    ),
)


def load(*, folder: str | Path | None = None, allow_download: bool = True) -> str:
    """The whole text.

    Raises:
        ChecksumError, DownloadError, MissingData: see `viva.data.sources.Source.open`.
    """
    path = SOURCE.open(NAME, folder=folder, allow_download=allow_download)
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text ({error}).") from error


def split(text: str, fractions: Sequence[float] = (0.9, 0.05, 0.05)) -> tuple[str, ...]:
    """``text`` cut into runs of these fractions, in order; together they are the text again.

    Raises:
        ValueError: the fractions are negative or do not add up to 1.
    """
    if any(fraction < 0 for fraction in fractions) or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(f"the fractions of a split are at least 0 and add up to 1; these are {tuple(fractions)}.")
    ends = [round(len(text) * sum(fractions[: i + 1])) for i in range(len(fractions))]
    return tuple(text[start:end] for start, end in zip([0, *ends], ends, strict=False))


def windows(ids: Tensor, length: int, count: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """``count`` random windows of a token sequence, and what follows each of their tokens.

    Args:
        ids: integers (L,).
        length: T, tokens in a window.

    Returns:
        inputs (count, T) and targets (count, T): ``targets[b, t]`` is the token after ``inputs[b, t]``.

    Raises:
        ValueError: fewer than T + 1 tokens, or ids that are no sequence.
    """
    if ids.dim() != 1 or ids.is_floating_point():
        raise ValueError(f"windows are cut from integer ids of shape (L,); these are {ids.dtype} {tuple(ids.shape)}.")
    if length < 1 or len(ids) < length + 1:
        raise ValueError(f"a window of {length} tokens and the one after it do not fit into {len(ids)} tokens.")
    device = generator.device if generator is not None else ids.device
    starts = torch.randint(len(ids) - length, (count, 1), generator=generator, device=device).to(ids.device)
    span = ids[starts + torch.arange(length + 1, device=ids.device)]  # (B, T + 1)
    return span[:, :-1], span[:, 1:]
