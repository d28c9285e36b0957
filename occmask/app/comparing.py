"""Two faces, each with covers before it: what the model believes is covered, what both show, how alike they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ..devices import device_of
from ..images.pixels import Pixels, to_tensor
from ..matching import MATCHERS, Matcher
from ..models import FaceModel
from ..shapes import REGIONS, OcclusionAnswer, Template
from .covers import Cover, put_covers

FloatArray = NDArray[np.float64]
MATCHER_ORDER = ("cosine", "visible_cosine", "joint", "parts", "fused")


class Side(NamedTuple):
    """One of the two faces."""

    image: Pixels  # (H, W, 3) what the model saw, the covers included
    put: float  # share of the picture that the covers hide
    coverage: FloatArray | None = None  # (h, w) believed covered share of each cell; None: the model does not look
    box: FloatArray | None = None  # (4,) the likeliest rectangle, x0 y0 x1 y1 divided by W H W H; zeros: nothing
    regions: Mapping[str, float] | None = None  # believed covered share of each of `REGIONS`

    @property
    def believed(self) -> float | None:
        """The believed covered share of the whole picture."""
        return None if self.coverage is None else float(self.coverage.mean())


class Places(NamedTuple):
    """The grid of parts that the two templates are compared on."""

    cosine: FloatArray  # (rows, columns) of the two parts at each place
    shared: FloatArray  # (rows, columns) visible share of the one times that of the other; ones where nobody looked

    @property
    def agreement(self) -> FloatArray:
        """What each place says for "the same person": (rows, columns)."""
        return self.cosine * self.shared


class Comparison(NamedTuple):
    """Everything that the page shows."""

    first: Side
    second: Side
    places: Places | None  # None: the model's embedding has no parts
    scores: Mapping[str, float]  # matcher -> how alike the two are as they are shown
    uncovered: Mapping[str, float]  # the same without the covers

    @property
    def sees(self) -> bool:
        """Whether the model says what is covered."""
        return self.first.coverage is not None


class Face(NamedTuple):
    """A picture at the model's size (H, W, 3) and the covers before it."""

    pixels: Pixels
    covers: Sequence[Cover] = ()


def build_matchers() -> dict[str, Matcher]:
    """Every matcher that is known: from the plainest to the default, and then those of plug-ins."""
    known = [name for name in MATCHER_ORDER if name in MATCHERS]
    return {name: MATCHERS.build(name) for name in [*known, *(name for name in MATCHERS if name not in known)]}


def compare(
    model: FaceModel, first: Face, second: Face, *, matchers: Mapping[str, Matcher] | None = None
) -> Comparison:
    """Compare two faces as they are shown, and without their covers.

    The model is in evaluation mode; `matchers` are built ones by name, all of them when left out.  Raises `ShapeError`
    for pictures of another size than the model's.
    """
    matchers = build_matchers() if matchers is None else matchers
    put = [put_covers(face.pixels, face.covers) for face in (first, second)]
    shown = np.stack([face.image for face in put])
    bare = np.stack([first.pixels, second.pixels])
    any_cover = not np.array_equal(shown, bare)
    images = to_tensor(np.concatenate([shown, bare]) if any_cover else shown, model.config.input_spec)
    images = images.to(device_of(model))
    with torch.inference_mode():
        template = _on_cpu(model.template(images))
        answer = model.occlusion(images[:2]) if model.sees_occlusion else None
    a, b = _row(template, 0), _row(template, 1)
    scores = _scores(matchers, a, b)
    sides = [_side(face.image, float(face.covered.mean()), answer, index) for index, face in enumerate(put)]
    return Comparison(
        first=sides[0],
        second=sides[1],
        places=_places(a, b),
        scores=scores,
        uncovered=_scores(matchers, _row(template, 2), _row(template, 3)) if any_cover else scores,
    )


def _on_cpu(template: Template) -> Template:
    def moved(x: torch.Tensor | None) -> torch.Tensor | None:
        return None if x is None else x.float().cpu()

    return template._replace(
        embedding=template.embedding.float().cpu(), parts=moved(template.parts), visible=moved(template.visible)
    )


def _row(template: Template, row: int) -> Template:
    own = slice(row, row + 1)
    return template._replace(
        embedding=template.embedding[own],
        parts=None if template.parts is None else template.parts[own],
        visible=None if template.visible is None else template.visible[own],
    )


def _scores(matchers: Mapping[str, Matcher], a: Template, b: Template) -> dict[str, float]:
    return {name: matcher.pairs(matcher.prepare(a), matcher.prepare(b)).item() for name, matcher in matchers.items()}


def _places(a: Template, b: Template) -> Places | None:
    if a.parts is None or b.parts is None:
        return None
    grid = a.grid or (1, a.parts.shape[1])
    cosine = F.cosine_similarity(a.parts[0], b.parts[0], dim=1)
    shared = torch.ones_like(cosine)
    if a.visible is not None and b.visible is not None:
        shared = a.visible[0] * b.visible[0]
    return Places(*(x.double().reshape(grid).numpy() for x in (cosine, shared)))


def _side(image: Pixels, put: float, answer: OcclusionAnswer | None, index: int) -> Side:
    if answer is None:
        return Side(image, put)
    coverage = answer.cells if answer.coverage is None else answer.coverage
    regions = {name: answer.region(name)[index].item() for name in REGIONS} if answer.regions is not None else None
    return Side(
        image,
        put,
        coverage[index].double().cpu().numpy(),
        answer.box[index].double().cpu().numpy(),
        regions,
    )
