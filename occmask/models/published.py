"""The layout of the published FROM checkpoints, brought to ours.

The three published variants (full, spatial, vector mask) are told apart by their tensors.  Trunk names are ours
already; pyramid, decoder and predictor are renamed.  The spatial variant's predictor reads the mask repeated over
512 channels; ours reads it once, and the conversion is exact in evaluation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from ..errors import CheckpointError

_EPS = 1e-5  # BatchNorm's, in the published network and in ours
UNUSED = ("fpn.P4_2.", "fpn.P5_2.", "fpn.P6.", "fpn.P7_2.")  # computed there, read by nothing

_COMMON = {
    r"(conv1|bn1|prelu1|layer[1-4])\.": r"backbone.\1.",
    r"fc\.0\.": "embedding.bn1.",
    r"fc\.2\.": "embedding.fc.",
    r"fc\.3\.": "embedding.bn2.",
    r"fpn\.P3_1\.": "head.pyramid.laterals.0.",
    r"fpn\.P4_1\.": "head.pyramid.laterals.1.",
    r"fpn\.P5_1\.": "head.pyramid.laterals.2.",
    r"fpn\.P3_2\.": "head.pyramid.output.",
    r"regress\.0\.": "head.pattern_predictor.1.",
    r"regress\.2\.": "head.pattern_predictor.3.",
    r"regress\.3\.": "head.pattern_predictor.4.",
}
_CONVOLUTIONAL = {r"mask\.(\d)\.": r"head.mask_decoder.\1."}
_VECTOR = {
    r"reduces\.(\d)\.": r"head.mask_decoder.\1.",
    r"mask\.0\.": "head.mask_decoder.7.",
    r"mask\.1\.": "head.mask_decoder.8.",
    r"mask\.2\.": "head.mask_decoder.9.",
}


class Published(NamedTuple):
    """A published checkpoint in our names."""

    tensors: dict[str, Tensor]
    unused: tuple[str, ...]  # their names
    converted: tuple[str, ...]  # our names whose values were changed, not only renamed
    class_weight: Tensor | None  # (C, 512)
    decoder: str | None  # which of our mask decoders it fits; None: a baseline without a mask branch


def read_published(checkpoint: Mapping[str, Any], path: object) -> Published:
    """Rename and convert `checkpoint`, the dictionary in `model.pth.tar` or a bare state dict."""
    theirs = _strip(checkpoint.get("state_dict", checkpoint))
    if not theirs or "conv1.weight" not in theirs or "fc.2.weight" not in theirs:
        raise CheckpointError(
            f"{path} is neither an occmask file nor a published FROM checkpoint "
            "(no 'conv1.weight' and 'fc.2.weight' among its tensors)"
        )
    decoder = _variant(theirs)
    names = _COMMON | (_VECTOR if decoder == "vector" else _CONVOLUTIONAL)
    ours: dict[str, Tensor] = {}
    unused: list[str] = []
    for name, tensor in theirs.items():
        renamed = _rename(name, names)
        if renamed is None or name.startswith(UNUSED):
            unused.append(name)
        else:
            ours[renamed] = tensor
    converted = _merge_copies(ours) if decoder == "spatial" else ()
    classifier = _strip(checkpoint.get("classifier", {}))
    return Published(ours, tuple(unused), converted, classifier.get("weight"), decoder)


def _strip(tensors: Any) -> dict[str, Tensor]:
    if not isinstance(tensors, Mapping):
        return {}
    return {str(name).removeprefix("module."): value for name, value in tensors.items() if isinstance(value, Tensor)}


def _variant(theirs: Mapping[str, Tensor]) -> str | None:
    if "reduces.0.weight" in theirs:
        return "vector"
    if "mask.6.weight" in theirs:
        return "spatial"
    return "full" if "mask.0.weight" in theirs else None


def _rename(name: str, names: Mapping[str, str]) -> str | None:
    for pattern, replacement in names.items():
        renamed, hits = re.subn(f"^{pattern}", replacement, name)
        if hits:
            return renamed
    return None


def _merge_copies(ours: dict[str, Tensor]) -> tuple[str, ...]:
    """Fold the input BatchNorm into the Linear and add up the weights of the mask's copies.

    With a = g / sqrt(v + eps): W (a (x - mean) + b) = (W a) x + W (b - mean a).  The constant moves into the last
    BatchNorm's running mean; the copies of x share one weight, the sum over them.
    """
    at = "head.pattern_predictor"
    names = [f"{at}.{name}" for name in ("1.weight", "1.bias", "1.running_mean", "1.running_var", "3.weight")]
    last_mean = f"{at}.4.running_mean"
    if any(name not in ours for name in (*names, last_mean)):
        return ()  # the strict comparison that follows names what is missing
    gain, bias, mean, variance, weight = (ours[name].double() for name in names)
    channels = ours["head.mask_decoder.3.weight"].shape[0]
    if weight.ndim != 2 or weight.shape[1] != gain.numel() or weight.shape[1] % channels:
        return ()
    scale = gain / (variance + _EPS).sqrt()
    positions = weight.shape[1] // channels
    constant = weight @ (bias - mean * scale)
    like = ours[names[0]]
    ours[names[0]] = like.new_ones(positions)
    ours[names[1]] = like.new_zeros(positions)
    ours[names[2]] = like.new_zeros(positions)
    ours[names[3]] = like.new_full((positions,), 1 - _EPS)
    ours[names[4]] = (weight * scale).unflatten(1, (channels, positions)).sum(1).to(like)
    ours[last_mean] = (ours[last_mean].double() - constant).to(like)
    return (*names, last_mean)
