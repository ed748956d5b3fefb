"""Initialisation: the variances that are promised, what they do to depth, and what constants do to a layer."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from viva.nn import (
    Linear,
    ReLU,
    Tanh,
    constant_,
    cross_entropy,
    fan_in_uniform_,
    he_normal_,
    he_uniform_,
    linear,
    normal_,
    orthogonal_,
    truncated_normal_,
    uniform_,
    xavier_normal_,
    xavier_uniform_,
)
from viva.nn.initialisation import GAINS, fans


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# name: what fills the weight, the variance that is promised for (fan_in, fan_out)
VARIANCES: dict[str, tuple[Callable[[Tensor], object], Callable[[int, int], float]]] = {
    "uniform": (lambda w: uniform_(w, -0.1, 0.1, stream()), lambda i, o: 0.01 / 3),
    "normal": (lambda w: normal_(w, 0.0, 0.02, stream()), lambda i, o: 0.0004),
    "truncated": (lambda w: truncated_normal_(w, generator=stream()), lambda i, o: 0.77374),
    "Xavier uniform": (lambda w: xavier_uniform_(w, generator=stream()), lambda i, o: 2 / (i + o)),
    "Xavier normal": (lambda w: xavier_normal_(w, generator=stream()), lambda i, o: 2 / (i + o)),
    "Xavier tanh": (lambda w: xavier_normal_(w, GAINS["tanh"], stream()), lambda i, o: 25 / 9 * 2 / (i + o)),
    "He uniform": (lambda w: he_uniform_(w, generator=stream()), lambda i, o: 2 / i),
    "He normal": (lambda w: he_normal_(w, generator=stream()), lambda i, o: 2 / i),
    "He fan_out": (lambda w: he_normal_(w, "fan_out", generator=stream()), lambda i, o: 2 / o),
    "He leaky": (lambda w: he_normal_(w, negative_slope=0.5, generator=stream()), lambda i, o: 2 / 1.25 / i),
    "torch's default": (lambda w: fan_in_uniform_(w, generator=stream()), lambda i, o: 1 / 3 / i),
}


@pytest.mark.parametrize("name", VARIANCES)
@pytest.mark.parametrize(("shape", "fan"), [((300, 200), (200, 300)), ((200, 12, 5, 5), (300, 5000))], ids=["linear", "convolution"])
def test_variances_are_as_promised(name: str, shape: tuple[int, ...], fan: tuple[int, int]) -> None:
    fill, promise = VARIANCES[name]
    weight = torch.empty(shape, dtype=torch.float64)
    assert fans(weight) == fan
    fill(weight)
    variance = promise(*fan)
    assert float(weight.var()) == pytest.approx(variance, rel=0.03)
    assert abs(float(weight.mean())) < 0.02 * math.sqrt(variance)


def test_uniform_initialisations_reach_their_limits_and_no_further() -> None:
    for fill, limit in ((xavier_uniform_, math.sqrt(6 / 500)), (he_uniform_, math.sqrt(6 / 200)), (uniform_, 0.1)):
        weight = fill(torch.empty(300, 200), generator=stream())
        assert 0.999 * limit < float(weight.abs().max()) <= limit * (1 + 1e-6)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (xavier_uniform_, torch.nn.init.xavier_uniform_),
        (xavier_normal_, torch.nn.init.xavier_normal_),
        (he_uniform_, lambda w: torch.nn.init.kaiming_uniform_(w, nonlinearity="relu")),
        (he_normal_, lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="relu")),
        (lambda w: he_normal_(w, "fan_out"), lambda w: torch.nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu")),
        (lambda w: he_uniform_(w, negative_slope=0.2), lambda w: torch.nn.init.kaiming_uniform_(w, a=0.2)),
        (orthogonal_, torch.nn.init.orthogonal_),
        (lambda w: normal_(w, 1.0, 2.0), lambda w: torch.nn.init.normal_(w, 1.0, 2.0)),
    ],
    ids=["Xavier uniform", "Xavier normal", "He uniform", "He normal", "He fan_out", "He leaky", "orthogonal", "normal"],
)
@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (6, 4, 3, 3)])
def test_one_seed_gives_the_numbers_of_torch(ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> None:
    torch.manual_seed(5)
    mine = ours(torch.empty(shape))
    torch.manual_seed(5)
    torch.testing.assert_close(mine, theirs(torch.empty(shape)))


def test_gains_are_those_of_torch() -> None:
    for name, gain in GAINS.items():
        assert gain == pytest.approx(torch.nn.init.calculate_gain(name))


def second_moments(fill: Callable[[Tensor], Tensor], bend: Callable[[Tensor], Tensor], depth: int = 30, width: int = 256) -> list[float]:
    """E[x²] before each of `depth` layers, for a batch of standard normal inputs."""
    x = torch.randn(256, width, generator=stream(1))
    moments = []
    for layer in range(depth):
        moments.append(float(x.square().mean()))
        weight = fill(torch.empty(width, width))
        if layer == 0:
            weight /= math.sqrt(2)  # the input has not been through a ReLU: its second moment is whole
        x = bend(linear(x, weight))
    return moments


def test_he_keeps_the_second_moment_through_relu_layers_where_xavier_halves_it() -> None:
    generator = stream()
    he = second_moments(lambda w: he_normal_(w, generator=generator), torch.relu)
    # After ReLU E[x²] is half the variance before it, and stays there.
    assert all(0.25 < moment / he[1] < 4 for moment in he[1:])
    xavier = second_moments(lambda w: xavier_normal_(w, generator=generator), torch.relu)
    assert math.log2(xavier[1] / xavier[-1]) == pytest.approx(28, abs=3)  # a half for each of 28 layers


def test_xavier_keeps_linear_layers_and_a_fixed_range_does_as_the_width_says() -> None:
    generator = stream()
    same = lambda x: x  # noqa: E731
    xavier = second_moments(lambda w: xavier_normal_(w, generator=generator), same)
    assert all(0.25 < moment / xavier[1] < 4 for moment in xavier[1:])
    fixed = second_moments(lambda w: uniform_(w, generator=generator), same)
    growth = 256 * 0.01 / 3  # fan_in · Var(w) = 0.85 for each layer
    assert math.log(fixed[-1] / fixed[1]) == pytest.approx(28 * math.log(growth), rel=0.1)


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4), (4, 3, 2, 2)])
@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_orthogonal_is_orthogonal(shape: tuple[int, ...], gain: float) -> None:
    weight = orthogonal_(torch.empty(shape, dtype=torch.float64), gain, stream()).flatten(1)
    gram = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
    assert torch.allclose(gram, gain**2 * torch.eye(len(gram), dtype=torch.float64), atol=1e-12)


def test_orthogonal_keeps_lengths_through_any_depth() -> None:
    generator = stream()
    x = torch.randn(4, 32, dtype=torch.float64, generator=generator)
    y = x
    for _ in range(100):
        y = linear(y, orthogonal_(torch.empty(32, 32, dtype=torch.float64), generator=generator))
    assert torch.allclose(y.norm(dim=1), x.norm(dim=1), rtol=1e-10)


def test_truncated_normal_stays_within_its_bounds_and_keeps_its_shape() -> None:
    weight = truncated_normal_(torch.empty(200_000, dtype=torch.float64), 1.0, 2.0, 0.0, 4.0, stream())
    assert float(weight.min()) >= 0 and float(weight.max()) <= 4
    inside = torch.randn(800_000, dtype=torch.float64, generator=stream(1)) * 2 + 1
    inside = inside[(inside >= 0) & (inside <= 4)]
    for quantile in (0.1, 0.5, 0.9):
        assert float(weight.quantile(quantile)) == pytest.approx(float(inside.quantile(quantile)), abs=0.02)


def test_far_bounds_of_a_truncated_normal_are_no_bounds() -> None:
    weight = truncated_normal_(torch.empty(500_000), std=0.02, generator=stream())
    assert float(weight.std()) == pytest.approx(0.02, rel=0.01)
    assert float(weight.abs().max()) < 0.12  # 6 standard deviations, not the bound of 100


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_the_rarest_draw_is_no_outlier(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tensor, "uniform_", lambda draw, low, high, generator=None: draw.fill_(low))
    weight = truncated_normal_(torch.empty(3, dtype=dtype), std=0.02)
    assert (weight > -9 * 0.02).all() and (weight < -5 * 0.02).all()


@pytest.mark.parametrize("fill", [truncated_normal_, orthogonal_, he_normal_, xavier_uniform_])
def test_half_precision_weights_can_be_filled(fill: Callable[..., Tensor]) -> None:
    weight = fill(torch.empty(64, 64, dtype=torch.bfloat16), generator=stream())
    assert weight.dtype == torch.bfloat16 and weight.isfinite().all()
    whole = fill(torch.empty(64, 64), generator=stream())
    assert float(weight.float().std()) == pytest.approx(float(whole.std()), rel=0.05)


def trained(fill: Callable[[Tensor], Tensor], steps: int = 50) -> torch.nn.Sequential:
    network = torch.nn.Sequential(Linear(4, 8), Tanh(), Linear(8, 3))
    for layer in (network[0], network[2]):
        fill(layer.weight), constant_(layer.bias)
    x, y = torch.randn(32, 4, generator=stream(2)), torch.randint(3, (32,), generator=stream(3))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.3)
    for _ in range(steps):
        optimiser.zero_grad()
        cross_entropy(network(x), y).backward()
        optimiser.step()
    return network


def test_a_constant_leaves_hidden_units_identical_however_long_one_trains() -> None:
    network = trained(lambda weight: constant_(weight, 0.5))
    rows, columns = network[0].weight.detach(), network[2].weight.detach()
    assert not torch.allclose(rows, torch.full_like(rows, 0.5), atol=0.01)  # it did learn
    assert torch.allclose(rows, rows[:1].expand_as(rows), atol=1e-6)  # eight times the same unit
    assert torch.allclose(columns, columns[:, :1].expand_as(columns), atol=1e-6)
    different = trained(lambda weight: xavier_uniform_(weight, generator=stream()))[0].weight.detach()
    assert not torch.allclose(different, different[:1].expand_as(different), atol=0.1)


def test_zeros_never_leave_a_relu_network() -> None:
    network = torch.nn.Sequential(Linear(4, 8), ReLU(), Linear(8, 3))
    for parameter in network.parameters():
        constant_(parameter)
    cross_entropy(network(torch.randn(5, 4, generator=stream())), torch.tensor([0, 1, 2, 0, 0])).backward()
    assert not network[0].weight.grad.any() and not network[2].weight.grad.any() and network[2].bias.grad.any()


def test_filling_leaves_no_trace_in_the_gradient() -> None:
    weight = torch.nn.Parameter(torch.empty(4, 4))
    for fill in (constant_, uniform_, normal_, truncated_normal_, xavier_uniform_, he_normal_, orthogonal_):
        assert fill(weight) is weight and weight.grad_fn is None and weight.requires_grad
    F.linear(torch.ones(1, 4), weight).sum().backward()
    assert weight.grad is not None


def test_a_generator_gives_the_same_numbers_again() -> None:
    for fill in (uniform_, normal_, truncated_normal_, xavier_uniform_, xavier_normal_, he_uniform_, he_normal_, orthogonal_):
        assert torch.equal(fill(torch.empty(3, 4), generator=stream(4)), fill(torch.empty(3, 4), generator=stream(4)))


def test_what_is_refused_is_named() -> None:
    for fill in (xavier_uniform_, he_normal_, orthogonal_, fan_in_uniform_):
        with pytest.raises(ValueError, match=r"got \(3,\): a bias has no fan"):
            fill(torch.empty(3))
    with pytest.raises(ValueError, match="mode='fan', expected 'fan_in' or 'fan_out'"):
        he_normal_(torch.empty(3, 3), "fan")
    with pytest.raises(ValueError, match=r"lower=2\.0 and upper=-2\.0"):
        truncated_normal_(torch.empty(3), lower=2.0, upper=-2.0)
    with pytest.raises(ValueError, match=r"low=1\.0 above high=-1\.0"):
        uniform_(torch.empty(3), 1.0, -1.0)
