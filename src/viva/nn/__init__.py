"""The parts that networks are built from: one file for one idea, each the answer to "explain X".

`linear`, `convolution`, `embedding`, `pooling` and `attention` move information; `activations` bend it; `normalisation`,
`dropout`, `residual` and `squeeze_excitation` keep it trainable; `positions` order it; `initialisation` chooses where it
starts and `losses` say how wrong it came out. `backprop` is a reverse-mode autograd in one sitting and `by_hand` prints its
working with every number, both with names of their own (`from viva.nn import backprop`); `shapes` has the sentences with
which all of them refuse a wrong input.

Everything below is imported from here: `from viva.nn import Conv2d, softmax`. A layer is a `torch.nn.Module`; where
`torch.nn` has the same one, its parameters are named, shaped and drawn as there, so that state dicts fit (attention alone
has query, key and value apart, where torch keeps one matrix). Its forward path is PyTorch's fused kernel, and the definition
stands beside it (`conv2d_naive`, `explained_attention`, `normalise`, `activations.FORMULAS`): the tests hold both equal.
Device and dtype follow the input; float32, float64, bfloat16, autocast and `torch.compile` all work. This room imports
nothing of Viva but itself and `viva.language`, in which `by_hand` writes.

To add a part: write `nn/<idea>.py`, which opens with what it is, the paper, the shapes and the formula; check inputs with
`shapes.expect_shape` and `shapes.expect_floating`; name it in the list below; and hold it equal to an independent
implementation, outputs and gradients, in `tests/workshop/test_nn_<idea>.py`.
"""

from viva.nn.activations import (
    GELU,
    LeakyReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    gelu,
    leaky_relu,
    relu,
    sigmoid,
    silu,
    softmax,
    softmax_naive,
    tanh,
)
from viva.nn.attention import (
    KVCache,
    MultiHeadAttention,
    attention,
    causal_mask,
    explained_attention,
    padding_mask,
)
from viva.nn.convolution import (
    Conv2d,
    ConvTranspose2d,
    DepthwiseSeparableConv2d,
    conv2d,
    conv2d_naive,
    conv2d_unfold,
    conv_output_size,
    conv_transpose2d,
    conv_transpose2d_naive,
    unfold,
)
from viva.nn.dropout import Dropout, StochasticDepth
from viva.nn.embedding import Embedding
from viva.nn.initialisation import (
    constant_,
    fan_in_uniform_,
    he_normal_,
    he_uniform_,
    normal_,
    orthogonal_,
    truncated_normal_,
    uniform_,
    xavier_normal_,
    xavier_uniform_,
)
from viva.nn.linear import Linear, linear
from viva.nn.losses import (
    binary_cross_entropy,
    cross_entropy,
    explained_cross_entropy,
    focal,
    info_nce,
    kl_divergence,
    mse,
)
from viva.nn.normalisation import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, RMSNorm, normalise
from viva.nn.pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from viva.nn.positions import LearnedPositions, Rotary, SinusoidalPositions, sinusoidal
from viva.nn.residual import Residual
from viva.nn.squeeze_excitation import SqueezeExcitation

__all__ = [
    "GELU",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "DepthwiseSeparableConv2d",
    "Dropout",
    "Embedding",
    "GlobalAvgPool2d",
    "GroupNorm",
    "KVCache",
    "LayerNorm",
    "LeakyReLU",
    "LearnedPositions",
    "Linear",
    "MaxPool2d",
    "MultiHeadAttention",
    "RMSNorm",
    "ReLU",
    "ReLU6",
    "Residual",
    "Rotary",
    "SiLU",
    "Sigmoid",
    "SinusoidalPositions",
    "Softmax",
    "SqueezeExcitation",
    "StochasticDepth",
    "Tanh",
    "attention",
    "binary_cross_entropy",
    "causal_mask",
    "constant_",
    "conv2d",
    "conv2d_naive",
    "conv2d_unfold",
    "conv_output_size",
    "conv_transpose2d",
    "conv_transpose2d_naive",
    "cross_entropy",
    "explained_attention",
    "explained_cross_entropy",
    "fan_in_uniform_",
    "focal",
    "gelu",
    "he_normal_",
    "he_uniform_",
    "info_nce",
    "kl_divergence",
    "leaky_relu",
    "linear",
    "mse",
    "normal_",
    "normalise",
    "orthogonal_",
    "padding_mask",
    "relu",
    "sigmoid",
    "silu",
    "sinusoidal",
    "softmax",
    "softmax_naive",
    "tanh",
    "truncated_normal_",
    "unfold",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
]
