"""Transformer: an encoder reads the source, a decoder writes the target one token at a time, looking back at both.

Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin 2017, *Attention Is All You Need*, sections
3.1 to 3.4. Every sub-layer is wrapped as ``norm(x + sublayer(x))`` (post-norm); ``pre_norm=True`` gives the later
``x + sublayer(norm(x))``, which trains without warm-up (Xiong et al. 2020) because the residual path is never normalised:

    source (B, S) -> embedding * sqrt(d_model) + sinusoids (B, S, d_model)
        encoder layer:  self-attention (padding mask); feed-forward
    target (B, T) -> embedding * sqrt(d_model) + sinusoids (B, T, d_model)
        decoder layer:  self-attention (causal mask); cross-attention, queries from the decoder, keys and values from
                        the encoder's output (padding mask); feed-forward
    logits (B, T, V) = decoder output @ embedding^T

One matrix serves as source embedding, target embedding and output layer (section 3.4). Its entries start with variance
1 / d_model, which suits the output layer; times sqrt(d_model) the embeddings weigh about as much as the sinusoids.
All T predictions are made in one pass in training, because the causal mask hides what each must predict.
``viva.models.search`` writes translations with it: greedily, or with a beam.
"""

from __future__ import annotations

import math
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
    KVCache,
    LayerNorm,
    Linear,
    MultiHeadAttention,
    SinusoidalPositions,
    cross_entropy,
    normal_,
    xavier_uniform_,
)
from viva.nn.shapes import expect_tensor


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of an encoder-decoder Transformer; the defaults are the paper's base model (Table 3, first row).

    padding_index: the token that fills short sentences up; where given, the masks follow from it.
    final_norms: one more norm after the encoder and after the decoder, as ``torch.nn.Transformer`` has. The paper's
        post-norm model has none; with ``pre_norm`` they are needed, because nothing else normalises the residual stream.
    """

    vocab_size: int = 37000
    d_model: int = 512
    num_layers: int = 6
    num_heads: int = 8
    d_ff: int = 2048
    dropout: float = 0.1
    max_length: int = 1024
    padding_index: int | None = None
    pre_norm: bool = False
    final_norms: bool = True


class FeedForward(nn.Module):
    """``contract(relu(expand(x)))``, the same at every position (section 3.3): (B, T, d_model) -> the same.

    The dropout in between, and that on attention's weights, are ``torch.nn.Transformer``'s: the paper drops only
    what a sub-layer adds, and embeddings.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.expand = Linear(config.d_model, config.d_ff)
        self.contract = Linear(config.d_ff, config.d_model)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.contract(self.dropout(F.relu(self.expand(x))))


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each with residual and norm: (B, S, d_model) -> the same."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.pre_norm = config.pre_norm
        self.attention = MultiHeadAttention(config.d_model, config.num_heads, dropout=config.dropout)
        self.attention_norm = LayerNorm(config.d_model)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = LayerNorm(config.d_model)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if self.pre_norm:
            x = x + self.dropout(self.attention(self.attention_norm(x), mask=mask))
            return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        x = self.attention_norm(x + self.dropout(self.attention(x, mask=mask)))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


@dataclass
class DecoderCache:
    """What one decoder layer has computed already: its own keys and values, and those of the encoder's output."""

    own: KVCache
    cross: KVCache

    def reorder(self, indices: Tensor) -> None:
        """Row i continues row ``indices[i]`` *of the same source*, so what was read from the source may stay."""
        self.own.reorder(indices)


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the memory, feed-forward: x (B, T, d_model), memory (B, S, d_model) -> x."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.pre_norm = config.pre_norm
        self.attention = MultiHeadAttention(config.d_model, config.num_heads, dropout=config.dropout)
        self.attention_norm = LayerNorm(config.d_model)
        self.cross_attention = MultiHeadAttention(config.d_model, config.num_heads, dropout=config.dropout)
        self.cross_attention_norm = LayerNorm(config.d_model)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = LayerNorm(config.d_model)
        self.dropout = Dropout(config.dropout)

    def forward(
        self, x: Tensor, memory: Tensor, mask: Tensor | None, memory_mask: Tensor | None, cache: DecoderCache | None
    ) -> Tensor:
        own, cross = (cache.own, cache.cross) if cache is not None else (None, None)

        def look_back(y: Tensor) -> Tensor:
            return self.dropout(self.attention(y, mask=mask, causal=True, cache=own))

        def look_across(y: Tensor) -> Tensor:
            return self.dropout(self.cross_attention(y, memory, mask=memory_mask, cache=cross))

        if self.pre_norm:
            x = x + look_back(self.attention_norm(x))
            x = x + look_across(self.cross_attention_norm(x))
            return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        x = self.attention_norm(x + look_back(x))
        x = self.cross_attention_norm(x + look_across(x))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


