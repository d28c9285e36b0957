"""`Result`: everything one protocol found on one data set with one model, ready for JSON, a page and a comparison."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..errors import ProtocolError
from ..evaluation.metrics import Estimate, FloatArray
from ..evaluation.outcomes import Comparison, Curve, Trials

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a protocol measured.

    `figures[group][metric]` with intervals; groups are what one table row is, such as "flip" or "area_40".
    `trials[group][metric]`: the outcomes behind the figures that are means over trials.  `draws[group][metric]`
    (resamples,): the figure of every bootstrap draw, in the order drawn; two results of the same data, people and
    bootstrap settings drew the same people, so the differences of their draws are a paired bootstrap of any figure.
    `curves[group][name]`, `maps[group][name]` (K, K).
    `worst`: the genuine pairs scored lowest, then the impostor pairs scored highest.
    `data` and `model` hold at least "fingerprint" and "name"; `settings` the protocol's options; `notes` what a reader
    must know to read the figures rightly.
    """

    protocol: str
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    model: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Mapping[str, Estimate]]
    trials: Mapping[str, Mapping[str, Trials]] = field(default_factory=dict)
    draws: Mapping[str, Mapping[str, FloatArray]] = field(default_factory=dict)
    curves: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    maps: Mapping[str, Mapping[str, FloatArray]] = field(default_factory=dict)
    worst: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for strict JSON; `Result.from_dict` restores it exactly.

        Raises `ProtocolError` naming the place of a NaN, an infinity, or of what JSON cannot hold.
        """
        whole = {
            "protocol": self.protocol,
            "settings": self.settings,
            "data": self.data,
            "model": self.model,
            "figures": _each(self.figures, Estimate._asdict),
            "trials": _each(self.trials, Trials._asdict),
            "draws": self.draws,
            "curves": _each(self.curves, Curve._asdict),
            "maps": self.maps,
            "worst": [pair._asdict() for pair in self.worst],
            "notes": self.notes,
            "versions": self.versions,
        }
        return {key: _plain(value, key) for key, value in whole.items()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Result:
        """The result that `to_dict` described; `ProtocolError` for anything else."""
        try:
            return cls(
                protocol=str(plain["protocol"]),
                settings=dict(plain["settings"]),
                data=dict(plain["data"]),
                model=dict(plain["model"]),
                figures=_each(plain["figures"], lambda e: Estimate(*(float(e[k]) for k in Estimate._fields))),
                trials=_each(plain["trials"], _trials),
                draws=_each(plain.get("draws", {}), _row),
                curves=_each(plain["curves"], _curve),
                maps=_each(plain["maps"], lambda m: np.array(m, np.float64)),
                worst=tuple(
                    Comparison(str(c["left"]), str(c["right"]), float(c["score"]), bool(c["same"]))
                    for c in plain["worst"]
                ),
                notes=tuple(str(note) for note in plain["notes"]),
                versions=dict(plain["versions"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as e:
            raise ProtocolError(f"this is no result of a protocol ({type(e).__name__}: {e})") from e

    def save(self, path: str | Path) -> None:
        """Write the result as strict JSON: no NaN, no infinity; a file that was there is replaced when it is whole.

        Raises `ProtocolError` as `to_dict` does.
        """
        target = Path(path)
        text = json.dumps(self.to_dict(), allow_nan=False)
        unfinished = target.with_name(f".{target.name}.unfinished")
        unfinished.write_text(text + "\n", encoding="utf-8")
        os.replace(unfinished, target)

    @classmethod
    def load(cls, path: str | Path) -> Result:
        """Read a result that `save` wrote; `ProtocolError` saying what is wrong with the file."""
        try:
            plain = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_no_number)
        except (OSError, ValueError, RecursionError) as e:
            raise ProtocolError(f"{path} cannot be read as a result ({e})") from e
        if not isinstance(plain, dict):
            raise ProtocolError(f"{path} is no result of a protocol")
        try:
            return cls.from_dict(plain)
        except ProtocolError as e:
            raise ProtocolError(f"{path}: {e}") from e


def _each(groups: Mapping[str, Mapping[str, Any]], convert: Callable[[Any], T]) -> dict[str, dict[str, T]]:
    return {group: {name: convert(value) for name, value in entries.items()} for group, entries in groups.items()}


def _trials(plain: Any) -> Trials:
    trials = Trials(_row(plain["person"], np.int64), _row(plain["value"]))
    if trials.person.shape != trials.value.shape:
        raise ValueError(f"{len(trials.value)} outcomes of {len(trials.person)} people")
    return trials


def _curve(plain: Any) -> Curve:
    curve = Curve(_row(plain["x"]), _row(plain["y"]))
    if curve.x.shape != curve.y.shape:
        raise ValueError(f"a curve of {len(curve.x)} x and {len(curve.y)} y")
    return curve


def _row(values: Any, kind: Any = np.float64) -> Any:
    row = np.array(values, kind)
    if row.ndim != 1:
        raise ValueError(f"an array of shape {row.shape} where one row of numbers was expected")
    return row


def _plain(value: Any, where: str) -> Any:
    """Mappings, sequences, arrays and NumPy's numbers as what JSON holds."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry, f"{where}.{key}") for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ProtocolError(f"{where} of the result holds NaN or infinity, which JSON cannot")
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(entry, f"{where}[{index}]") for index, entry in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise ProtocolError(f"{where} of the result is {value}, which JSON cannot hold")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ProtocolError(f"{where} of the result is a {type(value).__name__}; give text, numbers, lists or mappings")


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")
