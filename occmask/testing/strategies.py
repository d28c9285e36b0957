"""Hypothesis strategies for what travels through the library. Needs Hypothesis: `pip install 'occmask[test]'`.

Boxes are in pixels, x0 y0 x1 y1, half-open; image sizes are (height, width).  Tensors are drawn by a seed, so an
example shrinks to few rows and small shapes rather than to particular values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import PluginError
from ..patterns import PatternGrid
from ..shapes import FaceBatch, FaceShapes, FeatureShape, OcclusionTruth
from ..spec import Spec

try:
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as arrays
except ImportError as e:
    raise PluginError(
        "occmask.testing.strategies needs Hypothesis: pip install 'occmask[test]'; "
        "the checks (occmask.testing.check_head and the others) work without it"
    ) from e

FACE = (112, 96)


def image_sizes(*, smallest: int = 1, largest: int = 128) -> st.SearchStrategy[tuple[int, int]]:
    """(height, width) of an image."""
    side = st.integers(smallest, largest)
    return st.tuples(side, side)


def grids(
    *, k: st.SearchStrategy[int] | None = None, sizes: st.SearchStrategy[tuple[int, int]] | None = None
) -> st.SearchStrategy[PatternGrid]:
    """Pattern grids: K of 1 to 7, on faces of 112x96 unless `sizes` says otherwise (at least K pixels a side)."""
    sides = st.integers(1, 7) if k is None else k
    return st.builds(PatternGrid, sides, st.just(FACE) if sizes is None else sizes)


def boxes(
    image_size: tuple[int, int] = FACE, *, whole: bool = True, overhang: int = 8, most: int = 16
) -> st.SearchStrategy[NDArray[Any]]:
    """(N, 4) boxes, N up to `most`: whole pixels (int64) or not (float64).

    They may hang over the image's edge by `overhang` pixels, be empty, or lie wholly outside.
    """
    height, width = image_size
    across, down = (-overhang, width + overhang), (-overhang, height + overhang)
    if whole:
        edges = st.tuples(*(st.integers(*span) for span in (across, down, across, down)))
        kind: Any = np.int64
    else:
        edges = st.tuples(*(st.floats(*span, width=64) for span in (across, down, across, down)))
        kind = np.float64
    return st.lists(edges.map(_in_order), max_size=most).map(lambda rows: np.array(rows, kind).reshape(-1, 4))


def pattern_labels(grid: PatternGrid, *, most: int = 16) -> st.SearchStrategy[NDArray[np.int64]]:
    """(N,) classes of a grid."""
    return arrays.arrays(np.int64, st.integers(0, most), elements=st.integers(0, grid.num_patterns - 1))


def covered_maps(image_size: tuple[int, int] = FACE, *, most: int = 4) -> st.SearchStrategy[NDArray[np.bool_]]:
    """(N, H, W) covered maps: empty, full, rectangles, and unions of up to three of them with holes."""

    def draw(corners: NDArray[np.int64], holes: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
        maps = np.zeros((count, *image_size), np.bool_)
        for value, given in ((True, corners), (False, holes)):
            for index, (x0, y0, x1, y1) in enumerate(given.clip(0)):
                if count:
                    maps[index % count, y0:y1, x0:x1] = value
        return maps

    return st.builds(draw, boxes(image_size, most=3 * most), boxes(image_size, most=most), st.integers(0, most))


@st.composite
def occlusion_truths(
    draw: st.DrawFn, *, batch: int | None = None, image_size: tuple[int, int] = FACE
) -> OcclusionTruth:
    """Covered maps and their exact bounding boxes in fractions of the image, some faces uncovered."""
    count = draw(st.integers(1, 4)) if batch is None else batch
    drawn = draw(covered_maps(image_size, most=count))
    covered = np.zeros((count, *image_size), np.bool_)
    covered[: len(drawn)] = drawn
    height, width = image_size
    box = np.zeros((count, 4), np.float32)
    for row, map_ in enumerate(covered):
        if map_.any():
            ys, xs = np.nonzero(map_)
            box[row] = xs.min() / width, ys.min() / height, (xs.max() + 1) / width, (ys.max() + 1) / height
    return OcclusionTruth(torch.from_numpy(box), torch.from_numpy(covered))


def specs() -> st.SearchStrategy[Spec]:
    """Specs of any name with any plain options, other Specs among them."""
    key = st.from_regex(r"[a-z][a-z0-9_]{0,7}", fullmatch=True).filter(lambda name: name not in ("name", "self"))
    plain = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
    )
    names = st.text(min_size=1, max_size=12)

    def nest(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        some = st.lists(values, max_size=3).map(tuple)
        return st.one_of(some, st.builds(_spec, names, st.dictionaries(key, values, max_size=3)))

    return st.builds(_spec, names, st.dictionaries(key, st.recursive(plain, nest, max_leaves=6), max_size=4))


def feature_shapes(*, channels: int = 16, side: int = 16) -> st.SearchStrategy[FeatureShape]:
    """Shapes of one feature map, up to the given channels and side."""
    return st.builds(FeatureShape, st.integers(1, channels), st.integers(1, side), st.integers(1, side))


@st.composite
def face_shapes(draw: st.DrawFn, *, stages: int = 4) -> FaceShapes:
    """What a head is wired with: `stages` maps, each half of the one before, the top map 1x1 to 7x7."""
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    channels = draw(st.lists(st.integers(1, 12), min_size=stages, max_size=stages))
    steps = [2**index for index in reversed(range(stages))]
    maps = tuple(FeatureShape(count, height * step, width * step) for count, step in zip(channels, steps, strict=True))
    return FaceShapes(FeatureShape(3, height * 2**stages, width * 2**stages), maps, draw(st.integers(1, 24)))


def feature_maps(shape: FeatureShape, *, batch: int = 2) -> st.SearchStrategy[Tensor]:
    """(B, C, H, W) standard normal features."""
    return _seeds().map(lambda seed: torch.randn(batch, *shape, generator=torch.Generator().manual_seed(seed)))


@st.composite
def face_batches(draw: st.DrawFn, *, batch: int = 2, image_size: tuple[int, int] = FACE, people: int = 5) -> FaceBatch:
    """What the training step eats: images in [-1, 1], labels, and the truth about what is covered."""
    generator = torch.Generator().manual_seed(draw(_seeds()))
    image = torch.rand(batch, 3, *image_size, generator=generator) * 2 - 1
    label = torch.randint(people, (batch,), generator=generator)
    return FaceBatch(image, label, draw(occlusion_truths(batch=batch, image_size=image_size)))


def _seeds() -> st.SearchStrategy[int]:
    return st.integers(0, 2**31 - 1)


def _spec(name: str, options: dict[str, Any]) -> Spec:
    return Spec(name, **options)


def _in_order(edges: tuple[Any, ...]) -> tuple[Any, ...]:
    x0, y0, x1, y1 = edges
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
