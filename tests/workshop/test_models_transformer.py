"""The Transformer equals torch.nn.Transformer, and its searches find what they say they find."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from parity import check_parity, check_round_trip, relative  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from viva.models import catalogue  # noqa: E402
from viva.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from viva.models.search import beam_search, greedy_search, length_penalty  # noqa: E402
from viva.models.summary import count_parameters, mult_adds  # noqa: E402
from viva.models.transformer import Transformer, TransformerConfig  # noqa: E402
from viva.nn import sinusoidal  # noqa: E402

TINY = TransformerConfig(
    vocab_size=53, d_model=32, num_layers=2, num_heads=4, d_ff=48, dropout=0.1, max_length=20, padding_index=0
)


def changed(config: TransformerConfig, **changes: Any) -> TransformerConfig:
    return TransformerConfig(**vars(config) | changes)


class TorchTransformer(nn.Transformer):
    """torch's own, with what it leaves to its user: embedding, scale, positions, dropout, output layer."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(
            config.d_model,
            config.num_heads,
            config.num_layers,
            config.num_layers,
            config.d_ff,
            config.dropout,
            batch_first=True,
            norm_first=config.pre_norm,
        )
        if not config.final_norms:
            self.encoder.norm = self.decoder.norm = None
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        nn.init.normal_(self.embedding.weight, std=config.d_model**-0.5)
        self.config = config
        self.embedding_dropout = nn.Dropout(config.dropout)
        for parameter in self.parameters():
            parameter.data.add_(torch.randn_like(parameter), alpha=0.02)

    def embed(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens) * math.sqrt(self.config.d_model)
        return self.embedding_dropout(x + sinusoidal(tokens.shape[1], self.config.d_model).to(x))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:  # type: ignore[override]
        time, padding = target.shape[1], self.config.padding_index
        hidden = None if padding is None else source == padding
        memory = self.encoder(self.embed(source), src_key_padding_mask=hidden)
        states = self.decoder(
            self.embed(target),
            memory,
            tgt_mask=torch.ones(time, time, dtype=torch.bool).triu(1),
            tgt_key_padding_mask=None if padding is None else target == padding,
            memory_key_padding_mask=hidden,
        )
        return states @ self.embedding.weight.T


def sentences(config: TransformerConfig, batch: int = 3, source: int = 9, target: int = 7) -> tuple[Tensor, Tensor]:
    """Random ids; where the config has padding, every sentence but the first ends in some."""
    x, y = torch.randint(1, config.vocab_size, (batch, source)), torch.randint(1, config.vocab_size, (batch, target))
    if config.padding_index is not None:
        for row in range(1, batch):
            x[row, source - row - 1 :] = config.padding_index
            y[row, target - row :] = config.padding_index
    return x, y


def proof(config: TransformerConfig, dtype: torch.dtype, training: bool = False, **shape: int) -> Any:
    ours, theirs = Transformer(config).train(training), TorchTransformer(config).train(training)
    return check_parity(ours, theirs, sentences(config, **shape), layout="torch", dtype=dtype)


@pytest.fixture(autouse=True)
def no_fast_path() -> Any:
    """torch's fused encoder has no gradients and drops padded rows; the reference is its readable path."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("pre_norm", [False, True])
@pytest.mark.parametrize("final_norms", [False, True])
def test_logits_and_gradients_equal_torch(dtype: torch.dtype, pre_norm: bool, final_norms: bool) -> None:
    proof(changed(TINY, pre_norm=pre_norm, final_norms=final_norms), dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_padding_too(dtype: torch.dtype) -> None:
    proof(changed(TINY, padding_index=None), dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_base_model_equals_torch_at_full_size(record: Any, dtype: torch.dtype) -> None:
    record("transformer_base", proof(TransformerConfig(), dtype, batch=1))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_big_model_equals_torch_layer_by_layer(record: Any, dtype: torch.dtype) -> None:
    big = TransformerConfig(d_model=1024, num_heads=16, d_ff=4096, dropout=0.3, num_layers=2, vocab_size=997)
    record("transformer_big", proof(big, dtype, batch=1), size="reduced: 2 + 2 layers of full width, 997 tokens")


def test_dropout_falls_where_torch_drops() -> None:
    """With one sentence memory's order is the same on both sides, and so are the masks drawn."""
    proof(changed(TINY, padding_index=None), torch.float64, training=True, batch=1)


