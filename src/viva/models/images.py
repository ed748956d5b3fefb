"""What every network that reads images asks of them: a floating tensor (N, C, H, W), batch first, channels second.

The convolutions themselves would complain too, but only about the first number that does not fit. The sentence here names
what was given, what was expected and the usual way out (a missing batch dimension, channels last, bytes instead of numbers).
"""

from __future__ import annotations

from torch import Tensor

from viva.nn.shapes import expect_tensor


def check_images(images: Tensor, channels: int, least: int = 1) -> None:
    """Raises unless ``images`` is a floating tensor (N, ``channels``, H, W) with H and W of at least ``least`` pixels.

    Only shape and dtype are read, never a value: nothing waits for a GPU and ``torch.compile`` sees no branch.

    Raises:
        TypeError: the tensor holds integers or booleans.
        ValueError: it has other than four dimensions, other channels or too few pixels.
    """
    expect_tensor("the model", images)
    if not images.is_floating_point():
        raise TypeError(
            f"images are {images.dtype}, expected floating point such as torch.float32: "
            "bytes become numbers with images.float() / 255"
        )
    given, wanted = f"images have shape {tuple(images.shape)}", f"expected (batch, {channels}, height, width)"
    if images.dim() != 4:
        hint = ": add the batch dimension with images.unsqueeze(0)" if images.dim() == 3 else ""
        raise ValueError(f"{given}, {wanted}{hint}")
    if images.shape[1] != channels:
        if images.shape[3] == channels:
            hint = "move the channels forward with images.permute(0, 3, 1, 2)"
        elif images.shape[1] == 1:
            hint = f"repeat the grey channel with images.expand(-1, {channels}, -1, -1) or build the model with in_channels=1"
        else:
            hint = f"build the model with in_channels={images.shape[1]}"
        raise ValueError(f"{given}, {wanted}: {hint}")
    if min(images.shape[2:]) < least:
        raise ValueError(
            f"{given}, {wanted} with height and width of at least {least}: "
            "resize the images, or choose a smaller stride in the first layers"
        )
