"""ViT: the encoder of a Transformer, with pieces of an image as its words.

Dosovitskiy et al. 2021, *An Image is Worth 16x16 Words*, section 3.1 and Table 1. The image is cut into P x P patches;
each is flattened and projected to d_model numbers (a convolution whose stride is its kernel size does both at once).
A learned class token goes in front, learned positions are added, and a pre-norm encoder lets all tokens look at each
other; the class token's last state is classified:

    images (B, C, H, W) -> patches (B, N, d_model), N = (H / P)(W / P)
    x = [class; patches] + positions                       # (B, 1 + N, d_model)
    per layer:  x = x + attention(norm(x))
                x = x + contract(gelu(expand(norm(x))))    # exact GELU
    logits (B, num_classes) = head(norm(x)[:, 0])

Attention costs O(N^2): halving the patch quadruples N. Every patch sees all others from the first layer on. After the
cutting nothing but the positions tells the model that the image is two-dimensional, and the positions are learned too;
hence the need for much data, or for strong augmentation (DeiT, Touvron et al. 2021). A model trained at one resolution
runs at another once its positions, seen as a small image, are interpolated (``interpolate_positions``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viva.models.catalogue import published
from viva.models.checkpoint import Layout
from viva.models.images import check_images
from viva.nn import Conv2d, Dropout, LayerNorm, Linear, MultiHeadAttention, normal_


@dataclass(frozen=True)
class ViTConfig:
    """Sizes of a vision transformer; the defaults are ViT-B/16 on 224 x 224 pixels. Images are square."""

    image_size: int = 224
    patch_size: int = 16
    in_channels: int = 3
    num_classes: int = 1000
    d_model: int = 768
    num_layers: int = 12
    num_heads: int = 12
    d_ff: int = 3072
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.patch_size < 1 or self.num_layers < 0:
            raise ValueError(f"patch_size = {self.patch_size} and num_layers = {self.num_layers}; expected at least 1 and 0")
        if self.image_size < self.patch_size or self.image_size % self.patch_size:
            raise ValueError(
                f"an image of {self.image_size} pixels does not divide into patches of {self.patch_size}; "
                f"expected a multiple, such as {max(round(self.image_size / self.patch_size), 1) * self.patch_size}"
            )

    @property
    def grid(self) -> int:
        """Patches along one side of the image."""
        return self.image_size // self.patch_size


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """Images (B, C, H, W) -> flattened patches (B, N, C * P * P), row by row.

    ``patchify(images, P) @ W.flatten(1).T`` is the convolution with kernel ``W (d_model, C, P, P)`` and stride P:
    the definition of what ``ViT.patches`` computes in one call.
    """
    batch, channels, height, width = images.shape
    rows, columns = height // patch_size, width // patch_size
    x = images.reshape(batch, channels, rows, patch_size, columns, patch_size)
    x = x.permute(0, 2, 4, 1, 3, 5)  # (B, rows, columns, C, P, P)
    return x.reshape(batch, rows * columns, channels * patch_size**2)


def interpolate_positions(positions: Tensor, grid: int, *, antialias: bool = True) -> Tensor:
    """Positions (1, 1 + n * n, d_model) -> (1, 1 + grid * grid, d_model) for a model of another image size.

    The class token's position is kept; the others are resized as an n x n image of d_model channels, bicubically
    (Dosovitskiy et al. 2021, end of section 3.2). ``antialias`` matters when the grid shrinks, as in timm.
    """
    of_class, of_patches = positions[:, :1], positions[:, 1:]
    old = round(of_patches.shape[1] ** 0.5)
    if positions.dim() != 3 or old * old != of_patches.shape[1] or not old:
        raise ValueError(f"positions {tuple(positions.shape)} are not (1, 1 + n * n, d_model) of a square grid of patches")
    if old == grid:
        return positions
    image = of_patches.reshape(1, old, old, -1).permute(0, 3, 1, 2)  # (1, d_model, n, n)
    image = F.interpolate(image.float(), size=(grid, grid), mode="bicubic", antialias=antialias).to(positions.dtype)
    return torch.cat([of_class, image.flatten(2).transpose(1, 2)], dim=1)


class EncoderLayer(nn.Module):
    """Pre-norm self-attention, then a pre-norm feed-forward: (B, T, d_model) -> the same."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.attention_norm = LayerNorm(config.d_model, eps=1e-6)
        self.attention = MultiHeadAttention(config.d_model, config.num_heads)
        self.feed_forward_norm = LayerNorm(config.d_model, eps=1e-6)
        self.expand = Linear(config.d_model, config.d_ff)
        self.contract = Linear(config.d_ff, config.d_model)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x)))
        hidden = self.dropout(F.gelu(self.expand(self.feed_forward_norm(x))))  # (B, T, d_ff)
        return x + self.dropout(self.contract(hidden))


