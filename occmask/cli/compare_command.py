"""`occmask compare`: two results of one protocol, figure by figure."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from ..evaluation.metrics import Estimate
from ..protocols.compare import FigureDifference, ResultComparison, compare
from ..protocols.result import Result
from ..report.protocol_words import is_percent

WIDTH = 80
_NAME = 18  # columns of a metric and its margin


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", type=Path, metavar="A.json", help="a result that `occmask evaluate` wrote")
    parser.add_argument(
        "b",
        type=Path,
        metavar="B.json",
        help="another, of the same protocol, data and settings; --matcher may differ",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    found = compare(Result.load(arguments.a), Result.load(arguments.b))
    if arguments.json:
        files = {"files": {"a": str(arguments.a), "b": str(arguments.b)}}
        print(json.dumps({**files, **found.to_dict()}, allow_nan=False))
        return
    print(format_comparison(found, str(arguments.a), str(arguments.b)))


def format_comparison(found: ResultComparison, a: str, b: str) -> str:
    """The comparison as ASCII text of at most 80 columns; shares and their differences are in percent."""
    head = [
        f"{found.protocol} on {found.data.get('name') or 'one data set'}, {100 * found.confidence:g} % intervals over "
        "people",
        *(f"{side}: {_named(path, model)}" for side, path, model in (("A", a, found.a), ("B", b, found.b))),
    ]
    parts = ["\n".join(_wrapped(head))]
    paired = [figure for figure in found.figures if figure.difference is not None]
    if paired:
        titles = f"{'':<{_NAME}}{'A':>7}{'B':>7}  {'A - B':<26}"
        parts.append("\n".join([titles.rstrip(), "-" * WIDTH, *_table(paired, _paired_row)]))
    others = [figure for figure in found.figures if figure.difference is None]
    if others:
        titles = f"{'not paired':<{_NAME}}  {'A':<23}{'B':<23}"
        parts.append("\n".join([titles.rstrip(), "-" * WIDTH, *_table(others, _other_row)]))
    parts.append("\n".join(_wrapped(f"{note[0].upper()}{note[1:]}." for note in found.notes)))
    return _ascii("\n\n".join(part for part in parts if part))


def _table(figures: list[FigureDifference], row: Callable[[FigureDifference], str]) -> Iterator[str]:
    for group, members in groupby(figures, key=lambda figure: figure.group):
        yield group
        for figure in members:
            name = f"  {figure.metric}"
            if len(name) >= _NAME:  # a long name has a line of its own
                yield name
                name = ""
            yield (f"{name:<{_NAME}}" + row(figure)).rstrip()


def _paired_row(figure: FigureDifference) -> str:
    assert figure.difference is not None
    a, b = (_number(side.value, figure.metric) for side in (figure.a, figure.b))
    value, low, high = (_number(x, figure.metric, sign="+") for x in figure.difference)
    return f"{a:>7}{b:>7}  {f'{value} [{low}, {high}]':<26} {figure.verdict}"


def _other_row(figure: FigureDifference) -> str:
    a, b = (_interval(side, figure.metric) for side in (figure.a, figure.b))
    return f"  {a:<23}{b:<23}"


def _interval(figure: Estimate, metric: str) -> str:
    value, low, high = (_number(x, metric) for x in figure)
    return f"{value} [{low}, {high}]"


def _number(value: float, metric: str, *, sign: str = "-") -> str:
    """Shares in percent, cosines and overlaps as they are; no zero has a minus."""
    digits = 2 if is_percent(metric) else 3
    rounded = round(100 * value if is_percent(metric) else value, digits)
    return f"{rounded + 0.0:{sign}.{digits}f}"


def _named(path: str, model: Mapping[str, Any]) -> str:
    """The file, and in brackets the model's name and what compared its faces, if that was not the cosine."""
    name, matcher = model.get("name"), model.get("matcher", "cosine")
    about = [str(name)] * bool(name) + [f"matched by {matcher}"] * (matcher != "cosine")
    return f"{path} ({', '.join(about)})" if about else path


def _wrapped(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield textwrap.fill(line, WIDTH, subsequent_indent="   ", break_on_hyphens=False, break_long_words=False)


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
