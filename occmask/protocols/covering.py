"""What `stress` puts before the probes: rectangles of a given area, worn things, and a block on each cell of a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from ..errors import OptionError
from ..occluders.cells import CellPlacement
from ..occluders.conditions import Condition
from ..occluders.occlude import AreaPlacement, Occlusions, WornPlacement
from ..occluders.occluder import TRAIN_OCCLUDERS, VARIED_OCCLUDERS
from ..occluders.textures import TEST_TEXTURES
from ..spec import Spec

DRAWN_OCCLUDERS = (
    "eyeglasses",
    "phone",
    "book",
    "rectangle",
    "sunglasses",
    "mouth_mask",
    "face_mask",
    "scarf",
    "hand",
    "cup",
)
_TEST_RECTANGLE = Spec("rectangle", textures=tuple(TEST_TEXTURES))


def clean_and_areas(areas: Sequence[float]) -> tuple[Condition, ...]:
    """Nothing, and then a rectangle of a test texture over each share of the picture: "clean", "area_10", ..."""
    if isinstance(areas, str) or not isinstance(areas, Sequence):
        raise OptionError(f"areas is a list of shares of the picture, such as [0.1], not {areas!r}")
    conditions = [Condition("clean", None)]
    for area in areas:
        if not isinstance(area, Real) or not 0 < area < 1 or round(100 * area) < 1:
            raise OptionError(f"areas are shares of the picture between 0.01 and 1, such as 0.1, not {area!r}")
        conditions.append(
            Condition(f"area_{round(100 * area)}", Occlusions((_TEST_RECTANGLE,), AreaPlacement(area), share=1))
        )
    return _distinct(conditions)


def worn(occluders: Sequence[Spec | str | Mapping[str, Any]]) -> tuple[Condition, ...]:
    """Each occluder where it belongs on a face, under its own name."""
    specs = [Spec.of(occluder) for occluder in occluders]
    return _distinct([Condition(spec.name, Occlusions((spec,), WornPlacement(), share=1)) for spec in specs])


def blocks(cells: int, block: float) -> tuple[Condition, ...]:
    """A block of a test texture on each cell of a grid, row by row."""
    if not isinstance(cells, Integral) or cells < 1 or not isinstance(block, Real) or not 0 < block <= 1:
        raise OptionError(f"a map has cells >= 1 a side and blocks of 0 < block <= 1, not cells={cells}, block={block}")
    return tuple(
        Condition(
            f"cell_{row}_{column}",
            Occlusions((_TEST_RECTANGLE,), CellPlacement(row, column, cells=cells, block=block), share=1),
        )
        for row in range(cells)
        for column in range(cells)
    )


def held_out(names: Sequence[str]) -> tuple[str, ...]:
    """Those of the occluders that occmask's own recipes never train on."""
    trained = {spec.name for spec in (*TRAIN_OCCLUDERS, *VARIED_OCCLUDERS)}
    return tuple(name for name in names if name not in trained)


def _distinct(conditions: Sequence[Condition]) -> tuple[Condition, ...]:
    names = [condition.name for condition in conditions]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(f"{name!r} appears twice among the conditions; each can be measured once")
    return tuple(conditions)
