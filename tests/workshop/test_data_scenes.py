"""Scenes of digits: boxes, masks, maps and captions that are true of the picture; splits that share no digit."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils.data import DataLoader

from viva.data import digits
from viva.data.captions import caption, relation
from viva.data.scenes import (
    Scene,
    SceneConfig,
    Scenes,
    collate_captions,
    collate_detection,
    collate_segmentation,
    digit_indices,
    overlap,
    resize_matrix,
)

CONFIGS = {
    "usual": SceneConfig(),
    "plain": SceneConfig(background="plain", interpolation="nearest"),
    "none": SceneConfig(num_digits=(0, 1)),
    "wide": SceneConfig(height=48, width=112, num_digits=(2, 6), size=(10, 30), max_overlap=0.3),
    "crowded": SceneConfig(height=40, width=40, num_digits=(4, 4), size=(20, 20), max_overlap=0.0),
}
SCENES = {name: Scenes("train", 10_000, config) for name, config in CONFIGS.items()}
ANY_SCENE = (st.sampled_from(sorted(SCENES)), st.integers(0, 9_999))


# ------------------------------------------------------------------------------------------- what a scene says


@settings(max_examples=150)
@given(*ANY_SCENE)
def test_shapes_dtypes_and_ranges(name: str, index: int) -> None:
    config, scene = CONFIGS[name], SCENES[name][index]
    n = len(scene.labels)
    assert config.num_digits[0] <= n <= config.num_digits[1]
    assert (scene.image.dtype, scene.image.shape) == (torch.float32, (1, config.height, config.width))
    assert (scene.boxes.dtype, scene.boxes.shape) == (torch.float32, (n, 4))
    assert (scene.labels.dtype, scene.labels.shape) == (torch.int64, (n,))
    assert (scene.masks.dtype, scene.masks.shape) == (torch.bool, (n, config.height, config.width))
    assert (scene.semantic.dtype, scene.semantic.shape) == (torch.int64, (config.height, config.width))
    assert scene.image.min() >= 0 and scene.image.max() <= 1
    assert ((scene.labels >= 0) & (scene.labels < 10)).all()


@settings(max_examples=150)
@given(*ANY_SCENE)
def test_boxes_are_tight_around_their_masks(name: str, index: int) -> None:
    scene = SCENES[name][index]
    for box, mask in zip(scene.boxes.long().tolist(), scene.masks, strict=True):
        x1, y1, x2, y2 = box
        assert 0 <= x1 < x2 <= mask.shape[1] and 0 <= y1 < y2 <= mask.shape[0]
        inside = mask[y1:y2, x1:x2]
        assert inside.sum() == mask.sum()
        assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()


@settings(max_examples=150)
@given(*ANY_SCENE)
def test_masks_and_the_semantic_map_tell_the_same(name: str, index: int) -> None:
    scene = SCENES[name][index]
    assert (scene.masks.sum(0) <= 1).all()  # a pixel shows one digit
    expected = (scene.masks * (scene.labels + 1)[:, None, None]).sum(0)
    assert torch.equal(scene.semantic, expected)


@settings(max_examples=150)
@given(*ANY_SCENE)
def test_overlaps_are_bounded(name: str, index: int) -> None:
    boxes = SCENES[name][index].boxes.tolist()
    for at, box in enumerate(boxes):
        for other in boxes[:at]:
            assert overlap(box, other) <= CONFIGS[name].max_overlap


@settings(max_examples=60)
@given(*ANY_SCENE)
def test_ink_is_brighter_than_its_surroundings(name: str, index: int) -> None:
    scene = SCENES[name][index]
    background = scene.image[0][scene.semantic == 0].mean()
    for mask in scene.masks:
        assert scene.image[0][mask].mean() > background + 0.2


def test_overlap_is_the_share_of_the_smaller_box() -> None:
    assert overlap((0, 0, 10, 10), (5, 0, 9, 5)) == 1.0
    assert overlap((0, 0, 10, 10), (8, 0, 18, 10)) == pytest.approx(0.2)
    assert overlap((0, 0, 10, 10), (10, 0, 20, 10)) == 0.0


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@given(size=st.integers(8, 40))
def test_scaling_is_torchs_interpolation(mode: str, size: int) -> None:
    image = torch.rand(8, 8, generator=torch.Generator().manual_seed(size))
    matrix = torch.from_numpy(resize_matrix(size, mode))
    options: dict[str, Any] = {"align_corners": False} if mode == "bilinear" else {}
    theirs = F.interpolate(
        image[None, None], size=(size, size), mode="nearest-exact" if mode == "nearest" else mode, **options
    )
    torch.testing.assert_close(matrix @ image @ matrix.T, theirs[0, 0], rtol=1e-5, atol=1e-6)


def test_no_digits_make_an_empty_scene() -> None:
    scene = Scenes("test", 1, SceneConfig(num_digits=(0, 0)))[0]
    assert scene.boxes.shape == (0, 4) and scene.masks.shape == (0, 64, 64) and not scene.semantic.any()
    assert scene.caption.en == "an empty canvas without digits"
    images, classes = collate_segmentation([scene])
    assert images.shape == (1, 1, 64, 64) and classes.shape == (1, 64, 64)


def test_many_digits_find_room_on_a_crowded_canvas() -> None:
    scene = SCENES["crowded"][0]
    assert len(scene.labels) == 4
    assert scene.caption.ko


# ------------------------------------------------------------------------------------------------------ captions

WHERE_EN = [
    "at the upper left", "at the top", "at the upper right", "on the left", "in the middle", "on the right",
    "at the lower left", "at the bottom", "at the lower right",
]  # fmt: skip
WHERE_KO = [
    "왼쪽 위에", "위쪽에", "오른쪽 위에", "왼쪽에", "한가운데에", "오른쪽에", "왼쪽 아래에", "아래쪽에", "오른쪽 아래에",
]  # fmt: skip
DIGIT_EN = r"(?:an 8|a [0-79]|a (?:small|large) \d)"
DIGIT_KO = r"(?:(?:작은|큰) )?\d"
Said = tuple[int | None, str, int]  # place, size, digit


def size_and_digit(words: str) -> tuple[str, int]:
    size = {"작은": "small", "큰": "large", "small": "small", "large": "large"}
    found = next((size[word] for word in words.split() if word in size), "")
    return found, int(words[-1])


def read_english(text: str) -> tuple[list[Said], str | None]:
    """What an English caption claims: every (place, size, digit), and for a relation its name."""
    if related := re.fullmatch(rf"({DIGIT_EN}) (to the left of|above) ({DIGIT_EN})", text):
        first, how, second = related.groups()
        return [
            (None, *size_and_digit(first)),
            (None, *size_and_digit(second)),
        ], "left" if how != "above" else how
    said: list[Said] = []
    digit_list = rf"{DIGIT_EN}(?:(?:, {DIGIT_EN})* and {DIGIT_EN})?"
    part = re.compile(rf"({digit_list}) ({'|'.join(WHERE_EN)})")
    joints = re.sub(part, "·", text)
    assert re.fullmatch(r"·|(?:·, )*·(?:,)? and ·", joints), text
    for names, where in part.findall(text):
        said += [(WHERE_EN.index(where), *size_and_digit(name)) for name in re.findall(DIGIT_EN, names)]
    return said, None


def read_korean(text: str) -> tuple[list[Said], str | None]:
    if related := re.fullmatch(rf"({DIGIT_KO}) (왼쪽에|위에) ({DIGIT_KO})", text):
        second, how, first = related.groups()
        return [
            (None, *size_and_digit(first)),
            (None, *size_and_digit(second)),
        ], "left" if how == "왼쪽에" else "above"
    said: list[Said] = []
    for part in text.split(", "):
        match = re.fullmatch(rf"({'|'.join(WHERE_KO)}) ({DIGIT_KO}(?:[과와] {DIGIT_KO})*)", part)
        assert match, text
        where, names = match.groups()
        for name in re.findall(DIGIT_KO, names):
            said.append((WHERE_KO.index(where), *size_and_digit(name)))
        for digit, particle in re.findall(r"(\d)([과와])", names):
            assert particle == ("와" if digit in "2459" else "과"), text
    return said, None


def facts(scene: Scene) -> list[tuple[int, str, int]]:
    """What is so, measured on the picture's boxes without the code that wrote the caption."""
    height, width = scene.semantic.shape
    found = []
    for (x1, y1, x2, y2), label in zip(scene.boxes.tolist(), scene.labels.tolist(), strict=True):
        column = sum((x1 + x2) / 2 >= width * third / 3 for third in (1, 2))
        row = sum((y1 + y2) / 2 >= height * third / 3 for third in (1, 2))
        share = max(x2 - x1, y2 - y1) / min(height, width)
        found.append(
            (3 * row + column, "small" if share < 0.25 else "large" if share >= 0.375 else "", label)
        )
    return found


