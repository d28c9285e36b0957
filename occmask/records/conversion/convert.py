"""From one container into another: record by record, undecoded, resumable, with every record accounted for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ...errors import DataError, OptionError
from ...images.reading import shown
from ...images.skipping import Skipped
from ..formats import open_records, pairs_writer_for, target_format, writer_for
from ..pair_lists import beside
from ..record import RecordReader, RecordWriter
from ..writing import check_free, is_taken
from .log import ConversionLog, ConvertReport, Refusal, log_of
from .pairs import convert_into_pairs, keep_pairs, pairs_of

CHECKPOINT = 2000  # records


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
    the target exists or cannot be written, or is the source or inside it.
    """
    _check_apart(source, target)
    reader = open_records(source)
    named = pairs_of(reader, source, pairs)
    write_in_pairs = pairs_writer_for(target_format(target, format))
    if write_in_pairs is not None:
        if resume:
            raise OptionError(f"{shown(target)}: pairs are written in one piece, which cannot be resumed; start again")
        return convert_into_pairs(reader, named, source, Path(target), write_in_pairs, progress=progress)
    writer = writer_for(target, format)
    if named and not resume:
        check_free(beside(target), resume=False)
    report = copy_records(reader, target, writer, source=str(source), resume=resume, progress=progress)
    return keep_pairs(reader, named, target, report)


def _check_apart(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """`DataError` when the target is the source, by whatever name, or would become a part of it."""
    if not os.path.exists(source):
        return  # which is said by whoever opens it
    where = Path(os.path.realpath(target))
    for place in (where, *where.parents):
        if os.path.exists(place) and os.path.samefile(place, source):
            what = "the source itself" if place == where else f"inside the source, {shown(source)}"
            raise DataError(f"{shown(target)}: {what}; choose a target outside it, where nothing is yet")


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
    begun = resume and log.read()
    if begun and log.counts is not None and os.path.lexists(target):
        return _report(log, reader)
    if not begun:
        if resume and is_taken(target):
            raise DataError(
                f"{shown(target)}: nothing to resume, for {log.path.name} is missing; choose another target"
            )
        check_free(target, resume=False)
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
    if not all(0 <= refusal.place < count for refusal in refused):
        raise DataError(f"{shown(log_of(target))}: names records that its source does not have")
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
