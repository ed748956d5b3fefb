"""An encoder–decoder Transformer that writes dates as ISO 8601: "the 5th of March, 2026" → 2026-03-05.

Two layers on each side. Every day of the calendar belongs to one part only, so no test date was seen in any of its forms.
The score is strict: the share of dates whose ten characters, written one after another by greedy search, are all right.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from viva.data.dates import VOCABULARY, Dates
from viva.data.sequences import BOS, EOS, PAD, collate
from viva.models.search import greedy_search
from viva.models.transformer import Transformer, TransformerConfig
from viva.optim import AdamW, decay_groups, warmup_cosine
from viva.train.batches import Held
from viva.train.recipe import Recipe, Splits

CONFIG = TransformerConfig(
    vocab_size=len(VOCABULARY), d_model=64, num_layers=2, num_heads=4, d_ff=256, dropout=0.0, max_length=64, padding_index=PAD, pre_norm=True, final_norms=True
)


def data() -> Splits:
    """Tuples (source ids (N, S), target ids (N, 12)), padded: 30,000 / 1,000 / 2,000 dates in 20 formats."""

    def tensors(dates: Dates) -> tuple[Tensor, Tensor]:
        batch = collate([dates[i] for i in range(len(dates))])
        return batch.source, batch.target

    return Splits(tensors(Dates("train", 30_000)), tensors(Dates("validation", 1000)), tensors(Dates("test", 2000)))


def fetch(dataset: tuple[Tensor, Tensor], indices: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Sources (B, S) without columns of nothing but padding, and targets (B, 12)."""
    source = dataset[0][indices]
    return source[:, : int((source != PAD).sum(1).max())], dataset[1][indices]


def loss(model: nn.Module, batch: Any) -> Tensor:
    return model.loss(*batch, label_smoothing=0.0)  # type: ignore[operator]


def evaluate(model: nn.Module, held: Held) -> dict[str, float]:
    """exact_match: dates without a wrong character, of all."""
    assert isinstance(model, Transformer)
    right = 0
    for source, target in held:
        wanted = target[:, 1:]  # ten characters and <eos>
        written = greedy_search(model, source, start=BOS, stop=EOS, max_length=wanted.shape[1])  # (B, L ≤ 11)
        written = nn.functional.pad(written, (0, wanted.shape[1] - written.shape[1]), value=EOS)
        right += int((written == wanted).all(1).sum())
    return {"exact_match": right / held.samples}


RECIPE = Recipe(
    about="Transformer of 2 + 2 layers of 64: dates in 20 Korean and English formats to ISO 8601",
    model_name="transformer 2+2×64",
    data_name="dates",
    data=data,
    model=lambda splits: Transformer(CONFIG),
    loss=loss,
    fetch=fetch,
    evaluate=evaluate,
    score="exact_match",
    target=0.99,
    minutes=5,
    epochs=8,
    batch_size=128,
    lr=3e-3,
    optimiser=lambda model, lr: AdamW(decay_groups(model, 0.01), lr),
    schedule=lambda steps: warmup_cosine(steps // 10, steps),
    clip=1.0,
    held_batch_size=500,
)
