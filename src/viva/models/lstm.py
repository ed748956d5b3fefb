"""LSTM and GRU: networks that read a sequence step by step and carry what they remember along.

A plain recurrent network multiplies its state by the same matrix at every step, so gradients vanish or explode like its
powers. The LSTM (Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000) keeps a *cell* c that
is only scaled and added to, and learns gates that open and close it. With x_t (B, D) and h, c (B, H):

    i, f, g, o = split(W_ih x_t + b_ih + W_hh h + b_hh)       W_ih (4H, D), W_hh (4H, H): input, forget, new, output
    c ← σ(f) ∘ c + σ(i) ∘ tanh(g)                             what to forget, what to write: ∂c_t/∂c_{t−1} = σ(f),
                                                              with the gates held fixed: no matrix on the way
    h ← σ(o) ∘ tanh(c)                                        what to show

The GRU (Cho et al. 2014) needs three: r, z, n. A reset gate r, an update gate z that both forgets and writes, no cell:

    n = tanh(W_in x_t + b_in + r ∘ (W_hn h + b_hn)),          h ← (1 − z) ∘ n + z ∘ h

in PyTorch's and cuDNN's form, which is that of the paper's first version; its final one resets h before the matrix,
W_hn (r ∘ h). Chung et al. 2014 exchange z and 1 − z.

A layer has 4H(D + H + 2) parameters (GRU: 3H(D + H + 2)) and needs T steps one after the other: that, and a path of T steps
between the ends, is what attention did away with. Texts (B, T) with ``lengths`` (B,) → outputs (B, T, directions · H).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from viva.models.catalogue import published
from viva.models.checkpoint import Layout
from viva.models.sampling import expect_something_to_predict
from viva.nn import Dropout, Embedding, Linear, uniform_
from viva.nn.losses import cross_entropy
from viva.nn.shapes import expect_floating, expect_shape, expect_tensor

State = tuple[Tensor, ...]  # (h, c) of an LSTM, (h,) of a GRU


def lstm_step(from_x: Tensor, from_h: Tensor, state: State) -> State:
    """The LSTM's equations: W_ih x + b_ih and W_hh h + b_hh, both (B, 4H), and (h, c), each (B, H) → the next (h, c)."""
    _, c = state
    i, f, g, o = (from_x + from_h).chunk(4, dim=-1)  # (B, H) each
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_step(from_x: Tensor, from_h: Tensor, state: State) -> State:
    """The GRU's equations: W_ih x + b_ih and W_hh h + b_hh, both (B, 3H), and (h,) → the next (h,)."""
    (h,) = state
    r_x, z_x, n_x = from_x.chunk(3, dim=-1)
    r_h, z_h, n_h = from_h.chunk(3, dim=-1)
    r, z = (r_x + r_h).sigmoid(), (z_x + z_h).sigmoid()
    n = (n_x + r * n_h).tanh()
    return ((1 - z) * n + z * h,)


