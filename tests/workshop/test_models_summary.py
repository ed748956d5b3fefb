"""Multiply-adds, parameters and memory: against published figures, against counting by hand, against what autograd keeps."""

from __future__ import annotations

import pytest
import torch
from parity import reference
from torch import Tensor, nn

from viva.models import catalogue
from viva.models.summary import activation_bytes, cache_per_token, count_parameters, mult_adds, summary
from viva.nn import MultiHeadAttention

# torchvision's documentation gives these in G (GFLOPS, one multiply-add counted once).
PUBLISHED = {"resnet18": 1.814, "resnet50": 4.089, "vit_b_16": 17.564, "mobilenet_v2": 0.301, "efficientnet_b0": 0.386}


@pytest.mark.parametrize(("name", "giga"), PUBLISHED.items())
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_torchvisions_own_models_have_torchvisions_published_figures(name: str, giga: float, device: str) -> None:
    torchvision = reference("torchvision")
    with torch.device(device):
        model, images = getattr(torchvision.models, name)(), torch.zeros(1, 3, 224, 224)
    assert round(mult_adds(model, images) / 1e9, 3) == giga


@pytest.mark.parametrize("name", PUBLISHED)
def test_ours_cost_to_the_digit_what_theirs_cost(name: str) -> None:
    torchvision = reference("torchvision")
    with torch.device("meta"):
        theirs, ours, images = getattr(torchvision.models, name)(), catalogue.build(name), torch.zeros(1, 3, 224, 224)
    assert mult_adds(ours, images) == mult_adds(theirs, images)
    assert count_parameters(ours) == count_parameters(theirs)


class Calls(nn.Module):
    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)  # type: ignore[operator]


F = nn.functional
BY_HAND = {
    "linear": (lambda x, w: F.linear(x, w), [(2, 3, 4), (5, 4)], 2 * 3 * 4 * 5),
    "linear on a vector": (lambda x, w: F.linear(x, w), [(4,), (5, 4)], 4 * 5),
    "matmul": (lambda a, b: a @ b, [(2, 6, 3, 4), (2, 6, 4, 5)], 12 * 3 * 4 * 5),
    "matmul broadcast": (lambda a, b: a @ b, [(2, 6, 3, 4), (4, 5)], 12 * 3 * 4 * 5),
    "dot": (torch.dot, [(7,), (7,)], 7),
    "matrix times vector": (torch.mv, [(3, 7), (7,)], 21),
    "einsum": (lambda a, b: torch.einsum("bij,bkj->bik", a, b), [(2, 3, 4), (2, 5, 4)], 2 * 3 * 5 * 4),
    "baddbmm": (torch.baddbmm, [(2, 3, 5), (2, 3, 4), (2, 4, 5)], 2 * 3 * 4 * 5),
    "convolution": (lambda x, w: F.conv2d(x, w, stride=2, padding=1, groups=2), [(3, 4, 8, 8), (6, 2, 3, 3)], 3 * 6 * 16 * 2 * 9),
    "convolution in one dimension": (lambda x, w: F.conv1d(x, w), [(1, 2, 9), (3, 2, 4)], 3 * 6 * 2 * 4),
    "transposed convolution": (lambda x, w: F.conv_transpose2d(x, w, stride=2, groups=2), [(3, 4, 5, 5), (4, 3, 2, 2)], 3 * 4 * 25 * 3 * 4),
    "attention": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v), [(2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 4)], 2 * 3 * 5 * 7 * 12),
    "causal attention": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), [(2, 3, 5, 8)] * 3, 2 * 3 * 25 * 16),
    "grouped attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True), [(2, 4, 5, 8), (2, 2, 5, 8), (2, 2, 5, 8)], 2 * 4 * 25 * 16,
    ),
    "what is not counted": (lambda x, w: torch.softmax(F.layer_norm(x + w, (4,)), -1).relu(), [(2, 4), (2, 4)], 0),
}  # fmt: skip


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("case", BY_HAND)
def test_operations_cost_what_one_counts_by_hand(case: str, device: str, inference: bool) -> None:
    function, shapes, expected = BY_HAND[case]
    with torch.inference_mode(inference):
        assert mult_adds(Calls(function), *(torch.zeros(shape, device=device) for shape in shapes)) == expected


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_layers_cost_their_gates_at_every_step(kind: type[nn.Module], gates: int, directions: int, inference: bool, device: str) -> None:
    batch, time, features, hidden = 3, 7, 4, 5
    model = kind(features, hidden, 2, batch_first=True, bidirectional=directions == 2).to(device)
    a_step = directions * gates * hidden * (features + hidden + directions * hidden + hidden)
    with torch.inference_mode(inference):
        assert mult_adds(model, torch.zeros(batch, time, features, device=device)) == batch * time * a_step


