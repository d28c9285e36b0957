"""The shapes everything is wired with and the tuples that travel through the library. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .errors import OptionError, UnknownNameError

if TYPE_CHECKING:
    from torch import Tensor

# Of an aligned face, left and right as they are in the picture; where they lie: `images.face_regions`.
REGIONS = ("forehead", "eyes", "nose", "mouth", "chin", "left", "right")


class FeatureShape(NamedTuple):
    """Channels, height and width of one feature map, or of the image."""

    channels: int
    height: int
    width: int


class FaceShapes(NamedTuple):
    """What an occlusion head is built with."""

    image: FeatureShape
    maps: tuple[FeatureShape, ...]  # what the backbone returns, finest first; the last is X1
    embedding: int  # D


class OcclusionTruth(NamedTuple):
    """Where a batch of faces is covered. Geometry, not labels: the head turns it into its own target."""

    box: Tensor  # (B, 4) float: x0 y0 x1 y1 divided by W H W H; all zero = nothing covered
    covered: Tensor | None = None  # (B, H, W) bool, True where the occluder hides the face


class FaceBatch(NamedTuple):
    """What the data yields and the training step eats."""

    image: Tensor  # (B, 3, H, W) float in [-1, 1]
    label: Tensor  # (B,) int64
    truth: OcclusionTruth | None = None  # None: nobody knows, or nothing is covered
    clean: Tensor | None = None  # (B, 3, H, W) the same faces uncovered; only for objectives that ask for them


class Occlusion(NamedTuple):
    """What an occlusion head says about a batch."""

    mask: Tensor | None  # logits of "keep": (B, C, H, W) or (B, 1, H, W) gate the top map, (B, D) the embedding;
    # None: this head says what is covered and leaves the face as it is
    pattern: Tensor | None = None  # the predictor's output: (B, P) class logits, (B, 5) corners and a logit, or
    # (B, 1, h, w) logits of "this place is covered"


class Restoration(NamedTuple):
    """What a restorer makes of a batch of images."""

    image: Tensor  # (B, 3, H, W) in the range of the images it was given
    coverage: Tensor | None = None  # (B, 1, h, w) logits of "this place is covered", on a grid of its own


class Sight(NamedTuple):
    """What a refiner sees in a batch of images, before any stage of the trunk has run."""

    coverage: Tensor  # (B, 1, h, w) logits of "this place is covered", on a grid of its own
    features: tuple[Tensor, ...] = ()  # whatever its `refine` wants to read again


class OcclusionAnswer(NamedTuple):
    """What a person wants to know, in probabilities, whatever the predictor."""

    cells: Tensor  # (B, K, K) probability that the cell is covered; row 0 is the top of the image
    box: Tensor  # (B, 4) x0 y0 x1 y1 divided by W H W H; all zero = nothing is covered
    covered: Tensor  # (B,) probability that anything is covered
    coverage: Tensor | None = None  # (B, h, w) the same as `cells` on the finest grid that the predictor has
    regions: Tensor | None = None  # (B, len(REGIONS)) covered share of each region of the face

    def region(self, name: str) -> Tensor:
        """The covered share of a region of the face, one of `REGIONS`: (B,) in [0, 1].

        Raises `UnknownNameError`, and `OptionError` for an answer of a head alone, which knows no face: ask
        `model.occlusion(images)`.
        """
        if name not in REGIONS:
            raise UnknownNameError("region", name, REGIONS)
        if self.regions is None:
            raise OptionError("this answer knows no regions of the face; ask model.occlusion(images) for one that does")
        return self.regions[:, REGIONS.index(name)]

    def is_covered(self, name: str, *, at_least: float = 0.5) -> Tensor:
        """Whether at least this share of a region of the face is covered: (B,) bool.  Raises as `region` does."""
        return self.region(name) >= at_least


class Template(NamedTuple):
    """What is kept of a face to compare it with others: who it is, place by place, and which places were seen."""

    embedding: Tensor  # (B, D), not normalised
    parts: Tensor | None = None  # (B, P, D) what each place of the top map adds to the embedding, row by row
    visible: Tensor | None = None  # (B, P) visible share of each place, in [0, 1]; None: nobody looked
    grid: tuple[int, int] | None = None  # rows and columns of the places; their product is P


class FaceOutput(NamedTuple):
    """What a model returns; what was not asked for is None and was not computed."""

    embedding: Tensor  # (B, D), not normalised
    clean: Tensor | None = None  # (B, D) without the mask; only with clean=True
    mask: Tensor | None = None  # see Occlusion.mask; set whenever there is a head
    pattern: Tensor | None = None  # see Occlusion.pattern; in training, or with occlusion=True
    coverage: Tensor | None = None  # (B, 1, h, w) logits of a refiner
    restoration: Restoration | None = None  # of a restorer; its image is what the trunk saw
    parts: Tensor | None = None  # (B, P, D) summands of the embedding, place by place; only with parts=True
    part: Tensor | None = None  # (B, 4) of a part locator: the box that was looked at once more
