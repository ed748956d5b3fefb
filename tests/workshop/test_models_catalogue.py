"""The catalogue finds every model by itself, and the committed records state what the code has now."""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path

import parity as proof
import pytest
import torch
from torch import Tensor, nn

import viva.models
from viva.models import catalogue, records
from viva.models.checkpoint import Layout
from viva.nn import BatchNorm2d, Conv2d, Linear


def test_every_module_of_the_package_is_found_without_a_list() -> None:
    names = catalogue.names()
    assert names == sorted(set(names))
    for name in ("resnet50", "gpt2", "vit_b_16", "rbm_784_500", "autoencoder_2006"):
        assert name in names
    for module in pkgutil.iter_modules(viva.models.__path__, "viva.models."):
        importlib.import_module(module.name)


def test_a_published_constructor_stays_the_function_it_was() -> None:
    from viva.models.resnet import resnet50

    assert catalogue.entry("resnet50").build is resnet50
    assert catalogue.build("resnet50", num_classes=7).state_dict()["fc.weight"].shape[0] == 7


def test_an_unknown_name_brings_the_nearest() -> None:
    with pytest.raises(catalogue.UnknownModel, match=r"did you mean .*resnet50") as caught:
        catalogue.build("ResNet-5O")
    assert "resnet50" in caught.value.near


def test_two_models_of_one_name_are_refused() -> None:
    def resnet50() -> None: ...

    with pytest.raises(ValueError, match="two models are called 'resnet50'"):
        catalogue.published(paper="none")(resnet50)


@pytest.mark.parametrize("name", catalogue.names())
def test_every_published_model_states_a_paper_and_has_a_record_that_is_true(name: str) -> None:
    entry = catalogue.entry(name)
    assert any(character.isdigit() for character in entry.paper), f"the paper of {name} has no year: {entry.paper}"
    if entry.example is not None:
        assert isinstance(entry.example(), tuple)
    record = proof.check_record(name)
    assert (record["reference"] is None) or record["max_rel_error"] is not None, f"{name} names a reference and was never measured against it"
    if record["max_rel_error"] is not None:
        assert 0 <= record["max_rel_error"] <= 1e-5
        assert all(error[what] <= 1e-12 for kind, error in record["errors"].items() if kind == "float64" for what in ("outputs", "gradients"))


def test_no_record_is_left_of_a_model_that_is_gone() -> None:
    assert {record["name"] for record in records.read_records()} <= set(catalogue.names())


# Records


def test_a_record_is_written_whole_read_back_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    for function in (records.read_record, records.write_record, records.read_records):
        monkeypatch.setattr(function, "__defaults__", (tmp_path,))
    name = "resnet18"
    with pytest.raises(AssertionError, match=r"has no record; write it with: python3 run\.py test tests/workshop --record"):
        proof.check_record(name)
    proof.make_record(name, proof.Parity(1.25e-7, 2e-7, torch.float32))
    proof.make_record(name, proof.Parity(1e-16, 2e-16, torch.float64), "reduced: one image of 64×64")
    record = proof.check_record(name, proof.Parity(3e-7, 0, torch.float32))
    assert (record["parameters"], record["mult_adds"]) == (11_689_512, 1_814_073_344)
    assert record["max_rel_error"] == 2e-7 and set(record["errors"]) == {"float32", "float64"}
    with pytest.raises(AssertionError, match="was measured on 'reduced"):
        proof.check_record(name, proof.Parity(0, 0, torch.float64), "full")
    with pytest.raises(AssertionError, match="size is 'full' or"):
        proof.make_record(name, None, "small")
    records.write_record(record | {"parameters": 11_689_513})
    with pytest.raises(AssertionError, match="out of date"):
        proof.check_record(name)
    assert [path.name for path in tmp_path.iterdir()] == ["resnet18.json"]


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    for text in ("", "[]", json.dumps({"name": "other"}), "\xff"):
        (tmp_path / "a.json").write_text(text, "latin-1")
        with pytest.raises(records.RecordError, match=r"a\.json"):
            records.read_records(tmp_path)


# The proof itself: it must fail when something is wrong.


class Net(nn.Module):
    def __init__(self, slope: float = 0.0, detach: bool = False) -> None:
        super().__init__()
        self.conv, self.norm, self.head = Conv2d(2, 3, 3), BatchNorm2d(3), Linear(3, 2)
        self.slope, self.detach = slope, detach

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.leaky_relu(self.norm(self.conv(x)), self.slope).mean((2, 3))
        return self.head(x.detach() if self.detach else x)


IMAGES = torch.randn(4, 2, 6, 6, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("training", [True, False])
def test_equal_networks_are_equal(dtype: torch.dtype, training: bool) -> None:
    parity = proof.check_parity(Net().train(training), Net().train(training), IMAGES, layout=Layout(), dtype=dtype)
    assert parity.worst == 0.0
    # Batch statistics take a constant away again: in training the bias before them has no gradient.
    assert parity.zero == (("conv.bias",) if training else ())


@pytest.mark.parametrize(
    ("ours", "match"),
    [
        (lambda: Net(slope=0.01), "output 0 differs"),
        (lambda: Net(detach=True), "the gradient of conv.weight differs by 1"),
        (lambda: setattr(net := Net(), "norm", BatchNorm2d(3, momentum=0.2)) or net, "the buffer norm.running_mean differs"),
    ],
)
def test_a_wrong_function_a_wrong_gradient_and_a_wrong_buffer_are_caught(ours: object, match: str) -> None:
    with pytest.raises(AssertionError, match=match):
        proof.check_parity(ours().train(), Net().train(), IMAGES, layout=Layout())  # type: ignore[operator]


def test_a_missing_gradient_a_nan_and_an_infinity_do_not_pass() -> None:
    nan, one = torch.tensor([float("nan"), 1.0]), torch.ones(2)
    assert not proof.relative(nan, one) <= 1e9
    assert proof.relative(torch.tensor([float("inf"), 1.0]), one) == float("inf")
    masked = torch.tensor([-float("inf"), 2.0])
    assert proof.relative(masked, masked.clone()) == 0.0
    assert proof.relative(one, torch.zeros(2)) == float("inf") and proof.relative(torch.zeros(2), torch.zeros(2)) == 0.0
    with pytest.raises(AssertionError, match=r"ours is \(2,\), theirs \(3,\)"):
        proof.relative(one, torch.ones(3))
    with pytest.raises(AssertionError, match="every gradient of the reference is zero"):
        proof.check_parity(Net(), Net(), IMAGES, layout=Layout(), loss=lambda output: (0 * output).sum())


def test_a_layout_that_loses_a_name_fails_the_round_trip() -> None:
    class Forgetful(Layout):
        def to_theirs(self, state):  # type: ignore[no-untyped-def]
            return {name: tensor for name, tensor in super().to_theirs(state).items() if name != "head.bias"}

    with pytest.raises(AssertionError, match="1 of their names are missing"):
        proof.check_parity(Net(), Net(), IMAGES, layout=Forgetful())
