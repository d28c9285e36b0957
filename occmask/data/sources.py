"""A set of faces by the words of a command line: 'orl', or the path of a container in any format."""

from __future__ import annotations

import os
from dataclasses import replace

from ..errors import DataError
from ..images.reading import shown
from .faces import FaceSet
from .orl import load_orl
from .readers import load_container


def load_faces(
    source: str | os.PathLike[str],
    *,
    image_size: tuple[int, int] = (112, 96),
    template: str | None = None,
    resize: bool = False,
    unreadable: str = "refuse",
    verify: bool = True,
) -> FaceSet:
    """The faces of `source`: "orl", or a folder, list file, .rec, LMDB, tar or .bin, known by its content.

    `template` names the alignment where it is not the source's own ("orl" of ORL, "arcface" of everything else); the
    other options are those of `faces_of`, and ORL is small enough to be verified and resized always.  Raises
    `DataError` when there is nothing at that path, or nothing that can be read.
    """
    if source == "orl":
        faces = load_orl(image_size=image_size, unreadable=unreadable)
        return faces if template is None else replace(faces, template=template)
    if not os.path.lexists(source):
        raise DataError(
            f"{shown(source)}: no such file or folder; faces are read from 'orl', a folder of person/picture, or a "
            "list file, .rec, LMDB, tar or .bin"
        )
    return load_container(
        source,
        image_size=image_size,
        template="arcface" if template is None else template,
        resize=resize,
        unreadable=unreadable,
        verify=verify,
    )
