"""LSTM and GRU equal torch's, step by step and fused, whatever the lengths; the models on top count and learn."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from parity import LIMITS, check_parity
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from viva.models import catalogue
from viva.models.lstm import (
    GRU,
    LSTM,
    Recurrent,
    RecurrentLanguageModel,
    TextClassifier,
    TextClassifierConfig,
    gru_reviews,
    gru_step,
    lstm_classifier,
    lstm_ptb_large,
    lstm_ptb_medium,
    lstm_reviews,
    lstm_step,
)
from viva.models.summary import count_parameters, mult_adds

PAIRS: list[tuple[type[Recurrent], Any]] = [(LSTM, nn.LSTM), (GRU, nn.GRU)]
CELLS = pytest.mark.parametrize("kind, torch_kind", PAIRS, ids=["lstm", "gru"])
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def read_by_torch(model: Any, x: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, ...]:
    if state is not None:
        state = state if isinstance(model, nn.LSTM) else state[0]
    if lengths is not None:
        packed, final = model(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False), state)
        y = pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])[0]
    else:
        y, final = model(x, state)
    return (y, *(final if isinstance(final, tuple) else (final,)))


def read(model: Recurrent, x: Tensor, state: Any = None, lengths: Tensor | None = None, explain: bool = False) -> tuple[Tensor, ...]:
    y, final = model(x, state, lengths=lengths, explain=explain)
    return (y, *final)


# --- The layers ------------------------------------------------------------------------------------------------------


@CELLS
@DTYPES
@pytest.mark.parametrize("explain", [False, True], ids=["fused", "loop"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_outputs_states_and_gradients_equal_torch(
    kind: type[Recurrent], torch_kind: Any, dtype: torch.dtype, explain: bool, bidirectional: bool, packed: bool
) -> None:
    ours = kind(5, 7, 3, bidirectional=bidirectional)
    theirs = torch_kind(5, 7, 3, bidirectional=bidirectional, batch_first=True)
    lengths = torch.tensor([4, 6, 1, 6]) if packed else None
    shape = (6 if bidirectional else 3, 4, 7)
    state = tuple(torch.randn(shape, dtype=dtype) for _ in range(ours.states))
    for start in (None, state):
        parity = check_parity(
            ours, theirs, torch.randn(4, 6, 5), layout="torch", dtype=dtype,
            ours_call=lambda model, x, start=start: read(model, x, start, lengths, explain),
            theirs_call=lambda model, x, start=start: read_by_torch(model, x, start, lengths),
        )  # fmt: skip
        assert parity.worst <= LIMITS[dtype]


@CELLS
def test_gradients_of_input_and_first_state_equal_torch(kind: type[Recurrent], torch_kind: Any) -> None:
    ours, theirs = kind(3, 4, 2, bidirectional=True).double(), torch_kind(3, 4, 2, bidirectional=True, batch_first=True).double()
    theirs.load_state_dict(ours.state_dict())
    lengths = torch.tensor([2, 5])
    x = torch.randn(2, 5, 3).double().requires_grad_()
    state = tuple(torch.randn(4, 2, 4).double().requires_grad_() for _ in range(ours.states))
    gradients = []
    for results in (read(ours, x, state, lengths), read(ours, x, state, lengths, True), read_by_torch(theirs, x, state, lengths)):
        gradients.append(torch.autograd.grad(sum((part**2).sum() for part in results), (x, *state)))
    for fast, slow, other in zip(*gradients, strict=True):
        assert (fast - other).abs().max() < 1e-13 and (slow - other).abs().max() < 1e-13


@CELLS
def test_without_biases_it_still_equals_torch(kind: type[Recurrent], torch_kind: Any) -> None:
    ours, theirs = kind(5, 7, 2, bias=False), torch_kind(5, 7, 2, bias=False, batch_first=True)
    for explain in (False, True):
        check_parity(
            ours, theirs, torch.randn(2, 3, 5), layout="torch", dtype=torch.float64,
            ours_call=lambda model, x, explain=explain: read(model, x, explain=explain), theirs_call=read_by_torch,
        )  # fmt: skip


@settings(max_examples=40)
@given(data=st.data())
def test_padding_changes_nothing(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([LSTM, GRU]))
    lengths = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    time = max(lengths) + data.draw(st.integers(0, 2))
    model = kind(3, 4, data.draw(st.integers(1, 2)), bidirectional=data.draw(st.booleans())).double()
    x = torch.randn(len(lengths), time, 3).double()
    with torch.no_grad():
        fast = read(model, x, lengths=torch.tensor(lengths))
        slow = read(model, x, lengths=torch.tensor(lengths), explain=True)
        for i, length in enumerate(lengths):
            alone = read(model, x[i : i + 1, :length])
            for together in (fast, slow):
                assert (together[0][i, :length] - alone[0][0]).abs().max() < 1e-14
                assert together[0][i, length:].abs().sum() == 0
                for part, single in zip(together[1:], alone[1:], strict=True):
                    assert (part[:, i] - single[:, 0]).abs().max() < 1e-14


@CELLS
def test_reading_in_pieces_with_the_state_carried_on_equals_reading_at_once(kind: type[Recurrent], torch_kind: Any) -> None:
    model, x = kind(3, 4, 2).double(), torch.randn(2, 9, 3).double()
    whole, last = model(x)
    state, parts = None, []
    for piece in x.split((4, 1, 4), dim=1):
        y, state = model(piece, state)
        parts.append(y)
    assert (torch.cat(parts, dim=1) - whole).abs().max() < 1e-15
    assert all((a - b).abs().max() < 1e-15 for a, b in zip(state, last, strict=True))


def test_the_cells_are_their_equations() -> None:
    def sigmoid(z: float) -> float:
        return float(torch.sigmoid(torch.tensor(z, dtype=torch.float64)))

    def tanh(z: float) -> float:
        return float(torch.tanh(torch.tensor(z, dtype=torch.float64)))

    def row(*values: float) -> Tensor:
        return torch.tensor([values], dtype=torch.float64)

    h, c = lstm_step(row(0.1, 0.2, 0.3, 0.4), row(-1.0, 2.0, 0.5, -0.5), (row(0.7), row(-0.6)))
    new_c = sigmoid(2.2) * -0.6 + sigmoid(-0.9) * tanh(0.8)
    assert float(c) == pytest.approx(new_c, rel=1e-14) and float(h) == pytest.approx(sigmoid(-0.1) * tanh(new_c), rel=1e-14)
    (h,) = gru_step(row(0.1, 0.2, 0.3), row(-1.0, 2.0, 0.5), (row(0.7),))
    z, n = sigmoid(2.2), tanh(0.3 + sigmoid(-0.9) * 0.5)
    assert float(h) == pytest.approx((1 - z) * n + z * 0.7, rel=1e-14)


def test_an_open_forget_gate_carries_gradients_over_hundreds_of_steps() -> None:
    model = LSTM(1, 4)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(0.1)
        model.bias_ih_l0[4:8] = 20.0  # forget gate: σ(20) ≈ 1
    start = (torch.zeros(1, 1, 4), torch.ones(1, 1, 4, requires_grad=True))
    _, (_, c) = model(torch.zeros(1, 300, 1), start)
    assert float(torch.autograd.grad(c.sum(), start[1])[0].min()) > 0.5
    with torch.no_grad():
        model.bias_ih_l0[4:8] = 0.0  # half of it is forgotten at every step
    _, (_, c) = model(torch.zeros(1, 300, 1), start)
    assert float(torch.autograd.grad(c.sum(), start[1])[0].abs().max()) < 1e-20


@CELLS
def test_dropout_between_layers_acts_in_training_alone(kind: type[Recurrent], torch_kind: Any) -> None:
    model, x = kind(3, 64, 2, dropout=0.5), torch.randn(1, 4, 3)
    for explain in (False, True):
        model.train()
        assert not torch.equal(model(x, explain=explain)[0], model(x, explain=explain)[0])
        model.eval()
        assert torch.equal(model(x, explain=explain)[0], model(x, explain=explain)[0])
    assert torch.allclose(model(x)[0], model(x, explain=True)[0], atol=1e-6)


@CELLS
def test_parameters_start_as_in_torch(kind: type[Recurrent], torch_kind: Any) -> None:
    ours, theirs = kind(200, 100, 2, bidirectional=True), torch_kind(200, 100, 2, bidirectional=True)
    assert {n: p.shape for n, p in ours.named_parameters()} == {n: p.shape for n, p in theirs.named_parameters()}
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, weight in ours.state_dict().items():
        assert float(weight.abs().max()) <= 0.1 and float(weight.std()) == pytest.approx(0.1 / 3**0.5, rel=0.2), name


def test_bfloat16_runs_on_both_paths() -> None:
    model, x = LSTM(3, 4, bidirectional=True).bfloat16(), torch.randn(2, 5, 3).bfloat16()
    for explain in (False, True):
        y, (h, c) = model(x, lengths=torch.tensor([5, 2]), explain=explain)
        assert y.dtype == h.dtype == c.dtype == torch.bfloat16 and torch.isfinite(y).all()


# --- The models ------------------------------------------------------------------------------------------------------


class TorchClassifier(nn.Module):
    """The same classifier from torch's parts."""

    def __init__(
        self, kind: Any, pooling: str, sizes: tuple[int, int, int, int] = (20, 6, 5, 3), num_layers: int = 2, bidirectional: bool = True
    ) -> None:
        super().__init__()
        vocab_size, width, hidden, classes = sizes
        self.pooling = pooling
        self.embedding = nn.Embedding(vocab_size, width, padding_idx=0)
        self.encoder = kind(width, hidden, num_layers, bidirectional=bidirectional, batch_first=True)
        self.output = nn.Linear(hidden * (2 if bidirectional else 1), classes)

    def forward(self, tokens: Tensor) -> Tensor:
        lengths = (tokens != 0).sum(1)
        y, h, *_ = read_by_torch(self.encoder, self.embedding(tokens), lengths=lengths)
        if self.pooling == "mean":
            return self.output(torch.stack([row[:n].mean(0) for row, n in zip(y, lengths, strict=True)]))
        return self.output(torch.cat((h[-2], h[-1]), dim=1))


