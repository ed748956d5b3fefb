"""FCN: the dilated ResNet equal to torchvision's; the paper's skips and their bilinear start; the errors."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from norms import scrambled
from parity import check_parity, reference, relative

from viva.models.fcn import FCN, SkipFCN, UpConvolution, bilinear_, fcn_resnet50
from viva.models.resnet import BasicBlock, Bottleneck, ResNet
from viva.models.summary import count_parameters, mult_adds


def torchvisions(**options):
    segmentation = reference("torchvision.models.segmentation")
    return segmentation.fcn_resnet50(weights=None, weights_backbone=None, **options)


def small(**options) -> FCN:
    return FCN(ResNet(Bottleneck, (1, 1, 1, 1), width=8, output_stride=8), 5, **options)


def short_torchvisions():
    """torchvision's parts put together around a short, undilated ResNet; its own constructor knows 50 and 101 layers only."""
    tv = reference("torchvision.models.resnet")
    fcn = reference("torchvision.models.segmentation.fcn")
    getter = reference("torchvision.models._utils").IntermediateLayerGetter
    trunk = tv.ResNet(tv.BasicBlock, [1, 1, 1, 1])
    return fcn.FCN(getter(trunk, {"layer4": "out", "layer3": "aux"}), fcn.FCNHead(512, 5), fcn.FCNHead(256, 5))


def both(model, images):
    return model.with_auxiliary(images)


# Parity


@pytest.mark.slow
def test_equals_torchvision_at_full_size_and_its_record(record):
    ours, theirs = fcn_resnet50(), scrambled(torchvisions())
    images = torch.randn(1, 3, 72, 64)
    record("fcn_resnet50", check_parity(ours.eval(), theirs.eval(), images, layout="torchvision"))


@pytest.mark.slow
def test_equals_torchvision_in_float64_and_its_record(record):
    ours, theirs = fcn_resnet50(), scrambled(torchvisions())
    images = torch.randn(1, 3, 40, 33)
    record("fcn_resnet50", check_parity(ours.eval(), theirs.eval(), images, layout="torchvision", dtype=torch.float64))


@pytest.mark.slow
def test_equals_torchvision_with_the_auxiliary_head_in_training():
    ours, theirs = fcn_resnet50(auxiliary=True), scrambled(torchvisions(aux_loss=True))
    images = torch.randn(2, 3, 72, 64)
    check_parity(ours.train(), theirs.train(), images, layout="torchvision", ours_call=both)  # the same dropout: the same seed


@pytest.mark.parametrize("training", [True, False])
def test_a_short_one_equals_torchvision_in_float64(training):
    theirs = scrambled(short_torchvisions()).train(training)
    ours = FCN(ResNet(BasicBlock, (1, 1, 1, 1)), 5, auxiliary=True).train(training)
    images = torch.randn(2, 3, 33, 40)
    check_parity(ours, theirs, images, layout="torchvision", dtype=torch.float64, ours_call=both)


# Sizes


def test_published_sizes_are_exact():
    with torch.device("meta"):
        model, trained = fcn_resnet50(), fcn_resnet50(auxiliary=True)
        image = torch.zeros(1, 3, 520, 520)
        work = mult_adds(trained, image) + mult_adds(trained.auxiliary, torch.zeros(1, 1024, 65, 65))
        assert model(torch.zeros(2, 3, 100, 90)).shape == (2, 21, 100, 90)
    assert count_parameters(model) == 32_957_013
    assert count_parameters(trained) == 35_322_218
    assert work / 1e9 == pytest.approx(152.717, abs=0.0006)  # torchvision's documentation, auxiliary head included


def test_other_backbones_fit():
    model = FCN(ResNet(BasicBlock, (1, 1, 1, 1), in_channels=1, width=8, stem="small", output_stride=8), 11, auxiliary=True)
    main, auxiliary = model.eval().with_auxiliary(torch.randn(2, 1, 29, 34))
    assert main.shape == auxiliary.shape == (2, 11, 29, 34)


# Upsampling


@pytest.mark.parametrize("factor", [2, 4, 8, 16, 32])
def test_an_up_convolution_starts_as_bilinear_interpolation_with_align_corners_false(factor):
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    up = UpConvolution(3, factor).double()
    wanted = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    found = up(x)
    assert found.shape == wanted.shape
    inside = slice(factor // 2, -(factor // 2))
    torch.testing.assert_close(found[..., inside, inside], wanted[..., inside, inside])
    aligned = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=True)
    assert not torch.allclose(found[..., inside, inside], aligned[..., inside, inside], rtol=1e-2)


def test_the_bilinear_kernel_by_hand():
    weight = bilinear_(torch.empty(2, 2, 4, 4))
    tent = torch.tensor([0.25, 0.75, 0.75, 0.25])
    torch.testing.assert_close(weight[0, 0], torch.outer(tent, tent))
    assert torch.equal(weight[0, 1], torch.zeros(4, 4))  # channels do not mix
    torch.testing.assert_close(weight[1, 1], weight[0, 0])


# Skips


@pytest.mark.parametrize("finest", [32, 16, 8])
def test_the_score_layers_are_those_of_the_paper(finest):
    model = SkipFCN(finest=finest)
    assert sorted(map(int, model.score)) == [stride for stride in (8, 16, 32) if stride >= finest]
    assert len(model.up) == len(model.score) - 1
    assert all(up.stride == (2, 2) for up in model.up.values())


