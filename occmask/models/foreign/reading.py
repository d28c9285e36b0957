"""A foreign checkpoint in our names, with the config of the model that it fits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ...errors import CheckpointError, OptionError
from ...images.input_spec import COLOURS
from ...spec import Spec
from ..config import ModelConfig
from .checkpoint import Checkpoint
from .layouts import LAYOUTS, depth_of, recognise, recogniser_modules
from .published import UNUSED, head_modules, head_spec, mask_decoder_of, merge_copies

# BatchNorm's, in all of these networks and in ours.  InsightFace's first files come from 2e-5, which no name tells.
_EPS = 1e-5
_CHANNELS = 512  # of the top map of all of these networks
_SIZES = {42: (112, 96), 49: (112, 112), 196: (224, 224)}  # positions of the top map -> the picture
_DROPOUT = {"insightface": 0.0, "adaface": 0.4, "tface": 0.4, "from": 0.5}


class Foreign(NamedTuple):
    """A foreign checkpoint, converted; nothing is compared with a model yet."""

    layout: str  # a name in `LAYOUTS`
    colour: str  # the order of channels that the file's network takes
    theirs: dict[str, Tensor]  # the file's tensors by their own names, without wrappers
    tensors: dict[str, Tensor]  # for our names; the network they make takes RGB
    modules: dict[str, str]  # our modules -> theirs
    unused: tuple[str, ...]  # names of theirs that nothing reads
    converted: tuple[str, ...]  # our names whose values were changed or made, not only renamed
    class_weight: Tensor | None  # (C, D)
    config: ModelConfig  # of the model that it fills

    @property
    def title(self) -> str:
        """What it is, for people."""
        return f"{LAYOUTS[self.layout].title}, {self.config.backbone.options['depth']} layers"


def read_foreign(
    checkpoint: Checkpoint, path: object, *, layout: str | None = None, colour: str | None = None
) -> Foreign:
    """Tell a checkpoint's layout, rename its tensors, and convert what is computed otherwise there.

    `layout`, `colour`: instead of what the names tell and what the layout's networks are usually trained on.  Exact in
    evaluation.  Raises `CheckpointError` for what no model of ours computes.
    """
    if colour is not None and colour not in COLOURS:
        raise OptionError(f"colour is the order of a network's channels, 'RGB' or 'BGR', not {colour!r}")
    layout = recognise(checkpoint, path, layout=layout)
    colour = colour or LAYOUTS[layout].colour
    theirs = checkpoint.tensors
    depth = depth_of(theirs, layout, path)
    modules = recogniser_modules(layout, depth)
    decoder = mask_decoder_of(theirs) if layout == "from" else None
    head = None
    if decoder is not None:
        modules |= head_modules(decoder)
        head = head_spec(theirs, decoder, path)
    size, dim = _size_and_dim(theirs, modules["embedding.fc"], path, usual=42 if layout == "from" else 49)
    config = ModelConfig(
        image_size=size,
        backbone=Spec("lresnet" if layout == "from" else "iresnet", depth=depth),
        head=head,
        embedding=Spec("flat", dim=dim, dropout=_DROPOUT[layout]),
    )
    tensors, unused = _rename(theirs, modules, path)
    class_weight = None
    if layout == "from":
        classifier = next((name for name in _CLASSIFIERS if name in theirs), None)
        if classifier is not None:
            class_weight = theirs[classifier]
            unused.remove(classifier)
    converted: list[str] = []
    if decoder == "spatial":
        converted += merge_copies(tensors)
    if layout != "from":
        converted += _repeat_norm(tensors, size)
    if layout in ("adaface", "tface"):
        converted += _add_what_has_no_values(tensors)
    if colour == "BGR":
        converted += flip_colours(tensors)
    return Foreign(layout, colour, theirs, tensors, modules, tuple(unused), tuple(converted), class_weight, config)


_CLASSIFIERS = ("classifier.module.weight", "classifier.weight")


def _size_and_dim(
    theirs: Mapping[str, Tensor], linear: str, path: object, *, usual: int
) -> tuple[tuple[int, int], int]:
    """The picture's size and the embedding's width, from the linear layer's."""
    weight = theirs.get(f"{linear}.weight")
    if weight is None:  # the strict comparison that follows names it
        return _SIZES[usual], 512
    for positions, size in _SIZES.items():
        if weight.ndim == 2 and weight.shape[1] == _CHANNELS * positions and weight.shape[0]:
            return size, weight.shape[0]
    known = ", ".join(f"{_CHANNELS * positions} for {h}x{w}" for positions, (h, w) in _SIZES.items())
    raise CheckpointError(f"{path}: {linear}.weight is {tuple(weight.shape)}; its columns are {known} (height x width)")


