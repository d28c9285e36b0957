"""What a comparison runs, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import OptionError, UnknownNameError
from ..spec import Spec
from ..training import METHODS
from ..training.budgets import BUDGETS, Budget

FAR = 1e-2


@dataclass(frozen=True, kw_only=True)
class ComparisonSettings:
    """Which methods are compared, on which model, for how long.

    `methods`: names (empty: all that want to be compared); the ones they start from and their controls come along.
    `model`: the FROM model that every method changes.  `budget`: a name of `BUDGETS`; `margin`: another loss than the
    budget's; `steps` cuts every stage short, for a quick look whose figures mean nothing.  `gallery`: how many pictures
    of a person are enrolled, and trained on unless there is a test set.  `faces_on_page=False` draws what is believed
    to be covered without the faces it was seen in.
    """

    out: Path
    methods: Sequence[str] = ()
    model: str = "from_tiny"
    margin: Spec | None = None
    budget: str = "small"
    steps: int | None = None
    seeds: int = 1
    gallery: int = 5
    device: str = "cpu"
    faces_on_page: bool = True
    progress: bool = True

    def __post_init__(self) -> None:
        for name in self.methods:
            if name not in METHODS:
                raise UnknownNameError("method", name, METHODS)
        if self.budget not in BUDGETS:
            raise UnknownNameError("budget", self.budget, BUDGETS)
        for option in ("seeds", "gallery", "steps"):
            value = getattr(self, option)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise OptionError(f"{option} is a positive whole number, not {value!r}")

    @property
    def how_long(self) -> Budget:
        """The budget, or every stage cut to `steps`."""
        budget = BUDGETS[self.budget].cut_to(self.steps)
        return budget if self.margin is None else replace(budget, margin=self.margin)


def in_training_order(names: Iterable[str], needed: Mapping[str, tuple[str | None, ...]]) -> list[str]:
    """The names, each after those it needs, which come along: `needed[name]` are what it starts from and its control.

    Raises `OptionError` for methods that start from each other.
    """
    order: list[str] = []

    def visit(name: str, waiting: tuple[str, ...]) -> None:
        if name in waiting:
            raise OptionError(f"methods need each other in a circle: {' -> '.join((*waiting, name))}")
        for other in needed.get(name, ()):
            if other is not None:
                visit(other, (*waiting, name))
        if name not in order:
            order.append(name)

    for name in names:
        visit(name, ())
    return order
