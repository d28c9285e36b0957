"""Writes pairs as InsightFace reads them: a pickle of ([2P encoded pictures], [P truth values])."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from ...errors import DataError
from ...images.reading import shown
from ..writing import replacing

_BATCH = 1000  # values that a reader of the pickle keeps on its stack


def write_bin(path: str | os.PathLike[str], images: Iterable[bytes], same: Iterable[bool]) -> int:
    """Write 2P encoded pictures and P truth values as InsightFace reads them; returns P.

    Both are taken one after the other, `images` first, and not kept.  The file is there when it is complete; one that
    was there is replaced.  Raises `DataError` when there are not two pictures for each pair, a picture is empty or the
    file cannot be written.
    """
    where = Path(path)
    try:
        with replacing(where) as file:
            return _write(file, images, same)
    except OSError as e:
        raise DataError(f"{shown(where)}: cannot be written ({e.strerror})") from e
    except DataError as e:
        raise DataError(f"{shown(where)}: {e}") from None


def _write(file: BinaryIO, images: Iterable[bytes], same: Iterable[bool]) -> int:
    """Protocol 3, which every Python 3 reads, without the memo, which would keep every picture twice in a reader."""
    file.write(pickle.PROTO + b"\x03")
    pictures = _write_list(file, (_bytes(image, number) for number, image in enumerate(images)))
    pairs = _write_list(file, (pickle.NEWTRUE if value else pickle.NEWFALSE for value in same))
    if pictures != 2 * pairs or not pairs:
        raise DataError(f"{pictures} pictures for {pairs} pairs, which need {2 * pairs}")
    file.write(pickle.TUPLE2 + pickle.STOP)
    return pairs


def _write_list(file: BinaryIO, values: Iterable[bytes]) -> int:
    file.write(pickle.EMPTY_LIST)
    remaining, count = iter(values), 0
    while batch := list(islice(remaining, _BATCH)):
        file.write(pickle.MARK)
        file.writelines(batch)
        file.write(pickle.APPENDS)
        count += len(batch)
    return count


def _bytes(image: bytes, number: int) -> bytes:
    if not image:
        raise DataError(f"picture {number} has 0 bytes")
    return pickle.BINBYTES + struct.pack("<I", len(image)) + image