def _rename(
    theirs: Mapping[str, Tensor], modules: Mapping[str, str], path: object
) -> tuple[dict[str, Tensor], list[str]]:
    """Our names for their tensors, and the names that nothing reads."""
    ours_of = {their: our for our, their in modules.items()}
    tensors: dict[str, Tensor] = {}
    unused = []
    for name, tensor in theirs.items():
        module, _, kind = name.rpartition(".")
        if module not in ours_of or name.startswith(UNUSED):
            unused.append(name)
            continue
        if kind != "num_batches_tracked" and not tensor.is_floating_point():
            raise CheckpointError(f"{path}: {name} holds {tensor.dtype}, where weights are floats")
        tensors[f"{ours_of[module]}.{kind}"] = tensor
    return tensors, unused


def _repeat_norm(tensors: dict[str, Tensor], size: tuple[int, int]) -> list[str]:
    """BatchNorm2d of the top map -> one that knows each element: every channel's values at all of its positions."""
    positions = math.prod(-(-side // 16) for side in size)
    changed = []
    for kind in ("weight", "bias", "running_mean", "running_var"):
        name = f"embedding.bn1.{kind}"
        if name in tensors and tensors[name].shape == (_CHANNELS,):
            tensors[name] = tensors[name].repeat_interleave(positions)
            changed.append(name)
    return changed


def _add_what_has_no_values(tensors: dict[str, Tensor]) -> list[str]:
    """Values for what has none there: the pooling shortcut of the first block, and a last BatchNorm without gain.

    `MaxPool2d(1, 2)` takes every second pixel, as a 1x1 convolution with the identity does; the BatchNorm behind it
    undoes its own eps.
    """
    before = set(tensors)
    at, like = "backbone.layer1.0.downsample", tensors.get("backbone.conv1.weight")
    channels = 64
    if like is not None and not any(name.startswith(f"{at}.") for name in tensors):
        tensors[f"{at}.0.weight"] = torch.eye(channels, dtype=like.dtype)[:, :, None, None].clone()
        tensors[f"{at}.1.weight"] = torch.full((channels,), math.sqrt(1 + _EPS), dtype=torch.float32)
        tensors[f"{at}.1.bias"] = torch.zeros(channels)
        tensors[f"{at}.1.running_mean"] = torch.zeros(channels)
        tensors[f"{at}.1.running_var"] = torch.ones(channels)
        tensors[f"{at}.1.num_batches_tracked"] = torch.tensor(0)
    last = "embedding.bn2"
    mean = tensors.get(f"{last}.running_mean")
    if mean is not None and f"{last}.weight" not in tensors and f"{last}.bias" not in tensors:
        tensors[f"{last}.weight"], tensors[f"{last}.bias"] = torch.ones_like(mean), torch.zeros_like(mean)
    return [name for name in tensors if name not in before]


def flip_colours(tensors: dict[str, Tensor]) -> list[str]:
    """Let the first convolution read its three channels in the other order."""
    name = "backbone.conv1.weight"
    if name not in tensors or tensors[name].ndim != 4:
        return []
    tensors[name] = tensors[name].flip(1)
    return [name]
