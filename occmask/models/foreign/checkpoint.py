"""The tensors of somebody's checkpoint, whatever dictionaries they are wrapped in."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...errors import CheckpointError
from ..files import is_safetensors, read_pickled, read_tensors

# What training programs put around a network: keys of their dictionaries, and attributes that hold it.
WRAPPERS = ("state_dict", "state_dict_backbone", "module", "model", "net", "backbone")
_DEEPEST = 8  # an optimizer's state is four levels down


class Checkpoint(NamedTuple):
    """The tensors of a file by their names without wrappers, and what the wrappers say about where it comes from."""

    tensors: dict[str, Tensor]
    lightning: bool  # the network is the attribute `model` of a Lightning module


def read_checkpoint(path: str | PathLike[str]) -> Checkpoint:
    """Read a `torch.save`d dictionary or a safetensors file; no code in it is run.

    Raises `CheckpointError` for a file that is neither, and says so of formats that people have at hand.
    """
    if is_safetensors(path):
        tensors, metadata = read_tensors(path)
        if "config" in metadata and "occmask" in metadata:
            raise CheckpointError(f"{path} is an occmask file already: load it with occmask.load_model")
        return unwrap(tensors, path)
    with open(path, "rb") as file:
        start = file.read(8)
    if Path(path).suffix.lower() == ".onnx" or (start[:1] == b"\x08" and start[2:3] == b"\x12"):
        raise CheckpointError(
            f"{path} is an ONNX graph, in which normalisations are merged into other layers and names are lost; "
            "import the PyTorch file (.pth, .pt, .ckpt) that it was exported from"
        )
    if start == b"\x12\x01\0\0\0\0\0\0":
        raise CheckpointError(f"{path} is a file of MXNet; import a PyTorch file (.pth, .pt, .ckpt) instead")
    return unwrap(read_pickled(path), path)


def unwrap(checkpoint: Mapping[str, Any], path: object) -> Checkpoint:
    """Every tensor of a nested dictionary by its dotted name, less the wrappers in front."""
    found = _flatten(checkpoint, path)
    tensors: dict[str, Tensor] = {}
    for name, tensor in found.items():
        bare = _without_wrappers(name)
        if bare in tensors:
            raise CheckpointError(f"{path} holds two networks, with {bare!r} in both; save one of them alone")
        tensors[bare] = tensor
    lightning = any(name.startswith("state_dict.model.") and name[17:] in tensors for name in found)
    return Checkpoint(tensors, lightning)


def _flatten(checkpoint: Mapping[str, Any], path: object) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    seen: set[int] = set()  # a pickle may hold a dictionary inside itself
    waiting: deque[tuple[tuple[str, ...], Any]] = deque([((), checkpoint)])
    while waiting:
        keys, value = waiting.popleft()
        if isinstance(value, Tensor):
            name = ".".join(keys)
            if value.layout != torch.strided or value.is_quantized or value.is_meta:
                raise CheckpointError(
                    f"{path}: {name} is sparse, quantized or without values; save it as a plain tensor"
                )
            if value.untyped_storage().nbytes() < value.numel() * value.element_size():
                raise CheckpointError(f"{path}: {name} has fewer values than its shape {tuple(value.shape)} says")
            found[name] = value
        elif isinstance(value, (Mapping, list, tuple)) and id(value) not in seen:
            if len(keys) > _DEEPEST:
                raise CheckpointError(
                    f"{path} nests dictionaries deeper than any checkpoint; save its state_dict alone"
                )
            seen.add(id(value))
            items = value.items() if isinstance(value, Mapping) else enumerate(value)
            waiting.extend(((*keys, str(key)), item) for key, item in items)
    return found


def _without_wrappers(name: str) -> str:
    first, dot, rest = name.partition(".")
    return _without_wrappers(rest) if dot and first in WRAPPERS else name
