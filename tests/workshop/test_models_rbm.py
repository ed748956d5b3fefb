"""The Boltzmann machine: against sums over all its states, against the exact gradient, and step by step against scikit-learn."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from parity import LIMITS, Parity, reference, relative
from torch import Tensor

from viva.models import catalogue
from viva.models.rbm import RBM, Particles


def machine(visible: int = 5, hidden: int = 4, scale: float = 1.0, dtype: torch.dtype = torch.float64) -> RBM:
    """Small enough to be summed up, with weights large enough to matter."""
    chance = torch.Generator().manual_seed(7)
    made = RBM(visible, hidden, generator=torch.Generator().manual_seed(8)).to(dtype)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=chance))
    return made


def states(units: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(list(itertools.product((0, 1), repeat=units)), dtype=dtype)


def joint(rbm: RBM) -> tuple[Tensor, Tensor, Tensor]:
    """Every visible state, every hidden state, and -E of each pair (2**visible, 2**hidden), from the definition."""
    v, h = states(rbm.visible), states(rbm.hidden)
    a, b, weight = rbm.visible_bias.detach(), rbm.hidden_bias.detach(), rbm.weight.detach()
    energies = [[float(-a @ x - b @ y - y @ weight @ x) for y in h] for x in v]
    return v, h, -torch.tensor(energies, dtype=torch.float64)


def test_the_energy_is_its_definition() -> None:
    rbm = machine()
    v, h, minus = joint(rbm)
    pairs = list(itertools.product(range(len(v)), range(len(h))))
    got = rbm.energy(v[[i for i, _ in pairs]], h[[j for _, j in pairs]])
    torch.testing.assert_close(got, -minus.flatten())


def test_the_free_energy_is_the_log_of_the_sum_over_hidden_states() -> None:
    rbm = machine()
    v, _, minus = joint(rbm)
    torch.testing.assert_close(rbm.free_energy(v), -torch.logsumexp(minus, 1))


@pytest.mark.parametrize(("visible", "hidden"), [(5, 4), (4, 5), (1, 1), (3, 3)])
def test_the_partition_function_is_the_sum_over_all_states_and_probabilities_sum_to_one(visible: int, hidden: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rbm = machine(visible, hidden)
    v, _, minus = joint(rbm)
    torch.testing.assert_close(rbm.log_partition(), torch.logsumexp(minus.flatten(), 0))
    torch.testing.assert_close(rbm.log_likelihood(v).exp().sum(), torch.tensor(1.0, dtype=torch.float64))
    monkeypatch.setattr("viva.models.rbm.STATES_AT_ONCE", 3)
    torch.testing.assert_close(rbm.log_partition(), torch.logsumexp(minus.flatten(), 0))


def test_a_wide_machine_with_few_hidden_units_has_an_exact_partition_function() -> None:
    rbm = RBM(784, 10).double()
    torch.nn.init.zeros_(rbm.weight)
    torch.testing.assert_close(rbm.log_partition(), torch.tensor((784 + 10) * math.log(2), dtype=torch.float64))


def test_conditional_probabilities_are_those_of_the_joint() -> None:
    rbm = machine()
    v, h, minus = joint(rbm)
    torch.testing.assert_close(rbm.hidden_probabilities(v), torch.softmax(minus, 1) @ h)
    torch.testing.assert_close(rbm.visible_probabilities(h), torch.softmax(minus, 0).T @ v)
    torch.testing.assert_close(rbm(v), rbm.hidden_probabilities(v))


def exact_gradients(rbm: RBM, data: Tensor) -> dict[str, Tensor]:
    """Of the mean negative log-likelihood, from sums over all states: <.>_model - <.>_data."""
    v, h, minus = joint(rbm)
    p = torch.softmax(minus.flatten(), 0).reshape(minus.shape)
    given = torch.softmax(torch.stack([minus[int((v == sample).all(1).nonzero())] for sample in data]), 1)  # p(h | data)
    return {
        "weight": h.T @ p.T @ v - (given @ h).T @ data / len(data),
        "visible_bias": p.sum(1) @ v - data.mean(0),
        "hidden_bias": p.sum(0) @ h - (given @ h).mean(0),
    }


def gradients(rbm: RBM, loss: Tensor) -> dict[str, Tensor]:
    rbm.zero_grad()
    loss.backward()
    return {name: parameter.grad.clone() for name, parameter in rbm.named_parameters() if parameter.grad is not None}


def test_the_gradient_of_the_likelihood_is_the_difference_of_two_averages() -> None:
    rbm, data = machine(), states(5)[[3, 7, 7, 20, 31]]
    got = gradients(rbm, -rbm.log_likelihood(data).mean())
    for name, exact in exact_gradients(rbm, data).items():
        torch.testing.assert_close(got[name], exact)


def test_contrastive_divergence_has_the_gradient_of_its_rule() -> None:
    rbm, data = machine(), states(5)[[3, 7, 7, 20, 31]]
    for sample_visible in (True, False):
        generator = rbm.generator
        assert generator is not None
        state = generator.get_state()
        got = gradients(rbm, rbm.contrastive_divergence(data, 2, sample_visible=sample_visible))
        generator.set_state(state)
        dreamt = rbm.gibbs(data, 2, sample_visible=sample_visible)
        with torch.no_grad():
            up, down = rbm.hidden_probabilities(data), rbm.hidden_probabilities(dreamt)
            torch.testing.assert_close(got["weight"], (down.T @ dreamt - up.T @ data) / len(data))
            torch.testing.assert_close(got["hidden_bias"], (down - up).mean(0))
            torch.testing.assert_close(got["visible_bias"], (dreamt - data).mean(0))


def flat(found: dict[str, Tensor]) -> Tensor:
    return torch.cat([found[name].flatten() for name in ("weight", "visible_bias", "hidden_bias")])


def expected_cd(rbm: RBM, data: Tensor, steps: int) -> Tensor:
    """The expectation of the CD-k gradient over all its random draws, by the chain's transition matrix."""
    v, _, minus = joint(rbm)
    up, down = torch.softmax(minus, 1), torch.softmax(minus, 0)  # p(h | v): (V, H); p(v | h): (V, H)
    reached = torch.linalg.matrix_power(up @ down.T, steps)  # (V, V): from v to v' in k steps
    starts = torch.stack([(v == sample).all(1).double() for sample in data]).mean(0) @ reached  # distribution over v'
    rbm.zero_grad()
    (rbm.free_energy(data).mean() - (starts.detach() * rbm.free_energy(v)).sum()).backward()
    return flat({name: parameter.grad.clone() for name, parameter in rbm.named_parameters() if parameter.grad is not None})


