"""A reader of pickles that cannot run anything, and takes no more memory than the file's opcodes need.

It knows the opcodes for lists, tuples, numbers and bytes, of every protocol, and the few functions that a caller gives
it stand-ins for.  Bytes are not read but remembered by their place in the file.  Everything else (other functions,
classes, dictionaries, persistent ids, extensions, buffers out of band) is refused by name.
Source: the descriptions of the opcodes in Python's `pickletools`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias, runtime_checkable

from ...errors import DataError
from ..random_access import RandomAccessFile
from .source import Blob, Source

MAX_OPCODES = 2_000_000  # a set of 12,000 pictures has about 40,000, or 300,000 when they are NumPy arrays


@runtime_checkable
class Built(Protocol):
    """What a stand-in made and the pickle goes on to give a state."""

    def set_state(self, state: object, file: RandomAccessFile) -> None:
        """`DataError` when that cannot be its state."""
        ...


StandIn: TypeAlias = Callable[[tuple[object, ...], RandomAccessFile], object]


@dataclass(frozen=True, slots=True)
class _Global:
    stand_in: StandIn


def load(file: RandomAccessFile, stand_ins: Mapping[str, StandIn]) -> object:
    """What the file holds: None, bool, int, `Blob`, lists and tuples of such, and what the stand-ins make.

    `stand_ins` are called with a function's arguments, by the function's full name.  Lists may contain themselves, and
    one another many times over: look at the levels that are needed, and no deeper.  Raises `DataError` with the reason.
    """
    machine = _Machine(file, stand_ins)
    try:
        for _ in range(MAX_OPCODES):
            opcode = machine.source.take(1)
            if opcode == b".":
                return machine.stack.pop()
            do = _OPCODES.get(opcode)
            if do is None:
                raise machine.refusal(f"opcode {opcode!r}, which nothing here is made with")
            do(machine)
    except DataError:
        raise
    except (IndexError, KeyError, ValueError):  # an empty stack, an unknown memo, no number
        raise DataError(f"a damaged pickle before byte {machine.source.position}") from None
    raise DataError(f"more than {MAX_OPCODES} opcodes")


class _Machine:
    def __init__(self, file: RandomAccessFile, stand_ins: Mapping[str, StandIn]):
        self.source = Source(file)
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}
        self._stand_ins = stand_ins

    def refusal(self, what: str) -> DataError:
        return DataError(f"refused, and nothing of it was run: before byte {self.source.position} it has {what}")

    def after_mark(self) -> list[object]:
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def blob(self, size_of_length: int, written: str) -> None:
        length = self.source.number(size_of_length)
        self.stack.append(Blob(self.source.skip(length), length, written))

    def quoted_line(self) -> None:
        start, length = self.source.line()
        quotes = self.source.file.read(start, 1) + self.source.file.read(start + max(length, 1) - 1, 1)
        if length < 2 or quotes not in (b"''", b'""'):
            raise ValueError("no quoted string")
        self.stack.append(Blob(start + 1, length - 2, "escape"))

    def unquoted_line(self) -> None:
        self.stack.append(Blob(*self.source.line(), "raw-unicode-escape"))

    def integer_line(self) -> None:
        line = self.source.short_line()
        self.stack.append(line == "01" if line in ("00", "01") else int(line.removesuffix("L")))

    def short_long(self) -> None:
        self.stack.append(self.source.number(self.source.number(1), signed=True))

    def append(self, values: list[object]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise ValueError("appended to what is no list")
        target += values

    def look_up(self, module: str, name: str) -> None:
        stand_in = self._stand_ins.get(f"{module}.{name}")
        if stand_in is None:
            raise self.refusal(f"a request for {f'{module}.{name}'!r}, which nothing here is made with")
        self.stack.append(_Global(stand_in))

    def global_lines(self) -> None:
        self.look_up(self.source.short_line(), self.source.short_line())

    def global_of_stack(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, Blob) or not isinstance(module, Blob):
            raise ValueError("no names")
        self.look_up(module.text(self.source.file), name.text(self.source.file))

    def call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise self.refusal("a call of what is no function")
        self.stack.append(function.stand_in(arguments, self.source.file))

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, Built):
            raise self.refusal("a state for what takes none")
        target.set_state(state, self.source.file)

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise IndexError("an empty stack")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]


_OPCODES: dict[bytes, Callable[[_Machine], object]] = {
    b"\x80": lambda m: m.source.take(1),  # PROTO
    b"\x95": lambda m: m.source.take(8),  # FRAME
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"0": lambda m: m.stack.pop(),
    b"1": lambda m: m.after_mark(),
    b"2": lambda m: m.stack.append(m.stack[-1]),
    b"N": lambda m: m.stack.append(None),
    b"\x88": lambda m: m.stack.append(True),
    b"\x89": lambda m: m.stack.append(False),
    b"]": lambda m: m.stack.append([]),
    b"l": lambda m: m.stack.append(m.after_mark()),
    b"a": lambda m: m.append([m.stack.pop()]),
    b"e": lambda m: m.append(m.after_mark()),
    b")": lambda m: m.stack.append(()),
    b"t": lambda m: m.stack.append(tuple(m.after_mark())),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"I": _Machine.integer_line,
    b"L": _Machine.integer_line,
    b"J": lambda m: m.stack.append(m.source.number(4, signed=True)),
    b"K": lambda m: m.stack.append(m.source.number(1)),
    b"M": lambda m: m.stack.append(m.source.number(2)),
    b"\x8a": _Machine.short_long,
    b"S": _Machine.quoted_line,
    b"V": _Machine.unquoted_line,
    **{
        opcode: partial(_Machine.blob, size_of_length=size, written=written)
        for opcode, size, written in (
            (b"T", 4, "raw"),  # BINSTRING, SHORT_BINSTRING: bytes of Python 2
            (b"U", 1, "raw"),
            (b"B", 4, "raw"),  # BINBYTES, SHORT_BINBYTES, BINBYTES8, BYTEARRAY8
            (b"C", 1, "raw"),
            (b"\x8e", 8, "raw"),
            (b"\x96", 8, "raw"),
            (b"X", 4, "utf-8"),  # BINUNICODE, SHORT_BINUNICODE, BINUNICODE8
            (b"\x8c", 1, "utf-8"),
            (b"\x8d", 8, "utf-8"),
        )
    },
    b"g": lambda m: m.stack.append(m.memo[int(m.source.short_line())]),
    b"h": lambda m: m.stack.append(m.memo[m.source.number(1)]),
    b"j": lambda m: m.stack.append(m.memo[m.source.number(4)]),
    b"p": lambda m: m.put(int(m.source.short_line())),
    b"q": lambda m: m.put(m.source.number(1)),
    b"r": lambda m: m.put(m.source.number(4)),
    b"\x94": lambda m: m.put(len(m.memo)),
    b"c": _Machine.global_lines,
    b"\x93": _Machine.global_of_stack,
    b"R": _Machine.call,
    b"b": _Machine.build,
}
