"""Checkpoints: names and shapes back and forth without loss, and files that a stranger made."""

from __future__ import annotations

import json
import os
import pickle
import stat
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from parity import reference
from safetensors.torch import save_file
from torch import Tensor, nn

from viva.models.checkpoint import (
    CheckpointError,
    Fused,
    Layout,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from viva.models.layout import Template
from viva.nn import BatchNorm2d, Conv2d, Linear


class Tiny(nn.Module):
    """Two layers whose last weight is the first one's: the least model that has a tie, a bias and a buffer."""

    layouts: ClassVar[dict[str, Layout]] = {"other": Layout(("first", "net.in"), ("last", "net.out"), transposed=("first", "last"))}

    def __init__(self, tied: bool = False) -> None:
        super().__init__()
        self.first = Linear(3, 3)
        self.last = Linear(3, 3)
        if tied:
            self.last.weight = self.first.weight
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x))


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(one[name].shape == other[name].shape and torch.equal(one[name], other[name]) for name in one)


def numbered(*shape: int) -> Tensor:
    return torch.arange(float(torch.Size(shape).numel())).reshape(shape)


# Layouts


def test_a_template_stands_for_a_name_and_everything_below_it() -> None:
    assert Template("h.{}.attn").match("h.3.attn.bias") == (("3",), ".bias")
    assert Template("h.{}.attn").match("h.3.attn") == (("3",), "")
    assert Template("h.{}.attn").match("h.3.attn_norm.bias") is None
    assert Template("h.{}").match("h.3.4") == (("3",), ".4")
    assert Template("a.b").match("a_b") is None
    assert Template("").match("x.y") == ((), ".x.y")
    assert Template("").fill((), ".x.y") == "x.y"


def test_a_layout_without_pairs_is_the_identity() -> None:
    state = Tiny().state_dict()
    assert same(Layout().to_ours(state), state) and same(Layout().to_theirs(state), state)


def test_a_prefix_can_be_added_and_taken_away() -> None:
    layout = Layout(("", "bert"))
    assert layout.to_ours({"bert.a.weight": numbered(2)}).keys() == {"a.weight"}
    assert layout.to_theirs({"a.weight": numbered(2)}).keys() == {"bert.a.weight"}


def test_the_gpt2_layout_is_undone_exactly() -> None:
    layout = Layout(
        ("tokens", "transformer.wte"),
        ("blocks.{}.output", "transformer.h.{}.attn.c_proj"),
        transposed=("blocks.{}.output", "blocks.{}.query", "blocks.{}.key", "blocks.{}.value"),
        fused={"transformer.h.{}.attn.c_attn": ("blocks.{}.query", "blocks.{}.key", "blocks.{}.value")},
        tied={"lm_head.weight": "transformer.wte.weight"},
        ignored=("transformer.h.{}.attn.masked_bias",),
    )
    theirs = {
        "transformer.wte.weight": numbered(5, 4),
        "lm_head.weight": numbered(5, 4),
        "transformer.h.0.attn.c_attn.weight": numbered(4, 12),
        "transformer.h.0.attn.c_attn.bias": numbered(12),
        "transformer.h.0.attn.c_proj.weight": numbered(4, 4),
    }
    ours = layout.to_ours(theirs | {"transformer.h.0.attn.masked_bias": torch.tensor(-1e4)})
    assert ours.keys() == {
        "tokens.weight", "blocks.0.output.weight",
        *(f"blocks.0.{part}.{kind}" for part in ("query", "key", "value") for kind in ("weight", "bias")),
    }  # fmt: skip
    torch.testing.assert_close(ours["blocks.0.key.weight"], theirs["transformer.h.0.attn.c_attn.weight"][:, 4:8].T)
    torch.testing.assert_close(ours["blocks.0.value.bias"], numbered(12)[8:])
    torch.testing.assert_close(ours["blocks.0.output.weight"], numbered(4, 4).T)
    assert same(layout.to_theirs(ours), theirs)


