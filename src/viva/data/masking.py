"""What BERT is asked while it learns: which words were hidden, and does this sentence follow that one.

Devlin et al. 2019, section 3.1. **Masked language model**: of the tokens that are neither special nor
padding, 15 % are chosen; of these, 80 % become [MASK], 10 % a random token, 10 % stay, and the loss is asked
at the chosen ones alone:

    ids (N, T) -> inputs (N, T), labels (N, T);   labels = ids where chosen, else -100: the losses' ignore_index

Not all chosen tokens become [MASK] because fine-tuning never shows one: a model that saw only [MASK] where an
answer is due would learn nothing about the words that it can see. **Next sentence**: half of the pairs follow
one another in a document (label 0, as in the published heads: *0 is next*), half take their second sentence
from another document (label 1).

Randomness comes from one generator, so an epoch can be masked again in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

IGNORED = -100


class Masked(NamedTuple):
    """``inputs`` and ``labels``, int64 (N, T) each."""

    inputs: Tensor
    labels: Tensor


def mask_tokens(
    ids: Tensor,
    *,
    vocab_size: int,
    mask_id: int,
    special_ids: Sequence[int],
    mask: Tensor | None = None,
    probability: float = 0.15,
    masked: float = 0.8,
    random: float = 0.1,
    generator: torch.Generator | None = None,
) -> Masked:
    """BERT's masking of ``ids``, int64 of any shape; what is given is not changed.

    Args:
        ids: int64 (N, T).
        vocab_size: random tokens are drawn from it, evenly, special tokens left out.
        mask_id: the id of [MASK].
        special_ids: ids that are never chosen: [CLS], [SEP], [PAD], ...
        mask: bool like ``ids``, False where padding is; nothing is chosen there.
        probability: each token's chance to be chosen.
        masked: of the chosen, how many become [MASK];  random: how many a random token;  the rest stay.
        generator: on the device of ``ids``.

    Raises TypeError for ids that are no int64, ValueError for shares outside [0, 1], a mask of another shape,
    or an id outside the vocabulary (on the CPU; a GPU is not waited for).
    """
    if ids.dtype != torch.int64:
        raise TypeError(f"ids of dtype {ids.dtype} were given; expected torch.int64")
    if mask is not None and (mask.shape != ids.shape or mask.dtype != torch.bool):
        raise ValueError(
            f"mask is {mask.dtype} {tuple(mask.shape)}; expected torch.bool {tuple(ids.shape)}, the shape of ids"
        )
    if not (0 <= probability <= 1 and masked >= 0 and random >= 0 and masked + random <= 1 + 1e-9):
        raise ValueError(
            f"probability {probability}, masked {masked}, random {random}: expected a probability in [0, 1] "
            "and two shares of at most 1 together"
        )
    if ids.device.type == "cpu" and ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < vocab_size:
        raise ValueError(
            f"token ids from {int(ids.min())} to {int(ids.max())} in a vocabulary of {vocab_size}"
        )
    special = torch.tensor(sorted(set(special_ids)), dtype=torch.int64, device=ids.device)
    ordinary = torch.ones(vocab_size, dtype=torch.bool, device=ids.device).index_fill(0, special, False)
    if not 0 <= mask_id < vocab_size:
        raise ValueError(f"mask_id {mask_id} is outside the vocabulary of {vocab_size}")

    def draw() -> Tensor:
        return torch.rand(ids.shape, generator=generator, device=ids.device)

    allowed = ordinary[ids] if mask is None else ordinary[ids] & mask
    chosen = allowed & (draw() < probability)
    fate = draw()  # [0, masked) hidden; [masked, masked + random) replaced; the rest stays
    replacements = ordinary.nonzero().squeeze(1)  # (ordinary tokens,)
    if len(replacements) == 0:
        raise ValueError(f"all {vocab_size} tokens are special; nothing could stand in for a hidden one")
    place = torch.randint(len(replacements), ids.shape, generator=generator, device=ids.device)
    inputs = torch.where(chosen & (fate < masked), mask_id, ids)
    inputs = torch.where(chosen & (fate >= masked) & (fate < masked + random), replacements[place], inputs)
    return Masked(inputs, torch.where(chosen, ids, IGNORED))


class SentencePair(NamedTuple):
    """Two texts and ``label``: 0 where the second follows the first, 1 where it comes from another document."""

    first: str
    second: str
    label: int


def sentence_pairs(
    documents: Sequence[Sequence[str]], *, generator: torch.Generator | None = None
) -> list[SentencePair]:
    """A pair for each two neighbours in ``documents`` (each a list of sentences in order), half of them
    broken.

    Of the M neighbours exactly M // 2 (drawn at random) have their second sentence replaced by a random one
    of another document, evenly over its sentences. Raises ValueError where there are not two documents with a
    sentence each.
    """
    texts = [list(document) for document in documents if len(document) > 0]
    if len(texts) < 2:
        raise ValueError(
            f"{len(texts)} documents with sentences were given; expected 2 or more, to take strangers from"
        )
    everything = [(number, sentence) for number, document in enumerate(texts) for sentence in document]
    first_of = [0]
    for document in texts:
        first_of.append(first_of[-1] + len(document))

    places = [(number, at) for number, document in enumerate(texts) for at in range(len(document) - 1)]
    order = torch.randperm(len(places), generator=generator).tolist()
    broken = set(order[: len(places) // 2])
    pairs = []
    for index, (number, at) in enumerate(places):
        first, second = texts[number][at], texts[number][at + 1]
        if index in broken:
            # A draw among all sentences but this document's own: those behind it move up by its length.
            own = len(texts[number])
            drawn = int(torch.randint(len(everything) - own, (), generator=generator))
            second = everything[drawn if drawn < first_of[number] else drawn + own][1]
        pairs.append(SentencePair(first, second, int(index in broken)))
    return pairs
