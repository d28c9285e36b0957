"""From a foreign checkpoint to an occmask file, with proof that both compute the same."""

from __future__ import annotations

import hashlib
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import CheckpointError, ShapeError
from ..face import FaceModel
from ..filling import LoadReport, fill_from_foreign
from ..weights import NOT_STATED, save_weights
from .checkpoint import read_checkpoint
from .forward import foreign_forward
from .reading import Foreign, read_foreign

LARGEST_DIFFERENCE = 1e-4
_FACES = 4


class Parity(NamedTuple):
    """How far two networks that should be one lie apart: largest absolute differences over random pictures."""

    embedding: float  # of an element of an embedding of length 1
    pattern: float | None  # of the probability of an occlusion pattern; None where nothing predicts one
    faces: int  # pictures compared

    @property
    def holds(self) -> bool:
        """Whether nothing differs by more than `LARGEST_DIFFERENCE`; False where anything is not a number."""
        return self.embedding <= LARGEST_DIFFERENCE and (self.pattern is None or self.pattern <= LARGEST_DIFFERENCE)


class Imported(NamedTuple):
    """A model filled from a foreign file, and how that went."""

    model: FaceModel  # in evaluation mode, takes RGB
    foreign: Foreign
    report: LoadReport
    parity: Parity
    source: str  # the file's name
    sha256: str  # the file's


def import_checkpoint(path: str | PathLike[str], *, layout: str | None = None, colour: str | None = None) -> Imported:
    """Read a foreign checkpoint, build the model that it fits, fill it, and compare it with the foreign network.

    `layout`: one of `LAYOUTS`, or None to tell it from the names.  `colour`: the order of channels that the foreign
    network was trained on, or None for its layout's usual one.  Raises `CheckpointError`: unreadable, not convertible,
    tensors missing or of another shape (all named), or a model that does not compute what the foreign network does.
    """
    foreign = read_foreign(read_checkpoint(path), path, layout=layout, colour=colour)
    model = FaceModel(foreign.config)
    report = fill_from_foreign(model, foreign, path)
    if foreign.class_weight is not None:  # a model is imported, and no loss that could use them
        report = report._replace(unused=(*report.unused, "classifier.weight"))
    parity = compare(model.eval(), foreign)
    if not parity.holds:
        raise CheckpointError(
            f"{path}: the converted model does not compute what the {foreign.title} does: unit embeddings differ by "
            f"{parity.embedding:.1e}, and {LARGEST_DIFFERENCE:.0e} is the most that is accepted; nothing was written"
        )
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Imported(model, foreign, report, parity, Path(path).name, digest)


def write_imported(imported: Imported, path: str | PathLike[str], *, licence: str | None = None) -> None:
    """Write the model to one safetensors file that also says where its weights come from.

    Beyond what `save_weights` writes, its metadata holds `licence` (what the person who imports states about the
    weights), `source` (the foreign file's name), `source_sha256` and `source_layout`.
    """
    imported.model.origin = {
        "licence": licence or NOT_STATED,
        "source": imported.source,
        "source_sha256": imported.sha256,
        "source_layout": imported.foreign.layout,
    }
    save_weights(imported.model, path)


def compare(model: FaceModel, foreign: Foreign) -> Parity:
    """Our model against the foreign network on random pictures; the foreign network gets its own order of colours."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(_FACES, 3, *model.config.image_size, generator=generator) * 2 - 1  # (B, 3, H, W) RGB
    theirs = foreign_forward(foreign.layout, foreign.theirs, images.flip(1) if foreign.colour == "BGR" else images)
    try:
        with torch.inference_mode():
            ours = model(images, occlusion=theirs.pattern is not None)
    except ShapeError:  # weights that are not numbers
        return Parity(float("nan"), None, _FACES)
    pattern = None
    if theirs.pattern is not None:
        pattern = _largest(ours.pattern.softmax(1), theirs.pattern.softmax(1))
    return Parity(_largest(F.normalize(ours.embedding), F.normalize(theirs.embedding)), pattern, _FACES)


def _largest(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()