def test_stacked_experts_come_apart_and_then_unfuse() -> None:
    layout = Layout(
        ("layers.{}.experts.{}.down.weight", "model.{}.experts.{}.down_proj"),
        stacked={
            "model.{}.experts.gate_up_proj": "model.{}.experts.{}.gate_up_proj",
            "model.{}.experts.down_proj": "model.{}.experts.{}.down_proj",
        },
        fused={"model.{}.experts.{}.gate_up_proj": ("layers.{}.experts.{}.gate.weight", "layers.{}.experts.{}.up.weight")},
    )
    theirs = {"model.7.experts.gate_up_proj": numbered(3, 10, 4), "model.7.experts.down_proj": numbered(3, 4, 5)}
    ours = layout.to_ours(theirs)
    assert len(ours) == 9
    torch.testing.assert_close(ours["layers.7.experts.2.up.weight"], theirs["model.7.experts.gate_up_proj"][2, 5:])
    assert same(layout.to_theirs(ours), theirs)


def test_separate_experts_can_be_put_together_and_stay_in_numerical_order() -> None:
    layout = Layout(("experts.weight", "all"), stacked={"experts.{}.w1": "all"})
    theirs = {f"experts.{index}.w1": numbered(2, 2) + index for index in reversed(range(11))}  # "10" sorts before "2"
    ours = layout.to_ours(theirs)
    assert ours["experts.weight"][:, 0, 0].tolist() == list(range(11))
    assert same(layout.to_theirs(ours), theirs)
    del theirs["experts.4.w1"]
    with pytest.raises(CheckpointError, match="numbers are"):
        layout.to_ours(theirs)


def test_fusing_along_the_second_dimension_and_in_unequal_shares() -> None:
    layout = Layout(fused={"gate_up": Fused(("gate", "up"), dim=1), "qkv": Fused(("q", "k", "v"), shares=(4, 1, 1))})
    theirs = {"gate_up": numbered(2, 6, 3), "qkv": numbered(12, 2)}
    ours = layout.to_ours(theirs)
    assert ours["up"].shape == (2, 3, 3) and [ours[name].shape[0] for name in "qkv"] == [8, 2, 2]
    assert same(layout.to_theirs(ours), theirs)
    with pytest.raises(CheckpointError, match=r"dimension 0 of \(13, 2\) does not divide"):
        layout.to_ours({"qkv": numbered(13, 2)})


def test_gradients_follow_their_weights_through_a_layout() -> None:
    """check_parity relies on it: a layout moves numbers and never changes one."""
    layout = Layout(transposed=("q", "k"), fused={"qk": ("q", "k")})
    weight = torch.randn(4, 6, requires_grad=True)
    parts = layout.to_ours({"qk": weight})
    (parts["q"].sin().sum() + parts["k"].cos().sum()).backward()
    grads = layout.to_theirs({"q": parts["q"].detach().cos(), "k": -parts["k"].detach().sin()})
    torch.testing.assert_close(grads["qk"], weight.grad)


word = st.text("abc_", min_size=1, max_size=3)
dotted = st.lists(st.one_of(word, st.integers(0, 30).map(str)), min_size=1, max_size=4).map(".".join)


@given(names=st.sets(dotted, max_size=8), pairs=st.lists(st.tuples(dotted, dotted), max_size=3), seed=st.integers(0, 9))
def test_a_layout_is_undone_exactly_or_refuses(names: set[str], pairs: list[tuple[str, str]], seed: int) -> None:
    layout = Layout(*pairs, transposed=[pairs[0][0]] if pairs else [])
    chance = torch.Generator().manual_seed(seed)
    theirs = {name: torch.rand(2, 3, generator=chance) for name in names}
    try:
        ours = layout.to_ours(theirs)
    except (CheckpointError, ValueError):
        return
    assert len(ours) == len(theirs) and same(layout.to_theirs(ours), theirs)


def test_ambiguous_layouts_and_templates_with_unequal_blanks_are_refused() -> None:
    with pytest.raises(ValueError, match="ambiguous"):
        Layout(("a", "x"), ("a", "y")).to_ours({"y.weight": numbered(2)})
    with pytest.raises(CheckpointError, match="two tensors become 'a'"):
        Layout(fused={"x": ("a", "b")}).to_ours({"x": numbered(4), "a": numbered(2)})
    with pytest.raises(ValueError, match="1 blanks and 'y' has 0"):
        Layout(("x.{}", "y"))
    with pytest.raises(ValueError, match="exactly one blank more"):
        Layout(stacked={"x": "y"})
    with pytest.raises(CheckpointError, match="b is missing"):
        Layout(fused={"x": ("a", "b")}).to_theirs({"a": numbered(2)})


