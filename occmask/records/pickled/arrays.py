"""Stand-ins for the functions by which pickles of bytes and of NumPy arrays are made: what they name, without them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..random_access import RandomAccessFile
from .restricted import StandIn
from .source import Blob

_ITEM_TYPES = ("b1", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8")


@dataclass(slots=True)
class ItemType:
    """A `numpy.dtype` of truth values or integers, little-endian."""

    code: str

    def set_state(self, state: object, file: RandomAccessFile) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or not isinstance(state[1], Blob):
            raise DataError("no state of a numpy.dtype")
        if state[1].text(file) not in ("|", "<", "="):
            raise DataError("numbers that are not little-endian")

    @property
    def item_size(self) -> int:
        return int(self.code[1])


@dataclass(slots=True)
class PickledArray:
    """A `numpy.ndarray` of one axis: its numbers' type, how many, and where they are."""

    item_type: ItemType | None = None
    count: int = 0
    content: Blob | None = None

    def set_state(self, state: object, file: RandomAccessFile) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise DataError("no state of a numpy.ndarray")
        self._set(content=state[4], item_type=state[2], shape=state[1])

    def _set(self, *, content: object, item_type: object, shape: object) -> None:
        if not isinstance(item_type, ItemType) or not isinstance(content, Blob):
            raise DataError("a numpy.ndarray of anything but numbers")
        if not isinstance(shape, tuple) or len(shape) != 1 or type(shape[0]) is not int or shape[0] < 0:
            raise DataError("a numpy.ndarray of more than one axis, where encoded pictures and truth values have one")
        self.item_type, self.count, self.content = item_type, shape[0], content

    def numbers(self, file: RandomAccessFile) -> NDArray[np.generic]:
        """The array itself; `DataError` when the file has not that many numbers."""
        if self.item_type is None or self.content is None:
            raise DataError("a numpy.ndarray that was never filled")
        content = self.content.read(file)
        if len(content) != self.count * self.item_type.item_size:
            raise DataError(f"{len(content)} bytes for {self.count} numbers of type {self.item_type.code}")
        return np.frombuffer(content, np.dtype(f"<{self.item_type.code}"))


def _item_type(arguments: tuple[object, ...], file: RandomAccessFile) -> ItemType:
    code = arguments[0].text(file) if arguments and isinstance(arguments[0], Blob) else ""
    if code.lstrip("<|=") not in _ITEM_TYPES:
        raise DataError(f"numbers of type {code!r}; known: {', '.join(_ITEM_TYPES)}")
    return ItemType(code.lstrip("<|="))


def _unfilled_array(arguments: tuple[object, ...], file: RandomAccessFile) -> PickledArray:
    return PickledArray()


def _array_of_buffer(arguments: tuple[object, ...], file: RandomAccessFile) -> PickledArray:
    if len(arguments) != 4:
        raise DataError("no arguments of an array's buffer")
    array = PickledArray()
    array._set(content=arguments[0], item_type=arguments[1], shape=arguments[2])
    return array


def _scalar(arguments: tuple[object, ...], file: RandomAccessFile) -> int:
    if len(arguments) != 2 or not isinstance(arguments[1], Blob) or arguments[1].length > 64:
        raise DataError("no arguments of a NumPy scalar")
    array = PickledArray()
    array._set(content=arguments[1], item_type=arguments[0], shape=(1,))
    return int(array.numbers(file)[0])


def _encoded(arguments: tuple[object, ...], file: RandomAccessFile) -> Blob:
    """Python 3 writes bytes for older protocols as text of the same code points, to be encoded."""
    if len(arguments) != 2:
        raise DataError("no arguments of an encoding")
    text, encoding = arguments
    if not isinstance(text, Blob) or not isinstance(encoding, Blob) or encoding.text(file) not in ("latin1", "latin-1"):
        raise DataError("an encoding that bytes are not pickled with")
    return text


def _class_named_only(arguments: tuple[object, ...], file: RandomAccessFile) -> None:
    raise DataError("a numpy.ndarray made otherwise than arrays are pickled")


STAND_INS: dict[str, StandIn] = {
    "_codecs.encode": _encoded,
    "numpy.ndarray": _class_named_only,
    "numpy.dtype": _item_type,
    **{
        f"numpy.{core}.{name}": stand_in
        for core in ("core", "_core")  # before NumPy 2, and since
        for name, stand_in in (
            ("multiarray._reconstruct", _unfilled_array),
            ("multiarray.scalar", _scalar),
            ("numeric._frombuffer", _array_of_buffer),
        )
    },
}
