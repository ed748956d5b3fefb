"""The LeNet-size network: equal to torch.nn's layers, the paper's numbers, the options, the errors."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from parity import check_parity
from torch import nn

from viva.models.checkpoint import Layout
from viva.models.cnn import CNN, lenet5
from viva.models.summary import count_parameters, mult_adds

LENET = Layout(("conv1", "0"), ("conv2", "3"), ("fc1", "7"), ("fc2", "9"), ("fc3", "11"))
MODERN = Layout(
    ("conv1", "0"), ("norm1", "1"), ("conv2", "4"), ("norm2", "5"), ("fc1", "9"), ("fc2", "11"), ("fc3", "14")
)  # fmt: skip


def plain_lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


def plain_modern():
    """3 channels, 28 pixels, twice the width, ReLU, max pooling, batch norm, dropout."""
    return nn.Sequential(
        nn.Conv2d(3, 12, 5, padding=2, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 32, 5, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(800, 240), nn.ReLU(), nn.Linear(240, 168), nn.ReLU(), nn.Dropout(0.3), nn.Linear(168, 7),
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lenet5_equals_torch_and_its_record(dtype, record):
    record("lenet5", check_parity(lenet5(), plain_lenet(), torch.randn(8, 1, 32, 32), layout=LENET, dtype=dtype))


@pytest.mark.parametrize("training", [True, False])
def test_equals_torch_with_every_option(training):
    ours = CNN(
        3, 7, image_size=28, activation="relu", pooling="max", batch_norm=True, dropout=0.3, width=2
    ).train(training)  # fmt: skip
    theirs = plain_modern().train(training)
    check_parity(ours, theirs, torch.randn(8, 3, 28, 28), layout=MODERN, dtype=torch.float64)


def test_parameters_and_work_are_the_sums_in_the_text():
    model = lenet5()
    by_layer = [sum(p.numel() for p in layer.parameters()) for layer in (model.conv1, model.conv2, model.fc1, model.fc2, model.fc3)]
    assert by_layer == [156, 2_416, 48_120, 10_164, 850]
    assert count_parameters(model) == 61_706
    assert mult_adds(model, torch.zeros(1, 1, 32, 32)) == 28**2 * 150 + 100 * 2_400 + 48_000 + 10_080 + 840


def test_28_pixels_are_the_papers_32_with_a_border_of_zeros():
    small, large = CNN(image_size=28), CNN(image_size=32)
    large.load_state_dict(small.state_dict())
    digits = torch.randn(2, 1, 28, 28)
    torch.testing.assert_close(small(digits), large(F.pad(digits, (2, 2, 2, 2))))


def test_a_shifted_digit_gives_shifted_feature_maps():
    model = lenet5()
    image = torch.zeros(1, 1, 32, 32)
    image[..., 8:16, 8:16] = torch.randn(8, 8)
    shifted = image.roll((3, 5), (2, 3))
    torch.testing.assert_close(model.conv1(image).roll((3, 5), (2, 3))[..., 5:, 7:], model.conv1(shifted)[..., 5:, 7:])


@pytest.mark.parametrize(("arguments", "words"), [
    ({"image_size": 15}, "15.*16"),
    ({"image_size": 3}, "3.*16"),
    ({"pooling": "median"}, "median.*average"),
    ({"activation": "swoosh"}, "swoosh.*tanh"),
])  # fmt: skip
def test_impossible_settings_are_refused_in_words(arguments, words):
    with pytest.raises(ValueError, match=words):
        CNN(**arguments)


def test_the_smallest_image_works():
    assert CNN(image_size=16)(torch.randn(2, 1, 16, 16)).shape == (2, 10)


def test_bad_images_are_refused_with_both_shapes():
    model = lenet5()
    with pytest.raises(ValueError, match=r"\(2, 1, 28, 28\).*\(batch, 1, 32, 32\).*image_size=28"):
        model(torch.zeros(2, 1, 28, 28))
    with pytest.raises(ValueError, match=r"\(2, 3, 32, 32\).*\(batch, 1, height, width\).*in_channels=3"):
        model(torch.zeros(2, 3, 32, 32))
    with pytest.raises(ValueError, match=r"\(2, 32, 32, 1\).*permute"):
        model(torch.zeros(2, 32, 32, 1))
    with pytest.raises(ValueError, match=r"\(1, 32, 32\).*unsqueeze"):
        model(torch.zeros(1, 32, 32))
    with pytest.raises(TypeError, match=r"uint8.*255"):
        model(torch.zeros(2, 1, 32, 32, dtype=torch.uint8))
    with pytest.raises(TypeError, match=r"float64.*float32"):
        model(torch.zeros(2, 1, 32, 32, dtype=torch.float64))


def test_channels_last_bfloat16_and_tracing_work():
    model = CNN(batch_norm=True).eval()
    x = torch.randn(2, 1, 32, 32)
    wanted = model(x)
    torch.testing.assert_close(model.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last)), wanted)
    torch.testing.assert_close(torch.compile(model, backend="eager", fullgraph=True)(x), wanted)
    torch.testing.assert_close(model.bfloat16()(x.bfloat16()).float(), wanted, atol=0.03, rtol=0.05)