def _one_matrix(ours: str, theirs: str) -> dict[str, tuple[str, ...]]:
    """torch keeps query, key and value as one matrix and one bias: the fused pairs of one attention."""
    return {
        f"{theirs}.in_proj_{kind}": tuple(f"{ours}.{part}.{kind}" for part in ("query", "key", "value"))
        for kind in ("weight", "bias")
    }


class Transformer(nn.Module):
    """The encoder-decoder: ``forward(source (B, S), target (B, T)) -> logits (B, T, vocab_size)``, ids int64.

    Logits at position t score the token that follows ``target[:, t]``: feed the target with the start token in front.
    Masks are boolean, (B, S) and (B, T), True for a real token; where they are left out and the config has a
    ``padding_index``, they follow from it. Raises ValueError on ids outside the vocabulary, on sentences longer than
    ``max_length``, and on masks of another shape; TypeError on masks that are not boolean.
    """

    layouts: ClassVar[dict[str, Layout]] = {
        # nn.Transformer has no embedding; beside its own names this layout expects one called ``embedding``
        "torch": Layout(
            ("encoder.{}.attention.output", "encoder.layers.{}.self_attn.out_proj"),
            ("encoder.{}.attention_norm", "encoder.layers.{}.norm1"),
            ("encoder.{}.feed_forward.expand", "encoder.layers.{}.linear1"),
            ("encoder.{}.feed_forward.contract", "encoder.layers.{}.linear2"),
            ("encoder.{}.feed_forward_norm", "encoder.layers.{}.norm2"),
            ("encoder_norm", "encoder.norm"),
            ("decoder.{}.attention.output", "decoder.layers.{}.self_attn.out_proj"),
            ("decoder.{}.attention_norm", "decoder.layers.{}.norm1"),
            ("decoder.{}.cross_attention.output", "decoder.layers.{}.multihead_attn.out_proj"),
            ("decoder.{}.cross_attention_norm", "decoder.layers.{}.norm2"),
            ("decoder.{}.feed_forward.expand", "decoder.layers.{}.linear1"),
            ("decoder.{}.feed_forward.contract", "decoder.layers.{}.linear2"),
            ("decoder.{}.feed_forward_norm", "decoder.layers.{}.norm3"),
            ("decoder_norm", "decoder.norm"),
            fused=_one_matrix("encoder.{}.attention", "encoder.layers.{}.self_attn")
            | _one_matrix("decoder.{}.attention", "decoder.layers.{}.self_attn")
            | _one_matrix("decoder.{}.cross_attention", "decoder.layers.{}.multihead_attn"),
        )
    }

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = Embedding(config.vocab_size, config.d_model)
        self.positions = SinusoidalPositions(config.max_length, config.d_model)
        self.dropout = Dropout(config.dropout)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_layers))
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_layers))
        self.encoder_norm = LayerNorm(config.d_model) if config.final_norms else nn.Identity()
        self.decoder_norm = LayerNorm(config.d_model) if config.final_norms else nn.Identity()
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Embedding from N(0, 1 / d_model), matrices by Xavier's uniform rule, biases 0."""
        for module in self.modules():
            if isinstance(module, Linear):
                xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        normal_(self.embedding.weight, std=self.config.d_model**-0.5)

    def encode(self, source: Tensor, source_mask: Tensor | None = None) -> Tensor:
        """The memory: source (B, S) -> (B, S, d_model)."""
        mask = self._mask("source", source, source_mask)
        x = self._embed("source", source)
        for layer in self.encoder:
            x = layer(x, mask)
        return self.encoder_norm(x)

    def decode(
        self,
        target: Tensor,
        memory: Tensor,
        source_mask: Tensor | None = None,
        target_mask: Tensor | None = None,
        caches: list[DecoderCache] | None = None,
    ) -> Tensor:
        """Decoder states, target (B, T) and memory (B, S, d_model) -> (B, T, d_model); ``self.logits`` scores them.

        ``source_mask (B, S)`` says which memory may be seen. With ``caches`` the target holds only the tokens that
        follow what was decoded with them before.
        """
        if memory.dim() != 3 or memory.shape[0] != target.shape[0] or memory.shape[2] != self.config.d_model:
            raise ValueError(
                f"the memory has shape {tuple(memory.shape)}; expected (batch, source time, d_model) = "
                f"({target.shape[0]}, any, {self.config.d_model}) for a target of shape {tuple(target.shape)}"
            )
        offset = caches[0].own.length if caches is not None else 0
        # With a cache the mask would have to cover the past as well; generated text has no padding before its end.
        mask = self._mask("target", target, target_mask) if caches is None else None
        memory_mask = _as_key_mask("source", source_mask, (memory.shape[0], memory.shape[1]))
        x = self._embed("target", target, offset)
        for index, layer in enumerate(self.decoder):
            x = layer(x, memory, mask, memory_mask, caches[index] if caches is not None else None)
        return self.decoder_norm(x)

    def logits(self, states: Tensor) -> Tensor:
        """(..., d_model) -> (..., vocab_size), with the embedding as output layer."""
        return F.linear(states, self.embedding.weight)

    def forward(
        self, source: Tensor, target: Tensor, source_mask: Tensor | None = None, target_mask: Tensor | None = None
    ) -> Tensor:
        source_mask = self.padding_of(source) if source_mask is None else source_mask
        memory = self.encode(source, source_mask)
        return self.logits(self.decode(target, memory, source_mask, target_mask))

    def loss(self, source: Tensor, target: Tensor, label_smoothing: float = 0.1) -> Tensor:
        """Training loss in nats per token, a scalar; target (B, T) begins with the start token and ends with the stop.

        Tokens 1 .. T-1 predict tokens 2 .. T; padding is not predicted. Label smoothing (section 5.4) moves 0.1 of
        the probability from the right token to all tokens alike: worse perplexity, better translations.
        """
        logits = self(source, target[:, :-1])
        ignore = -100 if self.config.padding_index is None else self.config.padding_index
        return cross_entropy(
            logits.flatten(0, 1), target[:, 1:].flatten(), label_smoothing=label_smoothing, ignore_index=ignore
        )

    def new_caches(self, length: int) -> list[DecoderCache]:
        """Empty caches for decoding up to ``length`` target tokens, one per decoder layer."""
        return [DecoderCache(KVCache(length), KVCache(0)) for _ in self.decoder]

    def padding_of(self, tokens: Tensor) -> Tensor | None:
        """The mask that follows from the config: True where a token is not padding; None without a padding_index."""
        return None if self.config.padding_index is None else tokens != self.config.padding_index

    def _mask(self, name: str, tokens: Tensor, mask: Tensor | None) -> Tensor | None:
        expect_tensor(f"the {name}", tokens)
        if tokens.dim() != 2:
            raise ValueError(f"the {name} has shape {tuple(tokens.shape)}; expected (batch, time)")
        mask = self.padding_of(tokens) if mask is None else mask
        return _as_key_mask(name, mask, tuple(tokens.shape))

    def _embed(self, name: str, tokens: Tensor, offset: int = 0) -> Tensor:
        time = tokens.shape[1]
        if offset + time > self.config.max_length:
            raise ValueError(
                f"the {name} is {offset + time} tokens long, but the model has positions for {self.config.max_length}; "
                f"shorten it, or build the model with a larger max_length"
            )
        x = self.embedding(tokens) * math.sqrt(self.config.d_model)
        return self.dropout(x + self.positions(time, offset))  # (B, T, d_model)


