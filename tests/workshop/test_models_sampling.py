"""Sampling: the filters by their definitions and against transformers' own, and the loop that writes a text."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")

from hypothesis import assume, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from parity import reference  # noqa: E402
from torch import Tensor  # noqa: E402

from viva.models.sampling import generate, keep_top_k, keep_top_p, sample, scale_temperature  # noqa: E402
from viva.nn import KVCache  # noqa: E402

scores = st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=12)
rows = st.integers(2, 40).flatmap(lambda n: st.lists(st.integers(-400, 400), min_size=n, max_size=n, unique=True))


def kept(logits: Tensor) -> set[int]:
    return {i for i, value in enumerate(logits.tolist()) if value > -torch.inf}


@given(scores, st.integers(1, 14))
def test_top_k_keeps_those_that_fewer_than_k_exceed(values: list[float], k: int) -> None:
    logits = torch.tensor(values)
    by_definition = {i for i, z in enumerate(logits.tolist()) if sum(other > z for other in logits.tolist()) < k}
    assert kept(keep_top_k(logits, k)) == by_definition


@given(rows, st.floats(0.01, 0.99))
def test_the_nucleus_is_the_smallest_set_that_reaches_p(values: list[int], p: float) -> None:
    logits = torch.tensor(values, dtype=torch.float64) / 50
    probabilities = logits.softmax(-1)
    chosen = kept(keep_top_p(logits, p))
    mass = float(sum(probabilities[i] for i in chosen))
    least = float(min(probabilities[i] for i in chosen))
    assert mass >= p - 1e-9  # it reaches p
    assert mass - least < p + 1e-9  # and no smaller set does
    assert all(probabilities[i] <= least for i in range(len(values)) if i not in chosen)


@given(rows, st.floats(0.01, 1), st.integers(1, 40), st.floats(0.05, 20))
def test_filters_change_no_score_they_keep_and_always_keep_the_best(
    values: list[int], p: float, k: int, temperature: float
) -> None:
    logits = torch.tensor(values, dtype=torch.float64) / 50
    for filtered in (keep_top_k(logits, k), keep_top_p(logits, p)):
        stays = filtered > -torch.inf
        assert torch.equal(filtered[stays], logits[stays])
        assert stays[logits.argmax()]
    assert torch.equal(scale_temperature(logits, temperature).argsort(), logits.argsort())


@given(rows, st.floats(0.01, 0.5), st.floats(0, 0.49))
def test_a_larger_p_keeps_at_least_what_a_smaller_one_keeps(values: list[int], p: float, more: float) -> None:
    logits = torch.tensor(values, dtype=torch.float64) / 50
    assert kept(keep_top_p(logits, p)) <= kept(keep_top_p(logits, p + more))


@settings(deadline=None)
@given(rows, st.floats(0.05, 5), st.integers(1, 45), st.floats(0.02, 0.98))
def test_each_filter_equals_transformers(values: list[int], temperature: float, k: int, p: float) -> None:
    process = reference("transformers.generation.logits_process")
    logits = torch.tensor([values], dtype=torch.float64) / 50
    ids = torch.zeros(1, 1, dtype=torch.long)
    assert torch.equal(scale_temperature(logits, temperature), process.TemperatureLogitsWarper(temperature)(ids, logits))
    assert torch.equal(keep_top_k(logits, k), process.TopKLogitsWarper(k)(ids, logits))
    # a set of exactly p is rounding's to decide, and transformers adds up from the other end
    sums = logits.sort(descending=True).values.softmax(-1).cumsum(-1)
    assume(float((sums - p).abs().min()) > 1e-9)
    assert torch.equal(keep_top_p(logits, p), process.TopPLogitsWarper(p)(ids, logits))


def test_filters_work_row_by_row() -> None:
    logits = torch.randn(5, 3, 11)
    for row in range(5):
        assert torch.equal(keep_top_k(logits, 4)[row], keep_top_k(logits[row], 4))
        assert torch.equal(keep_top_p(logits, 0.7)[row], keep_top_p(logits[row], 0.7))


def test_temperature_zero_top_k_one_and_a_tiny_nucleus_are_all_greedy() -> None:
    logits = torch.randn(64, 50)
    best = logits.argmax(-1)
    for options in ({"temperature": 0}, {"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}):
        assert torch.equal(sample(logits, **options), best), options


def test_samples_follow_the_filtered_distribution() -> None:
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, -2.0])
    draws = 40_000
    for options in ({}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.8}, {"temperature": 2.0, "top_k": 4, "top_p": 0.9}):
        wanted = scale_temperature(keep_top_k(logits, options.get("top_k", 5)), options.get("temperature", 1.0))
        wanted = keep_top_p(wanted, options.get("top_p", 1.0)).softmax(-1)
        drawn = sample(logits.expand(draws, -1), **options, generator=torch.Generator().manual_seed(1))
        found = drawn.bincount(minlength=5) / draws
        assert torch.all(found[wanted == 0] == 0), options
        spread = (wanted * (1 - wanted) / draws).sqrt()  # a proportion's standard deviation
        assert torch.all((found - wanted).abs() <= 4.5 * spread), options


def test_half_precision_is_sampled_in_float32() -> None:
    logits = torch.zeros(1000, 1000, dtype=torch.bfloat16)  # in bfloat16, 1000 probabilities of 0.001 do not sum to 1
    assert sample(logits, top_p=0.999).unique().numel() > 400


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"temperature": -1}, "temperature must be at least 0 (greedy), got -1"),
        ({"top_k": 0}, "top_k must be at least 1, got 0"),
        ({"top_p": 0}, "0 < p <= 1, got 0"),
        ({"top_p": 1.5}, "0 < p <= 1, got 1.5"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        sample(torch.randn(2, 9), **options)


class Counting:
    """A decoder over 10 tokens that always says: the last token plus one. It counts what it is asked."""

    max_length = 20

    def __init__(self) -> None:
        self.asked: list[tuple[int, ...]] = []

    def new_caches(self, length: int) -> list[KVCache]:
        return []

    def next_logits(self, tokens: Tensor, caches: list[KVCache]) -> Tensor:
        self.asked.append(tuple(tokens.shape))
        return torch.nn.functional.one_hot((tokens[:, -1] + 1) % 10, 10).float() * 50


def test_one_pass_over_the_prompt_then_one_token_per_step() -> None:
    model = Counting()
    text = generate(model, torch.tensor([[0, 1, 2], [4, 5, 6]]), 4, temperature=0)
    assert text.tolist() == [[0, 1, 2, 3, 4, 5, 6], [4, 5, 6, 7, 8, 9, 0]]
    assert model.asked == [(2, 3), (2, 1), (2, 1), (2, 1)]


def test_rows_end_at_the_stop_token_and_the_loop_ends_with_the_last_row() -> None:
    model = Counting()
    text = generate(model, torch.tensor([[2], [5]]), 15, temperature=0, stop_token=7)
    assert text.tolist() == [[2, 3, 4, 5, 6, 7], [5, 6, 7, 7, 7, 7]]
    assert len(model.asked) == 5


def test_a_stop_token_in_the_prompt_does_not_end_the_text() -> None:
    assert generate(Counting(), torch.tensor([[7, 1]]), 3, temperature=0, stop_token=7).tolist() == [[7, 1, 2, 3, 4]]


def test_a_text_that_would_not_fit_is_refused_before_the_first_step() -> None:
    model = Counting()
    with pytest.raises(ValueError, match="12 prompt tokens and 9 new ones make 21, but the model has positions for 20"):
        generate(model, torch.zeros(1, 12, dtype=torch.long), 9)
    assert model.asked == []
    assert generate(model, torch.zeros(1, 12, dtype=torch.long), 8).shape == (1, 20)


def test_generate_refuses_prompts_that_are_no_batch() -> None:
    for prompt in (torch.zeros(3, dtype=torch.long), torch.zeros(1, 0, dtype=torch.long)):
        with pytest.raises(ValueError, match="expected \\(batch, time\\)"):
            generate(Counting(), prompt, 1)
    with pytest.raises(ValueError, match="max_new_tokens is -1"):
        generate(Counting(), torch.zeros(1, 1, dtype=torch.long), -1)
    with pytest.raises(ValueError, match="both seed and generator"):
        generate(Counting(), torch.zeros(1, 1, dtype=torch.long), 1, seed=1, generator=torch.Generator())


def test_no_new_tokens_gives_the_prompt_back() -> None:
    prompt = torch.tensor([[1, 2]])
    assert torch.equal(generate(Counting(), prompt, 0, stop_token=3), prompt)
