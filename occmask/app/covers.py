"""Ready-made covers: what can be put before a face on the page, and faces with covers put before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from ..errors import DataError, UnknownNameError
from ..images.pixels import Pixels, is_grey
from ..occluders import OCCLUDERS
from ..occluders.occlude import Covered, Placed, bounding_box, clean, paste
from ..occluders.occluder import Worn
from ..spec import Spec

MOST_COVERS = 12  # before one face
_DRAWN_WIDTH = 240  # pixels; a cover is drawn once and then scaled
_SMALLEST, _LARGEST = 0.02, 3.0  # of a cover's sides, as shares of the picture's


class Kind(NamedTuple):
    """A ready-made cover."""

    label: str
    occluder: Spec | None = None  # None: a plain shape, drawn here
    seed: int = 0
    free: bool = False  # whether its two sides may be changed apart


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "mask": Kind("Mask", Spec("face_mask", styles=("surgical",)), seed=11),
        "sunglasses": Kind("Sunglasses", Spec("sunglasses"), seed=5),
        "scarf": Kind("Scarf", Spec("scarf"), seed=1),
        "hand": Kind("Hand", Spec("hand"), seed=2),
        "cup": Kind("Cup", Spec("cup"), seed=4),
        "pattern": Kind("Pattern", Spec("rectangle", textures=("voronoi",)), seed=1, free=True),
        "box": Kind("Box", free=True),
        "oval": Kind("Oval", free=True),
    }
)
_SHAPE_SEATS = {"box": Worn(0.5, 0.62, 0.6), "oval": Worn(0.5, 0.5, 0.5)}
_SHAPE_COLOUR = (92, 106, 132, 255)


class Cover(NamedTuple):
    """A cover before a face: its kind, its top left corner and its sides, as shares of the picture's width, height."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@lru_cache(maxsize=32)
def cover_pixels(kind: str) -> Pixels:
    """A ready-made cover as RGBA (h, w, 4), the same each time; `UnknownNameError` for a kind."""
    if kind not in KINDS:
        raise UnknownNameError("cover", kind, KINDS)
    found = KINDS[kind]
    if found.occluder is not None:
        rng = np.random.default_rng(found.seed)
        pixels = _square(rng, found.occluder) if found.free else OCCLUDERS.build(found.occluder).draw(rng, _DRAWN_WIDTH)
    else:
        shape = Image.new("RGBA", (_DRAWN_WIDTH, _DRAWN_WIDTH), (*_SHAPE_COLOUR[:3], 0))
        draw = ImageDraw.Draw(shape)
        corners = (0, 0, _DRAWN_WIDTH - 1, _DRAWN_WIDTH - 1)
        (draw.ellipse if kind == "oval" else draw.rectangle)(corners, fill=_SHAPE_COLOUR)
        pixels = np.array(shape)
    pixels.flags.writeable = False
    return pixels


def _square(rng: np.random.Generator, occluder: Spec) -> Pixels:
    return OCCLUDERS.build(occluder).fill(rng, _DRAWN_WIDTH, _DRAWN_WIDTH)  # type: ignore[attr-defined, no-any-return]


def seated(kind: str, image_size: tuple[int, int]) -> Cover:
    """The cover where it naturally sits on an aligned face of (height, width)."""
    height, width = image_size
    pixels = cover_pixels(kind)
    occluder = KINDS[kind].occluder
    worn = _SHAPE_SEATS[kind] if occluder is None else OCCLUDERS.build(occluder).worn
    span = height * 96 / 112  # a wider picture shows more beside the face, not a wider face
    wide = worn.width * span
    tall = wide * pixels.shape[0] / pixels.shape[1]
    middle = width / 2 + (worn.x - 0.5) * span
    return Cover(kind, (middle - wide / 2) / width, worn.y - tall / height / 2, wide / width, tall / height)


def read_covers(said: object) -> tuple[Cover, ...]:
    """Covers as the page sends them, a list of objects; `DataError` for what is none."""
    if not isinstance(said, Sequence) or isinstance(said, str) or len(said) > MOST_COVERS:
        raise DataError(f"covers are a list of at most {MOST_COVERS}")
    return tuple(_read_cover(one) for one in said)


def _read_cover(said: Any) -> Cover:
    kind = said.get("kind") if isinstance(said, Mapping) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise DataError(f"a cover is an object whose kind is one of {', '.join(KINDS)}")
    numbers = [said.get(name) for name in Cover._fields[1:]]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not abs(number) <= _LARGEST:
            raise DataError(f"x, y, width and height of a cover are numbers of at most {_LARGEST:g}")
    cover = Cover(kind, *(float(number) for number in numbers if number is not None))
    if min(cover.width, cover.height) < _SMALLEST:
        raise DataError(f"a cover's sides are at least {_SMALLEST:g} of the picture's")
    return cover


def put_covers(image: Pixels, covers: Sequence[Cover]) -> Covered:
    """The face (H, W, 3) with covers before it, the last on top; on a grey picture they are grey."""
    height, width = image.shape[:2]
    grey = is_grey(image)
    out = clean(image)
    for cover in covers:
        left, top = round(cover.x * width), round(cover.y * height)
        wide = max(1, round((cover.x + cover.width) * width) - left)
        tall = max(1, round((cover.y + cover.height) * height) - top)
        drawn = Image.fromarray(cover_pixels(cover.kind)).resize((wide, tall), Image.Resampling.BOX)
        put = paste(out.image, Placed(np.asarray(drawn), left, top), grey=grey)
        covered = out.covered | put.covered
        out = Covered(put.image, bounding_box(covered), covered)
    return out
