"""A comparison of matchers as plain text and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .results import Results, condition_name

_METRICS = {"tar": "TAR at FAR 1e-2", "auc": "AUC", "rank1": "rank-1, leave one out"}
_MEANS = {"occluded": "mean of covered", "area_40_50": "mean of 40 and 50 %"}
_HEADLINES = ("clean", "area_50", "occluded", "area_40_50")


def format_matcher_table(results: Results) -> str:
    """The figures that matter, for a terminal: a row an entry, and the paired differences to the control."""
    entries = list(results["figures"])
    wide = max(len(entry) for entry in entries) + 2
    blocks = []
    for metric, title in _METRICS.items():
        head = " " * wide + "".join(f"{_named(c):>24}" for c in _HEADLINES)
        rows = [
            f"{entry:<{wide}}" + "".join(f"{_percent(results['figures'][entry][c][metric]):>24}" for c in _HEADLINES)
            for entry in entries
        ]
        blocks.append("\n".join([f"{title} % [95 % interval over people]", head, "-" * len(head), *rows]))
    blocks.append("\n".join(["Paired differences in points, and folds won", *_difference_lines(results)]))
    return "\n\n".join(blocks)


def _difference_lines(results: Results) -> list[str]:
    folds = results["settings"]["folds"]
    return [
        f"  {row['entry']} - {row['against']}, {_METRICS[row['metric']]}, {_named(row['condition'])}: "
        f"{_points(row['difference'])}, {row['folds_won']} of {folds}"
        for row in results["differences"]
        if row["entry"] == "fused" and row["condition"] in _HEADLINES
    ]


def format_matchers_markdown(results: Results) -> str:
    """Figures, paired differences, misaligned probes, what the head knows, and the threshold, as GitHub's Markdown."""
    measured = list(results["conditions"])
    misaligned = [c for c in measured if c.split("_")[0] in ("shift", "scale", "rotation")]
    conditions = [c for c in measured if c not in misaligned and c not in _MEANS] + [c for c in _MEANS if c in measured]
    parts = []
    for metric, title in _METRICS.items():
        parts += [f"**{title}** in percent, with 95 % intervals over people.", _figures(results, metric, conditions)]
    for metric, title in _METRICS.items():
        parts += [
            f"**{title}: paired differences** in points, with their intervals and the folds won.",
            _differences(results, metric, conditions),
        ]
    if misaligned:
        parts += [
            "**Misaligned probes**: TAR at FAR 1e-2 in percent. The gallery is aligned; a probe is moved by 3 "
            "or 6 pixels, scaled by 4 or 8 % or turned by 5 or 10 degrees before anything covers it.",
            _misaligned(results, misaligned),
        ]
    parts += ["**What the head knows**: its own fold's people, whom it never saw.", _occupancy(results)]
    parts += [
        "**One threshold**: the false accept rate at the threshold that accepts 1 % of the clean pairs of two people, "
        "over that 1 %.",
        _false_accepts(results),
    ]
    return "\n\n".join(parts) + "\n"


def _figures(results: Results, metric: str, conditions: Sequence[str]) -> str:
    rows = [[e, *(_percent(f[c][metric]) for c in conditions)] for e, f in results["figures"].items()]
    return _table(["", *map(_named, conditions)], rows)


def _differences(results: Results, metric: str, conditions: Sequence[str]) -> str:
    folds = results["settings"]["folds"]
    found = {
        (r["entry"], r["against"], r["condition"]): f"{_points(r['difference'])} ({r['folds_won']}/{folds})"
        for r in results["differences"]
        if r["metric"] == metric
    }
    compared = list(dict.fromkeys((entry, against) for entry, against, _ in found))
    rows = [[f"{e} - {a}", *(found[e, a, c] for c in conditions)] for e, a in compared]
    return _table(["", *map(_named, conditions)], rows)


def _misaligned(results: Results, conditions: Sequence[str]) -> str:
    entries = [e for e in ("cosine", "fused, no visibility", "fused") if e in results["figures"]]
    won = {r["condition"]: _points(r["difference"]) for r in results["differences"] if _is_fused_tar(r)}
    rows = [
        [c.replace("_", " "), *(_percent(results["figures"][e][c]["tar"]) for e in entries), won[c]] for c in conditions
    ]
    return _table(["probe", *entries, "fused - cosine"], rows)


def _is_fused_tar(row: Mapping[str, Any]) -> bool:
    return bool(row["entry"] == "fused" and row["against"] == "cosine" and row["metric"] == "tar")


def _occupancy(results: Results) -> str:
    rows = []
    for condition, found in results["occupancy"].items():
        cells = [_share(found.get(name)) for name in ("cell_auc", "pixel_iou", "flagged")]
        rows.append([_named(condition), *cells, f"{found['calibration_error']:.3f}"])
    return _table(["condition", "cell AUC", "pixel IoU", "faces with a cell flagged", "ECE"], rows)


def _share(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "-"
    return "{:.3f} [{:.3f}, {:.3f}]".format(*(figure[end] for end in ("value", "low", "high")))


def _false_accepts(results: Results) -> str:
    rates, far = results["false_accepts"], results["settings"]["far"]
    conditions = [c for c in next(iter(rates.values()))["far"] if c in results["occupancy"]]
    rows = [[e, *(f"{found['far'][c] / far:.2f}" for c in conditions)] for e, found in rates.items()]
    return _table(["", *map(_named, conditions)], rows)


def _named(condition: str) -> str:
    return _MEANS.get(condition) or condition_name(condition)


def _percent(figure: Mapping[str, Any]) -> str:
    return "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * figure[end] for end in ("value", "low", "high")))


def _points(figure: Mapping[str, Any]) -> str:
    return "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * figure[end] for end in ("value", "low", "high")))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *rows])
