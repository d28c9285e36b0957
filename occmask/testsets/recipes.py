"""The recipes that put an occluder before a face: by factor, area, region, where it is worn, and face masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.random import Generator

from ..errors import OptionError
from ..images.pixels import is_grey
from ..occluders import OCCLUDERS
from ..occluders.exact import ExactAreaPlacement, FactorPlacement
from ..occluders.face_masks import STYLES, FaceMask
from ..occluders.occlude import Covered, Placement, WornPlacement, paste
from ..occluders.occluder import TEST_OCCLUDERS, Occluder
from ..occluders.regions import RegionPlacement
from ..spec import Spec
from .recipe import Face, Made

SpecLike = Spec | str | Mapping[str, Any]
TEST_RECTANGLES: tuple[Spec, ...] = tuple(spec for spec in TEST_OCCLUDERS if spec.name == "rectangle")


class _WithOccluders:
    """One of the occluders at random, put where the placement says; a grey picture gets a grey occluder."""

    def __init__(self, condition: str, occluders: Sequence[SpecLike], placement: Placement):
        if isinstance(occluders, (str, Mapping, Spec)) or not occluders:
            raise OptionError(f"occluders is a sequence of at least one occluder, such as ['cup'], not {occluders!r}")
        self.condition, self.placement = condition, placement
        self.occluders = tuple(Spec.of(occluder) for occluder in occluders)
        self._built: tuple[Occluder, ...] = tuple(OCCLUDERS.build(spec) for spec in self.occluders)
        for occluder in self._built:
            placement.check(occluder)

    def __call__(self, face: Face, rng: Generator) -> Made:
        chosen = int(rng.integers(len(self._built)))
        placed = self.placement(self._built[chosen], rng, (face.image.shape[0], face.image.shape[1]))
        return _made(paste(face.image, placed, grey=is_grey(face.image)), called(self.occluders[chosen]))


class OccLfw(_WithOccluders):
    """FROM's Occ-LFW-f (Qiu et al., TPAMI 2022): an occluder `factor` times its own size, its centre on any pixel.

    Published factors are 1.0, 1.5 .. 5.0, the headline figures those of 2.0, the seed 100.  The rule is the published
    one (`FactorPlacement`), the occluders and the random numbers are not: the authors' pictures have no licence.
    With your own folder of pictures (occluder `pictures`) they are pasted as opaque rectangles, as there.
    """

    def __init__(self, *, factor: float = 2.0, occluders: Sequence[SpecLike] = TEST_OCCLUDERS):
        super().__init__(f"occ_lfw_{_number(factor, 'factor'):g}", occluders, FactorPlacement(factor))


class Area(_WithOccluders):
    """A rectangle inside the face that covers round(share * H * W) pixels of it."""

    def __init__(self, *, share: float = 0.4, occluders: Sequence[SpecLike] = TEST_RECTANGLES):
        super().__init__(f"area_{100 * _number(share, 'share'):g}", occluders, ExactAreaPlacement(share))


class Region(_WithOccluders):
    """A rectangle over one of FROM's regions, moved along the diagonal by up to `jitter` pixels.

    `region`: one of `REGIONS`; `occluders` fill the rectangle.
    """

    def __init__(
        self, *, region: str = "nose_mouth_hard", jitter: int = 5, occluders: Sequence[SpecLike] = TEST_RECTANGLES
    ):
        super().__init__(f"region_{region}", occluders, RegionPlacement(region, jitter=jitter))


class Worn(_WithOccluders):
    """An occluder where it naturally sits on an aligned face."""

    def __init__(self, *, occluders: Sequence[SpecLike] = ("sunglasses", "scarf", "hand", "cup")):
        super().__init__("worn", occluders, WornPlacement())


class MaskedFaces:
    """A face mask fitted to the five points of the face (see `FaceMask`), of one of the `styles` at random."""

    condition = "face_mask"

    def __init__(self, *, styles: Sequence[str] = tuple(STYLES)):
        self.occluders = (Spec("face_mask", styles=FaceMask(styles=styles).styles),)
        self._masks = {style: FaceMask(styles=(style,)) for style in styles}

    def __call__(self, face: Face, rng: Generator) -> Made:
        style = tuple(self._masks)[int(rng.integers(len(self._masks)))]
        placed = self._masks[style].draw_on(face.points, rng, (face.image.shape[0], face.image.shape[1]))
        return _made(paste(face.image, placed, grey=is_grey(face.image)), f"face_mask {style}")


def called(occluder: Spec) -> str:
    """What an occluder is called in a manifest: its name, and its texture where there is but one."""
    textures = occluder.options.get("textures", ())
    return f"{occluder.name} {textures[0]}" if len(textures) == 1 else occluder.name


def _made(face: Covered, occluder: str) -> Made:
    return Made(face.image, face.covered, occluder)


def _number(value: object, option: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise OptionError(f"{option} is a number, not {value!r}")
    return float(value)
