"""A small BERT on Korean film reviews: liked or not, and which words were hidden, at once.

Four layers of 128 dimensions, 1.8 M parameters. BERT is pre-trained on a large corpus and then fine-tuned; short reviews
alone are no such corpus, so pre-training's task (hidden words) and fine-tuning's (the rating) are learnt together here, from
nothing. 15 % of the tokens are chosen as in the paper; the loss is the rating's cross-entropy plus a fifth of the hidden
words'. How much pre-training is worth is not what this recipe shows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from viva.data.masking import mask_tokens
from viva.data.tokenisers import BERT_SPECIALS
from viva.models.bert import BertConfig, BertForClassification
from viva.nn.losses import cross_entropy
from viva.optim import AdamW, decay_groups, warmup_cosine
from viva.train.batches import Held
from viva.train.recipe import Recipe
from viva.train.recipes import nsmc_lstm

CONFIG = BertConfig(vocab_size=nsmc_lstm.VOCABULARY, max_length=nsmc_lstm.LENGTH, d_model=128, num_layers=4, num_heads=4, d_ff=512)
PAD_ID, _, CLS_ID, SEP_ID, MASK_ID = range(len(BERT_SPECIALS))


class Reader(nn.Module):
    """Token ids (B, T) → logits of the rating (B, 2), and the states (B, T, d_model) from which words are guessed."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.reader = BertForClassification(config)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        output = self.reader(tokens, mask=tokens != PAD_ID)
        return output.logits, output.hidden

    def words(self, states: Tensor) -> Tensor:
        """States (n, d_model) → logits (n, vocab_size); the output matrix is the embedding, as in BERT."""
        return nn.functional.linear(states, self.reader.bert.token_embedding.weight)


def fetch(dataset: tuple[Tensor, Tensor], indices: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens (B, T), some hidden when training; the ids of those, −100 elsewhere (B, T); labels (B,)."""
    tokens, labels = nsmc_lstm.fetch(dataset, indices, generator)
    hidden = mask_tokens(
        tokens,
        vocab_size=CONFIG.vocab_size,
        mask_id=MASK_ID,
        special_ids=range(len(BERT_SPECIALS)),
        probability=0.0 if generator is None else 0.15,
        generator=generator,
    )
    return hidden.inputs, hidden.labels, labels


def loss(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    tokens, hidden, labels = batch
    logits, states = model(tokens)
    chosen = hidden != -100
    words = model.words(states[chosen])  # type: ignore[operator]
    guess = cross_entropy(words, hidden[chosen], reduction="sum") / chosen.sum().clamp(min=1)
    rating = cross_entropy(logits, labels)
    return {"loss": rating + 0.2 * guess, "rating": rating, "words": guess}


def evaluate(model: nn.Module, held: Held) -> dict[str, float]:
    right = sum(int((model(tokens)[0].argmax(-1) == labels).sum()) for tokens, _, labels in held)
    return {"accuracy": right / held.samples}


RECIPE = Recipe(
    about="BERT of 4 layers of 128 on Korean film reviews, hidden words alongside",
    model_name="bert 4×128",
    data_name="nsmc",
    data=nsmc_lstm.data,
    model=lambda splits: Reader(CONFIG),
    loss=loss,
    fetch=fetch,
    order=nsmc_lstm.by_length,
    evaluate=evaluate,
    score="accuracy",
    target=0.81,
    minutes=9,
    epochs=3,
    batch_size=nsmc_lstm.BATCH,
    lr=1e-3,
    optimiser=lambda model, lr: AdamW(decay_groups(model, 0.05), lr),
    schedule=lambda steps: warmup_cosine(steps // 10, steps),
    clip=1.0,
    held_batch_size=256,
)