def test_on_average_cd_is_what_the_chain_says_and_more_steps_come_nearer_to_the_true_gradient() -> None:
    rbm, data = machine(4, 3, 0.7), states(4)[[1, 3, 3, 14]]
    many = data.repeat(5000, 1)
    true = flat(exact_gradients(rbm, data))
    distances = []
    for steps in (1, 3, 10):
        expected = expected_cd(rbm, data, steps)
        sampled = flat(gradients(rbm, rbm.contrastive_divergence(many, steps)))
        assert (sampled - expected).abs().max() < 0.02  # 20,000 chains: a standard deviation is below 0.0036
        assert torch.cosine_similarity(expected, true, 0) > 0.8
        distances.append(float((expected - true).norm()))
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 0.05 * float(true.norm())


def test_gibbs_sampling_reaches_the_distribution_of_the_machine() -> None:
    rbm = machine(4, 3, 0.7)
    _, _, minus = joint(rbm)
    wanted = torch.softmax(minus.flatten(), 0).reshape(minus.shape).sum(1)
    samples = rbm.gibbs(torch.zeros(40_000, 4, dtype=torch.float64), 30)
    number = (samples @ torch.tensor([8.0, 4.0, 2.0, 1.0], dtype=torch.float64)).long()
    got = number.bincount(minlength=16) / len(samples)
    assert (got - wanted).abs().max() < 0.0125  # five standard deviations of a frequency of 0.5
    particles = Particles(rbm, 40_000)
    got = (particles.advance(rbm, 30) @ torch.tensor([8.0, 4.0, 2.0, 1.0], dtype=torch.float64)).long().bincount(minlength=16) / 40_000
    assert (got - wanted).abs().max() < 0.0125


