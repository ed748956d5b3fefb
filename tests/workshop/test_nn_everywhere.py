"""What holds for every part of the room: one compiled graph, bfloat16, autocast, the meta device, errors with both shapes."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from agreement import random
from torch import Tensor

from viva import nn
from viva.nn.shapes import expect_floating, expect_shape

IMAGE, ROWS = (2, 4, 8, 8), (2, 6, 4)

# name: the module, the shape of its input
PARTS: dict[str, tuple[Callable[[], torch.nn.Module], tuple[int, ...]]] = {
    "Linear": (lambda: nn.Linear(4, 3), ROWS),
    "Conv2d": (lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2), IMAGE),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1), IMAGE),
    "DepthwiseSeparableConv2d": (lambda: nn.DepthwiseSeparableConv2d(4, 6), IMAGE),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, 1), IMAGE),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), IMAGE),
    "GlobalAvgPool2d": (nn.GlobalAvgPool2d, IMAGE),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(6), ROWS),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4), IMAGE),
    "LayerNorm": (lambda: nn.LayerNorm(4), ROWS),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), IMAGE),
    "RMSNorm": (lambda: nn.RMSNorm(4), ROWS),
    "Residual": (lambda: nn.Residual(nn.Linear(4, 4)), ROWS),
    "SqueezeExcitation": (lambda: nn.SqueezeExcitation(4, 2, nn.SiLU), IMAGE),
    "Dropout": (lambda: nn.Dropout(0.0), ROWS),
    "StochasticDepth": (lambda: nn.StochasticDepth(0.0), ROWS),
    "Sigmoid": (nn.Sigmoid, ROWS),
    "Tanh": (nn.Tanh, ROWS),
    "ReLU": (nn.ReLU, ROWS),
    "ReLU6": (nn.ReLU6, ROWS),
    "LeakyReLU": (nn.LeakyReLU, ROWS),
    "GELU": (nn.GELU, ROWS),
    "SiLU": (nn.SiLU, ROWS),
    "Softmax": (nn.Softmax, ROWS),
}
EVERY = pytest.mark.parametrize("name", PARTS)


def built(name: str) -> tuple[torch.nn.Module, Tensor]:
    torch.manual_seed(0)
    module, shape = PARTS[name]
    return module(), random(*shape, dtype=torch.float32)


def test_every_exported_name_is_there_and_documented() -> None:
    for name in nn.__all__:
        thing = getattr(nn, name)
        assert thing.__module__.startswith("viva.nn."), name
    for name in ("Linear", "conv2d", "BatchNorm2d", "focal", "he_normal_", "unfold", "Rotary", "attention"):
        assert getattr(nn, name).__doc__


def test_every_layer_of_the_room_is_tried_here() -> None:
    own = {"Embedding", "MultiHeadAttention", "KVCache", "LearnedPositions", "SinusoidalPositions", "Rotary"}
    layers = {name for name in nn.__all__ if isinstance(getattr(nn, name), type)}
    assert layers - own == set(PARTS)


def test_every_file_opens_with_what_it_is() -> None:
    for file in Path(nn.__file__).parent.glob("*.py"):
        module = importlib.import_module("viva.nn" if file.stem == "__init__" else f"viva.nn.{file.stem}")
        assert module.__doc__ and len(module.__doc__) > 200, file.stem


@EVERY
def test_a_part_compiles_into_one_graph(name: str) -> None:
    module, x = built(name)
    torch.compiler.reset()
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    assert torch.equal(compiled(x), module(x))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(compiled(x), module(x))


def test_an_embedding_compiles_into_one_graph() -> None:
    table, ids = nn.Embedding(5, 3, padding_index=0), torch.tensor([[0, 4]])
    torch.compiler.reset()
    assert torch.equal(torch.compile(table, fullgraph=True, backend="eager")(ids), table(ids))


def test_noise_compiles_into_one_graph() -> None:
    x = torch.ones(200, 3)
    for layer in (nn.Dropout(0.5), nn.StochasticDepth(0.5)):
        torch.compiler.reset()
        assert set(torch.compile(layer, fullgraph=True, backend="eager")(x).unique().tolist()) == {0.0, 2.0}


def test_losses_compile_into_one_graph() -> None:
    classes = torch.tensor([0, 3, 1, -100, 2, 0])
    logits, other = random(6, 4, dtype=torch.float32), random(6, 4, seed=1, dtype=torch.float32)
    losses: dict[str, Callable[[Tensor], Tensor]] = {
        "mse": lambda z: nn.mse(z, other),
        "cross_entropy": lambda z: nn.cross_entropy(z, classes, label_smoothing=0.1),
        "explained": lambda z: nn.explained_cross_entropy(z, classes),
        "binary": lambda z: nn.binary_cross_entropy(z, other.sigmoid()),
        "focal": lambda z: nn.focal(z, other.sigmoid(), alpha=0.25),
        "info_nce": lambda z: nn.info_nce(z, other),
        "kl": lambda z: nn.kl_divergence(z, other),
    }
    for name, loss in losses.items():
        torch.compiler.reset()
        torch.testing.assert_close(torch.compile(loss, fullgraph=True, backend="eager")(logits), loss(logits), msg=name)


@pytest.mark.slow
def test_a_compiled_network_trains_as_the_plain_one_does() -> None:
    def network() -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Sequential(
            nn.Conv2d(4, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.SqueezeExcitation(8, 2),
            nn.Residual(nn.DepthwiseSeparableConv2d(8, 8, padding=1)), nn.MaxPool2d(2), nn.GlobalAvgPool2d(), nn.Linear(8, 3),
        )  # fmt: skip

    x, y = random(2, 4, 8, 8, dtype=torch.float32), torch.tensor([0, 2])
    torch.compiler.reset()
    plain, fast = network(), network()
    try:
        torch.compile(lambda x: x + 1)(torch.ones(1))
    except Exception as error:
        pytest.skip(f"the compiler's backend does not work here: {type(error).__name__}")
    compiled = torch.compile(fast, fullgraph=True)
    for model in (plain, compiled):
        nn.cross_entropy(model(x), y).backward()
    for mine, other in zip(fast.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-6)
    for mine, other in zip(fast.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(mine, other)


@EVERY
def test_bfloat16_is_near_float32(name: str) -> None:
    module, x = built(name)
    whole = module(x)
    half = module.bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    assert (half.float() - whole).abs().max() <= 0.03 * whole.abs().max()


@EVERY
def test_autocast_is_near_float32_and_has_gradients(name: str) -> None:
    module, x = built(name)
    whole = module(x)
    x.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        half = module(x.bfloat16())
    half.float().sum().backward()
    assert x.grad.isfinite().all()
    assert (half.float() - whole).abs().max() <= 0.03 * whole.abs().max()


@EVERY
def test_the_meta_device_knows_the_shape(name: str) -> None:
    module, x = built(name)
    expected = module(x).shape
    with torch.device("meta"):
        hollow = PARTS[name][0]()
    assert all(tensor.is_meta for tensor in hollow.state_dict().values())
    assert hollow(x.to("meta")).shape == expected


def test_an_embedding_on_the_meta_device_knows_the_shape() -> None:
    with torch.device("meta"):
        assert nn.Embedding(5, 3, 0)(torch.zeros(2, 4, dtype=torch.long)).shape == (2, 4, 3)


@EVERY
def test_a_part_can_be_printed_copied_and_saved(name: str, tmp_path: Path) -> None:
    import copy

    module, x = built(name)
    module.eval()
    assert name in repr(module)
    twin = copy.deepcopy(module)
    torch.save(module.state_dict(), tmp_path / "part.pt")
    twin.load_state_dict(torch.load(tmp_path / "part.pt", weights_only=True))
    assert torch.equal(twin(x), module(x))


def test_shapes_are_written_as_in_the_docstrings() -> None:
    expect_shape("a layer", torch.zeros(2, 3, 4), (..., 4))
    expect_shape("a layer", torch.zeros(4), (..., 4))
    expect_shape("a layer", torch.zeros(2, 3), ("N", 3))
    for shape, expected, message in (
        ((2, 3), ("N", 4), r"a layer got an input of shape \(2, 3\), expected \(N, 4\)\. Look there"),
        ((3,), ("N", 3), r"\(3,\), expected \(N, 3\)"),
        ((), (..., 3), r"\(\), expected \(\.\.\., 3\)"),
        ((2, 3, 4), ("N", 3), r"\(2, 3, 4\), expected \(N, 3\)"),
    ):
        with pytest.raises(ValueError, match=message):
            expect_shape("a layer", torch.zeros(shape), expected, "Look there.")


def test_dtypes_are_named_with_what_to_do_next() -> None:
    weight = torch.zeros(1)
    expect_floating("a layer", torch.zeros(1), weight)
    with pytest.raises(TypeError, match=r"bfloat16 for weights of torch.float32: convert the input with x.to\(torch.float32\)"):
        expect_floating("a layer", torch.zeros(1, dtype=torch.bfloat16), weight)
    with torch.autocast("cpu", torch.bfloat16):
        expect_floating("a layer", torch.zeros(1, dtype=torch.bfloat16), weight)
    with pytest.raises(TypeError, match=r"torch.bool, expected floating point"):
        expect_floating("a layer", torch.zeros(1, dtype=torch.bool))
