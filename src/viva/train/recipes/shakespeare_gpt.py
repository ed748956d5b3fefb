"""A GPT of four layers on tiny Shakespeare, character by character.

The text is cut in order: 90 % / 5 % / 5 %. The score is in bits per character on the last part, for windows of 64 characters
that each begin without a past: with 65 characters, guessing evenly costs 6.0 bits, and knowing how often each occurs 4.8.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from viva.data import shakespeare
from viva.data.tokenisers import character_tokeniser
from viva.models.gpt import GPT, GPTConfig
from viva.optim import AdamW, decay_groups, warmup_cosine
from viva.train.batches import Held
from viva.train.recipe import Recipe, Splits

LENGTH = 64  # characters that the model can look back on


def data() -> Splits:
    """Tuples of one tensor of windows (N, 65): 64 characters and what follows each. No window reaches into another part."""
    text = shakespeare.load()
    tokeniser = character_tokeniser(text)

    def windows(part: str) -> tuple[Tensor]:
        ids = Tensor(tokeniser.encode(part)).long()
        return (ids.unfold(0, LENGTH + 1, LENGTH),)  # neighbours share one character, so that every one is predicted once

    return Splits(*map(windows, shakespeare.split(text)))


def loss(model: nn.Module, batch: Any) -> Tensor:
    (tokens,) = batch
    return model.loss(tokens)  # type: ignore[operator]


def evaluate(model: nn.Module, held: Held) -> dict[str, float]:
    nats = sum(float(loss(model, batch)) * len(batch[0]) for batch in held) / held.samples
    return {"bits_per_character": nats / math.log(2)}


RECIPE = Recipe(
    about="GPT of 4 layers of 128 on tiny Shakespeare, by characters",
    model_name="gpt 4×128",
    data_name="tinyshakespeare",
    data=data,
    model=lambda splits: GPT(GPTConfig(vocab_size=65, max_length=LENGTH, d_model=128, num_layers=4, num_heads=4, dropout=0.0)),
    loss=loss,
    evaluate=evaluate,
    score="bits_per_character",
    higher_is_better=False,
    target=2.6,
    minutes=6,
    epochs=3,
    batch_size=32,
    lr=2e-3,
    optimiser=lambda model, lr: AdamW(decay_groups(model, 0.1), lr),
    schedule=lambda steps: warmup_cosine(steps // 10, steps),
    clip=1.0,
    held_batch_size=128,
)
