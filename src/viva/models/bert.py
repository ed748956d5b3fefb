"""BERT: a Transformer encoder that reads both ways, trained to fill in words that were hidden from it.

Devlin, Chang, Lee and Toutanova 2019, *BERT: Pre-training of Deep Bidirectional Transformers*, section 3. Without a
causal mask every token sees the whole text, so "predict the next token" would be trivial; two other tasks take its place
(``viva.data.masking`` makes the inputs and targets of both):

    masked language model   15 % of the tokens are chosen; 80 % of those become [MASK], 10 % a random token, 10 % stay.
                            Predict the chosen ones. Random and unchanged ones, because fine-tuning has no [MASK].
    next sentence           does text B follow text A? Read off the [CLS] token; label 0 means it does.
                            (RoBERTa, Liu et al. 2019, and most after it do without.)

    tokens, segments (B, T) -> norm(token + position + segment embedding) (B, T, d_model)
    per layer:  x = norm(x + attention(x)); x = norm(x + contract(gelu(expand(x))))     # post-norm, exact GELU
    pooled (B, d_model)     = tanh(W x_[CLS])                -> next sentence, classification
    mlm logits (B, T, V)    = norm(gelu(W x)) @ token_embedding^T + b                   # tied to the embedding

All norms have eps 1e-12. Fine-tuning puts one linear layer on the pooled state and trains everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viva.models.catalogue import published
from viva.models.checkpoint import Layout
from viva.nn import (
    Dropout,
    Embedding,
    LayerNorm,
    LearnedPositions,
    Linear,
    MultiHeadAttention,
    cross_entropy,
    normal_,
)
from viva.nn.shapes import expect_tensor


@dataclass(frozen=True)
class BertConfig:
    """Sizes of a BERT; the defaults are BERT-base, uncased English."""

    vocab_size: int = 30522
    max_length: int = 512
    num_segments: int = 2
    d_model: int = 768
    num_layers: int = 12
    num_heads: int = 12
    d_ff: int = 3072
    dropout: float = 0.1


@dataclass
class BertOutput:
    """hidden: the last states (B, T, d_model); pooled: tanh of a linear map of the first one, (B, d_model)."""

    hidden: Tensor
    pooled: Tensor


@dataclass
class PretrainingOutput(BertOutput):
    """mlm_logits (B, T, vocab_size) score every token; nsp_logits (B, 2): 0 = B follows A, 1 = it does not."""

    mlm_logits: Tensor
    nsp_logits: Tensor


@dataclass
class ClassificationOutput(BertOutput):
    """logits (B, num_classes) of the whole text."""

    logits: Tensor


class EncoderLayer(nn.Module):
    """Post-norm self-attention and feed-forward: (B, T, d_model) -> the same."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(config.d_model, config.num_heads, dropout=config.dropout)
        self.attention_norm = LayerNorm(config.d_model, eps=1e-12)
        self.expand = Linear(config.d_model, config.d_ff)
        self.contract = Linear(config.d_ff, config.d_model)
        self.feed_forward_norm = LayerNorm(config.d_model, eps=1e-12)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.attention_norm(x + self.dropout(self.attention(x, mask=mask)))
        hidden = F.gelu(self.expand(x))  # (B, T, d_ff)
        return self.feed_forward_norm(x + self.dropout(self.contract(hidden)))


