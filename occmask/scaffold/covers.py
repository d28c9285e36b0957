"""Templates of an occluder and a placement."""

from __future__ import annotations

from .template import Template

OCCLUDER = Template(
    what="an occluder of horizontal bars, like a blind",
    suffix="Occluder",
    entry_points=(("occmask.occluders", "$package:$Class"),),
    source='''"""An occluder for occmask."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

import occmask


class $Class:
    """Horizontal bars of one colour with gaps between them, like a blind.

    `bars`: how many; `share`: of the height that they fill.
    """

    worn = occmask.Worn(0.5, 0.5, 0.9)  # where it sits on an aligned face: centre x and y, width, of the picture's

    def __init__(self, *, bars: int = 4, share: float = 0.5) -> None:
        if bars < 1:
            raise occmask.OptionError(f"'$component': bars is at least 1, not {bars!r}")
        if not 0 < share <= 1:
            raise occmask.OptionError(f"'$component': share lies in (0, 1], not {share!r}")
        self.bars, self.share = bars, share

    def draw(self, rng: Generator, width: int) -> NDArray[np.uint8]:
        """RGBA pixels (h, width, 4), h being the width but at least four rows a bar."""
        height = max(width, 4 * self.bars)
        pixels = np.zeros((height, width, 4), np.uint8)
        pixels[..., :3] = rng.integers(0, 256, 3)
        within = (np.arange(height) + 0.5) / height * self.bars % 1  # of a bar and the gap below it
        pixels[within < self.share, :, 3] = 255
        return pixels
''',
    tests='''"""The occluder keeps the protocol and covers what it says."""

from __future__ import annotations

import numpy as np

import occmask
from occmask.testing import check_occluder


def test_the_occluder_keeps_the_protocol() -> None:
    check_occluder("$component")


def test_bars_fill_their_share() -> None:
    occluder = occmask.OCCLUDERS["$component"](bars=5, share=0.25)
    alpha = occluder.draw(np.random.default_rng(0), 100)[..., 3]
    assert (alpha > 0).mean() == 0.25
''',
    use="""```python
import occmask

recipe = occmask.RECIPES["from"](occluders=["$component", "cup"])
```""",
)

PLACEMENT = Template(
    what="a placement on the lower half of the face",
    suffix="Placement",
    entry_points=(("occmask.placements", "$package:$Class"),),
    source='''"""A placement for occmask."""

from __future__ import annotations

from numpy.random import Generator

import occmask


class $Class:
    """The occluder's centre anywhere in the lower half of the face.

    `share`: its width, of the face's.
    """

    def __init__(self, *, share: float = 0.5) -> None:
        if not 0 < share <= 1:
            raise occmask.OptionError(f"'$component': share lies in (0, 1], not {share!r}")
        self.share = share

    def check(self, occluder: occmask.Occluder) -> None:
        """Any occluder can be placed this way; raise `occmask.OptionError` for one that cannot."""

    def __call__(self, occluder: occmask.Occluder, rng: Generator, image_size: tuple[int, int]) -> occmask.Placed:
        height, width = image_size
        pixels = occluder.draw(rng, max(1, round(self.share * width)))
        x, y = int(rng.integers(width)), int(rng.integers(height // 2, height))
        return occmask.Placed(pixels, x - pixels.shape[1] // 2, y - pixels.shape[0] // 2)
''',
    tests='''"""The placement puts occluders where it says."""

from __future__ import annotations

import numpy as np

import occmask
from occmask.testing import check_placement


def test_the_placement_keeps_the_protocol() -> None:
    check_placement("$component")


def test_centres_lie_in_the_lower_half() -> None:
    placement, cup = occmask.PLACEMENTS.build("$component"), occmask.OCCLUDERS.build("cup")
    placement.check(cup)
    rng = np.random.default_rng(0)
    for _ in range(50):
        placed = placement(cup, rng, (112, 96))
        height, width = placed.pixels.shape[:2]
        assert 56 <= placed.top + height // 2 < 112
        assert 0 <= placed.left + width // 2 < 96


def test_a_recipe_takes_it_by_name() -> None:
    recipe = occmask.RECIPES["from"](placement=occmask.Spec("$component", share=0.3))
    assert recipe.placement.name == "$component"
''',
    use="""```python
import occmask

recipe = occmask.RECIPES["from"](placement=occmask.Spec("$component", share=0.4))
```""",
)
