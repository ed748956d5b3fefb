"""The mixture of experts equals transformers' MixtralForCausalLM, and its sparse layer the dense definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from parity import check_parity, check_round_trip, reference, relative  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.overrides import TorchFunctionMode  # noqa: E402

from viva.models import catalogue  # noqa: E402
from viva.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from viva.models.moe import Experts, MoE, MoEConfig, load_balancing_loss  # noqa: E402
from viva.models.summary import count_parameters, mult_adds  # noqa: E402

TINY = MoEConfig(
    vocab_size=67, max_length=24, d_model=32, num_layers=2, num_heads=4, num_kv_heads=2, d_ff=24, num_experts=5, top_k=2
)


class InDouble(TorchFunctionMode):
    """Turns float32 into float64 wherever a function asks for it: see ``transformers_moe``."""

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if func is Tensor.float:
            return args[0].double()
        wider = [torch.float64 if value is torch.float32 else value for value in args]
        named = {key: torch.float64 if value is torch.float32 else value for key, value in (kwargs or {}).items()}
        return func(*wider, **named)


def transformers_moe(config: MoEConfig, exact: bool = False) -> Any:
    """Mixtral with weights of its own. ``exact``: without its own roundings.

    Its norms, its router and its auxiliary loss compute in float32 even in a float64 model, so that nothing could
    agree with it to 1e-12; those three, and nothing else, then compute in float64.
    """
    mixtral = reference("transformers.models.mixtral.modeling_mixtral")
    model = mixtral.MixtralForCausalLM(
        mixtral.MixtralConfig(
            vocab_size=config.vocab_size,
            max_position_embeddings=config.max_length,
            hidden_size=config.d_model,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            num_key_value_heads=config.num_kv_heads,
            intermediate_size=config.d_ff,
            num_local_experts=config.num_experts,
            num_experts_per_tok=config.top_k,
            rope_parameters={"rope_type": "default", "rope_theta": config.rotary_base},
            rms_norm_eps=config.eps,
            router_aux_loss_coef=config.balance_coefficient,
            bos_token_id=None,
            eos_token_id=None,
            attn_implementation="sdpa",
            experts_implementation="eager",
        )
    )
    for parameter in model.parameters():  # routers that prefer, norms that are not 1
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1 if config.d_model < 100 else 0.02)
    if exact:
        for module in model.modules():
            if isinstance(module, mixtral.MixtralRMSNorm | mixtral.MixtralTopKRouter):
                module.forward = in_double(module.forward)
    return model.eval()


def in_double(function: Any) -> Any:
    def wider(*args: Any, **kwargs: Any) -> Any:
        with InDouble():
            return function(*args, **kwargs)

    return wider


def our_call(model: MoE, tokens: Tensor) -> tuple[Tensor, ...]:
    output = model(tokens)
    return output.logits, model.balance_loss(output), *output.router_logits


def their_call(model: Any, tokens: Tensor) -> tuple[Tensor, ...]:
    mixtral = reference("transformers.models.mixtral.modeling_mixtral")
    output = model(tokens, output_router_logits=True)
    loss = mixtral.load_balancing_loss_func
    loss = in_double(loss) if output.logits.dtype == torch.float64 else loss
    config = model.config
    balance = loss(output.router_logits, config.num_local_experts, config.num_experts_per_tok)
    return output.logits, balance, *output.router_logits


def proof(config: MoEConfig, dtype: torch.dtype, batch: int = 3, time: int = 10) -> Any:
    return check_parity(
        MoE(config).train(),
        transformers_moe(config, exact=dtype == torch.float64).train(),
        torch.randint(config.vocab_size, (batch, time)),
        layout="transformers",
        dtype=dtype,
        ours_call=our_call,
        theirs_call=their_call,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logits_balance_loss_and_gradients_equal_transformers(dtype: torch.dtype) -> None:
    proof(TINY, dtype)


@pytest.mark.parametrize("top_k", [1, 3, 5])
def test_other_numbers_of_experts_per_token_too(top_k: int) -> None:
    proof(MoEConfig(**vars(TINY) | {"top_k": top_k}), torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mixtral_equals_transformers_at_a_sixteenth_of_its_width(record: Any, dtype: torch.dtype) -> None:
    config = MoEConfig(vocab_size=997, d_model=256, num_layers=4, num_heads=8, num_kv_heads=2, d_ff=896)
    size = "reduced: 4 layers, d_model 256, 8 experts, 997 tokens"
    record("mixtral_8x7b", proof(config, dtype, batch=2, time=32), size=size)


def test_the_training_loss_equals_the_references() -> None:
    theirs, ours = transformers_moe(TINY), MoE(TINY)
    load_checkpoint(ours, theirs.state_dict(), "transformers")
    tokens = torch.randint(67, (3, 10))
    # ours routes the tokens that predict, transformers also the last one, which predicts nothing
    wanted = theirs(tokens, labels=tokens).loss
    balance = theirs(tokens[:, :-1], output_router_logits=True).aux_loss
    assert relative(ours.loss(tokens).detach(), (wanted + 0.001 * balance).detach()) < 1e-6


def test_all_46_702_792_704_parameters_are_there_and_12_9_billion_are_active() -> None:
    with torch.device("meta"):
        model = catalogue.build("mixtral_8x7b")
    assert count_parameters(model) == 46_702_792_704
    assert model.active_parameters() == 12_879_925_248


def test_active_parameters_are_those_with_a_gradient_after_one_token() -> None:
    model = MoE(TINY).eval()
    for layer in model.layers:
        assert isinstance(layer.feed_forward, Experts)
    model(torch.tensor([[5]])).logits.sum().backward()
    met = sum(parameter.numel() for parameter in model.parameters() if parameter.grad is not None)
    assert met == model.active_parameters() < count_parameters(model)


def test_work_grows_with_the_experts_a_token_meets_and_not_with_those_that_exist() -> None:
    def cost(**changes: int) -> int:
        with torch.device("meta"):
            model = MoE(MoEConfig(**vars(TINY) | changes))
            return mult_adds(model, torch.zeros(2, 10, dtype=torch.long))

    router = 20 * 32 * 2  # one more expert costs its score for each token, in each of two layers
    assert cost(num_experts=16) - cost(num_experts=8) == 8 * router
    assert cost(top_k=3) - cost(top_k=2) == 2 * 20 * 3 * 32 * 24


def test_multiply_adds_on_the_meta_device_are_those_of_a_real_pass() -> None:
    tokens = torch.randint(67, (2, 10))
    with torch.device("meta"):
        counted = mult_adds(MoE(TINY), tokens.to("meta"))
    assert mult_adds(MoE(TINY), tokens) == counted


# --- the sparse layer ---


def dense(layer: Experts, x: Tensor) -> Tensor:
    """The definition: every expert on every token, and weights that are 0 but for the k largest."""
    probabilities = layer.router(x).softmax(-1)
    kth = probabilities.sort(-1, descending=True).values[..., layer.top_k - 1 : layer.top_k]
    weights = torch.where(probabilities >= kth, probabilities, 0)
    weights = weights / weights.sum(-1, keepdim=True)
    return sum(weights[..., e : e + 1] * expert(x) for e, expert in enumerate(layer.experts))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 9), st.data(), st.integers(1, 3), st.integers(1, 17), st.integers(0, 1000))
def test_every_token_gets_the_dense_definition(experts: int, data: Any, batch: int, time: int, seed: int) -> None:
    torch.manual_seed(seed)
    k = data.draw(st.integers(1, experts))
    layer = Experts(MoEConfig(d_model=8, d_ff=6, num_experts=experts, top_k=k)).double()
    x = torch.randn(batch, time, 8, dtype=torch.float64, requires_grad=True)
    y, logits = layer(x)
    wanted = dense(layer, x)
    torch.testing.assert_close(y, wanted, rtol=1e-11, atol=1e-12)
    assert logits.shape == (batch * time, experts)
    weights = torch.randn_like(y)
    inputs = [x, *layer.parameters()]
    found = torch.autograd.grad((y * weights).sum(), inputs)
    for one, other in zip(found, torch.autograd.grad((wanted * weights).sum(), inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def test_weights_of_the_chosen_experts_sum_to_one() -> None:
    layer = Experts(MoEConfig(d_model=8, d_ff=6, num_experts=6, top_k=3))
    weights, experts, _ = layer.route(torch.randn(50, 8))
    torch.testing.assert_close(weights.sum(-1), torch.ones(50))
    assert all(len(set(row)) == 3 for row in experts.tolist())


def test_an_expert_computes_its_own_tokens_once_and_no_others() -> None:
    layer = Experts(MoEConfig(d_model=8, d_ff=6, num_experts=6, top_k=2)).eval()
    seen: dict[int, int] = {}
    for index, expert in enumerate(layer.experts):
        expert.register_forward_pre_hook(lambda _, inputs, index=index: seen.update({index: len(inputs[0])}))
    x = torch.randn(2, 20, 8)
    layer(x)
    _, experts, _ = layer.route(x.flatten(0, 1))
    wanted = {e: n for e, n in enumerate(experts.flatten().bincount(minlength=6).tolist()) if n}
    assert seen == wanted and sum(seen.values()) == 40 * 2


def test_in_training_an_expert_without_tokens_has_a_gradient_of_zero() -> None:
    layer = Experts(MoEConfig(d_model=8, d_ff=6, num_experts=6, top_k=1)).train()
    layer(torch.randn(1, 1, 8))[0].sum().backward()
    gradients = [expert.down.weight.grad for expert in layer.experts]
    assert all(gradient is not None for gradient in gradients)
    assert sum(bool(gradient.any()) for gradient in gradients) == 1


# --- the balancing loss ---


def test_the_balancing_loss_is_least_where_tokens_are_spread_and_most_where_they_crowd() -> None:
    spread = torch.eye(4).repeat(3, 1) * 30  # every token sure of its expert, experts taken in turn
    crowd = torch.tensor([[30.0, 0, 0, 0]]).repeat(12, 1)
    assert abs(float(load_balancing_loss([spread], 1)) - 1) < 1e-5
    assert abs(float(load_balancing_loss([crowd], 1)) - 4) < 1e-5


def test_its_gradient_pushes_the_crowded_expert_down() -> None:
    logits = torch.tensor([[1.0, 0, 0, 0]]).repeat(12, 1).requires_grad_()
    load_balancing_loss([logits], 1).backward()
    assert (logits.grad[:, 0] > 0).all() and (logits.grad[:, 1:] < 0).all()


@settings(deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 1000))
def test_the_masked_balancing_loss_equals_transformers(layers: int, top_k: int, seed: int) -> None:
    mixtral = reference("transformers.models.mixtral.modeling_mixtral")
    torch.manual_seed(seed)
    logits = [torch.randn(2 * 7, 4) for _ in range(layers)]
    mask = torch.rand(2, 7) < 0.7
    mask[0, 0] = True
    wanted = mixtral.load_balancing_loss_func(tuple(logits), 4, top_k, mask.long())
    torch.testing.assert_close(load_balancing_loss(logits, top_k, mask), wanted)
    only = [layer[mask.flatten()] for layer in logits]
    torch.testing.assert_close(load_balancing_loss(only, top_k), wanted)


# --- weights in both directions ---


def test_a_folder_saved_by_transformers_loads(tmp_path: Path) -> None:
    theirs, ours = transformers_moe(TINY), MoE(TINY).eval()
    theirs.save_pretrained(tmp_path)
    load_checkpoint(ours, tmp_path / "model.safetensors", "transformers_files")
    tokens = torch.randint(67, (2, 8))
    assert relative(ours(tokens).logits.detach(), theirs(tokens).logits.detach()) < 1e-5


def test_a_folder_saved_in_shards_loads(tmp_path: Path) -> None:
    theirs, ours = transformers_moe(TINY), MoE(TINY).eval()
    theirs.save_pretrained(tmp_path, max_shard_size="50KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    load_checkpoint(ours, tmp_path, "transformers_files")
    tokens = torch.randint(67, (2, 8))
    assert relative(ours(tokens).logits.detach(), theirs(tokens).logits.detach()) < 1e-5


def test_a_file_of_ours_loads_into_transformers(tmp_path: Path) -> None:
    transformers = reference("transformers")
    ours = MoE(TINY).eval()
    transformers_moe(TINY).config.save_pretrained(tmp_path)
    save_checkpoint(ours, tmp_path / "model.safetensors", "transformers_files")
    theirs = transformers.MixtralForCausalLM.from_pretrained(tmp_path).eval()
    tokens = torch.randint(67, (2, 8))
    assert relative(ours(tokens).logits.detach(), theirs(tokens).logits.detach()) < 1e-5
    check_round_trip(ours, theirs, "transformers")


# --- causality, caches, generation ---


def test_no_logit_depends_on_a_later_token() -> None:
    model = MoE(TINY).double().eval()
    tokens = torch.randint(67, (1, 9))
    changed = tokens.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % 67
    torch.testing.assert_close(model(tokens).logits[:, :5], model(changed).logits[:, :5], rtol=1e-12, atol=1e-12)


def test_logits_with_the_cache_equal_logits_without() -> None:
    model = MoE(TINY).double().eval()
    tokens = torch.randint(67, (2, 12))
    with torch.no_grad():
        caches = model.new_caches(12)
        parts = [model(part, caches).logits for part in tokens.split([4, 1, 1, 6], dim=1)]
        assert relative(torch.cat(parts, dim=1), model(tokens).logits) < 1e-12
    assert caches[0].keys.shape == (2, 2, 12, 8)  # two heads of keys for four of queries


def test_greedy_text_equals_transformers() -> None:
    theirs, ours = transformers_moe(TINY).double(), MoE(TINY).double().eval()
    load_checkpoint(ours, theirs.state_dict(), "transformers")
    prompt = torch.randint(67, (3, 4))
    wanted = theirs.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=20, do_sample=False, pad_token_id=0
    )
    assert torch.equal(ours.generate(prompt, 20, temperature=0), wanted)


# --- what is refused ---


def test_inputs_that_do_not_fit_are_refused() -> None:
    model = MoE(TINY)
    with pytest.raises(ValueError, match="25 tokens long, but the model has positions for 24"):
        model(torch.zeros(1, 25, dtype=torch.long))
    with pytest.raises(ValueError, match="token id 67 is outside the vocabulary of 67"):
        model(torch.tensor([[67]]))
    with pytest.raises(ValueError, match="\\(5,\\); expected \\(batch, time\\)"):
        model(torch.zeros(5, dtype=torch.long))
    with pytest.raises(ValueError, match="cannot go to 6 of 5 experts"):
        MoEConfig(num_experts=5, top_k=6)
    with pytest.raises(ValueError, match="num_kv_heads"):
        MoE(MoEConfig(**vars(TINY) | {"num_kv_heads": 3}))
    with pytest.raises(ValueError, match="mask \\(3,\\) does not cover the 4 tokens"):
        load_balancing_loss([torch.zeros(4, 2)], 1, torch.ones(3, dtype=torch.bool))