class Bert(nn.Module):
    """The encoder: ``forward(tokens (B, T), segments=None, mask=None) -> BertOutput``.

    segments (B, T) int64: 0 for text A, 1 for text B; all 0 where left out. mask (B, T) bool: True for a token, False
    for padding. Raises ValueError on ids outside the vocabulary, texts longer than ``max_length`` and shapes that
    differ from the tokens'; TypeError on a mask that is not boolean.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = Embedding(config.vocab_size, config.d_model)
        self.positions = LearnedPositions(config.max_length, config.d_model)
        self.segment_embedding = Embedding(config.num_segments, config.d_model)
        self.embedding_norm = LayerNorm(config.d_model, eps=1e-12)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_layers))
        self.pooler = Linear(config.d_model, config.d_model)
        reset_parameters(self)

    def forward(self, tokens: Tensor, segments: Tensor | None = None, mask: Tensor | None = None) -> BertOutput:
        config = self.config
        expect_tensor("the model", tokens)
        if tokens.dim() != 2:
            raise ValueError(f"the tokens have shape {tuple(tokens.shape)}; expected (batch, time)")
        if not tokens.shape[1]:
            raise ValueError(f"the tokens have shape {tuple(tokens.shape)}; the pooler reads the first token, so there has to be one")
        if tokens.shape[1] > config.max_length:
            raise ValueError(
                f"the text is {tokens.shape[1]} tokens long, but the model has positions for {config.max_length}; "
                f"cut the text, or read it in windows"
            )
        for name, other in (("segments", segments), ("mask", mask)):
            if other is not None and other.shape != tokens.shape:
                raise ValueError(
                    f"{name} has shape {tuple(other.shape)}; expected that of the tokens, {tuple(tokens.shape)}"
                )
        if mask is not None and mask.dtype != torch.bool:
            raise TypeError(f"the mask is {mask.dtype}; expected torch.bool, True for a token (mask != 0)")

        of_segments = self.segment_embedding.weight[0] if segments is None else self.segment_embedding(segments)
        x = self.token_embedding(tokens) + of_segments + self.positions(tokens.shape[1])  # (B, T, d_model)
        x = self.dropout(self.embedding_norm(x))
        key_mask = None if mask is None else mask[:, None, None, :]  # (B, 1, 1, T): nobody looks at padding
        for layer in self.layers:
            x = layer(x, key_mask)
        return BertOutput(hidden=x, pooled=torch.tanh(self.pooler(x[:, 0])))


@torch.no_grad()
def reset_parameters(model: nn.Module) -> None:
    """Every matrix from N(0, 0.02²) (the authors cut it off at two deviations), biases 0, norms 1 and 0."""
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif "norm" not in name:
            normal_(parameter, std=0.02)


def _layout(*heads: tuple[str, str], tied: dict[str, str]) -> Layout:
    """The names of transformers, for the encoder and these heads."""
    return Layout(
        ("bert.token_embedding", "bert.embeddings.word_embeddings"),
        ("bert.positions", "bert.embeddings.position_embeddings"),
        ("bert.segment_embedding", "bert.embeddings.token_type_embeddings"),
        ("bert.embedding_norm", "bert.embeddings.LayerNorm"),
        ("bert.layers.{}.attention.query", "bert.encoder.layer.{}.attention.self.query"),
        ("bert.layers.{}.attention.key", "bert.encoder.layer.{}.attention.self.key"),
        ("bert.layers.{}.attention.value", "bert.encoder.layer.{}.attention.self.value"),
        ("bert.layers.{}.attention.output", "bert.encoder.layer.{}.attention.output.dense"),
        ("bert.layers.{}.attention_norm", "bert.encoder.layer.{}.attention.output.LayerNorm"),
        ("bert.layers.{}.expand", "bert.encoder.layer.{}.intermediate.dense"),
        ("bert.layers.{}.contract", "bert.encoder.layer.{}.output.dense"),
        ("bert.layers.{}.feed_forward_norm", "bert.encoder.layer.{}.output.LayerNorm"),
        ("bert.pooler", "bert.pooler.dense"),
        *heads,
        tied=tied,
        ignored=("bert.embeddings.position_ids",),  # 0, 1, 2, ... in files written by old versions
    )


class BertForPretraining(nn.Module):
    """BERT with its two heads: ``forward(tokens (B, T), segments=None, mask=None) -> PretrainingOutput``, as `Bert`."""

    layouts: ClassVar[dict[str, Layout]] = {
        "transformers": _layout(
            ("mlm_transform", "cls.predictions.transform.dense"),
            ("mlm_norm", "cls.predictions.transform.LayerNorm"),
            ("mlm_bias", "cls.predictions.bias"),
            ("nsp", "cls.seq_relationship"),
            tied={
                "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
                "cls.predictions.decoder.bias": "cls.predictions.bias",
            },
        )
    }

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.bert = Bert(config)
        self.mlm_transform = Linear(config.d_model, config.d_model)
        self.mlm_norm = LayerNorm(config.d_model, eps=1e-12)
        self.mlm_bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.nsp = Linear(config.d_model, 2)
        reset_parameters(self)

    def forward(
        self, tokens: Tensor, segments: Tensor | None = None, mask: Tensor | None = None
    ) -> PretrainingOutput:
        base: BertOutput = self.bert(tokens, segments, mask)
        states = self.mlm_norm(F.gelu(self.mlm_transform(base.hidden)))  # (B, T, d_model)
        mlm_logits = F.linear(states, self.bert.token_embedding.weight, self.mlm_bias)  # (B, T, V)
        return PretrainingOutput(base.hidden, base.pooled, mlm_logits, self.nsp(base.pooled))

    @staticmethod
    def loss(output: PretrainingOutput, mlm_targets: Tensor, nsp_targets: Tensor) -> Tensor:
        """Sum of both cross-entropies in nats, a scalar.

        mlm_targets (B, T): the original ids at the chosen places, -100 elsewhere; nsp_targets (B,): 0 = is next.
        """
        words = cross_entropy(output.mlm_logits.flatten(0, 1), mlm_targets.flatten(), ignore_index=-100)
        return words + cross_entropy(output.nsp_logits, nsp_targets)


class BertForClassification(nn.Module):
    """BERT with a linear layer on the pooled state: ``forward(tokens (B, T), ...) -> ClassificationOutput``, as `Bert`."""

    layouts: ClassVar[dict[str, Layout]] = {"transformers": _layout(("classifier", "classifier"), tied={})}

    def __init__(self, config: BertConfig, num_classes: int = 2) -> None:
        super().__init__()
        self.config = config
        self.bert = Bert(config)
        self.dropout = Dropout(config.dropout)
        self.classifier = Linear(config.d_model, num_classes)
        reset_parameters(self)

    def forward(
        self, tokens: Tensor, segments: Tensor | None = None, mask: Tensor | None = None
    ) -> ClassificationOutput:
        base: BertOutput = self.bert(tokens, segments, mask)
        return ClassificationOutput(base.hidden, base.pooled, self.classifier(self.dropout(base.pooled)))


# --- the published sizes: section 3; the small ones are from Turc et al. 2019 ---

SIZES: dict[str, dict[str, int]] = {
    "bert_base": {"num_layers": 12, "d_model": 768, "num_heads": 12, "d_ff": 3072},
    "bert_large": {"num_layers": 24, "d_model": 1024, "num_heads": 16, "d_ff": 4096},
    "bert_mini": {"num_layers": 4, "d_model": 256, "num_heads": 4, "d_ff": 1024},
}
REFERENCE = "transformers.BertForPreTraining"


def _example() -> tuple[Tensor, ...]:
    return (torch.zeros(1, 512, dtype=torch.long),)


@published(
    paper="Devlin et al. 2019, BERT, section 3", reference=REFERENCE, paper_parameters=110e6, example=_example
)
def bert_base(**options: Any) -> BertForPretraining:
    """BERT-base: 110,106,428 parameters with both heads; ``options`` are fields of ``BertConfig``."""
    return BertForPretraining(BertConfig(**SIZES["bert_base"] | options))


@published(
    paper="Devlin et al. 2019, BERT, section 3", reference=REFERENCE, paper_parameters=340e6, example=_example
)
def bert_large(**options: Any) -> BertForPretraining:
    """BERT-large: 336,226,108 parameters with both heads."""
    return BertForPretraining(BertConfig(**SIZES["bert_large"] | options))


@published(
    paper="Turc et al. 2019, Well-Read Students Learn Better, Table 1",
    reference=REFERENCE,
    paper_parameters=11.3e6,
    example=_example,
)
def bert_mini(**options: Any) -> BertForPretraining:
    """BERT-mini: 11,267,900 parameters with both heads."""
    return BertForPretraining(BertConfig(**SIZES["bert_mini"] | options))
