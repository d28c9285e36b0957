"""The four networks and their options, each under transformers' own name for it.

What all of them take, `pretrained`, `enlarge`, `out_indices`, `image_mean` and `image_std`, is told by
`TransformersBackbone`.
"""

from __future__ import annotations

from collections.abc import Sequence

from transformers import (
    ConvNextBackbone,
    ConvNextConfig,
    Dinov2Backbone,
    Dinov2Config,
    ResNetBackbone,
    ResNetConfig,
    SwinBackbone,
    SwinConfig,
)

import occmask

from .backbone import Size, TransformersBackbone


class ResNet(TransformersBackbone):
    """ResNet (He et al., CVPR 2016); strides 4, 8, 16 and 32 of the enlarged picture.

    The stem has `embedding_size` channels; stage s has `depths[s]` blocks with `hidden_sizes[s]` channels, each block a
    "bottleneck" of three convolutions or a "basic" one of two (`layer_type`).  With `downsample_in_bottleneck` a
    bottleneck's first convolution halves the map, not its second.  The defaults are ResNet-50; ResNet-18 is
    `layer_type="basic"`, depths 2 2 2 2 and hidden_sizes 64 128 256 512.
    """

    def __init__(
        self,
        image_size: Size,
        *,
        pretrained: str | None = None,
        enlarge: float = 2.0,
        out_indices: Sequence[int] | None = None,
        image_mean: Sequence[float] | None = None,
        image_std: Sequence[float] | None = None,
        embedding_size: int = 64,
        hidden_sizes: Sequence[int] = (256, 512, 1024, 2048),
        depths: Sequence[int] = (3, 4, 6, 3),
        layer_type: str = "bottleneck",
        downsample_in_bottleneck: bool = False,
    ):
        _check_stages("resnet", depths=depths, hidden_sizes=hidden_sizes)
        settings = {
            "embedding_size": embedding_size,
            "hidden_sizes": hidden_sizes,
            "depths": depths,
            "layer_type": layer_type,
            "downsample_in_bottleneck": downsample_in_bottleneck,
            "out_indices": _stages(out_indices, depths),
        }
        super().__init__(
            "resnet",
            ResNetBackbone,
            ResNetConfig,
            image_size,
            settings,
            pretrained=pretrained,
            enlarge=enlarge,
            image_mean=image_mean,
            image_std=image_std,
        )


class ConvNext(TransformersBackbone):
    """ConvNeXt (Liu et al., CVPR 2022); strides 4, 8, 16 and 32 of the enlarged picture, rounded down.

    The stem cuts patches of `patch_size` pixels, which is the first stride; stage s has `depths[s]` blocks with
    `hidden_sizes[s]` channels; `drop_path_rate` is that of the last block's stochastic depth.  The defaults are
    ConvNeXt-T.
    """

    def __init__(
        self,
        image_size: Size,
        *,
        pretrained: str | None = None,
        enlarge: float = 2.0,
        out_indices: Sequence[int] | None = None,
        image_mean: Sequence[float] | None = None,
        image_std: Sequence[float] | None = None,
        patch_size: int = 4,
        hidden_sizes: Sequence[int] = (96, 192, 384, 768),
        depths: Sequence[int] = (3, 3, 9, 3),
        drop_path_rate: float = 0.0,
    ):
        _check_stages("convnext", depths=depths, hidden_sizes=hidden_sizes)
        settings = {
            "patch_size": patch_size,
            "num_stages": len(depths),
            "hidden_sizes": hidden_sizes,
            "depths": depths,
            "drop_path_rate": drop_path_rate,
            "out_indices": _stages(out_indices, depths),
        }
        super().__init__(
            "convnext",
            ConvNextBackbone,
            ConvNextConfig,
            image_size,
            settings,
            pretrained=pretrained,
            enlarge=enlarge,
            image_mean=image_mean,
            image_std=image_std,
        )


