"""GPT-2: a Transformer decoder that predicts the next token from all tokens before it.

Radford, Wu, Child, Luan, Amodei and Sutskever 2019, *Language Models are Unsupervised Multitask Learners*, section
2.3. Against the decoder of Vaswani et al. 2017 there is no encoder and no cross attention, positions are learned, and
the normalisation moved to the *input* of each sub-layer (pre-norm), with one more norm after the last layer, so that
the residual stream runs from embedding to output without being normalised on its way:

    tokens (B, T) -> token + position embedding (B, T, d_model)
    per layer:      x = x + attention(norm(x), causal)        # mixes positions; only looks back
                    x = x + contract(gelu(expand(norm(x))))   # mixes channels; d_model -> 4 d_model -> d_model
    logits (B, T, V) = norm(x) @ token_embedding^T            # the output layer *is* the embedding: tied

Trained to maximise ``sum_t log p(token_{t+1} | token_1..t)``: the causal mask makes all T predictions in one pass.
GELU is its tanh approximation, as in the released weights; with the exact GELU the logits move by about 8e-4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viva.models import sampling
from viva.models.catalogue import published
from viva.models.checkpoint import Layout
from viva.nn import (
    Dropout,
    Embedding,
    KVCache,
    LayerNorm,
    LearnedPositions,
    Linear,
    MultiHeadAttention,
    normal_,
)
from viva.nn.losses import cross_entropy
from viva.nn.shapes import expect_tensor


@dataclass(frozen=True)
class GPTConfig:
    """Sizes of a GPT-2; the defaults are those of GPT-2 small."""

    vocab_size: int = 50257
    max_length: int = 1024
    d_model: int = 768
    num_layers: int = 12
    num_heads: int = 12
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.num_layers < 0:
            raise ValueError(f"num_layers is {self.num_layers}; expected 0 or more")

    @property
    def d_ff(self) -> int:
        """Width of the feed-forward layer: four times the model's, throughout the family."""
        return 4 * self.d_model


class Block(nn.Module):
    """One layer: pre-norm causal self-attention, then a pre-norm feed-forward; (B, T, d_model) -> the same."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.attention_norm = LayerNorm(config.d_model, eps=1e-5)
        self.attention = MultiHeadAttention(config.d_model, config.num_heads, dropout=config.dropout)
        self.feed_forward_norm = LayerNorm(config.d_model, eps=1e-5)
        self.expand = Linear(config.d_model, config.d_ff)
        self.contract = Linear(config.d_ff, config.d_model)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, cache: KVCache | None = None) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), causal=True, cache=cache))
        hidden = F.gelu(self.expand(self.feed_forward_norm(x)), approximate="tanh")  # (B, T, 4 d_model)
        return x + self.dropout(self.contract(hidden))


class GPT(nn.Module):
    """The language model: ``forward(tokens (B, T) int64) -> logits (B, T, vocab_size)``.

    Logits at position t score the token at t + 1. Raises ValueError on ids outside the vocabulary and on texts longer
    than ``max_length``: there are no position embeddings beyond it.
    """

    layouts: ClassVar[dict[str, Layout]] = {
        "transformers": Layout(
            ("token_embedding", "transformer.wte"),
            ("positions", "transformer.wpe"),
            ("layers.{}.attention_norm", "transformer.h.{}.ln_1"),
            ("layers.{}.attention.output", "transformer.h.{}.attn.c_proj"),
            ("layers.{}.feed_forward_norm", "transformer.h.{}.ln_2"),
            ("layers.{}.expand", "transformer.h.{}.mlp.c_fc"),
            ("layers.{}.contract", "transformer.h.{}.mlp.c_proj"),
            ("norm", "transformer.ln_f"),
            fused={
                f"transformer.h.{{}}.attn.c_attn.{kind}": tuple(
                    f"layers.{{}}.attention.{part}.{kind}" for part in ("query", "key", "value")
                )
                for kind in ("weight", "bias")
            },
            # the released weights come from TensorFlow's 1x1 convolutions: (in, out) where a linear layer has (out, in)
            transposed=("layers.{}.attention", "layers.{}.expand", "layers.{}.contract"),
            tied={"lm_head.weight": "transformer.wte.weight"},
            ignored=("transformer.h.{}.attn.bias", "transformer.h.{}.attn.masked_bias"),  # causal masks in old files
        )
    }

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = Embedding(config.vocab_size, config.d_model)
        self.positions = LearnedPositions(config.max_length, config.d_model)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = LayerNorm(config.d_model, eps=1e-5)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Weights from N(0, 0.02²), biases 0; those that write into the residual stream a factor √(2L) smaller.

        Each of the L layers adds twice to the stream, and a sum of 2L independent terms grows like √(2L); scaled
        down by it, what is added has the same variance whatever the depth (section 2.3).
        """
        for name, parameter in self.named_parameters():
            if "norm" in name:
                continue  # norms start as 1 and 0
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif name.endswith(("attention.output.weight", "contract.weight")):
                normal_(parameter, std=0.02 / math.sqrt(2 * self.config.num_layers))
            else:
                normal_(parameter, std=0.02)

    def features(self, tokens: Tensor, caches: list[KVCache] | None = None) -> Tensor:
        """The normed residual stream, tokens (B, T) -> (B, T, d_model); with caches, T *further* tokens."""
        expect_tensor("the model", tokens)
        if tokens.dim() != 2:
            raise ValueError(f"the tokens have shape {tuple(tokens.shape)}; expected (batch, time)")
        offset = caches[0].length if caches is not None else 0
        time = tokens.shape[1]
        if offset + time > self.config.max_length:
            raise ValueError(
                f"the text is {offset + time} tokens long, but the model has positions for {self.config.max_length}; "
                f"cut the text, or build the model with a larger max_length"
            )
        x = self.dropout(self.token_embedding(tokens) + self.positions(time, offset))  # (B, T, d_model)
        for index, layer in enumerate(self.layers):
            x = layer(x, caches[index] if caches is not None else None)
        return self.norm(x)

    def forward(self, tokens: Tensor, caches: list[KVCache] | None = None) -> Tensor:
        return F.linear(self.features(tokens, caches), self.token_embedding.weight)

    def loss(self, tokens: Tensor) -> Tensor:
        """Mean negative log-likelihood in nats of tokens 2..T of (B, T), each from those before it: a scalar."""
        sampling.expect_something_to_predict(tokens)
        logits = self(tokens[:, :-1])
        return cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())

    # --- generation: what ``sampling.generate`` asks of a decoder ---

    @property
    def max_length(self) -> int:
        return self.config.max_length

    def new_caches(self, length: int) -> list[KVCache]:
        """One empty key-value cache per layer, with room for ``length`` positions."""
        return [KVCache(length) for _ in self.layers]

    def next_logits(self, tokens: Tensor, caches: list[KVCache]) -> Tensor:
        """Logits (B, V) after the last of ``tokens``: the output layer, the widest of all, runs on one position."""
        return F.linear(self.features(tokens, caches)[:, -1], self.token_embedding.weight)

    def generate(self, prompt: Tensor, max_new_tokens: int, **options: Any) -> Tensor:
        """Prompt (B, T) -> (B, T + n), n at most ``max_new_tokens``; call ``eval()`` first, or dropout stays on.

        Options: temperature, top_k, top_p, stop_token, seed or generator: see ``viva.models.sampling.generate``.
        """
        return sampling.generate(self, prompt, max_new_tokens, **options)


