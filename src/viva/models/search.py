"""Search: the most probable target sentence of an encoder-decoder, greedily or with a beam.

A model gives ``log p(y_t | y_1..t-1, source)``; a sentence scores the sum over its tokens, its stop token included. The
best sentence cannot be found step by step, because a token that is best now may lead nowhere: *greedy* search commits
to it, *beam search* keeps the W best beginnings (Sutskever et al. 2014, section 3.2). When one of them draws the stop
token it is complete and leaves the beam, which shrinks by one; the search ends when the beam is empty or at the longest
length. Two consequences, both tested: width 1 is greedy search, and a beam that never drops anything is exhaustive.

Every token makes the sum smaller, so short sentences would win; complete ones are therefore compared by

    score(y) = log p(y | source) / ((5 + |y|) / 6)^alpha        (Wu et al. 2016, equation 14)

with |y| counting the stop token; alpha = 0 compares the sums, and Vaswani et al. 2017 use W = 4, alpha = 0.6.

Shapes: B sentences with W beams are B * W rows of one batch. A step costs one position thanks to the key-value caches,
whose rows are put in the order of the surviving beams.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from viva.models.transformer import Transformer
from viva.nn.shapes import expect_tensor


@dataclass(frozen=True)
class Hypotheses:
    """The sentences that a search found, best first.

    tokens: (B, W, L) int64, without the start token, filled with the stop token behind their ends.
    lengths: (B, W) int64, counting the stop token; a sentence cut at the longest length has none.
    log_probabilities, scores: (B, W), the sums in nats and the same divided by the length penalty. A beam that found
    fewer than W sentences fills up with scores of -inf.
    """

    tokens: Tensor
    lengths: Tensor
    log_probabilities: Tensor
    scores: Tensor

    @property
    def best(self) -> Tensor:
        """The best sentence of each source, (B, L)."""
        return self.tokens[:, 0]


def length_penalty(length: Tensor | int, alpha: float) -> Tensor | float:
    """((5 + length) / 6)^alpha: 1 for a single token, growing with the length where alpha > 0."""
    return ((5 + length) / 6) ** alpha


def _next_log_p(model: Transformer, states: Tensor) -> Tensor:
    """Log-probabilities (rows, V) of what follows decoder states (rows, T, d_model); padding is never written."""
    log_p = model.logits(states[:, -1]).log_softmax(dim=-1)
    if model.config.padding_index is not None:
        log_p[:, model.config.padding_index] = -torch.inf
    return log_p


def _check(model: Transformer, source: Tensor, start: int, stop: int, max_length: int) -> None:
    for name, token in (("start", start), ("stop", stop)):
        if not 0 <= token < model.config.vocab_size:
            raise ValueError(f"the {name} token {token} is outside the vocabulary of {model.config.vocab_size}")
    if not 1 <= max_length <= model.config.max_length:
        raise ValueError(
            f"max_length is {max_length}; expected 1 to {model.config.max_length}, as far as the model's positions reach"
        )
    expect_tensor("the source", source)
    if source.dim() != 2 or source.numel() == 0:
        raise ValueError(f"the source has shape {tuple(source.shape)}; expected (batch, time), both at least 1")


@torch.no_grad()
def greedy_search(
    model: Transformer,
    source: Tensor,
    *,
    start: int,
    stop: int,
    max_length: int,
    source_mask: Tensor | None = None,
) -> Tensor:
    """The most probable next token, again and again: source (B, S) -> (B, L), L <= max_length.

    Without the start token; filled with the stop token behind each sentence's end. Call ``model.eval()`` first.
    Raises ValueError on a ``max_length`` beyond the model's positions and on tokens outside the vocabulary.
    """
    _check(model, source, start, stop, max_length)
    source_mask = model.padding_of(source) if source_mask is None else source_mask
    memory, caches = model.encode(source, source_mask), model.new_caches(max_length)
    batch = source.shape[0]
    tokens = source.new_full((batch, max_length), stop)
    last = source.new_full((batch, 1), start)
    ended = torch.zeros(batch, dtype=torch.bool, device=source.device)
    for step in range(max_length):
        states = model.decode(last, memory, source_mask, caches=caches)  # (B, 1, d_model)
        drawn = torch.where(ended, stop, _next_log_p(model, states).argmax(dim=-1))  # (B,)
        tokens[:, step] = drawn
        ended = ended | (drawn == stop)
        last = drawn[:, None]
        if ended.all():
            return tokens[:, : step + 1]
    return tokens


@torch.no_grad()
def beam_search(
    model: Transformer,
    source: Tensor,
    *,
    start: int,
    stop: int,
    max_length: int,
    beam_width: int = 4,
    alpha: float = 0.6,
    source_mask: Tensor | None = None,
) -> Hypotheses:
    """The ``beam_width`` best sentences found for each source (B, S); sentences of ``max_length`` tokens are cut there.

    Call ``model.eval()`` first. Raises ValueError on a ``max_length`` beyond the model's positions, on tokens outside
    the vocabulary and on a width below 1.
    """
    _check(model, source, start, stop, max_length)
    if not math.isfinite(alpha):
        raise ValueError(f"alpha is {alpha}; expected a finite number (0: no penalty, 0.6: Vaswani et al. 2017)")
    if beam_width < 1:
        raise ValueError(f"beam_width is {beam_width}; expected at least 1 (1 is greedy search)")
    width, batch, device = beam_width, source.shape[0], source.device
    source_mask = model.padding_of(source) if source_mask is None else source_mask
    memory = model.encode(source, source_mask).repeat_interleave(width, dim=0)  # (B * W, S, d_model)
    if source_mask is not None:
        source_mask = source_mask.repeat_interleave(width, dim=0)  # (B * W, S)
    caches = model.new_caches(max_length)

    first_row = torch.arange(batch, device=device)[:, None] * width  # (B, 1), where each sentence's rows begin
    rank = torch.arange(width, device=device)
    # One beginning per sentence at first, the empty one: the other beams are dead, which is a score of -inf.
    alive = memory.new_full((batch, width), -torch.inf)
    alive[:, 0] = 0.0
    tokens = source.new_full((batch, width, max_length), stop)
    last = source.new_full((batch * width, 1), start)
    done = Hypotheses(
        tokens, source.new_zeros(batch, width), torch.full_like(alive, -torch.inf), torch.full_like(alive, -torch.inf)
    )
    completed = source.new_zeros(batch, 1)

    for step in range(max_length):
        states = model.decode(last, memory, source_mask, caches=caches)  # (B * W, 1, d_model)
        log_p = _next_log_p(model, states).unflatten(0, (batch, width))  # (B, W, V)
        vocab_size = log_p.shape[-1]
        candidates = (alive[:, :, None] + log_p).flatten(1)  # (B, W * V)
        alive, chosen = candidates.topk(width, dim=1)  # (B, W), best first
        parent, drawn = chosen // vocab_size, chosen % vocab_size
        alive = alive.masked_fill(rank >= width - completed, -torch.inf)  # the beam has shrunk by those completed

        rows = (first_row + parent).flatten()  # (B * W,)
        tokens = tokens.gather(1, parent[:, :, None].expand(-1, -1, max_length))
        tokens[:, :, step] = drawn
        for cache in caches:
            cache.reorder(rows)

        ended = (drawn == stop) | (step == max_length - 1)
        done = _merge(done, tokens, alive.masked_fill(~ended, -torch.inf), step + 1, alpha)
        completed = completed + (ended & (alive > -torch.inf)).sum(dim=1, keepdim=True)
        alive = alive.masked_fill(ended, -torch.inf)
        last = drawn.flatten()[:, None]
        if not (alive > -torch.inf).any():
            break
    done.lengths.masked_fill_(done.scores == -torch.inf, 0)
    longest = int(done.lengths.max())
    return Hypotheses(done.tokens[:, :, :longest], done.lengths, done.log_probabilities, done.scores)


def _merge(done: Hypotheses, tokens: Tensor, log_probabilities: Tensor, length: int, alpha: float) -> Hypotheses:
    """The W best of the complete sentences so far and the new ones, all of ``length``; -inf marks what is not complete."""
    width = tokens.shape[1]
    scores = torch.cat([done.scores, log_probabilities / length_penalty(length, alpha)], dim=1)  # (B, 2W)
    scores, order = scores.topk(width, dim=1)
    lengths = torch.cat([done.lengths, torch.full_like(done.lengths, length)], dim=1)
    return Hypotheses(
        torch.cat([done.tokens, tokens], dim=1).gather(1, order[:, :, None].expand(-1, -1, tokens.shape[2])),
        lengths.gather(1, order),
        torch.cat([done.log_probabilities, log_probabilities], dim=1).gather(1, order),
        scores,
    )
