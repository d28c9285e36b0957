"""`Result`: everything one protocol found on one data set with one model, ready for JSON, a page and a comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import ProtocolError
from .metrics import Estimate, FloatArray, IntArray


class Trials(NamedTuple):
    """The outcomes whose mean a figure is: what a paired comparison of two models resamples."""

    person: IntArray  # (T,) whose outcome it is: intervals draw people
    value: FloatArray  # (T,)


class Curve(NamedTuple):
    """A line or a histogram: for "roc" FAR and TAR, for "cmc" rank and share, for histograms bin centres and shares."""

    x: FloatArray  # (V,)
    y: FloatArray  # (V,)


class Comparison(NamedTuple):
    """One pair of pictures and what the model thought of it."""

    left: str  # names of the pictures in the data set
    right: str
    score: float  # cosine similarity
    same: bool  # whether they show one person


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a protocol measured.

    `figures[group][metric]` with intervals; groups are what one table row is, such as "flip" or "area_40".
    `trials[group][metric]`: the outcomes behind the figures that are means over trials.  `curves[group][name]`,
    `maps[group][name]` (K, K).  `worst`: the genuine pairs scored lowest, then the impostor pairs scored highest.
    `data` and `model` hold at least "fingerprint" and "name"; `settings` the protocol's options; `notes` what a reader
    must know to read the figures rightly.
    """

    protocol: str
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    model: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Mapping[str, Estimate]]
    trials: Mapping[str, Mapping[str, Trials]] = field(default_factory=dict)
    curves: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    maps: Mapping[str, Mapping[str, FloatArray]] = field(default_factory=dict)
    worst: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `Result.from_dict` restores it."""
        return {
            "protocol": self.protocol,
            "settings": dict(self.settings),
            "data": dict(self.data),
            "model": dict(self.model),
            "figures": _each(self.figures, lambda e: {k: _number(v) for k, v in e._asdict().items()}),
            "trials": _each(self.trials, lambda t: {"person": t.person.tolist(), "value": t.value.tolist()}),
            "curves": _each(self.curves, lambda c: {"x": c.x.tolist(), "y": c.y.tolist()}),
            "maps": _each(self.maps, lambda m: m.tolist()),
            "worst": [c._asdict() for c in self.worst],
            "notes": list(self.notes),
            "versions": dict(self.versions),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Result:
        """The result that `to_dict` described; `ProtocolError` for anything else."""
        try:
            return cls(
                protocol=str(plain["protocol"]),
                settings=plain["settings"],
                data=plain["data"],
                model=plain["model"],
                figures=_each(plain["figures"], lambda e: Estimate(*(float(e[k]) for k in ("value", "low", "high")))),
                trials=_each(
                    plain["trials"], lambda t: Trials(np.array(t["person"], np.int64), np.array(t["value"], np.float64))
                ),
                curves=_each(
                    plain["curves"], lambda c: Curve(np.array(c["x"], np.float64), np.array(c["y"], np.float64))
                ),
                maps=_each(plain["maps"], lambda m: np.array(m, np.float64)),
                worst=tuple(Comparison(**c) for c in plain["worst"]),
                notes=tuple(plain["notes"]),
                versions=plain["versions"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            raise ProtocolError(f"this is no result of a protocol ({type(e).__name__}: {e})") from e

    def save(self, path: str | Path) -> None:
        """Write the result as JSON."""
        Path(path).write_text(json.dumps(self.to_dict()), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Result:
        """Read a result that `save` wrote; `ProtocolError` saying what is wrong with the file."""
        try:
            plain = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as e:
            raise ProtocolError(f"{path} cannot be read as a result ({e})") from e
        if not isinstance(plain, dict):
            raise ProtocolError(f"{path} is no result of a protocol")
        return cls.from_dict(plain)


def _each(groups: Mapping[str, Mapping[str, Any]], convert: Any) -> dict[str, dict[str, Any]]:
    return {group: {name: convert(value) for name, value in entries.items()} for group, entries in groups.items()}


def _number(value: float) -> float:
    return float(value)
