"""A restricted Boltzmann machine: a distribution over binary pictures, learnt by comparing data with daydreams.

Smolensky 1986; contrastive divergence: Hinton 2002; persistent: Tieleman 2008; advice: Hinton 2010, "A Practical Guide to
Training Restricted Boltzmann Machines". Visible units v (B, visible) and hidden units h (B, hidden) are 0 or 1. A Boltzmann
machine may connect any two of them; *restricted*, it connects only units of different layers, by W (hidden, visible), with
biases a (visible,) and b (hidden,):

    E(v, h) = -a·v - b·h - hᵀ W v                 p(v, h) = exp(-E(v, h)) / Z
    p(h_j = 1 | v) = σ(b_j + W_j·v)               all hidden units at once: given v they are independent
    p(v_i = 1 | h) = σ(a_i + W_·i·h)
    F(v) = -log Σ_h exp(-E(v, h)) = -a·v - Σ_j log(1 + exp(b_j + W_j·v))         the free energy
    -log p(v) = F(v) + log Z

The gradient of log p(v) with respect to W is <h vᵀ>_data - <h vᵀ>_model, and the second average needs Gibbs sampling until
it forgets where it began. CD-k begins at the data and stops after k steps; persistent CD keeps its chains from one update to
the next. Both are ``F(data).mean() - F(samples).mean()`` here, with the samples held constant: a step down its gradient is
the learning rule, so any optimiser trains the machine. It is not the reconstruction error's gradient.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viva.models.catalogue import published
from viva.nn import normal_
from viva.nn.shapes import expect_tensor

LARGEST_ENUMERATION = 24  # units of the smaller layer: 2**24 states, some seconds
STATES_AT_ONCE = 2**14


class RBM(nn.Module):
    """A Bernoulli machine. ``forward`` gives the features p(h = 1 | v): (B, visible) -> (B, hidden).

    Weights begin as N(0, 0.01²) and biases at 0 (Hinton 2010, §8.1; `start_from` sets the visible biases from data).
    generator: where the samples come from; None is torch's own.
    """

    def __init__(self, visible: int, hidden: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if visible < 1 or hidden < 1:
            raise ValueError(f"an RBM needs units in both layers; got {visible} visible and {hidden} hidden ones")
        self.visible, self.hidden, self.generator = visible, hidden, generator
        self.weight = nn.Parameter(torch.empty(hidden, visible))
        self.visible_bias = nn.Parameter(torch.zeros(visible))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        normal_(self.weight, 0.0, 0.01)

    def forward(self, v: Tensor) -> Tensor:
        return self.hidden_probabilities(v)

    # The distribution

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h): (B, visible), (B, hidden) -> (B,)."""
        self._check(v, self.visible, "visible")
        self._check(h, self.hidden, "hidden")
        return -(v @ self.visible_bias + h @ self.hidden_bias + (F.linear(v, self.weight) * h).sum(-1))

    def free_energy(self, v: Tensor) -> Tensor:
        """F(v) = -log Σ_h exp(-E(v, h)), in nats: (B, visible) -> (B,)."""
        self._check(v, self.visible, "visible")
        return -(v @ self.visible_bias) - F.softplus(F.linear(v, self.weight, self.hidden_bias)).sum(-1)

    def hidden_probabilities(self, v: Tensor) -> Tensor:
        """p(h_j = 1 | v): (B, visible) -> (B, hidden)."""
        self._check(v, self.visible, "visible")
        return torch.sigmoid(F.linear(v, self.weight, self.hidden_bias))

    def visible_probabilities(self, h: Tensor) -> Tensor:
        """p(v_i = 1 | h): (B, hidden) -> (B, visible)."""
        self._check(h, self.hidden, "hidden")
        return torch.sigmoid(F.linear(h, self.weight.T, self.visible_bias))

    def log_partition(self) -> Tensor:
        """log Z exactly, by walking through every state of the smaller layer (at most 24 units); a scalar.

        The other layer is summed by its free energy, so 784 visible and 20 hidden units take 2**20 states, not 2**804.
        """
        units = min(self.visible, self.hidden)
        if units > LARGEST_ENUMERATION:
            raise ValueError(f"log Z of {self.visible} visible and {self.hidden} hidden units has 2**{units} terms; up to {LARGEST_ENUMERATION} units in the smaller layer can be walked through")
        over_visible = self.visible <= self.hidden
        parts = []
        for start in range(0, 2**units, STATES_AT_ONCE):
            numbers = torch.arange(start, min(start + STATES_AT_ONCE, 2**units), device=self.weight.device)
            states = (numbers[:, None] >> torch.arange(units, device=self.weight.device) & 1).to(self.weight.dtype)  # (S, units)
            if over_visible:
                parts.append(-self.free_energy(states))
            else:  # the same formula with the layers exchanged
                parts.append(states @ self.hidden_bias + F.softplus(F.linear(states, self.weight.T, self.visible_bias)).sum(-1))
        return torch.logsumexp(torch.cat(parts), 0)

    def log_likelihood(self, v: Tensor) -> Tensor:
        """log p(v) exactly, in nats, for machines small enough for `log_partition`: (B, visible) -> (B,)."""
        return -self.free_energy(v) - self.log_partition()

    def pseudo_log_likelihood(self, v: Tensor) -> Tensor:
        """An estimate of Σ_i log p(v_i | the other v), from one unit of every sample drawn at random: (B, visible) -> (B,).

        The partition function cancels: log p(v_i | rest) = log σ(F(v with i flipped) - F(v)). Good for watching training.
        """
        flipped = v.clone()
        unit = torch.randint(self.visible, (len(v), 1), generator=self.generator, device=v.device)
        flipped.scatter_(1, unit, 1 - v.gather(1, unit))
        return self.visible * F.logsigmoid(self.free_energy(flipped) - self.free_energy(v))

    # Sampling

    def draw(self, probabilities: Tensor) -> Tensor:
        """0 or 1 for every unit, 1 with its probability; the same shape and dtype."""
        uniform = torch.rand(probabilities.shape, generator=self.generator, device=probabilities.device, dtype=probabilities.dtype)
        return (uniform < probabilities).to(probabilities.dtype)

    @torch.no_grad()
    def gibbs(self, v: Tensor, steps: int = 1, *, sample_visible: bool = True) -> Tensor:
        """``steps`` times hidden given visible, then visible given hidden: (B, visible) -> (B, visible).

        Hidden units are always sampled: their being all-or-nothing is what limits how much they can tell (Hinton 2010,
        §3.1). With ``sample_visible=False`` the last pictures are probabilities, less noisy and a little less correct
        (§3.2); the steps between are samples all the same.
        """
        if steps < 1:
            raise ValueError(f"steps={steps}, expected 1 or more")
        for _ in range(steps):
            probabilities = self.visible_probabilities(self.draw(self.hidden_probabilities(v)))
            v = self.draw(probabilities)
        return v if sample_visible else probabilities

    # Learning

    def contrastive_divergence(self, v: Tensor, steps: int = 1, *, sample_visible: bool = True) -> Tensor:
        """CD-k on data v (B, visible), a scalar to minimise. Its value is no likelihood; minus its gradient is the rule

            ΔW = <p(h|v) vᵀ>_data - <p(h|v') v'ᵀ>_samples          v' = k Gibbs steps away from the data

        with probabilities, not samples, of the hidden units in both averages: they stand for nothing but themselves there,
        and sampling them would only add noise (Hinton 2010, §3.3).
        """
        return self._difference(v, self.gibbs(v, steps, sample_visible=sample_visible))

    def persistent_contrastive_divergence(self, v: Tensor, particles: Particles, steps: int = 1) -> Tensor:
        """PCD: as CD, with samples of chains that go on from update to update instead of starting at the data."""
        return self._difference(v, particles.advance(self, steps))

    def _difference(self, data: Tensor, samples: Tensor) -> Tensor:
        return self.free_energy(data).mean() - self.free_energy(samples.detach()).mean()

    @torch.no_grad()
    def start_from(self, v: Tensor) -> None:
        """Visible biases at log(p / (1 - p)) of every unit's frequency p in the data (Hinton 2010, §8.1)."""
        self._check(v, self.visible, "visible")
        frequency = ((v.sum(0) + 0.5) / (len(v) + 1)).clamp(0, 1)  # half a count each way: a unit never seen is not at -∞
        self.visible_bias.copy_(torch.logit(frequency))

    def _check(self, units: Tensor, width: int, layer: str) -> None:
        expect_tensor("the machine", units)
        if units.dim() < 1 or units.shape[-1] != width:
            raise ValueError(f"got {layer} units of shape {tuple(units.shape)}, expected (batch, {width})")
        if units.dtype != self.weight.dtype:
            raise TypeError(f"got {layer} units of dtype {units.dtype}, but the weights are {self.weight.dtype}: convert one of them")

    def extra_repr(self) -> str:
        return f"visible={self.visible}, hidden={self.hidden}"


