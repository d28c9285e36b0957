"""FROM's mask branch, as published, brought to ours.

The published variants (full, spatial, vector and deep mask) are told apart by their tensors.  The spatial variant's
predictor reads the mask repeated over 512 channels; ours reads it once, and the conversion is exact in evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ...errors import CheckpointError
from ...spec import Spec

_MOST_CELLS = 10  # published are up to 7; the predictor keeps a table of all patterns squared
_EPS = 1e-5  # BatchNorm's, in the published network and in ours
UNUSED = ("fpn.P4_2.", "fpn.P5_2.", "fpn.P6.", "fpn.P7_2.")  # computed there, read by nothing

_PYRAMID = {
    "head.pyramid.laterals.0": "fpn.P3_1",
    "head.pyramid.laterals.1": "fpn.P4_1",
    "head.pyramid.laterals.2": "fpn.P5_1",
    "head.pyramid.output": "fpn.P3_2",
}
_PREDICTOR = {f"head.pattern_predictor.{ours}": f"regress.{theirs}" for ours, theirs in ((1, 0), (3, 2), (4, 3))}
_DECODERS = {
    "full": {i: f"mask.{i}" for i in (0, 1, 2, 3)},
    "spatial": {i: f"mask.{i}" for i in (0, 1, 2, 3, 4, 5, 6)},
    "vector": {i: f"reduces.{i}" for i in (0, 1, 2, 3, 4, 5)} | {7: "mask.0", 8: "mask.1", 9: "mask.2"},
    "deep": {i: f"triplet.{i}" for i in (0, 1, 2)},
}


def mask_decoder_of(theirs: Mapping[str, Tensor]) -> str | None:
    """Which of our mask decoders the file's fits; None: a baseline without a mask branch."""
    modules = {name.rpartition(".")[0] for name in theirs}
    if any(module.startswith("reduces.") for module in modules):
        return "vector"
    if "triplet.0" in modules:
        return "deep"
    if {"mask.4", "mask.5", "mask.6"} & modules:
        return "spatial"
    return "full" if any(module.startswith("mask.") for module in modules) else None


def head_modules(decoder: str) -> dict[str, str]:
    """Our names of the head's modules -> theirs."""
    names = {f"head.mask_decoder.{ours}": theirs for ours, theirs in _DECODERS[decoder].items()}
    return names | _PREDICTOR | ({} if decoder == "deep" else _PYRAMID)


def head_spec(theirs: Mapping[str, Tensor], decoder: str, path: object) -> Spec:
    """The head that the file fits; K follows from the number of patterns."""
    logits = theirs.get("regress.3.running_mean")
    if logits is None:  # the strict comparison that follows names what is missing
        return Spec("from", mask_decoder=decoder)
    for k in range(1, _MOST_CELLS + 1):
        if (k * (k + 1) // 2) ** 2 + 1 == logits.numel():
            return Spec("from", mask_decoder=decoder, pattern_predictor=Spec("classification", k=k))
    raise CheckpointError(
        f"{path}: regress.3 tells {logits.numel()} patterns apart, "
        f"and no grid of up to {_MOST_CELLS} cells a side has that many"
    )


def merge_copies(ours: dict[str, Tensor]) -> tuple[str, ...]:
    """Fold the input BatchNorm into the Linear and add up the weights of the mask's copies.

    With a = g / sqrt(v + eps): W (a (x - mean) + b) = (W a) x + W (b - mean a).  The constant moves into the last
    BatchNorm's running mean; the copies of x share one weight, the sum over them.
    """
    at = "head.pattern_predictor"
    names = [f"{at}.{name}" for name in ("1.weight", "1.bias", "1.running_mean", "1.running_var", "3.weight")]
    last_mean, decoder = f"{at}.4.running_mean", "head.mask_decoder.3.weight"
    if any(name not in ours for name in (*names, last_mean, decoder)):
        return ()  # the strict comparison that follows names what is missing
    gain, bias, mean, variance, weight = (ours[name].double() for name in names)
    channels = ours[decoder].shape[0] if ours[decoder].ndim else 0
    if weight.ndim != 2 or not channels or weight.shape[1] % channels or ours[last_mean].shape != weight.shape[:1]:
        return ()
    if any(tensor.shape != (weight.shape[1],) for tensor in (gain, bias, mean, variance)):
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
