"""Autoencoders: a network that must say its input again through a bottleneck, and so learns what matters in it.

    z = encode(x)     (B, ...) -> (B, code)         x' = decode(z)     (B, code) -> (B, ...)         minimise |x - x'|

Three of them. *Dense*: Hinton and Salakhutdinov 2006, "Reducing the Dimensionality of Data with Neural Networks":
784-1000-500-250-30 and back, logistic units, a linear code. With no non-linearity at all and squared error it finds the
span of the first principal components (Bourlard and Kamp 1988; Baldi and Hornik 1989), though not the components
themselves. *Convolutional*: Masci et al. 2011, who pool; here strided convolutions lead down, transposed ones up.
*Denoising*: Vincent et al. 2008, "Extracting and Composing Robust Features with Denoising Autoencoders": the input is
corrupted, the target is not, so that copying does not help, even where the code is as wide as the input.

``forward`` returns what the last layer says before its logistic (*logits*) where the output is a probability of a pixel
being white, and the values themselves where it is not; `reconstruct` returns pictures in both cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viva.models.catalogue import published
from viva.nn import Conv2d, ConvTranspose2d, Linear, ReLU, Sigmoid, Tanh
from viva.nn.shapes import expect_floating

ACTIVATIONS: dict[str, type[nn.Module]] = {"sigmoid": Sigmoid, "tanh": Tanh, "relu": ReLU, "linear": nn.Identity}
Output = Literal["pixels", "values"]


class Autoencoder(nn.Module):
    """An encoder, a decoder, and what the output means.

    output: "pixels" in 0..1 (logits; the loss is their cross-entropy, as in the 2006 paper) or real "values" (squared
    error). shape: of one sample; ValueError for input of another.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, *, shape: Sequence[int], output: Output = "pixels") -> None:
        super().__init__()
        if output not in ("pixels", "values"):
            raise ValueError(f"output={output!r}, expected 'pixels' or 'values'")
        self.encoder, self.decoder = encoder, decoder
        self.shape, self.output = tuple(shape), output

    def encode(self, x: Tensor) -> Tensor:
        """(B, ...) -> (B, code)."""
        expect_floating(type(self).__name__, x)
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"got input of shape {tuple(x.shape)}, expected {('batch', *self.shape)}".replace("'", ""))
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """(B, code) -> logits or values (B, ...)."""
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        """x as it comes out again: pixels in 0..1, or values."""
        y = self(x)
        return torch.sigmoid(y) if self.output == "pixels" else y

    def loss(self, x: Tensor, target: Tensor | None = None) -> Tensor:
        """How badly the network says ``target`` (x itself, unless given): summed over a sample's numbers, mean over samples.

        In nats for pixels, which must lie in 0..1; in squared units of the data for values.
        """
        y, target = self(x), x if target is None else target
        if target.shape != x.shape:
            raise ValueError(f"got a target of shape {tuple(target.shape)} for inputs of shape {tuple(x.shape)}; expected the same")
        # Only on the CPU: to look at a number, a GPU would have to be waited for.
        if self.output == "pixels" and target.device.type == "cpu" and target.numel() and not torch.compiler.is_compiling():
            low, high = target.detach().aminmax()
            if not (low >= 0 and high <= 1):
                raise ValueError(f"pixels lie between 0 and 1, got {low.item():g} to {high.item():g}: scale them, or build the model with output='values'")
        error = F.binary_cross_entropy_with_logits if self.output == "pixels" else F.mse_loss
        return error(y, target, reduction="sum") / len(x)


class DenseAutoencoder(Autoencoder):
    """``sizes`` down to the code and the same sizes back up: (B, sizes[0]) -> (B, sizes[-1]) -> (B, sizes[0]).

    The code and the output are linear; every layer between is followed by ``activation``. ValueError for fewer than two
    sizes, a size below 1 or an unknown activation.
    """

    def __init__(self, sizes: Sequence[int], activation: str = "sigmoid", *, output: Output = "pixels", bias: bool = True) -> None:
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"sizes={tuple(sizes)}: give the input's size, those between and the code's, each 1 or more")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r}, expected one of {', '.join(ACTIVATIONS)}")
        super().__init__(
            _dense(sizes, ACTIVATIONS[activation], bias), _dense(sizes[::-1], ACTIVATIONS[activation], bias), shape=sizes[:1], output=output
        )  # fmt: skip


