"""`InputSpec`: what pictures a model takes. Plain data, carried by every checkpoint. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import DataError, OptionError, did_you_mean

COLOURS = ("RGB", "BGR")


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """The pictures that a model was trained on, and so the only ones it is good at.

    `size`: (height, width) in pixels.  `template`: the name of the alignment, such as "arcface" (five points of the
    face moved to fixed places, which 112x112 and 112x96 crops share up to the columns cut off), or "orl".  `colour`:
    the order of the three channels in the model's tensor, "RGB" or "BGR" (pictures themselves are always RGB here).
    A channel enters the model as (x - mean) / scale, x in 0..255.  Raises `OptionError` for values that cannot be.
    """

    size: tuple[int, int] = (112, 96)
    template: str = "arcface"
    colour: str = "RGB"
    mean: float = 127.5
    scale: float = 127.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", tuple(self.size))
        if self.colour not in COLOURS:
            raise OptionError(f"colour is the order of a model's channels, 'RGB' or 'BGR', not {self.colour!r}")
        if not self.scale > 0:
            raise OptionError(f"scale is what a channel is divided by, above 0, not {self.scale!r}")
        if not isinstance(self.template, str) or not self.template:
            raise OptionError(f"template is the name of an alignment, such as 'arcface', not {self.template!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "size": list(self.size)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> InputSpec:
        """The spec that `to_dict` described; an unknown entry is an `OptionError`."""
        known = [field.name for field in fields(cls)]
        for key in plain:
            if key not in known:
                raise OptionError(f"an InputSpec has no {key!r}.{did_you_mean(key, known)} It has: {', '.join(known)}")
        return cls(**plain)

    def check(self, *, size: tuple[int, int], template: str) -> None:
        """Raise `DataError` when pictures of this size and alignment are not what the model takes."""
        if tuple(size) != self.size:
            raise DataError(
                f"the pictures are {_pixels(size)} and the model takes {_pixels(self.size)}; read them with "
                f"image_size={self.size}"
            )
        if template != self.template:
            raise DataError(
                f"the pictures are aligned as {template!r} and the model was trained on {self.template!r}, which costs "
                "accuracy without a word: align them anew (occmask align), or, where they are aligned like the model's "
                f"and only named otherwise, read them with template={self.template!r} (--template {self.template})"
            )


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]} (height x width)"
