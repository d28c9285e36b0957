"""`occmask convert`: pictures from one container into another."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from ..images.reading import shown
from ..images.skipping import Skipped
from ..records.conversion.convert import convert
from ..records.conversion.log import log_of
from ..records.formats import FORMATS, WRITABLE, pairs_writer_for, target_format
from ..records.pair_lists import beside

LISTED = 20  # skipped records that are printed; all are in the log, where there is one (not of pairs)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", type=Path, help=f"a container of pictures, known by its content: {', '.join(FORMATS)}"
    )
    parser.add_argument("target", type=Path, help="a new one: x.rec, x.tar, x.lmdb, x.bin, otherwise a folder")
    parser.add_argument("--format", choices=WRITABLE, help="of the target, where its name does not say it")
    parser.add_argument("--resume", action="store_true", help="continue a conversion that was stopped")
    parser.add_argument(
        "--pairs", type=Path, metavar="CSV", help="left,right,same: names of records, which a .bin needs"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    report = convert(
        arguments.source,
        arguments.target,
        format=arguments.format,
        pairs=arguments.pairs,
        resume=arguments.resume,
        progress=not (arguments.quiet or arguments.json),
    )
    if arguments.json:
        lists = {name: [s._asdict() for s in getattr(report, name)] for name in ("skipped", "lost_pairs")}
        print(json.dumps({**report._asdict(), **lists}))
        return
    skipped = len(report.skipped)
    of_pairs = pairs_writer_for(target_format(arguments.target, arguments.format)) is not None
    what = " pairs" if of_pairs else ""
    print(f"read {report.read}{what}, wrote {report.written}, skipped {skipped}{':' if skipped else ''}")
    _print_first(report.skipped, None if of_pairs else log_of(arguments.target))
    if report.pairs or report.lost_pairs:
        lost = len(report.lost_pairs)
        print(f"pairs {report.pairs} in {shown(beside(arguments.target))}, lost {lost}{':' if lost else ''}")
        _print_first(report.lost_pairs, None)


def _print_first(skipped: Sequence[Skipped], log: Path | None) -> None:
    for source, reason in skipped[:LISTED]:
        print(f"  {shown(source)}: {reason}")
    if len(skipped) > LISTED:
        where = "--json lists all" if log is None else f"all are in {shown(log)}"
        print(f"  and {len(skipped) - LISTED} more; {where}")
