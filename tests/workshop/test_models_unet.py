"""U-Net: equal to an independent one written from the paper's figure, its sizes, the sizes that fit, the errors."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from norms import scrambled
from parity import check_parity, relative
from torch import nn

from viva.models.checkpoint import Layout
from viva.models.summary import count_parameters, mult_adds
from viva.models.unet import UNet, crop, unet


class Drawn(nn.Module):
    """Figure 1 drawn in torch.nn, arrow by arrow, without a loop: a1 … a9 are the blue arrows in pairs, u6 … u9 the green ones."""

    def __init__(self, n_in=1, n_out=2, w=64, same=False, norms=False):
        super().__init__()

        def blue(i, o):
            first, second = (nn.Conv2d(n, o, 3, padding="same" if same else "valid", bias=not norms) for n in (i, o))
            if norms:
                return nn.Sequential(first, nn.BatchNorm2d(o), nn.ReLU(), second, nn.BatchNorm2d(o), nn.ReLU())
            return nn.Sequential(first, nn.ReLU(), second, nn.ReLU())

        self.a1, self.a2, self.a3, self.a4 = blue(n_in, w), blue(w, 2 * w), blue(2 * w, 4 * w), blue(4 * w, 8 * w)
        self.a5 = blue(8 * w, 16 * w)
        self.u6, self.a6 = nn.ConvTranspose2d(16 * w, 8 * w, 2, 2), blue(16 * w, 8 * w)
        self.u7, self.a7 = nn.ConvTranspose2d(8 * w, 4 * w, 2, 2), blue(8 * w, 4 * w)
        self.u8, self.a8 = nn.ConvTranspose2d(4 * w, 2 * w, 2, 2), blue(4 * w, 2 * w)
        self.u9, self.a9 = nn.ConvTranspose2d(2 * w, w, 2, 2), blue(2 * w, w)
        self.last = nn.Conv2d(w, n_out, 1)

    def forward(self, x):
        x1 = self.a1(x)
        x2 = self.a2(F.max_pool2d(x1, 2))
        x3 = self.a3(F.max_pool2d(x2, 2))
        x4 = self.a4(F.max_pool2d(x3, 2))
        x5 = self.a5(F.max_pool2d(x4, 2))
        x6 = self.a6(grey(x4, self.u6(x5)))
        x7 = self.a7(grey(x3, self.u7(x6)))
        x8 = self.a8(grey(x2, self.u8(x7)))
        x9 = self.a9(grey(x1, self.u9(x8)))
        return self.last(x9)


def grey(left, right):
    """The grey arrows: a negative padding cuts; white and blue boxes side by side."""
    cut = [(right.shape[i] - left.shape[i]) // 2 for i in (3, 3, 2, 2)]
    return torch.cat([F.pad(left, cut), right], 1)


DRAWN = Layout(
    *((f"down.{i}", f"a{i + 1}") for i in range(4)),
    ("bottom", "a5"),
    *((f"up.{i}", f"u{i + 6}") for i in range(4)),
    *((f"merge.{i}", f"a{i + 6}") for i in range(4)),
    ("head", "last"),
)


# Parity


@pytest.mark.slow
def test_equals_the_figure_at_full_size_and_its_record(record):
    record("unet", check_parity(unet(), Drawn(), torch.randn(1, 1, 188, 204), layout=DRAWN))


@pytest.mark.slow
def test_equals_the_figure_in_float64_and_its_record(record):
    record("unet", check_parity(unet(), Drawn(), torch.randn(1, 1, 188, 188), layout=DRAWN, dtype=torch.float64))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("same", "norms"), [(False, False), (True, False), (True, True), (False, True)])
def test_a_narrow_one_equals_the_figure_in_float64(same, norms, training):
    ours = UNet(3, 4, width=4, padding="same" if same else "valid", batch_norm=norms).train(training)
    theirs = scrambled(Drawn(3, 4, 4, same, norms)).train(training)
    images = torch.randn(2, 3, 48, 32) if same else torch.randn(2, 3, 204, 188)
    check_parity(ours, theirs, images, layout=DRAWN, dtype=torch.float64)


# Sizes


def test_the_papers_sizes_are_exact():
    with torch.device("meta"):
        model = unet()
        image = torch.zeros(1, 1, 572, 572)
        assert model(image).shape == (1, 2, 388, 388)
        assert mult_adds(model, image) == mult_adds(Drawn(), image)
    assert count_parameters(model) == 31_030_658
    assert model.output_size(572) == 388


def test_the_maps_on_the_way_have_the_sizes_of_the_figure():
    seen = []
    with torch.device("meta"):
        model = unet()
        for part in (*model.down, model.bottom, *model.merge):
            part.register_forward_hook(lambda _, given, made: seen.append((given[0].shape[3], *made.shape[1::2])))
        model(torch.zeros(1, 1, 572, 572))
    assert seen == [
        (572, 64, 568), (284, 128, 280), (140, 256, 136), (68, 512, 64), (32, 1024, 28),
        (56, 512, 52), (104, 256, 100), (200, 128, 196), (392, 64, 388),
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.sampled_from(["valid", "same"]), st.integers(1, 400))
def test_a_size_fits_exactly_when_the_network_can_run_it(depth, padding, size):
    with torch.device("meta"):
        model = UNet(depth=depth, width=1, padding=padding)
        image = torch.zeros(1, 1, size, size)
    # The rule of the paper, halving by halving: every map that is pooled is even, every map has a pixel.
    here, lost = size, 0 if padding == "same" else 4
    fits = True
    for _ in range(depth):
        here -= lost
        fits, here = fits and here > 0 and here % 2 == 0, here // 2
    for _ in range(depth):
        here = 2 * (here - lost)
        fits = fits and here > 0
    here -= lost
    if fits and here > 0:
        assert model.output_size(size) == here
        assert model(image).shape == (1, 2, here, here)
    else:
        with pytest.raises(ValueError, match=f"{size} pixels do not fit"):
            model(image)


@pytest.mark.parametrize(("padding", "size", "words"), [
    ("valid", 570, "start at 188 and lie 16 apart; the nearest: 556 and 572"),
    ("valid", 100, "nearest: 188;"),
    ("same", 100, "start at 16 and lie 16 apart; the nearest: 96 and 112"),
    ("same", 7, "nearest: 16;"),
])  # fmt: skip
def test_a_size_that_does_not_fit_is_refused_with_the_nearest_that_do(padding, size, words):
    model = UNet(width=1, padding=padding)
    with pytest.raises(ValueError, match=words) as refused:
        model(torch.zeros(2, 1, size, 572 if padding == "valid" else 64))
    assert f"(2, 1, {size}, " in str(refused.value)


# What it is


def test_the_crop_is_the_middle_and_no_copy():
    skip = torch.arange(2 * 8 * 9.0).reshape(1, 2, 8, 9)
    middle = crop(skip, torch.zeros(1, 5, 4, 3))
    assert torch.equal(middle, skip[:, :, 2:6, 3:6])
    assert middle.untyped_storage().data_ptr() == skip.untyped_storage().data_ptr()


def test_valid_tiles_fit_together_without_a_seam():
    # The overlap-tile strategy (Figure 2): two tiles whose insides touch give what the whole image gives.
    model = UNet(width=3, depth=2).double().eval()
    image = torch.randn(1, 1, 60, 92, dtype=torch.float64)
    whole = model(image)  # 60 × 92 → 20 × 52
    left, right = model(image[..., :72]), model(image[..., 20:])  # 72 → 32 each, 20 further right
    assert whole.shape[2:] == (20, 52) and left.shape[3] == right.shape[3] == 32
    torch.testing.assert_close(torch.cat((left[..., :20], right), 3), whole)


def test_same_padding_returns_the_size_of_the_image():
    assert UNet(3, 5, depth=3, width=4, padding="same")(torch.randn(2, 3, 40, 64)).shape == (2, 5, 40, 64)


def test_every_part_of_the_u_matters():
    model = UNet(depth=2, width=4, padding="same")
    model(torch.randn(1, 1, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in model.parameters())


def test_it_learns_to_outline_squares():
    model = UNet(depth=2, width=8, padding="same", batch_norm=True)
    descent = torch.optim.Adam(model.parameters(), lr=0.01)
    images, labels = torch.zeros(8, 1, 16, 16), torch.zeros(8, 16, 16, dtype=torch.long)
    for i in range(8):
        top, left = torch.randint(8, (2,)).tolist()
        images[i, 0, top : top + 7, left : left + 7] = 1
        labels[i, top : top + 7, left : left + 7] = 1
        labels[i, top + 1 : top + 6, left + 1 : left + 6] = 0  # the edge is the class
    for _ in range(60):
        descent.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        descent.step()
    assert float((model(images).argmax(1) == labels).float().mean()) > 0.99


def test_initialisation_is_he_by_fan_in():
    weight = unet().down[1][2].weight.detach()
    assert float(weight.std()) == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)


# How it runs


def test_channels_last_and_bfloat16_work():
    model = scrambled(UNet(depth=2, width=8, padding="same", batch_norm=True)).eval()
    x = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        wanted = model(x)
        last = model.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
        torch.testing.assert_close(last, wanted, rtol=1e-4, atol=1e-4)
        assert relative(model.bfloat16()(x.bfloat16()).float(), wanted) < 0.1


@pytest.mark.slow
def test_the_compiler_sees_one_graph():
    model = UNet(depth=2, width=4)
    x = torch.randn(1, 1, 60, 60)
    torch.testing.assert_close(torch.compile(model, backend="eager", fullgraph=True)(x), model(x))


@pytest.mark.parametrize(("options", "words"), [
    ({"depth": 0}, "depth=0"),
    ({"width": 0}, "width=0"),
    ({"padding": "reflect"}, "reflect.*valid.*same"),
])  # fmt: skip
def test_impossible_settings_are_refused_in_words(options, words):
    with pytest.raises(ValueError, match=words):
        UNet(**options)


def test_bad_images_are_refused_with_both_shapes():
    model = UNet(depth=1, width=2, padding="same")
    with pytest.raises(ValueError, match=r"\(2, 3, 64, 64\).*\(batch, 1, height, width\).*in_channels=3"):
        model(torch.zeros(2, 3, 64, 64))
    with pytest.raises(ValueError, match=r"\(64, 64\).*\(batch, 1"):
        model(torch.zeros(64, 64))
    with pytest.raises(TypeError, match=r"uint8.*255"):
        model(torch.zeros(2, 1, 64, 64, dtype=torch.uint8))
    with pytest.raises(TypeError, match=r"float64.*float32"):
        model(torch.zeros(2, 1, 64, 64, dtype=torch.float64))