def _one_matrix(theirs: str) -> dict[str, tuple[str, ...]]:
    """Both libraries keep query, key and value as one matrix and one bias, under names that begin with ``theirs``."""
    parts = [f"layers.{{}}.attention.{part}" for part in ("query", "key", "value")]
    return {theirs + kind: tuple(f"{part}.{kind}" for part in parts) for kind in ("weight", "bias")}


class ViT(nn.Module):
    """Image classifier: ``forward(images (B, C, H, W) float) -> logits (B, num_classes)``.

    Raises ValueError on images that are not of the configured size or channels, TypeError on integer images.
    """

    layouts: ClassVar[dict[str, Layout]] = {
        "torchvision": Layout(
            ("patches", "conv_proj"),
            ("positions", "encoder.pos_embedding"),
            ("layers.{}.attention_norm", "encoder.layers.encoder_layer_{}.ln_1"),
            ("layers.{}.attention.output", "encoder.layers.encoder_layer_{}.self_attention.out_proj"),
            ("layers.{}.feed_forward_norm", "encoder.layers.encoder_layer_{}.ln_2"),
            ("layers.{}.expand", "encoder.layers.encoder_layer_{}.mlp.0"),
            ("layers.{}.contract", "encoder.layers.encoder_layer_{}.mlp.3"),
            ("norm", "encoder.ln"),
            ("head", "heads.head"),
            fused=_one_matrix("encoder.layers.encoder_layer_{}.self_attention.in_proj_"),
        ),
        "timm": Layout(
            ("patches", "patch_embed.proj"),
            ("positions", "pos_embed"),
            ("class_token", "cls_token"),
            ("layers.{}.attention_norm", "blocks.{}.norm1"),
            ("layers.{}.attention.output", "blocks.{}.attn.proj"),
            ("layers.{}.feed_forward_norm", "blocks.{}.norm2"),
            ("layers.{}.expand", "blocks.{}.mlp.fc1"),
            ("layers.{}.contract", "blocks.{}.mlp.fc2"),
            fused=_one_matrix("blocks.{}.attn.qkv."),
        ),
    }

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.d_model))
        self.patches = Conv2d(config.in_channels, config.d_model, config.patch_size, stride=config.patch_size)
        self.positions = nn.Parameter(torch.empty(1, 1 + config.grid**2, config.d_model))
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_layers))
        self.norm = LayerNorm(config.d_model, eps=1e-6)
        self.head = Linear(config.d_model, config.num_classes)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """N(0, 0.02²) for every matrix, the class token and the positions; biases 0.

        For fine-tuning the paper puts on a head of zeros (section 3.2); here it starts like the rest.
        """
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif "norm" not in name:
                normal_(parameter, std=0.02)

    def features(self, images: Tensor) -> Tensor:
        """All tokens after the last norm, images (B, C, H, W) -> (B, 1 + N, d_model); the class token comes first."""
        config = self.config
        check_images(images, config.in_channels, least=config.patch_size)
        if images.shape[2:] != (config.image_size, config.image_size):
            raise ValueError(
                f"the images are {images.shape[2]} x {images.shape[3]} pixels, but the model has positions for "
                f"{config.image_size} x {config.image_size}; resize the images, or take model.at_image_size(...)"
            )
        x = self.patches(images)  # (B, d_model, H / P, W / P)
        x = x.flatten(2).transpose(1, 2)  # (B, N, d_model)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1)  # (B, 1 + N, d_model)
        x = self.dropout(x + self.positions)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images)[:, 0])

    def at_image_size(self, image_size: int) -> ViT:
        """A copy of this model for another image size: positions interpolated, every other weight the same.

        Load a checkpoint at the size it was trained with first, then ask for the size you have.
        """
        other = ViT(replace(self.config, image_size=image_size)).to(self.positions)
        state = self.state_dict()
        state["positions"] = interpolate_positions(self.positions.detach(), other.config.grid)
        other.load_state_dict(state)
        return other.train(self.training)


