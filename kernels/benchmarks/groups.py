"""Implementations of one thing, measured together: who is compared with whom."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from .measure import Memory, Run, peak_memory, race, ratio, spread
from .record import Row, load


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contender:
    """Something to time; `about` is what its row says besides."""

    name: str
    run: Run
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    measures_memory: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """One part of one case."""

    table: str
    case: str
    part: str
    reference: str  # whom all are compared with
    ours: Sequence[str] = ()  # who is compared with everybody
    floor: str | None = None  # the contender that does only what nobody can avoid
    flops: float | None = None  # of the products that nobody can avoid
    bytes_moved: float | None = None  # that nobody can avoid

    def measure(
        self,
        contenders: Sequence[Contender],
        *,
        device: str,
        rounds: int,
        warm_up: int = 1,
        budget: float = 0.0,
        memory: bool = True,
    ) -> list[Row]:
        """A row each, all from one race."""
        before = load()
        runs = {c.name: c.run for c in contenders}
        for run in runs.values():
            run()
        peaks = {c.name: peak_memory(c.run, device) for c in contenders if memory and c.measures_memory}
        seconds = race(runs, rounds=rounds, warm_up=warm_up, budget=budget, device=device)
        reference = peaks.get(self.reference)
        rows = []
        for contender in contenders:
            name, times = contender.name, spread(seconds[contender.name])
            others = list(runs) if name in self.ours else [n for n in runs if n == self.reference]
            floor_seconds = contender.about.get("floor_seconds")
            of_floor = floor_seconds / times.median if floor_seconds else None
            if self.floor in runs:
                of_floor = ratio(seconds, name, str(self.floor)).median
            row = Row(
                table=self.table,
                case=self.case,
                part=self.part,
                implementation=name,
                seconds=times,
                as_fast_as={other: ratio(seconds, name, other) for other in others if other != name},
                memory=peaks.get(name),
                peak_ratio=_share(peaks.get(name), reference, "peak"),
                working_ratio=_share(peaks.get(name), reference, "working"),
                of_floor=of_floor,
                tflops=self.flops / times.median / 1e12 if self.flops else None,
                gigabytes=self.bytes_moved / times.median / 1e9 if self.bytes_moved else None,
                load=before,
                **contender.about,
            )
            rows.append(row)
        return rows


def _share(memory: Memory | None, reference: Memory | None, field: str) -> float | None:
    of = getattr(reference, field, 0)
    return getattr(memory, field) / of if memory is not None and of else None
