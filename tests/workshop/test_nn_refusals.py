"""What every layer says to an input that it cannot take: a sentence with what came and what was wanted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from viva import nn
from viva.nn import initialisation, losses

LAYERS: dict[str, tuple[Callable[[], torch.nn.Module], tuple[int, ...]]] = {
    "Linear": (lambda: nn.Linear(4, 3), (2, 4)),
    "Conv2d": (lambda: nn.Conv2d(3, 4, 3), (2, 3, 8, 8)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(3, 4, 3), (2, 3, 8, 8)),
    "DepthwiseSeparableConv2d": (lambda: nn.DepthwiseSeparableConv2d(3, 4, 3), (2, 3, 8, 8)),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), (2, 3, 8, 8)),
    "GlobalAvgPool2d": (nn.GlobalAvgPool2d, (2, 3, 8, 8)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), (2, 4)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3), (2, 3, 8, 8)),
    "LayerNorm": (lambda: nn.LayerNorm(4), (2, 4)),
    "GroupNorm": (lambda: nn.GroupNorm(1, 3), (2, 3, 8, 8)),
    "RMSNorm": (lambda: nn.RMSNorm(4), (2, 4)),
    "SqueezeExcitation": (lambda: nn.SqueezeExcitation(3, 2), (2, 3, 8, 8)),
    "MultiHeadAttention": (lambda: nn.MultiHeadAttention(4, 2), (2, 5, 4)),
    "Rotary": (lambda: nn.Rotary(4), (2, 2, 5, 4)),
    "Dropout": (nn.Dropout, (2, 4)),
    "StochasticDepth": (lambda: nn.StochasticDepth(0.5), (2, 4)),
    "Embedding": (lambda: nn.Embedding(9, 4), (2, 4)),
    "Softmax": (nn.Softmax, (2, 4)),
    "GELU": (nn.GELU, (2, 4)),
    "SiLU": (nn.SiLU, (2, 4)),
    "ReLU": (nn.ReLU, (2, 4)),
    "ReLU6": (nn.ReLU6, (2, 4)),
    "LeakyReLU": (nn.LeakyReLU, (2, 4)),
    "Sigmoid": (nn.Sigmoid, (2, 4)),
    "Tanh": (nn.Tanh, (2, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_an_array_or_a_list_is_told_how_to_become_a_tensor(name: str) -> None:
    make, shape = LAYERS[name]
    with pytest.raises(TypeError, match=r"numpy\.ndarray, expected a torch\.Tensor: convert it with torch\.from_numpy"):
        make()(np.zeros(shape, np.float32))
    with pytest.raises(TypeError, match=r"type list, expected a torch\.Tensor"):
        make()([[1.0]])
    with pytest.raises(TypeError, match=r"NoneType, expected a torch\.Tensor"):
        make()(None)


@pytest.mark.parametrize("name", ["GELU", "SiLU", "LeakyReLU", "SqueezeExcitation", "Rotary"])
def test_whole_numbers_are_refused_where_they_would_round_the_result(name: str) -> None:
    make, shape = LAYERS[name]
    with pytest.raises(TypeError, match="expected floating point"):
        make()(torch.ones(shape).long())


def test_weights_elsewhere_are_named_with_both_devices() -> None:
    with pytest.raises(ValueError, match="on meta for weights on cpu"):
        nn.RMSNorm(4)(torch.ones(2, 4, device="meta"))


REFUSALS: dict[str, tuple[Callable[[], object], str]] = {
    "a kernel of three sizes": (lambda: nn.Conv2d(1, 1, (3, 3, 3)), "two of them"),  # type: ignore[arg-type]
    "padding in words": (lambda: nn.Conv2d(1, 1, 3, padding="same"), "'same'"),  # type: ignore[arg-type]
    "features without a width": (lambda: nn.BatchNorm1d(4)(torch.ones(2, 0)), r"\(2, 0\)"),
    "a mean of no pixel": (lambda: nn.GlobalAvgPool2d()(torch.ones(2, 3, 0, 4)), "no mean"),
    "a negative eps": (lambda: nn.LayerNorm(4, eps=-1.0), "eps at 0"),
    "a norm of nothing": (lambda: nn.RMSNorm(0), "start at 1"),
    "positions of length -1": (lambda: nn.LearnedPositions(3, 4)(-1), "length = -1"),
    "a rotary base of 0": (lambda: nn.Rotary(4, base=0.0), "above 0"),
    "rotary of another head": (lambda: nn.MultiHeadAttention(4, 2, rotary=nn.Rotary(6)), "do not fit"),
    "attention's dropout of 2": (lambda: nn.attention(*3 * (torch.ones(1, 1, 2, 4),), dropout=2.0), "between 0 and 1"),
    "attention's scale of nan": (lambda: nn.attention(*3 * (torch.ones(1, 1, 2, 4),), scale=float("nan")), "finite"),
    "a temperature of 0": (lambda: losses.info_nce(torch.ones(2, 4), torch.ones(2, 4), temperature=0.0), "above 0"),
    "an alpha of 3": (lambda: losses.focal(torch.ones(3), torch.ones(3), alpha=3.0), "0 to 1"),
    "a target of 2": (lambda: losses.binary_cross_entropy(torch.ones(2), torch.tensor([0.0, 2.0])), "from 0 to 2"),
    "a target of nan": (lambda: losses.binary_cross_entropy(torch.ones(1), torch.tensor([float("nan")])), "nan"),
    "a pos_weight that fits nothing": (lambda: losses.binary_cross_entropy(torch.ones(3), torch.ones(3), torch.ones(2)), "broadcast"),
    "a deviation below 0": (lambda: initialisation.normal_(torch.ones(3), std=-1.0), "at least 0"),
    "an orthogonal matrix of integers": (lambda: initialisation.orthogonal_(torch.ones(3, 3).long()), "floating point"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_cannot_be_is_refused_in_a_sentence(what: str) -> None:
    attempt, says = REFUSALS[what]
    with pytest.raises((ValueError, TypeError), match=says):
        attempt()


@pytest.mark.skipif(os.name != "posix", reason="pipes of a shell")
def test_the_working_by_hand_may_be_cut_by_head() -> None:
    ran = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m viva.nn.backprop --lang ko | head -1"], capture_output=True, text=True, encoding="utf-8", timeout=120
    )
    assert ran.stdout.startswith("==") and ran.stderr == ""
