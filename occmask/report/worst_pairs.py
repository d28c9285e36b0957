"""The pairs a model was most wrong about, with their pictures or with their names alone."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

from PIL import Image

from ..evaluation.outcomes import Comparison
from ..images.pixels import Pixels
from .listings import text

Pictures = Callable[[str], Pixels]  # the name of a picture in the data set -> uint8 (H, W, 3)


class PairPictures(NamedTuple):
    """Where the pictures of the pairs' left and right names are found; two sets may use one name for two pictures."""

    left: Pictures
    right: Pictures


def worst_pairs(worst: Sequence[Comparison], pictures: PairPictures | None) -> str:
    """Genuine pairs scored lowest and impostor pairs scored highest; without `pictures` a list of names."""
    kinds = (
        ("One person, scored lowest", [pair for pair in worst if pair.same]),
        ("Two people, scored highest", [pair for pair in worst if not pair.same]),
    )
    parts = []
    for heading, pairs in kinds:
        if pairs:
            each = "\n".join(_pictured(pair, pictures) if pictures else _named(pair) for pair in pairs)
            inside = f'<div class="worst">\n{each}\n</div>' if pictures else f'<ul class="note">\n{each}\n</ul>'
            parts.append(f"<h3>{text(heading)}</h3>\n{inside}\n")
    return "".join(parts)


def _named(pair: Comparison) -> str:
    return f"<li>{pair.score:.3f}: {text(pair.left)} and {text(pair.right)}</li>"


def _pictured(pair: Comparison, pictures: PairPictures) -> str:
    images = _thumbnail(pictures.left(pair.left), pair.left) + _thumbnail(pictures.right(pair.right), pair.right)
    return (
        f'<figure><div class="two">{images}</div><figcaption><b>{pair.score:.3f}</b>'
        f"<small>{text(pair.left)}<br>{text(pair.right)}</small></figcaption></figure>"
    )


def _thumbnail(image: Pixels, name: str) -> str:
    data = io.BytesIO()
    Image.fromarray(image).save(data, "JPEG", quality=88)
    coded = base64.b64encode(data.getvalue()).decode()
    height, width = image.shape[:2]
    return f'<img src="data:image/jpeg;base64,{coded}" alt="{text(name)}" width="{width}" height="{height}">'