class Recurrent(nn.Module):
    """Layers of one cell, in one direction or two; LSTM and GRU say which. Parameters are named as in ``torch.nn.LSTM``.

    input_size: D. hidden_size: H. num_layers: each reads the outputs of the one below. bidirectional: a second set of
    weights reads backwards, and the outputs stand side by side, (B, T, 2H). dropout: between layers, in training.
    Parameters start from U(±1/√H), as in torch.
    """

    layouts: ClassVar[dict[str, Layout]] = {"torch": Layout()}
    gates: ClassVar[int]
    states: ClassVar[int]
    step: ClassVar[Any]
    fused: ClassVar[Any]
    weight_ih_l0: Tensor

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, *,
        bias: bool = True, dropout: float = 0.0, bidirectional: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if min(input_size, hidden_size, num_layers) < 1 or not 0 <= dropout <= 1:
            raise ValueError(
                f"input_size = {input_size}, hidden_size = {hidden_size}, num_layers = {num_layers}, dropout = {dropout}: "
                "expected positive sizes and a probability"
            )
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.dropout, self.bidirectional = bias, dropout, bidirectional
        self.directions = 2 if bidirectional else 1
        rows = self.gates * hidden_size
        for layer in range(num_layers):
            width = input_size if layer == 0 else self.directions * hidden_size
            for name in self._names(layer):
                shape = (rows,) if name.startswith("bias") else (rows, width if "_ih_" in name else hidden_size)
                self.register_parameter(name, nn.Parameter(torch.empty(shape)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        limit = self.hidden_size**-0.5
        for weight in self.parameters():
            uniform_(weight, -limit, limit)

    def _names(self, layer: int) -> list[str]:
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if self.bias else ("weight_ih", "weight_hh")
        return [f"{kind}_l{layer}{end}" for end in ("", "_reverse")[: self.directions] for kind in kinds]

    def forward(
        self, x: Tensor, state: State | None = None, *, lengths: Tensor | None = None, explain: bool = False
    ) -> tuple[Tensor, State]:
        """x (B, T, D) → (outputs of the top layer (B, T, directions · H), final state: tensors (layers · directions, B, H)).

        state: where to begin, as returned; zeros by default. lengths: (B,) integers from 1 to T; what lies behind a
        text's end is never read: outputs there are 0, the final state is that of the last real step, and backwards
        reading begins there (on CUDA give lengths on the CPU, or the GPU is waited for). explain: the readable loop
        instead of the fused kernel, equal but slower.
        """
        expect_shape(type(self).__name__, x, ("B", "T", self.input_size), "Texts come first, then time.")
        expect_floating(type(self).__name__, x, self.weight_ih_l0)
        batch, time = x.shape[:2]
        shape = (self.num_layers * self.directions, batch, self.hidden_size)
        if not time:
            raise ValueError(f"{type(self).__name__} got an input of shape {tuple(x.shape)}, expected at least one step of time.")
        if state is None:
            state = tuple(x.new_zeros(shape) for _ in range(self.states))
        if len(state) != self.states or any(tuple(part.shape) != shape for part in state):
            given = ", ".join(str(tuple(part.shape)) for part in state)
            raise ValueError(f"the state is {given}; expected {self.states} of (layers · directions, batch, hidden) = {shape}")
        if lengths is not None:
            _expect_lengths(lengths)
            lengths = lengths.to("cpu", torch.int64)
            if tuple(lengths.shape) != (batch,) or int(lengths.min()) < 1 or int(lengths.max()) > time:
                raise ValueError(f"lengths {lengths.tolist()} for {batch} texts of {time} steps; expected {batch} integers from 1 to {time}")
        return (self._explained if explain else self._fast)(x, state, lengths)

    def _explained(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        finals: list[State] = []
        for layer in range(self.num_layers):
            if layer > 0:
                x = F.dropout(x, self.dropout, self.training)
            outputs = []
            for direction in range(self.directions):
                start = tuple(part[len(finals)] for part in state)
                output, final = self._read(x, start, lengths, layer, backwards=direction == 1)
                outputs.append(output)
                finals.append(final)
            x = torch.cat(outputs, dim=-1)  # (B, T, directions · H)
        return x, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))

    def _read(
        self, x: Tensor, state: State, lengths: Tensor | None, layer: int, backwards: bool
    ) -> tuple[Tensor, State]:
        """One layer in one direction: x (B, T, width) → (outputs (B, T, H), the state after the last step)."""
        end = "_reverse" if backwards else ""
        weights = {name.split("_l")[0]: getattr(self, name) for name in self._names(layer) if name.endswith(f"_l{layer}{end}")}
        from_x = F.linear(x, weights["weight_ih"], weights.get("bias_ih"))  # all steps at once: (B, T, gates · H)
        time = x.shape[1]
        ends = x.new_full((x.shape[0],), time) if lengths is None else lengths.to(x.device)
        outputs: list[Tensor] = [x.new_empty(0)] * time
        for t in reversed(range(time)) if backwards else range(time):
            from_h = F.linear(state[0], weights["weight_hh"], weights.get("bias_hh"))
            new = type(self).step(from_x[:, t], from_h, state)
            inside = (t < ends)[:, None]  # behind its end a text keeps its state and shows nothing
            state = tuple(torch.where(inside, now, before) for now, before in zip(new, state, strict=True))
            outputs[t] = torch.where(inside, new[0], 0.0)
        return torch.stack(outputs, dim=1), state

    def _fast(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        weights = [getattr(self, name) for layer in range(self.num_layers) for name in self._names(layer)]
        hidden = state if self.states > 1 else state[0]
        rest = (weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        if lengths is None:
            y, *final = type(self).fused(x, hidden, *rest, True)  # True: the batch comes first
            return y, tuple(final)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        order, back = packed.sorted_indices, packed.unsorted_indices  # the kernel wants the longest text first
        hidden = tuple(part[:, order] for part in state)
        y, *final = type(self).fused(packed.data, packed.batch_sizes, hidden if self.states > 1 else hidden[0], *rest)
        y, _ = pad_packed_sequence(PackedSequence(y, *packed[1:]), batch_first=True, total_length=x.shape[1])
        return y, tuple(part[:, back] for part in final)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, bidirectional={self.bidirectional}"


class LSTM(Recurrent):
    """Long short-term memory: state (h, c), four gates."""

    gates, states, step, fused = 4, 2, staticmethod(lstm_step), staticmethod(torch.lstm)


class GRU(Recurrent):
    """Gated recurrent unit: state (h,), three gates, a quarter fewer parameters."""

    gates, states, step, fused = 3, 1, staticmethod(gru_step), staticmethod(torch.gru)


CELLS: dict[str, type[Recurrent]] = {"lstm": LSTM, "gru": GRU}


# --- On top: a judge of texts, and a language model ------------------------------------------------------------------


def _expect_lengths(lengths: Tensor) -> None:
    expect_tensor("lengths", lengths)
    if lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise TypeError(f"lengths are {lengths.dtype}; expected integers: convert them with lengths.long()")


@dataclass(frozen=True)
class TextClassifierConfig:
    """pooling: "last" joins the final states of both directions, "mean" averages the outputs of all real tokens."""

    vocab_size: int = 30_000
    num_classes: int = 2
    d_embedding: int = 300
    hidden_size: int = 512
    num_layers: int = 1
    cell: str = "lstm"
    bidirectional: bool = False
    pooling: str = "mean"
    dropout: float = 0.0
    padding_index: int = 0


class TextClassifier(nn.Module):
    """Token ids (B, T) → embedding (B, T, d) → LSTM or GRU → one vector for each text → logits (B, num_classes)."""

    layouts: ClassVar[dict[str, Layout]] = {"torch": Layout()}

    def __init__(self, config: TextClassifierConfig) -> None:
        super().__init__()
        if config.cell not in CELLS or config.pooling not in ("last", "mean"):
            raise ValueError(
                f"cell = {config.cell!r}, pooling = {config.pooling!r}; expected one of {', '.join(CELLS)}, and last or mean"
            )
        self.config = config
        self.embedding = Embedding(config.vocab_size, config.d_embedding, padding_index=config.padding_index)
        self.encoder = CELLS[config.cell](
            config.d_embedding, config.hidden_size, config.num_layers,
            dropout=config.dropout if config.num_layers > 1 else 0.0, bidirectional=config.bidirectional,
        )  # fmt: skip
        self.dropout = Dropout(config.dropout)
        self.output = Linear(self.encoder.directions * config.hidden_size, config.num_classes)

    def forward(self, tokens: Tensor, lengths: Tensor | None = None, *, explain: bool = False) -> Tensor:
        """tokens (B, T) → logits (B, num_classes).

        lengths: real tokens of each text, (B,); by default those before the padding. An empty text is read as one padding.
        Raises ValueError for another shape and, on the CPU, for a token behind padding.
        """
        expect_shape("TextClassifier", tokens, ("B", "T"))
        if lengths is None:
            real = tokens != self.config.padding_index
            lengths = real.sum(dim=1)
            if not tokens.is_cuda and not tokens.is_meta and bool((real[:, 1:] & ~real[:, :-1]).any()):
                raise ValueError("a token follows padding; put the padding at the end of each text, or give lengths")
        _expect_lengths(lengths)
        lengths = lengths.clamp(min=1)
        x = self.dropout(self.embedding(tokens))  # (B, T, d_embedding)
        read = None if tokens.is_meta else lengths  # on the meta device there are no numbers to read
        outputs, (h, *_) = self.encoder(x, lengths=read, explain=explain)
        if self.config.pooling == "mean":
            text = outputs.sum(dim=1) / lengths[:, None].to(outputs)  # behind the end there are zeros
        else:
            text = h[-self.encoder.directions :].transpose(0, 1).flatten(1)  # top layer: (B, directions · H)
        return self.output(self.dropout(text))


class RecurrentLanguageModel(nn.Module):
    """Token ids (B, T) → logits (B, T, vocab_size) of each next token, and the state to go on from."""

    layouts: ClassVar[dict[str, Layout]] = {"torch": Layout()}

    def __init__(self, vocab_size: int, d_model: int, num_layers: int = 2, dropout: float = 0.5, cell: str = "lstm") -> None:
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"cell = {cell!r}; expected one of {', '.join(CELLS)}")
        self.embedding = Embedding(vocab_size, d_model)
        self.encoder = CELLS[cell](d_model, d_model, num_layers, dropout=dropout)
        self.dropout = Dropout(dropout)
        self.output = Linear(d_model, vocab_size)

    def forward(
        self, tokens: Tensor, state: State | None = None, *, explain: bool = False
    ) -> tuple[Tensor, State]:
        expect_shape("RecurrentLanguageModel", tokens, ("B", "T"))
        y, state = self.encoder(self.dropout(self.embedding(tokens)), state, explain=explain)
        return self.output(self.dropout(y)), state

    def loss(self, tokens: Tensor) -> Tensor:
        """Mean negative log-likelihood in nats of tokens 2 … T, each from those before it."""
        expect_something_to_predict(tokens)
        return cross_entropy(self(tokens[:, :-1])[0].flatten(0, 1), tokens[:, 1:].flatten())


# --- Named constructors ----------------------------------------------------------------------------------------------

ZAREMBA = "Zaremba et al. 2014, Recurrent Neural Network Regularization, Section 4.1"


def _text() -> tuple[Tensor, ...]:
    return (torch.ones(1, 35, dtype=torch.long),)


@published(
    paper="Zhang et al. 2015, Character-level Convolutional Networks for Text Classification, Section 3",
    reference="torch.nn.LSTM", example=_text,
)  # fmt: skip
def lstm_classifier(**options: Any) -> TextClassifier:
    """A word LSTM of 512 units over 300 dimensions, averaged over time; ``options``: fields of ``TextClassifierConfig``."""
    return TextClassifier(TextClassifierConfig(**options))


@published(paper=ZAREMBA, reference="torch.nn.LSTM", paper_parameters=20e6, example=_text)
def lstm_ptb_medium(vocab_size: int = 10_000, dropout: float = 0.5) -> RecurrentLanguageModel:
    """Two layers of 650 units: 82.7 perplexity on Penn Treebank (20M parameters as counted by Merity et al. 2017)."""
    return RecurrentLanguageModel(vocab_size, 650, dropout=dropout)


@published(paper=ZAREMBA, reference="torch.nn.LSTM", paper_parameters=66e6, example=_text)
def lstm_ptb_large(vocab_size: int = 10_000, dropout: float = 0.65) -> RecurrentLanguageModel:
    """Two layers of 1500 units: 78.4 perplexity on Penn Treebank (66M parameters as counted by Merity et al. 2017)."""
    return RecurrentLanguageModel(vocab_size, 1500, dropout=dropout)


def lstm_reviews(**options: Any) -> TextClassifier:
    """A small bidirectional LSTM for short reviews: 128 units over 128 dimensions, its final states, dropout 0.3."""
    sizes: dict[str, Any] = {"vocab_size": 8000, "d_embedding": 128, "hidden_size": 128, "dropout": 0.3}
    sizes |= {"bidirectional": True, "pooling": "last"}
    return TextClassifier(TextClassifierConfig(**sizes | options))


def gru_reviews(**options: Any) -> TextClassifier:
    """``lstm_reviews`` with GRU cells."""
    return lstm_reviews(**{"cell": "gru"} | options)
