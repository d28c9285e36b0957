"""`check_dataset` and `check_protocol`: what pictures come from, and what is measured on them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import DATASETS
from ..data.faces import FaceSet
from ..errors import ProtocolError
from ..images.pixels import Pixels, is_grey
from ..protocols import PROTOCOLS
from ..protocols.result import Result
from .describing import check_description
from .examination import Component, Examination

_LOOKED_AT = 20


def check_dataset(dataset: Component[FaceSet], *source: Any) -> None:
    """Raise `AssertionError` unless a data set's factory gives an honest `FaceSet`; `source` is what it reads.

    Checked on its first pictures: they have the size, the type and the colour that the set tells, are the same whenever
    and in whatever order they are read, and have names of their own; labels name people; worker processes can receive
    the set; an honest description.
    """
    exam = Examination(DATASETS, dataset)
    with exam.clause("is read from its source"):
        faces = exam.build(*source)
    exam.require(isinstance(faces, FaceSet), f"gives a FaceSet, not a {type(faces).__name__}")
    exam.require(len(faces) > 0, "holds at least one picture")
    exam.require(len(set(faces.people)) == len(faces.people), "names every person once")
    some = range(min(len(faces), _LOOKED_AT))
    names = [faces.name(index) for index in some]
    exam.require(len(set(names)) == len(names), "gives every picture a name of its own")
    with exam.clause("reads its pictures"):
        pictures = [faces.image(index) for index in some]
        backwards = [faces.image(index) for index in reversed(some)][::-1]
    for name, picture, again in zip(names, pictures, backwards, strict=True):
        exam.require_pixels(picture, (*faces.image_size, 3), f"picture {name!r}")
        exam.require(np.array_equal(picture, again), f"reads {name!r} the same in any order")
    if faces.grey:
        exam.require(all(is_grey(picture[None]) for picture in pictures), "is `grey` only if no picture has colour")
    with exam.clause("can be sent to worker processes (pickled)"):
        sent = pickle.loads(pickle.dumps(faces))
    exam.require(np.array_equal(sent.image(0), pictures[0]), "reads the same in a worker process")
    _describe_reader(exam, *source)


def check_protocol(protocol: Component[Callable[..., Any]], data: Any) -> None:
    """Raise `AssertionError` unless a protocol measures as it should: `factory(**options)(embed, data) -> Result`.

    `data` is what it takes.  Checked: it embeds uint8 RGB pictures; its result has finite figures inside their
    intervals, tells protocol, settings and the data's fingerprint, and survives JSON; the same twice is the same;
    an embedder that answers NaN is refused by a `ProtocolError`; an honest description.
    """
    exam = Examination(PROTOCOLS, protocol)
    seen: list[Any] = []

    def embed(images: Pixels) -> NDArray[np.float32]:
        seen.append((images.dtype, images.ndim, images.shape[-1]))
        return _projected(images)

    with exam.clause("is called with a way to embed pictures, and data"):
        result = exam.build()(embed, data)
    exam.require(isinstance(result, Result), f"returns an occmask.Result, not a {type(result).__name__}")
    exam.require(bool(seen), "embeds the pictures of the data, but never asked for one")
    exam.require(all(kind == (np.uint8, 4, 3) for kind in seen), "embeds uint8 pictures (N, H, W, 3)")
    exam.require(bool(result.protocol), "says in `protocol` which it is")
    exam.require("fingerprint" in result.data, "tells in `data` the fingerprint of what it was measured on")
    exam.require(any(result.figures.values()), "has figures")
    for group, figures in result.figures.items():
        for name, (value, low, high) in ((name, tuple(f)[:3]) for name, f in figures.items()):
            exam.require(low - 1e-9 <= value <= high + 1e-9, f"has {group} {name} inside its interval")
    with exam.clause("gives a result that JSON holds"):
        plain = result.to_dict()
    exam.require(Result.from_dict(plain).to_dict() == plain, "gives a result that JSON gives back")
    exam.require(exam.build()(_projected, data).to_dict() == plain, "finds the same twice")
    try:
        exam.build()(lambda images: np.full((len(images), 4), np.nan, np.float32), data)
    except ProtocolError:
        pass
    else:
        exam.require(False, "refuses embeddings of NaN by a ProtocolError, but measured them")
    check_description(exam)


def _projected(images: Pixels) -> NDArray[np.float32]:
    """The picture at 8 x 8, its mean taken away: good enough to tell people apart a little."""
    height, width = (side // 8 * 8 for side in images.shape[1:3])
    blocks = images[:, :height, :width].reshape(len(images), 8, height // 8, 8, width // 8, 3)
    rows = blocks.mean((2, 4)).reshape(len(images), -1)
    found: NDArray[np.float32] = (rows - rows.mean(1, keepdims=True) + 1e-3).astype(np.float32)
    return found


def _describe_reader(exam: Examination, *source: Any) -> None:
    """A reader's options may be paths, so only what it says is judged."""
    check_description(exam, *source, data_only=True)
