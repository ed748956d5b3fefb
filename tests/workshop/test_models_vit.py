"""ViT equals torchvision's and timm's: outputs, gradients, dropout, weights in both directions, positions interpolated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from parity import check_parity, check_round_trip, reference, relative  # noqa: E402

from viva.models import catalogue  # noqa: E402
from viva.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from viva.models.summary import count_parameters, mult_adds  # noqa: E402
from viva.models.vit import WIDTHS, ViT, ViTConfig, interpolate_positions, patchify, vit_mnist  # noqa: E402

TINY = ViTConfig(image_size=24, patch_size=8, num_classes=7, d_model=32, num_layers=2, num_heads=4, d_ff=48)
# parameters and multiply-adds as torchvision and timm state them
PUBLISHED = {
    "vit_ti_16": (5_717_416, 1.254),
    "vit_s_16": (22_050_664, 4.599),
    "vit_b_16": (86_567_656, 17.564),
    "vit_b_32": (88_224_232, 4.409),
    "vit_l_16": (304_326_632, 61.555),
    "vit_l_32": (306_535_400, 15.378),
    "vit_h_14": (632_045_800, 167.295),
}


def disturbed(model: Any) -> Any:
    """Away from zeros and ones, where a misplaced weight would go unseen (torchvision's head starts at 0)."""
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.02)
    return model.eval()


def torchvision_vit(config: ViTConfig) -> Any:
    models = reference("torchvision.models")
    return disturbed(
        models.VisionTransformer(
            image_size=config.image_size,
            patch_size=config.patch_size,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            hidden_dim=config.d_model,
            mlp_dim=config.d_ff,
            dropout=config.dropout,
            num_classes=config.num_classes,
        )
    )


def timm_vit(config: ViTConfig) -> Any:
    timm = reference("timm.models.vision_transformer")
    return disturbed(
        timm.VisionTransformer(
            img_size=config.image_size,
            patch_size=config.patch_size,
            in_chans=config.in_channels,
            num_classes=config.num_classes,
            embed_dim=config.d_model,
            depth=config.num_layers,
            num_heads=config.num_heads,
            mlp_ratio=config.d_ff / config.d_model,
        )
    )


def images(config: ViTConfig, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, config.in_channels, config.image_size, config.image_size)


BUILD = {"torchvision": torchvision_vit, "timm": timm_vit}


@pytest.mark.parametrize("library", BUILD)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logits_and_gradients_equal_the_reference(library: str, dtype: torch.dtype) -> None:
    check_parity(ViT(TINY).eval(), BUILD[library](TINY), images(TINY), layout=library, dtype=dtype)


def test_dropout_falls_where_torchvision_drops() -> None:
    config = ViTConfig(**vars(TINY) | {"dropout": 0.2})
    ours, theirs = ViT(config).train(), torchvision_vit(config).train()
    # one image: torchvision's attention returns its batch transposed in memory, and masks are drawn in memory's order
    check_parity(ours, theirs, images(config, batch=1), layout="torchvision", dtype=torch.float64)


def test_features_equal_timms() -> None:
    theirs = timm_vit(TINY).double()
    ours = ViT(TINY).double().eval()
    load_checkpoint(ours, theirs.state_dict(), "timm")
    batch = images(TINY).double()
    assert relative(ours.features(batch).detach(), theirs.forward_features(batch).detach()) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_b_16", "vit_b_32"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_vit_b_equals_torchvision_at_full_size(record: Any, name: str, dtype: torch.dtype) -> None:
    ours = catalogue.build(name).eval()
    theirs = torchvision_vit(ours.config)
    record(name, check_parity(ours, theirs, images(ours.config, batch=1), layout="torchvision", dtype=dtype))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_ti_16", "vit_s_16"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_small_ones_equal_timm_at_full_size(record: Any, name: str, dtype: torch.dtype) -> None:
    ours = catalogue.build(name).eval()
    record(name, check_parity(ours, timm_vit(ours.config), images(ours.config, batch=1), layout="timm", dtype=dtype))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_l_16", "vit_l_32", "vit_h_14"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_large_ones_equal_torchvision_layer_by_layer(record: Any, name: str, dtype: torch.dtype) -> None:
    patch = int(name[-2:])
    ours = catalogue.build(name, num_layers=2, image_size=4 * patch).eval()
    parity = check_parity(
        ours, torchvision_vit(ours.config), images(ours.config, batch=1), layout="torchvision", dtype=dtype
    )
    record(name, parity, size="reduced: 2 layers of full width, 4 x 4 patches")


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_multiply_adds_are_the_published_ones(name: str) -> None:
    parameters, giga = PUBLISHED[name]
    with torch.device("meta"):
        model = catalogue.build(name)
        batch = torch.zeros(1, 3, 224, 224)
    assert count_parameters(model) == parameters
    assert round(mult_adds(model, batch) / 1e9, 3) == giga


@pytest.mark.parametrize("name", ["vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32", "vit_h_14"])
def test_published_sizes_are_torchvisions_own(name: str) -> None:
    """Built by its own constructor, on the meta device: same names, same shapes."""
    models = reference("torchvision.models")
    with torch.device("meta"):
        theirs, ours = getattr(models, name)(), catalogue.build(name)
    wanted = {key: tensor.shape for key, tensor in theirs.state_dict().items()}
    found = {key: tensor.shape for key, tensor in ViT.layouts["torchvision"].to_theirs(ours.state_dict()).items()}
    assert found == wanted