def test_parameters_are_the_published_ones() -> None:
    with torch.device("meta"):
        base, big = catalogue.build("transformer_base"), catalogue.build("transformer_big")
        to_the_letter = catalogue.build("transformer_base", final_norms=False)
        torchs = nn.Transformer()
    assert count_parameters(base) == 63_084_544
    assert count_parameters(base) - base.embedding.weight.numel() == 44_140_544 == count_parameters(torchs)
    assert count_parameters(base) - count_parameters(to_the_letter) == 2 * 2 * 512
    assert count_parameters(big) == 214_249_472


def test_multiply_adds_follow_from_the_shapes() -> None:
    """A source token meets 4 d² + 2 d d_ff a layer, a target token 6 d² + 2 d d_ff and d V, and memory 2 d² a layer."""
    source, target, d, ff, layers, vocab = 11, 5, 512, 2048, 6, 37000
    with torch.device("meta"):
        model = catalogue.build("transformer_base")
        ids = [torch.zeros(1, n, dtype=torch.long) for n in (source, target)]
    encoder = source * (4 * d * d + 2 * d * ff) + 2 * source * source * d
    decoder = target * (6 * d * d + 2 * d * ff) + source * 2 * d * d + 2 * target * target * d + 2 * target * source * d
    assert mult_adds(model, *ids) == layers * (encoder + decoder) + target * d * vocab


# --- weights ---


def test_files_travel_in_both_directions(tmp_path: Path) -> None:
    theirs, ours = TorchTransformer(TINY).eval(), Transformer(TINY).eval()
    torch.save(theirs.state_dict(), tmp_path / "theirs.pt")
    load_checkpoint(ours, tmp_path / "theirs.pt", "torch")
    x, y = sentences(TINY)
    assert relative(ours(x, y).detach(), theirs(x, y).detach()) < 1e-5

    fresh = Transformer(TINY).eval()
    save_checkpoint(fresh, tmp_path / "ours.pt", "torch")
    theirs.load_state_dict(torch.load(tmp_path / "ours.pt", weights_only=True))
    assert relative(fresh(x, y).detach(), theirs(x, y).detach()) < 1e-5
    check_round_trip(fresh, theirs, "torch")


def test_embeddings_weigh_as_much_as_the_sinusoids() -> None:
    model = Transformer(TransformerConfig(vocab_size=4000, num_layers=0))
    scaled = model.embedding.weight * math.sqrt(512)
    assert abs(float(scaled.detach().std()) - 1) < 0.01
    assert abs(float(model.positions(50).square().mean()) - 0.5) < 1e-6  # sin² + cos² = 1, for two numbers


# --- masks ---


def test_padding_changes_nothing() -> None:
    model = Transformer(TINY).double().eval()
    x, y = torch.randint(1, 53, (1, 5)), torch.randint(1, 53, (1, 4))
    padded = model(torch.nn.functional.pad(x, (0, 3)), torch.nn.functional.pad(y, (0, 2)))
    torch.testing.assert_close(padded[:, :4], model(x, y))


def test_masks_may_be_given_and_equal_those_that_follow_from_the_padding() -> None:
    model, bare = Transformer(TINY).double().eval(), Transformer(changed(TINY, padding_index=None)).double().eval()
    bare.load_state_dict(model.state_dict())
    x, y = sentences(TINY)
    assert torch.equal(bare(x, y, x != 0, y != 0), model(x, y))
    assert not torch.equal(bare(x, y), model(x, y))


def test_no_logit_depends_on_a_later_target() -> None:
    model = Transformer(TINY).eval()
    x, y = sentences(TINY)
    later = y.clone()
    later[:, 4:] = torch.randint(1, 53, later[:, 4:].shape)
    assert torch.equal(model(x, y)[:, :4], model(x, later)[:, :4])


def test_the_training_loss_is_the_smoothed_cross_entropy_of_the_next_token() -> None:
    model = Transformer(TINY).double().eval()
    x, y = sentences(TINY)
    log_p = model(x, y[:, :-1]).log_softmax(-1)
    wanted = [
        0.9 * -log_p[row, t, y[row, t + 1]] + 0.1 * -log_p[row, t].mean()
        for row, t in itertools.product(range(3), range(6))
        if y[row, t + 1] != 0
    ]
    torch.testing.assert_close(model.loss(x, y), torch.stack(wanted).mean())


