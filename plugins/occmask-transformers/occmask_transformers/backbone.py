"""One backbone of transformers as a backbone of occmask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

import occmask

from .filling import load_pretrained

Size = tuple[int, int]
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # what the published weights of all four were trained with
AS_IT_IS = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class TransformersBackbone(nn.Module):
    """Runs a network of transformers and hands on its feature maps, finest first.

    Options that all networks have: `pretrained`, a folder of `save_pretrained` or a name on the hub (None: fresh
    weights, and nothing is downloaded); `enlarge`, how much larger the network sees the face, at least 1;
    `out_indices`, which maps are handed on, 1 being the first stage (None: all); `image_mean` and `image_std`, three
    numbers each in 0..1, the statistics of the pictures that the weights were trained on (None: ImageNet's where
    pretrained, and the library's own range otherwise).

    For those who derive from it: `kind`, its name after "transformers:"; `settings`, those of `config_class`, all plain
    data, so that a checkpoint rebuilds it; `multiple`, the sides of the picture become multiples of it, in pixels.
    Raises `OptionError`.
    """

    def __init__(
        self,
        kind: str,
        network_class: type[PreTrainedModel],
        config_class: Callable[..., PretrainedConfig],
        image_size: Size,
        settings: dict[str, Any],
        *,
        pretrained: str | None,
        enlarge: float,
        image_mean: Sequence[float] | None,
        image_std: Sequence[float] | None,
        multiple: int = 1,
    ):
        super().__init__()
        self.name = f"backbone 'transformers:{kind}'"
        if enlarge < 1:
            raise occmask.OptionError(f"{self.name}: enlarge is at least 1, not {enlarge!r}")
        plain = {key: list(v) if isinstance(v, (tuple, range)) else v for key, v in settings.items()}
        try:
            config = config_class(**plain)
            self.network = network_class(config)
        except Exception as e:  # each of its checks has an exception of its own
            raise occmask.OptionError(f"{self.name} cannot be built so ({' '.join(str(e).split())})") from e
        if pretrained is not None:
            self.network = load_pretrained(self.name, network_class, config, plain, pretrained)
        trained_on = AS_IT_IS if pretrained is None else IMAGENET
        mean, std = image_mean or trained_on[0], image_std or trained_on[1]
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise occmask.OptionError(f"{self.name}: image_mean and image_std are three numbers each, std above 0")
        height, width = (-(-round(side * enlarge) // multiple) * multiple for side in image_size)
        self.picture = occmask.NetworkPicture((height, width), mean=mean, std=std)
        self.shapes = occmask.observe_maps(
            self, (height, width), name=self.name, advice="choose a larger image_size or enlarge"
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:  # (B, 3, H, W) -> maps, finest first
        return tuple(self.network(self.picture(image), return_dict=True).feature_maps)
