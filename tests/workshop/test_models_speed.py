"""``fast`` and the folding behind it: what may change (time, memory format, rounding) and what may not."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from viva.models import speed as fast_module
from viva.models.bert import BertConfig, BertForPretraining
from viva.models.efficientnet import EfficientNet
from viva.models.fcn import fcn_resnet50
from viva.models.folding import change
from viva.models.gpt import GPT, GPTConfig
from viva.models.lstm import RecurrentLanguageModel
from viva.models.mobilenet import mobilenet_v1, mobilenet_v2
from viva.models.moe import MoE, MoEConfig
from viva.models.resnet import resnet18
from viva.models.search import beam_search
from viva.models.speed import Report, fast, fold_batch_norms, has_bfloat16
from viva.models.transformer import Transformer, TransformerConfig
from viva.models.unet import UNet
from viva.models.vit import ViT, ViTConfig
from viva.nn import BatchNorm2d, Conv2d, ConvTranspose2d, Linear

IMAGES = (2, 3, 41, 57)


def lived_in(model: nn.Module) -> nn.Module:
    """The model with parameters and running statistics as training would leave them: none of them 0 or 1."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, BatchNorm2d):
            channels = module.num_features
            module.running_mean.copy_(0.3 * torch.randn(channels, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(channels, generator=generator))
            with torch.no_grad():
                module.weight.copy_(0.7 + 0.6 * torch.rand(channels, generator=generator))
                module.bias.copy_(0.2 * torch.randn(channels, generator=generator))
    return model


def gpt(**options: Any) -> GPT:
    return GPT(GPTConfig(**{"vocab_size": 61, "max_length": 24, "d_model": 32, "num_layers": 2, "num_heads": 4} | options))


def bert() -> BertForPretraining:
    return BertForPretraining(BertConfig(vocab_size=61, max_length=24, d_model=32, num_layers=2, num_heads=4, d_ff=64))


def moe() -> MoE:
    sizes = {"vocab_size": 61, "max_length": 24, "d_model": 32, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2}
    return MoE(MoEConfig(**sizes, d_ff=48, num_experts=4))


def transformer() -> Transformer:
    return Transformer(TransformerConfig(vocab_size=61, d_model=32, num_layers=2, num_heads=4, d_ff=64, max_length=24))


def vit() -> ViT:
    sizes = {"image_size": 28, "patch_size": 7, "in_channels": 1, "num_classes": 10}
    return ViT(ViTConfig(**sizes, d_model=32, num_layers=2, num_heads=4, d_ff=64))


def tokens(*shape: int) -> Tensor:
    return torch.randint(1, 61, shape, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def gains(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Says what the clock will have found; both sides are still called, so what does not run is noticed."""

    def found(gain: float) -> None:
        def measured(
            slow: Callable[[], Any], quick: Callable[[], Any], device: torch.device, mode: Callable[[], Any] = torch.inference_mode
        ) -> float:
            with mode():
                slow(), quick()
            return gain

        monkeypatch.setattr(fast_module, "_gain", measured)

    return found


@pytest.fixture
def bfloat16(monkeypatch: pytest.MonkeyPatch, gains: Callable[[float], None]) -> None:
    """A machine with bfloat16 instructions, on which every step pays."""
    monkeypatch.setattr(fast_module, "has_bfloat16", lambda device: True)
    gains(2.0)


@pytest.fixture
def no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_module, "has_bfloat16", lambda device: False)


# --- Folding


def sequence(*layers: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*layers)


FOLDED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "resnet18": (lambda: resnet18(7, width=8), IMAGES, 20),
    "mobilenet_v1": (lambda: mobilenet_v1(7, width=0.25), IMAGES, 27),
    "mobilenet_v2": (lambda: mobilenet_v2(7, width=0.25), IMAGES, 52),
    "efficientnet": (lambda: EfficientNet(0.25, 0.5, 7, eps=1e-3), IMAGES, 31),
    "fcn": (lambda: fcn_resnet50(5, width=8), IMAGES, 54),
    "unet": (lambda: UNet(3, 4, depth=2, width=6, padding="same", batch_norm=True), (2, 3, 40, 52), 10),
    "grouped": (sequence(Conv2d(6, 9, 3, groups=3, bias=False), BatchNorm2d(9)), (2, 6, 11, 8), 1),
    "depthwise": (sequence(Conv2d(6, 12, 3, stride=2, groups=6), BatchNorm2d(12, eps=1e-3)), (2, 6, 11, 8), 1),
    "transposed": (sequence(ConvTranspose2d(4, 6, 3, stride=2, output_padding=1), BatchNorm2d(6)), (2, 4, 7, 5), 1),
    "grouped transposed": (sequence(ConvTranspose2d(4, 6, 2, stride=2, groups=2, bias=False), BatchNorm2d(6)), (2, 4, 7, 5), 1),
    "dilated, twice": (
        sequence(Conv2d(3, 5, 3, dilation=2, padding=2), BatchNorm2d(5), nn.ReLU(), Conv2d(5, 4, 1), BatchNorm2d(4)),
        (1, 3, 9, 9),
        2,
    ),
}


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.float64, 1e-10)], ids=["float32", "float64"])
@pytest.mark.parametrize("name", FOLDED)
def test_folding_changes_nothing_but_rounding(name: str, dtype: torch.dtype, limit: float) -> None:
    build, shape, norms = FOLDED[name]
    model = lived_in(build()).to(dtype).eval()
    folded = copy.deepcopy(model)
    found, other = torch.randn(shape, dtype=dtype), 3 * torch.randn(shape, dtype=dtype) + 1
    assert fold_batch_norms(folded, found) == norms
    assert not any(isinstance(module, BatchNorm2d) for module in folded.modules())
    assert not any(module.training for module in folded.modules())
    with torch.no_grad():
        for images in (found, other):  # other: numbers that folding has not seen
            assert change([model(images)], [folded(images)]) < limit


def test_folding_is_refused_in_training() -> None:
    model = lived_in(resnet18(7, width=8)).train()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match="eval"):
        fold_batch_norms(model, torch.randn(IMAGES))
    model.eval()
    model.layer1[0].bn1.train()  # one norm is enough: it would learn from the images that are only to be looked at
    with pytest.raises(ValueError, match="eval"):
        fold_batch_norms(model, torch.randn(IMAGES))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class Custom(nn.Module):
    """A convolution, a norm, and a ``forward`` that says what is done with them."""

    def __init__(self, forward: Callable[..., Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.convolution, self.norm = Conv2d(3, 3, 3, padding=1), BatchNorm2d(3)
        for name, part in parts.items():
            self.add_module(name, part)
        self.steps = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.steps(self, x)


def branching(m: Any, x: Tensor) -> Tensor:
    y = m.convolution(x)
    return m.norm(y) + 1e-5 * y.abs()  # so little that the output before and after would not tell


def reused(m: Any, x: Tensor) -> Tensor:
    return m.convolution(m.norm(m.convolution(x)))


def two_norms(m: Any, x: Tensor) -> Tensor:
    y = m.convolution(x)
    return m.norm(y) + m.second(y)


def norm_twice(m: Any, x: Tensor) -> Tensor:
    return m.norm(m.convolution(x)) + m.norm(m.second(x))


def in_place_between(m: Any, x: Tensor) -> Tensor:
    # On these images nothing is negative, so the output before and after would not tell.
    return m.norm(m.convolution(x).add_(100).relu_())


def function_between(m: Any, x: Tensor) -> Tensor:
    return m.norm(torch.relu(m.convolution(x)))


def norm_first(m: Any, x: Tensor) -> Tensor:
    return m.convolution(m.norm(x))


def returned_too(m: Any, x: Tensor) -> Any:
    y = m.convolution(x)
    return {"norm": m.norm(y), "plain": [y]}


@pytest.mark.parametrize(
    "forward", [branching, reused, two_norms, norm_twice, in_place_between, function_between, norm_first, returned_too],
    ids=lambda forward: forward.__name__,
)  # fmt: skip
def test_folding_leaves_a_convolution_alone_that_does_not_feed_one_norm_only(forward: Callable[..., Tensor]) -> None:
    second = {"two_norms": BatchNorm2d(3), "norm_twice": Conv2d(3, 3, 1)}.get(forward.__name__)
    model = lived_in(Custom(forward, **({"second": second} if second else {}))).eval()
    before = copy.deepcopy(model.state_dict())
    assert fold_batch_norms(model, torch.randn(2, 3, 8, 8)) == 0
    after = model.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)


class ConvolutionWithReLU(Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


def test_folding_leaves_a_subclass_alone_that_does_more_than_convolve() -> None:
    model = lived_in(nn.Sequential(ConvolutionWithReLU(3, 4, 3), BatchNorm2d(4))).eval()
    with torch.no_grad():
        model[0].bias.fill_(100.0)  # nothing is negative here: only the class tells
    assert fold_batch_norms(model, torch.randn(2, 3, 8, 8)) == 0


def test_folding_goes_on_with_the_pairs_that_fit() -> None:
    def mixed(m: Any, x: Tensor) -> Tensor:
        y = m.convolution(x)
        return m.late(m.norm(y) + y)

    late = nn.Sequential(Conv2d(3, 5, 3), BatchNorm2d(5))
    model = lived_in(Custom(mixed, late=late)).eval()
    folded, images = copy.deepcopy(model), torch.randn(2, 3, 8, 8)
    assert fold_batch_norms(folded, images) == 1
    assert isinstance(folded.norm, BatchNorm2d) and isinstance(folded.late[1], nn.Identity)
    with torch.no_grad():
        assert change([model(images)], [folded(images)]) < 1e-5


def test_folding_works_under_inference_mode_too() -> None:
    model = lived_in(resnet18(7, width=8)).eval()
    with torch.inference_mode():
        assert fold_batch_norms(model, torch.randn(IMAGES)) == 20


def test_a_model_without_norms_has_nothing_to_fold() -> None:
    assert fold_batch_norms(gpt().eval(), tokens(2, 9)) == 0


def test_the_change_of_outputs_sees_what_is_no_number() -> None:
    one, nan, inf = torch.ones(2), torch.tensor([1.0, torch.nan]), torch.tensor([1.0, -torch.inf])
    assert change([one, one], [one, nan]) == float("inf")
    assert change([nan, inf], [nan, inf]) == 0.0
    assert change([inf], [inf + torch.tensor([0.5, 0.0])]) == 0.5
    assert change([torch.empty(0)], [torch.empty(0)]) == 0.0
    assert change([2 * one, one], [2 * one + 0.2, one]) == pytest.approx(0.1)


# --- fast, exactly


@pytest.mark.parametrize("training", [False, True])
def test_fast_leaves_the_given_model_as_it_was(training: bool, gains: Callable[[float], None]) -> None:
    gains(2.0)
    model = lived_in(resnet18(7, width=8)).train(training)
    model.layer1[0].bn1.train(not training)  # a mixture of modes is the owner's business
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    layout = model.conv1.weight.stride()
    quick, _ = fast(model, torch.randn(IMAGES))
    assert [module.training for module in model.modules()] == modes
    assert type(model).forward is vars(type(model))["forward"] and "forward" not in vars(model)
    assert model.conv1.weight.stride() == layout
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module.training for module in quick.modules())


def test_fast_restores_the_mode_when_the_model_fails() -> None:
    model = gpt().train()
    with pytest.raises(ValueError, match="positions for 24"):
        fast(model, tokens(1, 25))
    assert model.training


@pytest.mark.parametrize("gain", [2.0, 0.5], ids=["taken", "left"])
def test_the_exact_model_differs_by_rounding_alone_and_says_so(gain: float, gains: Callable[[float], None]) -> None:
    gains(gain)
    images = torch.randn(IMAGES)
    model = lived_in(resnet18(7, width=8)).eval()
    quick, report = fast(model, images, exact=True)
    with torch.no_grad():
        wanted, found = model(images), quick(images)
    assert isinstance(quick, type(model)) and found.dtype == torch.float32
    assert report.change == pytest.approx(change([wanted], [found]), abs=1e-9) and report.change < 1e-5
    assert quick.conv1.weight.is_contiguous(memory_format=torch.channels_last) == (gain > 1)
    verdict = "taken" if gain > 1 else "left"
    assert report.choices == [
        "folded 20 batch norms into the convolutions before them",
        f"channels last: {gain:.2f} times as fast, {verdict}",
        "float32: asked to be exact",
    ]
    assert report.speedup == gain


def test_the_report_reads_as_text() -> None:
    text = str(Report(["no batch norm to fold", "compiled"], 3e-6, 2.5))
    assert text == "- no batch norm to fold\n- compiled\nThe output moves by 3.0e-06 of its largest value; 2.50 times as fast."


def test_fast_measures_with_the_real_clock(no_bfloat16: None) -> None:
    _, report = fast(resnet18(7, width=8), torch.randn(IMAGES))
    assert report.speedup > 0 and "float32: this machine has no bfloat16 instructions" in report.choices


def test_fast_without_inputs_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match="measures"):
        fast(gpt())


def test_the_question_for_bfloat16_is_answered_for_this_machine() -> None:
    assert has_bfloat16(torch.device("cpu")) in (True, False)
    assert has_bfloat16(torch.device("meta")) is False


def test_fast_models_of_several_inputs_and_dataclasses(gains: Callable[[float], None]) -> None:
    gains(2.0)
    inputs = (tokens(2, 9), torch.zeros(2, 9, dtype=torch.long), torch.arange(9) < torch.tensor([[9], [5]]))
    model = bert().eval()
    quick, report = fast(model, *inputs, exact=True)
    with torch.no_grad():
        wanted, found = model(*inputs), quick(*inputs)
    assert torch.equal(found.mlm_logits, wanted.mlm_logits) and torch.equal(found.nsp_logits, wanted.nsp_logits)
    assert report.change == 0.0


@pytest.mark.parametrize("build", [gpt, moe], ids=["gpt", "moe"])
def test_an_exact_fast_model_generates_the_same_tokens(build: Callable[[], Any], gains: Callable[[float], None]) -> None:
    gains(2.0)
    model, prompt = build().eval(), tokens(3, 5)
    quick, _ = fast(model, prompt, exact=True)
    wanted = model.generate(prompt, 19, temperature=0)
    assert torch.equal(quick.generate(prompt, 19, temperature=0), wanted)
    assert torch.equal(quick.generate(prompt, 19, seed=3), model.generate(prompt, 19, seed=3))


@pytest.mark.parametrize("with_bfloat16", [False, True])
def test_a_copy_of_a_fast_model_is_a_model_of_its_own(
    with_bfloat16: bool, gains: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    gains(2.0)
    monkeypatch.setattr(fast_module, "has_bfloat16", lambda device: with_bfloat16)
    images = torch.randn(IMAGES)
    quick, _ = fast(lived_in(resnet18(7, width=8)), images)
    other = copy.deepcopy(quick)
    with torch.no_grad():
        wanted = quick(images)
        assert torch.equal(other(images), wanted)
        for parameter in other.parameters():
            parameter.zero_()
        assert not other(images).any() and torch.equal(quick(images), wanted)
        other.load_state_dict(quick.state_dict(), strict=True)
        assert torch.equal(other(images), wanted)


# --- fast, in bfloat16 (any machine computes it, most of them slowly)

LOWERED: dict[str, tuple[Callable[[], nn.Module], Callable[[], tuple[Tensor, ...]]]] = {
    "resnet18": (lambda: lived_in(resnet18(7, width=8)), lambda: (torch.randn(IMAGES),)),
    "mobilenet": (lambda: lived_in(mobilenet_v1(7, width=0.5)), lambda: (torch.randn(IMAGES),)),
    "unet": (lambda: UNet(3, 4, depth=2, width=6, padding="same"), lambda: (torch.randn(2, 3, 40, 52),)),
    "vit": (vit, lambda: (torch.randn(2, 1, 28, 28),)),
    "bert": (bert, lambda: (tokens(2, 9), torch.zeros(2, 9, dtype=torch.long), torch.arange(9) < torch.tensor([[9], [5]]))),
    "gpt": (gpt, lambda: (tokens(2, 9),)),
    "transformer": (transformer, lambda: (tokens(2, 9), tokens(2, 5))),
}


@pytest.mark.parametrize("name", LOWERED)
def test_in_bfloat16_the_output_stays_float32_and_moves_little(name: str, bfloat16: None) -> None:
    build, make = LOWERED[name]
    model, inputs = build().eval(), make()
    quick, report = fast(model, *inputs)
    assert "bfloat16 matrix products: 2.00 times as fast, taken" in report.choices
    products = [module for module in quick.modules() if isinstance(module, Linear | Conv2d | ConvTranspose2d)]
    assert {module.weight.dtype for module in products} == {torch.bfloat16}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    with torch.no_grad():
        wanted, found = fast_module.outputs(model(*inputs)), fast_module.outputs(quick(*inputs))
    assert {tensor.dtype for tensor in found} == {torch.float32}
    assert 0 < change(wanted, found) < 3e-2
    assert report.change == pytest.approx(change(wanted, found), rel=1e-3)


def test_in_bfloat16_tied_embeddings_stay_tied_and_in_float32(bfloat16: None) -> None:
    model = gpt().eval()
    quick, _ = fast(model, tokens(2, 9))
    assert quick.token_embedding.weight.dtype == torch.float32
    assert torch.equal(quick.token_embedding.weight, model.token_embedding.weight)
    assert quick.layers[0].expand.weight.dtype == torch.bfloat16

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = Linear(6, 6), Linear(6, 6), Linear(6, 6)
            self.second.weight = self.first.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.third(self.second(self.first(x)))

    lowered, _ = fast(Tied(), torch.randn(2, 6))
    assert lowered.first.weight is lowered.second.weight and lowered.first.weight is not lowered.third.weight


def test_in_bfloat16_every_public_method_works_not_forward_alone(bfloat16: None) -> None:
    prompt = tokens(3, 5)
    for model in (gpt(), moe()):
        quick, _ = fast(model, prompt)
        assert quick.generate(prompt, 19, temperature=0).shape == (3, 24)
        assert quick.next_logits(prompt, quick.new_caches(5)).dtype == torch.float32
        assert quick.loss(prompt).dtype == torch.float32

    translator = transformer().eval()
    quick, _ = fast(translator, prompt, prompt)
    found = beam_search(quick, prompt, start=1, stop=2, max_length=8, beam_width=3)
    wanted = beam_search(translator, prompt, start=1, stop=2, max_length=8, beam_width=3)
    assert change([wanted.scores], [found.scores]) < 3e-2

    images = torch.randn(1, 3, 41, 57)
    segmenter = lived_in(fcn_resnet50(5, width=8, auxiliary=True)).eval()
    quick, _ = fast(segmenter, images)
    with torch.no_grad():
        assert change(list(segmenter.with_auxiliary(images)), list(quick.with_auxiliary(images))) < 3e-2


def test_a_step_that_the_machine_cannot_run_is_left(bfloat16: None) -> None:
    """Not every CPU that computes in bfloat16 has an LSTM in it. Where this one has, the step is taken."""
    model = RecurrentLanguageModel(61, 16).eval()
    quick, report = fast(model, tokens(2, 9))
    found, (hidden, cell) = quick(tokens(2, 9))
    assert {found.dtype, hidden.dtype, cell.dtype} == {torch.float32}
    assert report.change < 3e-2 and report.choices[-1].startswith("bfloat16 matrix products")

    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            if torch.is_autocast_enabled("cpu"):
                raise RuntimeError("no kernel\nfor this")
            return self.linear(x)

    quick, report = fast(Broken(), torch.randn(2, 4))
    assert report.choices[-1] == "bfloat16 matrix products: this machine cannot (no kernel), left" and report.change == 0.0
    assert quick.linear.weight.dtype == torch.float32


def test_bfloat16_is_left_to_float32_models(bfloat16: None) -> None:
    quick, report = fast(gpt().double(), tokens(2, 9))
    assert "bfloat16 left: it is for float32 models, this one has parameters in torch.float64" in report.choices
    assert report.change == 0.0 and quick(tokens(2, 9)).dtype == torch.float64


def test_bfloat16_is_left_where_it_does_not_pay(monkeypatch: pytest.MonkeyPatch, gains: Callable[[float], None]) -> None:
    monkeypatch.setattr(fast_module, "has_bfloat16", lambda device: True)
    gains(1.0)
    quick, report = fast(gpt(), tokens(2, 9))
    assert {parameter.dtype for parameter in quick.parameters()} == {torch.float32} and report.change == 0.0
    assert report.choices[-1] == "bfloat16 matrix products: 1.00 times as fast, left"


@dataclass(frozen=True)
class Answer:
    logits: Tensor
    rest: Any


def test_outputs_of_every_kind_leave_in_float32(bfloat16: None) -> None:
    class Kinds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = Linear(4, 3)

        def forward(self, x: Tensor) -> Any:
            y = self.linear(x)
            return Answer(y, OrderedDict(a=[y, (y, None)], b=torch.arange(2), c="text"))

    found = fast(Kinds(), torch.randn(2, 4))[0](torch.randn(2, 4))
    assert isinstance(found, Answer) and isinstance(found.rest, OrderedDict) and found.rest["c"] == "text"
    assert {t.dtype for t in (found.logits, found.rest["a"][0], found.rest["a"][1][0])} == {torch.float32}
    assert found.rest["b"].dtype == torch.int64


# --- fast, for training


@pytest.mark.parametrize("with_bfloat16", [False, True])
def test_fast_training_keeps_the_parameters_and_learns(
    with_bfloat16: bool, monkeypatch: pytest.MonkeyPatch, gains: Callable[[float], None]
) -> None:
    gains(2.0)
    monkeypatch.setattr(fast_module, "has_bfloat16", lambda device: with_bfloat16)
    model = resnet18(3, width=8, in_channels=1, stem="small").eval()
    before = copy.deepcopy(model.state_dict())
    parameters = list(model.parameters())
    images, labels = torch.randn(12, 1, 12, 12), torch.arange(12) % 3
    quick, report = fast(model, images, training=True)
    assert quick is model and model.training
    assert report.choices[0] == "channels last: 2.00 times as fast, taken"
    assert (report.change, report.speedup) == (0.0, 4.0 if with_bfloat16 else 2.0)
    assert ("autocast" in report.choices[1]) == with_bfloat16
    assert all(parameter.grad is None for parameter in parameters)
    assert all(one is other for one, other in zip(parameters, model.parameters(), strict=True))
    assert all(torch.equal(value, before[name]) and value.dtype == before[name].dtype for name, value in model.state_dict().items())

    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        logits = quick(images)
        loss = nn.functional.cross_entropy(logits, labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert logits.dtype == torch.float32 and all(p.grad is not None and p.grad.dtype == torch.float32 for p in parameters)
    assert losses[-1] < 0.2 * losses[0]


def test_what_slows_training_down_is_left(gains: Callable[[float], None], no_bfloat16: None) -> None:
    gains(0.5)
    model, images = resnet18(3, width=8, in_channels=1, stem="small"), torch.randn(4, 1, 12, 12)
    kind, state = type(model), torch.get_rng_state()
    quick, report = fast(model, images, training=True)
    assert quick is model and type(model) is kind and report.speedup == 1.0
    assert report.choices[0] == "channels last: 0.50 times as fast, left"
    assert torch.equal(torch.get_rng_state(), state)


def test_fast_training_has_the_gradients_of_the_model(no_bfloat16: None, gains: Callable[[float], None]) -> None:
    gains(2.0)
    # In float64: batch norms over few numbers blow rounding up on the way back.
    model, images = lived_in(mobilenet_v2(7, width=0.25, dropout=0.0)).double(), torch.randn(4, 3, 65, 65).double()
    model.train()
    plain = copy.deepcopy(model)
    quick, _ = fast(model, images, training=True)
    for one in (plain, quick):
        one(images).square().sum().backward()
    pairs = [(p.grad, q.grad) for p, q in zip(plain.parameters(), quick.parameters(), strict=True)]
    largest = max(float(p.abs().max()) for p, _ in pairs)
    assert all(float((p - q).abs().max()) < 1e-9 * largest for p, q in pairs)


def test_a_copy_of_a_model_in_fast_training_is_a_model_of_its_own(gains: Callable[[float], None]) -> None:
    gains(2.0)
    images = torch.randn(2, 3, 41, 57)
    model, _ = fast(lived_in(resnet18(7, width=8)), images, training=True, exact=True)
    average = copy.deepcopy(model).eval()  # as for weights that are averaged over steps
    with torch.no_grad():
        for parameter in average.parameters():
            parameter.zero_()
        assert not average(images).any() and model.eval()(images).any()


# --- Compiled


@pytest.mark.slow
@pytest.mark.parametrize("training", [False, True])
def test_a_compiled_fast_model_gives_the_same(
    training: bool, monkeypatch: pytest.MonkeyPatch, gains: Callable[[float], None], no_bfloat16: None
) -> None:
    gains(2.0)
    plain_compile = torch.compile
    monkeypatch.setattr(torch, "compile", lambda *a, **k: plain_compile(*a, **k, backend="aot_eager"))
    torch._dynamo.reset()
    model, images = lived_in(resnet18(7, width=8)).eval(), torch.randn(IMAGES)
    wanted = model(images).detach()
    quick, report = fast(copy.deepcopy(model), images, compile=True, training=training)
    with torch.no_grad():
        assert change([wanted], [quick.eval()(images)]) < 1e-5
    assert report.choices[-1] == "compiled"
