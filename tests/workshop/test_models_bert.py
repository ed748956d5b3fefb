"""BERT equals transformers' BertForPreTraining: both heads, every gradient, dropout, weights in both directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from parity import check_parity, check_round_trip, reference, relative  # noqa: E402

from viva.models import catalogue  # noqa: E402
from viva.models.bert import SIZES, BertConfig, BertForClassification, BertForPretraining  # noqa: E402
from viva.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from viva.models.summary import count_parameters, mult_adds  # noqa: E402

TINY = BertConfig(vocab_size=61, max_length=16, d_model=32, num_layers=2, num_heads=4, d_ff=48, dropout=0.1)


def transformers_config(config: BertConfig, **more: Any) -> Any:
    return reference("transformers").BertConfig(
        vocab_size=config.vocab_size,
        max_position_embeddings=config.max_length,
        type_vocab_size=config.num_segments,
        hidden_size=config.d_model,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        intermediate_size=config.d_ff,
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.dropout,
        attn_implementation="sdpa",
        **more,
    )


def disturbed(model: Any) -> Any:
    """Away from biases of 0 and norms of 1, where a misplaced one would go unseen."""
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.02)
    return model.eval()


def transformers_bert(config: BertConfig) -> Any:
    return disturbed(reference("transformers").BertForPreTraining(transformers_config(config)))


def texts(config: BertConfig, batch: int = 3, time: int = 9) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pairs of texts of several lengths: tokens, segments, and the mask that tells words from padding."""
    tokens = torch.randint(config.vocab_size, (batch, time))
    segments = (torch.arange(time) >= time // 2).long().expand(batch, -1).contiguous()
    mask = torch.arange(time) < (time - torch.arange(batch))[:, None]
    return tokens, segments, mask


def our_call(model: Any, tokens: torch.Tensor, segments: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
    output = model(tokens, segments, mask)
    return output.mlm_logits, output.nsp_logits


def their_call(model: Any, tokens: torch.Tensor, segments: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
    output = model(tokens, token_type_ids=segments, attention_mask=mask.long())
    return output.prediction_logits, output.seq_relationship_logits


def proof(config: BertConfig, dtype: torch.dtype, training: bool = False, **shape: int) -> Any:
    return check_parity(
        BertForPretraining(config).train(training),
        transformers_bert(config).train(training),
        texts(config, **shape),
        layout="transformers",
        dtype=dtype,
        ours_call=our_call,
        theirs_call=their_call,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_heads_and_all_gradients_equal_transformers(dtype: torch.dtype) -> None:
    proof(TINY, dtype)


def test_dropout_falls_where_the_reference_drops() -> None:
    proof(TINY, torch.float64, training=True)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_classification_equals_transformers(dtype: torch.dtype, training: bool) -> None:
    theirs = reference("transformers").BertForSequenceClassification(transformers_config(TINY, num_labels=5))
    check_parity(
        BertForClassification(TINY, num_classes=5).train(training),
        disturbed(theirs).train(training),
        texts(TINY),
        layout="transformers",
        dtype=dtype,
        ours_call=lambda model, *inputs: model(*inputs).logits,
        theirs_call=lambda model, t, s, m: model(t, token_type_ids=s, attention_mask=m.long()).logits,
    )


def test_states_and_loss_equal_the_references() -> None:
    theirs, ours = transformers_bert(TINY).double(), BertForPretraining(TINY).double().eval()
    load_checkpoint(ours, theirs.state_dict(), "transformers")
    tokens, segments, mask = texts(TINY)
    wanted = theirs.bert(tokens, token_type_ids=segments, attention_mask=mask.long())
    found = ours.bert(tokens, segments, mask)
    assert relative(found.hidden.detach(), wanted.last_hidden_state.detach()) < 1e-12
    assert relative(found.pooled.detach(), wanted.pooler_output.detach()) < 1e-12

    words = torch.where(torch.rand(tokens.shape) < 0.3, tokens, -100)
    follows = torch.tensor([0, 1, 0])
    loss = theirs(
        tokens, token_type_ids=segments, attention_mask=mask.long(), labels=words, next_sentence_label=follows
    ).loss
    assert relative(ours.loss(ours(tokens, segments, mask), words, follows).detach(), loss.detach()) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert_base", "bert_mini"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_base_and_mini_equal_transformers_at_full_size(record: Any, name: str, dtype: torch.dtype) -> None:
    record(name, proof(BertConfig(**SIZES[name]), dtype, batch=2, time=12))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_equals_transformers_layer_by_layer(record: Any, dtype: torch.dtype) -> None:
    config = BertConfig(**SIZES["bert_large"] | {"num_layers": 2, "vocab_size": 997})
    record("bert_large", proof(config, dtype, batch=2, time=12), size="reduced: 2 layers of full width, 997 tokens")


@pytest.mark.parametrize(
    ("name", "parameters"), [("bert_base", 110_106_428), ("bert_large", 336_226_108), ("bert_mini", 11_267_900)]
)
def test_parameters_are_exact(name: str, parameters: int) -> None:
    with torch.device("meta"):
        model = catalogue.build(name)
    assert count_parameters(model) == parameters


def test_multiply_adds_follow_from_the_shapes() -> None:
    """Per token 12 d² a layer, d² + d V for the masked words; per pair of tokens 2 d a layer; d² + 2 d once."""
    time, d = 512, 768
    with torch.device("meta"):
        model = catalogue.build("bert_base")
        ids = torch.zeros(1, time, dtype=torch.long)
    layers = 12 * (time * 12 * d * d + 2 * time * time * d)
    assert mult_adds(model, ids) == layers + time * (d * d + d * 30522) + d * d + 2 * d


def test_another_gelu_or_another_eps_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where both run the same operations the errors are exactly 0; this shows that a difference is not."""
    with monkeypatch.context() as patch:
        gelu = torch.nn.functional.gelu
        patch.setattr("viva.models.bert.F.gelu", lambda x: gelu(x, approximate="tanh"))
        theirs = transformers_bert(TINY)
        for module in theirs.modules():  # transformers' own activation stays exact
            if type(module).__name__ == "GELUActivation":
                module.act = gelu
        ours = BertForPretraining(TINY).eval()
        load_checkpoint(ours, theirs.state_dict(), "transformers")
        inputs = texts(TINY)
        assert relative(our_call(ours, *inputs)[0].detach(), their_call(theirs, *inputs)[0].detach()) > 1e-5
    ours.mlm_norm.eps = 1e-5
    assert relative(our_call(ours, *inputs)[0].detach(), their_call(theirs, *inputs)[0].detach()) > 1e-5


# --- weights in both directions ---


def test_a_folder_saved_by_transformers_loads(tmp_path: Path) -> None:
    theirs, ours = transformers_bert(TINY), BertForPretraining(TINY).eval()
    theirs.save_pretrained(tmp_path)
    load_checkpoint(ours, tmp_path / "model.safetensors", "transformers")
    inputs = texts(TINY)
    for found, wanted in zip(our_call(ours, *inputs), their_call(theirs, *inputs), strict=True):
        assert relative(found.detach(), wanted.detach()) < 1e-5


def test_a_file_of_ours_loads_into_transformers(tmp_path: Path) -> None:
    transformers = reference("transformers")
    ours = disturbed(BertForPretraining(TINY))
    transformers_config(TINY).save_pretrained(tmp_path)
    save_checkpoint(ours, tmp_path / "model.safetensors", "transformers")
    theirs = transformers.BertForPreTraining.from_pretrained(tmp_path).eval()
    inputs = texts(TINY)
    for found, wanted in zip(our_call(ours, *inputs), their_call(theirs, *inputs), strict=True):
        assert relative(found.detach(), wanted.detach()) < 1e-5
    check_round_trip(ours, theirs, "transformers")


def test_the_decoder_is_the_embedding_and_has_a_bias_of_its_own() -> None:
    state = BertForPretraining.layouts["transformers"].to_theirs(BertForPretraining(TINY).state_dict())
    assert torch.equal(state["cls.predictions.decoder.weight"], state["bert.embeddings.word_embeddings.weight"])
    assert state["cls.predictions.decoder.bias"].shape == (TINY.vocab_size,)


# --- what it attends to ---


def test_padding_changes_no_word_and_every_word_sees_every_other() -> None:
    model = disturbed(BertForPretraining(TINY)).double()
    tokens = torch.randint(TINY.vocab_size, (1, 6))
    padded = torch.nn.functional.pad(tokens, (0, 3), value=7)
    mask = torch.arange(9)[None] < 6
    torch.testing.assert_close(model(padded, mask=mask).mlm_logits[:, :6], model(tokens).mlm_logits)
    last = tokens.clone()
    last[0, 5] = (last[0, 5] + 1) % TINY.vocab_size
    before, after = model(tokens).mlm_logits[0, 0], model(last).mlm_logits[0, 0]
    assert not torch.allclose(before, after)  # the first word looks ahead


def test_segments_default_to_text_a() -> None:
    model = disturbed(BertForPretraining(TINY))
    tokens = torch.randint(TINY.vocab_size, (2, 6))
    assert torch.equal(model(tokens).nsp_logits, model(tokens, torch.zeros_like(tokens)).nsp_logits)
    assert not torch.equal(model(tokens).nsp_logits, model(tokens, torch.ones_like(tokens)).nsp_logits)


# --- the task ---


# --- what is refused ---


def test_inputs_that_do_not_fit_are_refused() -> None:
    model = BertForPretraining(TINY)
    good = torch.zeros(2, 5, dtype=torch.long)
    with pytest.raises(ValueError, match="17 tokens long, but the model has positions for 16"):
        model(torch.zeros(1, 17, dtype=torch.long))
    with pytest.raises(ValueError, match="token id 61 is outside the vocabulary of 61"):
        model(good + 61)
    with pytest.raises(ValueError, match="token id 2 is outside the vocabulary of 2"):
        model(good, good + 2)
    with pytest.raises(ValueError, match="mask has shape \\(2, 4\\); expected that of the tokens, \\(2, 5\\)"):
        model(good, mask=torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="segments has shape \\(5,\\)"):
        model(good, good[0])
    with pytest.raises(TypeError, match=r"mask is torch\.int64; expected torch\.bool"):
        model(good, mask=good)
    with pytest.raises(ValueError, match="\\(5,\\); expected \\(batch, time\\)"):
        model(good[0])