# --- the published sizes: Table 1; Ti and S are from Touvron et al. 2021 (DeiT), Table 1 ---

WIDTHS: dict[str, dict[str, int]] = {
    "Ti": {"d_model": 192, "num_layers": 12, "num_heads": 3, "d_ff": 768},
    "S": {"d_model": 384, "num_layers": 12, "num_heads": 6, "d_ff": 1536},
    "B": {"d_model": 768, "num_layers": 12, "num_heads": 12, "d_ff": 3072},
    "L": {"d_model": 1024, "num_layers": 24, "num_heads": 16, "d_ff": 4096},
    "H": {"d_model": 1280, "num_layers": 32, "num_heads": 16, "d_ff": 5120},
}
PAPER = "Dosovitskiy et al. 2021, An Image is Worth 16x16 Words, Table 1"
DEIT = "Touvron et al. 2021, Training data-efficient image transformers, Table 1"


def _vit(width: str, patch_size: int, options: dict[str, Any]) -> ViT:
    return ViT(ViTConfig(**{"patch_size": patch_size} | WIDTHS[width] | options))


def _example() -> tuple[Tensor, ...]:
    return (torch.zeros(1, 3, 224, 224),)


@published(
    paper=DEIT, reference="timm.models.vit_tiny_patch16_224", paper_parameters=5e6, example=_example
)
def vit_ti_16(**options: Any) -> ViT:
    """ViT-Ti/16: 5,717,416 parameters, 1.25 G multiply-adds; ``options`` are fields of ``ViTConfig``."""
    return _vit("Ti", 16, options)


@published(
    paper=DEIT, reference="timm.models.vit_small_patch16_224", paper_parameters=22e6, example=_example
)
def vit_s_16(**options: Any) -> ViT:
    """ViT-S/16: 22,050,664 parameters, 4.60 G multiply-adds."""
    return _vit("S", 16, options)


@published(paper=PAPER, reference="torchvision.models.vit_b_16", paper_parameters=86e6, example=_example)
def vit_b_16(**options: Any) -> ViT:
    """ViT-B/16: 86,567,656 parameters, 17.56 G multiply-adds."""
    return _vit("B", 16, options)


@published(paper=PAPER, reference="torchvision.models.vit_b_32", paper_parameters=86e6, example=_example)
def vit_b_32(**options: Any) -> ViT:
    """ViT-B/32: 88,224,232 parameters, 4.41 G multiply-adds."""
    return _vit("B", 32, options)


@published(paper=PAPER, reference="torchvision.models.vit_l_16", paper_parameters=307e6, example=_example)
def vit_l_16(**options: Any) -> ViT:
    """ViT-L/16: 304,326,632 parameters, 61.55 G multiply-adds."""
    return _vit("L", 16, options)


@published(paper=PAPER, reference="torchvision.models.vit_l_32", paper_parameters=307e6, example=_example)
def vit_l_32(**options: Any) -> ViT:
    """ViT-L/32: 306,535,400 parameters, 15.38 G multiply-adds."""
    return _vit("L", 32, options)


@published(paper=PAPER, reference="torchvision.models.vit_h_14", paper_parameters=632e6, example=_example)
def vit_h_14(**options: Any) -> ViT:
    """ViT-H/14: 632,045,800 parameters, 167.3 G multiply-adds."""
    return _vit("H", 14, options)


def vit_mnist(**options: Any) -> ViT:
    """A small one for 28 x 28 grey digits: patches of 7 pixels, 16 of them, and about 0.8M parameters."""
    sizes = {"image_size": 28, "patch_size": 7, "in_channels": 1, "num_classes": 10}
    widths = {"d_model": 128, "num_layers": 4, "num_heads": 4, "d_ff": 512}
    return ViT(ViTConfig(**sizes | widths | options))
