"""EfficientNet: equal to torchvision, all eight sizes from the coefficients, the rule, the drops, the errors."""

from __future__ import annotations

import math

import pytest
import torch
from norms import scrambled
from parity import check_parity, reference, relative

from viva.models import efficientnet
from viva.models.efficientnet import (
    ALPHA,
    B0_STAGES,
    BETA,
    COEFFICIENTS,
    GAMMA,
    EfficientNet,
    MBConv,
    ThriftySiLU,
    compound,
)
from viva.models.summary import count_parameters, mult_adds
from viva.nn import BatchNorm2d, Dropout, StochasticDepth

PARAMETERS = {
    "b0": 5_288_548, "b1": 7_794_184, "b2": 9_109_994, "b3": 12_233_232,
    "b4": 19_341_616, "b5": 30_389_784, "b6": 43_040_704, "b7": 66_347_960,
}  # fmt: skip
# Thousands of millions of multiply-adds: torchvision's documentation; Tan and Le 2019, Table 2. All at the size of the table.
WORK = {
    "b0": (0.386, 0.39), "b1": (0.687, 0.70), "b2": (0.994, 1.0), "b3": (1.827, 1.8),
    "b4": (4.394, 4.2), "b5": (10.266, 9.9), "b6": (19.068, 19), "b7": (37.746, 37),
}  # fmt: skip


def ours(name: str, *arguments, **options) -> EfficientNet:
    return getattr(efficientnet, f"efficientnet_{name}")(*arguments, **options)


def theirs(name: str, **options):
    return getattr(reference("torchvision.models"), f"efficientnet_{name}")(**options)


def narrow(**options) -> EfficientNet:
    return EfficientNet(0.25, 0.5, 5, **options)


# Parity


@pytest.mark.slow
@pytest.mark.parametrize("name", COEFFICIENTS)
def test_equals_torchvision_at_full_size_and_its_record(name, record):
    our, their = ours(name), scrambled(theirs(name))
    images = torch.randn(2, 3, 64, 64)
    record(f"efficientnet_{name}", check_parity(our.eval(), their.eval(), images, layout="torchvision"))
    if name in ("b0", "b7"):  # in training with the same seed, drops included: both draw in the same order
        check_parity(our.train(), their.train(), images, layout="torchvision")


@pytest.mark.slow
def test_equals_torchvision_in_float64_and_its_record(record):
    our, their = ours("b0"), scrambled(theirs("b0"))
    images = torch.randn(2, 3, 72, 64)
    record("efficientnet_b0", check_parity(our.eval(), their.eval(), images, layout="torchvision", dtype=torch.float64))
    check_parity(our.train(), their.train(), images, layout="torchvision", dtype=torch.float64)


@pytest.mark.parametrize("training", [True, False])
def test_a_narrow_one_equals_torchvision_in_float64(training):
    tv = reference("torchvision.models.efficientnet")
    setting = [
        tv.MBConvConfig(s.expansion, s.kernel_size, s.stride, before.channels if before else 32, s.channels, s.blocks, 0.25, 0.5)
        for before, s in zip((None, *B0_STAGES), B0_STAGES, strict=False)
    ]
    their = scrambled(tv.EfficientNet(setting, dropout=0.3, stochastic_depth_prob=0.2, num_classes=5))
    our = narrow(dropout=0.3)
    images = torch.randn(4, 3, 40, 33)
    check_parity(our.train(training), their.train(training), images, layout="torchvision", dtype=torch.float64)