# --- the published sizes: Table 2. Its parameter counts are too small (117M, 345M, 762M, 1542M), as the authors say. ---

SIZES: dict[str, dict[str, int]] = {
    "gpt2": {"num_layers": 12, "d_model": 768, "num_heads": 12},
    "gpt2_medium": {"num_layers": 24, "d_model": 1024, "num_heads": 16},
    "gpt2_large": {"num_layers": 36, "d_model": 1280, "num_heads": 20},
    "gpt2_xl": {"num_layers": 48, "d_model": 1600, "num_heads": 25},
}
PAPER = "Radford et al. 2019, Language Models are Unsupervised Multitask Learners, Table 2"
REFERENCE = "transformers.GPT2LMHeadModel"


def _example() -> tuple[Tensor, ...]:
    return (torch.zeros(1, 1024, dtype=torch.long),)


@published(paper=PAPER, reference=REFERENCE, paper_parameters=117e6, example=_example)
def gpt2(**options: Any) -> GPT:
    """GPT-2 small: 124,439,808 parameters; ``options`` are fields of ``GPTConfig``."""
    return GPT(GPTConfig(**SIZES["gpt2"] | options))


@published(paper=PAPER, reference=REFERENCE, paper_parameters=345e6, example=_example)
def gpt2_medium(**options: Any) -> GPT:
    """GPT-2 medium: 354,823,168 parameters."""
    return GPT(GPTConfig(**SIZES["gpt2_medium"] | options))


@published(paper=PAPER, reference=REFERENCE, paper_parameters=762e6, example=_example)
def gpt2_large(**options: Any) -> GPT:
    """GPT-2 large: 774,030,080 parameters."""
    return GPT(GPTConfig(**SIZES["gpt2_large"] | options))


@published(paper=PAPER, reference=REFERENCE, paper_parameters=1542e6, example=_example)
def gpt2_xl(**options: Any) -> GPT:
    """GPT-2 XL: 1,557,611,200 parameters."""
    return GPT(GPTConfig(**SIZES["gpt2_xl"] | options))
