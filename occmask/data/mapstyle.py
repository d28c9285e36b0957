"""Map-style objects of others as a `FaceSet`: rows of Hugging Face datasets, torchvision's (image, label), own ones."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image, ImageOps

from ..errors import DataError
from ..images.pixels import Pixels, check_image_size, sized
from ..images.reading import decode_picture, read_picture
from ..images.skipping import Skipped
from .faces import FaceSet
from .readers import faces_from_pictures

_PLAIN_MODES = ("L", "RGB", "RGBA")
_KINDS = "a PIL image, encoded bytes, {'bytes': ..., 'path': ...} or uint8 (H, W) or (H, W, 3)"


class MapStyle(Protocol):
    """What `torch.utils.data` calls a map-style data set, and `datasets.Dataset` is as well."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@dataclass(frozen=True)
class MapStylePictures:
    """The pictures of a map-style object; as picklable as that is."""

    dataset: MapStyle
    image: str
    image_size: tuple[int, int]
    resize: bool

    def __len__(self) -> int:
        return len(self.dataset)

    def name(self, index: int) -> str:
        return f"row {index}"

    def read(self, index: int) -> Pixels:
        name = self.name(index)
        picture = _picture(_cell(_row(self.dataset, index), self.image, 0, name), name)
        return sized(picture, self.image_size, name, resize=self.resize)


def faces_from_mapstyle(
    dataset: MapStyle,
    *,
    image: str = "image",
    label: str = "label",
    image_size: tuple[int, int] = (112, 96),
    template: str = "arcface",
    resize: bool = False,
    unreadable: str = "refuse",
    verify: bool = True,
) -> FaceSet:
    """The rows of any object with `__len__` and `__getitem__`: mappings, or tuples (image, label).

    `image` and `label` are the keys of mappings.  An image is a PIL image, encoded bytes, {"bytes", "path"} as
    undecoded Hugging Face columns give it, or uint8 (H, W) or (H, W, 3), RGB.  Labels are whole numbers or names.  They
    are taken from the column `dataset[label]` or from `dataset.targets` where there is one, else every row is read.
    People's names are those of `dataset.features[label].names` or `dataset.classes` where there are any.

    The other options are those of `faces_of`; with workers that are spawned, `dataset` must be picklable.  Raises
    `DataError` for rows without such an image or label, or, with `unreadable="skip"`, lists them in `.skipped`.
    """
    image_size = check_image_size(image_size)
    values, bad = _labels(dataset, label)
    rows = np.array([row for row, value in enumerate(values) if value is not None], np.int64)
    found = np.array([value for value in values if value is not None])
    people, of_rows = np.unique(found, return_inverse=True) if len(found) else (found, found.astype(np.int64))
    labels = np.zeros(len(values), np.int64)
    labels[rows] = of_rows.reshape(-1)
    return faces_from_pictures(
        MapStylePictures(dataset, image, image_size, resize),
        labels=labels,
        people=_names(people.tolist(), dataset, label),
        image_size=image_size,
        template=template,
        known_bad=bad,
        unreadable=unreadable,
        verify=verify,
        where=f"the {type(dataset).__name__}",
        rows=rows,
    )


def _labels(dataset: MapStyle, label: str) -> tuple[list[int | str | None], list[Skipped]]:
    """One label a row, None where it is none, and why."""
    column = _column(dataset, label)
    values: list[int | str | None] = []
    bad: list[Skipped] = []
    for row in range(len(dataset)):
        try:
            value = _cell(_row(dataset, row), label, 1, f"row {row}") if column is None else column[row]
            values.append(_label(value))
        except DataError as e:
            values.append(None)
            bad.append(Skipped(f"row {row}", str(e).removeprefix(f"row {row}: ")))
    kinds = {type(value).__name__ for value in values if value is not None}
    if len(kinds) > 1:
        raise DataError(f"the labels in {label!r} are numbers in some rows and names in others; make them one kind")
    return values, bad


def _column(dataset: Any, label: str) -> Sequence[Any] | None:
    """All labels at once, where the object can give them without decoding a picture."""
    if label in (getattr(dataset, "column_names", None) or ()):
        column = list(dataset[label])
    elif getattr(dataset, "targets", None) is not None:  # torchvision's ImageFolder, MNIST, CIFAR ...
        column = list(dataset.targets)
    else:
        return None
    if len(column) != len(dataset):
        raise DataError(f"the object has {len(dataset)} rows and {len(column)} labels")
    return column


def _row(dataset: MapStyle, index: int) -> Any:
    try:
        return dataset[index]
    except Exception as e:  # whatever the object stumbles over: a file that is gone, bytes that are no picture
        raise DataError(f"row {index}: cannot be read ({' '.join(str(e).split()) or type(e).__name__})") from e


def _cell(row: Any, key: str, place: int, name: str) -> Any:
    if isinstance(row, Mapping):
        if key not in row:
            raise DataError(f"{name}: no column {key!r}; it has {', '.join(map(repr, row))}")
        return row[key]
    if isinstance(row, Sequence) and not isinstance(row, str | bytes) and len(row) > place:
        return row[place]
    raise DataError(f"{name}: neither a mapping nor (image, label), but a {type(row).__name__}")


def _label(value: Any) -> int | str:
    if isinstance(value, str):
        return value
    try:
        number = int(value.item() if hasattr(value, "item") else value)
        if number == value and -(2**63) <= number < 2**63:
            return number
    except (TypeError, ValueError, RuntimeError, OverflowError):
        pass
    raise DataError(f"a label is a whole number or a name, not {str(value)[:40]!r}")


def _names(people: Sequence[int | str], dataset: Any, label: str) -> list[str]:
    try:
        names = dataset.features[label].names
    except (AttributeError, KeyError, TypeError):
        names = getattr(dataset, "classes", None)
    if isinstance(names, Sequence) and all(isinstance(p, int) and 0 <= p < len(names) for p in people):
        return [str(names[int(person)]) for person in people]
    return [person if isinstance(person, str) else f"person {person}" for person in people]


def _picture(cell: Any, name: str) -> Image.Image:
    if isinstance(cell, Mapping):
        data, path = cell.get("bytes"), cell.get("path")
        if data is None and path is not None:
            return read_picture(path)
        cell = data
    if isinstance(cell, bytes | bytearray | memoryview):
        return decode_picture(bytes(cell), name)
    if _is_pixels(cell):
        return Image.fromarray(np.ascontiguousarray(cell))
    if isinstance(cell, Image.Image):
        return _upright(cell, name)
    kind = f"{cell.dtype} {cell.shape}" if isinstance(cell, np.ndarray) else f"a {type(cell).__name__}"
    raise DataError(f"{name}: an image is {_KINDS}, not {kind}; leave out transforms to tensors")


def _is_pixels(cell: Any) -> bool:
    if not isinstance(cell, np.ndarray) or cell.dtype != np.uint8 or not cell.size:
        return False
    return cell.ndim == 2 or (cell.ndim == 3 and cell.shape[2] == 3)


def _upright(picture: Image.Image, name: str) -> Image.Image:
    """As `decode_picture` gives it; rare modes (16 bit, palettes) take the way of a file."""
    try:
        picture = ImageOps.exif_transpose(picture)
        if picture.mode in _PLAIN_MODES:
            return picture
        file = io.BytesIO()
        picture.save(file, "TIFF" if picture.mode in ("CMYK", "F", "LAB", "YCbCr") else "PNG")
    except Exception as e:  # a lazily read file may be gone or damaged
        raise DataError(f"{name}: cannot be read ({' '.join(str(e).split()) or type(e).__name__})") from e
    return decode_picture(file.getvalue(), name)
