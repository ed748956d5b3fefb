"""A bidirectional LSTM on Korean film reviews: liked or not.

Words are cut into WordPiece tokens learnt from the training reviews alone. Reviews of like length go into one batch, because
padding is work too. A review that also stands in the test set is not trained on.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from viva.data import nsmc
from viva.data.splits import split
from viva.data.tokenisers import wordpiece_tokeniser
from viva.models.lstm import TextClassifier, TextClassifierConfig
from viva.nn.losses import cross_entropy
from viva.optim import AdamW, decay_groups, warmup_cosine
from viva.train.measures import classification
from viva.train.recipe import Recipe, Splits

VOCABULARY, LENGTH, BATCH = 8000, 48, 64


def data() -> Splits:
    """Tuples (token ids (N, 48), 0 = padding; labels (N,), 1 = liked); [CLS] first and [SEP] last."""
    test = nsmc.load("test")
    every = nsmc.without_leaks(nsmc.load("train"), test)
    keys = [nsmc.review_key(document) for document in every.documents]
    train, validation, _ = (every.take(part) for part in split(keys, (0.9, 0.1, 0.0), strata=every.labels))
    tokeniser = wordpiece_tokeniser(train.documents, VOCABULARY, limit_alphabet=2000)

    def tensors(reviews: nsmc.Reviews) -> tuple[Tensor, Tensor]:
        ids = tokeniser.encode_batch(reviews.documents, max_length=LENGTH).ids  # (N, T), T ≤ 48
        return nn.functional.pad(ids, (0, LENGTH - ids.shape[1])), reviews.labels

    return Splits(*map(tensors, (train, validation, test)))


def fetch(dataset: tuple[Tensor, Tensor], indices: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Tokens (B, T) without columns of nothing but padding, and labels (B,)."""
    tokens = dataset[0][indices]
    return tokens[:, : int((tokens != 0).sum(1).max())], dataset[1][indices]


def by_length(dataset: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
    """Every review once: shuffled, sorted by length within runs of 50 batches, the batches of a run shuffled again."""
    lengths = (dataset[0] != 0).sum(1)
    shuffled = torch.randperm(len(lengths), generator=generator)
    batches = [batch for run in shuffled.split(50 * BATCH) for batch in run[lengths[run].argsort()].split(BATCH)]
    *whole, last = batches  # the last one may be short: it stays at the end
    return torch.cat([*(whole[i] for i in torch.randperm(len(whole), generator=generator).tolist()), last])


def loss(model: nn.Module, batch: Any) -> Tensor:
    tokens, labels = batch
    return cross_entropy(model(tokens), labels)


RECIPE = Recipe(
    about="Bidirectional LSTM of 128 units on Korean film reviews",
    model_name="bi-LSTM 128",
    data_name="nsmc",
    data=data,
    model=lambda splits: TextClassifier(
        TextClassifierConfig(vocab_size=VOCABULARY, d_embedding=128, hidden_size=128, bidirectional=True, pooling="mean", dropout=0.4)
    ),
    loss=loss,
    fetch=fetch,
    order=by_length,
    evaluate=classification,
    score="accuracy",
    target=0.82,
    minutes=4,
    epochs=4,
    batch_size=BATCH,
    lr=2e-3,
    optimiser=lambda model, lr: AdamW(decay_groups(model, 0.05), lr),
    schedule=lambda steps: warmup_cosine(steps // 10, steps),
    clip=1.0,
    held_batch_size=256,
)
