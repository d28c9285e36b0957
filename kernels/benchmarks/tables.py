"""Rows for people: tables of at most 100 columns that say in words what is compared with what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .record import Row

WIDTH = 100

MEANINGS = """\
time        median of the rounds; a fifth of them was below and a fifth above what is in brackets
x as fast   reference's time divided by this row's, round by round; above 1.00 this row is faster
MiB         the most a call had allocated at once{besides}
of ref.     that memory divided by the reference's; below 1.00 this row needs less
error       worst of results and gradients, relative to the norm of what float64 gives
floor       {floor}, divided by this row's time"""

BESIDES = ", without what it returns (the gradients)"
FLOORS = {"cpu": "time of the bare matrix products in this run", "cuda": "least time at an H100's ceilings (floors.py)"}
RATES = {
    "margin": "TFLOP/s     of the products nobody can avoid: one forward, three with backward",
    "mask": "GB/s        of what must be read and written",
}


def meanings(table: str, device: str) -> str:
    """What the columns of a table say."""
    lines = MEANINGS.format(besides=BESIDES if table == "margin" else "", floor=FLOORS[device]).splitlines()
    if table not in ("margin", "kernels") and device == "cpu":
        lines.pop()
    return "\n".join([*lines, *([RATES[table]] if table in RATES and device == "cuda" else [])])


def checks(rows: Sequence[Row]) -> str:
    """One line if all is right, else what is wrong."""
    wrong = [row for row in rows if not row.right]
    if not wrong:
        return f"All {len(rows)} checks of our operations against float64 passed."
    lines = [f"{len(wrong)} of {len(rows)} checks against float64 failed; nothing is timed:"]
    for row in wrong:
        name, error = max(row.error.items(), key=lambda item: item[1])
        lines.append(f"  {row.implementation}, {row.case}: {name} {error:.1e}, at most {row.limit:.0e}")
    return "\n".join(lines)


def numerics(rows: Sequence[Row]) -> str:
    """Errors of loss and gradients, by precision."""
    lines = [
        f"{rows[0].case}: relative error against float64",
        _errors_line("", ["loss", "d embed.", "d weight"], "limit"),
    ]
    for row in rows:
        values = [f"{row.error[name]:.1e}" if row.error else "-" for name in ("loss", "embedding", "weight")]
        limit = "" if row.limit is None else f"{row.limit:.0e}"
        note = ", ".join(filter(None, (row.note, "" if row.right else "beyond its limit")))
        lines.append(_errors_line(row.implementation, values, limit, note))
    return "\n".join(lines)


def _errors_line(name: str, values: Sequence[str], limit: str, note: str = "") -> str:
    return f"  {name:<28}{''.join(f'{value:>10}' for value in values)}{limit:>10}  {note}".rstrip()


def group(rows: Sequence[Row]) -> str:
    """One race as a table, and ours against everybody in words."""
    first = rows[0]
    reference = next((name for row in rows for name in row.as_fast_as if len(row.as_fast_as) == 1), "")
    if not any(row.seconds for row in rows):
        return "\n".join(f"{row.case}: {row.implementation} {row.note}" for row in rows)
    unit, factor = _unit(rows)
    rate = _rate(rows)
    columns: list[tuple[str, int]] = [
        ("time " + unit, 9),
        ("(20..80 %)", 17),
        ("x as fast", 10),
        ("MiB", 9),
        ("of ref.", 8),
        ("error", 7),
    ]
    columns += [("floor", 6)] if any(row.of_floor is not None for row in rows) else []
    columns += [(rate, 8)] if rate else []
    title = ", ".join(filter(None, (first.case, first.part, reference and f"reference: {reference}")))
    lines = [title, " " * 26 + "".join(f"{name:>{width}}" for name, width in columns)]
    lines += [_line(row, reference, factor, rate) for row in rows if row.seconds]
    notes: dict[str, list[str]] = {}
    for row in rows:
        if row.note:
            notes.setdefault(row.note, []).append(row.implementation)
    lines += [f"  ({', '.join(names)}: {note})" for note, names in notes.items()]
    lines += [line for row in rows for line in _in_words(row)]
    return "\n".join(lines)


def _unit(rows: Iterable[Row]) -> tuple[str, float]:
    longest = max((row.seconds.median for row in rows if row.seconds), default=0.0)
    return ("ms", 1e3) if longest >= 1e-2 else ("us", 1e6)


def _rate(rows: Iterable[Row]) -> str:
    """The unit of the last column: on a GPU alone, where floors are computed."""
    on_gpu = [row for row in rows if row.floor_seconds]
    return "TFLOP/s" if any(row.tflops for row in on_gpu) else "GB/s" if any(row.gigabytes for row in on_gpu) else ""


def _line(row: Row, reference: str, factor: float, rate: str) -> str:
    time = row.seconds
    assert time is not None
    ratio = row.as_fast_as.get(reference)
    fast = (
        f"{ratio.median:.{3 if ratio.median < 0.1 else 2}f}"
        if ratio
        else "1.00"
        if row.implementation == reference
        else ""
    )
    margin = row.table == "margin"
    size = None if row.memory is None else (row.memory.working if margin else row.memory.peak) / 2**20
    share = row.working_ratio if margin else row.peak_ratio
    last = row.tflops if rate == "TFLOP/s" else row.gigabytes if rate else None
    return (
        f"  {row.implementation:<24}{time.median * factor:>9.1f}"
        f"{f'({time.low * factor:.1f}..{time.high * factor:.1f})':>17}{fast:>10}"
        f"{_or_blank(size, '.2f'):>9}{_or_blank(share, '.2f'):>8}{_or_blank(row.worst, '.0e'):>7}"
        f"{_or_blank(row.of_floor, '.2f'):>6}{_or_blank(last, '.0f'):>8}"
    ).rstrip()


def _or_blank(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def _in_words(row: Row) -> list[str]:
    """Only for who is compared with more than one."""
    if len(row.as_fast_as) < 2:
        return []
    others = {name: r for name, r in row.as_fast_as.items() if not name.startswith("ours")}
    parts = [f"{name} {r.median:.2f} ({r.low:.2f}..{r.high:.2f})" for name, r in others.items()]
    lines, start = [], f"  {row.implementation} against others, times as fast as:"
    for part in parts:
        if len(f"{start} {part};") > WIDTH:
            lines.append(start)
            start = "   "
        start += f" {part};"
    return [*lines, start.rstrip(";")]


def kernels(rows: Sequence[Row]) -> str:
    """Single kernels and ceilings, each beside its floor."""
    lines = [
        rows[0].case,
        f"  {'':<34}{'time us':>9}{'(20..80 %)':>20}{'TFLOP/s':>9}{'GB/s':>7}{'floor us':>10}{'of floor':>9}",
    ]
    for row in rows:
        if row.seconds is None:
            lines.append(f"  {row.implementation:<34}{'-':>9}  {row.note}")
            continue
        within = f"({row.seconds.low * 1e6:.1f}..{row.seconds.high * 1e6:.1f})"
        flops = "" if row.tflops is None else f"{row.tflops:.0f}"
        moved = "" if row.gigabytes is None else f"{row.gigabytes:.0f}"
        floor = "" if row.floor_seconds is None else f"{row.floor_seconds * 1e6:.1f}"
        of_floor = "" if row.of_floor is None else f"{row.of_floor:.2f}"
        lines.append(
            f"  {row.implementation:<34}{row.seconds.median * 1e6:>9.1f}{within:>20}{flops:>9}{moved:>7}"
            f"{floor:>10}{of_floor:>9}".rstrip()
        )
    return "\n".join(lines)
