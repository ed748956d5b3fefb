"""GPT-2 equals transformers' GPT2LMHeadModel: outputs, gradients, dropout, weights in both directions, generated text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from parity import check_parity, check_round_trip, reference, relative  # noqa: E402

from viva.models import catalogue  # noqa: E402
from viva.models.checkpoint import CheckpointError, load_checkpoint, save_checkpoint  # noqa: E402
from viva.models.gpt import GPT, SIZES, GPTConfig  # noqa: E402
from viva.models.summary import count_parameters, mult_adds  # noqa: E402

TINY = GPTConfig(vocab_size=101, max_length=24, d_model=32, num_layers=3, num_heads=4, dropout=0.1)
PARAMETERS = {"gpt2": 124_439_808, "gpt2_medium": 354_823_168, "gpt2_large": 774_030_080, "gpt2_xl": 1_557_611_200}


def transformers_gpt(config: GPTConfig, attention: str = "sdpa") -> Any:
    transformers = reference("transformers")
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=config.vocab_size,
            n_positions=config.max_length,
            n_embd=config.d_model,
            n_layer=config.num_layers,
            n_head=config.num_heads,
            embd_pdrop=config.dropout,
            attn_pdrop=config.dropout,
            resid_pdrop=config.dropout,
            bos_token_id=None,
            eos_token_id=None,
            attn_implementation=attention,
        )
    )
    for parameter in model.parameters():  # away from biases of 0, where a misplaced one would go unseen
        parameter.data.add_(torch.randn_like(parameter), alpha=0.02)
    return model.eval()


def tokens(config: GPTConfig, batch: int = 2, time: int = 12) -> torch.Tensor:
    return torch.randint(config.vocab_size, (batch, time))


def proof(config: GPTConfig, dtype: torch.dtype, training: bool = False, **shape: int) -> Any:
    return check_parity(
        GPT(config).train(training),
        transformers_gpt(config).train(training),
        tokens(config, **shape),
        layout="transformers",
        dtype=dtype,
        theirs_call=lambda model, ids: model(ids).logits,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logits_and_gradients_equal_transformers(dtype: torch.dtype) -> None:
    proof(TINY, dtype)


def test_dropout_falls_where_the_reference_drops() -> None:
    proof(TINY, torch.float64, training=True)


def test_the_loss_equals_the_references() -> None:
    theirs = transformers_gpt(TINY)
    ours = GPT(TINY).eval()
    load_checkpoint(ours, theirs.state_dict(), "transformers")
    ids = tokens(TINY)
    assert relative(ours.loss(ids).detach(), theirs(ids, labels=ids).loss.detach()) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gpt2_small_equals_transformers_at_full_size(record: Any, dtype: torch.dtype) -> None:
    record("gpt2", proof(GPTConfig(), dtype, batch=1, time=16))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt2_medium", "gpt2_large", "gpt2_xl"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_larger_sizes_equal_transformers_layer_by_layer(record: Any, name: str, dtype: torch.dtype) -> None:
    config = GPTConfig(**SIZES[name] | {"num_layers": 2, "vocab_size": 997})
    record(name, proof(config, dtype, batch=1, time=16), size="reduced: 2 layers of full width, 997 tokens")


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_exact(name: str) -> None:
    with torch.device("meta"):
        model = catalogue.build(name)
    assert count_parameters(model) == PARAMETERS[name]


def test_multiply_adds_follow_from_the_shapes() -> None:
    """Per token: 12 d² weights a layer and d V for the logits; per pair of tokens: 2 d a layer."""
    with torch.device("meta"):
        model = catalogue.build("gpt2")
        ids = torch.zeros(1, 1024, dtype=torch.long)
    time, d = 1024, 768
    assert mult_adds(model, ids) == time * (12 * 12 * d * d + d * 50257) + 12 * 2 * time * time * d


def test_the_exact_gelu_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits of the parity test lie far below the difference between the two GELUs."""
    gelu = torch.nn.functional.gelu
    monkeypatch.setattr(torch.nn.functional, "gelu", lambda x, approximate="none": gelu(x))
    with pytest.raises(AssertionError, match="differs by"):
        proof(TINY, torch.float32)


# --- weights in both directions ---


def test_a_folder_saved_by_transformers_loads(tmp_path: Path) -> None:
    theirs = transformers_gpt(TINY)
    theirs.save_pretrained(tmp_path)
    ours = GPT(TINY).eval()
    load_checkpoint(ours, tmp_path / "model.safetensors", "transformers")
    ids = tokens(TINY)
    assert relative(ours(ids), theirs(ids).logits) < 1e-5


def test_a_file_of_ours_loads_into_transformers(tmp_path: Path) -> None:
    transformers = reference("transformers")
    theirs = transformers_gpt(TINY)
    theirs.config.save_pretrained(tmp_path)
    ours = GPT(TINY).eval()
    save_checkpoint(ours, tmp_path / "model.safetensors", "transformers")
    loaded = transformers.GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    ids = tokens(TINY)
    assert relative(ours(ids), loaded(ids).logits) < 1e-5
    check_round_trip(ours, loaded, "transformers")


def test_a_checkpoint_of_another_size_is_refused_by_name() -> None:
    with pytest.raises(CheckpointError, match=r"token_embedding\.weight"):
        load_checkpoint(GPT(TINY), GPT(GPTConfig(**vars(TINY) | {"vocab_size": 7})).state_dict())


