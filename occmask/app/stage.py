"""One face of the page without Gradio: its HTML, what the browser's script is told, and reading what it sends."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from ..errors import DataError, OccmaskError
from ..images.pixels import Pixels, is_grey
from ..images.template import template_points
from .comparing import Face
from .covers import KINDS, MOST_COVERS, cover_pixels, read_covers, seated
from .pictures import MAX_BYTES, as_url, bytes_of_url, open_picture, pixels_of_url

EMPTY: Mapping[str, Any] = {"picture": None, "grey": False, "note": "", "covers": []}


def stage_html(title: str, image_size: tuple[int, int]) -> str:
    """The frame that takes a picture, its buttons, and the covers to drag onto it."""
    height, width = image_size
    marks = "".join(
        f'<i class="om-mark" style="left:{100 * x / width:.1f}%;top:{100 * y / height:.1f}%"></i>'
        for x, y in template_points(image_size)
    )
    palette = "".join(
        f'<button type="button" data-kind="{name}" title="Drag onto the face, or click to put it where it sits">'
        f'<img src="{as_url(cover_pixels(name))}" alt="" draggable="false">{escape(kind.label)}</button>'
        for name, kind in KINDS.items()
    )
    return (
        f'<section class="om-stage" aria-label="{escape(title)}"><div class="om-head"><h3>{escape(title)}</h3>'
        '<button type="button" class="om-open">Open</button>'
        '<button type="button" class="om-clear" disabled>Uncover</button></div>'
        f'<div class="om-frame" style="aspect-ratio:{width}/{height}">'
        f'<img class="om-picture" alt="{escape(title)}" hidden>'
        '<button type="button" class="om-drop">Drop an aligned face here, or click to choose one</button>'
        f'<div class="om-covers"></div>{marks}</div>'
        '<input type="file" accept="image/*" hidden><p class="om-note" role="status"></p>'
        f'<p class="om-label">Drag a cover onto the face:</p><div class="om-palette">{palette}</div></section>'
    )


def stage_props(image_size: tuple[int, int]) -> dict[str, Any]:
    """What the browser's script needs to know: the covers, their seats, and the limits."""
    kinds = {}
    for name, kind in KINDS.items():
        seat = seated(name, image_size)._asdict()
        del seat["kind"]
        kinds[name] = {"label": kind.label, "free": kind.free, "image": as_url(cover_pixels(name)), "seat": seat}
    return {"kinds": kinds, "most": MOST_COVERS, "limit": MAX_BYTES}


def stage_value(pixels: Pixels, note: str = "") -> dict[str, Any]:
    """A picture (H, W, 3) without covers, as the browser's script takes it."""
    return {"picture": as_url(pixels), "grey": is_grey(pixels), "note": note, "covers": []}


def read_stage(value: object, image_size: tuple[int, int], *, name: str) -> Face | None:
    """What the browser's script sent, or None while there is no picture; `DataError` for what it would not send."""
    if not isinstance(value, Mapping):
        raise DataError(f"{name}: what the page sent is no face; load the page again")
    if not value.get("picture"):
        return None
    return Face(pixels_of_url(value["picture"], image_size, name=name), read_covers(value.get("covers", [])))


def opened(sent: object, image_size: tuple[int, int]) -> dict[str, Any]:
    """A file that the browser read, at the model's size, or {"error": one line}."""
    try:
        if not isinstance(sent, Mapping):
            raise DataError("no picture was sent")
        name = str(sent.get("name") or "this file")[:80]
        found = open_picture(bytes_of_url(sent.get("url"), name=name), image_size, name=name)
    except OccmaskError as e:
        return {"error": " ".join(str(e).split())}
    return stage_value(found.pixels, found.note)
