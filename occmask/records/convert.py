"""From one container into another: record by record, undecoded, resumable, with every record accounted for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..errors import DataError, OptionError
from ..images.reading import shown
from ..images.skipping import Skipped
from .conversion_log import ConversionLog, Refusal, log_of
from .formats import FORMATS, open_records, target_format, writer_for
from .names import short
from .pair_list import NamedPair, beside, read_pairs, write_pairs
from .record import RecordReader, RecordWriter

CHECKPOINT = 2000  # records


class ConvertReport(NamedTuple):
    """`read` entries (pairs, when the target is a .bin) were found in the source: each was written or is in `skipped`.

    Of the pairs between records `pairs` were kept, beside the target; those that lost a picture are in `lost_pairs`.
    """

    read: int
    written: int
    skipped: tuple[Skipped, ...]
    pairs: int = 0
    lost_pairs: tuple[Skipped, ...] = ()


@runtime_checkable
class PairedRecords(Protocol):
    """A container of pairs: records `left[i]` and `right[i]` show one person when `same[i]`."""

    @property
    def left(self) -> NDArray[np.int64]: ...

    @property
    def right(self) -> NDArray[np.int64]: ...

    @property
    def same(self) -> NDArray[np.bool_]: ...


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    format: str | None = None,
    pairs: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = True,
) -> ConvertReport:
    """Write the records of the container `source` into a new one, `target`; nothing is decoded or kept in memory.

    The source's format is known by its content, the target's by `format` or by its name (`FORMATS`).  Records that are
    damaged, or that the target cannot hold, are skipped and reported, also in `target.convert.jsonl`.  After a crash
    `resume` continues, with the same result.  Pairs of the source, from a `.bin`, from the table
    `source.pairs.csv` or from `pairs` (columns left, right, same: names of records), are written beside the target as
    `target.pairs.csv`, or make the `.bin` when the target is one.  Raises `DataError` when the source cannot be read,
    or the target exists or cannot be written.
    """
    reader = open_records(source)
    named = _pairs_of(reader, source, pairs)
    if FORMATS[target_format(target, format)].in_pairs:
        if resume:
            raise OptionError("a .bin is written in one piece and cannot be resumed; convert into a new one")
        return _convert_into_pairs(reader, named, source, target)
    writer = writer_for(target, format)
    report = copy_records(reader, target, writer, source=str(source), resume=resume, progress=progress)
    return _keep_pairs(reader, named, target, report)


def copy_records(
    reader: RecordReader,
    target: str | os.PathLike[str],
    writer: Callable[..., RecordWriter],
    *,
    source: str,
    resume: bool = False,
    progress: bool = True,
) -> ConvertReport:
    """Every record of `reader` into `writer(target, resume=...)`; see `convert`.  `source` is what the log calls it."""
    conversion = {
        "source": source,
        "writer": getattr(writer, "__name__", str(writer)),
        "records": len(reader),
        "names": _digest(reader),
    }
    with ConversionLog(log_of(target), conversion) as log:
        try:
            return _copy(reader, Path(target), writer, log, resume=resume, progress=progress)
        except OSError as e:
            raise DataError(f"{shown(target)}: cannot be written ({e.strerror or e}); resume when it can") from e


def _copy(
    reader: RecordReader,
    target: Path,
    writer: Callable[..., RecordWriter],
    log: ConversionLog,
    *,
    resume: bool,
    progress: bool,
) -> ConvertReport:
    exists = os.path.lexists(target)
    begun = resume and log.read()
    if resume and exists and not begun:
        raise DataError(f"{shown(target)}: not begun by a conversion ({log.path.name} is missing); nothing to resume")
    if begun and exists and log.counts is not None:
        return _report(log, reader)
    if not exists:
        target.parent.mkdir(parents=True, exist_ok=True)
        log.begin()  # before there is a target, so that there is none without a log
    with writer(target, resume=begun) as container:
        start = _place_of(container.written, log.refused, len(reader), target)
        log.begin(refusal for refusal in log.refused if refusal.place < start)
        with tqdm(total=len(reader), initial=start, unit="record", disable=not progress, dynamic_ncols=True) as bar:
            for index in range(start, len(reader)):
                try:
                    record = reader[index]
                    container.write(record, reader.people[record.label])
                except DataError as e:
                    log.refuse(index, reader.name(index), _reason(e, reader.name(index)))
                if (index + 1) % CHECKPOINT == 0:
                    container.checkpoint()
                bar.update()
    written = container.written
    counts = {"read": len(reader) + len(reader.skipped), "written": written}
    log.finish({**counts, "skipped": counts["read"] - written}, reader.skipped)
    return _report(log, reader)


def _place_of(written: int, refused: Sequence[Refusal], count: int, target: Path) -> int:
    """The index of the record after the last of the first `written` that were not refused."""
    taken = np.ones(count, bool)
    taken[[refusal.place for refusal in refused]] = False
    if written > taken.sum():
        raise DataError(f"{shown(target)}: holds {written} records, more than its source; it cannot be resumed")
    return int(np.searchsorted(np.cumsum(taken), written)) + 1 if written else 0


def _report(log: ConversionLog, reader: RecordReader) -> ConvertReport:
    assert log.counts is not None
    refused = (Skipped(refusal.source, refusal.reason) for refusal in log.refused)
    return ConvertReport(log.counts["read"], log.counts["written"], (*reader.skipped, *refused))


def _reason(error: DataError, name: str) -> str:
    return " ".join(str(error).removeprefix(f"{shown(name)}: ").split())


def _digest(reader: RecordReader) -> str:
    """Of the names of all records, in order: another source, or one that was changed, is not continued."""
    digest = hashlib.sha256()
    for index in range(len(reader)):
        digest.update(reader.name(index).encode("utf-8", "backslashreplace") + b"\0")
    return digest.hexdigest()


def _pairs_of(
    reader: RecordReader, source: str | os.PathLike[str], given: str | os.PathLike[str] | None
) -> list[NamedPair]:
    """The pairs that are given, that the source holds, or that lie beside it; none otherwise."""
    if given is not None:
        return read_pairs(given)
    if isinstance(reader, PairedRecords):
        rows = zip(reader.left, reader.right, reader.same, strict=True)
        return [NamedPair(reader.name(int(a)), reader.name(int(b)), bool(same)) for a, b, same in rows]
    return read_pairs(beside(source)) if beside(source).exists() else []


class _Pair(NamedTuple):
    """A pair whose pictures were both found: its names, and the indices of its records."""

    names: NamedPair
    left: int
    right: int


def _find_pairs(
    reader: RecordReader, named: Sequence[NamedPair], why_not: dict[int, str]
) -> tuple[list[_Pair], list[Skipped]]:
    """The pairs whose records the reader has, and those that lack one; `why_not` says of records why they are out."""
    wanted = {name for pair in named for name in pair[:2]}
    found = {name: index for index in range(len(reader)) if (name := reader.name(index)) in wanted}
    pairs, lost = [], []
    for number, pair in enumerate(named, 1):
        reasons = {}
        for name in pair[:2]:
            if name not in found:
                reasons[name] = "no such record"
            elif found[name] in why_not:
                reasons[name] = why_not[found[name]]
        if reasons:
            lost.append(Skipped(f"pair {number}", "; ".join(f"{short(name)}: {why}" for name, why in reasons.items())))
        else:
            pairs.append(_Pair(pair, found[pair.left], found[pair.right]))
    return pairs, lost


def _keep_pairs(
    reader: RecordReader, named: Sequence[NamedPair], target: str | os.PathLike[str], report: ConvertReport
) -> ConvertReport:
    """Write the pairs whose pictures are in the target beside it."""
    if not named:
        return report
    out = {skipped.source: skipped.reason for skipped in report.skipped}
    why_not = {index: out[name] for index in range(len(reader)) if (name := reader.name(index)) in out}
    pairs, lost = _find_pairs(reader, named, why_not)
    write_pairs(beside(target), [pair.names for pair in pairs])
    return report._replace(pairs=len(pairs), lost_pairs=tuple(lost))


def _convert_into_pairs(
    reader: RecordReader, named: Sequence[NamedPair], source: str | os.PathLike[str], target: str | os.PathLike[str]
) -> ConvertReport:
    """The pairs as a .bin; one in which a picture is damaged is skipped."""
    if not named:
        raise DataError(
            f"{shown(target)}: a .bin holds pairs, and {shown(source)} has none; "
            f"list them in {shown(beside(source))} or in another table (pairs=, --pairs): left,right,same"
        )
    why_not: dict[int, str] = {}
    candidates, lost = _find_pairs(reader, named, {})
    for index in {end for pair in candidates for end in pair[1:]}:
        try:
            reader[index]
        except DataError as e:
            why_not[index] = _reason(e, reader.name(index))
    pairs, lost = _find_pairs(reader, named, why_not)
    if not pairs:
        raise DataError(f"{shown(target)}: no pair has both pictures in {shown(source)}; the first: {lost[0].reason}")
    ends = (end for pair in pairs for end in pair[1:])
    writer_for(target, "bin")(target, (reader[end].image for end in ends), [pair.names.same for pair in pairs])
    return ConvertReport(len(named), len(pairs), tuple(lost), pairs=len(pairs))