# --- initialisation ---


def test_residual_layers_start_smaller_by_the_root_of_twice_the_depth() -> None:
    model = GPT(GPTConfig(vocab_size=50, max_length=8, d_model=256, num_layers=8, num_heads=4))
    for name, parameter in model.named_parameters():
        if name.endswith(("attention.output.weight", "contract.weight")):
            assert abs(float(parameter.detach().std()) - 0.02 / 4) < 2e-4, name
        elif name.endswith(("query.weight", "expand.weight")):
            assert abs(float(parameter.detach().std()) - 0.02) < 8e-4, name
        elif name.endswith("bias"):
            assert not parameter.any(), name


def test_output_layer_and_embedding_are_one_tensor() -> None:
    model = GPT(TINY).eval()
    assert "head" not in dict(model.named_children())
    state = GPT.layouts["transformers"].to_theirs(model.state_dict())
    assert torch.equal(state["lm_head.weight"], state["transformer.wte.weight"])


# --- causality, caches, generation ---


def test_no_logit_depends_on_a_later_token() -> None:
    model = GPT(TINY).eval()
    ids = tokens(TINY)
    changed = ids.clone()
    changed[:, 7:] = (changed[:, 7:] + 1) % TINY.vocab_size
    before, after = model(ids), model(changed)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


@pytest.mark.parametrize("pieces", [[1] * 12, [5, 1, 1, 5], [11, 1]])
def test_logits_with_the_cache_equal_logits_without(pieces: list[int]) -> None:
    model = GPT(TINY).double().eval()
    ids = tokens(TINY)
    with torch.no_grad():
        caches = model.new_caches(12)
        parts = [model(part, caches) for part in ids.split(pieces, dim=1)]
        assert relative(torch.cat(parts, dim=1), model(ids)) < 1e-12


def test_greedy_text_equals_transformers() -> None:
    theirs = transformers_gpt(TINY).double()
    ours = GPT(TINY).double().eval()
    load_checkpoint(ours, theirs.state_dict(), "transformers")
    prompt = tokens(TINY, batch=3, time=4)
    wanted = theirs.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=20, do_sample=False, pad_token_id=0
    )
    assert torch.equal(ours.generate(prompt, 20, temperature=0), wanted)


def test_the_same_seed_writes_the_same_text_and_another_seed_another() -> None:
    model = GPT(TINY).eval()
    prompt = tokens(TINY, batch=2, time=3)
    options = {"temperature": 0.9, "top_k": 40, "top_p": 0.95}
    first, again, other = (model.generate(prompt, 20, seed=seed, **options) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(first[:, :3], prompt)


def test_generation_allocates_no_new_cache_per_step(monkeypatch: pytest.MonkeyPatch) -> None:
    model = GPT(TINY).eval()
    made: list[Any] = []
    new_caches = model.new_caches
    monkeypatch.setattr(model, "new_caches", lambda length: made.extend(new_caches(length)) or made)
    places: set[int] = set()
    next_logits = model.next_logits

    def watched(ids: torch.Tensor, caches: list[Any]) -> torch.Tensor:
        logits = next_logits(ids, caches)
        places.add(caches[0].keys.data_ptr())
        return logits

    monkeypatch.setattr(model, "next_logits", watched)
    model.generate(tokens(TINY, time=4), 20, temperature=0)
    assert len(made) == TINY.num_layers and len(places) == 1


def test_generation_leaves_no_graph_and_its_text_can_be_trained_on() -> None:
    model = GPT(TINY).eval()
    text = model.generate(tokens(TINY, time=4), 8, seed=0)
    model.loss(text).backward()
    assert model.token_embedding.weight.grad is not None


# --- what is refused ---


def test_ids_outside_the_vocabulary_are_named() -> None:
    with pytest.raises(ValueError, match="token id 101 is outside the vocabulary of 101"):
        GPT(TINY)(torch.tensor([[1, 101]]))


def test_a_text_longer_than_the_positions_is_refused() -> None:
    model = GPT(TINY).eval()
    with pytest.raises(ValueError, match="25 tokens long, but the model has positions for 24"):
        model(torch.zeros(1, 25, dtype=torch.long))
    caches = model.new_caches(24)
    with torch.no_grad():
        model(torch.zeros(1, 20, dtype=torch.long), caches)
        with pytest.raises(ValueError, match="25 tokens long"):
            model(torch.zeros(1, 5, dtype=torch.long), caches)


def test_wrong_shapes_types_and_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="\\(4,\\); expected \\(batch, time\\)"):
        GPT(TINY)(torch.zeros(4, dtype=torch.long))
    with pytest.raises(TypeError, match="float32"):
        GPT(TINY)(torch.zeros(1, 4))
    with pytest.raises(ValueError, match="num_heads"):
        GPT(GPTConfig(d_model=30, num_heads=4, vocab_size=9))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_bfloat16_stays_near_float32(dtype: torch.dtype) -> None:
    model = GPT(TINY).eval()
    ids = tokens(TINY)
    wanted = model(ids)
    found = model.to(dtype)(ids)
    assert found.dtype == dtype
    assert relative(found.float(), wanted) < (1e-6 if dtype == torch.float32 else 0.03)