@pytest.mark.parametrize("finest", [32, 16, 8])
@pytest.mark.parametrize("size", [(16, 16), (64, 64), (50, 75), (33, 32)])
def test_any_size_goes_in_and_comes_out(finest, size):
    assert SkipFCN(finest=finest, widths=(4,) * 5).eval()(torch.randn(1, 1, *size)).shape == (1, 11, *size)


def test_skips_start_silent_and_can_learn():
    model = scrambled(SkipFCN(widths=(4,) * 5)).eval()
    images = torch.randn(1, 1, 64, 64)
    before = model(images).detach()
    for stride in ("16", "8"):
        assert float(model.score[stride].weight.detach().abs().sum()) == 0
    model(images).square().sum().backward()
    for stride in ("16", "8"):
        gradient = model.score[stride].weight.grad
        assert float(gradient.abs().sum()) > 0
        model.score[stride].weight.data -= gradient / gradient.norm()
    assert not torch.allclose(model(images), before, rtol=1e-3)


def test_8s_adds_up_the_scores_of_three_strides():
    # Figure 3 again, written out: each map scored, the coarse ones brought to the finer grid, added.
    model = scrambled(SkipFCN(widths=(4, 5, 6, 7, 8))).double().eval()
    for stride in ("16", "8"):
        torch.nn.init.normal_(model.score[stride].weight)
    images = torch.randn(2, 1, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        pool3 = model.trunk[:3](images)
        pool4 = model.trunk[3](pool3)
        pool5 = model.trunk[4](pool4)
        assert [x.shape[2] for x in (pool3, pool4, pool5)] == [8, 4, 2]
        at_16 = model.up["16"](model.score["32"](pool5)) + model.score["16"](pool4)
        at_8 = model.up["8"](at_16) + model.score["8"](pool3)
        torch.testing.assert_close(model(images), F.interpolate(at_8, scale_factor=8, mode="bilinear", align_corners=False))


def test_shifting_the_image_by_a_stride_shifts_the_answer():
    model = scrambled(SkipFCN(widths=(4,) * 5, convolutions=(1,) * 5)).double().eval()
    image = torch.zeros(1, 1, 320, 320, dtype=torch.float64)
    image[..., 130:160, 130:160] = torch.randn(30, 30)
    with torch.no_grad():
        answer, shifted = model(image), model(image.roll((32, 64), (2, 3)))
    inside = slice(128, 224)
    rolled = answer.roll((32, 64), (2, 3))
    torch.testing.assert_close(shifted[..., inside, inside], rolled[..., inside, inside])


def test_finer_skips_outline_what_32s_cannot():
    # Squares of 8 pixels: bilinear from a grid of 32 cannot draw their edges, from a grid of 8 it nearly can.
    images, labels = torch.zeros(4, 1, 64, 64), torch.zeros(4, 64, 64, dtype=torch.long)
    for i in range(4):
        for row, column in torch.randint(8, (6, 2)).tolist():
            square = (i, slice(8 * row, 8 * row + 8), slice(8 * column, 8 * column + 8))
            images[square[0], 0, square[1], square[2]] = 1
            labels[square] = 1

    def fitted(finest: int) -> float:
        model = SkipFCN(1, 2, finest=finest, widths=(8, 8, 16, 16, 16), convolutions=(1,) * 5)
        descent = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(40):
            descent.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            descent.step()
        return float(loss.detach())

    assert fitted(8) < 0.6 * fitted(32)


# How it runs


@pytest.mark.parametrize("build", [lambda: small(), lambda: SkipFCN(3, 5, widths=(8,) * 5)])
def test_channels_last_and_bfloat16_work(build):
    model = scrambled(build()).eval()
    x = torch.randn(1, 3, 40, 48)
    with torch.no_grad():
        wanted = model(x)
        last = model.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
        torch.testing.assert_close(last, wanted, rtol=1e-4, atol=1e-4)
        assert relative(model.bfloat16()(x.bfloat16()).float(), wanted) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("build", [lambda: small(), lambda: SkipFCN(3, 5, widths=(8,) * 5)])
def test_the_compiler_sees_one_graph(build):
    model = scrambled(build()).eval()
    x = torch.randn(1, 3, 40, 48)
    with torch.no_grad():
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), model(x), rtol=1e-4, atol=1e-4)


def test_bad_images_and_settings_are_refused_in_words():
    for model, least in ((small(), 17), (SkipFCN(3, 5), 16)):
        with pytest.raises(ValueError, match=r"\(2, 1, 64, 64\).*\(batch, 3, height, width\)"):
            model(torch.zeros(2, 1, 64, 64))
        with pytest.raises(ValueError, match=rf"\(2, 3, 15, 64\).*at least {least}"):
            model(torch.zeros(2, 3, 15, 64))
        with pytest.raises(TypeError, match=r"uint8.*255"):
            model(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
        with pytest.raises(TypeError, match=r"float64.*float32"):
            model(torch.zeros(2, 3, 64, 64, dtype=torch.float64))
    with pytest.raises(ValueError, match="auxiliary=True"):
        small().with_auxiliary(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ValueError, match=r"finest=4.*32.*16.*8"):
        SkipFCN(finest=4)
    with pytest.raises(ValueError, match="five"):
        SkipFCN(widths=(8, 8))