@settings(max_examples=400)
@given(*ANY_SCENE)
def test_captions_are_true_in_both_languages(name: str, index: int) -> None:
    scene = SCENES[name][index]
    if len(scene.labels) == 0:
        assert scene.caption.ko == "숫자가 없는 빈 화면"
        return
    known = facts(scene)
    for text, read in ((scene.caption.get("ko"), read_korean), (scene.caption.get("en"), read_english)):
        said, related = read(text)
        if related is None:
            assert sorted(said) == sorted(known), text
            continue
        assert sorted((size, digit) for _, size, digit in said) == sorted(
            (size, digit) for _, size, digit in known
        )
        axis = 0 if related == "left" else 1
        (first, _), (second, _) = sorted(
            zip(scene.boxes.tolist(), known, strict=True), key=lambda item: item[0][axis]
        )
        order = [
            fact[1:]
            for _, fact in sorted(
                zip(scene.boxes.tolist(), known, strict=True), key=lambda item: item[0][axis]
            )
        ]
        assert [item[1:] for item in said] == order, text
        assert first[axis + 2] <= second[axis], text


def test_both_kinds_of_captions_occur() -> None:
    texts = [SCENES["usual"][index].caption.get("en") for index in range(200)]
    assert any("to the left of" in text for text in texts)
    assert any(" above " in text for text in texts)
    assert any("upper left" in text for text in texts)
    assert any("small" in text for text in texts) and any("large" in text for text in texts)


