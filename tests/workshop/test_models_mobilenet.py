"""MobileNet 1 and 2: equal to timm and torchvision, the published sizes at all widths, the saving, the errors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from norms import scrambled
from parity import check_parity, reference, relative

from viva.models.mobilenet import (
    ConvNorm,
    DepthwiseSeparable,
    InvertedResidual,
    MobileNetV1,
    MobileNetV2,
    make_divisible,
    mobilenet_v1,
    mobilenet_v2,
)
from viva.models.summary import count_parameters, mult_adds
from viva.nn import Conv2d


def timm_v1(name: str = "mobilenetv1_100", **options):
    return reference("timm").create_model(name, **options)


def torchvision_v2(**options):
    return reference("torchvision.models").mobilenet_v2(**options)


# Parity


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_version_1_equals_timm_at_full_size_and_its_record(dtype, record):
    ours, theirs = mobilenet_v1(), scrambled(timm_v1())
    images = torch.randn(2, 3, 96, 80)
    record("mobilenet_v1", check_parity(ours.eval(), theirs.eval(), images, layout="timm", dtype=dtype))
    check_parity(ours.train(), theirs.train(), images, layout="timm", dtype=dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_version_2_equals_torchvision_at_full_size_and_its_record(dtype, record):
    ours, theirs = mobilenet_v2(), scrambled(torchvision_v2())
    images = torch.randn(2, 3, 96, 80)
    record("mobilenet_v2", check_parity(ours.eval(), theirs.eval(), images, layout="torchvision", dtype=dtype))
    check_parity(ours.train(), theirs.train(), images, layout="torchvision", dtype=dtype)  # the same dropout: the same seed


@pytest.mark.parametrize("training", [True, False])
def test_small_ones_equal_their_references_in_float64(training):
    images = torch.randn(2, 3, 40, 33)
    ours, theirs = mobilenet_v1(5), scrambled(timm_v1(num_classes=5))
    check_parity(ours.train(training), theirs.train(training), images, layout="timm", dtype=torch.float64)
    ours, theirs = mobilenet_v2(5, width=0.35), scrambled(torchvision_v2(width_mult=0.35, num_classes=5))
    check_parity(ours.train(training), theirs.train(training), images, layout="torchvision", dtype=torch.float64)


# Sizes


@pytest.mark.parametrize(("width", "parameters", "millions", "paper_parameters", "paper_millions"), [
    (1.0, 4_231_976, 568.7, 4.2, 569),
    (0.75, 2_585_560, 325.4, 2.6, 325),
    (0.5, 1_331_592, 149.5, 1.3, 149),
    (0.25, 470_072, 41.0, 0.5, 41),
])  # fmt: skip
def test_version_1_has_the_papers_sizes_at_all_widths(width, parameters, millions, paper_parameters, paper_millions):
    # Howard et al. 2017, Table 6
    with torch.device("meta"):
        model = mobilenet_v1(width=width)
        work = mult_adds(model, torch.zeros(1, 3, 224, 224)) / 1e6
    assert count_parameters(model) == parameters
    assert round(parameters / 1e6, 1) == paper_parameters
    assert round(work, 1) == millions
    assert abs(work - paper_millions) < 0.75


@pytest.mark.parametrize(("width", "parameters", "millions", "paper_millions"), [
    (1.0, 3_504_872, 300.8, 300),
    (1.4, 6_108_776, 582.2, 585),
])  # fmt: skip
def test_version_2_has_torchvisions_sizes_and_the_papers_work(width, parameters, millions, paper_millions):
    # Sandler et al. 2018, Table 4. Its parameters are rounded otherwise: 3.4M at width 1, and 6.9M at 1.4, where torchvision
    # and timm agree with this file on 6.1M.
    with torch.device("meta"):
        model = mobilenet_v2(width=width)
        work = mult_adds(model, torch.zeros(1, 3, 224, 224)) / 1e6
    assert count_parameters(model) == parameters
    assert round(work, 1) == millions
    assert work == pytest.approx(paper_millions, rel=0.01)


@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.0, 1.3, 1.4])
def test_version_2_counts_torchvisions_parameters_at_every_width(width):
    with torch.device("meta"):
        assert count_parameters(mobilenet_v2(width=width)) == count_parameters(torchvision_v2(width_mult=width))


def test_version_1_counts_timms_parameters_at_width_1_25():
    with torch.device("meta"):
        assert count_parameters(mobilenet_v1(width=1.25)) == count_parameters(timm_v1("mobilenetv1_125"))


# What it is


@given(st.floats(0.1, 5000), st.sampled_from([1, 4, 8, 16]))
def test_make_divisible_is_a_near_multiple_that_never_loses_a_tenth(channels, divisor):
    made = make_divisible(channels, divisor)
    assert made % divisor == 0 and made >= divisor
    assert made >= 0.9 * channels
    assert made <= max(divisor, channels + divisor)


def test_make_divisible_by_hand():
    assert [make_divisible(n) for n in (3, 8, 11, 12, 18, 19, 20, 33.6)] == [8, 8, 16, 16, 24, 24, 24, 32]


@pytest.mark.parametrize(("channels", "out_channels"), [(32, 64), (512, 512)])
def test_taking_a_convolution_apart_saves_what_the_formula_says(channels, out_channels):
    image = torch.zeros(1, channels, 14, 14)
    whole = mult_adds(Conv2d(channels, out_channels, 3, padding=1), image)
    apart = mult_adds(DepthwiseSeparable(channels, out_channels, 1), image)
    assert apart / whole == pytest.approx(1 / out_channels + 1 / 9)


def test_an_inverted_residual_adds_its_input_only_where_the_shapes_agree():
    assert InvertedResidual(16, 16, 1, 6).adds
    assert not InvertedResidual(16, 16, 2, 6).adds
    assert not InvertedResidual(16, 24, 1, 6).adds
    block = InvertedResidual(16, 16, 1, 6).eval()
    torch.nn.init.zeros_(block.project[0].weight)
    x = torch.randn(1, 16, 7, 7)
    torch.testing.assert_close(block(x), x)  # nothing to add, and no activation after: the identity, negative values too


def test_the_bottleneck_is_linear():
    block = InvertedResidual(16, 24, 1, 6).eval()
    assert len(block.project) == 2
    assert float(block(torch.randn(4, 16, 9, 9)).detach().min()) < 0


def test_activations_stop_at_six():
    layer = ConvNorm(3, 4)
    y = layer(100 * torch.randn(2, 3, 8, 8)).detach()
    assert float(y.min()) >= 0
    assert float(y.max()) <= 6


@pytest.mark.parametrize("build", [mobilenet_v1, mobilenet_v2])
def test_a_stem_without_stride_keeps_small_images_larger(build):
    ordinary, gentle = (build(10, in_channels=1, width=0.25, stem_stride=stride).eval() for stride in (2, 1))
    assert gentle(torch.randn(2, 1, 28, 28)).shape == (2, 10)
    image = torch.zeros(1, 1, 28, 28)
    assert mult_adds(gentle, image) > 3 * mult_adds(ordinary, image)


# How it runs


@pytest.mark.parametrize("build", [mobilenet_v1, mobilenet_v2])
def test_channels_last_and_bfloat16_work(build):
    model = scrambled(build(10, width=0.25)).eval()
    x = torch.randn(2, 3, 40, 40)
    with torch.no_grad():
        wanted = model(x)
        last = model.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
        torch.testing.assert_close(last, wanted, rtol=1e-4, atol=1e-4)
        assert relative(model.bfloat16()(x.bfloat16()).float(), wanted) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("build", [mobilenet_v1, mobilenet_v2])
def test_the_compiler_sees_one_graph(build):
    model = scrambled(build(10, width=0.25)).eval()
    x = torch.randn(2, 3, 40, 40)
    with torch.no_grad():
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), model(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model_class", [MobileNetV1, MobileNetV2])
def test_bad_images_and_settings_are_refused_in_words(model_class):
    model = model_class(10, width=0.25).eval()
    with pytest.raises(ValueError, match=r"\(2, 1, 64, 64\).*\(batch, 3, height, width\)"):
        model(torch.zeros(2, 1, 64, 64))
    with pytest.raises(ValueError, match=r"\(2, 3, 64, 16\).*at least 17"):
        model(torch.zeros(2, 3, 64, 16))
    with pytest.raises(TypeError, match=r"uint8.*255"):
        model(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
    with pytest.raises(TypeError, match=r"float64.*float32"):
        model(torch.zeros(2, 3, 64, 64, dtype=torch.float64))
    with pytest.raises(ValueError, match="width=0"):
        model_class(width=0)
