"""Tiny Shakespeare is the published text, its split keeps the order, and windows are shifted by one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from viva.data import shakespeare


def test_the_text_is_the_published_one(mirror: Path) -> None:
    text = shakespeare.load(allow_download=False)
    assert len(text) == 1_115_394 and len(set(text)) == 65
    assert text.startswith("First Citizen:\nBefore we proceed any further, hear me speak.\n")


def test_a_text_of_ones_own_is_read_and_a_broken_one_named(tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_bytes("임금님\r\n".encode())
    assert shakespeare.load(folder=tmp_path) == "임금님\r\n"
    (tmp_path / "input.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"input.txt is no UTF-8"):
        shakespeare.load(folder=tmp_path)


@given(text=st.text(max_size=200), cuts=st.lists(st.integers(0, 10), min_size=1, max_size=5).filter(sum))
def test_the_runs_of_a_split_are_the_text_again(text: str, cuts: list[int]) -> None:
    fractions = [cut / sum(cuts) for cut in cuts]
    runs = shakespeare.split(text, fractions)
    assert "".join(runs) == text and len(runs) == len(cuts)
    assert all(abs(len(run) - len(text) * fraction) <= 1 for run, fraction in zip(runs, fractions, strict=True))


def test_fractions_that_are_no_shares_are_refused() -> None:
    with pytest.raises(ValueError, match=r"add up to 1; these are \(0.9, 0.2\)"):
        shakespeare.split("text", (0.9, 0.2))
    with pytest.raises(ValueError, match="at least 0"):
        shakespeare.split("text", (1.5, -0.5))


@given(length=st.integers(1, 9), extra=st.integers(1, 20), count=st.integers(0, 30), seed=st.integers(0, 99))
def test_targets_are_the_inputs_shifted_by_one(length: int, extra: int, count: int, seed: int) -> None:
    ids = torch.arange(length + extra)
    inputs, targets = shakespeare.windows(ids, length, count, torch.Generator().manual_seed(seed))
    assert inputs.shape == targets.shape == (count, length)
    assert torch.equal(targets, inputs + 1)


def test_every_window_is_drawn_the_last_included() -> None:
    inputs, targets = shakespeare.windows(torch.arange(6), 2, 400, torch.Generator().manual_seed(0))
    assert sorted(set(inputs[:, 0].tolist())) == [0, 1, 2, 3]
    assert int(targets.max()) == 5


def test_a_window_longer_than_the_text_is_refused() -> None:
    with pytest.raises(ValueError, match=r"window of 5 tokens .* into 5 tokens"):
        shakespeare.windows(torch.arange(5), 5, 1)
    with pytest.raises(ValueError, match=r"integer ids of shape \(L,\); these are torch.float32"):
        shakespeare.windows(torch.zeros(5), 2, 1)
