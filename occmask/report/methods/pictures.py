"""What each method believes is covered: a row a method, the same faces in every row."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

from PIL import Image

from ...errors import DataError
from ..figures import FacePicture, draw_face
from ..listings import text
from ..results import Results
from .data import answering_of
from .tables import row_head, scrolled

Pictures = Mapping[str, Sequence[FacePicture]]

_SCALE = 2  # sharp on the screens of phones


def check_pictures(pictures: Pictures) -> None:
    """Raise `DataError` unless every method has the same number of pictures."""
    counts = {method: len(shown) for method, shown in pictures.items() if len(shown)}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{method} {count}" for method, count in counts.items())
        raise DataError(f"every method needs a picture of the same faces; there are {told}")


def shows_faces(pictures: Pictures) -> bool:
    """Whether any picture is more than one flat colour."""
    return any(p.image.min() != p.image.max() for shown in pictures.values() for p in shown)


def pictures_table(results: Results, pictures: Pictures) -> str:
    """The answers of every method that has pictures, the faces themselves above them; empty without pictures."""
    methods = [m for m in answering_of(results, pictures) if pictures.get(m)]
    if not methods:
        return ""
    first = pictures[methods[0]]
    heads = "".join(f'<th scope="col">{text(p.title)}</th>' for p in first)
    rows = []
    if shows_faces(pictures):
        rows.append(_row('<th scope="row"><span class="who">as given</span></th>', [_given(p) for p in first]))
    rows += [_row(row_head(results, m), [_answer(m, p) for p in pictures[m]]) for m in methods]
    table = (
        f'<table><thead><tr><th scope="col">method</th>{heads}</tr></thead>\n<tbody>\n{"".join(rows)}</tbody></table>'
    )
    return f"{_legend(results, pictures)}{scrolled(table, 'What each believes is covered')}"


def _legend(results: Results, pictures: Pictures) -> str:
    every = [p for shown in pictures.values() for p in shown]
    grey = "" if shows_faces(pictures) else "; grey stands for the faces, which are left out of this page"
    said = f"The same faces for every method{grey}. Orange cells are believed covered, the surer the stronger."
    keys = '<li><i class="sure"></i>believed covered</li>\n'
    if any(p.box is not None for p in every):
        keys += '<li><i class="said"></i>the method\'s box</li>\n'
    if any(p.true_box is not None for p in every):
        keys += '<li><i class="true"></i>what really is covered</li>\n'
    return f'<p class="note">{text(said)}</p>\n<ul class="legend">\n{keys}</ul>\n'


def _row(head: str, cells: Sequence[str]) -> str:
    return f"<tr>{head}{''.join(cells)}</tr>\n"


def _given(picture: FacePicture) -> str:
    face = Image.fromarray(picture.image)
    face = face.resize((face.width * _SCALE, face.height * _SCALE), Image.Resampling.LANCZOS)
    return f"<td>{_image(face, f'{picture.title}, as given', flat=False)}</td>"


def _answer(method: str, picture: FacePicture) -> str:
    covered = int(picture.believed.sum())
    said = f"marks {covered} of {picture.cells.size} cells" if covered else "marks nothing"
    told = ", ".join(part for part in (picture.title, picture.subtitle) if part)
    alt = f"{told}: {method} {said}" if told else f"{method} {said}"
    flat = bool(picture.image.min() == picture.image.max())
    small = f'<span class="interval">{text(picture.subtitle)}</span>' if picture.subtitle else ""
    return f"<td>{_image(draw_face(picture, scale=_SCALE), alt, flat=flat)}{small}</td>"


def _image(face: Image.Image, alt: str, *, flat: bool) -> str:
    data = io.BytesIO()
    if flat:  # few colours: smaller and sharper than a photograph's format
        face.quantize(64).save(data, "PNG", optimize=True)
    else:
        face.save(data, "JPEG", quality=85)
    coded = base64.b64encode(data.getvalue()).decode()
    return (
        f'<img src="data:image/{"png" if flat else "jpeg"};base64,{coded}" alt="{text(alt)}" '
        f'width="{face.width // _SCALE}" height="{face.height // _SCALE}">'
    )