class Particles:
    """The daydreams of persistent contrastive divergence: the hidden states (number, hidden) where its chains stand.

    About as many as samples in a mini-batch; beginning at 0, they are sampled before they are first used.
    """

    def __init__(self, machine: RBM, number: int) -> None:
        if number < 1:
            raise ValueError(f"{number} particles, expected 1 or more")
        self.states = machine.weight.new_zeros(number, machine.hidden)

    @torch.no_grad()
    def advance(self, machine: RBM, steps: int = 1) -> Tensor:
        """``steps`` Gibbs steps from where the chains stood, visible units first; the visible samples (number, visible)."""
        if steps < 1:
            raise ValueError(f"steps={steps}, expected 1 or more")
        for _ in range(steps):
            v = machine.draw(machine.visible_probabilities(self.states))
            self.states = machine.draw(machine.hidden_probabilities(v))
        return v


@published(
    paper="Hinton, Osindero and Teh 2006, A Fast Learning Algorithm for Deep Belief Nets, Figure 1 (first layer)",
    reference="sklearn.neural_network.BernoulliRBM",
    example=lambda: (torch.zeros(1, 784),),
)
def rbm_784_500(generator: torch.Generator | None = None) -> RBM:
    """The first layer of the network for handwritten digits: 28·28 pixels, 500 features."""
    return RBM(28 * 28, 500, generator=generator)


@published(
    paper="Hinton and Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks, digits (first layer)",
    reference="sklearn.neural_network.BernoulliRBM",
    example=lambda: (torch.zeros(1, 784),),
)
def rbm_784_1000(generator: torch.Generator | None = None) -> RBM:
    """The machine that pretrains the first layer of `autoencoder_2006`."""
    return RBM(28 * 28, 1000, generator=generator)
