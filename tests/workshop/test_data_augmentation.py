"""Augmentation: exact where it can be, equal to torchvision where that is installed, and the same again from one seed."""

from __future__ import annotations

import colorsys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from parity import reference
from torch import Tensor

from viva.data import augmentation as au


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 4, channels: int = 3, height: int = 9, width: int = 7, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(count, channels, height, width, generator=generator(seed), dtype=dtype)


EVERY = [
    au.RandomFlip(), au.RandomCrop(6), au.RandomCrop((9, 7), padding=2), au.RandomCrop(5, padding=1, mode="reflect"),
    au.RandomRotation(30), au.ColourJitter(0.4, 0.4, 0.4, 0.1), au.Cutout(3),
    au.Compose(au.RandomFlip(), au.RandomRotation(10), au.Cutout(2)),
]  # fmt: skip
NAMES = ["flip", "crop", "padded crop", "reflected crop", "rotation", "jitter", "cutout", "all"]


@pytest.mark.parametrize("augment", EVERY, ids=NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_one_seed_gives_one_result_and_leaves_the_input_alone(augment: au.Augmentation, dtype: torch.dtype) -> None:
    images = pictures(16, dtype=torch.float32).to(dtype)
    before = images.clone()
    first, again, other = (augment(images, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(images, before) and first.dtype == dtype and len(first) == 16


@pytest.mark.parametrize("augment", EVERY, ids=NAMES)
def test_chance_comes_from_the_generator_alone(augment: au.Augmentation) -> None:
    images, source = pictures(16), generator(5)
    state = torch.get_rng_state()
    augment(images, source)
    assert torch.equal(torch.get_rng_state(), state) and not torch.equal(source.get_state(), generator(5).get_state())


@pytest.mark.parametrize("augment", EVERY, ids=NAMES)
def test_images_of_a_batch_get_their_own_parameters(augment: au.Augmentation) -> None:
    changed = augment(pictures(1).expand(32, -1, -1, -1).clone(), generator())
    assert any(not torch.equal(changed[0], image) for image in changed)


@pytest.mark.parametrize("augment", EVERY, ids=NAMES)
def test_values_stay_in_the_unit_interval(augment: au.Augmentation) -> None:
    changed = augment(pictures(16), generator())
    assert float(changed.min()) >= 0 and float(changed.max()) <= 1 + 1e-6


@pytest.mark.parametrize("augment", EVERY, ids=NAMES)
def test_a_single_image_must_be_given_as_a_batch(augment: au.Augmentation) -> None:
    with pytest.raises(ValueError, match=r"images are \(N, C, H, W\); these are \(3, 9, 7\)"):
        augment(torch.rand(3, 9, 7), generator())


@pytest.mark.parametrize("augment", [EVERY[0], EVERY[1], EVERY[2], EVERY[6]])
def test_bytes_are_moved_and_cut_as_they_are(augment: au.Augmentation) -> None:
    images = torch.randint(256, (8, 1, 9, 7), dtype=torch.uint8)
    assert augment(images, generator()).dtype == torch.uint8


@pytest.mark.parametrize("change", [au.rotate, au.brightness, au.contrast, au.saturation, au.hue])
def test_bytes_are_not_computed_with(change: object) -> None:
    with pytest.raises(TypeError, match=r"floats in \[0, 1\]; these images are torch.uint8"):
        change(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), 0.1)  # type: ignore[operator]


# ---------------------------------------------------------------- flips


def test_two_flips_are_none() -> None:
    images = pictures()
    assert torch.equal(au.flip(au.flip(images)), images) and not torch.equal(au.flip(images), images)
    assert torch.equal(au.flip(images)[..., 0], images[..., -1])
    always, never = au.RandomFlip(1.0), au.RandomFlip(0.0)
    assert torch.equal(always(always(images)), images) and torch.equal(never(images), images)


def test_only_the_chosen_images_are_flipped_and_half_of_them_by_chance() -> None:
    images = pictures(3)
    flipped = au.flip(images, torch.tensor([True, False, True]))
    assert torch.equal(flipped[1], images[1]) and torch.equal(flipped[[0, 2]], images.flip(-1)[[0, 2]])
    many = torch.tensor([0.0, 1.0]).expand(4000, 1, 1, 2)
    assert abs(float(au.RandomFlip()(many, generator())[:, 0, 0, 0].mean()) - 0.5) < 0.03
    with pytest.raises(ValueError, match=r"in \[0, 1\]; this is 2"):
        au.RandomFlip(2)


# ---------------------------------------------------------------- crops


@given(height=st.integers(1, 8), width=st.integers(1, 8), data=st.data())
def test_a_crop_is_the_slice(height: int, width: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    images = pictures(3, 2, height, width)
    top = torch.tensor([data.draw(st.integers(0, height - size[0])) for _ in range(3)])
    left = torch.tensor([data.draw(st.integers(0, width - size[1])) for _ in range(3)])
    windows = au.crop(images, top, left, size)
    for image, window, y, x in zip(images, windows, top.tolist(), left.tolist(), strict=True):
        assert torch.equal(window, image[:, y : y + size[0], x : x + size[1]])


def test_every_place_of_a_padded_crop_is_drawn_equally_often() -> None:
    image = torch.zeros(1, 1, 3, 3)
    image[..., 1, 1] = 1.0
    cropped = au.RandomCrop(3, padding=1)(image.expand(9000, -1, -1, -1), generator())
    counts = cropped.sum((0, 1)).flatten()  # where the middle went
    assert counts.sum() == 9000 and float(((counts - 1000) ** 2 / 1000).sum()) < 26.1  # 0.1 %, 8 degrees


def test_the_padding_has_its_value_and_the_whole_window_is_the_image() -> None:
    images = pictures()
    assert torch.equal(au.RandomCrop((9, 7))(images), images)
    padded = au.pad(images, 2, value=0.5)
    assert padded.shape == (4, 3, 13, 11) and (padded[..., :2, :] == 0.5).all() and torch.equal(padded[..., 2:-2, 2:-2], images)


def test_a_window_larger_than_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match="window of 10×7 does not fit into images of 9×7"):
        au.RandomCrop((10, 7))(pictures())


# ---------------------------------------------------------------- rotation


@pytest.mark.parametrize(("degrees", "turns"), [(0, 0), (90, 1), (180, 2), (270, 3), (360, 0), (-90, 3), (720, 0)])
@pytest.mark.parametrize("size", [7, 8])
def test_quarter_turns_are_exact(degrees: int, turns: int, size: int) -> None:
    images = pictures(height=size, width=size, dtype=torch.float64)
    torch.testing.assert_close(au.rotate(images, degrees), images.rot90(turns, (2, 3)), rtol=0, atol=1e-12)
    singles = images.float()
    torch.testing.assert_close(au.rotate(singles, degrees), singles.rot90(turns, (2, 3)), rtol=0, atol=1e-5)


def test_an_oblong_image_is_turned_and_not_sheared() -> None:
    image = torch.zeros(1, 1, 21, 41)
    image[..., 10, 5:36] = 1.0  # a line of 31 through the middle, along the width
    upright = au.rotate(image, 90.0)[0, 0]
    assert float(upright[:, 20].min()) > 0.99 and abs(float(upright.sum()) - 21) < 1e-3  # as much of it as the height shows
    slanted = au.rotate(image, 30.0)[0, 0]
    rows = (slanted * torch.arange(21.0)[:, None])[:, 25].sum() / slanted[:, 25].sum()
    assert float(rows) == pytest.approx(10 - 5 * 3**-0.5, abs=0.1)  # rises to the right at 30°: counter-clockwise


def test_each_image_has_its_own_angle() -> None:
    images = pictures(height=7)
    turned = au.rotate(images, torch.tensor([0.0, 90.0, 180.0, 270.0]))
    for i in range(4):
        torch.testing.assert_close(turned[i], images[i].rot90(i, (1, 2)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("degrees", [-170.0, -33.3, 5.0, 90.0, 123.4])
@pytest.mark.parametrize(("height", "width"), [(9, 7), (8, 8), (5, 16)])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_rotation_is_torchvisions(degrees: float, height: int, width: int, mode: str) -> None:
    functional = reference("torchvision.transforms.v2.functional")
    images = pictures(height=height, width=width, dtype=torch.float64)
    kind = reference("torchvision.transforms").InterpolationMode(mode)
    theirs = functional.rotate(images, degrees, interpolation=kind)
    if mode == "bilinear":
        torch.testing.assert_close(au.rotate(images, degrees, mode), theirs, rtol=0, atol=1e-5)
    elif degrees % 90:  # of a quarter turn between even and odd sides every pixel is a tie, which may fall either way
        assert float((au.rotate(images, degrees, mode) != theirs).double().mean()) < 0.02


# ---------------------------------------------------------------- colour


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 1.7])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
@pytest.mark.parametrize("channels", [1, 3])
def test_colours_are_torchvisions(name: str, factor: float, channels: int) -> None:
    functional = reference("torchvision.transforms.v2.functional")
    images = pictures(channels=channels, dtype=torch.float64)
    theirs = getattr(functional, f"adjust_{name}")(images, factor)
    torch.testing.assert_close(getattr(au, name)(images, factor), theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shift", [-0.5, -0.2, 0.0, 0.07, 1 / 3, 0.5])
def test_hues_are_torchvisions(shift: float) -> None:
    functional = reference("torchvision.transforms.v2.functional")
    images = pictures(height=40, width=40, dtype=torch.float64)
    images[:, :, :10] = (images[:, :, :10] * 3).round() / 3  # greys, blacks, whites and pure colours
    torch.testing.assert_close(au.hue(images, shift), functional.adjust_hue(images, shift), rtol=0, atol=5e-6)  # it computes in float32


@pytest.mark.parametrize("shift", [-0.4, 0.07, 0.5])
def test_hues_are_those_of_the_standard_library(shift: float) -> None:
    images = pictures(1, height=10, width=10, dtype=torch.float64)
    images[:, :, :3] = (images[:, :, :3] * 3).round() / 3
    turned = au.hue(images, shift)[0].flatten(1).T.tolist()
    for pixel, ours in zip(images[0].flatten(1).T.tolist(), turned, strict=True):
        h, s, v = colorsys.rgb_to_hsv(*pixel)
        assert ours == pytest.approx(colorsys.hsv_to_rgb((h + shift) % 1, s, v), abs=1e-12)


def test_factor_one_and_shift_zero_change_nothing() -> None:
    images = pictures(dtype=torch.float64)
    for change in (au.brightness, au.contrast, au.saturation):
        torch.testing.assert_close(change(images, 1.0), images, rtol=0, atol=1e-15)
    torch.testing.assert_close(au.hue(images, 0.0), images, rtol=0, atol=1e-12)
    torch.testing.assert_close(au.hue(au.hue(images, 0.3), -0.3), images, rtol=0, atol=1e-12)
    assert torch.equal(au.ColourJitter()(images), images)


def test_a_third_of_a_turn_makes_red_green_and_greys_stay() -> None:
    red, green = torch.tensor([1.0, 0, 0])[None, :, None, None], torch.tensor([0, 1.0, 0])[None, :, None, None]
    torch.testing.assert_close(au.hue(red, 1 / 3), green, rtol=0, atol=1e-6)
    greys = torch.linspace(0, 1, 5).expand(1, 3, 1, 5)
    torch.testing.assert_close(au.hue(greys, 0.21), greys)


def test_each_image_has_its_own_factor_and_their_number_must_fit() -> None:
    images = pictures(2)
    bright = au.brightness(images, torch.tensor([0.0, 0.5]))
    assert (bright[0] == 0).all() and torch.equal(bright[1], images[1] * 0.5)
    with pytest.raises(ValueError, match="3 values were given for 2 images"):
        au.brightness(images, torch.ones(3))


def test_other_numbers_of_channels_have_no_colour() -> None:
    with pytest.raises(ValueError, match="1 or 3 channels; these images have 2"):
        au.saturation(pictures(channels=2), 0.5)
    with pytest.raises(ValueError, match="these images have 4"):
        au.hue(pictures(channels=4), 0.1)
    with pytest.raises(ValueError, match=r"hue at most 0.5"):
        au.ColourJitter(hue=0.6)


# ---------------------------------------------------------------- cutout


@given(height=st.integers(1, 9), width=st.integers(1, 9), size=st.integers(0, 12), data=st.data())
def test_cutout_zeroes_exactly_a_clipped_square(height: int, width: int, size: int, data: st.DataObject) -> None:
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    images = torch.rand(1, 2, height, width) + 1
    done = au.cut(images, torch.tensor([row]), torch.tensor([column]), size)
    top, left = row - size // 2, column - size // 2
    expected = images.clone()
    expected[:, :, max(0, top) : max(0, top + size), max(0, left) : max(0, left + size)] = 0
    assert torch.equal(done, expected)


def test_cutout_draws_every_pixel_as_a_middle() -> None:
    done = au.Cutout(1)(torch.ones(6000, 1, 3, 4), generator())
    assert (done.sum((1, 2, 3)) == 11).all()
    counts = 6000 - done.sum((0, 1)).flatten()
    assert float(((counts - 500) ** 2 / 500).sum()) < 31.3  # 0.1 %, 11 degrees
    with pytest.raises(ValueError, match="this is -1"):
        au.Cutout(-1)


# ---------------------------------------------------------------- mixup


@given(seed=st.integers(0, 99), alpha=st.sampled_from([0.1, 0.2, 1.0, 5.0]))
def test_mixup_keeps_equal_labels_and_their_sum(seed: int, alpha: float) -> None:
    mix = au.Mixup(5, alpha)
    images, targets = mix(pictures(6), torch.full((6,), 3), generator(seed))
    assert torch.equal(targets, torch.eye(5)[3].expand(6, 5))
    _, targets = mix(pictures(6), torch.arange(6) % 5, generator(seed))
    torch.testing.assert_close(targets.sum(1), torch.ones(6))
    assert float(images.min()) >= 0 and float(images.max()) <= 1 + 1e-6


def test_images_and_targets_are_mixed_in_the_same_share() -> None:
    labels = torch.arange(4)
    images = torch.eye(4)[:, :, None, None]  # an image is its own label
    mixed, targets = au.Mixup(4, 1.0)(images, labels, generator(3))
    torch.testing.assert_close(mixed[:, :, 0, 0], targets)
    assert not torch.equal(targets, torch.eye(4))
    soft, _ = au.Mixup(4, 1.0)(images, torch.eye(4), generator(3))
    assert torch.equal(soft, mixed)  # soft labels may be mixed again


def test_mixup_is_torchvisions_with_its_partners() -> None:
    functional = reference("torchvision.transforms.v2")
    images, labels = pictures(6), torch.arange(6)
    torch.manual_seed(4)
    theirs, their_targets = functional.MixUp(num_classes=6, alpha=1.0)(images, labels)
    share = float(their_targets[0].max()) if float(their_targets[0].argmax()) == 0 else float(their_targets[0, 0])
    ours, targets = au.mix(images, torch.eye(6), share, torch.arange(6).roll(1))
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(targets, their_targets)


def test_shares_follow_the_beta_distribution() -> None:
    images, labels = torch.zeros(2, 1, 1, 1), torch.tensor([0, 1])
    source = generator()
    drawn = torch.tensor([float(au.Mixup(2, 0.5)(images, labels, source)[1][0, 0]) for _ in range(2000)])
    shares = drawn[drawn != 1.0]  # where the partner is the other one
    assert 850 < len(shares) < 1150
    # Beta(1/2, 1/2): mean 1/2, variance 1/8, and a third below 1/4
    assert abs(float(shares.mean()) - 0.5) < 0.03 and abs(float(shares.var()) - 0.125) < 0.015
    assert abs(float((shares < 0.25).double().mean()) - 1 / 3) < 0.05


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"4 images came with labels of shape \(3,\)"):
        au.Mixup(2)(pictures(4), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(TypeError, match="floats"):
        au.Mixup(2)(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"soft targets are floats \(N, K\); these are torch.int64"):
        au.mix(pictures(2), torch.zeros(2, 3, dtype=torch.int64), 0.5, torch.arange(2))
    with pytest.raises(ValueError, match="above 0; this is 0"):
        au.Mixup(2, 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("augment", EVERY, ids=NAMES)
def test_a_gpu_gives_what_the_cpu_gives_from_one_seed(augment: au.Augmentation) -> None:
    images = pictures(16)
    torch.testing.assert_close(augment(images.cuda(), generator()).cpu(), augment(images, generator()), rtol=0, atol=1e-5)
