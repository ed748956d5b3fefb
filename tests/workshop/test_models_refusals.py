"""What models, searches and estimators say to inputs and options that they cannot take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from viva.models.autoencoder import DenseAutoencoder
from viva.models.bert import Bert, BertConfig
from viva.models.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from viva.models.cnn import lenet5
from viva.models.gpt import GPT, GPTConfig
from viva.models.kmeans import KMeans
from viva.models.lstm import LSTM
from viva.models.mlp import MLP
from viva.models.pca import PCA
from viva.models.search import beam_search
from viva.models.transformer import Transformer, TransformerConfig
from viva.optim import Adam, AdamW


def gpt() -> GPT:
    return GPT(GPTConfig(vocab_size=20, max_length=16, d_model=8, num_layers=1, num_heads=2)).eval()


PROMPT = torch.ones(1, 3, dtype=torch.long)
BAD_OPTIONS = [
    {"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": 0}, {"top_k": 2.5}, {"top_p": 0.0}, {"top_p": 1.5},
    {"top_p": float("nan")}, {"temperature": "hot"}, {"temperature": 0.0, "top_k": 0}, {"temperature": 0.0, "top_p": 7.0},
    {"stop_token": 20}, {"stop_token": -1},
]  # fmt: skip


@pytest.mark.parametrize("options", BAD_OPTIONS, ids=str)
def test_a_text_is_not_drawn_with_options_that_mean_nothing(options: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError), match=list(options)[-1]):
        gpt().generate(PROMPT, 2, **options)


def test_options_are_looked_at_even_where_no_token_is_drawn() -> None:
    with pytest.raises(ValueError, match="temperature"):
        gpt().generate(PROMPT, 0, temperature=-1.0)


def search(alpha: float) -> object:
    model = Transformer(TransformerConfig(vocab_size=9, d_model=8, num_layers=1, num_heads=2, d_ff=8, max_length=8)).eval()
    return beam_search(model, PROMPT, start=1, stop=2, max_length=4, alpha=alpha)


REFUSALS: dict[str, tuple[Callable[[], object], str]] = {
    "GPT of an array": (lambda: gpt()(np.ones((1, 3), int)), "torch.Tensor"),
    "a prompt that is a list": (lambda: gpt().generate([[1]], 2), "torch.Tensor"),  # type: ignore[arg-type]
    "half a token": (lambda: gpt().generate(PROMPT, 2.5), "whole number"),  # type: ignore[arg-type]
    "a loss of one token": (lambda: gpt().loss(PROMPT[:, :1]), "at least two"),
    "minus one layer": (lambda: GPTConfig(num_layers=-1), "0 or more"),
    "BERT of no token": (lambda: Bert(BertConfig(vocab_size=9, max_length=8, d_model=8, num_layers=1, num_heads=2, d_ff=8))(PROMPT[:, :0]), "first token"),
    "an LSTM of no step": (lambda: LSTM(3, 4)(torch.ones(2, 0, 3)), "at least one step"),
    "lengths with a point": (lambda: LSTM(3, 4)(torch.ones(2, 2, 3), lengths=torch.tensor([1.5, 2.0])), "integers"),
    "a picture that is an array": (lambda: lenet5()(np.zeros((1, 1, 32, 32))), "torch.Tensor"),
    "a beam with alpha nan": (lambda: search(float("nan")), "finite"),
    "pixels beyond 1": (lambda: DenseAutoencoder((4, 2)).loss(torch.full((2, 4), 5.0)), "between 0 and 1"),
    "KMeans of an array": (lambda: KMeans(2).fit(np.ones((5, 2))), "torch.Tensor"),  # type: ignore[arg-type]
    "two and a half clusters": (lambda: KMeans(2.5), "whole number"),  # type: ignore[arg-type]
    "centres of nan": (lambda: KMeans(1, centres=torch.full((1, 2), float("nan"))).fit(torch.ones(3, 2)), "NaN"),
    "PCA of an array": (lambda: PCA(1).fit(np.ones((5, 2))), "torch.Tensor"),  # type: ignore[arg-type]
    "an infinite learning rate": (lambda: AdamW([torch.ones(2, requires_grad=True)], lr=float("inf")), "lr is inf"),
    "a learning rate in words": (lambda: AdamW([torch.ones(2, requires_grad=True)], lr="x"), "give a number"),  # type: ignore[arg-type]
    "one beta": (lambda: Adam([torch.ones(2, requires_grad=True)], betas=0.9), "two numbers"),  # type: ignore[arg-type]
    "whole numbers to optimise": (lambda: Adam([torch.ones(2).long()]), "floating point"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_cannot_be_is_refused_in_a_sentence(what: str) -> None:
    attempt, says = REFUSALS[what]
    with pytest.raises((ValueError, TypeError), match=says):
        attempt()


def test_a_checkpoint_says_what_it_was_given_and_where_it_may_go(tmp_path: Path) -> None:
    model = MLP((4, 5, 2))
    with pytest.raises(TypeError, match="NoneType"):
        load_checkpoint(model, None)  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="not tensors"):
        load_checkpoint(model, {name: tensor.numpy() for name, tensor in model.state_dict().items()})  # type: ignore[misc]
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_checkpoint(model, tmp_path / "nowhere" / "x.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(CheckpointError, match="is a folder"):
        save_checkpoint(model, tmp_path / "folder.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.safetensors"]