def test_tied_tensors_must_be_equal_and_either_name_will_do() -> None:
    layout = Layout(tied={"head.weight": "table.weight"})
    table = numbered(2, 2)
    assert layout.to_ours({"head.weight": table, "table.weight": table.clone()}).keys() == {"table.weight"}
    assert layout.to_ours({"head.weight": table}).keys() == {"table.weight"}
    with pytest.raises(CheckpointError, match="should hold the same tensor"):
        layout.to_ours({"head.weight": table, "table.weight": table + 1})


# Models


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth", ".bin"])
@pytest.mark.parametrize("layout", [None, "other"])
@pytest.mark.parametrize("tied", [False, True])
def test_what_was_saved_is_loaded(tmp_path: Path, suffix: str, layout: str | None, tied: bool) -> None:
    torch.manual_seed(1)
    saved, loaded = Tiny(tied), Tiny(tied)
    saved.steps += 3
    path = tmp_path / f"weights{suffix}"
    save_checkpoint(saved, path, layout)
    load_checkpoint(loaded, path, layout)
    assert same(loaded.state_dict(), saved.state_dict())
    assert not tied or loaded.last.weight is loaded.first.weight
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) & 0o600 == 0o600
    if layout:
        assert "net.in.weight" in read_checkpoint(path)


def test_a_checkpoint_from_before_batches_were_counted_loads_as_in_torch() -> None:
    layers = nn.Sequential(Conv2d(2, 3, 1, bias=False), BatchNorm2d(3))
    layers[1].num_batches_tracked.fill_(7)
    old = {name: torch.rand_like(tensor) for name, tensor in layers.state_dict().items() if tensor.is_floating_point()}
    load_checkpoint(layers, old)
    assert same({**old, "1.num_batches_tracked": torch.tensor(0)}, dict(layers.state_dict()))
    assert "1.num_batches_tracked" not in old
    del old["1.running_var"]
    with pytest.raises(CheckpointError, match=r"1 missing: 1\.running_var"):
        load_checkpoint(layers, old)


def test_weights_are_converted_to_the_models_own_dtype() -> None:
    model = Tiny().double()
    load_checkpoint(model, {name: tensor.bfloat16() if tensor.is_floating_point() else tensor for name, tensor in Tiny().state_dict().items()})
    assert model.first.weight.dtype == torch.float64


def test_a_misfit_is_explained_and_leaves_the_model_as_it_was() -> None:
    model = Tiny()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = {name: tensor + 1 for name, tensor in before.items()}
    state["extra.weight"] = numbered(2)
    state["first.bias"] = numbered(4)
    del state["last.bias"]
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(model, state)
    text = str(caught.value)
    for part in ("Tiny", "1 missing: last.bias", "1 unexpected: extra.weight", "first.bias is (4,) float32, the model's (3,) float32", "['other']"):
        assert part in text
    assert same(model.state_dict(), before)
    with pytest.raises(CheckpointError, match=r"steps is .*float32, the model's .*int64"):
        load_checkpoint(model, before | {"steps": torch.tensor(0.5)})
    with pytest.raises(CheckpointError, match="knows no layout 'timm'; it knows other"):
        load_checkpoint(model, before, "timm")
    many = {f"x{index}": numbered(1) for index in range(9)}
    with pytest.raises(CheckpointError, match="9 unexpected: x0, x1, x2, x3 and 5 more"):
        load_checkpoint(model, before | many)


def test_a_model_without_memory_is_sent_for_some() -> None:
    with torch.device("meta"):
        model = Tiny()
    with pytest.raises(CheckpointError, match="to_empty"):
        load_checkpoint(model, Tiny().state_dict())
    model.to_empty(device="cpu")
    load_checkpoint(model, Tiny().state_dict())


def test_a_reader_of_the_other_library_reads_what_viva_writes(tmp_path: Path) -> None:
    transformers = reference("transformers")
    config = transformers.GPT2Config(n_layer=1, n_head=2, n_embd=4, vocab_size=7, n_positions=5, bos_token_id=0, eos_token_id=0)
    theirs = transformers.GPT2LMHeadModel(config)
    save_checkpoint(theirs, tmp_path / "model.safetensors")
    config.save_pretrained(tmp_path)
    again = transformers.GPT2LMHeadModel.from_pretrained(tmp_path)
    assert same(again.state_dict(), theirs.state_dict())