# --- search ---

START, STOP = 1, 2
SMALL = TransformerConfig(
    vocab_size=5, d_model=16, num_layers=1, num_heads=2, d_ff=16, dropout=0.0, max_length=8, padding_index=0
)


def translator(seed: int = 0, config: TransformerConfig = SMALL) -> Transformer:
    """A model whose opinions are strong enough to differ: random weights, drawn larger."""
    torch.manual_seed(seed)
    model = Transformer(config).double().eval()
    for parameter in model.parameters():
        parameter.data.mul_(1.5).add_(torch.randn_like(parameter), alpha=0.3)
    return model


def log_probability(model: Transformer, source: Tensor, sentence: tuple[int, ...]) -> float:
    """By the definition: one full pass without a cache."""
    target = torch.tensor([[START, *sentence]])
    log_p = model(source, target[:, :-1]).log_softmax(-1)[0]
    return float(sum(log_p[t, token].detach() for t, token in enumerate(sentence)))


def every_sentence(vocab: int, longest: int) -> list[tuple[int, ...]]:
    """All that end in the stop token within ``longest`` tokens, and all of that length without it."""
    words = [token for token in range(1, vocab) if token != STOP]  # 0 is padding, which nobody writes
    ended = [(*body, STOP) for n in range(longest) for body in itertools.product(words, repeat=n)]
    return ended + list(itertools.product(words, repeat=longest))


def spelled(hypotheses: Any, row: int, rank: int) -> tuple[int, ...]:
    return tuple(hypotheses.tokens[row, rank, : hypotheses.lengths[row, rank]].tolist())


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_beam_that_drops_nothing_equals_trying_every_sentence(alpha: float, seed: int) -> None:
    model = translator(seed)
    sources = torch.tensor([[3, 4, 1], [4, 1, 0]])
    everything = every_sentence(5, 3)
    found = beam_search(
        model, sources, start=START, stop=STOP, max_length=3, beam_width=len(everything), alpha=alpha
    )
    for row, source in enumerate((sources[:1], sources[1:, :2])):  # the second without its padding
        scores = {s: log_probability(model, source, s) / length_penalty(len(s), alpha) for s in everything}
        ranked = sorted(scores, key=scores.__getitem__, reverse=True)
        assert [spelled(found, row, rank) for rank in range(len(ranked))] == ranked
        torch.testing.assert_close(found.scores[row], torch.tensor([scores[s] for s in ranked]).double())


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.floats(0, 2), st.integers(1, 7))
def test_a_beam_of_one_is_greedy_search(seed: int, alpha: float, longest: int) -> None:
    model = translator(seed)
    source = torch.randint(1, 5, (4, 3))
    options = {"start": START, "stop": STOP, "max_length": longest}
    greedy = greedy_search(model, source, **options)
    beam = beam_search(model, source, **options, beam_width=1, alpha=alpha).best
    assert torch.equal(greedy, beam)


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 10_000), st.integers(2, 6), st.floats(0, 1))
def test_scores_are_those_of_the_sentences_returned(seed: int, width: int, alpha: float) -> None:
    model = translator(seed)
    source = torch.randint(1, 5, (2, 3))
    found = beam_search(model, source, start=START, stop=STOP, max_length=6, beam_width=width, alpha=alpha)
    assert bool((found.scores[:, :-1] >= found.scores[:, 1:]).all())  # best first
    for row, rank in itertools.product(range(2), range(width)):
        sentence = spelled(found, row, rank)
        assert STOP not in sentence[:-1] and (sentence[-1] == STOP or len(sentence) == 6)
        assert found.tokens[row, rank, len(sentence) :].eq(STOP).all()
        log_p = log_probability(model, source[row : row + 1], sentence)
        assert abs(float(found.log_probabilities[row, rank]) - log_p) < 1e-9
        assert abs(float(found.scores[row, rank]) - log_p / length_penalty(len(sentence), alpha)) < 1e-9
    assert len({spelled(found, 0, rank) for rank in range(width)}) == width  # no sentence twice