def _as_key_mask(name: str, mask: Tensor | None, shape: tuple[int, ...]) -> Tensor | None:
    """A mask over tokens (B, T) as a mask over attention's keys (B, 1, 1, T): every head and query sees the same keys."""
    if mask is None:
        return None
    if mask.dtype != torch.bool:
        raise TypeError(f"the {name} mask is {mask.dtype}; expected torch.bool, True for a real token (mask != 0)")
    if tuple(mask.shape) != shape:
        raise ValueError(f"the {name} mask has shape {tuple(mask.shape)}; expected that of the {name} tokens, {shape}")
    return mask[:, None, None, :]


# --- the published sizes: Table 3, with the English-German vocabulary of 37,000 shared tokens ---

PAPER = "Vaswani et al. 2017, Attention Is All You Need, Table 3"
REFERENCE = "torch.nn.Transformer with one shared embedding"


def _example() -> tuple[Tensor, ...]:
    return (torch.ones(1, 32, dtype=torch.long), torch.ones(1, 32, dtype=torch.long))


@published(paper=PAPER, reference=REFERENCE, paper_parameters=65e6, example=_example)
def transformer_base(**options: Any) -> Transformer:
    """The base model: 63,084,544 parameters, 44,140,544 without the embedding; ``options``: ``TransformerConfig``.

    ``final_norms=False`` is the paper to the letter, 2,048 parameters fewer.
    """
    return Transformer(TransformerConfig(**options))


@published(paper=PAPER, reference=REFERENCE, paper_parameters=213e6, example=_example)
def transformer_big(**options: Any) -> Transformer:
    """The big model: 214,249,472 parameters."""
    big: dict[str, Any] = {"d_model": 1024, "num_heads": 16, "d_ff": 4096, "dropout": 0.3}
    return Transformer(TransformerConfig(**big | options))
