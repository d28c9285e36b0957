"""One network of timm as a backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import timm
from torch import Tensor, nn

import occmask

Size = tuple[int, int]


class TimmBackbone(nn.Module):
    """A network made by `timm.create_model(name, features_only=True)`, whose maps were looked at, not believed.

    See `network_factory` for the options.
    """

    def __init__(
        self,
        name: str,
        image_size: Size,
        *,
        pretrained: bool | str,
        out_indices: Sequence[int] | None,
        enlarge: float,
        drop_path_rate: float,
    ):
        super().__init__()
        self.name = f"backbone 'timm:{name}'"
        if enlarge < 1:
            raise occmask.OptionError(f"{self.name}: enlarge is at least 1, not {enlarge!r}")
        settings: dict[str, Any] = {}
        if out_indices is not None:
            settings["out_indices"] = tuple(out_indices)
        if drop_path_rate:
            settings["drop_path_rate"] = drop_path_rate
        if pretrained is not False:
            settings["pretrained"] = True
        if isinstance(pretrained, str):
            if not Path(pretrained).is_file():
                raise occmask.OptionError(
                    f"{self.name}: there is no file {pretrained!r}; pretrained is the path of one with timm's weights, "
                    "True to download those that timm publishes, or False"
                )
            settings["pretrained_cfg_overlay"] = {"file": pretrained}
        published = timm.get_pretrained_cfg(name)
        size = (round(image_size[0] * enlarge), round(image_size[1] * enlarge))
        if published is not None and published.fixed_input_size:
            self.network, size = _create_for(self.name, name, size, settings)
        else:
            self.network = _create(self.name, name, settings)
        # what it was trained on: ImageNet's statistics, mostly; fresh weights take the picture as it is
        trained_on = {"mean": published.mean, "std": published.std} if settings.get("pretrained") and published else {}
        self.picture = occmask.NetworkPicture(size, **trained_on)
        self.channels_last = str(getattr(self.network, "output_fmt", "")).endswith("NHWC")
        self.shapes = occmask.observe_maps(
            self,
            size,
            name=self.name,
            advice="choose image_size and enlarge so that it can: networks for one size often want both sides the same",
        )
        told = tuple(_feature_info(self.network).channels())
        if told != tuple(shape.channels for shape in self.shapes):
            raise occmask.PluginError(
                f"{self.name}: timm's feature_info tells of {told} channels, and the maps have "
                f"{tuple(shape.channels for shape in self.shapes)}"
            )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:  # (B, 3, H, W) -> maps, finest first
        maps = self.network(self.picture(image))
        return tuple(features.permute(0, 3, 1, 2) if self.channels_last else features for features in maps)


def network_factory(name: str) -> Callable[..., TimmBackbone]:
    """`factory(image_size, **options)` of one network, as a registry wants it."""

    def factory(
        image_size: Size,
        *,
        pretrained: bool | str = False,
        out_indices: Sequence[int] | None = None,
        enlarge: float = 2.0,
        drop_path_rate: float = 0.0,
    ) -> TimmBackbone:
        return TimmBackbone(
            name,
            image_size,
            pretrained=pretrained,
            out_indices=out_indices,
            enlarge=enlarge,
            drop_path_rate=drop_path_rate,
        )

    factory.__qualname__ = factory.__name__ = name
    factory.__doc__ = f"""timm's {name}.

    `pretrained`: False for fresh weights, True for those that timm publishes, which it downloads, or the path of a
    file with them.  `out_indices`: which of its maps are handed on (None: all that timm offers).  `enlarge`: how much
    larger the network sees the face; `drop_path_rate`: of stochastic depth, where it has that.
    """
    return factory


def _create(what: str, name: str, settings: dict[str, Any], **more: Any) -> nn.Module:
    try:
        network: nn.Module = timm.create_model(name, features_only=True, **settings, **more)
    except Exception as e:  # no maps, no such option, no such index, no file, no network: each says it in its own way
        raise occmask.OptionError(
            f"{what}: timm does not make it so ({type(e).__name__}: {' '.join(str(e).split())})"
        ) from e
    return network


def _feature_info(network: nn.Module) -> Any:
    """What timm says of the maps: `channels()`, and `reduction()`, by what the picture's sides are divided."""
    return network.feature_info


def _create_for(what: str, name: str, size: Size, settings: dict[str, Any]) -> tuple[nn.Module, Size]:
    """A network that is built for one size, for this one, or for the next that is whole patches: the rest of the last
    patch would be cut off."""
    network = _create(what, name, settings, img_size=size)
    patch = min(_feature_info(network).reduction())
    whole = (-(-size[0] // patch) * patch, -(-size[1] // patch) * patch)
    return (network if whole == size else _create(what, name, settings, img_size=whole)), whole
