"""Mixture of experts, as in Mixtral: a decoder whose feed-forward layer is chosen anew for every token.

Jiang et al. 2024, *Mixtral of Experts*, section 2; the idea is Shazeer et al.'s (2017), the balancing loss Fedus et
al.'s (*Switch Transformers*, 2022, section 2.2). E feed-forward networks stand side by side; a linear *router* scores
them for each token, and only the best k run:

    p = softmax(router(x))                       (tokens, E), in float32
    weights, experts = top-k of p;  weights /= sum of weights      # renormalised: the chosen ones sum to 1
    y = sum over the chosen experts e of  weight_e * expert_e(x)
    expert(x) = down(silu(gate(x)) * up(x))      SwiGLU (Shazeer 2020): d_model -> d_ff -> d_model

So the parameters grow with E and the work with k: 46.7B parameters, of which a token meets 12.9B (all of them have to lie in
memory, though). Around it stands a
pre-norm decoder with RMS norms, rotary positions and grouped queries (32 query heads share 8 key and value heads,
which makes the cache four times smaller). A router that always picked the same experts would never train the others;
``load_balancing_loss`` punishes that.

No token is dropped: there is no capacity limit as in Switch. Tokens are sorted by expert, every expert runs once on
the tokens it was given, and the results are added back where they came from: (tokens * k) rows of work, not tokens * E.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viva.models import sampling
from viva.models.catalogue import published
from viva.models.checkpoint import Layout
from viva.nn import Embedding, KVCache, Linear, MultiHeadAttention, RMSNorm, Rotary, cross_entropy, normal_
from viva.nn.shapes import expect_tensor


@dataclass(frozen=True)
class MoEConfig:
    """Sizes of a mixture-of-experts decoder; the defaults are Mixtral 8x7B (Table 1)."""

    vocab_size: int = 32000
    max_length: int = 32768
    d_model: int = 4096
    num_layers: int = 32
    num_heads: int = 32
    num_kv_heads: int = 8
    d_ff: int = 14336
    num_experts: int = 8
    top_k: int = 2
    rotary_base: float = 1e6
    eps: float = 1e-5
    balance_coefficient: float = 0.001

    def __post_init__(self) -> None:
        if not 1 <= self.top_k <= self.num_experts:
            raise ValueError(f"a token cannot go to {self.top_k} of {self.num_experts} experts; top_k is 1 to num_experts")


@dataclass
class MoEOutput:
    """logits (B, T, vocab_size); router_logits, one (B * T, num_experts) per layer."""

    logits: Tensor
    router_logits: list[Tensor]


class Expert(nn.Module):
    """One SwiGLU feed-forward network: (n, d_model) -> the same, without biases."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.gate = Linear(d_model, d_ff, bias=False)
        self.up = Linear(d_model, d_ff, bias=False)
        self.down = Linear(d_ff, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Experts(nn.Module):
    """The sparse feed-forward layer: (B, T, d_model) -> the same, and the router's logits (B * T, E)."""

    def __init__(self, config: MoEConfig) -> None:
        super().__init__()
        self.top_k = config.top_k
        self.router = Linear(config.d_model, config.num_experts, bias=False)
        self.experts = nn.ModuleList(Expert(config.d_model, config.d_ff) for _ in range(config.num_experts))

    def route(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (n, d_model) -> weights (n, k), their experts (n, k) int64 and the logits (n, E) behind both.

        The softmax runs in float32 at least: in bfloat16, near ties would be decided by rounding.
        """
        logits = self.router(x)
        probabilities = logits.softmax(dim=-1, dtype=torch.promote_types(x.dtype, torch.float32))
        weights, experts = probabilities.topk(self.top_k, dim=-1)
        return (weights / weights.sum(dim=-1, keepdim=True)).to(x.dtype), experts, logits

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        tokens = x.flatten(0, -2)  # (n, d_model)
        weights, experts, logits = self.route(tokens)

        order = experts.flatten().argsort(stable=True)  # (n * k,): assignments, grouped by expert
        rows = order // self.top_k  # the token behind each assignment
        groups = tokens[rows].split(self._counts(experts))  # one (n_e, d_model) per expert
        # In training an expert without tokens runs on none: its gradient is then zero and not missing, as DDP demands.
        busy = zip(self.experts, groups, strict=True)
        parts = [expert(group) for expert, group in busy if len(group) or self.training]
        outputs = torch.cat(parts) * weights.flatten()[order, None]  # (n * k, d_model)
        return torch.zeros_like(tokens).index_add(0, rows, outputs).view_as(x), logits

    def _counts(self, experts: Tensor) -> list[int]:
        """How many tokens each expert was given. On the meta device nobody knows; evenly shared is what is aimed at."""
        if experts.is_meta:
            share, more = divmod(experts.numel(), len(self.experts))
            return [share + (index < more) for index in range(len(self.experts))]
        return experts.flatten().bincount(minlength=len(self.experts)).tolist()


def load_balancing_loss(router_logits: list[Tensor], top_k: int, mask: Tensor | None = None) -> Tensor:
    """E * sum over experts of (tokens sent there per token) * (mean probability), over all layers: a scalar.

    router_logits: one (n, E) per layer; mask (n,) or (B, T) bool, True for tokens that count. ``top_k`` where both are
    spread evenly, E, the most there is, where the same expert is always chosen with certainty (Switch Transformers,
    equation 4, there with k = 1). The counts have no gradient: it reaches the router through the probabilities.
    ValueError for a mask of another number of tokens.
    """
    logits = torch.stack(router_logits)
    probabilities = logits.softmax(dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))  # (layers, n, E)
    chosen = probabilities.topk(top_k, dim=-1).indices
    sent = torch.zeros_like(probabilities).scatter_(-1, chosen, 1.0)  # (layers, n, E): 1 where a token was sent
    if mask is None:
        share, mean = sent.mean(dim=(0, 1)), probabilities.mean(dim=(0, 1))  # (E,)
    else:
        if mask.numel() != logits.shape[1]:
            raise ValueError(f"the mask {tuple(mask.shape)} does not cover the {logits.shape[1]} tokens that were routed")
        real = mask.flatten().to(probabilities.dtype)[None, :, None]  # (1, n, 1)
        total = real.sum() * len(router_logits)
        share, mean = (sent * real).sum(dim=(0, 1)) / total, (probabilities * real).sum(dim=(0, 1)) / total
    return probabilities.shape[-1] * (share * mean).sum()


class Block(nn.Module):
    """Pre-norm causal attention, then pre-norm experts: (B, T, d_model) -> the same, and the router's logits."""

    def __init__(self, config: MoEConfig, rotary: Rotary) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.d_model, eps=config.eps)
        self.attention = MultiHeadAttention(
            config.d_model, config.num_heads, num_kv_heads=config.num_kv_heads, bias=False, rotary=rotary
        )
        self.feed_forward_norm = RMSNorm(config.d_model, eps=config.eps)
        self.feed_forward = Experts(config)

    def forward(self, x: Tensor, cache: KVCache | None) -> tuple[Tensor, Tensor]:
        x = x + self.attention(self.attention_norm(x), causal=True, cache=cache)
        y, router_logits = self.feed_forward(self.feed_forward_norm(x))
        return x + y, router_logits


def _layout(router: str, *experts: tuple[str, str], **steps: Any) -> Layout:
    """The names that both forms of Mixtral's weights share, and these for the experts."""
    return Layout(
        ("embedding", "model.embed_tokens"),
        ("layers.{}.attention_norm", "model.layers.{}.input_layernorm"),
        ("layers.{}.attention.query", "model.layers.{}.self_attn.q_proj"),
        ("layers.{}.attention.key", "model.layers.{}.self_attn.k_proj"),
        ("layers.{}.attention.value", "model.layers.{}.self_attn.v_proj"),
        ("layers.{}.attention.output", "model.layers.{}.self_attn.o_proj"),
        ("layers.{}.feed_forward_norm", "model.layers.{}.post_attention_layernorm"),
        ("layers.{}.feed_forward.router", router),
        ("norm", "model.norm"),
        ("head", "lm_head"),
        *experts,
        **steps,
    )


class MoE(nn.Module):
    """The language model: ``forward(tokens (B, T) int64) -> MoEOutput``.

    Raises ValueError on ids outside the vocabulary and on texts longer than ``max_length``.
    """

    layouts: ClassVar[dict[str, Layout]] = {
        # the class's own state dict: all experts of a layer are one tensor (E, ...), gate above up
        "transformers": _layout(
            "model.layers.{}.mlp.gate",
            ("layers.{}.feed_forward.experts.{}.down.weight", "model.layers.{}.mlp.experts.down_proj.{}"),
            stacked={
                f"model.layers.{{}}.mlp.experts.{name}": f"model.layers.{{}}.mlp.experts.{name}.{{}}"
                for name in ("gate_up_proj", "down_proj")
            },
            fused={
                "model.layers.{}.mlp.experts.gate_up_proj.{}": (
                    "layers.{}.feed_forward.experts.{}.gate.weight",
                    "layers.{}.feed_forward.experts.{}.up.weight",
                )
            },
        ),
        # the published files, and what save_pretrained writes: every expert by itself
        "transformers_files": _layout(
            "model.layers.{}.block_sparse_moe.gate",
            ("layers.{}.feed_forward.experts.{}.gate", "model.layers.{}.block_sparse_moe.experts.{}.w1"),
            ("layers.{}.feed_forward.experts.{}.down", "model.layers.{}.block_sparse_moe.experts.{}.w2"),
            ("layers.{}.feed_forward.experts.{}.up", "model.layers.{}.block_sparse_moe.experts.{}.w3"),
        ),
    }

    def __init__(self, config: MoEConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = Embedding(config.vocab_size, config.d_model)
        rotary = Rotary(config.d_model // config.num_heads, base=config.rotary_base, max_length=config.max_length)
        self.layers = nn.ModuleList(Block(config, rotary) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.d_model, eps=config.eps)
        self.head = Linear(config.d_model, config.vocab_size, bias=False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Every matrix from N(0, 0.02²); norms start as 1."""
        for name, parameter in self.named_parameters():
            if "norm" not in name:
                normal_(parameter, std=0.02)

    def features(self, tokens: Tensor, caches: list[KVCache] | None = None) -> tuple[Tensor, list[Tensor]]:
        """Normed states (B, T, d_model) of tokens (B, T), and each layer's router logits (B * T, E)."""
        expect_tensor("the model", tokens)
        if tokens.dim() != 2:
            raise ValueError(f"the tokens have shape {tuple(tokens.shape)}; expected (batch, time)")
        length = tokens.shape[1] + (caches[0].length if caches is not None else 0)
        if length > self.config.max_length:
            raise ValueError(
                f"the text is {length} tokens long, but the model has positions for {self.config.max_length}; "
                f"cut the text, or build the model with a larger max_length"
            )
        x = self.embedding(tokens)
        router_logits = []
        for index, layer in enumerate(self.layers):
            x, logits = layer(x, caches[index] if caches is not None else None)
            router_logits.append(logits)
        return self.norm(x), router_logits

    def forward(self, tokens: Tensor, caches: list[KVCache] | None = None) -> MoEOutput:
        states, router_logits = self.features(tokens, caches)
        return MoEOutput(self.head(states), router_logits)

    def balance_loss(self, output: MoEOutput, mask: Tensor | None = None) -> Tensor:
        """``load_balancing_loss`` of one pass, unweighted: a scalar."""
        return load_balancing_loss(output.router_logits, self.config.top_k, mask)

    def loss(self, tokens: Tensor) -> Tensor:
        """Mean negative log-likelihood in nats of tokens 2..T of (B, T), plus the weighted balancing loss: a scalar."""
        sampling.expect_something_to_predict(tokens)
        output: MoEOutput = self(tokens[:, :-1])
        likelihood = cross_entropy(output.logits.flatten(0, 1), tokens[:, 1:].flatten())
        return likelihood + self.config.balance_coefficient * self.balance_loss(output)

    def active_parameters(self) -> int:
        """Parameters that one token meets: all but those of the experts it is not sent to."""
        every = sum(parameter.numel() for parameter in self.parameters())
        one_expert = 3 * self.config.d_model * self.config.d_ff
        return every - self.config.num_layers * (self.config.num_experts - self.config.top_k) * one_expert

    # --- generation: what ``sampling.generate`` asks of a decoder ---

    @property
    def max_length(self) -> int:
        return self.config.max_length

    def new_caches(self, length: int) -> list[KVCache]:
        """One empty key-value cache per layer, with room for ``length`` positions."""
        return [KVCache(length) for _ in self.layers]

    def next_logits(self, tokens: Tensor, caches: list[KVCache]) -> Tensor:
        """Logits (B, V) after the last of ``tokens``."""
        return self.head(self.features(tokens, caches)[0][:, -1])

    def generate(self, prompt: Tensor, max_new_tokens: int, **options: Any) -> Tensor:
        """Prompt (B, T) -> (B, T + n); the options are those of ``viva.models.sampling.generate``."""
        return sampling.generate(self, prompt, max_new_tokens, **options)


def _example() -> tuple[Tensor, ...]:
    return (torch.zeros(1, 32, dtype=torch.long),)


@published(
    paper="Jiang et al. 2024, Mixtral of Experts, Table 1",
    reference="transformers.MixtralForCausalLM",
    paper_parameters=47e9,
    example=_example,
)
def mixtral_8x7b(**options: Any) -> MoE:
    """Mixtral 8x7B: 46,702,792,704 parameters, 12,879,925,248 of them active; build it under ``torch.device("meta")``."""
    return MoE(MoEConfig(**options))
