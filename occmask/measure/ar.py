"""The AR face database as occluded face recognition uses it: sunglasses and scarf probes against clean faces."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..data.sources import load_faces
from ..errors import DataError
from ..protocols.inputs import ProbesAndGallery

_PROBES = {"sunglasses": "prob_glass_all", "scarf": "prob_scarf_all"}


def is_ar(root: str | os.PathLike[str]) -> bool:
    """Whether a folder is laid out as `ar_groups` reads it."""
    return all((Path(root) / folder).is_dir() for folder in ("gallery", *_PROBES.values()))


def ar_groups(
    root: str | os.PathLike[str],
    *,
    image_size: tuple[int, int] = (112, 96),
    template: str | None = None,
    resize: bool = False,
    unreadable: str = "refuse",
) -> dict[str, ProbesAndGallery]:
    """Groups for the `identification` protocol from root/{gallery, prob_glass_all, prob_scarf_all}/person/picture.

    "protocol1/sunglasses" and "protocol1/scarf": against every gallery picture; "protocol2/...": against one picture a
    person, the first by name.  FROM's code takes every sixth picture of the gallery, which is the same with six a
    person.  Options are those of `load_faces`.  Raises `DataError` for a folder that is not there.
    """
    folders = {name: Path(root) / folder for name, folder in {"gallery": "gallery", **_PROBES}.items()}
    missing = [folder.name for folder in folders.values() if not folder.is_dir()]
    if missing:
        raise DataError(
            f"{root} has no folder {', '.join(missing)}; it must hold gallery, {', '.join(_PROBES.values())}"
        )
    faces = {
        name: load_faces(folder, image_size=image_size, template=template, resize=resize, unreadable=unreadable)
        for name, folder in folders.items()
    }
    gallery = faces.pop("gallery")
    single = gallery.select(np.unique(gallery.labels, return_index=True)[1])
    return {
        f"{protocol}/{name}": ProbesAndGallery(probes, enrolled)
        for protocol, enrolled in (("protocol1", gallery), ("protocol2", single))
        for name, probes in faces.items()
    }
