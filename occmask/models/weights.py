"""Saving and loading weights: strict, without running code, and all or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, OptionError, PluginError, UnknownNameError
from ..version import __version__
from .config import ModelConfig, components
from .face import FaceModel
from .files import is_safetensors, read_tensors, write_tensors
from .filling import LoadReport, fill, fill_from_foreign, hint_for
from .foreign.checkpoint import read_checkpoint
from .foreign.reading import read_foreign
from .inference import InferenceModel

# what a file may say about where its weights come from
ORIGIN = ("licence", "source", "source_sha256", "source_layout")
NOT_STATED = "not stated by the person who imported it"
FILLED = "pretrained"  # the option by which a component says what its first weights are
TRAINING = "training."  # the trainer's own tensors in a checkpoint: the same file is a model to everybody else


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
        source = registry.plugin_of(spec.name)
        if source is None and not registry.is_builtin(spec.name):
            source = f"module {registry[registry.family_of(spec.name) or spec.name].__module__}"
        if source is not None:
            plugins[".".join(path)] = source
    return {
        "occmask": __version__,
        "config": json.dumps(model.config.to_dict()),
        "plugins": json.dumps(plugins),
        "input": json.dumps(model.config.input_spec.to_dict()),
        **model.origin,
    }


def load_model(path: str | PathLike[str]) -> FaceModel:
    """The model a file of `save_weights` or a training checkpoint holds, in evaluation mode.

    Raises `CheckpointError`: unreadable, no occmask file, a missing plug-in (named), or tensors that do not fit.
    """
    tensors, metadata = read_tensors(path)
    config = _read_config(path, metadata)
    model = FaceModel(_unfilled(config))
    model.config = config
    fill(model, {name: t for name, t in tensors.items() if not name.startswith(TRAINING)}, path)
    model.origin = _origin(metadata)
    return model.eval()


def load_weights(
    model: FaceModel, path: str | PathLike[str], *, loss: nn.Module | None = None, only: Sequence[str] = ()
) -> LoadReport:
    """Fill a model from an occmask file or from another project's checkpoint.

    Checkpoints of InsightFace's iresnet, of AdaFace's and TFace's IR and of FROM are told apart by their names, and
    converted where they compute the same in another way (`.converted`).  `loss`: also fill this margin loss with the
    file's class weights.  `only`: fill just these parts (`("backbone", "embedding")`) and report the rest as missing.
    Anything else that does not fit raises one `CheckpointError` naming every tensor with both shapes, and the model
    stays as it was.
    """
    _require_original(model, "fill")
    parts = [name for name, _ in model.named_children()]
    for part in only:
        if part not in parts:
            raise OptionError(f"a model has no part {part!r}; only= takes some of {', '.join(parts)}")
    own = _read_own(path)
    if own is not None:
        class_weight = own.class_weight
        _check_loss(loss, class_weight, path)
        report = fill(model, own.tensors, path, only=only, hint=hint_for(model, own.tensors))
        report = report._replace(licence=own.origin.get("licence"))
        model.origin = {**model.origin, **own.origin}
    else:
        foreign = read_foreign(read_checkpoint(path), path)
        class_weight = foreign.class_weight
        _check_loss(loss, class_weight, path)
        report = fill_from_foreign(model, foreign, path, only=only)
        source = {"licence": NOT_STATED, "source": Path(path).name, "source_layout": foreign.layout}
        model.origin = {**model.origin, **source}
    if loss is not None and class_weight is not None:
        with torch.no_grad():
            loss.get_parameter("weight").copy_(class_weight)
    elif class_weight is not None:
        report = report._replace(unused=tuple(sorted((*report.unused, "classifier.weight"))))
    return report


class _Own(NamedTuple):
    """What a file of ours holds."""

    tensors: dict[str, Tensor]
    class_weight: Tensor | None
    origin: dict[str, str]


def _read_own(path: str | PathLike[str]) -> _Own | None:
    """None: not written by occmask."""
    if not is_safetensors(path):
        return None
    tensors, metadata = read_tensors(path)
    if "config" not in metadata:
        return None
    own = {name: tensor for name, tensor in tensors.items() if not name.startswith(TRAINING)}
    return _Own(own, tensors.get(f"{TRAINING}loss.weight"), _origin(metadata))


def _origin(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name: metadata[name] for name in ORIGIN if name in metadata}


def _read_config(path: str | PathLike[str], metadata: Mapping[str, str]) -> ModelConfig:
    if "config" not in metadata:
        raise CheckpointError(
            f"{path} was not written by occmask (no config in its metadata): import it with 'occmask import', "
            "or build the model yourself and use occmask.load_weights(model, path)"
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


def _unfilled(config: ModelConfig) -> ModelConfig:
    """The same model, its components' option `pretrained` left out: the file itself holds what they were filled with,
    and where they were filled from may be far away or gone."""
    for path, registry, spec in list(components(config)):
        if FILLED in spec.options:
            config = config.override(**{".".join([*path, FILLED]): registry.options(spec.name)[FILLED]})
    return config


def _check_components(config: ModelConfig, plugins: Mapping[str, str], path: str | PathLike[str]) -> None:
    """Name the distribution or the module of a component that is not here."""
    at: list[str] = []
    try:
        for at, registry, spec in components(config):
            if spec.name not in registry and (":" not in spec.name or ".".join(at) in plugins):
                raise UnknownNameError(registry.kind, spec.name, registry)
    except UnknownNameError as e:
        source = plugins.get(".".join(at), "a plug-in that the file does not name")
        advice = f"import {source.split()[1]} first" if source.startswith("module ") else f"pip install {source}"
        if registry.plugin_of(e.name) is not None:  # the family is here and has no such member
            advice = f"the version that is installed here has none of that name ({e})"
        raise CheckpointError(f"{path} needs the {e.kind} {e.name!r} of {source}: {advice}") from e


def _check_loss(loss: nn.Module | None, class_weight: Tensor | None, path: str | PathLike[str]) -> None:
    if loss is None:
        return
    weight = loss.get_parameter("weight")
    if class_weight is None:
        raise CheckpointError(f"{path} holds no class weights for the loss; leave loss= out")
    if class_weight.shape != weight.shape:
        raise CheckpointError(
            f"{path} does not fit this loss: class weights are {tuple(class_weight.shape)} in the file, "
            f"{tuple(weight.shape)} in the loss; build it with num_classes={[*class_weight.shape, 0][0]}"
        )
