"""Putting an occluder before a face: where it goes, what it hides, and exactly which pixels those are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from ..errors import OptionError, ShapeError
from ..images.pixels import Pixels, luminance
from ..spec import Spec
from . import OCCLUDERS
from .occluder import TRAIN_OCCLUDERS, Occluder, RectangularOccluder

FROM_SCALES = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0)
OPAQUE = 128  # a pixel counts as covered when at least half of it is hidden


class Covered(NamedTuple):
    """A face after something was put before it."""

    image: Pixels  # (H, W, 3)
    box: NDArray[np.float32]  # (4,) x0 y0 x1 y1 divided by W H W H; all zero = nothing is covered
    covered: NDArray[np.bool_]  # (H, W), True where the occluder hides the face; `box` is its bounding box


class Placed(NamedTuple):
    """Occluder pixels and where their top left corner goes; they may hang off the image."""

    pixels: Pixels  # (h, w, 4) RGBA
    left: int
    top: int


class Placement(Protocol):
    """An object that draws an occluder for a face of H x W pixels and says where it goes."""

    def check(self, occluder: Occluder) -> None:
        """Raise `OptionError` for an occluder that cannot be placed this way."""
        ...

    def __call__(self, occluder: Occluder, rng: Generator, image_size: tuple[int, int]) -> Placed: ...


class RandomPlacement:
    """FROM's recipe: a random scale, and the centre on any pixel of the face, so that it may hang off it.

    Scale 1 is a quarter of the face's width.  The occluder is squeezed to at most the size of the face,
    as in FROM's published code; unlike there it may be just as large, so that a face can be covered wholly.
    """

    def __init__(self, scales: Sequence[float] = FROM_SCALES):
        if not len(scales) or min(scales) <= 0:
            raise OptionError(f"scales are positive numbers, at least one, such as (1, 2, 5), not {scales!r}")
        self.scales = tuple(float(scale) for scale in scales)

    def check(self, occluder: Occluder) -> None:
        """Any occluder can be placed at random."""

    def __call__(self, occluder: Occluder, rng: Generator, image_size: tuple[int, int]) -> Placed:
        height, width = image_size
        scale = self.scales[int(rng.integers(len(self.scales)))]
        x, y = int(rng.integers(width)), int(rng.integers(height))
        pixels = occluder.draw(rng, min(width, max(1, round(scale * width / 4))))
        if pixels.shape[0] > height:
            squeezed = Image.fromarray(pixels).resize((pixels.shape[1], height), Image.Resampling.BILINEAR)
            pixels = np.asarray(squeezed)
        return Placed(pixels, x - pixels.shape[1] // 2, y - pixels.shape[0] // 2)


class AreaPlacement:
    """A rectangle wholly inside the face that covers a share of it drawn from [low, high].

    `high` is `low` when left out.  Its height is half to twice its width (as far as the face allows), and
    its area is the drawn share of H * W to within half a row or half a column.
    """

    def __init__(self, low: float, high: float | None = None):
        self.low, self.high = low, low if high is None else high
        if not 0 < self.low <= self.high <= 1:
            raise OptionError(f"the covered share lies in 0 < low <= high <= 1, not low={low!r}, high={high!r}")

    def check(self, occluder: Occluder) -> None:
        if not isinstance(occluder, RectangularOccluder):
            raise OptionError(
                f"an exact area needs an occluder that fills a rectangle, and {type(occluder).__name__} has no fill(); "
                "use 'rectangle' or 'pictures', or another placement"
            )

    def __call__(self, occluder: Occluder, rng: Generator, image_size: tuple[int, int]) -> Placed:
        self.check(occluder)
        assert isinstance(occluder, RectangularOccluder)
        height, width = image_size
        area = rng.uniform(self.low, self.high) * height * width
        fits = (area / width, float(height))
        shortest, tallest = np.clip((np.sqrt(area / 2), np.sqrt(area * 2)), *fits)
        tall = int(np.clip(round(shortest * (tallest / shortest) ** rng.random()), np.ceil(fits[0] - 1e-9), height))
        wide = min(width, max(1, round(area / tall)))
        left, top = int(rng.integers(width - wide + 1)), int(rng.integers(height - tall + 1))
        return Placed(occluder.fill(rng, tall, wide), left, top)


class WornPlacement:
    """Where the occluder naturally sits on an aligned face (its `worn`), with a little jitter."""

    def check(self, occluder: Occluder) -> None:
        """Every occluder has its seat."""

    def __call__(self, occluder: Occluder, rng: Generator, image_size: tuple[int, int]) -> Placed:
        height, width = image_size
        worn, span = occluder.worn, height * 96 / 112  # a wider picture shows more beside the face, not a wider face
        dx, dy = rng.normal(0, worn.jitter * span, 2)
        wide = max(1, round(worn.width * span * (1 + worn.stretch * rng.uniform(-1, 1))))
        pixels = occluder.draw(rng, wide)
        left = round(width / 2 + (worn.x - 0.5) * span + dx - pixels.shape[1] / 2)
        top = round(worn.y * height + dy - pixels.shape[0] / 2)
        return Placed(pixels, left, top)


class Occlusions:
    """Covers a share of the faces it is given, each with one of the occluders at random.

    `occluders` are names, Specs or objects; `placement` says where they go; `share` is the probability
    that a face is covered at all (FROM: 2/3).  Raises `OptionError` for an occluder that the placement
    cannot place, `UnknownNameError` for a name.
    """

    def __init__(
        self,
        occluders: Sequence[Occluder | Spec | str | Mapping[str, Any]] = TRAIN_OCCLUDERS,
        placement: Placement | None = None,
        *,
        share: float = 2 / 3,
    ):
        if isinstance(occluders, (str, Spec)) or not len(occluders):
            raise OptionError(f"occluders is a sequence of at least one occluder, such as ('cup',), not {occluders!r}")
        if not 0 <= share <= 1:
            raise OptionError(f"share is the part of the faces that are covered, 0..1, not {share!r}")
        self.occluders: tuple[Occluder, ...] = tuple(
            OCCLUDERS.build(o) if isinstance(o, (Spec, str, Mapping)) else o for o in occluders
        )
        self.placement: Placement = RandomPlacement() if placement is None else placement
        self.share = share
        for occluder in self.occluders:
            self.placement.check(occluder)

    def __call__(self, image: Pixels, rng: Generator, *, grey: bool = False) -> Covered:
        """`image` uint8 (H, W, 3), which stays unchanged; `grey` takes the occluder's colour away."""
        if rng.random() >= self.share:
            return clean(image)
        occluder = self.occluders[int(rng.integers(len(self.occluders)))]
        return paste(image, self.placement(occluder, rng, (image.shape[0], image.shape[1])), grey=grey)