@pytest.mark.parametrize(
    ("name", "theirs"), [("vit_ti_16", "vit_tiny_patch16_224"), ("vit_s_16", "vit_small_patch16_224")]
)
def test_published_sizes_are_timms_own(name: str, theirs: str) -> None:
    timm = reference("timm")
    with torch.device("meta"):
        wanted = {key: tensor.shape for key, tensor in timm.create_model(theirs).state_dict().items()}
        ours = catalogue.build(name)
    found = {key: tensor.shape for key, tensor in ViT.layouts["timm"].to_theirs(ours.state_dict()).items()}
    assert found == wanted


# --- weights in both directions ---


@pytest.mark.parametrize("library", BUILD)
def test_files_travel_in_both_directions(library: str, tmp_path: Path) -> None:
    safetensors = reference("safetensors.torch")
    theirs, ours = BUILD[library](TINY), ViT(TINY).eval()
    batch = images(TINY)

    safetensors.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    load_checkpoint(ours, tmp_path / "theirs.safetensors", library)
    assert relative(ours(batch).detach(), theirs(batch).detach()) < 1e-5

    fresh, other = disturbed(ViT(TINY)), BUILD[library](TINY)
    save_checkpoint(fresh, tmp_path / "ours.safetensors", library)
    other.load_state_dict(safetensors.load_file(tmp_path / "ours.safetensors"))
    assert relative(fresh(batch).detach(), other(batch).detach()) < 1e-5
    check_round_trip(fresh, other, library)


# --- patches and positions ---


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
def test_the_convolution_is_a_linear_map_of_flattened_patches(patch: int, grid: int, channels: int, batch: int) -> None:
    config = ViTConfig(
        image_size=patch * grid, patch_size=patch, in_channels=channels, d_model=4, num_layers=0, num_heads=1, d_ff=1
    )
    model = ViT(config).double()
    batch_of_images = images(config, batch).double()
    convolved = model.patches(batch_of_images).flatten(2).transpose(1, 2)
    linear = patchify(batch_of_images, patch) @ model.patches.weight.flatten(1).T + model.patches.bias
    assert convolved.shape == (batch, grid**2, 4)
    torch.testing.assert_close(linear, convolved)


def test_patches_are_read_row_by_row() -> None:
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert patchify(image, 2).tolist() == [[[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]]


@pytest.mark.parametrize(("old", "new"), [(14, 24), (14, 7), (3, 5), (4, 4)])
def test_interpolated_positions_equal_timms(old: int, new: int) -> None:
    layers = reference("timm.layers")
    positions = torch.randn(1, 1 + old * old, 16)
    wanted = layers.resample_abs_pos_embed(positions, [new, new], num_prefix_tokens=1)
    assert relative(interpolate_positions(positions, new), wanted) < 1e-6


def test_the_same_weights_run_at_another_image_size() -> None:
    timm = reference("timm.models.vision_transformer")
    theirs = timm_vit(TINY)
    ours = ViT(TINY).eval()
    load_checkpoint(ours, theirs.state_dict(), "timm")
    larger = ours.at_image_size(40)
    theirs.set_input_size(img_size=40)
    batch = torch.randn(2, 3, 40, 40)
    assert isinstance(theirs, timm.VisionTransformer)
    assert relative(larger(batch).detach(), theirs(batch).detach()) < 1e-5
    with torch.no_grad():
        larger.head.bias.add_(1)
    assert not torch.equal(larger.head.bias, ours.head.bias)  # a copy


def test_without_positions_the_order_of_the_patches_would_not_matter() -> None:
    model = ViT(TINY).double().eval()
    batch = images(TINY).double()
    rolled = batch.roll(TINY.patch_size, dims=-1)  # the same patches in other places
    assert not torch.allclose(model(batch), model(rolled))
    with torch.no_grad():
        model.positions.zero_()
    torch.testing.assert_close(model(batch), model(rolled))


def test_the_small_one_reads_mnist() -> None:
    for patch in (4, 7):
        model = vit_mnist(patch_size=patch)
        assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
        assert model.features(torch.zeros(2, 1, 28, 28)).shape == (2, 1 + (28 // patch) ** 2, 128)
        assert count_parameters(model) < 850_000


def test_every_published_width_has_64_numbers_a_head_but_the_largest() -> None:
    heads = {name: sizes["d_model"] // sizes["num_heads"] for name, sizes in WIDTHS.items()}
    assert heads == {"Ti": 64, "S": 64, "B": 64, "L": 64, "H": 80}


# --- what is refused ---


def test_images_that_do_not_fit_are_refused_with_both_shapes() -> None:
    model = ViT(TINY)
    with pytest.raises(ValueError, match="24 x 40 pixels, but the model has positions for 24 x 24"):
        model(torch.zeros(1, 3, 24, 40))
    with pytest.raises(ValueError, match="\\(1, 1, 24, 24\\), expected \\(batch, 3"):
        model(torch.zeros(1, 1, 24, 24))
    with pytest.raises(ValueError, match="at least 8"):
        model(torch.zeros(1, 3, 24, 7))
    with pytest.raises(ValueError, match="unsqueeze"):
        model(torch.zeros(3, 24, 24))
    with pytest.raises(TypeError, match="uint8"):
        model(torch.zeros(1, 3, 24, 24, dtype=torch.uint8))


def test_impossible_configurations_are_refused() -> None:
    with pytest.raises(ValueError, match="30 pixels does not divide into patches of 8; expected a multiple, such as 32"):
        ViTConfig(image_size=30, patch_size=8)
    with pytest.raises(ValueError, match="4 pixels does not divide into patches of 8; expected a multiple, such as 8"):
        ViTConfig(image_size=4, patch_size=8)
    with pytest.raises(ValueError, match="num_heads"):
        ViT(ViTConfig(d_model=30, num_heads=4))
    with pytest.raises(ValueError, match="square grid"):
        interpolate_positions(torch.zeros(1, 1 + 6, 4), 3)
