"""Weights files: tensors and JSON metadata in one safetensors file, written whole or not at all."""

from __future__ import annotations

import os
import pickle
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from ..errors import CheckpointError

_LARGEST_RATIO, _ALWAYS_FITS = 10, 1 << 26  # of a file's unpacked size to its own; bytes


def write_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write to a temporary neighbour and rename: a reader sees the old file or the new one, never a part."""
    target = Path(path)
    data = to_bytes({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, dict(metadata))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                # NamedTemporaryFile is private (0600); give the file the rights any new file would have.
                umask = os.umask(0)
                os.umask(umask)
                os.chmod(file.name, 0o666 & ~umask)
                os.replace(file.name, target)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as e:
        raise CheckpointError(
            f"cannot write {target}: {e.strerror or e}; choose a folder that can be written to"
        ) from e


def read_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file."""
    _check_exists(path)
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, ValueError) as e:
        if Path(path).suffix.lower() in (".pth", ".pt", ".ckpt", ".tar"):
            raise CheckpointError(
                f"{path} is no file of occmask ({e}); a checkpoint of another project is imported first: "
                f"occmask import {path} -o model.safetensors"
            ) from e
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({e}); it may be truncated or of another format: "
            "occmask reads .safetensors and torch's .pth, .pt, .pth.tar and .ckpt"
        ) from e


def read_pickled(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A `torch.save`d dictionary, read with weights_only=True: tensors and plain data, no code."""
    _check_exists(path)
    _check_unpacked_size(path)
    try:
        with warnings.catch_warnings():  # on files of an old or a strange making, which load or do not
            warnings.simplefilter("ignore")
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as e:
        _check_begins_like_torch(path)
        raise CheckpointError(
            f"{path} holds Python objects besides tensors and is not opened, since they could run code; "
            "save its state_dict alone with torch.save"
        ) from e
    # Damaged bytes make torch fail in as many ways as there are opcodes.
    except Exception as e:
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise CheckpointError(f"{path} is not a readable torch checkpoint ({reason}); it may be truncated") from e
    if isinstance(loaded, torch.Tensor):
        raise CheckpointError(
            f"{path} holds one bare tensor {tuple(loaded.shape)}, such as a shard of PartialFC's class weights, and no "
            "network"
        )
    if not isinstance(loaded, dict):
        raise CheckpointError(f"{path} holds a {type(loaded).__name__}, not a dictionary of tensors")
    return loaded


def _check_begins_like_torch(path: str | os.PathLike[str]) -> None:
    """torch writes a zip, and wrote a pickle before 1.6; a failed download is often a page of HTML."""
    with open(path, "rb") as file:
        start = file.read(512)
    if not start.startswith((b"PK", b"\x80")):
        page = "a web page, as failed downloads are" if start.lstrip()[:1] == b"<" else "damaged, or of another format"
        raise CheckpointError(f"{path} is no torch checkpoint but {page}; it begins with {start[:16]!r}")


def _check_unpacked_size(path: str | os.PathLike[str]) -> None:
    """torch stores tensors as they are, and weights hardly compress: a file that unpacks to far more means harm."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except Exception:  # no zip, or a damaged one: torch says so
        return
    size = os.path.getsize(path)
    if unpacked > max(_LARGEST_RATIO * size, _ALWAYS_FITS):
        raise CheckpointError(
            f"{path} has {size:,} bytes and unpacks to {unpacked:,}, as no weights do; save them anew with torch.save"
        )


def is_safetensors(path: str | os.PathLike[str]) -> bool:
    """Whether the file begins like safetensors: eight bytes of header length, then JSON."""
    _check_exists(path)
    with open(path, "rb") as file:
        start = file.read(9)
    return start[8:] == b"{"


def _check_exists(path: str | os.PathLike[str]) -> None:
    if not Path(path).exists():
        raise CheckpointError(f"there is no weights file {path}")
    if Path(path).is_dir():
        raise CheckpointError(f"{path} is a folder; name the weights file inside it")
