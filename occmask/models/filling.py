"""Putting tensors into a model: everything is compared first and copied afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import NamedTuple

from torch import Tensor, nn

from ..errors import CheckpointError
from .face import FaceModel
from .foreign.reading import Foreign, flip_colours


class LoadReport(NamedTuple):
    """What became of every tensor of a file and of the model."""

    loaded: tuple[str, ...]  # the model's names that were filled
    unused: tuple[str, ...]  # the file's names that nothing read
    converted: tuple[str, ...]  # the model's names whose values were changed on the way, not only renamed
    missing: tuple[str, ...]  # the model's names that the file lacks and that kept their values
    licence: str | None = None  # what an imported file says about the licence of its weights


def fill(
    model: FaceModel,
    tensors: Mapping[str, Tensor],
    path: str | PathLike[str],
    *,
    only: Sequence[str] = (),
    hint: str = "",
    modules: Mapping[str, str] | None = None,
) -> LoadReport:
    """Compare everything first, copy afterwards; `modules`: our modules -> what the file calls them."""
    state = model.state_dict()
    wanted = [name for name in state if not only or name.split(".")[0] in only]
    problems, missing = [], [name for name in state if name not in wanted]
    for name in wanted:
        if name not in tensors:
            if name.endswith(".num_batches_tracked"):  # old torch did not write it, and momentum 0.1 never reads it
                missing.append(name)
            else:
                problems.append(
                    f"{_as_in_file(name, modules)}: missing from the file, the model has {tuple(state[name].shape)}"
                )
        elif tensors[name].shape != state[name].shape:
            problems.append(
                f"{_as_in_file(name, modules)}: {tuple(tensors[name].shape)} in the file, "
                f"{tuple(state[name].shape)} in the model"
            )
    extra = [name for name in tensors if name not in state]
    if not only:
        problems += [
            f"{_as_in_file(name, modules)}: {tuple(tensors[name].shape)} in the file, not in the model"
            for name in extra
        ]
    if problems:
        raise CheckpointError(f"{path} does not fit this model{hint}: " + "; ".join(problems))
    loaded = [name for name in wanted if name in tensors]
    # Not into `state` itself, where a layer may keep copies in the order of files.
    model.load_state_dict({name: tensors[name] for name in loaded}, strict=False)
    unused = extra + [name for name in tensors if name in state and name not in wanted]
    return LoadReport(tuple(loaded), tuple(unused), (), tuple(missing))


def fill_from_foreign(
    model: FaceModel, foreign: Foreign, path: str | PathLike[str], *, only: Sequence[str] = ()
) -> LoadReport:
    """Fill a model with what was converted; as `load_weights`, which it is the foreign half of."""
    tensors = dict(foreign.tensors)
    changed = {*foreign.converted, *_expand_prelus(model, tensors)}
    if model.config.colour == "BGR":
        changed.update(flip_colours(tensors))
    report = fill(model, tensors, path, only=only, hint=hint_for(model, tensors, foreign), modules=foreign.modules)
    converted = tuple(name for name in report.loaded if name in changed)
    return report._replace(unused=tuple(sorted((*report.unused, *foreign.unused))), converted=converted)


def _expand_prelus(model: FaceModel, tensors: dict[str, Tensor]) -> tuple[str, ...]:
    """A PReLU with one slope for all channels equals ours with that slope everywhere; the names that were spread."""
    spread = []
    for name, module in model.named_modules():
        key = f"{name}.weight"
        if isinstance(module, nn.PReLU) and key in tensors and tensors[key].shape == (1,):
            tensors[key] = tensors[key].expand_as(module.weight).clone()
            spread.append(key)
    return tuple(spread)


def _as_in_file(name: str, modules: Mapping[str, str] | None) -> str:
    """The model's name of a tensor, and the file's where that is another."""
    module, _, kind = name.rpartition(".")
    return name if modules is None or module not in modules else f"{name} ({modules[module]}.{kind} in the file)"


def _blocks(tensors: Mapping[str, Tensor]) -> int:
    return sum(name.startswith("backbone.") and name.endswith(".conv2.weight") for name in tensors)


def hint_for(model: FaceModel, tensors: Mapping[str, Tensor], foreign: Foreign | None = None) -> str:
    """What build option would have made the file fit, where that can be told."""
    hints = []
    head = getattr(model, "head", None)
    if foreign is not None:
        config = foreign.config
        layers = config.backbone.options["depth"]
        if _blocks(tensors) != _blocks(model.state_dict()):
            hints.append(f"the file's trunk has {layers} layers: build it with backbone='iresnet{layers}'")
        if config.image_size != model.config.image_size:
            hints.append(f"build it with image_size={config.image_size}, or take its trunk: only=('backbone',)")
        ours = None if head is None else type(getattr(head, "mask_decoder", None)).__name__
        decoder = None if config.head is None else config.head.options["mask_decoder"]
        fitting = {"full": "FullMask", "spatial": "SpatialMask", "vector": "VectorMask", "deep": "DeepMask"}
        if decoder is not None and ours != fitting[decoder]:
            hints.append(f"build it with mask_decoder={decoder!r}")
        if config.head is None and head is not None:
            hints.append("the file has no mask branch: take only=('backbone', 'embedding')")
    logits = tensors.get("head.pattern_predictor.4.running_mean")
    k = getattr(getattr(head, "pattern_predictor", None), "k", None)
    if logits is not None and k is not None:
        largest = min(model.config.image_size)
        fitting_k = [k for k in range(1, largest + 1) if (k * (k + 1) // 2) ** 2 + 1 == logits.numel()]
        if fitting_k and fitting_k[0] != k:
            hints.append(f"build it with pattern_predictor=Spec('classification', k={fitting_k[0]})")
    return f" ({'; '.join(hints)})" if hints else ""
