"""Conversions of pairs: beside a container that holds records, inside one that holds pairs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ...errors import DataError
from ...images.reading import shown
from ...images.skipping import Skipped
from ..names import short
from ..pair_lists import ListedPair, beside, read_pair_list, write_pair_list
from ..record import RecordReader
from ..writing import check_free
from .log import ConvertReport


@runtime_checkable
class PairedRecords(Protocol):
    """A container of pairs: records `left[i]` and `right[i]` show one person when `same[i]`."""

    @property
    def left(self) -> NDArray[np.int64]: ...

    @property
    def right(self) -> NDArray[np.int64]: ...

    @property
    def same(self) -> NDArray[np.bool_]: ...


def pairs_of(
    reader: RecordReader, source: str | os.PathLike[str], given: str | os.PathLike[str] | None
) -> list[ListedPair]:
    """The pairs that are given, that the source holds, or that lie beside it; none otherwise."""
    if given is not None:
        return read_pair_list(given)
    if isinstance(reader, PairedRecords):
        rows = zip(reader.left, reader.right, reader.same, strict=True)
        return [
            ListedPair(row, reader.name(int(a)), reader.name(int(b)), bool(same))
            for row, (a, b, same) in enumerate(rows, 1)
        ]
    return read_pair_list(beside(source)) if beside(source).exists() else []


class _Pair(NamedTuple):
    """A pair whose pictures were both found: its names, and the indices of its records."""

    names: ListedPair
    left: int
    right: int


def _find_pairs(reader: RecordReader, named: Sequence[ListedPair]) -> tuple[list[_Pair], list[Skipped]]:
    """The pairs whose records the reader has, and those that lack one."""
    wanted = {name for pair in named for name in (pair.left, pair.right)}
    found: dict[str, int] = {}
    for index in range(len(reader)):
        name = reader.name(index)
        for called in (name, os.path.splitext(name)[0]):  # LFW's lists leave the extension out
            if called in wanted:
                found.setdefault(called, index)
    pairs, lost = [], []
    for pair in named:
        missing = [short(name) for name in (pair.left, pair.right) if name not in found]
        if missing:
            lost.append(_lost(pair, f"no record {' and no record '.join(missing)}"))
        else:
            left, right = found[pair.left], found[pair.right]
            pairs.append(_Pair(pair._replace(left=reader.name(left), right=reader.name(right)), left, right))
    return pairs, lost


def _lost(pair: ListedPair, reason: str) -> Skipped:
    return Skipped(f"{pair.left}, {pair.right}", reason)


def keep_pairs(
    reader: RecordReader, named: Sequence[ListedPair], target: str | os.PathLike[str], report: ConvertReport
) -> ConvertReport:
    """Write the pairs whose pictures are in the target beside it."""
    if not named:
        return report
    refused = {skipped.source: skipped.reason for skipped in report.skipped}
    found, lost = _find_pairs(reader, named)
    kept = []
    for pair in (pair.names for pair in found):
        reasons = [f"{short(name)}: {refused[name]}" for name in (pair.left, pair.right) if name in refused]
        if reasons:
            lost.append(_lost(pair, "; ".join(reasons)))
        else:
            kept.append(pair)
    write_pair_list(beside(target), [(pair.left, pair.right, pair.same) for pair in kept])
    return report._replace(pairs=len(kept), lost_pairs=tuple(lost))


def convert_into_pairs(
    reader: RecordReader,
    named: Sequence[ListedPair],
    source: str | os.PathLike[str],
    target: Path,
    write: Callable[[Path, Iterable[bytes], Iterable[bool]], int],
    *,
    progress: bool,
) -> ConvertReport:
    """The pairs as a .bin; one in which a picture is damaged is skipped."""
    check_free(target, resume=False)
    if not named:
        raise DataError(
            f"{shown(target)}: holds pairs, and {shown(source)} has none; "
            f"list them in {shown(beside(source))} or in another table (pairs=, --pairs): left,right,same"
        )
    pairs, lost = _find_pairs(reader, named)
    if not pairs:
        raise DataError(f"{shown(source)}: has the records of no pair; the first: {lost[0].reason}")
    same: list[bool] = []

    def images() -> Iterator[bytes]:
        for pair in tqdm(pairs, unit="pair", disable=not progress, dynamic_ncols=True):
            try:
                both = reader[pair.left].image, reader[pair.right].image
            except DataError as e:
                lost.append(_lost(pair.names, " ".join(str(e).split())))
                continue
            same.append(pair.names.same)
            yield from both

    target.parent.mkdir(parents=True, exist_ok=True)
    written = write(target, images(), same)
    return ConvertReport(len(named), written, tuple(lost))
