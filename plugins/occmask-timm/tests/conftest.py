"""A stand-in for timm that imitates what the plug-in asks of it, so that our code is tested where timm is not."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import occmask

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Info:
    """timm's FeatureInfo, as far as anybody asks."""

    def __init__(self, stages: Sequence[tuple[int, int]]):
        self.stages = stages

    def channels(self) -> list[int]:
        return [channels for channels, _ in self.stages]

    def reduction(self) -> list[int]:
        return [reduction for _, reduction in self.stages]


class Pyramid(nn.Module):
    """Halves the picture at each stage, as `features_only=True` networks do."""

    channels_last = False
    lies = 0

    def __init__(self, out_indices: Sequence[int] = (0, 1, 2, 3), drop_path_rate: float = 0.0):
        super().__init__()
        widths = [4, 8, 12, 16]
        before = [3, *widths]
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before[i], widths[i], 4 if i == 0 else 2, 4 if i == 0 else 2), nn.BatchNorm2d(w))
            for i, w in enumerate(widths)
        )
        self.out_indices = [range(len(widths))[i] for i in out_indices]  # an IndexError, as timm's own
        self.idle = nn.Linear(2, 2)
        self.drop_path_rate = drop_path_rate
        self.feature_info = Info([(widths[i] + self.lies, 4 * 2**i) for i in self.out_indices])
        if self.channels_last:
            self.output_fmt = "NHWC"

    def forward(self, image: Tensor) -> list[Tensor]:
        maps = []
        for stage in self.stages:
            image = stage(image)
            maps.append(image)
        chosen = [maps[i] for i in self.out_indices]
        return [x.permute(0, 2, 3, 1) for x in chosen] if self.channels_last else chosen


class ChannelsLast(Pyramid):
    channels_last = True


class Liar(Pyramid):
    lies = 1


class Growing(Pyramid):
    """Maps that come coarsest first."""

    def forward(self, image: Tensor) -> list[Tensor]:
        return super().forward(image)[::-1]


class Patches(nn.Module):
    """A vision transformer: one size of map, built for one size of picture."""

    patch = 14

    def __init__(self, img_size: tuple[int, int] = (224, 224)):
        super().__init__()
        self.img_size = img_size
        self.embed = nn.Conv2d(3, 6, self.patch, self.patch)
        self.places = nn.Parameter(torch.zeros(6, img_size[0] // self.patch, img_size[1] // self.patch))
        self.feature_info = Info([(6, self.patch)])

    def forward(self, image: Tensor) -> list[Tensor]:
        if image.shape[-2:] != self.img_size:
            raise AssertionError(f"Input size {tuple(image.shape[-2:])} doesn't match model {self.img_size}")
        return [self.embed(image) + self.places]


NETWORKS: dict[str, type[nn.Module]] = {
    "pyramid_tiny": Pyramid,
    "swin_like": ChannelsLast,
    "liar": Liar,
    "growing": Growing,
    "vit_like": Patches,
    "no_maps": nn.Identity,
}


def create_model(name: str, *, features_only: bool, pretrained: bool = False, **settings: Any) -> nn.Module:
    kind = NETWORKS[name.split(".")[0]]
    assert features_only
    if kind is nn.Identity:
        raise RuntimeError("features_only not implemented for Identity models.")
    overlay = settings.pop("pretrained_cfg_overlay", None)
    network = kind(**settings)
    if pretrained:
        if overlay is None:
            raise ConnectionError("downloads nothing in a test")
        network.load_state_dict(torch.load(overlay["file"], weights_only=True))
    return network


def get_pretrained_cfg(name: str) -> SimpleNamespace | None:
    if name == "growing":
        return None
    if name.partition(".")[2] not in ("", "in1k"):
        raise RuntimeError(f"Invalid pretrained tag ({name.partition('.')[2]}) for {name.partition('.')[0]}.")
    return SimpleNamespace(fixed_input_size=name == "vit_like", mean=MEAN, std=STD)


@pytest.fixture
def fake_timm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """`import timm` gives the stand-in, and the plug-in is imported anew for it."""

    fake: Any = ModuleType("timm")
    fake.create_model, fake.get_pretrained_cfg = create_model, get_pretrained_cfg
    fake.is_model = NETWORKS.__contains__
    fake.list_pretrained = lambda pattern: [pattern.replace("*", "in1k")]
    fake.list_models = lambda: sorted(NETWORKS)

    def forget() -> None:
        for name in [name for name in sys.modules if name.split(".")[0] == "occmask_timm"]:
            del sys.modules[name]
        occmask.BACKBONES._loaded.pop("timm:*", None)

    forget()
    monkeypatch.setitem(sys.modules, "timm", fake)
    yield fake
    forget()
