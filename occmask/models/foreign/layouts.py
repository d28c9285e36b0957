"""Which network a file's names belong to, and which of its modules is which of ours.

Sources, facts only: insightface recognition/arcface_torch/backbones/iresnet.py; TFace torchkit/backbone/model_irse.py,
whose names AdaFace and CVLface share; FROM lib/models/resnets.py and fpn.py; face.evoLVe backbone/model_irse.py.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from torch import Tensor

from ...backbones.iresnet import BLOCKS
from ...backbones.lresnet import BLOCKS as LRESNET_BLOCKS
from ...errors import CheckpointError, OptionError, did_you_mean
from .checkpoint import Checkpoint


class Layout(NamedTuple):
    """One way of naming a face network's modules."""

    title: str
    colour: str  # the order of the channels that its networks are trained on


LAYOUTS = {
    "insightface": Layout("InsightFace iresnet", "RGB"),
    "adaface": Layout("AdaFace IR", "BGR"),
    "tface": Layout("TFace IR", "RGB"),
    "from": Layout("FROM's LResNet-E-IR", "RGB"),
}
_INSIDE = ("bn1", "conv1", "bn2", "prelu1", "conv2", "bn3")  # a block's modules in order, as we call them
_BLOCK = re.compile(r"body\.(\d+)\.")
_STAGED_BLOCK = re.compile(r"layer([1-4])\.(\d+)\.")


def recognise(checkpoint: Checkpoint, path: object, *, layout: str | None = None) -> str:
    """The name in `LAYOUTS` of a checkpoint's layout; `layout` insists on one.

    Raises `CheckpointError` for anything else, with the reason where it is a known network that cannot be converted,
    and where AdaFace's and TFace's names, which are the same, leave the order of colours open.
    """
    if layout is not None and layout not in LAYOUTS:
        raise OptionError(f"no layout is called {layout!r}.{did_you_mean(layout, LAYOUTS)} Known: {', '.join(LAYOUTS)}")
    names = checkpoint.tensors
    family = _family(names, path)
    if layout is not None and layout not in family:
        fitting = " or ".join(family)
        raise CheckpointError(f"{path} is not laid out as {layout!r}; its names are those of {fitting}")
    if layout is None and len(family) > 1:
        if checkpoint.lightning or "head.kernel" in names:
            return "adaface"
        raise CheckpointError(
            f"{path} may be of AdaFace (trained on BGR) or of TFace or CVLface (RGB, mostly): the names are the same, "
            "and the wrong order of colours costs accuracy without a word. Say which: occmask import --layout adaface "
            "or --layout tface"
        )
    return layout or family[0]


def _family(names: Collection[str], path: object) -> tuple[str, ...]:
    if any(_BLOCK.match(name) for name in names):
        _refuse_other_blocks(names, path)
        return "adaface", "tface"
    if any(_STAGED_BLOCK.match(name) for name in names):
        last = {name.split(".")[-2] for name in names if "." in name}
        if "prelu1" in last:
            return ("from",)
        if "prelu" in last:
            return ("insightface",)
    raise CheckpointError(f"{path} is of no layout that can be imported: {_what_it_is(names)}. {_WHAT_CAN}")


_WHAT_CAN = (
    "Known are InsightFace's iresnet ('layer1.0.prelu.weight'), AdaFace's and TFace's IR ('body.0.res_layer.0.weight') "
    "and FROM ('layer1.0.prelu1.weight')"
)


def _refuse_other_blocks(names: Collection[str], path: object) -> None:
    inside = {match[1] for name in names if (match := re.match(r"body\.\d+\.res_layer\.(.+)", name))}
    reason = ""
    if any("se_block" in name or re.match(r"\d+\.fc[12]\.", name) for name in inside):
        reason = "its blocks weigh their channels (IR-SE), which no backbone here does"
    elif any(name.startswith("8.") for name in inside):
        reason = "its blocks are bottlenecks of three convolutions (IR-152 and IR-200), which no backbone here has"
    elif inside and not any(name.startswith("5.") for name in inside):
        reason = (
            "its blocks have no BatchNorm between their convolutions, as face.evoLVe's IR has them, and no values of "
            "ours compute the same"
        )
    if reason:
        raise CheckpointError(f"{path} cannot be converted: {reason}. {_WHAT_CAN}")


