"""`check_occluder`, `check_placement` and `check_testset`: what is drawn before faces, by a random generator."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np

from ..errors import OptionError
from ..images.template import template_points
from ..occluders import OCCLUDERS, PLACEMENTS
from ..occluders.occlude import Placed, Placement, paste
from ..occluders.occluder import Occluder, Worn
from ..spec import Spec
from ..testsets import TESTSETS
from ..testsets.recipe import Face, Made
from ..testsets.recipe import Recipe as TestSetRecipe
from .describing import check_description
from .examination import Component, Examination
from .faces import IMAGE_SIZES

_WIDTHS = (1, 7, 40, 112)
_SEEDS = range(4)


def check_occluder(occluder: Component[Occluder]) -> None:
    """Raise `AssertionError` unless an occluder keeps its protocol (`occmask.occluders.occluder.Occluder`).

    Checked: `worn` is an `occmask.occluders.occluder.Worn` on the face; it draws RGBA pixels of any width it is asked
    for, the same from the same generator and with no other random numbers, and hides something; `fill`, if there is
    one, fills the rectangle, opaque everywhere; worker processes can receive it; and an honest description.
    """
    exam = Examination(OCCLUDERS, occluder)
    built = exam.build()
    worn = getattr(built, "worn", None)
    exam.require(isinstance(worn, Worn), f"says by `worn`, a Worn, where it sits on a face, not {worn!r}")
    assert worn is not None
    exam.require(0 <= worn.x <= 1 and 0 <= worn.y <= 1 and worn.width > 0, f"is worn on the face, not at {worn}")
    for seed in _SEEDS:
        for width in _WIDTHS:
            pixels = _drawn(exam, f"draws at width {width}", built.draw, seed, width)
            exam.require_pixels(pixels, (None, width, 4), f"what is drawn at width {width}")
        exam.require(bool((pixels[..., 3] >= 128).any()), "hides something at its largest, but is transparent")
        if hasattr(built, "fill"):
            filled = _drawn(exam, "fills a rectangle", built.fill, seed, 9, 30)
            exam.require_pixels(filled, (9, 30, 4), "a filled rectangle, height 9 and width 30,")
            exam.require(bool((filled[..., 3] == 255).all()), "fills rectangles that are opaque everywhere")
    _check_travels(exam, built, lambda o: o.draw(np.random.default_rng(1), 40))
    check_description(exam)


def check_placement(placement: Component[Placement]) -> None:
    """Raise `AssertionError` unless a placement keeps its protocol (`occmask.occluders.occlude.Placement`).

    Checked, for every occluder that its `check` accepts: it says where the pixels go, the same from the same generator
    and with no other random numbers, so that they can be pasted, and covers something in most cases; what `check` does
    not accept is refused by an `OptionError`; worker processes can receive it.
    """
    exam = Examination(PLACEMENTS, placement)
    built = exam.build()
    accepted = 0
    for occluder in (OCCLUDERS.build("rectangle"), OCCLUDERS.build("cup")):
        try:
            built.check(occluder)
        except OptionError:
            continue
        except Exception as e:
            raise AssertionError(f"{exam.what} refuses an occluder by an OptionError, not by {e!r}") from e
        accepted += 1
        for size in IMAGE_SIZES:
            covered = 0
            for seed in range(8):
                placed = _drawn(exam, "places an occluder", lambda rng: built(occluder, rng, size), seed)  # noqa: B023
                exam.require(isinstance(placed, Placed), f"returns a Placed, not a {type(placed).__name__}")
                exam.require_pixels(placed.pixels, (None, None, 4), "what is placed")
                exam.require(
                    isinstance(placed.left, int) and isinstance(placed.top, int), "says where in whole pixels (int)"
                )
                covered += bool(paste(np.zeros((*size, 3), np.uint8), placed).covered.any())
            exam.require(covered >= 4, f"covers something of most faces, but of {covered} out of 8 at {size}")
    exam.require(accepted > 0, "accepts the built-in rectangle or the cup, but refuses both")
    _check_travels(exam, built, lambda p: p(OCCLUDERS.build("rectangle"), np.random.default_rng(1), IMAGE_SIZES[0]))


def check_testset(recipe: Component[TestSetRecipe]) -> None:
    """Raise `AssertionError` unless a recipe for test sets keeps its protocol (`occmask.testsets.recipe.Recipe`).

    Checked: `condition` and `occluders` say what it does; a face becomes a picture of the same size with a covered map,
    the same from the same generator and with no other random numbers; the face is left as it was, and so is every pixel
    that the map calls visible, but for the soft edge of what covers it; an honest description.
    """
    exam = Examination(TESTSETS, recipe)
    built = exam.build()
    condition, occluders = getattr(built, "condition", None), getattr(built, "occluders", None)
    exam.require(isinstance(condition, str) and bool(condition), f"names its `condition`, not {condition!r}")
    exam.require(
        isinstance(occluders, (tuple, list)) and all(isinstance(o, Spec) for o in occluders),
        f"lists its `occluders` as Specs, not {occluders!r}",
    )
    for size in IMAGE_SIZES:
        for seed in _SEEDS:
            image = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
            face = Face(image.copy(), template_points(size))
            made = _drawn(exam, "makes a face", lambda rng: built(face, rng), seed)  # noqa: B023
            exam.require(isinstance(made, Made), f"returns a Made, not a {type(made).__name__}")
            exam.require_pixels(made.image, (*size, 3), "the made picture")
            exam.require(
                isinstance(made.covered, np.ndarray) and made.covered.dtype == bool and made.covered.shape == size,
                f"maps what is covered as bool {size}",
            )
            exam.require(np.array_equal(face.image, image), "leaves the face that it is given as it was")
            far = ~made.covered & ~_grown(made.covered)
            exam.require(
                np.array_equal(made.image[far], image[far]), "changes only what it calls covered, and its soft edge"
            )
            exam.require(isinstance(made.occluder, str), f"says in words what hides the face, not {made.occluder!r}")
    check_description(exam)


def _drawn(exam: Examination, sentence: str, draw: Any, seed: int, *arguments: Any) -> Any:
    """What is drawn, twice from the same seed, while NumPy's global generator is watched."""
    state = np.random.get_state()  # noqa: NPY002 - to see that nobody touches it
    with exam.clause(sentence):
        first = draw(np.random.default_rng(seed), *arguments)
        second = draw(np.random.default_rng(seed), *arguments)
    exam.require(
        pickle.dumps(first) == pickle.dumps(second), f"{sentence} the same from the same generator, but these differ"
    )
    untouched = pickle.dumps(state) == pickle.dumps(np.random.get_state())  # noqa: NPY002
    exam.require(untouched, "draws from the generator that it is given alone, but NumPy's global one has moved")
    return first


def _check_travels(exam: Examination, built: Any, use: Any) -> None:
    with exam.clause("can be sent to worker processes (pickled) and copied"):
        sent = pickle.loads(pickle.dumps(built))
        copy.deepcopy(built)
    exam.require(pickle.dumps(use(sent)) == pickle.dumps(use(built)), "does the same after it was sent to a worker")


def _grown(covered: Any) -> Any:
    """The map and a rim of three pixels, as wide as an anti-aliased edge gets."""
    grown = np.zeros_like(covered)
    padded = np.pad(covered, 3)
    for dy in range(7):
        for dx in range(7):
            grown |= padded[dy : dy + covered.shape[0], dx : dx + covered.shape[1]]
    return grown
