"""Saving and loading weights: strict, without running code, and all or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, OptionError, PluginError, UnknownNameError
from ..version import __version__
from .config import ModelConfig, components
from .face import FaceModel
from .files import is_safetensors, read_pickled, read_tensors, write_tensors
from .inference import InferenceModel
from .published import Published, read_published

TRAINING = "training."  # the trainer's own tensors in a checkpoint: the same file is a model to everybody else


class LoadReport(NamedTuple):
    """What became of every tensor of a file and of the model."""

    loaded: tuple[str, ...]  # the model's names that were filled
    unused: tuple[str, ...]  # the file's names that nothing read
    converted: tuple[str, ...]  # the model's names whose values were changed on the way, not only renamed
    missing: tuple[str, ...]  # the model's names that the file lacks and that kept their values


def save_weights(model: FaceModel, path: str | PathLike[str]) -> None:
    """Write the model to one safetensors file, whole or not at all.

    Its metadata holds the config, the occmask version, the plug-ins it needs and what its input looks like, so
    `load_model(path)` needs nothing else.  Raises `CheckpointError` if the file cannot be written, `OptionError` for
    an optimized model, whose config and tensors no longer describe each other.
    """
    _require_original(model, "save")
    write_tensors(path, model_tensors(model), model_metadata(model))


def _require_original(model: FaceModel, action: str) -> None:
    if isinstance(model, InferenceModel):
        raise OptionError(f"an optimized model has no weights of its own; {action} the original and optimize that")


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The state dict, each tensor on its own memory as the format asks."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def model_metadata(model: FaceModel) -> dict[str, str]:
    """What a file must say so that the model can be built from it."""
    plugins = {}
    for path, registry, spec in components(model.config):
        entry = registry.plugins.get(spec.name)
        source = entry.dist.name if entry is not None and entry.dist is not None else None
        if source is None and not registry.is_builtin(spec.name):
            source = f"module {registry[spec.name].__module__}"
        if source is not None:
            plugins[".".join(path)] = source
    return {
        "occmask": __version__,
        "config": json.dumps(model.config.to_dict()),
        "plugins": json.dumps(plugins),
        "input": json.dumps(model.config.input_spec.to_dict()),
    }


def load_model(path: str | PathLike[str]) -> FaceModel:
    """The model a file of `save_weights` or a training checkpoint holds, in evaluation mode.

    Raises `CheckpointError`: unreadable, no occmask file, a missing plug-in (named), or tensors that do not fit.
    """
    tensors, metadata = read_tensors(path)
    model = FaceModel(_read_config(path, metadata))
    _fill(model, {name: t for name, t in tensors.items() if not name.startswith(TRAINING)}, path)
    return model.eval()


def load_weights(
    model: FaceModel, path: str | PathLike[str], *, loss: nn.Module | None = None, only: Sequence[str] = ()
) -> LoadReport:
    """Fill a model from an occmask file or from a published FROM checkpoint (`model.pth.tar`).

    `loss`: also fill this margin loss with the file's class weights.  `only`: fill just these parts
    (`("backbone", "embedding")`) and report the rest as missing.  Anything else that does not fit raises one
    `CheckpointError` naming every tensor with both shapes, and the model stays as it was.
    """
    _require_original(model, "fill")
    parts = [name for name, _ in model.named_children()]
    for part in only:
        if part not in parts:
            raise OptionError(f"a model has no part {part!r}; only= takes some of {', '.join(parts)}")
    if is_safetensors(path):
        tensors, metadata = read_tensors(path)
        if "config" not in metadata:
            raise CheckpointError(f"{path} was not written by occmask (no config in its metadata)")
        trainers = {name: tensor for name, tensor in tensors.items() if name.startswith(TRAINING)}
        own = {name: tensor for name, tensor in tensors.items() if name not in trainers}
        found = Published(own, (), (), trainers.get(f"{TRAINING}loss.weight"), None)
    else:
        found = read_published(read_pickled(path), path)
        found = found._replace(converted=found.converted + _expand_prelus(model, found.tensors))
    if loss is not None:
        _check_loss(loss, found.class_weight, path)
    report = _fill(model, found.tensors, path, only=only, hint=_hint(model, found))
    unused = (*report.unused, *found.unused)
    if loss is not None and found.class_weight is not None:
        with torch.no_grad():
            loss.get_parameter("weight").copy_(found.class_weight)
    elif found.class_weight is not None:
        unused = (*unused, "classifier.weight")
    converted = tuple(name for name in found.converted if name in report.loaded)
    return report._replace(unused=tuple(sorted(unused)), converted=converted)


def _read_config(path: str | PathLike[str], metadata: Mapping[str, str]) -> ModelConfig:
    if "config" not in metadata:
        raise CheckpointError(
            f"{path} was not written by occmask (no config in its metadata); build the model yourself and use "
            "occmask.load_weights(model, path)"
        )
    try:
        config = ModelConfig.from_dict(json.loads(metadata["config"]))
        plugins = json.loads(metadata.get("plugins", "{}"))
        _check_components(config, plugins, path)
    except (ValueError, TypeError, KeyError, PluginError) as e:
        if isinstance(e, CheckpointError):
            raise
        raise CheckpointError(f"{path} holds a config that this version ({__version__}) cannot read: {e}") from e
    return config


def _check_components(config: ModelConfig, plugins: Mapping[str, str], path: str | PathLike[str]) -> None:
    """Name the distribution or the module of a component that is not here."""
    at: list[str] = []
    try:
        for at, registry, spec in components(config):  # noqa: B007 (read when the next look-up fails)
            if spec.name not in registry and ":" not in spec.name:
                raise UnknownNameError(registry.kind, spec.name, registry)
    except UnknownNameError as e:
        source = plugins.get(".".join(at), "a plug-in that the file does not name")
        advice = f"import {source.split()[1]} first" if source.startswith("module ") else f"pip install {source}"
        raise CheckpointError(f"{path} needs the {e.kind} {e.name!r} of {source}: {advice}") from e


def _fill(
    model: FaceModel,
    tensors: Mapping[str, Tensor],
    path: str | PathLike[str],
    *,
    only: Sequence[str] = (),
    hint: str = "",
) -> LoadReport:
    """Compare everything first, copy afterwards."""
    state = model.state_dict()
    wanted = [name for name in state if not only or name.split(".")[0] in only]
    problems, missing = [], [name for name in state if name not in wanted]
    for name in wanted:
        if name not in tensors:
            if name.endswith(".num_batches_tracked"):  # old torch did not write it, and momentum 0.1 never reads it
                missing.append(name)
            else:
                problems.append(f"{name}: missing from the file, the model has {tuple(state[name].shape)}")
        elif tensors[name].shape != state[name].shape:
            problems.append(
                f"{name}: {tuple(tensors[name].shape)} in the file, {tuple(state[name].shape)} in the model"
            )
    extra = [name for name in tensors if name not in state]
    if not only:
        problems += [f"{name}: {tuple(tensors[name].shape)} in the file, not in the model" for name in extra]
    if problems:
        raise CheckpointError(f"{path} does not fit this model{hint}: " + "; ".join(problems))
    loaded = [name for name in wanted if name in tensors]
    # Not into `state` itself, where a layer may keep copies in the order of files.
    model.load_state_dict({name: tensors[name] for name in loaded}, strict=False)
    unused = extra + [name for name in tensors if name in state and name not in wanted]
    return LoadReport(tuple(loaded), tuple(unused), (), tuple(missing))


def _check_loss(loss: nn.Module, class_weight: Tensor | None, path: str | PathLike[str]) -> None:
    weight = loss.get_parameter("weight")
    if class_weight is None:
        raise CheckpointError(f"{path} holds no class weights for the loss; leave loss= out")
    if class_weight.shape != weight.shape:
        raise CheckpointError(
            f"{path} does not fit this loss: class weights are {tuple(class_weight.shape)} in the file, "
            f"{tuple(weight.shape)} in the loss; build it with num_classes={class_weight.shape[0]}"
        )


def _expand_prelus(model: FaceModel, tensors: dict[str, Tensor]) -> tuple[str, ...]:
    """A PReLU with one slope for all channels equals ours with that slope everywhere; the names that were spread."""
    spread = []
    for name, module in model.named_modules():
        key = f"{name}.weight"
        if isinstance(module, nn.PReLU) and key in tensors and tensors[key].shape == (1,):
            tensors[key] = tensors[key].expand_as(module.weight).clone()
            spread.append(key)
    return tuple(spread)


def _hint(model: FaceModel, found: Published) -> str:
    """What build option would have made the file fit, where that can be told."""
    hints = []
    head = getattr(model, "head", None)
    ours = None if head is None else type(getattr(head, "mask_decoder", None)).__name__
    theirs = {"full": "FullMask", "spatial": "SpatialMask", "vector": "VectorMask"}.get(found.decoder or "")
    if theirs is not None and ours != theirs:
        hints.append(f"build it with mask_decoder={found.decoder!r}")
    logits = found.tensors.get("head.pattern_predictor.4.running_mean")
    k = getattr(getattr(head, "pattern_predictor", None), "k", None)
    if logits is not None and k is not None:
        largest = min(model.config.image_size)
        fitting = [k for k in range(1, largest + 1) if (k * (k + 1) // 2) ** 2 + 1 == logits.numel()]
        if fitting and fitting[0] != k:
            hints.append(f"build it with pattern_predictor=Spec('classification', k={fitting[0]})")
    return f" ({' and '.join(hints)})" if hints else ""
