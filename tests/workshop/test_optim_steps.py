"""Every optimiser equals torch.optim step by step, on each of its paths, and says what is wrong with its constants."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from viva.optim import (
    GD,
    SGD,
    Adam,
    AdamW,
    Momentum,
    Nesterov,
    RMSprop,
    clip_by_global_norm,
    decay_groups,
    global_norm,
)

STEPS = 300
PATHS = ["explained", "foreach", "fused", "auto"]

# ours, torch's, what both are given
CASES: dict[str, tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]]] = {
    "gd": (GD, torch.optim.SGD, {"lr": 0.05}),
    "sgd": (SGD, torch.optim.SGD, {"lr": 0.05, "weight_decay": 0.01}),
    "momentum": (Momentum, torch.optim.SGD, {"lr": 0.02, "momentum": 0.9}),
    "momentum, decay": (Momentum, torch.optim.SGD, {"lr": 0.02, "momentum": 0.8, "weight_decay": 0.03}),
    "momentum, dampening": (SGD, torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "dampening": 0.4}),
    "nesterov": (Nesterov, lambda p, **k: torch.optim.SGD(p, nesterov=True, **k), {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.01}),
    "rmsprop": (RMSprop, torch.optim.RMSprop, {"lr": 0.01}),
    "rmsprop, momentum, decay": (RMSprop, torch.optim.RMSprop, {"lr": 0.003, "alpha": 0.9, "momentum": 0.9, "weight_decay": 0.02, "eps": 1e-5}),
    "adam": (Adam, torch.optim.Adam, {"lr": 0.01}),
    "adam, decay": (Adam, torch.optim.Adam, {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.05, "eps": 1e-6}),
    "adamw": (AdamW, torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.1}),
}


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).double()


def groups(model: nn.Module) -> list[dict[str, Any]]:
    """Two groups, the second with a rate of its own."""
    first, second = model[0], model[2]  # type: ignore[index]
    return [{"params": list(first.parameters())}, {"params": list(second.parameters()), "lr": 0.004}]


NOISE = torch.randn(STEPS, 4, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def gradients(model: nn.Module, t: int) -> None:
    """Noise and a pull towards 0, so that an error in a weight comes back in its gradient; at some steps one has none."""
    for number, parameter in enumerate(model.parameters()):
        parameter.grad = torch.add(NOISE[t, number, : parameter.numel()].view_as(parameter), parameter, alpha=0.5).to(parameter.dtype)
    if t % 7 == 3 or t == 0:
        model[2].bias.grad = None  # type: ignore[index]


def distance(ours: nn.Module, theirs: nn.Module) -> float:
    return max(float((a.detach() - b.detach()).abs().max()) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, case in CASES.items() for path in PATHS if path != "fused" or case[0].has_fused])  # type: ignore[attr-defined]
def test_every_step_equals_torch(name: str, path: str) -> None:
    make, reference, constants = CASES[name]
    ours, theirs = network(), network()
    mine, peer = make(groups(ours), path=path, **constants), reference(groups(theirs), **constants)
    start = [p.detach().clone() for p in ours.parameters()]
    for t in range(STEPS):
        gradients(ours, t)
        gradients(theirs, t)
        mine.step()
        peer.step()
        if t < 10 or t % 10 == 9:
            assert distance(ours, theirs) <= 1e-12, f"at step {t}"
    assert all((p - before).abs().max() > 1e-3 for p, before in zip(ours.parameters(), start, strict=True)), "nothing moved"


@pytest.mark.parametrize("name", CASES)
def test_the_state_fits_torch_and_torchs_fits(name: str) -> None:
    make, reference, constants = CASES[name]
    ours, theirs = network(), network()
    mine, peer = make(ours.parameters(), **constants), reference(theirs.parameters(), **constants)
    for t in range(20):
        gradients(ours, t)
        gradients(theirs, t)
        mine.step()
        peer.step()
    # They swap states and go on as the other.
    swapped_mine, swapped_peer = make(ours.parameters(), **constants), reference(theirs.parameters(), **constants)
    swapped_mine.load_state_dict(copy.deepcopy(peer.state_dict()))
    swapped_peer.load_state_dict(copy.deepcopy(mine.state_dict()))
    for t in range(20, 40):
        gradients(ours, t)
        gradients(theirs, t)
        swapped_mine.step()
        swapped_peer.step()
    assert distance(ours, theirs) <= 1e-12


@pytest.mark.parametrize("name", CASES)
def test_a_saved_state_goes_on_in_the_same_bits(name: str) -> None:
    make, _, constants = CASES[name]
    whole, halved = network(), network()
    one, two = make(groups(whole), **constants), make(groups(halved), **constants)
    for t in range(40):
        if t == 17:
            saved = copy.deepcopy(two.state_dict())
            two = make(groups(halved), **constants)
            two.load_state_dict(saved)
        for model, optimiser in ((whole, one), (halved, two)):
            gradients(model, t)
            optimiser.step()
    assert distance(whole, halved) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("make", [SGD, Momentum, RMSprop, Adam, AdamW])
def test_other_types_stay_what_they_are(make: Callable[..., Any], dtype: torch.dtype) -> None:
    paths = {}
    for path in ("explained", "foreach"):
        parameter = nn.Parameter(torch.linspace(-1, 1, 10).to(dtype))
        optimiser = make([parameter], lr=0.01, path=path)
        for _ in range(5):
            parameter.grad = (parameter.detach().float() * 2).to(dtype)
            optimiser.step()
        assert parameter.dtype is dtype
        paths[path] = parameter.detach().float()
    torch.testing.assert_close(paths["explained"], paths["foreach"], rtol=0, atol=1e-6 if dtype is torch.float32 else 0.02)


def test_a_closure_is_called_with_gradients_on() -> None:
    weight = nn.Parameter(torch.tensor([3.0]))
    optimiser = SGD([weight], lr=0.1)

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert optimiser.step(closure).item() == 9.0
    assert weight.item() == pytest.approx(3 - 0.1 * 6)


def test_torchs_schedulers_and_grad_scaler_drive_them() -> None:
    model = network().float()
    optimiser = AdamW(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimiser, 1, 0.5)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    before = [p.detach().clone() for p in model.parameters()]
    scaler.scale(model(torch.ones(2, 5)).sum()).backward()
    next(model.parameters()).grad[0, 0] = float("inf")  # type: ignore[index]
    scaler.step(optimiser)
    scaler.update()
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True)), "an overflow is no step"
    optimiser.zero_grad()
    scaler.scale(model(torch.ones(2, 5)).sum()).backward()
    scaler.step(optimiser)
    scheduler.step()
    assert not torch.equal(next(model.parameters()), before[0])
    assert optimiser.param_groups[0]["lr"] == 0.05


@pytest.mark.parametrize(
    ("make", "constants", "says"),
    [
        (SGD, {"lr": -1.0}, r"lr is -1\.0; it has to be at least 0"),
        (SGD, {"momentum": 1.0}, r"momentum is 1\.0"),
        (SGD, {"weight_decay": -0.1}, r"weight_decay is -0\.1"),
        (SGD, {"nesterov": True}, "needs momentum above 0"),
        (SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, r"dampening 0\.1"),
        (RMSprop, {"alpha": 1.5}, r"alpha is 1\.5"),
        (RMSprop, {"path": "fused"}, "no fused kernel"),
        (Adam, {"betas": (0.9, 1.0)}, r"beta 2 is 1\.0"),
        (Adam, {"betas": (0.9,)}, "takes two"),
        (Adam, {"eps": -1e-8}, "eps is -1e-08"),
        (Adam, {"lr": float("nan")}, "lr is nan"),
        (AdamW, {"path": "quick"}, "it is one of"),
    ],
)
def test_impossible_constants_are_named(make: Callable[..., Any], constants: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make([nn.Parameter(torch.zeros(2))], **constants)


def test_a_groups_own_constants_are_checked_too() -> None:
    with pytest.raises(ValueError, match=r"lr is -3"):
        Adam([{"params": [nn.Parameter(torch.zeros(2))], "lr": -3}])


def test_a_tensor_as_rate_and_a_sparse_gradient_are_refused_in_words() -> None:
    with pytest.raises(TypeError, match="lr is a tensor"):
        SGD([nn.Parameter(torch.zeros(2))], lr=torch.tensor(0.1))  # type: ignore[arg-type]
    table = nn.Embedding(5, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(TypeError, match=r"sparse gradient of shape \(5, 2\)"):
        SGD(table.parameters(), lr=0.1).step()


def test_a_state_dict_that_asks_for_more_is_refused() -> None:
    weight = nn.Parameter(torch.ones(2))
    peer = torch.optim.Adam([weight], amsgrad=True)
    with pytest.raises(ValueError, match="asks for amsgrad"):
        Adam([weight]).load_state_dict(peer.state_dict())


@pytest.mark.parametrize("limit", [0.01, 1.0, 1e6])
def test_clipping_equals_torch(limit: float) -> None:
    ours, theirs = network(), network()
    gradients(ours, 3)
    gradients(theirs, 3)
    mine = clip_by_global_norm(ours.parameters(), limit)
    peer = nn.utils.clip_grad_norm_(theirs.parameters(), limit)
    assert mine.item() == pytest.approx(peer.item(), rel=1e-12)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None)
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-12, atol=0)
    assert global_norm([p.grad for p in ours.parameters() if p.grad is not None]) <= limit * (1 + 1e-9)


def test_clipping_nothing_and_by_nothing() -> None:
    assert clip_by_global_norm([nn.Parameter(torch.zeros(2))], 1.0).item() == 0
    with pytest.raises(ValueError, match="it has to be above 0"):
        clip_by_global_norm([], 0.0)


def test_only_matrices_decay() -> None:
    decays, stays = decay_groups(nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2)), 0.1)
    assert [tuple(p.shape) for p in decays["params"]] == [(2, 3)] and decays["weight_decay"] == 0.1
    assert [tuple(p.shape) for p in stays["params"]] == [(2,), (2,), (2,)] and stays["weight_decay"] == 0.0


def test_adams_decay_is_scaled_by_the_gradients_size_and_adamws_is_not() -> None:
    """Two weights of one size, gradients of zero mean but unlike size: Adam's penalty shrinks the noisy one less."""
    shrunk = {}
    for make in (Adam, AdamW):
        weight = nn.Parameter(torch.tensor([1.0, 1.0], dtype=torch.float64))
        optimiser = make([weight], lr=1e-3, weight_decay=0.1)
        for t in range(400):
            weight.grad = torch.tensor([1e-3, 10.0], dtype=torch.float64) * (-1) ** t
            optimiser.step()
        shrunk[make.__name__] = 1 - weight.detach()
    assert shrunk["Adam"][0] > 5 * shrunk["Adam"][1].abs()
    assert shrunk["AdamW"][0] == pytest.approx(shrunk["AdamW"][1].item(), rel=0.1)
