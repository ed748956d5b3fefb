"""Autoencoders: the 2006 network against torch's own layers, and a linear one against principal components."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from parity import check_parity
from torch import Tensor, nn

from viva.models import catalogue
from viva.models.autoencoder import (
    Autoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    DenseAutoencoder,
    convolutional_autoencoder,
    linear_autoencoder,
)
from viva.models.checkpoint import Layout
from viva.models.pca import PCA

SIZES = {"autoencoder_2006": (784, 1000, 500, 250, 30), "autoencoder_2006_curves": (784, 400, 200, 100, 50, 25, 6)}


def theirs(sizes: tuple[int, ...]) -> nn.Module:
    def half(widths: tuple[int, ...]) -> nn.Sequential:
        layers: list[nn.Module] = []
        for place in range(len(widths) - 1):
            layers += [nn.Linear(widths[place], widths[place + 1])]
            layers += [nn.Sigmoid()] if place < len(widths) - 2 else []
        return nn.Sequential(*layers)

    return nn.Sequential(half(sizes), half(sizes[::-1]))


HALVES = Layout(("encoder", "0"), ("decoder", "1"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SIZES)
def test_the_2006_networks_equal_torchs_layers(name: str, dtype: torch.dtype, record: Any) -> None:
    pixels = torch.rand(4, 784, dtype=torch.float64)

    def loss(logits: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(logits, pixels.to(logits), reduction="sum")

    parity = check_parity(catalogue.build(name), theirs(SIZES[name]), pixels, layout=HALVES, dtype=dtype, loss=loss)
    record(name, parity)


def test_parameter_counts_are_those_of_the_published_sizes() -> None:
    for name, sizes in SIZES.items():
        expected = sum(2 * before * after + before + after for before, after in itertools.pairwise(sizes))
        assert sum(parameter.numel() for parameter in catalogue.build(name).parameters()) == expected
    assert sum(parameter.numel() for parameter in catalogue.build("autoencoder_2006").parameters()) == 2_837_314


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_convolutional_network_equals_torchs_layers(dtype: torch.dtype) -> None:
    reference = nn.Sequential(
        nn.Sequential(nn.Conv2d(2, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 6, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 4, 5)),
        nn.Sequential(
            nn.Linear(5, 6 * 4), nn.ReLU(), nn.Unflatten(1, (6, 2, 2)),
            nn.ConvTranspose2d(6, 4, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(4, 2, 4, 2, 1),
        ),
    )  # fmt: skip
    ours = ConvolutionalAutoencoder((2, 8, 8), (4, 6), 5)
    check_parity(ours, reference, torch.rand(3, 2, 8, 8), layout=HALVES, dtype=dtype)


def correlated(samples: int, features: int) -> Tensor:
    chance = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(features, features, generator=chance, dtype=torch.float64)).Q
    spread = torch.linspace(2.0, 0.2, features, dtype=torch.float64)
    x = (torch.randn(samples, features, generator=chance, dtype=torch.float64) * spread) @ turn
    return x - x.mean(0)


def test_a_trained_linear_autoencoder_spans_the_principal_components() -> None:
    x, code = correlated(200, 8), 3
    model = linear_autoencoder(8, code).double()
    optimiser = torch.optim.LBFGS(model.parameters(), max_iter=500, tolerance_grad=1e-10, tolerance_change=1e-14, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = model.loss(x)
        loss.backward()
        return loss

    optimiser.step(closure)
    fitted = PCA(code).fit(x)
    assert float(model.loss(x)) == pytest.approx(float((fitted.reconstruct(x) - x).square().sum() / len(x)), rel=1e-6)
    learnt = torch.linalg.qr(model.decoder[0].weight.detach()).Q  # (8, code): what the decoder can say
    cosines = torch.linalg.svdvals(learnt.T @ fitted.directions.T)  # of the angles between the two subspaces
    assert cosines.min() > 1 - 1e-6
    # The same span, other axes: nothing in the loss tells the components apart.
    assert (learnt.T @ fitted.directions.T).abs().sub(torch.eye(code)).abs().max() > 1e-3


def test_a_nonlinear_code_beats_as_many_principal_components_on_a_curve() -> None:
    angle = torch.linspace(-2.5, 2.5, 200)[:, None]
    x = torch.cat([angle.cos(), angle.sin()], 1)
    model = DenseAutoencoder((2, 32, 32, 1), "tanh", output="values")
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(600):
        optimiser.zero_grad()
        model.loss(x).backward()
        optimiser.step()
    line = PCA(1).fit(x).reconstruct(x)
    assert float(model.loss(x)) < 0.2 * float((line - x).square().sum(1).mean())


def digits() -> Tensor:
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_digits

    return torch.as_tensor(load_digits().data[:500] / 16, dtype=torch.float32)


def test_a_denoising_autoencoder_undoes_noise_that_a_plain_one_keeps() -> None:
    x = digits()
    chance = torch.Generator().manual_seed(0)
    errors = {}
    for kind in ("plain", "denoising"):
        torch.manual_seed(0)
        inner = DenseAutoencoder((64, 96), "relu")  # wider than the input: the plain one may copy
        model = DenoisingAutoencoder(inner, "mask", 0.4 if kind == "denoising" else 0.0, generator=chance)
        optimiser = torch.optim.Adam(model.parameters(), 0.005)
        for _ in range(300):
            optimiser.zero_grad()
            model.loss(x).backward()
            optimiser.step()
        torch.manual_seed(1)
        noisy = DenoisingAutoencoder(inner, "mask", 0.4, generator=torch.Generator().manual_seed(5)).corrupt(x)
        errors[kind] = float((model.reconstruct(noisy) - x).square().mean())
    assert errors["denoising"] < 0.6 * errors["plain"]


@pytest.mark.parametrize("make", [lambda: DenseAutoencoder((64, 32, 8)), lambda: ConvolutionalAutoencoder((1, 8, 8), (8, 16), 8)])
def test_training_lowers_the_loss_and_reconstructs_pictures(make: Any) -> None:
    model: Autoencoder = make()
    x = digits()[:100].reshape(100, *model.shape)
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    before = float(model.loss(x))
    for _ in range(60):
        optimiser.zero_grad()
        model.loss(x).backward()
        optimiser.step()
    assert float(model.loss(x)) < 0.75 * before
    pictures = model.reconstruct(x)
    assert pictures.shape == x.shape and ((pictures >= 0) & (pictures <= 1)).all()


def test_shapes_of_codes_and_pictures() -> None:
    model = convolutional_autoencoder(10)
    x = torch.rand(3, 1, 28, 28)
    assert model.encode(x).shape == (3, 10) and model(x).shape == x.shape and model.decode(torch.zeros(2, 10)).shape == (2, 1, 28, 28)
    assert ConvolutionalAutoencoder((3, 32, 64), (4,), 2)(torch.rand(1, 3, 32, 64)).shape == (1, 3, 32, 64)


def test_corruptions_do_what_they_say() -> None:
    x = torch.full((200, 500), 0.5)
    inner = DenseAutoencoder((500, 2))

    def corrupted(kind: str, amount: float) -> Tensor:
        return DenoisingAutoencoder(inner, kind, amount, generator=torch.Generator().manual_seed(0)).corrupt(x)

    masked = corrupted("mask", 0.3)
    assert set(masked.unique().tolist()) == {0.0, 0.5} and abs(float((masked == 0).float().mean()) - 0.3) < 0.01
    salted = corrupted("salt_and_pepper", 0.3)
    assert abs(float((salted == 0).float().mean()) - 0.15) < 0.01 and abs(float((salted == 1).float().mean()) - 0.15) < 0.01
    noisy = corrupted("gaussian", 2.0) - x
    assert abs(float(noisy.std()) - 2) < 0.05 and abs(float(noisy.mean())) < 0.05
    for kind in ("mask", "salt_and_pepper", "gaussian"):
        assert torch.equal(corrupted(kind, 0.0), x)


def test_the_loss_sums_over_a_sample_and_averages_over_samples() -> None:
    model = DenseAutoencoder((6, 2), output="values").double()
    x = torch.rand(5, 6, dtype=torch.float64)
    torch.testing.assert_close(model.loss(x), (model(x) - x).square().sum(1).mean())
    pixels = DenseAutoencoder((6, 2)).double()
    y = pixels.reconstruct(x)
    torch.testing.assert_close(pixels.loss(x), -(x * y.log() + (1 - x) * (1 - y).log()).sum(1).mean())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes(dtype: torch.dtype) -> None:
    model = DenoisingAutoencoder(DenseAutoencoder((6, 4, 2)), "salt_and_pepper", 0.5).to(dtype)
    loss = model.loss(torch.rand(3, 6, dtype=dtype))
    loss.backward()
    assert loss.dtype == dtype


def test_bad_input_gets_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 7\), expected \(batch, 6\)"):
        DenseAutoencoder((6, 2))(torch.zeros(2, 7))
    with pytest.raises(ValueError, match=r"shape \(2, 1, 28\), expected \(batch, 1, 28, 28\)"):
        convolutional_autoencoder()(torch.zeros(2, 1, 28))
    with pytest.raises(ValueError, match="give the input's size"):
        DenseAutoencoder((6,))
    with pytest.raises(ValueError, match="activation='swish'"):
        DenseAutoencoder((6, 2), "swish")
    with pytest.raises(ValueError, match="output='bits'"):
        DenseAutoencoder((6, 2), output="bits")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="multiples of 8; got 28×28"):
        ConvolutionalAutoencoder((1, 28, 28), (4, 4, 4), 2)
    with pytest.raises(ValueError, match="every size must be 1 or more"):
        ConvolutionalAutoencoder((1, 28, 28), (), 2)
    with pytest.raises(ValueError, match="corruption='blur'"):
        DenoisingAutoencoder(DenseAutoencoder((6, 2)), "blur")
    with pytest.raises(ValueError, match=r"amount=1\.5"):
        DenoisingAutoencoder(DenseAutoencoder((6, 2)), "mask", 1.5)
