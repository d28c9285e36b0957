"""Train, attach, match, write: one comparison of matchers from beginning to end."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from ..comparison.repeats import environment
from ..data.faces import FaceSet
from ..data.split import Fold, people_folds
from ..errors import DataError
from ..evaluation.bootstrap import Bootstrap
from ..measure import plain, probes_by_condition
from ..models.face import FaceModel
from ..report.matchers import format_matchers_markdown
from ..spec import Spec
from ..version import __version__
from .figures import METRICS, Run, Table, tabulate
from .misaligned import misaligned
from .occupancy import Maps, maps_of, occupancy_figures
from .practice import Key, calibrations, evidence_of, impostors_of, practice_of, temperatures
from .scoring import scores_by_condition
from .settings import CALIBRATED, CONTROL, ENTRIES, FAR, WITHOUT, Entry, MatcherSettings, as_seen
from .thresholds import factors, false_accepts
from .training import trained_recogniser, with_head

_FUSED = Spec("fused")


def run_matcher_comparison(settings: MatcherSettings, faces: FaceSet, *, data: str, command: str) -> dict[str, Any]:
    """Run the comparison and return its results, which `settings.out/results.json` holds, too.

    The people of `faces` are cut into folds; a fold's recogniser and head are trained on the people of the others, and
    measured on its own, whom neither has seen, under occluders that neither has seen.  A run that was stopped goes on
    from the models in `settings.out`.  Raises `DataError` when the folder cannot be made or there are too few people.
    """
    start = time.perf_counter()
    _make_folder(settings.out)
    folds = people_folds(faces, folds=settings.folds)[: settings.only_folds]
    models: dict[Key, FaceModel] = {}
    bar = tqdm(total=2 * len(folds) * settings.seeds, desc="folds", unit="run", disable=not settings.progress)
    for index, fold in enumerate(folds):
        for seed in range(settings.seeds):
            models[index, seed] = _trained(settings, fold, index, seed)
            bar.update()
    calibrated = _calibrated(models, [fold.held_out for fold in folds]) if len(folds) > 1 else {}
    found = _Found([], [])
    for run, model in models.items():
        more = (Entry(CALIBRATED, calibrated[run], as_seen),) if run in calibrated else ()
        entries = (*ENTRIES, *more)
        _measure(model, folds[run[0]].held_out.in_memory(), run, entries, found)
        bar.update()
    bar.close()
    people = [fold.held_out.num_people for fold in folds]
    table = tabulate(found.runs, people_per_fold=people, bootstrap=Bootstrap(resamples=settings.resamples))
    rates = false_accepts(found.runs, (CONTROL, "fused", *([CALIBRATED] if calibrated else [])))
    labels, seeds = [run.label for run in found.runs], [run.seed for run in found.runs]
    results = {
        "occmask": __version__,
        "date": date.today().isoformat(),
        "command": command,
        "environment": environment(),
        "settings": _settings(settings, data, len(folds)),
        "entries": {entry.name: entry.matcher.to_dict() for entry in ENTRIES},
        "conditions": list(table.conditions),
        "figures": _figures(table),
        "differences": _differences(table),
        "occupancy": occupancy_figures(found.maps, labels, seeds, resamples=settings.resamples),
        "false_accepts": {entry: {"far": own, "factor": factors(own)} for entry, own in rates.items()},
        "calibrations": {f"fold {fold}, seed {seed}": spec.to_dict() for (fold, seed), spec in calibrated.items()},
        "temperatures": {
            f"fold {fold}, seed {seed}": getattr(model.head, "temperature", None)
            for (fold, seed), model in models.items()
        },
        "seconds": round(time.perf_counter() - start, 1),
    }
    (settings.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (settings.out / "matchers.md").write_text(format_matchers_markdown(results))
    return results


class _Found(NamedTuple):
    """What was measured, an entry a run."""

    runs: list[Run]
    maps: list[dict[str, Maps]]


def _calibrated(models: Mapping[Key, FaceModel], held_out: Sequence[FaceSet]) -> dict[Key, Spec]:
    """Give each head its temperature, and `fused` its calibration, both from the other folds."""
    practices = [practice_of(faces) for faces in held_out]
    evidence = {key: evidence_of(model, practices[key[0]]) for key, model in models.items()}
    for key, temperature in temperatures(evidence).items():
        models[key].head.temperature = temperature  # type: ignore[union-attr]
    impostors = {key: impostors_of(model, practices[key[0]], matcher=_FUSED) for key, model in models.items()}
    return calibrations(impostors, matcher=_FUSED)


def _trained(settings: MatcherSettings, fold: Fold, index: int, seed: int) -> FaceModel:
    """A recogniser with its head, trained on one fold's people or read back."""
    folder = settings.out / f"fold-{index}-seed-{seed}"
    folder.mkdir(exist_ok=True)
    training = fold.training.in_memory()
    control = trained_recogniser(settings, training, folder, seed=seed)
    return with_head(settings, control, training, folder, seed=seed)


def _measure(model: FaceModel, held_out: FaceSet, run: Key, entries: Sequence[Entry], found: _Found) -> None:
    """On the fold's own people."""
    conditions = probes_by_condition(held_out)
    scores = scores_by_condition(model, held_out.images(), conditions | misaligned(held_out), entries)
    found.runs.append(Run(*run, held_out.labels, scores))
    found.maps.append(maps_of(model, conditions))


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise DataError(f"cannot make the folder {out}: {e.strerror}; choose another with --out") from e


def _figures(table: Table) -> dict[str, Any]:
    return {
        entry: {c: {m: plain(table.estimate(entry, c, m)) for m in METRICS} for c in table.conditions}
        for entry in table.entries
    }


def _differences(table: Table) -> list[dict[str, Any]]:
    """Every entry against the control, and `fused` against itself without visibility."""
    compared = [(entry, CONTROL) for entry in table.entries if entry != CONTROL] + [("fused", WITHOUT)]
    found = []
    for entry, against in compared:
        for condition in table.conditions:
            for metric in METRICS:
                difference, won = table.difference(entry, against, condition, metric)
                where: Mapping[str, Any] = {"entry": entry, "against": against, "condition": condition}
                found.append({**where, "metric": metric, "difference": plain(difference), "folds_won": won})
    return found


def _settings(settings: MatcherSettings, data: str, folds: int) -> dict[str, Any]:
    budget = settings.budget
    return {
        "data": data,
        "model": settings.model,
        "changes": {name: v.to_dict() if isinstance(v, Spec) else v for name, v in settings.changes.items()},
        "head": settings.head.to_dict(),
        "head_steps": settings.head_steps if settings.steps is None else settings.steps,
        "steps": [budget.first_steps, budget.more_steps],
        "margin loss": budget.margin.to_dict(),
        "folds": folds,
        "seeds": settings.seeds,
        "far": FAR,
        "confidence": 0.95,
        "resamples": settings.resamples,
    }
