"""Planted faults: each breaks a mechanism of the workshop, and the claim about that mechanism has to fall.

One line for each fault: the lab, what is replaced, by what, and the claims that may no longer be supported.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

import viva.data.resampling
import viva.models.mlp
import viva.nn
import viva.optim
from viva.labs import lab, run
from viva.nn import cross_entropy, explained_attention, normal_, softmax, softmax_naive

ATTENTION = importlib.import_module("viva.nn.attention")  # the module: viva.nn.attention is its function


def unscaled(*qkv: Any, scale: float | None = None, **options: Any) -> Any:
    return explained_attention(*qkv, scale=1.0, **options)


def damped(params: Any, lr: float, momentum: float) -> Any:
    return viva.optim.SGD(params, lr, momentum, dampening=momentum)


def without_two(weight: torch.Tensor) -> None:
    normal_(weight, 0.0, weight.shape[1] ** -0.5)


FAULTS: dict[str, tuple[str, Any, str, Any, tuple[str, ...]]] = {
    "attention forgets √d": ("why-sqrt-dk", viva.nn, "explained_attention", unscaled, ("unscaled-saturates",)),
    "the layer forgets √d": ("why-sqrt-dk", ATTENTION, "explained_attention", unscaled, ("matches-reference",)),
    "softmax overflows": ("stable-softmax", viva.nn, "softmax", softmax_naive, ("naive-overflows",)),
    "softmax at another temperature": ("stable-softmax", viva.nn, "softmax", lambda x: softmax(x / 2), ("jacobian-matches", "ce-gradient")),
    "cross-entropy of the wrong sign": ("stable-softmax", viva.nn, "cross_entropy", lambda z, y: -cross_entropy(z, y), ("ce-gradient",)),
    "momentum averages instead of adding up": ("sqrt-kappa", viva.optim, "Momentum", damped, ("terminal-velocity", "sqrt-kappa-speed-up")),
    "no momentum at all": ("sqrt-kappa", viva.optim, "Momentum", lambda params, lr, momentum: viva.optim.GD(params, lr), ("terminal-velocity", "honest-control")),
    "oversampling without copies": ("resampling-vs-threshold", viva.data.resampling, "oversample", lambda y: torch.arange(len(y)), ("oversampling-equals-threshold", "calibration-is-lost", "oversampling-before-split-leaks")),
    "He forgets its 2": ("jacobian-gain", viva.models.mlp, "INITIALISATIONS", {**viva.models.mlp.INITIALISATIONS, "he": without_two}, ("gain-per-layer", "he-keeps-scale")),
    "He is the default": ("jacobian-gain", viva.models.mlp, "INITIALISATIONS", {**viva.models.mlp.INITIALISATIONS, "he": None}, ("scale-kills-relu-too",)),
    "ReLU forgets to bend": ("jacobian-gain", viva.models.mlp, "ACTIVATIONS", {**viva.models.mlp.ACTIVATIONS, "relu": partial(viva.nn.LeakyReLU, 1.0)}, ("gain-per-layer", "he-keeps-scale")),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_turns_the_verdict(fault: str, monkeypatch: pytest.MonkeyPatch, quick: Callable[[str], Any]) -> None:
    id, owner, name, replacement, claims = FAULTS[fault]
    assert {judged.verdict for judged in quick(id).claims} == {"supported"}  # before
    monkeypatch.setattr(owner, name, replacement)
    broken = run(id, quick=True, seeds=1)
    assert set(claims) <= {claim.id for claim in lab(id).claims}
    for judged in broken.claims:
        if judged.id in claims:
            assert judged.verdict != "supported", f"{judged.id} did not notice: {[number.say('en') for number in judged.measured]}"
    assert any(judged.verdict == "refuted" for judged in broken.claims) or fault == "softmax overflows"  # NaN measures nothing
