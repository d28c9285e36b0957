"""Train, attach, match, write: one comparison of matchers from beginning to end."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..comparison.repeats import environment
from ..data.faces import FaceSet
from ..data.split import people_folds
from ..errors import DataError
from ..evaluation.bootstrap import Bootstrap
from ..measure import plain, probes_by_condition
from ..spec import Spec
from ..version import __version__
from .figures import METRICS, Run, Table, tabulate
from .scoring import scores_by_condition
from .settings import CONTROL, ENTRIES, FAR, WITHOUT, MatcherSettings
from .training import trained_recogniser, with_head


def run_matcher_comparison(settings: MatcherSettings, faces: FaceSet, *, data: str, command: str) -> dict[str, Any]:
    """Run the comparison and return its results, which `settings.out/results.json` holds, too.

    The people of `faces` are cut into folds; a fold's recogniser and head are trained on the people of the others, and
    measured on its own, whom neither has seen, under occluders that neither has seen.  A run that was stopped goes on
    from the models in `settings.out`.  Raises `DataError` when the folder cannot be made or there are too few people.
    """
    start = time.perf_counter()
    _make_folder(settings.out)
    folds = people_folds(faces, folds=settings.folds)[: settings.only_folds]
    runs = []
    bar = tqdm(total=len(folds) * settings.seeds, desc="folds", unit="run", disable=not settings.progress)
    for index, fold in enumerate(folds):
        training, held_out = fold.training.in_memory(), fold.held_out.in_memory()
        conditions = probes_by_condition(held_out)
        for seed in range(settings.seeds):
            folder = settings.out / f"fold-{index}-seed-{seed}"
            folder.mkdir(exist_ok=True)
            control = trained_recogniser(settings, training, folder, seed=seed)
            seeing = with_head(settings, control, training, folder, seed=seed)
            scores = scores_by_condition(seeing, held_out.images(), conditions, ENTRIES)
            runs.append(Run(index, seed, held_out.labels, scores))
            bar.update()
    bar.close()
    people = [fold.held_out.num_people for fold in folds]
    table = tabulate(runs, people_per_fold=people, bootstrap=Bootstrap(resamples=settings.resamples))
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
        "seconds": round(time.perf_counter() - start, 1),
    }
    (settings.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    return results


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