def _what_it_is(names: Collection[str]) -> str:
    if not names:
        return "it holds no tensors"
    if {"weight", "weight_mom", "weight_activated", "kernel"}.intersection(names) and len(names) < 4:
        return "it holds a classifier's weights alone, such as a shard of PartialFC, and no network"
    if any(name.startswith("embedding.") for name in names):
        return (
            "it looks like the state dict of an occmask model, which occmask.save_weights keeps together with its "
            "config, and model.load_state_dict takes as it is"
        )
    if any("patch_embed" in name for name in names):
        return "it is a vision transformer"
    return f"its tensors are called {', '.join(repr(name) for name in sorted(names)[:3])} ..."


def depth_of(tensors: Mapping[str, Tensor], layout: str, path: object) -> int:
    """How many layers the trunk has, told by how many blocks the file names."""
    known = LRESNET_BLOCKS if layout == "from" else BLOCKS
    if layout in ("adaface", "tface"):
        number = len({match[1] for name in tensors if (match := _BLOCK.match(name))})
        found = [depth for depth, blocks in known.items() if sum(blocks) == number]
        have, known_blocks = f"{number} blocks", ", ".join(str(sum(blocks)) for blocks in known.values())
    else:
        places = {(match[1], match[2]) for name in tensors if (match := _STAGED_BLOCK.match(name))}
        counts = tuple(sum(stage == s for s, _ in places) for stage in "1234")
        found = [depth for depth, blocks in known.items() if blocks == counts]
        have, known_blocks = f"{counts} blocks in its stages", ", ".join(map(str, known.values()))
    if not found:
        raise CheckpointError(
            f"{path} has {have}; known are {known_blocks}, of the networks of {', '.join(map(str, known))} layers"
        )
    return found[0]


def recogniser_modules(layout: str, depth: int) -> dict[str, str]:
    """Our names of a plain recogniser's modules -> theirs."""
    blocks = BLOCKS[depth]
    if layout in ("adaface", "tface"):
        modules = {"conv1": "input_layer.0", "bn1": "input_layer.1", "prelu1": "input_layer.2"}
        places = [(stage, i) for stage, count in enumerate(blocks, start=1) for i in range(count)]
        for n, (stage, i) in enumerate(places):
            ours, theirs = f"layer{stage}.{i}", f"body.{n}"
            modules |= {f"{ours}.{name}": f"{theirs}.res_layer.{k}" for k, name in enumerate(_INSIDE)}
            if i == 0:
                modules |= {f"{ours}.downsample.{k}": f"{theirs}.shortcut_layer.{k}" for k in (0, 1)}
        top = ("output_layer.0", "output_layer.3", "output_layer.4")
    else:
        prelu = {"from": "prelu1", "insightface": "prelu"}[layout]
        modules = {"conv1": "conv1", "bn1": "bn1", "prelu1": prelu}
        for stage, count in enumerate(blocks, start=1):
            for i in range(count):
                at = f"layer{stage}.{i}"
                modules |= {f"{at}.{name}": f"{at}.{prelu if name == 'prelu1' else name}" for name in _INSIDE}
                if i == 0:
                    modules |= {f"{at}.downsample.{k}": f"{at}.downsample.{k}" for k in (0, 1)}
        top = {"from": ("fc.0", "fc.2", "fc.3"), "insightface": ("bn2", "fc", "features")}[layout]
    modules = {f"backbone.{ours}": theirs for ours, theirs in modules.items()}
    return modules | dict(zip(("embedding.bn1", "embedding.fc", "embedding.bn2"), top, strict=True))