@pytest.mark.parametrize("persistent", [False, True])
def test_training_raises_the_exact_likelihood(persistent: bool) -> None:
    """Bars and stripes of 3×3 (MacKay 2003): 14 pictures, whose likelihood can be summed exactly."""
    bars = states(3)[:, :, None].expand(8, 3, 3).reshape(8, 9)
    data = torch.cat([bars, bars.reshape(8, 3, 3).transpose(1, 2).reshape(8, 9)]).unique(dim=0)
    assert data.shape == (14, 9)
    rbm = RBM(9, 8, generator=torch.Generator().manual_seed(0)).double()
    rbm.start_from(data)
    optimiser = torch.optim.SGD(rbm.parameters(), lr=0.2, momentum=0.5)
    particles = Particles(rbm, 56)
    before = float(rbm.log_likelihood(data).mean().detach())
    calmer = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.02, total_iters=1000)  # persistent chains need rest at the end
    batch = data.repeat(4, 1)
    for _ in range(1000):
        optimiser.zero_grad()
        (rbm.persistent_contrastive_divergence(batch, particles) if persistent else rbm.contrastive_divergence(batch, 1)).backward()
        optimiser.step()
        calmer.step()
    after = float(rbm.log_likelihood(data).mean().detach())
    assert before == pytest.approx(-9 * math.log(2), abs=0.2)  # -6.24: independent pixels
    assert after > -4.8, after  # -4.04 to -4.49 in four runs of each kind; the best possible is log(1/14) = -2.64


def step_parity(visible: int, hidden: int, batch: int, steps: int, dtype: torch.dtype, made: Callable[[], RBM]) -> Parity:
    """Ours and scikit-learn's machine through the same persistent updates with the same random numbers."""
    network = reference("sklearn.neural_network")
    numpy_dtype = np.float32 if dtype == torch.float32 else np.float64
    chance = np.random.RandomState(3)
    data = (chance.uniform(size=(batch * steps, visible)) < 0.3).astype(numpy_dtype)
    theirs = network.BernoulliRBM(hidden, learning_rate=0.1, batch_size=batch)
    theirs.components_ = chance.normal(0, 0.1, (hidden, visible)).astype(numpy_dtype)
    theirs.intercept_hidden_, theirs.intercept_visible_ = np.zeros(hidden, numpy_dtype), np.zeros(visible, numpy_dtype)
    theirs.h_samples_ = np.zeros((batch, hidden), numpy_dtype)

    ours = made().to(dtype)
    with torch.no_grad():
        ours.weight.copy_(torch.as_tensor(theirs.components_))
        ours.hidden_bias.zero_()
        ours.visible_bias.zero_()
    numbers = np.random.RandomState(4)
    ours.draw = lambda p: torch.as_tensor(numbers.uniform(size=tuple(p.shape)) < p.detach().numpy()).to(p.dtype)  # type: ignore[method-assign]
    random = np.random.RandomState(4)
    optimiser, particles = torch.optim.SGD(ours.parameters(), lr=0.1), Particles(ours, batch)
    update = 0.0
    for v in np.split(data, steps):
        before = {"weight": theirs.components_.copy(), "hidden_bias": theirs.intercept_hidden_.copy(), "visible_bias": theirs.intercept_visible_.copy()}
        theirs._fit(v, random)
        optimiser.zero_grad()
        ours.persistent_contrastive_divergence(torch.as_tensor(v), particles).backward()
        after = {"weight": theirs.components_, "hidden_bias": theirs.intercept_hidden_, "visible_bias": theirs.intercept_visible_}
        for name, parameter in ours.named_parameters():
            assert parameter.grad is not None
            # Theirs can only be read off as a difference of parameters; the slack is what that subtraction rounds away.
            step = torch.as_tensor(before[name].astype(np.float64) - after[name]) / 0.1
            slack = torch.finfo(dtype).eps * float(np.abs(after[name]).max()) / 0.1 / float(step.abs().max())
            update = max(update, relative(parameter.grad.double(), step) - slack)
        optimiser.step()
        assert torch.equal(particles.states, torch.as_tensor(theirs.h_samples_).to(dtype))
        for name, parameter in ours.named_parameters():
            assert relative(parameter.detach(), torch.as_tensor(after[name])) < 10 * LIMITS[dtype]
    v = torch.as_tensor(data[:batch])
    outputs = max(
        relative(ours(v).detach(), torch.as_tensor(theirs.transform(data[:batch]))),
        relative(ours.free_energy(v).detach(), torch.as_tensor(theirs._free_energy(data[:batch]))),
    )
    assert outputs <= LIMITS[dtype] and update <= LIMITS[dtype], (outputs, update)
    return Parity(outputs, max(update, 0.0), dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["rbm_784_500", "rbm_784_1000"])
