"""Convolution: one small set of weights looks at every place of the image.

What is worth seeing in one corner is worth seeing in another: so the weights are shared, their number does not depend on
the image's size, and a shifted input gives a shifted output (by whole strides, borders aside).

    y[n, o, i, j] = b[o] + Σ_c Σ_u Σ_v  w[o, c, u, v] · x[n, c, row, column]
    row = i · stride + u · dilation − padding, column = j · stride + v · dilation − padding; outside the image x is 0

    x (N, C_in, H, W), w (C_out, C_in / groups, kh, kw), b (C_out,)  ->  y (N, C_out, H_out, W_out)
    H_out = ⌊(H + 2 padding − dilation (kh − 1) − 1) / stride⌋ + 1
    with groups, c runs over the C_in / groups input channels of o's own group

(Signal processing would flip the kernel and call this cross-correlation; a learned kernel does not mind.) The same sum is
here three times: `conv2d_naive` as it is written, `conv2d_unfold` as one matrix product over all windows, and `conv2d`,
PyTorch's kernels; they agree, and the tests hold them to it. A layer has C_out · C_in / groups · kh · kw weights and C_out
biases, and each output place costs as many multiply-adds as there are weights. The transposed convolution is the gradient of
the convolution with respect to its input: where that gathers a window into a number, this stamps a number's kernel onto the
output, and images grow.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viva.nn.initialisation import fan_in_uniform_
from viva.nn.shapes import IntPair, expect_floating, expect_shape, pair, written


def conv_output_size(size: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """How many places the kernel fits along one axis: ⌊(size + 2 padding − dilation (kernel_size − 1) − 1) / stride⌋ + 1.

    ValueError when it does not fit once.
    """
    reach = dilation * (kernel_size - 1) + 1
    if size + 2 * padding < reach:
        raise ValueError(
            f"a kernel of {kernel_size} with dilation {dilation} spans {reach} pixels, the input has {size} and padding "
            f"adds {2 * padding}: enlarge the image or the padding, or use fewer strided layers before."
        )
    return (size + 2 * padding - reach) // stride + 1


def _output_sizes(
    who: str, x: Tensor, weight: Tensor, stride: IntPair, padding: IntPair, dilation: IntPair, groups: int
) -> tuple[int, int]:
    """(H_out, W_out), after everything that can be wrong has been asked."""
    expect_shape(
        who, x, ("N", weight.shape[1] * groups, "H", "W"), f"The weight is {written(weight.shape)} in {groups} group(s)."
    )
    expect_floating(who, x, weight)
    if weight.shape[0] % groups:
        raise ValueError(f"{who} cannot share {weight.shape[0]} output channels among {groups} groups: choose a divisor.")
    settings = zip(x.shape[2:], weight.shape[2:], pair(stride), pair(padding), pair(dilation), strict=True)
    height, width = (conv_output_size(*axis) for axis in settings)
    return height, width


def conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None,
    stride: IntPair = 1, padding: IntPair = 0, dilation: IntPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The fast one: (N, C_in, H, W) -> (N, C_out, H_out, W_out). Sizes are a number or (vertical, horizontal).

    ValueError for channels or groups that do not fit and for a kernel larger than the image, TypeError for mixed dtypes.
    """
    if not isinstance(x, Tensor) or x.dim() != 4:  # PyTorch would take an image without a batch
        expect_shape("conv2d", x, ("N", weight.shape[1] * groups, "H", "W"))
    try:
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    except RuntimeError:  # asking only when the kernel refuses costs nothing
        _output_sizes("conv2d", x, weight, stride, padding, dilation, groups)
        raise