def test_a_wider_beam_finds_what_greedy_search_misses() -> None:
    """Not for every model and width; over twenty models it must never lose in sum and must win somewhere."""
    gains = []
    for seed in range(20):
        model = translator(seed)
        source = torch.randint(1, 5, (1, 3), generator=torch.Generator().manual_seed(seed))
        options = {"start": START, "stop": STOP, "max_length": 3, "alpha": 0.0}
        narrow, wide = (beam_search(model, source, **options, beam_width=w).scores[0, 0] for w in (1, 40))
        gains.append(float(wide - narrow))
    assert min(gains) >= -1e-9 and max(gains) > 0.1


def test_a_batch_translates_as_its_sentences_do_alone() -> None:
    model = translator(3)
    batch = torch.tensor([[3, 4, 1, 3], [4, 3, 0, 0], [1, 0, 0, 0]])
    options = {"start": START, "stop": STOP, "max_length": 6, "beam_width": 3}
    together = beam_search(model, batch, **options)
    for row, length in enumerate((4, 2, 1)):
        alone = beam_search(model, batch[row : row + 1, :length], **options)
        torch.testing.assert_close(together.scores[row], alone.scores[0])
        assert [spelled(together, row, r) for r in range(3)] == [spelled(alone, 0, r) for r in range(3)]


def test_decoding_with_the_cache_equals_decoding_without() -> None:
    model = Transformer(TINY).double().eval()
    x, y = torch.randint(1, 53, (2, 9)), torch.randint(1, 53, (2, 7))
    with torch.no_grad():
        memory, caches = model.encode(x), model.new_caches(7)
        steps = [model.decode(y[:, t : t + 1], memory, caches=caches) for t in range(7)]
        torch.testing.assert_close(torch.cat(steps, dim=1), model.decode(y, memory), rtol=1e-12, atol=1e-12)


def test_a_larger_alpha_prefers_longer_sentences() -> None:
    lengths = []
    for alpha in (0.0, 3.0):
        found = [
            beam_search(translator(seed), torch.tensor([[3, 4]]), start=START, stop=STOP, max_length=8, beam_width=8, alpha=alpha)
            for seed in range(8)
        ]
        lengths.append(sum(int(one.lengths[0, 0]) for one in found))
    assert lengths[1] > lengths[0]


# --- what is refused ---


def test_inputs_that_do_not_fit_are_refused() -> None:
    model = Transformer(TINY)
    good = torch.ones(2, 5, dtype=torch.long)
    with pytest.raises(ValueError, match="source is 21 tokens long, but the model has positions for 20"):
        model(torch.ones(1, 21, dtype=torch.long), good[:1])
    with pytest.raises(ValueError, match="target is 21 tokens long"):
        model(good[:1], torch.ones(1, 21, dtype=torch.long))
    with pytest.raises(ValueError, match="token id 53 is outside the vocabulary of 53"):
        model(good * 53, good)
    with pytest.raises(ValueError, match="source mask has shape \\(2, 4\\); expected that of the source tokens, \\(2, 5\\)"):
        model(good, good, torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(TypeError, match=r"target mask is torch\.float32; expected torch\.bool"):
        model(good, good, None, torch.ones(2, 5))
    with pytest.raises(ValueError, match="memory has shape \\(2, 5, 32\\)"):
        model.decode(good[:1], model.encode(good))
    with pytest.raises(ValueError, match="source has shape \\(5,\\); expected \\(batch, time\\)"):
        model(good[0], good)


def test_searches_refuse_what_cannot_be() -> None:
    model, source = translator(), torch.tensor([[3, 4]])
    for search in (greedy_search, beam_search):
        with pytest.raises(ValueError, match="max_length is 9; expected 1 to 8"):
            search(model, source, start=START, stop=STOP, max_length=9)
        with pytest.raises(ValueError, match="stop token 5 is outside the vocabulary of 5"):
            search(model, source, start=START, stop=5, max_length=4)
        with pytest.raises(ValueError, match="source has shape \\(2,\\)"):
            search(model, source[0], start=START, stop=STOP, max_length=4)
    with pytest.raises(ValueError, match="beam_width is 0"):
        beam_search(model, source, start=START, stop=STOP, max_length=4, beam_width=0)