def test_what_the_other_library_writes_is_read_whole_and_in_shards(tmp_path: Path) -> None:
    transformers = reference("transformers")
    config = transformers.GPT2Config(n_layer=2, n_head=2, n_embd=16, vocab_size=50, n_positions=5, bos_token_id=0, eos_token_id=0)
    theirs, empty = transformers.GPT2LMHeadModel(config), transformers.GPT2LMHeadModel(config)
    for name, size in (("whole", "1GB"), ("shards", "8KB")):
        theirs.save_pretrained(tmp_path / name, max_shard_size=size)
        load_checkpoint(empty, tmp_path / name)
        assert same(empty.state_dict(), theirs.state_dict())
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1


def test_writing_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.safetensors"
    save_checkpoint(Tiny(), path)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("viva.models.checkpoint.save_file", full)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(Tiny(), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == [path.name]
    with pytest.raises(CheckpointError, match="must end in"):
        save_checkpoint(Tiny(), tmp_path / "weights.h5")


# Files that a stranger made


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "weights.pt"
    for write in (lambda: torch.save({"a": Attack()}, path), lambda: path.write_bytes(pickle.dumps(Attack()))):
        write()
        with pytest.raises(CheckpointError, match=r"weights\.pt"):
            read_checkpoint(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_damaged_files_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    save_checkpoint(Tiny(), path)
    whole = path.read_bytes()
    for damaged in (b"", b"\0", whole[: len(whole) // 2], b"\xff" * 64, b"{}" + whole, b"<html>404</html>", whole[:-1]):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError) as caught:
            read_checkpoint(path)
        assert str(path) in str(caught.value)


@given(where=st.integers(0, 10**6), value=st.integers(0, 255))
def test_a_flipped_byte_never_ends_in_another_error(tmp_path_factory: pytest.TempPathFactory, where: int, value: int) -> None:
    folder = tmp_path_factory.mktemp("flip")
    for suffix in (".safetensors", ".pt"):
        path = folder / f"weights{suffix}"
        save_checkpoint(Tiny(), path)
        content = bytearray(path.read_bytes())
        content[where % len(content)] = value
        path.write_bytes(content)
        try:
            load_checkpoint(Tiny(), path)
        except CheckpointError as error:
            assert str(path) in str(error)


def test_pickled_files_may_wrap_the_state_and_may_hold_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    state = Tiny().state_dict()
    torch.save({"state_dict": state, "epoch": 3}, path)
    assert same(read_checkpoint(path), state)
    for content, match in (([1], "holds a list"), ({"a": 1}, "1 entries are not dense tensors"), ({"a": torch.eye(2).to_sparse()}, "not dense")):
        torch.save(content, path)
        with pytest.raises(CheckpointError, match=match):
            read_checkpoint(path)


def test_an_index_may_name_only_files_of_its_own_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    index = folder / "model.safetensors.index.json"
    save_file({"a": numbered(2)}, tmp_path / "outside.safetensors")
    for place in ("../outside.safetensors", str(tmp_path / "outside.safetensors"), "..", "", "a\\b", 3, None, "model.safetensors.index.json"):
        index.write_text(json.dumps({"weight_map": {"a": place}}))
        with pytest.raises(CheckpointError, match="is not the name of a file"):
            read_checkpoint(folder)
    for text in ("", "[]", "{}", '{"weight_map": 3}', "[" * 100_000, "\0"):
        index.write_text(text)
        with pytest.raises(CheckpointError, match="not an index of shards"):
            read_checkpoint(folder)
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "one.safetensors"}}))
    with pytest.raises(CheckpointError, match="no such file"):
        read_checkpoint(folder)
    save_file({"a": numbered(2), "stray": numbered(1)}, folder / "one.safetensors")
    with pytest.raises(CheckpointError, match=r"1 tensors that the index promises are not in it: b"):
        read_checkpoint(index)
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors"}}))
    assert read_checkpoint(folder).keys() == {"a"}


def test_folders_and_files_that_are_no_checkpoint_are_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="found 0 files"):
        read_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="no such file"):
        read_checkpoint(tmp_path / "weights.safetensors")
    (tmp_path / "weights.h5").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"expected \.safetensors"):
        read_checkpoint(tmp_path / "weights.h5")
    for name in ("a.safetensors", "b.safetensors"):
        save_file({"a": numbered(2)}, tmp_path / name)
    with pytest.raises(CheckpointError, match="found 2 files"):
        read_checkpoint(tmp_path)
