"""Building the dictionary: masks of many pairs, scaled and averaged, one item a block (Song et al., 2019, Fig. 1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor
from tqdm import tqdm

from occmask import (
    OCCLUDERS,
    CheckpointError,
    FaceModel,
    FaceSet,
    OptionError,
    PatternGrid,
    Spec,
    TrainingError,
    to_tensor,
)

from .generators import MaskGenerators
from .head import PdsnHead
from .recognition import pdsn_head, top_map

_GENERATORS = "training.objective.generators."  # where a checkpoint of the first stage keeps them
_DICTIONARY = "head.dictionary"


class DictionaryBuilder:
    """Sums up masks and writes their means into the model's head.

    A mask is brought to 0 .. 1 within its pair before it counts, so pairs that differ much and little weigh the same;
    it says what to keep, and the dictionary holds one minus its mean.
    """

    def __init__(self, model: FaceModel, generators: MaskGenerators):
        self.model, self.generators, self.head = model, generators, pdsn_head(model)
        self.sums = torch.zeros_like(self.head.dictionary)
        self.counts = torch.zeros(len(self.sums), device=self.sums.device)

    @torch.no_grad()
    def add(self, clean: Tensor, covered: Tensor, block: Tensor) -> None:
        """Pairs (B, 3, H, W) and the block that is covered in each, (B,) int64."""
        if not len(block):
            return
        before, after = top_map(self.model, torch.cat([clean, covered])).chunk(2)
        keep = self.generators((before - after).abs(), block)
        low, high = keep.flatten(1).aminmax(dim=1)
        scaled = (keep - low[:, None, None, None]) / (high - low).clamp_min(1e-12)[:, None, None, None]
        self.sums.index_add_(0, block, 1 - scaled)
        self.counts.index_add_(0, block, torch.ones_like(low))

    def write(self) -> None:
        """Raises `TrainingError` when a block had no pair; the head then keeps what it has."""
        missing = (self.counts == 0).nonzero()[:, 0].tolist()
        if missing:
            raise TrainingError(f"no pair covers the blocks {missing} (from 0, row by row); give more pairs a block")
        self.head.dictionary.copy_(self.sums / self.counts[:, None, None, None])


def rebuild_dictionary(
    model: FaceModel,
    generators: MaskGenerators,
    faces: FaceSet,
    *,
    pairs: int = 24,
    seed: int = 0,
    progress: bool = True,
) -> None:
    """Build the model's dictionary from exactly `pairs` pairs a block, drawn from the faces.

    Covered with rectangles of the training textures.  The model stays in evaluation mode.
    """
    if pairs < 1:
        raise OptionError(f"pairs is at least 1, not {pairs!r}")
    model.eval()
    generators.eval()
    builder = DictionaryBuilder(model, generators)
    spec = model.config.input_spec
    for clean, covered, block in tqdm(
        _block_pairs(faces, k=builder.head.k, pairs=pairs, seed=seed),
        total=builder.head.blocks.count,
        desc="dictionary",
        unit="block",
        disable=not progress,
        dynamic_ncols=True,
    ):
        where = torch.full((len(clean),), block)
        builder.add(to_tensor(clean, spec), to_tensor(covered, spec), where)
    builder.write()


def _block_pairs(
    faces: FaceSet, *, k: int, pairs: int, seed: int
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8], int]]:
    """Faces (pairs, H, W, 3), the same with one block covered, and which."""
    grid, rectangle = PatternGrid(k, image_size=faces.image_size), OCCLUDERS.build(Spec("rectangle"))
    for block in range(k * k):
        rng = np.random.default_rng((seed, block))
        clean = faces.images(rng.integers(len(faces), size=pairs))
        covered = clean.copy()
        row, column = divmod(block, k)
        (top, bottom), (left, right) = grid.rows[row : row + 2].tolist(), grid.columns[column : column + 2].tolist()
        for face in covered:
            cover = rectangle.fill(rng, bottom - top, right - left)[..., :3]  # type: ignore[attr-defined]
            if faces.grey:
                cover = np.rint(cover @ (0.299, 0.587, 0.114)).astype(np.uint8)[..., None]
            face[top:bottom, left:right] = cover
        yield clean, covered, block


def generators_of(path: str | Path, model: FaceModel) -> MaskGenerators:
    """The mask generators that a checkpoint of the recipe "pdsn_masks" holds; `CheckpointError` for any other file."""
    head = pdsn_head(model)
    generators = MaskGenerators(head.blocks.count, model.backbone.shapes[-1])
    tensors = {name.removeprefix(_GENERATORS): value for name, value in _read(path, _GENERATORS).items()}
    if not tensors:
        raise CheckpointError(
            f"{path} holds no mask generators; give last.safetensors of a training by recipe 'pdsn_masks'"
        )
    try:
        generators.load_state_dict(tensors)
    except RuntimeError as e:
        raise CheckpointError(f"the mask generators in {path} are those of another trunk or another k") from e
    return generators.eval()


def read_dictionary(head: PdsnHead, path: str | Path) -> None:
    """Put a checkpoint's dictionary into the head; `CheckpointError` where it holds none that fits."""
    found = _read(path, _DICTIONARY).get(_DICTIONARY)
    if found is None or found.shape != head.dictionary.shape:
        has = "holds no dictionary" if found is None else f"holds a dictionary of shape {tuple(found.shape)}"
        raise CheckpointError(f"{path} {has}; this head has one of {tuple(head.dictionary.shape)}")
    head.dictionary.copy_(found)


def _read(path: str | Path, prefix: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file whose names begin so."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys() if name.startswith(prefix)}  # noqa: SIM118
    except (OSError, SafetensorError) as e:
        raise CheckpointError(f"cannot read {path} ({e}); give a safetensors file of occmask") from e
