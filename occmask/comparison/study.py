"""Train, measure, write: one comparison from beginning to end."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from ..data.faces import FaceSet
from ..data.split import GallerySplit, split_gallery_probes
from ..errors import DataError, OccmaskError, OptionError
from ..evaluation.far import check_resolvable
from ..measure import Scores, probes_by_condition, score_known_people
from ..models.weights import save_weights
from ..occluders.conditions import CONDITIONS, Probes
from ..report.figures import FacePicture
from ..report.methods.markdown import format_methods_markdown
from ..report.methods.page import write_methods_page
from ..report.methods.table import format_methods_table
from ..training import METHODS
from ..training.methods import Method, Trained, method_named, train_method
from ..version import __version__
from .beliefs import beliefs
from .cost import milliseconds_per_face, num_parameters
from .repeats import environment, fixed_box, method_results, rank1_differences
from .settings import FAR, ComparisonSettings, in_training_order


class _Runs(NamedTuple):
    """What was trained and measured, a mapping a seed; a method that failed once is in none of them."""

    trained: list[dict[str, Trained]]
    scores: list[dict[str, Scores]]
    missing: dict[str, str]  # method -> why


def run_comparison(
    settings: ComparisonSettings, faces: FaceSet, *, data: str, command: str, test: FaceSet | None = None
) -> str:
    """Run the comparison and return its table.

    `faces` are trained on; without `test` only the first pictures of each person, and the others are the probes.
    `data` and `command` say on the page what that was.  Writes `results.json`, `methods.html`, `methods.md` and
    `weights/METHOD.safetensors` (of the first seed) under `settings.out`, and a folder of checkpoints a seed; a run
    that was stopped goes on from those.  A method that fails is reported, with its reason, and the others go on.
    """
    start = time.perf_counter()
    _make_folder(settings.out)
    split = split_gallery_probes(faces if test is None else test, gallery=settings.gallery)
    gallery, probes = split.gallery.in_memory(), split.probes.in_memory()
    training = gallery if test is None else faces.relabel()
    same_person = int((gallery.labels[:, None] == probes.labels).sum())
    check_resolvable((FAR,), len(gallery) * len(probes) - same_person)  # after days of training it would be too late
    conditions = probes_by_condition(probes)
    methods, missing = _methods(settings)
    runs = _run(settings, methods, missing, training, GallerySplit(gallery, probes), conditions)
    if not runs.scores[0]:
        raise OptionError(f"no method could be trained: {'; '.join(runs.missing.values())}")
    results = {
        "occmask": __version__,
        "date": date.today().isoformat(),
        "command": command,
        "environment": environment(),
        "settings": _settings(settings, data),
        "conditions": list(CONDITIONS),
        "methods": _results(methods, runs),
        "comparisons": _comparisons(methods, runs, probes),
        "fixed_box": fixed_box(conditions, probes.labels, probes.image_size),
        "missing": [{"method": name, "reason": reason} for name, reason in runs.missing.items()],
        "limits": _limits(settings, test, methods),
    }
    pictures = {
        name: found
        for name, trained in runs.trained[0].items()
        if name in runs.scores[0] and (found := beliefs(trained.model, conditions, faces=settings.faces_on_page))
    }
    results["seconds"] = {"everything": round(time.perf_counter() - start, 1)}
    return _write(settings, results, runs, pictures)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise DataError(f"cannot make the folder {out}: {e.strerror}; choose another with --out") from e


def _methods(settings: ComparisonSettings) -> tuple[dict[str, Method], dict[str, str]]:
    """The methods in the order in which they are trained, and those that cannot be had, with the reason."""
    found: dict[str, Method] = {}
    missing: dict[str, str] = {}
    waiting = list(settings.methods or METHODS)
    while waiting:
        name = waiting.pop()
        if name in found or name in missing:
            continue
        try:
            found[name] = method_named(name)
        except Exception as e:  # a plug-in's
            missing[name] = _reason(e)
            continue
        waiting += [other for other in (found[name].starts_from, found[name].control) if other is not None]
    wanted = settings.methods or [name for name, method in found.items() if method.compared]
    needed = {name: (method.starts_from, method.control) for name, method in found.items()}
    ours_first = sorted((name for name in wanted if name in found), key=lambda n: (not METHODS.is_builtin(n), n))
    order = in_training_order(ours_first, needed)
    return {name: found[name] for name in order if name in found}, missing


def _run(
    settings: ComparisonSettings,
    methods: Mapping[str, Method],
    missing: dict[str, str],
    training: FaceSet,
    test: GallerySplit,
    conditions: Mapping[str, Probes],
) -> _Runs:
    runs = _Runs([], [], missing)
    bar = tqdm(total=settings.seeds * len(methods), desc="methods", unit="method", disable=not settings.progress)
    for seed in range(settings.seeds):
        trained: dict[str, Trained] = {}
        scores: dict[str, Scores] = {}
        for name, method in methods.items():
            bar.set_postfix_str(f"{name}, seed {seed}")
            if name not in runs.missing:
                try:
                    trained[name] = _train(settings, name, method, training, trained, seed)
                    model = trained[name].model
                    scores[name] = score_known_people(model, test.gallery, test.probes, conditions, far=FAR)
                except Exception as e:  # whatever a method does must not cost the others
                    runs.missing[name] = _reason(e)
            bar.update()
        runs.trained.append(trained)
        runs.scores.append(scores)
    bar.close()
    for scores in runs.scores:
        for name in runs.missing:
            scores.pop(name, None)
    return runs


def _train(
    settings: ComparisonSettings,
    name: str,
    method: Method,
    training: FaceSet,
    trained: Mapping[str, Trained],
    seed: int,
) -> Trained:
    start = None
    if method.starts_from is not None:
        if method.starts_from not in trained:
            raise OptionError(f"it starts from {method.starts_from!r}, which is missing")
        start = trained[method.starts_from]
    folder = settings.out / f"seed-{seed}" / name
    method_trained = train_method(
        name,
        training,
        base=settings.model,
        margin=settings.how_long.margin,
        budget=settings.how_long,
        seed=seed,
        start=start,
        out=folder,
        resume=True,
        device=settings.device,
        progress=False,
    )
    return method_trained._replace(seconds=_with_earlier(folder / "seconds.json", method_trained.seconds))


def _with_earlier(path: Path, seconds: float) -> float:
    """Seconds of training with those of the runs that this one goes on from, which the file remembers."""
    earlier = json.loads(path.read_text())["seconds"] if path.exists() else 0.0
    path.write_text(json.dumps({"seconds": earlier + seconds}))
    return float(earlier + seconds)


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split())
    return said if isinstance(error, OccmaskError) else f"{type(error).__name__}: {said}"


def _results(methods: Mapping[str, Method], runs: _Runs) -> dict[str, Any]:
    models = {name: runs.trained[0][name].model for name in methods if name in runs.scores[0]}
    milliseconds = milliseconds_per_face(models)
    plain = num_parameters(models["baseline"]) if "baseline" in models else None
    found: dict[str, Any] = {}
    for name, model in models.items():
        method, count = methods[name], num_parameters(model)
        found[name] = {
            "summary": method.summary,
            "family": method.family,
            "control": method.control,
            "plugin": METHODS.plugin_of(name),
            "parameters": count,
            "added_parameters": None if plain is None else count - plain,
            "milliseconds": milliseconds[name],
            "steps": runs.trained[0][name].steps,
            "train_seconds": sum(trained[name].seconds for trained in runs.trained) / len(runs.trained),
            "occlusion": {},
            **method_results([scores[name] for scores in runs.scores]),
        }
    return found


def _comparisons(methods: Mapping[str, Method], runs: _Runs, probes: FaceSet) -> list[dict[str, Any]]:
    """Each method against its control, the control of the house, and the baseline."""
    measured = runs.scores[0]
    return [
        row
        for name in measured
        for against in dict.fromkeys((methods[name].control, "augmented", "baseline"))
        if against in measured and against != name and name != "baseline"
        for row in rank1_differences(name, against, runs.scores, probes.labels)
    ]


def _settings(settings: ComparisonSettings, data: str) -> dict[str, Any]:
    budget = settings.how_long
    return {
        "data": data,
        "model": settings.model,
        "margin loss": budget.margin.to_dict(),
        "budget": settings.budget,
        "first_steps": budget.first_steps,
        "more_steps": budget.more_steps,
        "batch_size": budget.common.get("batch_size"),
        "gallery": settings.gallery,
        "seeds": settings.seeds,
        "far": FAR,
        "confidence": 0.95,
    }


def _limits(settings: ComparisonSettings, test: FaceSet | None, methods: Mapping[str, Method]) -> list[str]:
    limits = [
        f"{name} asks for {shares:g} times the steps that the budget gives a method."
        for name, method in methods.items()
        if method.starts_from is not None and round(shares := sum(stage.share for stage in method.stages), 6) > 1
    ]
    if test is None:
        limits.append("Training and test show the same people in different pictures.")
    if settings.steps is not None:
        limits.append(f"Every stage was cut to {settings.steps} steps: the figures show that it runs and nothing else.")
    return limits


def _write(
    settings: ComparisonSettings, results: dict[str, Any], runs: _Runs, pictures: Mapping[str, Sequence[FacePicture]]
) -> str:
    for name in runs.scores[0]:
        save_weights(runs.trained[0][name].model, settings.out / "weights" / f"{name}.safetensors")
    (settings.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (settings.out / "methods.md").write_text(format_methods_markdown(results))
    write_methods_page(settings.out / "methods.html", results, pictures=pictures)
    return format_methods_table(results)
