"""ResNet: equal to torchvision and timm, the published sizes, feature maps, dilation, the options, the errors."""

from __future__ import annotations

import pytest
import torch
from norms import scrambled
from parity import check_parity, reference, relative

from viva.models import resnet
from viva.models.resnet import VARIANTS, BasicBlock, Bottleneck, ResNet
from viva.models.summary import count_parameters, mult_adds
from viva.nn import BatchNorm2d, GroupNorm

PARAMETERS = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}
# Multiply-adds in thousands of millions: of the stride in the 3×3 (torchvision's documentation), and of the paper's Table 1.
WORK = {18: (1.81, 1.8), 34: (3.66, 3.6), 50: (4.09, 3.8), 101: (7.80, 7.6), 152: (11.51, 11.3)}


def small(block: type = Bottleneck, **options) -> ResNet:
    return ResNet(block, (1, 2, 1, 1), 5, width=8, **options)


# Parity


@pytest.mark.slow
@pytest.mark.parametrize("layers", VARIANTS)
def test_equals_torchvision_at_full_size_and_its_record(layers, record):
    models = reference("torchvision.models")
    name = f"resnet{layers}"
    ours, theirs = getattr(resnet, name)(), getattr(models, name)()
    images = torch.randn(2, 3, 96, 80)
    scrambled(theirs)
    parity = check_parity(ours.eval(), theirs.eval(), images, layout="torchvision")
    record(name, parity)
    check_parity(ours.train(), theirs.train(), images, layout="torchvision")


@pytest.mark.slow
@pytest.mark.parametrize("layers", [18, 50])
def test_equals_torchvision_in_float64_and_its_record(layers, record):
    name = f"resnet{layers}"
    ours, theirs = getattr(resnet, name)(), getattr(reference("torchvision.models"), name)()
    scrambled(theirs)
    images = torch.randn(2, 3, 64, 64)
    parity = check_parity(ours.eval(), theirs.eval(), images, layout="torchvision", dtype=torch.float64)
    record(name, parity)
    check_parity(ours.train(), theirs.train(), images, layout="torchvision", dtype=torch.float64)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_a_narrow_one_equals_torchvision_in_float64(block, training):
    tv = reference("torchvision.models.resnet")
    their_block = tv.BasicBlock if block is BasicBlock else tv.Bottleneck
    theirs = tv.ResNet(their_block, [1, 2, 1, 1], num_classes=5)
    ours = ResNet(block, (1, 2, 1, 1), 5)
    scrambled(theirs)
    images = torch.randn(2, 3, 33, 34)
    check_parity(ours.train(training), theirs.train(training), images, layout="torchvision", dtype=torch.float64)


@pytest.mark.parametrize(("output_stride", "replaced"), [(16, [False, False, True]), (8, [False, True, True])])
def test_dilation_equals_torchvisions(output_stride, replaced):
    tv = reference("torchvision.models.resnet")
    theirs = scrambled(tv.ResNet(tv.Bottleneck, [1, 1, 2, 2], 5, replace_stride_with_dilation=replaced))
    ours = ResNet(Bottleneck, (1, 1, 2, 2), 5, output_stride=output_stride)
    check_parity(ours.eval(), theirs.eval(), torch.randn(1, 3, 24, 33), layout="torchvision", dtype=torch.float64)


def test_timm_calls_the_weights_the_same():
    theirs = reference("timm").create_model("resnet18", num_classes=7)
    check_parity(resnet.resnet18(7).eval(), theirs.eval(), torch.randn(1, 3, 32, 32), layout="timm")


# Sizes


@pytest.mark.parametrize("layers", VARIANTS)
def test_published_sizes_are_exact(layers):
    with torch.device("meta"):
        image = torch.zeros(1, 3, 224, 224)
        model, papers = getattr(resnet, f"resnet{layers}")(), ResNet(*VARIANTS[layers], stride_in="1x1")
        assert count_parameters(model) == count_parameters(papers) == PARAMETERS[layers]
        ours, theirs = WORK[layers]
        assert mult_adds(model, image) / 1e9 == pytest.approx(ours, abs=0.005)
        # The paper rounds 3.66 to 3.6 and 3.86 to 3.8: downwards.
        assert 0 <= mult_adds(papers, image) / 1e9 - theirs + 0.05 < 0.15


# What it is


def test_with_zero_initialisation_every_block_starts_as_its_shortcut():
    for block in (BasicBlock, Bottleneck):
        model = small(block, zero_init=True).eval()
        unit = model.layer2[0]
        x = torch.randn(2, 8 * block.expansion, 9, 9)
        torch.testing.assert_close(unit(x), torch.relu(unit.downsample(x)))
        ordinary = small(block).eval().layer2[0]
        assert not torch.allclose(ordinary(x), torch.relu(ordinary.downsample(x)))


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_feature_maps_have_strides_4_to_32_rounded_up(block):
    maps = small(block).eval().features(torch.randn(2, 3, 70, 45))
    widths = [8 * block.expansion * factor for factor in (1, 2, 4, 8)]
    sizes = [(18, 12), (9, 6), (5, 3), (3, 2)]
    assert [tuple(x.shape) for x in maps.values()] == [(2, width, *size) for width, size in zip(widths, sizes, strict=True)]
    assert list(maps) == ["C2", "C3", "C4", "C5"]


