"""Face masks drawn on a face from its five points, in the styles and colours that people wear."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from ..errors import OptionError, ShapeError, UnknownNameError
from ..images.pixels import Pixels
from ..images.template import template_points
from .occlude import Placed
from .occluder import Worn
from .sketch import Colour, Points, Sketch, any_colour, band, blend, curve, ellipse, lit, shade
from .textures import TEST_TEXTURES, cut

# A mask is drawn in the face's own coordinates: u across, 0 in the middle and 1 the distance of the eyes further right
# in the picture; v down, 0 at the eyes and 1 at the mouth.  The tip of the nose lies near v = 0.5, the chin near 1.45.
_WHITE: Colour = (238, 240, 242)
_SURGICAL: tuple[Colour, ...] = (
    (140, 190, 222),
    (168, 206, 228),
    (150, 204, 186),
    _WHITE,
    (40, 42, 48),
    (228, 172, 190),
)
_RESPIRATOR: tuple[Colour, ...] = (_WHITE, (246, 244, 236), (206, 208, 210), (54, 56, 60), (214, 200, 180))
_CENTRE = np.array([(0.0, 0.8)])  # about where the cloth stands out most


def _outline(rng: Generator, *, top: Sequence[tuple[float, float]], bottom: Sequence[tuple[float, float]]) -> Points:
    """A closed outline from the right half of its upper and of its lower edge, both from the middle outwards."""
    upper, lower = np.array(top), np.array(bottom)
    upper = np.concatenate([upper[:0:-1] * (-1, 1), upper])
    lower = np.concatenate([lower[::-1], lower[1:] * (-1, 1)])
    shift = (0, rng.normal(0, 0.015))
    return np.concatenate([curve(upper), curve(lower)]) + shift


def _cloth(sketch: Sketch, outline: Points, colour: Colour, *, depth: float = 0.3) -> None:
    """The cloth, darker where it turns away towards its edge."""
    sketch.fill(outline, shade(colour, 1 - depth))
    for step in range(1, 8):
        inner = _CENTRE + (outline - _CENTRE) * (1 - 0.075 * step)
        sketch.fill(inner, shade(colour, 1 - depth * (1 - step / 7) ** 1.5))


def _straps(sketch: Sketch, lines: Sequence[Sequence[tuple[float, float]]], colour: Colour, pen: float) -> None:
    for line in lines:
        for side in (-1, 1):
            sketch.fill(band(curve(np.array(line) * (side, 1)), pen), colour)


def _surgical(sketch: Sketch, rng: Generator, pen: float) -> None:
    colour = _SURGICAL[int(rng.integers(len(_SURGICAL)))]
    nose, chin = rng.uniform(0.16, 0.3), rng.uniform(1.44, 1.54)
    wide, jaw = rng.uniform(0.96, 1.04), rng.uniform(0.78, 0.86)
    loop = _WHITE if sum(colour) > 200 else shade(colour, 1.5)
    above, below = [(wide - 0.03, 0.5), (1.2, 0.3), (1.36, 0.24)], [(jaw, 1.16), (1.14, 0.8), (1.36, 0.5)]
    _straps(sketch, [above, below], loop, pen)
    top = [(0.0, nose), (0.24, nose + 0.06), (0.6, 0.38), (wide, 0.47)]
    bottom = [(0.0, chin), (0.4, chin - 0.05), (0.7, 1.3), (jaw, 1.16)]
    outline = _outline(rng, top=top, bottom=bottom)
    _cloth(sketch, outline, colour, depth=0.22)
    for v in np.linspace(0.62, 1.1, int(rng.integers(3, 5))):
        edge = wide + (jaw - wide) * (v - 0.47) / 0.69 - 0.02
        fold = curve([(-edge, v - 0.02), (-edge / 2, v + 0.05), (0, v + 0.08), (edge / 2, v + 0.05), (edge, v - 0.02)])
        sketch.fill(band(fold + (0, 0.03), 0.035), blend(colour, (255, 255, 255), 0.4))
        sketch.fill(band(fold, 0.035), shade(colour, 0.68))
    wire = curve([(-0.4, nose + 0.18), (-0.2, nose + 0.09), (0, nose + 0.06), (0.2, nose + 0.09), (0.4, nose + 0.18)])
    sketch.fill(band(wire, 0.03), shade(colour, 0.84))
    _straps(sketch, [[(wide - 0.02, 0.48), (wide - 0.08, 0.85), (jaw - 0.01, 1.15)]], shade(colour, 0.8), 0.035)


def _fabric(sketch: Sketch, rng: Generator, pen: float) -> None:
    """Light and shadow only: the colour comes from the cloth."""
    grey: Colour = (225, 225, 225)
    nose, chin = rng.uniform(0.12, 0.26), rng.uniform(1.46, 1.58)
    wide, jaw = rng.uniform(0.86, 0.98), rng.uniform(0.72, 0.82)
    _straps(
        sketch,
        [[(wide, 0.56), (1.2, 0.34), (1.36, 0.28)], [(jaw, 1.1), (1.14, 0.8), (1.36, 0.52)]],
        (190, 190, 190),
        pen,
    )
    top = [(0.0, nose), (0.22, nose + 0.09), (0.55, 0.42), (wide, 0.5)]
    bottom = [(0.0, chin), (0.32, chin - 0.08), (0.62, 1.3), (jaw + 0.04, 1.1)]
    _cloth(sketch, _outline(rng, top=top, bottom=bottom), grey, depth=0.4)
    seam = curve([(0, nose + 0.02), (0.01, 0.6), (0, 1.0), (0, chin - 0.01)])
    sketch.fill(band(seam, 0.03), (160, 160, 160))
    sketch.fill(band(seam + (0.025, 0), 0.02), (240, 240, 240))
    hem = [(0.03, nose + 0.05), (0.24, nose + 0.13), (0.55, 0.47), (wide - 0.03, 0.55)]
    foot = [(0.03, chin - 0.05), (0.3, chin - 0.13), (0.58, 1.26), (jaw, 1.1)]
    _straps(sketch, [hem, foot], (176, 176, 176), 0.016)


def _cup(sketch: Sketch, rng: Generator, pen: float) -> None:
    """A moulded respirator with two straps around the head, often with a valve."""
    colour = _RESPIRATOR[int(rng.integers(3))]
    strap = ((228, 186, 60), (70, 70, 74), (222, 222, 220))[int(rng.integers(3))]
    nose, chin, wide = rng.uniform(0.14, 0.26), rng.uniform(1.4, 1.5), rng.uniform(0.7, 0.8)
    _straps(
        sketch,
        [[(wide - 0.06, 0.62), (1.1, 0.3), (1.4, 0.08)], [(wide - 0.1, 1.12), (1.1, 1.1), (1.4, 1.04)]],
        strap,
        pen,
    )
    top = [(0.0, nose), (0.2, nose + 0.05), (0.5, 0.42), (wide, 0.72)]
    bottom = [(0.0, chin), (0.3, chin - 0.06), (0.6, 1.26), (wide + 0.02, 0.98)]
    outline = _outline(rng, top=top, bottom=bottom)
    sketch.fill(_CENTRE + (outline - _CENTRE) * 1.03, shade(colour, 0.62))
    _cloth(sketch, outline, colour, depth=0.32)
    clip = curve([(-0.32, nose + 0.2), (-0.16, nose + 0.09), (0, nose + 0.06), (0.16, nose + 0.09), (0.32, nose + 0.2)])
    sketch.fill(band(clip, 0.06), (150, 152, 156))
    sketch.fill(band(clip - (0, 0.012), 0.02), (214, 216, 220))
    for line, pale in (
        ([(wide - 0.06, 0.98), (0.4, 1.16), (0.0, 1.2)], 0.8),
        ([(0.4, 0.52), (0.2, 0.5), (0.0, 0.5)], 0.9),
    ):
        _straps(sketch, [line], shade(colour, pale), 0.025)
    if rng.random() < 0.5:
        u = rng.choice((0.0, 0.3))
        sketch.fill(ellipse(u, 0.86, 0.19, 0.17), shade(colour, 0.66))
        sketch.fill(ellipse(u, 0.85, 0.165, 0.145), blend(colour, (150, 156, 164), 0.5))
        for v in (0.78, 0.84, 0.9):
            sketch.fill(band(np.array([(u - 0.1, v), (u + 0.1, v)]), 0.022), (96, 98, 104))


def _folded(sketch: Sketch, rng: Generator, pen: float) -> None:
    """A respirator of two halves, with a ridge from the nose to the chin."""
    colour = _RESPIRATOR[int(rng.integers(len(_RESPIRATOR)))]
    nose, chin, wide = rng.uniform(0.12, 0.24), rng.uniform(1.46, 1.56), rng.uniform(0.88, 0.96)
    loop = _WHITE if sum(colour) > 200 else (70, 70, 74)
    above, below = [(wide, 0.62), (1.18, 0.36), (1.36, 0.28)], [(wide - 0.04, 1.0), (1.16, 0.78), (1.36, 0.5)]
    _straps(sketch, [above, below], loop, pen)
    top = [(0.0, nose), (0.16, nose + 0.12), (0.5, 0.46), (wide, 0.58)]
    bottom = [(0.0, chin), (0.24, chin - 0.12), (0.56, 1.24), (wide - 0.04, 1.04)]
    outline = _outline(rng, top=top, bottom=bottom)
    _cloth(sketch, outline, colour, depth=0.24)
    half = np.maximum(outline, (0, -np.inf)) * 0.94 + (0, 0.05)
    sketch.fill(half * (int(rng.integers(2)) * 2 - 1, 1), shade(colour, 0.9))  # the half that the light does not meet
    ridge = curve([(0, nose), (0.012, 0.55), (0.012, 0.95), (0, chin)])
    sketch.fill(band(ridge - (0.03, 0), 0.035), blend(colour, (255, 255, 255), 0.5))
    sketch.fill(band(ridge, 0.03), shade(colour, 0.66))
    _straps(sketch, [[(0.12, nose + 0.16), (0.5, 0.54), (wide - 0.05, 0.66)]], shade(colour, 0.82), 0.02)
    _straps(sketch, [[(0.14, chin - 0.14), (0.52, 1.18), (wide - 0.08, 0.98)]], shade(colour, 0.8), 0.02)
    _straps(sketch, [[(wide - 0.02, 0.62), (wide - 0.05, 0.84), (wide - 0.06, 1.02)]], shade(colour, 0.76), 0.04)


STYLES: Mapping[str, Callable[[Sketch, Generator, float], None]] = MappingProxyType(
    {"surgical": _surgical, "cloth": _fabric, "cup": _cup, "folded": _folded}
)


class FaceMask:
    """A mask over nose, mouth and chin: surgical, cloth, cup-shaped or folded, in the colours these are sold in.

    `draw_on` fits it to a face's five points: it follows the tilt and the size of the face and, by the place of the
    tip of the nose between the eyes and the mouth, its turn to a side.  `styles` are names of `STYLES`.  Raises
    `UnknownNameError` for a style.
    """

    worn = Worn(0.5, 0.79, 0.99, jitter=0.015, stretch=0.04)

    def __init__(self, *, styles: Sequence[str] = tuple(STYLES)):
        if isinstance(styles, str) or not styles:
            raise OptionError(f"styles is a sequence of {', '.join(STYLES)}, at least one, not {styles!r}")
        for name in styles:
            if name not in STYLES:
                raise UnknownNameError("style of mask", str(name), STYLES)
        self.styles = tuple(styles)

    def draw(self, rng: Generator, width: int) -> Pixels:
        sketch, style = self._sketch(rng, pen=max(0.05, 3.4 * 2.7 / width))
        sketch.bend(on_face(template_points((112, 96))))
        return self._coloured(sketch.render(width), rng, style)

    def draw_on(self, points: ArrayLike, rng: Generator, image_size: tuple[int, int]) -> Placed:
        """The mask as pixels of the whole picture (H, W) for the five points (5, 2) of `template_points`.

        Raises `ShapeError` for points that span no face.
        """
        height, width = image_size
        warp = on_face(np.asarray(points, np.float64))
        sketch, style = self._sketch(rng, pen=0.05)
        sketch.bend(warp)
        return Placed(self._coloured(sketch.paint(height, width), rng, style), 0, 0)

    def _sketch(self, rng: Generator, *, pen: float) -> tuple[Sketch, str]:
        style = self.styles[int(rng.integers(len(self.styles)))]
        sketch = Sketch()
        STYLES[style](sketch, rng, pen)
        return sketch, style

    @staticmethod
    def _coloured(pixels: Pixels, rng: Generator, style: str) -> Pixels:
        if style == "cloth":
            height, width = pixels.shape[:2]
            plain = np.broadcast_to(np.array(any_colour(rng, low=30), np.uint8), (height, width, 3))
            print_ = cut(tuple(TEST_TEXTURES)[int(rng.integers(len(TEST_TEXTURES)))], rng, height, width)
            cloth = plain if rng.random() < 0.5 else print_
            pixels = pixels.copy()
            pixels[..., :3] = np.clip(pixels[..., :3].astype(np.float32) / 225 * cloth, 0, 255)
        return lit(pixels, rng, strength=0.14)


def on_face(points: NDArray[np.float64]) -> Callable[[Points], Points]:
    """The face's own coordinates (u, v) -> pixels (x, y), for five points (5, 2).

    Raises `ShapeError` when they span no face.
    """
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise ShapeError(f"the points of a face are (5, 2) numbers, x and y, not an array of shape {points.shape}")
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    across, down = points[1] - points[0], mouth - eyes
    axes = np.stack([across, down])
    if np.linalg.det(axes) < 1e-3:
        raise ShapeError(
            "the five points span no face: they are the left eye, the right eye, the tip of the nose, and the left and "
            f"right corner of the mouth, as they lie in the picture, not {points.tolist()}"
        )
    nose = (points[2] - eyes) @ np.linalg.inv(axes)
    turn = float(np.clip(nose[0], -0.5, 0.5))  # to the right of the picture when positive

    def warp(corners: Points) -> Points:
        u, v = corners[:, 0], corners[:, 1]
        middle = np.interp(v, (0, nose[1], 1, 1.5), (0, 0.8 * turn, 0.1 * turn, 0.1 * turn))
        foreshortened = np.where(u > 0, 1 - 0.9 * turn, 1 + 0.9 * turn)  # the side that is turned away
        moved: Points = eyes + np.stack([middle + u * foreshortened, v], axis=1) @ axes
        return moved

    return warp
