"""Reading the results of a comparison of methods: who is compared with whom, and whether an interval tells them apart.

A method counts as better or worse only where the interval of its paired difference excludes 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...evaluation.metrics import Estimate
from ..results import Results, area_of, condition_name, conditions_with, estimate

CONTROL = "control"  # the family of those that are there to be compared with
_KNOWN_FAMILIES = ("remove features", "recover the face", "see the rest")
_FAMILY_STYLES = 5  # of those that are no control; style sheets and charts know as many

BETTER, WORSE, TIED = "better", "worse", "tied"


class Difference(NamedTuple):
    """How much more of the faces one method names than another, as shares: the paired difference and its interval."""

    method: str
    against: str
    condition: str
    figure: Estimate

    @property
    def verdict(self) -> str:
        """`BETTER`, `WORSE` or `TIED`; the last whenever the interval holds 0."""
        return BETTER if self.figure.low > 0 else WORSE if self.figure.high < 0 else TIED


def figure_of(values: object) -> Estimate | None:
    """A figure with its interval out of `{"value", "low", "high"}`; without an interval it is its own."""
    if not isinstance(values, Mapping) or values.get("value") is None:
        return None
    value = float(values["value"])
    low, high = (value if values.get(end) is None else float(values[end]) for end in ("low", "high"))
    return Estimate(value, low, high)


def methods_in_order(results: Results) -> list[str]:
    """The methods that were measured: controls first, then family by family, otherwise as they come."""
    families = [CONTROL, *families_of(results)]
    return sorted(results.get("methods", {}), key=lambda m: families.index(family_of(results, m)))


def missing_of(results: Results) -> list[tuple[str, str]]:
    """The methods that were asked for and not measured, each with its reason."""
    return [(str(m.get("method", "?")), str(m.get("reason", "no reason given"))) for m in results.get("missing", ())]


def family_of(results: Results, method: str) -> str:
    """What kind of answer to occlusion a method is."""
    return str(results["methods"][method].get("family") or "other")


def families_of(results: Results) -> list[str]:
    """The families of the methods, without the controls: the known ones in their order, then others as they come."""
    found = dict.fromkeys(family_of(results, m) for m in results.get("methods", {}))
    known = [f for f in _KNOWN_FAMILIES if f in found]
    return [*known, *(f for f in found if f not in known and f != CONTROL)]


def family_style(results: Results, family: str) -> str:
    """The class of a family in the style sheet; a known family has the same on every page."""
    if family == CONTROL:
        return "fc"
    others = [f for f in families_of(results) if f not in _KNOWN_FAMILIES]
    order = [*_KNOWN_FAMILIES, *others]
    return f"f{order.index(family) % _FAMILY_STYLES}"


def reference_of(results: Results) -> str | None:
    """The control that every method is held against: "augmented", else the first control, else None."""
    methods = results.get("methods", {})
    controls = [m for m in methods_in_order(results) if family_of(results, m) == CONTROL]
    return "augmented" if "augmented" in methods else controls[0] if controls else None


def control_of(results: Results, method: str) -> str | None:
    """The method's own control, where that is another than the one all are held against; controls have none."""
    own, reference = results["methods"][method].get("control"), reference_of(results)
    return None if own in (None, method, reference) or family_of(results, method) == CONTROL else str(own)


def plugin_of(results: Results, method: str) -> str | None:
    """The distribution that brought the method; None for one of occmask itself, or when it is not told."""
    return results["methods"].get(method, {}).get("plugin") or None


def conditions_of(results: Results) -> list[str]:
    """The conditions under which any method was identified, in the results' order."""
    return conditions_with(results, "identification", "rank1", list(results.get("methods", {})))


def areas_of(results: Results) -> list[str]:
    """The conditions that fix the covered area, clean faces first."""
    return sorted((c for c in conditions_of(results) if area_of(c) is not None), key=lambda c: area_of(c) or 0.0)


def worn_of(results: Results) -> list[str]:
    """The conditions that are things people wear or hold."""
    return [c for c in conditions_of(results) if area_of(c) is None]


def headline_of(results: Results) -> str | None:
    """The condition to speak of where one must do: 40 % area, else the largest area, else the last one."""
    areas, every = areas_of(results), conditions_of(results)
    return "area_40" if "area_40" in areas else areas[-1] if areas else every[-1] if every else None


