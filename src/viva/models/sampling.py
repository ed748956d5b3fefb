"""Sampling: how a language model's logits become the next token, and tokens become a text.

A language model gives one score per entry of its vocabulary, ``logits (B, V)``. Choosing the largest is *greedy*
decoding; drawing from ``softmax(logits)`` is *ancestral* sampling. Three filters stand between the two, applied in
this order:

    temperature  z / t                          t < 1 sharpens, t > 1 flattens, t -> 0 is greedy
    top-k        z_i -> -inf unless z_i is one of the k largest         (Fan et al. 2018)
    top-p        z_i -> -inf unless i is in the nucleus: the smallest set of most probable tokens whose
                 probabilities add up to at least p                     (Holtzman et al. 2020, section 3.1)

Top-k keeps a fixed number of tokens however sure the model is; the nucleus grows where the model is unsure and
shrinks to one token where it is certain. ``generate`` runs the loop around them: one pass over the prompt fills the
key-value caches, then every new token costs one pass over a single position.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from viva.nn import KVCache
from viva.nn.shapes import expect_shape, expect_tensor


def check_choice(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """ValueError, or TypeError for what is no number, where no token could be chosen so."""
    for name, value in (("temperature", temperature), ("top_p", top_p)):
        if value is not None and not isinstance(value, int | float):
            raise TypeError(f"{name} is {value!r}; expected a number")
    if not temperature >= 0:
        raise ValueError(f"temperature must be at least 0 (greedy), got {temperature}")
    if top_k is not None and not isinstance(top_k, int):
        raise TypeError(f"top_k is {top_k!r}; expected a whole number, or None for the whole vocabulary")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {top_k}; leave it out (None) to keep the whole vocabulary")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is a probability, 0 < p <= 1, got {top_p}; leave it out (None) to keep everything")


def expect_something_to_predict(tokens: Tensor) -> None:
    """ValueError unless tokens (B, T) have a second one: a language model's loss is a mean over tokens 2 … T."""
    expect_shape("the loss", tokens, ("B", "T"))
    if tokens.shape[1] < 2 or not tokens.shape[0]:
        raise ValueError(f"the tokens have shape {tuple(tokens.shape)}; a loss over tokens 2 … T needs at least two of them")