def clean(image: Pixels) -> Covered:
    """The face as it is, with nothing before it."""
    return Covered(image, np.zeros(4, np.float32), np.zeros(image.shape[:2], bool))


def paste(image: Pixels, placed: Placed, *, grey: bool = False) -> Covered:
    """The face (H, W, 3) with the occluder blended over it by its alpha, clipped by the image's border.

    A pixel is covered when its alpha is at least 128; with no such pixel the image stays as it is.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ShapeError(f"a face is uint8 (H, W, 3), not {image.dtype} {image.shape}")
    height, width = image.shape[:2]
    tall, wide = placed.pixels.shape[:2]
    x0, y0 = max(0, placed.left), max(0, placed.top)
    x1, y1 = min(width, placed.left + wide), min(height, placed.top + tall)
    if x1 <= x0 or y1 <= y0:
        return clean(image)
    part = placed.pixels[y0 - placed.top : y1 - placed.top, x0 - placed.left : x1 - placed.left]
    alpha = part[..., 3]
    hidden = alpha >= OPAQUE
    if not hidden.any():
        return clean(image)
    covered = np.zeros((height, width), bool)
    covered[y0:y1, x0:x1] = hidden
    out = image.copy()
    colour = luminance(part[..., :3]) if grey else part[..., :3]
    weight = alpha[..., None].astype(np.uint16)
    below = out[y0:y1, x0:x1].astype(np.uint16)
    out[y0:y1, x0:x1] = ((below * (255 - weight) + colour * weight + 127) // 255).astype(np.uint8)
    return Covered(out, bounding_box(covered), covered)


def bounding_box(covered: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The box (4,) around the True pixels of (H, W): x0 y0 x1 y1 divided by W H W H; zeros when there are none."""
    rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
    if not len(rows):
        return np.zeros(4, np.float32)
    height, width = covered.shape
    return np.array(
        [columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height], np.float32
    )


def mirror(face: Covered) -> Covered:
    """Left and right exchanged in image, box and covered map together."""
    covered = np.ascontiguousarray(face.covered[:, ::-1])
    return Covered(np.ascontiguousarray(face.image[:, ::-1]), bounding_box(covered), covered)