def rank1_of(results: Results, method: str, condition: str) -> Estimate | None:
    """The share of faces that a method names correctly; None when it was not measured."""
    return estimate(results, method, "identification", condition, "rank1")


def spread_of(results: Results, method: str, condition: str) -> float | None:
    """The standard deviation of rank-1 between seeds, where the results tell it."""
    found = results["methods"][method].get("identification", {}).get(condition, {}).get("rank1", {}).get("std")
    return None if found is None else float(found)


def same_in_every_seed(results: Results, one: Difference) -> bool | None:
    """Whether the difference has the same sign with every seed; None when the results hold no figures by seed."""
    found = [
        results["methods"].get(m, {}).get("identification", {}).get(one.condition, {}).get("rank1", {}).get("values")
        for m in (one.method, one.against)
    ]
    if any(values is None or len(values) < 2 for values in found) or len(found[0]) != len(found[1]):
        return None
    sign = 1 if one.figure.value > 0 else -1
    return all(sign * (a - b) > 0 for a, b in zip(*found, strict=True))


def mean_worn(results: Results, method: str) -> float | None:
    """Mean rank-1 over everything worn or held; None unless all of them were measured."""
    found = [rank1_of(results, method, c) for c in worn_of(results)]
    values = [f.value for f in found if f is not None]
    return sum(values) / len(values) if values and len(values) == len(found) else None


def differences_of(results: Results) -> list[Difference]:
    """Every comparison of rank-1 in the results, each pair of methods once a condition."""
    found: dict[tuple[str, str, str], Difference] = {}
    for entry in results.get("comparisons", ()):
        figure = figure_of(entry.get("difference"))
        if figure is None or entry.get("metric", "rank1") != "rank1":
            continue
        method, against, condition = (str(entry[key]) for key in ("method", "against", "condition"))
        if (against, method, condition) not in found:
            found.setdefault((method, against, condition), Difference(method, against, condition, figure))
    return list(found.values())


def difference(found: Sequence[Difference], method: str, *, against: str, condition: str) -> Difference | None:
    """One comparison, turned round where the results hold it the other way; None when it was not made."""
    for one in found:
        if one.condition != condition:
            continue
        if (one.method, one.against) == (method, against):
            return one
        if (one.method, one.against) == (against, method):
            turned = Estimate(-one.figure.value, -one.figure.high, -one.figure.low)
            return Difference(method, against, condition, turned)
    return None


def differences_from(
    results: Results, found: Sequence[Difference], method: str, *, against: str | None
) -> list[Difference]:
    """A method's comparisons with another under every measured condition, in their order."""
    if against is None or method == against:
        return []
    each = (difference(found, method, against=against, condition=c) for c in conditions_of(results))
    return [one for one in each if one is not None]


def verdict_at(
    results: Results, found: Sequence[Difference], method: str, condition: str, *, against: str | None
) -> str | None:
    """Whether a method is better than another, worse or tied under a condition; None when that was not compared."""
    if against is None or method == against:
        return None
    one = difference(found, method, against=against, condition=condition)
    return None if one is None else one.verdict


def fixed_box(results: Results, condition: str) -> Estimate | None:
    """The IoU of the best box that never looks at the picture."""
    return figure_of(results.get("fixed_box", {}).get(condition, {}).get("iou"))


def answering_of(results: Results, pictures: Mapping[str, Any]) -> list[str]:
    """The methods that say what is covered: by a measured IoU or by pictures, in the page's order."""
    order = methods_in_order(results)
    answers = [m for m in order if results["methods"][m].get("occlusion") or pictures.get(m)]
    return [*answers, *(m for m in pictures if m not in order and pictures[m])]


def short_condition(condition: str) -> str:
    """`"40 %"` for an area, the name otherwise: for the head of a narrow column."""
    return condition_name(condition).removesuffix(" area")


def millions(parameters: object) -> str:
    """`1_234_567` -> `"1.23 M"`, `83_400` -> `"83.4 k"`; `"-"` for what is no number."""
    if not isinstance(parameters, (int, float)):
        return "-"
    if abs(parameters) >= 999_500:
        return f"{parameters / 1e6:.2f} M"
    return f"{parameters / 1e3:.1f} k" if abs(parameters) >= 1000 else f"{parameters:g}"