def test_captions_read_as_people_write() -> None:
    left, right = (4.0, 4.0, 16.0, 24.0), (44.0, 44.0, 56.0, 62.0)
    text = caption([right, left], [7, 3], 64, 64)
    assert text.ko == "왼쪽 위에 3, 오른쪽 아래에 7"
    assert text.en == "a 3 at the upper left and a 7 at the lower right"
    assert caption([left], [8], 64, 64).en == "an 8 at the upper left"
    beside = (24.0, 6.0, 36.0, 22.0)
    text = caption([beside, left], [8, 3], 64, 64, relation=True)
    assert (text.ko, text.en) == ("8 왼쪽에 3", "a 3 to the left of an 8")
    below = (4.0, 30.0, 16.0, 36.0)
    text = caption([below, left], [5, 3], 64, 64, relation=True)
    assert (text.ko, text.en) == ("작은 5 위에 3", "a 3 above a small 5")
    together = caption([(2.0, 2.0, 8.0, 12.0), (10.0, 2.0, 20.0, 20.0), right], [2, 1, 9], 64, 64)
    assert together.ko == "왼쪽 위에 1과 작은 2, 오른쪽 아래에 9"
    assert together.en == "a 1 and a small 2 at the upper left, and a 9 at the lower right"


def test_digits_across_from_each_other_have_no_relation() -> None:
    assert relation((0, 0, 10, 10), (20, 20, 30, 30)) is None
    assert relation((0, 0, 10, 10), (9, 0, 19, 10)) is None
    assert relation((0, 0, 10, 10), (10, 3, 19, 13)) == "left"