def conv2d_naive(
    x: Tensor, weight: Tensor, bias: Tensor | None = None,
    stride: IntPair = 1, padding: IntPair = 0, dilation: IntPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The definition: for every output number, a window times a kernel. For reading and for tests: it is slow."""
    height, width = _output_sizes("conv2d_naive", x, weight, stride, padding, dilation, groups)
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    out_channels, group_in, kh, kw = weight.shape
    group_out = out_channels // groups
    padded = F.pad(x, (pw, pw, ph, ph))  # (N, C_in, H + 2 ph, W + 2 pw)
    y = x.new_zeros(x.shape[0], out_channels, height, width)
    for n in range(x.shape[0]):
        for o in range(out_channels):
            first = o // group_out * group_in  # the first input channel that this output's group may see
            for i in range(height):
                for j in range(width):
                    rows = slice(i * sh, i * sh + dh * (kh - 1) + 1, dh)
                    columns = slice(j * sw, j * sw + dw * (kw - 1) + 1, dw)
                    window = padded[n, first : first + group_in, rows, columns]  # (C_in / groups, kh, kw)
                    y[n, o, i, j] = (window * weight[o]).sum()
    return y if bias is None else y + bias[:, None, None]


def unfold(x: Tensor, kernel_size: IntPair, stride: IntPair = 1, padding: IntPair = 0, dilation: IntPair = 1) -> Tensor:
    """Every window as a column ("im2col"): (N, C, H, W) -> (N, C · kh · kw, H_out · W_out).

    Each pixel is copied up to kh · kw times: the price of the matrix product.
    """
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = pair(kernel_size), pair(stride), pair(padding), pair(dilation)
    height = conv_output_size(x.shape[2], kh, sh, ph, dh)
    width = conv_output_size(x.shape[3], kw, sw, pw, dw)
    rows = dh * torch.arange(kh, device=x.device)[:, None] + sh * torch.arange(height, device=x.device)  # (kh, H_out)
    columns = dw * torch.arange(kw, device=x.device)[:, None] + sw * torch.arange(width, device=x.device)  # (kw, W_out)
    padded = F.pad(x, (pw, pw, ph, ph))
    windows = padded[:, :, rows[:, None, :, None], columns[None, :, None, :]]  # (N, C, kh, kw, H_out, W_out)
    return windows.reshape(x.shape[0], -1, height * width)


def conv2d_unfold(
    x: Tensor, weight: Tensor, bias: Tensor | None = None,
    stride: IntPair = 1, padding: IntPair = 0, dilation: IntPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """One matrix product over all windows, with the speed of matrix libraries (Chellapilla et al. 2006)."""
    height, width = _output_sizes("conv2d_unfold", x, weight, stride, padding, dilation, groups)
    out_channels, _, kh, kw = weight.shape
    windows = unfold(x, (kh, kw), stride, padding, dilation)  # (N, C_in · kh · kw, L), L = H_out · W_out
    windows = windows.reshape(x.shape[0], groups, -1, height * width)  # (N, groups, C_in / groups · kh · kw, L)
    kernels = weight.reshape(groups, out_channels // groups, -1)  # (groups, C_out / groups, C_in / groups · kh · kw)
    y = (kernels @ windows).reshape(x.shape[0], out_channels, height, width)
    return y if bias is None else y + bias[:, None, None]


def _transposed_sizes(
    who: str, x: Tensor, weight: Tensor, stride: IntPair, padding: IntPair, output_padding: IntPair, dilation: IntPair,
    groups: int,
) -> tuple[int, int]:  # fmt: skip
    """(H_out, W_out) of the transposed convolution, after everything that can be wrong has been asked."""
    hint = f"The weight is {written(weight.shape)}: (in, out / groups, kh, kw)."
    expect_shape(who, x, ("N", weight.shape[0], "H", "W"), hint)
    expect_floating(who, x, weight)
    if weight.shape[0] % groups:
        raise ValueError(f"{who} cannot share {weight.shape[0]} input channels among {groups} groups: choose a divisor.")
    sizes = []
    for axis, (step, cut, extra, spread) in enumerate(
        zip(pair(stride), pair(padding), pair(output_padding), pair(dilation), strict=True)
    ):
        if extra >= max(step, spread):
            raise ValueError(
                f"{who} got output_padding={output_padding} for stride={stride} and dilation={dilation}: "
                "it must be below the larger of both."
            )
        size = (x.shape[2 + axis] - 1) * step + spread * (weight.shape[2 + axis] - 1) + 1 + extra - 2 * cut
        if size < 1:
            raise ValueError(f"{who} would cut everything away: an input of {written(x.shape)} with padding={padding} leaves {size} pixels.")
        sizes.append(size)
    return sizes[0], sizes[1]


def conv_transpose2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None,
    stride: IntPair = 1, padding: IntPair = 0, output_padding: IntPair = 0, dilation: IntPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The gradient of `conv2d` with respect to its input: (N, C_in, H, W) -> (N, C_out, H_out, W_out).

    The weight is (C_in, C_out / groups, kh, kw), what a convolution from C_out to C_in channels would have.
    H_out = (H − 1) stride − 2 padding + dilation (kh − 1) + 1 + output_padding. A convolution of stride s gives one output
    height for s different input heights; `output_padding` says which of them to return to. Kernels whose size the stride
    does not divide overlap unevenly: the chequerboards of Odena et al. 2016. ValueError for channels or groups that do not
    fit, an output without a pixel, and output_padding ≥ max(stride, dilation); TypeError for mixed dtypes.
    """
    _transposed_sizes("conv_transpose2d", x, weight, stride, padding, output_padding, dilation, groups)
    return F.conv_transpose2d(x, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d_naive(
    x: Tensor, weight: Tensor, bias: Tensor | None = None,
    stride: IntPair = 1, padding: IntPair = 0, output_padding: IntPair = 0, dilation: IntPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The definition: every input number stamps its kernel, times itself, onto the output; the padding is cut off."""
    out_size = _transposed_sizes("conv_transpose2d_naive", x, weight, stride, padding, output_padding, dilation, groups)
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    batch, in_channels, height, width = x.shape
    _, group_out, kh, kw = weight.shape
    group_in = in_channels // groups
    y = x.new_zeros(batch, group_out * groups, out_size[0] + 2 * ph, out_size[1] + 2 * pw)
    for c in range(in_channels):
        first = c // group_in * group_out
        for i in range(height):
            for j in range(width):
                rows = slice(i * sh, i * sh + dh * (kh - 1) + 1, dh)
                columns = slice(j * sw, j * sw + dw * (kw - 1) + 1, dw)
                stamp = x[:, c, i, j, None, None, None] * weight[c]  # (N, C_out / groups, kh, kw)
                y[:, first : first + group_out, rows, columns] += stamp
    y = y[:, :, ph : ph + out_size[0], pw : pw + out_size[1]]
    return y if bias is None else y + bias[:, None, None]


class _Convolution(nn.Module):
    """What both directions share: the settings, their errors, weights that start from U(±1/√fan_in)."""

    transposed = False

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: IntPair, stride: IntPair = 1, padding: IntPair = 0,
        dilation: IntPair = 1, groups: int = 1, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        who = type(self).__name__
        if min(in_channels, out_channels, groups) < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{who} cannot share {in_channels} input and {out_channels} output channels among {groups} groups: "
                "groups must divide both."
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = pair(kernel_size), pair(stride)
        self.padding, self.dilation = pair(padding), pair(dilation)
        if min(*self.kernel_size, *self.stride, *self.dilation) < 1 or min(self.padding) < 0:
            raise ValueError(
                f"{who} got kernel_size={kernel_size}, stride={stride}, padding={padding}, dilation={dilation}: "
                "padding starts at 0, the others at 1."
            )
        ends = (in_channels, out_channels // groups) if self.transposed else (out_channels, in_channels // groups)
        self.weight = nn.Parameter(torch.empty(*ends, *self.kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        fan_in_uniform_(self.weight, self.bias)

    def extra_repr(self) -> str:
        settings = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        unusual = [("padding", (0, 0)), ("output_padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1)]
        given = [(name, getattr(self, name, usual)) for name, usual in unusual if getattr(self, name, usual) != usual]
        return ", ".join([settings, *(f"{name}={value}" for name, value in given), f"bias={self.bias is not None}"])


class Conv2d(_Convolution):
    """`conv2d` with a weight (out_channels, in_channels / groups, kh, kw) and a bias (out_channels,) of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class ConvTranspose2d(_Convolution):
    """`conv_transpose2d` with its own weight (in_channels, out_channels / groups, kh, kw) and bias (out_channels,)."""

    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: IntPair, stride: IntPair = 1, padding: IntPair = 0,
        output_padding: IntPair = 0, dilation: IntPair = 1, groups: int = 1, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        self.output_padding = pair(output_padding)

    def forward(self, x: Tensor) -> Tensor:
        return conv_transpose2d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.dilation, self.groups
        )


class DepthwiseSeparableConv2d(nn.Module):
    """A k × k convolution in two: a kernel for each channel, then a 1 × 1 mixture (Howard et al. 2017, section 3.1).

    (N, in_channels, H, W) -> (N, out_channels, H_out, W_out) for k² C_in + C_in C_out multiply-adds at each place instead
    of k² C_in C_out: a ratio of 1 / C_out + 1 / k², about 1/9 for k = 3 and many channels. `between` stands after the
    depthwise convolution (MobileNet: batch norm and ReLU).
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: IntPair = 3, stride: IntPair = 1, padding: IntPair = 0,
        dilation: IntPair = 1, bias: bool = True, between: nn.Module | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.depthwise = Conv2d(in_channels, in_channels, kernel_size, stride, padding, dilation, in_channels, bias)
        self.between = nn.Identity() if between is None else between
        self.pointwise = Conv2d(in_channels, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.between(self.depthwise(x))  # (N, in_channels, H_out, W_out)
        return self.pointwise(x)  # (N, out_channels, H_out, W_out)