@DTYPES
@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("cell, torch_kind", [("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_the_classifier_equals_the_same_from_torch(dtype: torch.dtype, pooling: str, cell: str, torch_kind: Any) -> None:
    config = TextClassifierConfig(20, 3, 6, 5, num_layers=2, cell=cell, bidirectional=True, pooling=pooling)
    tokens = torch.tensor([[3, 4, 5, 0, 0], [7, 8, 9, 10, 11], [2, 0, 0, 0, 0]])
    ours, theirs = TextClassifier(config), TorchClassifier(torch_kind, pooling)
    check_parity(ours, theirs, tokens, layout="torch", dtype=dtype)
    check_parity(ours, theirs, tokens, layout="torch", dtype=dtype, ours_call=lambda model, ids: model(ids, explain=True))


class TorchLanguageModel(nn.Module):
    def __init__(self, vocab_size: int, d_model: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, d_model)
        self.encoder = nn.LSTM(d_model, d_model, 2, batch_first=True)
        self.output = nn.Linear(d_model, vocab_size)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Any]:
        y, state = self.encoder(self.embedding(tokens))
        return self.output(y), state


@DTYPES
@pytest.mark.parametrize("explain", [False, True], ids=["fused", "loop"])
def test_the_language_model_equals_the_same_from_torch(dtype: torch.dtype, explain: bool) -> None:
    ours, theirs = RecurrentLanguageModel(50, 24).eval(), TorchLanguageModel(50, 24).eval()
    tokens = torch.randint(0, 50, (2, 9))
    check_parity(ours, theirs, tokens, layout="torch", dtype=dtype, ours_call=lambda model, ids: model(ids, explain=explain))


# The records hold the loop's error: the fused kernel is torch's own and differs by nothing.


@pytest.mark.slow
@DTYPES
@pytest.mark.parametrize("name, d_model", [("lstm_ptb_medium", 650), ("lstm_ptb_large", 1500)])
def test_the_published_language_models_equal_the_same_from_torch(name: str, d_model: int, dtype: torch.dtype, record: Any) -> None:
    ours, theirs = catalogue.build(name).eval(), TorchLanguageModel(10_000, d_model).eval()
    tokens = torch.randint(0, 10_000, (2, 8))
    record(name, check_parity(ours, theirs, tokens, layout="torch", dtype=dtype, ours_call=lambda model, ids: model(ids, explain=True)))


@pytest.mark.slow
@DTYPES
def test_the_published_classifier_equals_the_same_from_torch(dtype: torch.dtype, record: Any) -> None:
    theirs = TorchClassifier(nn.LSTM, "mean", (30_000, 300, 512, 2), num_layers=1, bidirectional=False)
    tokens = torch.randint(1, 30_000, (2, 20))
    tokens[0, 15:] = 0
    parity = check_parity(
        lstm_classifier(), theirs, tokens, layout="torch", dtype=dtype, ours_call=lambda model, ids: model(ids, explain=True)
    )
    record("lstm_classifier", parity)


@pytest.mark.parametrize(
    "make, parameters, mult",
    [
        (lstm_ptb_medium, 19_780_400, 35 * (2 * 4 * 650 * 1300 + 650 * 10_000)),
        (lstm_ptb_large, 66_034_000, 35 * (2 * 4 * 1500 * 3000 + 1500 * 10_000)),
        (lstm_classifier, 30_000 * 300 + 4 * 512 * (300 + 512 + 2) + 2 * 513, 35 * 4 * 512 * 812 + 2 * 512),
    ],
)
def test_parameters_and_multiply_adds_are_counted_to_the_digit(make: Any, parameters: int, mult: int) -> None:
    with torch.device("meta"):
        model = make()
        assert count_parameters(model) == parameters
        assert mult_adds(model, torch.ones(1, 35, dtype=torch.long)) == mult


def test_the_published_sizes_are_in_the_catalogue() -> None:
    assert {"lstm_ptb_medium", "lstm_ptb_large", "lstm_classifier"} <= set(catalogue.names())


@pytest.mark.parametrize("make", [lstm_reviews, gru_reviews])
def test_a_classifier_learns_an_order_that_bags_of_words_cannot_see(make: Any) -> None:
    tokens = torch.randint(2, 8, (256, 8))
    lengths = torch.randint(3, 9, (256,))
    tokens[torch.arange(8) >= lengths[:, None]] = 0
    labels = (tokens[:, 0] > tokens[:, 1]).long()  # which of the first two is larger
    model = make(vocab_size=8, d_embedding=16, hidden_size=32, dropout=0.0)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(model(tokens), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float((model(tokens).argmax(1) == labels).float().mean()) > 0.97


@pytest.mark.parametrize("make", [lstm_reviews, gru_reviews])
def test_padding_does_not_change_a_verdict_and_an_empty_text_gets_one(make: Any) -> None:
    model = make(vocab_size=10).eval()
    text = torch.tensor([[3, 4, 5]])
    padded = torch.tensor([[3, 4, 5, 0, 0], [0, 0, 0, 0, 0], [1, 2, 3, 4, 5]])
    assert torch.allclose(model(padded)[0], model(text)[0], atol=1e-6)
    assert torch.allclose(model(padded, torch.tensor([3, 0, 5])), model(padded), atol=1e-6)
    assert torch.isfinite(model(padded)).all()


@pytest.mark.slow
@pytest.mark.parametrize("make", [lstm_reviews, gru_reviews], ids=["lstm", "gru"])
def test_a_compiled_classifier_reads_texts_of_several_lengths(make: Any) -> None:
    model = make(vocab_size=30, d_embedding=5, hidden_size=4).eval()
    tokens = torch.tensor([[3, 4, 5, 6], [7, 8, 0, 0], [9, 0, 0, 0]])
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(tokens), model(tokens))


def test_the_language_model_scores_uniformly_before_it_learns_and_carries_its_state() -> None:
    model = RecurrentLanguageModel(50, 16, cell="gru").eval()
    tokens = torch.randint(0, 50, (2, 12))
    assert float(model.loss(tokens).detach()) == pytest.approx(3.91, abs=0.3)  # ln 50
    whole, _ = model(tokens)
    first, state = model(tokens[:, :5])
    assert torch.allclose(torch.cat((first, model(tokens[:, 5:], state)[0]), dim=1), whole, atol=1e-6)


# --- Errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, kind, sentence",
    [
        (lambda: LSTM(3, 0), ValueError, "hidden_size = 0"),
        (lambda: LSTM(3, 4)(torch.zeros(2, 5, 4)), ValueError, r"\(2, 5, 4\).*\(B, T, 3\)"),
        (lambda: LSTM(3, 4)(torch.zeros(5, 3)), ValueError, r"\(5, 3\).*\(B, T, 3\)"),
        (lambda: GRU(3, 4)(torch.zeros(2, 5, 3).double()), TypeError, "float64.*float32"),
        (lambda: LSTM(3, 4)(torch.zeros(2, 5, 3), (torch.zeros(1, 2, 4),)), ValueError, r"\(1, 2, 4\); expected 2 of"),
        (lambda: GRU(3, 4, 2)(torch.zeros(2, 5, 3), (torch.zeros(1, 2, 4),)), ValueError, r"\(1, 2, 4\).*\(2, 2, 4\)"),
        (lambda: GRU(3, 4)(torch.zeros(2, 5, 3), lengths=torch.tensor([6, 1])), ValueError, r"\[6, 1\].*from 1 to 5"),
        (lambda: GRU(3, 4)(torch.zeros(2, 5, 3), lengths=torch.tensor([0, 1])), ValueError, r"\[0, 1\].*from 1 to 5"),
        (lambda: GRU(3, 4)(torch.zeros(2, 5, 3), lengths=torch.tensor([1])), ValueError, r"\[1\] for 2 texts"),
        (lambda: lstm_reviews(cell="rnn"), ValueError, "'rnn'.*lstm, gru"),
        (lambda: lstm_reviews(pooling="max"), ValueError, "'max'.*last"),
        (lambda: RecurrentLanguageModel(5, 4, cell="rnn"), ValueError, "'rnn'"),
        (lambda: lstm_reviews(vocab_size=10)(torch.tensor([[1, 10]])), ValueError, "10 is outside the vocabulary of 10"),
        (lambda: lstm_reviews(vocab_size=10)(torch.tensor([[0, 3]])), ValueError, "token follows padding"),
        (lambda: lstm_reviews(vocab_size=10)(torch.tensor([1, 3])), ValueError, r"\(2,\).*\(B, T\)"),
    ],
)
def test_what_does_not_fit_is_refused(call: Any, kind: type[Exception], sentence: str) -> None:
    with pytest.raises(kind, match=sentence):
        call()
