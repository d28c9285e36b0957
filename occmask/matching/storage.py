"""Templates as bytes: one record a face, which says itself what is in it.

A record is a header of 20 bytes, little-endian, and then what the header names, without gaps:

    magic "ocmT"  version u8  precision u8  fields u8 (1 parts, 2 visible, 4 grid)  0 u8  D u32  P u32
    rows u16  columns u16
    embedding (D,)  |  with int8: scale (P,)  |  parts (P, D)  |  visible (P,)

Numbers are float32 or float16 as the precision says.  With int8 the parts are int8, each with a float32 scale of its
own, since a hidden part is often far smaller than its neighbours; the embedding is float16 then, and what is visible
255ths.
A record is data and nothing else: no byte of it is ever run.  Reading a header needs neither torch nor NumPy.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import DataError, OptionError, ShapeError, did_you_mean
from ..shapes import Template

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

PRECISIONS = ("float32", "float16", "int8")
MAX_WIDTH, MAX_PARTS, MAX_BYTES = 1 << 16, 1 << 12, 1 << 26  # of a record that is read
_MAGIC, _VERSION = b"ocmT", 1
_HEADER = struct.Struct("<4sBBBBIIHH")
_PARTS, _VISIBLE, _GRID = 1, 2, 4
_STEPS, _SHARES = 127, 255  # of an int8 part on either side of 0; of what is visible
_LEAST_SCALE = 2.0**-126  # below it a float32 has fewer digits
# Bytes of a number: of the embedding, of the parts, of a part's scale, of a visible share.
_SIZES = {"float32": (4, 4, 0, 4), "float16": (2, 2, 0, 2), "int8": (2, 1, 4, 1)}


class RecordKind(NamedTuple):
    """What a record holds; templates of two kinds cannot be compared."""

    dim: int  # D
    parts: int  # P; 0: the embedding alone
    visible: bool
    grid: tuple[int, int] | None
    precision: str

    def __str__(self) -> str:
        grid = "" if self.grid is None else f" on a grid of {self.grid[0]} x {self.grid[1]}"
        seen = " and what is visible of them" if self.visible else ""
        parts = f", {self.parts} parts{grid}{seen}" if self.parts else ""
        return f"embeddings of {self.dim} numbers{parts}, as {self.precision}"

    @property
    def bytes(self) -> int:
        """Of one record."""
        embedding, parts, scale, share = _SIZES[self.precision]
        shares = share * self.parts if self.visible else 0
        return _HEADER.size + embedding * self.dim + self.parts * (parts * self.dim + scale) + shares


def template_bytes(dim: int, parts: int, precision: str, *, visible: bool = True) -> int:
    """How many bytes a face takes: of an embedding of `dim` numbers and `parts` parts (0: none), header included."""
    return RecordKind(dim, parts, visible and parts > 0, None, check_precision(precision)).bytes


def check_precision(precision: str) -> str:
    """One of `PRECISIONS`, or `OptionError`."""
    if precision not in PRECISIONS:
        hint = did_you_mean(str(precision), PRECISIONS)
        raise OptionError(f"templates are stored as {', '.join(PRECISIONS)}, not {precision!r}.{hint}")
    return precision


def record_kind(record: bytes) -> RecordKind:
    """What a record says it holds, read from its header and held against its length.

    Raises `DataError` for bytes that are no record, of a later version, of absurd sizes, or of another length.
    """
    if len(record) < _HEADER.size:
        raise DataError(f"{len(record)} bytes are no stored template: its header alone has {_HEADER.size}")
    magic, version, precision, fields, zero, dim, parts, rows, columns = _HEADER.unpack_from(record)
    if magic != _MAGIC:
        raise DataError(f"this is no stored template: it begins with {bytes(magic)!r}, not with {_MAGIC!r}")
    if version != _VERSION:
        raise DataError(f"this template is stored in version {version} and this occmask reads {_VERSION}; update it")
    grid = (rows, columns) if fields & _GRID else None
    whole = (
        precision < len(PRECISIONS)
        and zero == 0
        and fields < 8
        and bool(fields & _PARTS) == (parts > 0)
        and (fields & _PARTS or not fields)
        and (rows * columns == parts if grid else rows == columns == 0)
    )
    if not whole:
        raise DataError("the header of this stored template contradicts itself; it is damaged")
    if not 1 <= dim <= MAX_WIDTH or parts > MAX_PARTS:
        raise DataError(
            f"this stored template claims embeddings of {dim} numbers and {parts} parts; up to {MAX_WIDTH} and "
            f"{MAX_PARTS} are read"
        )
    kind = RecordKind(dim, parts, bool(fields & _VISIBLE), grid, PRECISIONS[precision])
    if kind.bytes > MAX_BYTES or kind.bytes != len(record):
        raise DataError(f"a stored template of {kind} has {kind.bytes:,} bytes, not {len(record):,}; it is damaged")
    return kind


def kind_of(template: Template, precision: str) -> RecordKind:
    """What records of this template hold.  Raises `OptionError` for the precision."""
    parts = 0 if template.parts is None else template.parts.shape[1]
    grid = None if template.grid is None or not parts else (int(template.grid[0]), int(template.grid[1]))
    visible = template.visible is not None and parts > 0
    return RecordKind(template.embedding.shape[1], parts, visible, grid, check_precision(precision))


def encode(template: Template, precision: str = "float16") -> list[bytes]:
    """One record a face of the template, as "float32", "float16" or "int8".

    What is lost: with float16 up to 2^-11 of each number; with int8 up to 1/254 of each part's largest number, and
    1/510 of a visible share.  Raises `ShapeError` for a template whose tensors do not belong together or that has
    numbers which are not finite or too large for float16, `OptionError` for another precision.
    """
    from .checks import check_template

    check_template(template)
    kind = kind_of(template, precision)
    if kind.dim < 1 or kind.dim > MAX_WIDTH or kind.parts > MAX_PARTS or kind.bytes > MAX_BYTES:
        raise ShapeError(f"a template of {kind} is larger than what is stored ({MAX_WIDTH} numbers, {MAX_PARTS} parts)")
    if kind.grid is not None and max(kind.grid) >= 1 << 16:
        raise ShapeError(f"a grid of {kind.grid[0]} x {kind.grid[1]} is larger than what is stored")
    columns: list[NDArray[Any]] = [_floats(template.embedding, "embedding", kind)]
    if template.parts is not None and kind.parts:
        quantised = kind.precision == "int8"
        columns += _quantised(template.parts) if quantised else [_floats(template.parts, "parts", kind)]
    if template.visible is not None and kind.visible:
        columns.append(_shares(template.visible, kind))
    header = record_header(kind)
    return [header + b"".join(numbers.tobytes() for numbers in face) for face in zip(*columns, strict=True)]


def decode(records: Sequence[bytes]) -> Template:
    """The template of these faces, in float32 on the CPU.

    Raises `DataError` for a record that is damaged, for records of more than one kind, and for none at all.
    """
    import numpy as np
    import torch

    if not records:
        raise DataError("no stored templates were given, so nothing says how wide they are")
    kind = record_kind(records[0])
    start = record_header(kind)
    for record in records:
        if len(record) != kind.bytes or not record.startswith(start):
            other = record_kind(record)  # says what is wrong with a damaged one
            raise DataError(f"stored templates of two kinds do not go together: {kind}; {other}")
    table = np.frombuffer(b"".join(records), np.uint8).reshape(len(records), kind.bytes)[:, _HEADER.size :]
    float_type = "<f4" if kind.precision == "float32" else "<f2"
    reader = _Reader(table)
    embedding = reader.take(float_type, kind.dim)
    parts = visible = None
    if kind.parts and kind.precision == "int8":
        scale = reader.take("<f4", kind.parts)
        parts = reader.take("i1", kind.parts * kind.dim).reshape(-1, kind.parts, kind.dim)
        if not (scale >= 0).all() or not np.isfinite(scale * np.float32(_STEPS + 1)).all():  # nor NaN
            raise DataError("a stored template holds a scale that no part has; it is damaged")
        parts *= scale[..., None]
    elif kind.parts:
        parts = reader.take(float_type, kind.parts * kind.dim).reshape(-1, kind.parts, kind.dim)
    if kind.visible:
        visible = reader.take("u1" if kind.precision == "int8" else float_type, kind.parts)
        if kind.precision == "int8":
            visible /= np.float32(_SHARES)
        elif not ((visible >= 0) & (visible <= 1)).all():  # not so for NaN, either
            raise DataError("a stored template says that less than nothing or more than all is visible; it is damaged")
    if not all(np.isfinite(x).all() for x in (embedding, parts) if x is not None):
        raise DataError("a stored template holds numbers that are not finite; it is damaged")
    tensors = [None if x is None else torch.from_numpy(x) for x in (embedding, parts, visible)]
    return Template(tensors[0], tensors[1], tensors[2], kind.grid)  # type: ignore[arg-type]


class _Reader:
    """Takes one field after the other off rows of bytes (N, n)."""

    def __init__(self, table: NDArray[np.uint8]):
        self._table, self._at = table, 0

    def take(self, kind: str, count: int) -> NDArray[np.float32]:
        """The next `count` numbers of every row, as float32 on memory of their own."""
        import numpy as np

        end = self._at + np.dtype(kind).itemsize * count
        column = np.ascontiguousarray(self._table[:, self._at : end]).view(kind)
        self._at = end
        return column.astype(np.float32)


def record_header(kind: RecordKind) -> bytes:
    """What a record of this kind begins with."""
    fields = _PARTS * (kind.parts > 0) | _VISIBLE * kind.visible | _GRID * (kind.grid is not None)
    precision = PRECISIONS.index(kind.precision)
    return _HEADER.pack(_MAGIC, _VERSION, precision, fields, 0, kind.dim, kind.parts, *(kind.grid or (0, 0)))


def _numbers(x: Tensor, name: str) -> NDArray[np.float32]:
    import numpy as np

    found: NDArray[np.float32] = np.ascontiguousarray(x.detach().float().cpu().numpy())
    if not np.isfinite(found).all():
        raise ShapeError(f"the {name} of a template to store hold NaN or infinity; leave that face out")
    return found


def _floats(x: Tensor, name: str, kind: RecordKind) -> NDArray[Any]:
    """As the precision says, with int8 as float16."""
    import numpy as np

    numbers = _numbers(x, name)
    if kind.precision == "float32":
        return numbers.astype("<f4")
    largest = float(np.finfo(np.float16).max)
    if numbers.size and float(np.abs(numbers).max()) > largest:
        raise ShapeError(f"the {name} of a template hold numbers beyond {largest:g}; store it as float32")
    return numbers.astype("<f2")


def _quantised(template_parts: Tensor) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scales (B, P), 127 of which are a part's largest number, and the parts in these (B, P, D)."""
    import numpy as np

    parts = _numbers(template_parts, "parts")
    scale = np.maximum(np.abs(parts).max(2) / np.float32(_STEPS), np.float32(_LEAST_SCALE))
    return scale.astype("<f4"), np.rint(parts / scale[..., None]).clip(-_STEPS, _STEPS).astype(np.int8)


def _shares(visible: Tensor, kind: RecordKind) -> NDArray[Any]:
    import numpy as np

    shares = _numbers(visible, "visible shares")
    if shares.size and not 0 <= float(shares.min()) <= float(shares.max()) <= 1:
        raise ShapeError("what is visible of a template lies in [0, 1]")
    if kind.precision == "int8":
        return np.rint(shares * _SHARES).astype(np.uint8)
    return shares.astype("<f4" if kind.precision == "float32" else "<f2")