def _dense(sizes: Sequence[int], activation: type[nn.Module], bias: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in zip(sizes[:-1], sizes[1:], strict=True):  # noqa: RUF007
        layers += [Linear(before, after, bias=bias), activation()]
    return nn.Sequential(*layers[:-1])  # nothing after the last


class ConvolutionalAutoencoder(Autoencoder):
    """Strided convolutions halve the picture, a linear layer makes the code, and the way back mirrors both.

    shape (C, H, W) -> (channels[0], H/2, W/2) -> ... -> (code,) -> ... -> (C, H, W). H and W must be multiples of
    2**len(channels): 28×28 allows two halvings, 32×32 five.
    """

    def __init__(self, shape: tuple[int, int, int], channels: Sequence[int], code: int, *, output: Output = "pixels") -> None:
        colours, height, width = shape
        factor = 2 ** len(channels)
        if not channels or min(*channels, *shape, code) < 1:
            raise ValueError(f"shape={tuple(shape)}, channels={tuple(channels)}, code={code}: every size must be 1 or more")
        if height % factor or width % factor:
            raise ValueError(f"{len(channels)} halvings need a height and width that are multiples of {factor}; got {height}×{width}")
        small = (channels[-1], height // factor, width // factor)
        numbers = small[0] * small[1] * small[2]
        down: list[nn.Module] = []
        for before, after in zip((colours, *channels[:-1]), channels, strict=True):
            down += [Conv2d(before, after, 3, stride=2, padding=1), ReLU()]  # (B, before, H, W) -> (B, after, H/2, W/2)
        up: list[nn.Module] = []
        for before, after in zip(channels[::-1], (*channels[-2::-1], colours), strict=True):
            # kernel 4 with stride 2: every output pixel is covered equally often, so no chequerboard (Odena et al. 2016)
            up += [ConvTranspose2d(before, after, 4, stride=2, padding=1), ReLU()]
        super().__init__(
            nn.Sequential(*down, nn.Flatten(), Linear(numbers, code)),
            nn.Sequential(Linear(code, numbers), ReLU(), nn.Unflatten(1, small), *up[:-1]),
            shape=shape,
            output=output,
        )


class DenoisingAutoencoder(nn.Module):
    """Any autoencoder, trained to undo a corruption: loss(x) is that of saying x, having seen `corrupt(x)`.

    corruption: "mask" sets a share ``amount`` of the numbers to 0, "salt_and_pepper" sets them to 0 or 1 at random,
    "gaussian" adds N(0, amount²) (all three: Vincent et al. 2010). Nothing is corrupted outside `loss` and `corrupt`.
    """

    def __init__(self, autoencoder: Autoencoder, corruption: str = "mask", amount: float = 0.25, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if corruption not in ("mask", "salt_and_pepper", "gaussian"):
            raise ValueError(f"corruption={corruption!r}, expected 'mask', 'salt_and_pepper' or 'gaussian'")
        if amount < 0 or (amount > 1 and corruption != "gaussian"):
            raise ValueError(f"amount={amount}: a share lies between 0 and 1, a standard deviation is not negative")
        self.autoencoder, self.corruption, self.amount, self.generator = autoencoder, corruption, amount, generator

    def corrupt(self, x: Tensor) -> Tensor:
        """x with noise of the chosen kind, the same shape."""
        if self.corruption == "gaussian":
            return x + self.amount * torch.randn(x.shape, generator=self.generator, device=x.device, dtype=x.dtype)
        chance = torch.rand(x.shape, generator=self.generator, device=x.device)
        if self.corruption == "mask":
            return x.masked_fill(chance < self.amount, 0)
        # Of the numbers below `amount`, the lower half becomes 0 and the upper half 1.
        return torch.where(chance < self.amount, (chance > self.amount / 2).to(x.dtype), x)

    def forward(self, x: Tensor) -> Tensor:
        return self.autoencoder(x)

    def encode(self, x: Tensor) -> Tensor:
        return self.autoencoder.encode(x)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.autoencoder.reconstruct(x)

    def loss(self, x: Tensor) -> Tensor:
        return self.autoencoder.loss(self.corrupt(x), x)


def linear_autoencoder(features: int, code: int) -> DenseAutoencoder:
    """No activation, squared error: trained on centred data it spans the first principal components."""
    return DenseAutoencoder((features, code), "linear", output="values", bias=False)


def _published_2006(figure: str) -> str:
    return f"Hinton and Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks, {figure}"


@published(paper=_published_2006("digits"), reference="torch.nn", example=lambda: (torch.zeros(1, 784),))
def autoencoder_2006() -> DenseAutoencoder:
    """For MNIST: 784-1000-500-250-30 and back."""
    return DenseAutoencoder((784, 1000, 500, 250, 30))


@published(paper=_published_2006("curves"), reference="torch.nn", example=lambda: (torch.zeros(1, 784),))
def autoencoder_2006_curves() -> DenseAutoencoder:
    """For drawn curves of three random points: 784-400-200-100-50-25-6 and back; the data has six degrees of freedom."""
    return DenseAutoencoder((784, 400, 200, 100, 50, 25, 6))


def convolutional_autoencoder(code: int = 32) -> ConvolutionalAutoencoder:
    """For pictures of 1×28×28: 32 and 64 channels at 14×14 and 7×7."""
    return ConvolutionalAutoencoder((1, 28, 28), (32, 64), code)