def test_the_explained_path_costs_what_the_fast_path_costs() -> None:
    model, x = MultiHeadAttention(32, 4, num_kv_heads=2), torch.zeros(2, 9, 32)
    expected = 2 * 9 * (32 * 32 * 2 + 32 * 16 * 2) + 2 * 4 * 81 * 16
    assert mult_adds(model, x) == expected == mult_adds(model, x, explain=True)


def test_counting_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5))
    model[2].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for count in (mult_adds, summary, activation_bytes):
        count(model, torch.ones(2, 1, 8, 8))
    assert [part.training for part in model] == [True, True, False] and model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
    assert torch.backends.mha.get_fastpath_enabled()
    with pytest.raises(RuntimeError):
        summary(model, torch.ones(2, 3, 8, 8))
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules()) and model.training


def test_a_shared_parameter_counts_once() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    assert count_parameters(model) == 16 + 4 + 4


def test_layers_add_up_and_equal_neighbours_are_one_row() -> None:
    with torch.device("meta"):
        found = summary(catalogue.build("resnet50"), torch.zeros(1, 3, 224, 224))
    assert found.root.mult_adds == found.mult_adds == 4_089_184_256
    assert sum(layer.parameters for layer in found.root.below) == found.parameters == 25_557_032
    rows = list(found.rows(2))
    for level in (1, 2):
        assert [row for row in rows if row[0] == level]
    assert sum(times * layer.mult_adds for level, _, times, layer in rows if level == 1) == found.mult_adds
    stage = next(layer for layer in found.root.below if layer.name == "layer3")
    assert stage.output == (1, 1024, 14, 14)
    assert sum(part.mult_adds for part in stage.below) == stage.mult_adds
    assert ("1–5", 5) in [(name, times) for level, name, times, _ in rows if level == 2]


def test_layers_that_share_a_part_are_one_row_all_the_same() -> None:
    part = nn.ReLU()
    model = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), part) for _ in range(3)))
    assert [(name, times) for level, name, times, _ in summary(model, torch.zeros(1, 4)).rows(2) if level == 1] == [("0–2", 3)]


def test_without_inputs_there_are_parameters_alone() -> None:
    found = summary(nn.Linear(3, 4))
    assert (found.parameters, found.mult_adds, found.activations) == (16, None, None)


def kept(model: nn.Module, *inputs: Tensor) -> int:
    """Bytes that autograd keeps of a real pass, weights aside."""
    own = {tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), *model.buffers()]}
    storages: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = model.train()(*inputs)
    total = sum(storage.nbytes() for storage in storages.values())
    del output
    return total


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "vit_ti_16"])
def test_activations_are_what_autograd_keeps(name: str) -> None:
    torch.manual_seed(0)
    model, images = catalogue.build(name), torch.randn(2, 3, 224, 224)
    assert activation_bytes(model, images) == pytest.approx(kept(model, images), rel=0.01)


@pytest.mark.parametrize("kv_heads", [4, 2])
def test_attention_keeps_no_weights_of_every_pair(kv_heads: int) -> None:
    model, x = MultiHeadAttention(64, 4, num_kv_heads=kv_heads), torch.randn(2, 32, 64)
    assert activation_bytes(model, x) == kept(model, x)
    longer = activation_bytes(model, torch.randn(2, 64, 64))
    assert longer == 2 * (activation_bytes(model, x) or 0)  # linear in the length, not quadratic


def test_a_model_that_decides_by_its_numbers_has_no_such_figure() -> None:
    assert activation_bytes(Calls(lambda x: x[x > 0]), torch.ones(3)) is None


def test_the_cache_of_gpt2_grows_by_a_key_and_a_value_in_every_layer() -> None:
    with torch.device("meta"):
        assert cache_per_token(catalogue.build("gpt2")) == 2 * 12 * 768
        assert cache_per_token(catalogue.build("resnet18")) is None