# Sizes


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_published_sizes_are_exact(name):
    side = COEFFICIENTS[name].resolution
    with torch.device("meta"):
        model = ours(name)
        work = mult_adds(model, torch.zeros(1, 3, side, side)) / 1e9
    assert count_parameters(model) == PARAMETERS[name]
    documented, paper = WORK[name]
    assert work == pytest.approx(documented, abs=0.0006)
    assert work == pytest.approx(paper, rel=0.05)  # the paper counts up to 4.6 % less (B4)


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_norms_drops_and_widths_are_torchvisions(name):
    with torch.device("meta"):
        our, their = ours(name), theirs(name)
    norms = [m for m in our.modules() if isinstance(m, BatchNorm2d)]
    their_norms = [m for m in their.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert [(m.num_features, m.eps, m.momentum) for m in norms] == [(m.num_features, m.eps, m.momentum) for m in their_norms]
    drops = [m.p for m in our.modules() if isinstance(m, StochasticDepth)]
    their_drops = [m.p for m in their.modules() if type(m).__name__ == "StochasticDepth"]
    assert drops == pytest.approx(their_drops)
    assert [m.p for m in our.modules() if isinstance(m, Dropout)] == [m.p for m in their.modules() if isinstance(m, torch.nn.Dropout)]


def test_the_compound_rule_doubles_the_work_with_every_step():
    assert abs(ALPHA * BETA**2 * GAMMA**2 - 2) < 0.1
    assert compound(0) == (1, 1, 224)
    width, depth, resolution = compound(3)
    assert (width, depth, resolution) == pytest.approx((1.1**3, 1.2**3, 224 * 1.15**3))


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_the_published_coefficients_follow_the_rule_closely_in_width_and_loosely_in_depth(name):
    c = COEFFICIENTS[name]
    phi = math.log(c.resolution / 224) / math.log(GAMMA)  # where the resolution says this network stands
    width, depth, _ = compound(phi)
    assert c.width == pytest.approx(width, rel=0.05)
    assert 0.84 * depth < c.depth < 1.01 * depth  # the large ones are up to 15 % shallower than the rule


# What it is


def test_b0_is_table_1():
    model = ours("b0")
    stages = list(model.features)[1:-1]
    assert [len(stage) for stage in stages] == [1, 2, 2, 3, 3, 4, 1]
    assert [stage[0].project[0].out_channels for stage in stages] == [16, 24, 40, 80, 112, 192, 320]
    assert [stage[0].depthwise[0].kernel_size[0] for stage in stages] == [3, 3, 5, 3, 5, 5, 3]
    assert [stage[0].depthwise[0].stride[0] for stage in stages] == [1, 2, 2, 2, 1, 2, 1]


def test_the_gate_is_a_quarter_of_the_blocks_input():
    blocks = [m for m in ours("b0").modules() if isinstance(m, MBConv)]
    inputs = [32, 16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192]
    assert [block.excite.reduce.out_channels for block in blocks] == [n // 4 for n in inputs]


def test_blocks_are_dropped_with_linearly_growing_probability():
    drops = [m.p for m in ours("b0").modules() if isinstance(m, StochasticDepth)]
    assert drops == pytest.approx([0.2 * i / 16 for i in range(16)])
    assert all(m.p == 0 for m in ours("b0", stochastic_depth=0.0).modules() if isinstance(m, StochasticDepth))


def test_a_dropped_block_is_its_shortcut_for_that_sample_alone():
    block = MBConv(40, B0_STAGES[2], 1, 0.5, BatchNorm2d).eval()
    block.drop.train()
    x = torch.randn(64, 40, 6, 6)
    unchanged = (block(x) == x).flatten(1).all(1)
    assert 16 < int(unchanged.sum()) < 48


def test_the_thrifty_silu_writes_over_its_input_only_without_gradients():
    x = torch.randn(3, 4)
    wanted = torch.nn.functional.silu(x)
    leaf = x.clone().requires_grad_()
    doubled = leaf * 1
    torch.testing.assert_close(ThriftySiLU()(doubled), wanted)
    torch.testing.assert_close(doubled, x)
    y = ThriftySiLU()(x)
    torch.testing.assert_close(y, wanted)
    assert y.data_ptr() == x.data_ptr()


def test_a_narrow_one_for_small_images():
    model = EfficientNet(0.25, 0.5, 10, in_channels=1, stem_stride=1).eval()
    assert count_parameters(model) < 300_000
    assert model(torch.randn(2, 1, 28, 28)).shape == (2, 10)
    assert model.features(torch.randn(2, 1, 28, 28)).shape == (2, 320, 2, 2)


# How it runs


def test_the_input_survives():
    model = narrow().eval()
    x = torch.randn(2, 3, 40, 40)
    before = x.clone()
    with torch.no_grad():
        first = model(x)
        assert torch.equal(x, before)
        assert torch.equal(model(x), first)


def test_channels_last_and_bfloat16_work():
    model = scrambled(narrow()).eval()
    x = torch.randn(2, 3, 40, 40)
    with torch.no_grad():
        wanted = model(x)
        last = model.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
        torch.testing.assert_close(last, wanted, rtol=1e-4, atol=1e-4)
        assert relative(model.bfloat16()(x.bfloat16()).float(), wanted) < 0.1


@pytest.mark.slow
def test_the_compiler_sees_one_graph():
    model = scrambled(narrow()).eval()
    x = torch.randn(2, 3, 40, 40)
    with torch.no_grad():
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), model(x), rtol=1e-4, atol=1e-4)


def test_bad_images_and_settings_are_refused_in_words():
    model = narrow().eval()
    with pytest.raises(ValueError, match=r"\(2, 1, 64, 64\).*\(batch, 3, height, width\)"):
        model(torch.zeros(2, 1, 64, 64))
    with pytest.raises(ValueError, match=r"\(2, 3, 16, 64\).*at least 17"):
        model(torch.zeros(2, 3, 16, 64))
    with pytest.raises(TypeError, match=r"uint8.*255"):
        model(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
    with pytest.raises(TypeError, match=r"float64.*float32"):
        model(torch.zeros(2, 3, 64, 64, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"width=0 and depth=1"):
        EfficientNet(0, 1)