def test_the_logits_are_the_classifier_on_the_mean_of_c5():
    model = scrambled(small()).eval()
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(model(x), model.fc(model.features(x)["C5"].mean((2, 3))))


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
@pytest.mark.parametrize("output_stride", [16, 8])
def test_dilated_features_contain_the_strided_ones(block, output_stride):
    # Dilation computes at every place what a stride would compute at every second one: same weights, same reach.
    strided = scrambled(small(block)).double().eval()
    dilated = small(block, output_stride=output_stride).double().eval()
    dilated.load_state_dict(strided.state_dict())
    x = torch.randn(1, 3, 61, 72, dtype=torch.float64)
    every = 32 // output_stride
    with torch.no_grad():
        sparse, dense = strided.features(x)["C5"], dilated.features(x)["C5"]
    assert dense.shape[2:] == (-(-61 // output_stride), -(-72 // output_stride))
    assert relative(dense[:, :, ::every, ::every], sparse) < 1e-12


def test_the_small_stem_keeps_small_images_large():
    model = resnet.resnet18(10, in_channels=1, width=16, stem="small").eval()
    maps = model.features(torch.randn(2, 1, 28, 28))
    assert [tuple(x.shape[1:]) for x in maps.values()] == [(16, 28, 28), (32, 14, 14), (64, 7, 7), (128, 4, 4)]
    assert model(torch.randn(2, 1, 28, 28)).shape == (2, 10)


def test_the_stride_can_sit_where_the_paper_had_it():
    model = small(stride_in="1x1")
    assert [model.layer2[0].conv1.stride, model.layer2[0].conv2.stride] == [(2, 2), (1, 1)]
    model = small()
    assert [model.layer2[0].conv1.stride, model.layer2[0].conv2.stride] == [(1, 1), (2, 2)]


def test_another_norm_can_be_chosen():
    model = small(norm=lambda channels: GroupNorm(4, channels))
    assert not any(isinstance(module, BatchNorm2d) for module in model.modules())
    assert model(torch.randn(1, 3, 40, 40)).shape == (1, 5)


def test_initialisation_is_he_by_fan_out():
    weight = resnet.resnet18().layer4[1].conv2.weight.detach()
    assert float(weight.std()) == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)


# How it runs


def test_channels_last_bfloat16_and_autocast_work():
    model = scrambled(small(BasicBlock)).eval()
    x = torch.randn(2, 3, 40, 40)
    with torch.no_grad():
        wanted = model(x)
        last = model.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
        torch.testing.assert_close(last, wanted, rtol=1e-4, atol=1e-4)
        with torch.autocast("cpu", torch.bfloat16):
            assert relative(model(x).float(), wanted) < 0.05
        assert relative(model.bfloat16()(x.bfloat16()).float(), wanted) < 0.05


@pytest.mark.slow
def test_the_compiler_sees_one_graph():
    model = scrambled(small(BasicBlock)).eval()
    x = torch.randn(2, 3, 40, 40)
    with torch.no_grad():
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), model(x), rtol=1e-4, atol=1e-4)


def test_the_input_survives_and_gradients_reach_it():
    model = small().train()
    x = torch.randn(2, 3, 40, 40, requires_grad=True)
    before = x.detach().clone()
    model(x).square().sum().backward()
    assert torch.equal(x.detach(), before)  # nothing in place reaches the caller's tensor
    assert x.grad is not None and float(x.grad.abs().sum()) > 0


@pytest.mark.parametrize(("options", "words"), [
    ({"stem": "huge"}, "huge.*large.*small"),
    ({"output_stride": 4}, "4.*32, 16 or 8"),
    ({"stride_in": "7x7"}, "7x7.*3x3.*1x1"),
])  # fmt: skip
def test_impossible_settings_are_refused_in_words(options, words):
    with pytest.raises(ValueError, match=words):
        small(**options)


def test_bad_images_are_refused_with_both_shapes():
    model = small().eval()
    for call in (model, model.features):
        with pytest.raises(ValueError, match=r"\(2, 1, 64, 64\).*\(batch, 3, height, width\).*expand"):
            call(torch.zeros(2, 1, 64, 64))
        with pytest.raises(ValueError, match=r"\(2, 3, 16, 64\).*at least 17"):
            call(torch.zeros(2, 3, 16, 64))
        with pytest.raises(ValueError, match=r"\(3, 64, 64\).*unsqueeze"):
            call(torch.zeros(3, 64, 64))
        with pytest.raises(ValueError, match=r"\(2, 64, 64, 3\).*permute"):
            call(torch.zeros(2, 64, 64, 3))
        with pytest.raises(TypeError, match=r"int64.*floating"):
            call(torch.zeros(2, 3, 64, 64, dtype=torch.long))
        with pytest.raises(TypeError, match=r"float64.*float32"):
            call(torch.zeros(2, 3, 64, 64, dtype=torch.float64))


def test_the_smallest_images_work():
    assert small().eval()(torch.randn(1, 3, 17, 17)).shape == (1, 5)
    assert small(stem="small").eval()(torch.randn(1, 3, 5, 5)).shape == (1, 5)