def scale_temperature(logits: Tensor, temperature: float) -> Tensor:
    """``logits / temperature`` for logits ``(..., V)``; ``temperature`` must be above 0 (0 is greedy: see ``sample``)."""
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}; for greedy decoding call sample(temperature=0)")
    return logits / temperature


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """The ``k`` largest logits of ``(..., V)``, the others -inf. Ties with the k-th stay, so that no order is invented."""
    if k < 1:
        raise ValueError(f"top_k must be at least 1, got {k}; leave it out (None) to keep the whole vocabulary")
    if k >= logits.shape[-1]:
        return logits
    kth_largest = logits.topk(k, dim=-1).values[..., -1:]  # (..., 1)
    return logits.masked_fill(logits < kth_largest, -torch.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """The nucleus of ``(..., V)``: the fewest most probable tokens whose probabilities reach ``p``; the others -inf.

    A token stays while the probability *before* it (of all tokens more probable than it) is still below ``p``. The
    most probable token has nothing before it, so at least one token always stays.
    """
    if not 0 < p <= 1:
        raise ValueError(f"top_p is a probability, 0 < p <= 1, got {p}; leave it out (None) to keep everything")
    if p == 1:
        return logits
    descending, order = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = descending.softmax(dim=-1)
    before = probabilities.cumsum(dim=-1) - probabilities
    descending = descending.masked_fill(before >= p, -torch.inf)
    return torch.empty_like(logits).scatter_(-1, order, descending)


def sample(
    logits: Tensor,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """One token id per row of ``logits (B, V)`` -> ``(B,)`` int64; ``temperature=0`` takes the largest logit.

    With ``top_k`` only k candidates are carried from the first step on, so that top-p sorts k numbers and not the
    vocabulary; where logits tie with the k-th one, ``topk`` decides which of them stays.
    """
    check_choice(temperature, top_k, top_p)
    if temperature == 0:
        return logits.argmax(dim=-1)
    candidates = None
    logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    if top_k is not None and 1 <= top_k < logits.shape[-1]:
        logits, candidates = logits.topk(top_k, dim=-1)  # (B, k), largest first
    elif top_k is not None:
        logits = keep_top_k(logits, top_k)  # raises on k < 1
    logits = scale_temperature(logits, temperature)
    if top_p is not None:
        logits = keep_top_p(logits, top_p)
    choice = torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)  # (B, 1)
    return (choice if candidates is None else candidates.gather(-1, choice)).squeeze(-1)


class Decoder(Protocol):
    """What ``generate`` asks of a model: a longest context, empty caches, and logits after the last token."""

    @property
    def max_length(self) -> int: ...

    def new_caches(self, length: int) -> list[KVCache]: ...

    def next_logits(self, tokens: Tensor, caches: list[KVCache]) -> Tensor: ...


def generate(
    model: Decoder,
    prompt: Tensor,
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop_token: int | None = None,
    seed: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Continue ``prompt (B, T)`` int64 by up to ``max_new_tokens``: ``(B, T + n)``, the prompt included.

    The result and the caches are allocated once; a step feeds one token per row and writes one token per row. A row
    that has drawn ``stop_token`` is filled with it from there on, and the loop ends early when every row has. All
    prompts of a batch have the same length. The same ``seed`` (or ``generator`` in the same state) draws the same
    text. Raises ValueError, before the first step, where prompt and new tokens together exceed the model's
    ``max_length``: absolute positions do not exist beyond it, and the text is never cut silently.
    """
    check_choice(temperature, top_k, top_p)
    expect_tensor("the prompt", prompt)
    if not isinstance(max_new_tokens, int):
        raise TypeError(f"max_new_tokens is {max_new_tokens!r}; expected a whole number")
    if prompt.dim() != 2 or prompt.numel() == 0:
        raise ValueError(f"the prompt has shape {tuple(prompt.shape)}; expected (batch, time), both at least 1")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens is {max_new_tokens}; expected 0 or more")
    length = prompt.shape[1]
    total = length + max_new_tokens
    if total > model.max_length:
        raise ValueError(
            f"{length} prompt tokens and {max_new_tokens} new ones make {total}, but the model has positions for "
            f"{model.max_length}; shorten the prompt or ask for at most {max(model.max_length - length, 0)} new tokens"
        )
    if seed is not None:
        if generator is not None:
            raise ValueError("both seed and generator were given; give one of them")
        generator = torch.Generator(prompt.device).manual_seed(seed)

    choose = partial(sample, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator)
    # Inference mode spares each step autograd's bookkeeping; the copy is an ordinary tensor again, which one may train on.
    with torch.inference_mode():
        tokens = _continue(model, prompt, max_new_tokens, choose, stop_token)
    return tokens.clone()


def _continue(
    model: Decoder, prompt: Tensor, max_new_tokens: int, choose: Callable[[Tensor], Tensor], stop_token: int | None
) -> Tensor:
    batch, length = prompt.shape
    total = length + max_new_tokens
    tokens = torch.cat([prompt, prompt.new_empty(batch, max_new_tokens)], dim=1)  # (B, T + max_new_tokens)
    caches = model.new_caches(total)
    running = torch.ones(batch, dtype=torch.bool, device=prompt.device)
    # Asking the GPU whether all rows are done makes Python wait for it; on the CPU the question is free.
    patience = 1 if prompt.device.type == "cpu" else 16
    step_input = prompt
    for end in range(length, total):
        logits = model.next_logits(step_input, caches)  # (B, V)
        if stop_token is not None and not 0 <= stop_token < logits.shape[-1]:
            raise ValueError(f"stop_token {stop_token} is outside the vocabulary of {logits.shape[-1]}: no text would ever end")
        drawn = choose(logits)  # (B,)
        if stop_token is not None:
            drawn = torch.where(running, drawn, stop_token)
            running = running & (drawn != stop_token)
        tokens[:, end] = drawn
        step_input = drawn[:, None]  # (B, 1)
        if stop_token is not None and (end + 1 - length) % patience == 0 and not running.any():
            return _trim(tokens[:, : end + 1], length, stop_token)
    return tokens if stop_token is None else _trim(tokens, length, stop_token)


def _trim(tokens: Tensor, prompt_length: int, stop_token: int) -> Tensor:
    """Without the columns in which every row had already stopped, so that patience does not change the result."""
    stopped = (tokens[:, prompt_length:] == stop_token).int().cumsum(dim=1)  # 1 at the stop token itself, then more
    longest = int((stopped <= 1).sum(dim=1).max())
    return tokens[:, : prompt_length + longest]
