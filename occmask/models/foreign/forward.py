"""What the foreign networks compute, from the tensors of their files alone: the other side of the parity check.

Written out in torch's functions from the descriptions of the networks.  It shares no layer, no table of names and no
conversion with the model that it is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Tensors = Mapping[str, Tensor]


class ForeignOutput(NamedTuple):
    """What a foreign network answers in evaluation."""

    embedding: Tensor  # (B, D), not normalised; masked where the network masks
    pattern: Tensor | None  # (B, P) logits of FROM's predictor


def foreign_forward(layout: str, tensors: Tensors, images: Tensor) -> ForeignOutput:  # (B, 3, H, W)
    """Run the network that `tensors` are the weights of; images as that network takes them, colours included."""
    t = {name: tensor.float() for name, tensor in tensors.items()}
    with torch.inference_mode():
        if layout == "from":
            return _from(t, images)
        forward = _insightface if layout == "insightface" else _ir
        return ForeignOutput(forward(t, images), None)


def _insightface(t: Tensors, x: Tensor) -> Tensor:
    top = _norm(_staged(t, x, prelu="prelu")[-1], t, "bn2")
    return _norm(_linear(top.flatten(1), t, "fc"), t, "features")


def _ir(t: Tensors, x: Tensor) -> Tensor:
    x = _prelu(_norm(_conv(x, t, "input_layer.0", padding=1), t, "input_layer.1"), t, "input_layer.2")
    for n in count():
        at = f"body.{n}"
        if f"{at}.res_layer.1.weight" not in t:
            break
        channels_out, channels_in = t[f"{at}.res_layer.1.weight"].shape[:2]
        stride = 2 if n == 0 or channels_in != channels_out else 1
        if f"{at}.shortcut_layer.0.weight" in t:
            shortcut = _norm(_conv(x, t, f"{at}.shortcut_layer.0", stride=stride), t, f"{at}.shortcut_layer.1")
        else:
            shortcut = F.max_pool2d(x, 1, stride)
        x = shortcut + _residual(x, t, [f"{at}.res_layer.{k}" for k in range(6)], stride)
    top = _norm(x, t, "output_layer.0")
    return _norm(_linear(top.flatten(1), t, "output_layer.3"), t, "output_layer.4")


def _from(t: Tensors, x: Tensor) -> ForeignOutput:
    _, c3, c4, c5 = _staged(t, x, prelu="prelu1")
    if "triplet.0.weight" in t:
        mask = _norm(_prelu(_conv(c5, t, "triplet.0", padding=1), t, "triplet.1"), t, "triplet.2").sigmoid()
    elif "fpn.P3_1.weight" in t:
        mask = _mask(t, _pyramid(t, c3, c4, c5))
    else:
        return ForeignOutput(_from_embedding(t, c5), None)
    embedding = _from_embedding(t, c5) * mask if mask.ndim == 2 else _from_embedding(t, c5 * mask)
    elements = t["regress.0.weight"].shape[0]
    flat = mask.repeat(1, elements // mask[0].numel(), 1, 1).flatten(1) if mask.ndim == 4 else mask
    return ForeignOutput(embedding, _norm(_linear(_norm(flat, t, "regress.0"), t, "regress.2"), t, "regress.3"))


def _from_embedding(t: Tensors, top: Tensor) -> Tensor:
    return _norm(_linear(_norm(top.flatten(1), t, "fc.0"), t, "fc.2"), t, "fc.3")


def _pyramid(t: Tensors, c3: Tensor, c4: Tensor, c5: Tensor) -> Tensor:
    p5 = _conv(c5, t, "fpn.P5_1")
    p4 = _conv(c4, t, "fpn.P4_1") + F.interpolate(p5, scale_factor=2, mode="nearest")
    p3 = _conv(c3, t, "fpn.P3_1") + F.interpolate(p4, scale_factor=2, mode="nearest")
    return _conv(p3, t, "fpn.P3_2", padding=1)


def _mask(t: Tensors, x: Tensor) -> Tensor:  # (B, 256, H, W) -> (B, 512, H', W'), (B, 1, H', W') or (B, 512)
    at = "reduces" if "reduces.0.weight" in t else "mask"
    x = _norm(_prelu(_conv(x, t, f"{at}.0", stride=2, padding=1), t, f"{at}.1"), t, f"{at}.2")
    x = _conv(x, t, f"{at}.3", stride=2, padding=1)
    if f"{at}.5.weight" in t:
        x = _norm(_prelu(x, t, f"{at}.4"), t, f"{at}.5")
    if at == "reduces":
        x = _norm(_linear(_norm(x.flatten(1), t, "mask.0"), t, "mask.1"), t, "mask.2")
    elif "mask.6.weight" in t:
        x = _conv(x, t, "mask.6", padding=1)
    return x.sigmoid()


def _staged(t: Tensors, x: Tensor, *, prelu: str) -> list[Tensor]:
    """Stem and stages named layer1 to layer4; every stage's map."""
    x = _prelu(_norm(_conv(x, t, "conv1", padding=1), t, "bn1"), t, prelu)
    maps = []
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        for i in count():
            at = f"{stage}.{i}"
            if f"{at}.conv1.weight" not in t:
                break
            stride = 2 if i == 0 else 1
            shortcut = x
            if i == 0:
                shortcut = _norm(_conv(x, t, f"{at}.downsample.0", stride=2), t, f"{at}.downsample.1")
            names = [f"{at}.{name}" for name in ("bn1", "conv1", "bn2", prelu, "conv2", "bn3")]
            x = shortcut + _residual(x, t, names, stride)
        maps.append(x)
    return maps


def _residual(x: Tensor, t: Tensors, names: Sequence[str], stride: int) -> Tensor:
    bn1, conv1, bn2, prelu, conv2, bn3 = names
    y = _prelu(_norm(_conv(_norm(x, t, bn1), t, conv1, padding=1), t, bn2), t, prelu)
    return _norm(_conv(y, t, conv2, stride=stride, padding=1), t, bn3)


def _conv(x: Tensor, t: Tensors, at: str, *, stride: int = 1, padding: int = 0) -> Tensor:
    return F.conv2d(x, t[f"{at}.weight"], t.get(f"{at}.bias"), stride, padding)


def _norm(x: Tensor, t: Tensors, at: str) -> Tensor:
    mean, variance = t[f"{at}.running_mean"], t[f"{at}.running_var"]
    return F.batch_norm(x, mean, variance, t.get(f"{at}.weight"), t.get(f"{at}.bias"), eps=1e-5)


def _prelu(x: Tensor, t: Tensors, at: str) -> Tensor:
    return F.prelu(x, t[f"{at}.weight"])


def _linear(x: Tensor, t: Tensors, at: str) -> Tensor:
    return F.linear(x, t[f"{at}.weight"], t.get(f"{at}.bias"))
