"""Reading a results dictionary (results.json): what is there, in which order, and what people call it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..evaluation.metrics import Estimate

Results = Mapping[str, Any]

_METHODS = {
    "baseline": "clean training",
    "augmented": "occluded training",
    "augmented_parts": "control + parts",
    "augmented_fused": "control + fused",
    "from": "FROM",
    "retrofit": "FROM, frozen trunk",
    "frozen": "frozen control",
    "fixed_box": "best fixed box",
}


def method_name(recipe: str) -> str:
    """`"from"` -> `"FROM"`, `"augmented"` -> `"occluded training"`; a foreign recipe keeps its own name."""
    return _METHODS.get(recipe, recipe.replace("_", " "))


def condition_name(condition: str) -> str:
    """`"area_40"` -> `"40 % area"`, `"mouth_mask"` -> `"mouth mask"`."""
    area = area_of(condition)
    return f"{round(100 * area)} % area" if area else condition.replace("_", " ")


def area_of(condition: str) -> float | None:
    """The covered share of the picture that a condition fixes: `"clean"` -> 0, `"area_40"` -> 0.4, others None."""
    if condition == "clean":
        return 0.0
    match = re.fullmatch(r"area_(\d{1,3})", condition)
    return int(match[1]) / 100 if match else None


def methods_of(results: Results) -> list[str]:
    """The recipes that were run: the usual ones in their usual order, then others as they come."""
    run = list(results.get("methods", {}))
    return [m for m in _METHODS if m in run] + [m for m in run if m not in _METHODS]


def estimate(results: Results, method: str, section: str, condition: str, metric: str) -> Estimate | None:
    """One figure with its interval, or None when it was not measured; a figure without an interval is its own."""
    here: Any = _everything(results)
    for key in (method, section, condition, metric):
        here = here.get(key) if isinstance(here, Mapping) else None
    if not isinstance(here, Mapping) or here.get("value") is None:
        return None
    value = float(here["value"])
    low, high = (value if here.get(end) is None else float(here[end]) for end in ("low", "high"))
    return Estimate(value, low, high)


def _everything(results: Results) -> dict[str, Any]:
    """What was trained, and the controls that were not: answers that anybody could give without a model."""
    return {**results.get("methods", {}), **results.get("controls", {})}


def methods_with(results: Results, section: str, metric: str) -> list[str]:
    """The methods, and then the controls, of which a metric was measured on at least one condition."""
    shown = [*methods_of(results), *results.get("controls", {})]
    return [m for m in shown if conditions_with(results, section, metric, [m])]


def conditions_with(results: Results, section: str, metric: str, methods: list[str]) -> list[str]:
    """The conditions on which a metric was measured for at least one of the methods, in the results' order."""
    named = list(results.get("conditions", []))
    for method in methods:
        measured = _everything(results)[method].get(section, {})
        named += [c for c in measured if c not in named]
    return [c for c in named if any(estimate(results, m, section, c, metric) is not None for m in methods)]


def confidence_of(results: Results) -> str:
    """The intervals' confidence for people: `"95 %"`."""
    return f"{100 * float(results.get('settings', {}).get('confidence', 0.95)):g} %"