class Swin(TransformersBackbone):
    """Swin Transformer (Liu et al., ICCV 2021); strides 4, 8, 16 and 32 of the enlarged picture, rounded up.

    The stem cuts patches of `patch_size` pixels; stage s, counted from 1, has embed_dim * 2^(s-1) channels, a block for
    each of its `depths` and as many attention heads as `num_heads` says, which look at windows of `window_size` patches
    a side; `drop_path_rate` is that of the last block's stochastic depth.  The defaults are Swin-T, without its
    stochastic depth.
    """

    def __init__(
        self,
        image_size: Size,
        *,
        pretrained: str | None = None,
        enlarge: float = 2.0,
        out_indices: Sequence[int] | None = None,
        image_mean: Sequence[float] | None = None,
        image_std: Sequence[float] | None = None,
        patch_size: int = 4,
        embed_dim: int = 96,
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        window_size: int = 7,
        drop_path_rate: float = 0.0,
    ):
        _check_stages("swin", depths=depths, num_heads=num_heads)
        odd = [stage for stage, heads in enumerate(num_heads) if heads < 1 or embed_dim * 2**stage % heads]
        if odd:
            raise occmask.OptionError(
                f"backbone 'transformers:swin': {embed_dim * 2 ** odd[0]} channels of stage {odd[0] + 1} cannot be "
                f"shared among {num_heads[odd[0]]} heads; choose num_heads that divide embed_dim * 2^(stage - 1)"
            )
        settings = {
            "patch_size": patch_size,
            "embed_dim": embed_dim,
            "depths": depths,
            "num_heads": num_heads,
            "window_size": window_size,
            "drop_path_rate": drop_path_rate,
            "out_indices": _stages(out_indices, depths),
        }
        super().__init__(
            "swin",
            SwinBackbone,
            SwinConfig,
            image_size,
            settings,
            pretrained=pretrained,
            enlarge=enlarge,
            image_mean=image_mean,
            image_std=image_std,
        )


class Dinov2(TransformersBackbone):
    """DINOv2's vision transformer (Oquab et al., TMLR 2024): maps of one size, a patch each; wants mask_decoder='deep'.

    The enlarged picture is resized to whole patches of `patch_size` pixels, 112x96 so to 224x196, and its positions are
    interpolated from a square table, `positions` a side (None: just large enough; published weights have 37).  There
    are `num_hidden_layers` blocks of `hidden_size` channels and `num_attention_heads` heads; between, the channels are
    `mlp_ratio` times as many, gated by SwiGLU with `use_swiglu_ffn`, as in ViT-g; `drop_path_rate` is that of the last
    block's stochastic depth.  The defaults are ViT-B; ViT-S is hidden_size 384 and num_attention_heads 6.
    `out_indices` counts the blocks from 1; None is the last alone.
    """

    def __init__(
        self,
        image_size: Size,
        *,
        pretrained: str | None = None,
        enlarge: float = 2.0,
        out_indices: Sequence[int] | None = None,
        image_mean: Sequence[float] | None = None,
        image_std: Sequence[float] | None = None,
        patch_size: int = 14,
        positions: int | None = None,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        mlp_ratio: int = 4,
        use_swiglu_ffn: bool = False,
        drop_path_rate: float = 0.0,
    ):
        if patch_size < 1 or (positions is not None and positions < 1):
            raise occmask.OptionError("backbone 'transformers:dinov2': patch_size and positions are at least 1")
        side = positions or max(-(-round(pixels * enlarge) // patch_size) for pixels in image_size)
        settings = {
            "patch_size": patch_size,
            "image_size": max(side, 1) * patch_size,
            "hidden_size": hidden_size,
            "num_hidden_layers": num_hidden_layers,
            "num_attention_heads": num_attention_heads,
            "mlp_ratio": mlp_ratio,
            "use_swiglu_ffn": use_swiglu_ffn,
            "drop_path_rate": drop_path_rate,
            "use_mask_token": False,
            "out_indices": [num_hidden_layers] if out_indices is None else out_indices,
        }
        super().__init__(
            "dinov2",
            Dinov2Backbone,
            Dinov2Config,
            image_size,
            settings,
            pretrained=pretrained,
            enlarge=enlarge,
            image_mean=image_mean,
            image_std=image_std,
            multiple=patch_size,
        )


def _stages(out_indices: Sequence[int] | None, depths: Sequence[int]) -> Sequence[int]:
    return range(1, len(depths) + 1) if out_indices is None else out_indices


def _check_stages(kind: str, **sequences: Sequence[int]) -> None:
    """One number a stage in each of them."""
    lengths = {key: len(values) for key, values in sequences.items()}
    if len(set(lengths.values())) != 1 or not all(lengths.values()):
        told = " and ".join(f"{key} {length}" for key, length in lengths.items())
        raise occmask.OptionError(
            f"backbone 'transformers:{kind}': {' and '.join(sequences)} have one number a stage, not {told}"
        )