# --------------------------------------------------------------------------------------- splits, seeds, loaders


def test_splits_share_no_digit_and_keep_the_classes() -> None:
    parts = {split: digit_indices(split) for split in ("train", "validation", "test")}
    everything = torch.cat(list(parts.values())).tolist()
    assert sorted(everything) == list(range(1797))
    labels = digits.load().labels
    for split, share in (("train", 0.7), ("validation", 0.15), ("test", 0.15)):
        counts = torch.bincount(labels[parts[split]], minlength=10)
        assert ((counts / labels.bincount() - share).abs() < 0.02).all()
    images = {split: {image.tobytes() for image in Scenes(split, 1).glyphs} for split in parts}
    assert not images["train"] & images["test"] and not images["train"] & images["validation"]
    assert not images["validation"] & images["test"]


def test_a_seed_changes_scenes_but_not_who_is_in_a_split() -> None:
    assert np.array_equal(Scenes("test", 1, seed=1).glyphs, Scenes("test", 1, seed=2).glyphs)


def same(a: Scene, b: Scene) -> bool:
    return all(
        torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y for x, y in zip(a, b, strict=True)
    )


def test_a_scene_depends_on_seed_split_and_index_alone() -> None:
    scenes = Scenes("train", 20, seed=3)
    assert same(scenes[7], scenes[7])
    assert same(scenes[7], Scenes("train", 10_000, seed=3)[7])
    assert not torch.equal(scenes[7].image, scenes[8].image)
    assert not torch.equal(scenes[7].image, Scenes("train", 20, seed=4)[7].image)
    assert not torch.equal(scenes[7].image, Scenes("test", 20, seed=3)[7].image)


def test_workers_draw_what_one_process_draws() -> None:
    scenes = Scenes("validation", 12, seed=5)
    loader = DataLoader(scenes, batch_size=4, num_workers=2, collate_fn=collate_segmentation)
    images = torch.cat([batch[0] for batch in loader])
    assert torch.equal(images, torch.stack([scenes[index].image for index in range(12)]))


def test_batches_for_each_task() -> None:
    scenes = [SCENES["usual"][index] for index in range(3)]
    images, targets = collate_detection(scenes)
    assert len(images) == len(targets) == 3 and set(targets[0]) == {"boxes", "labels", "masks"}
    assert targets[1]["boxes"] is scenes[1].boxes
    stacked, classes = collate_segmentation(scenes)
    assert stacked.shape == (3, 1, 64, 64) and classes.shape == (3, 64, 64) and classes.dtype == torch.int64
    assert collate_captions(scenes)[1][2] == scenes[2].caption


def test_the_data_set_ends() -> None:
    assert len(Scenes("train", 3)) == 3
    assert len(list(Scenes("train", 3))) == 3
    with pytest.raises(IndexError, match="scene 3 was asked for; there are 3"):
        Scenes("train", 3)[3]


def test_bad_input_is_told_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="a canvas of 20×64 pixels is too small for digits of 28×28"):
        SceneConfig(height=20)
    with pytest.raises(
        ValueError, match="a canvas of 32×32 pixels has room for 1 digits of 20×20 side by side; 3 were asked"
    ):
        SceneConfig(height=32, width=32, size=(20, 24))
    with pytest.raises(ValueError, match=r"num_digits \(3, 1\)"):
        SceneConfig(num_digits=(3, 1))
    with pytest.raises(ValueError, match=r"size \(4, 10\)"):
        SceneConfig(size=(4, 10))
    with pytest.raises(ValueError, match="split 'dev': expected train, validation, test"):
        Scenes("dev")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="length -1"):
        Scenes("train", -1)
    with pytest.raises(ValueError, match="background 'sky'"):
        SceneConfig(background="sky")  # type: ignore[arg-type]