def test_persistent_steps_equal_scikit_learns_with_the_same_random_numbers(name: str, dtype: torch.dtype, record: Any) -> None:
    full = catalogue.build(name)
    parity = step_parity(full.visible, full.hidden, 10, 4, dtype, lambda: full)
    record(name, parity)


def test_a_long_run_of_persistent_steps_equals_scikit_learns() -> None:
    step_parity(20, 12, 10, 200, torch.float64, lambda: RBM(20, 12))


@pytest.mark.parametrize(("name", "parameters"), [("rbm_784_500", 784 * 500 + 784 + 500), ("rbm_784_1000", 784 * 1000 + 784 + 1000)])
def test_parameter_counts(name: str, parameters: int) -> None:
    assert sum(parameter.numel() for parameter in catalogue.build(name).parameters()) == parameters


def test_the_pseudo_likelihood_estimates_the_conditionals() -> None:
    rbm = machine()
    v, _, minus = joint(rbm)
    log_p = torch.log_softmax(torch.logsumexp(minus, 1), 0)  # log p(v) of every state, in the order of `states`
    sample = 11
    total = 0.0
    for unit in range(5):
        flipped = sample ^ (1 << (4 - unit))
        total += float(log_p[sample] - torch.logaddexp(log_p[sample], log_p[flipped]))
    drawn = rbm.pseudo_log_likelihood(v[sample].repeat(20_000, 1)).detach()
    assert float(drawn.mean()) == pytest.approx(total, abs=5 * float(drawn.std()) / 20_000**0.5)


def test_visible_biases_begin_at_the_log_odds_of_the_data() -> None:
    rbm = RBM(3, 2).double()
    data = torch.tensor([[1.0, 0.0, 1.0]] * 99 + [[0.0, 0.0, 1.0]], dtype=torch.float64)
    rbm.start_from(data)
    assert rbm.visible_bias.isfinite().all()
    assert float(torch.sigmoid(rbm.visible_bias[0])) == pytest.approx(0.985, abs=0.01)
    assert rbm.visible_bias[1] < -4 and rbm.visible_bias[2] > 4


def test_samples_are_bits_and_probabilities_only_where_asked() -> None:
    rbm, v = machine(), states(5)
    assert set(rbm.gibbs(v, 3).unique().tolist()) <= {0.0, 1.0}
    last = rbm.gibbs(v, 3, sample_visible=False)
    assert ((last > 0) & (last < 1)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_every_dtype_trains(dtype: torch.dtype) -> None:
    rbm = RBM(6, 4).to(dtype)
    v = rbm.draw(torch.full((8, 6), 0.5, dtype=dtype))
    loss = rbm.contrastive_divergence(v, 2)
    loss.backward()
    assert loss.dtype == dtype and all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in rbm.parameters())


def test_bad_input_gets_a_sentence() -> None:
    rbm = RBM(5, 4)
    with pytest.raises(ValueError, match="0 visible and 4 hidden"):
        RBM(0, 4)
    with pytest.raises(ValueError, match=r"visible units of shape \(2, 4\), expected \(batch, 5\)"):
        rbm(torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"hidden units of shape \(2, 5\), expected \(batch, 4\)"):
        rbm.visible_probabilities(torch.zeros(2, 5))
    with pytest.raises(TypeError, match=r"torch.int64, but the weights are torch.float32"):
        rbm.free_energy(torch.zeros(2, 5, dtype=torch.int64))
    for call in (lambda: rbm.gibbs(torch.zeros(2, 5), 0), lambda: Particles(rbm, 2).advance(rbm, 0)):
        with pytest.raises(ValueError, match="steps=0"):
            call()
    with pytest.raises(ValueError, match="0 particles"):
        Particles(rbm, 0)
    with pytest.raises(ValueError, match=r"2\*\*30 terms; up to 24"):
        RBM(784, 30).log_partition()
