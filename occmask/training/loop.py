"""The training loop: an endless stream of faces, steps, a bar, a log, and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from ..data.faces import FaceSet
from ..data.stream import FaceStream, collate
from ..devices import usable_device
from ..errors import CheckpointError, TrainingError
from ..margins.loss import MarginLoss
from ..models.face import FaceModel
from ..occluders import PLACEMENTS
from ..occluders.occlude import Occlusions
from ..shapes import FaceBatch
from . import OBJECTIVES
from .checkpoint import resume_checkpoint, save_checkpoint
from .checks import check_parts, check_people
from .log import append_log, cut_log
from .optimisation import build_optimiser, set_learning_rate
from .recipe import Recipe
from .step import StepResult, training_mode, training_step


class TrainingSummary(NamedTuple):
    """How a run ended; losses and accuracy are those of its last logged interval (NaN: the objective names nobody)."""

    steps: int
    seconds: float  # of this process, not of the runs it resumed
    loss: float
    accuracy: float
    checkpoint: Path | None


def train(
    model: FaceModel,
    loss: MarginLoss | None,
    faces: FaceSet,
    recipe: Recipe,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    workers: int = 0,
    progress: bool = True,
) -> TrainingSummary:
    """Train `model` and `loss` in place, both in evaluation mode afterwards.

    `loss` may be None for a recipe whose objective names nobody, such as "occupancy"; the people of `faces` do not
    matter then.

    `out`: a folder for `last.safetensors` (replaced atomically every `recipe.checkpoint_every` steps and
    at the end) and `log.jsonl`; None keeps nothing.  `resume`: go on from `out/last.safetensors`; on a CPU the weights
    end bit for bit as without the interruption.
    Raises `TrainingError`, `OptionError`, `CheckpointError` or `DataError`.
    """
    folder = Path(out) if out is not None else None
    model.config.input_spec.check(size=faces.image_size, template=faces.template)
    check_people(model, loss, faces, recipe)
    check_parts(model, recipe)
    where = usable_device(device)
    model.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    classes = nn.Module() if loss is None else loss.to(where)  # of people; an empty module has none
    torch.manual_seed(recipe.seed)
    objective = _objective(model, loss, recipe).to(where)
    with training_mode(model, classes, recipe):
        optimiser = build_optimiser(
            recipe.optimiser,
            model,
            classes,
            objective,
            parts_learning_rate=recipe.parts_learning_rate,
            weight_decay=recipe.weight_decay,
        )
        done, total = 0, recipe.num_steps(len(faces))
        if folder is not None:
            done = _open_folder(folder, model, classes, objective, optimiser, recipe, resume=resume)
        finish = getattr(objective, "finish", None)
        more = 0 if finish is None else objective.finishing_batches
        stream = _stream(faces, recipe, model, batches=total + more, clean=objective.needs_clean)
        batches = (_move(batch, where) for batch in _batches(stream, recipe, first=done, workers=workers))
        bar = tqdm(total=total, initial=done, desc=recipe.name, unit="step", disable=not progress, dynamic_ncols=True)
        start, meter = time.perf_counter(), _Meter(loss, recipe)
        for index in range(done, total):
            batch = next(batches)
            set_learning_rate(optimiser, recipe.schedule, index=index, total=total, warm_up=recipe.warm_up)
            result = training_step(model, classes, objective, optimiser, batch, recipe, index=index)
            entry = meter.read(result, batch, index=index, last=index + 1 == total)
            bar.update()
            if entry is not None:
                shown = {"loss": f"{entry['loss']:.2f}", "images": f"{entry['images_per_second']:.0f}/s"}
                bar.set_postfix(shown | ({"accuracy": f"{entry['accuracy']:.2f}"} if "accuracy" in entry else {}))
                if folder is not None:
                    rate = optimiser.param_groups[0]["lr"]
                    append_log(folder / "log.jsonl", {"recipe": recipe.name, **entry, "learning_rate": rate})
            if folder is not None and (index + 1) % recipe.checkpoint_every == 0 and index + 1 < total:
                save_checkpoint(_last(folder), model, classes, objective, optimiser, recipe, steps_done=index + 1)
        bar.close()
        if finish is not None and done < total:
            model.eval()
            with torch.no_grad():
                finish(model, batches)
        if folder is not None and done < total:
            save_checkpoint(_last(folder), model, classes, objective, optimiser, recipe, steps_done=total)
    return TrainingSummary(
        total, time.perf_counter() - start, meter.loss, meter.accuracy, _last(folder) if folder else None
    )


def _stream(faces: FaceSet, recipe: Recipe, model: FaceModel, *, batches: int, clean: bool) -> FaceStream:
    occlusion = None
    if recipe.clean_share < 1:
        placement = PLACEMENTS.build(recipe.placement)
        occlusion = Occlusions(recipe.occluders, placement, share=1 - recipe.clean_share)
    return FaceStream(
        faces,
        seed=recipe.seed,
        length=batches * recipe.batch_size,
        occlusion=occlusion,
        flip=recipe.flip,
        jitter=recipe.jitter,
        shift=recipe.shift,
        warp=recipe.warp,
        relight=recipe.relight,
        spec=model.config.input_spec,
        with_clean=clean,
    )


class _Meter:
    """Means since the last logged step; the accuracy is that of the logged step's batch."""

    def __init__(self, margin: MarginLoss | None, recipe: Recipe):
        self.margin, self.recipe = margin, recipe
        self.loss = self.accuracy = float("nan")
        self._restart()

    def _restart(self) -> None:
        self.results: list[StepResult] = []
        self.images, self.since = 0, time.perf_counter()

    def read(self, result: StepResult, batch: FaceBatch, *, index: int, last: bool) -> dict[str, Any] | None:
        self.results.append(result)
        self.images += len(batch.label)
        if (index + 1) % self.recipe.log_every and not last:
            return None
        count = len(self.results)
        self.loss = sum(r.total for r in self.results) / count
        entry: dict[str, Any] = {"step": index + 1, "loss": self.loss}
        for name in result.terms:
            entry[f"{name}_loss"] = sum(r.terms[name] for r in self.results) / count
        if result.embedding is not None and self.margin is not None:
            self.accuracy = (self.margin.predict(result.embedding) == batch.label).float().mean().item()
            entry["accuracy"] = self.accuracy
        entry["images_per_second"] = self.images / (time.perf_counter() - self.since)
        self._restart()
        return entry


def _objective(model: FaceModel, loss: MarginLoss | None, recipe: Recipe) -> Any:
    """An `Objective` that is also the module it has to be."""
    objective = OBJECTIVES.build(recipe.objective, model, loss, recipe)
    if not isinstance(objective, nn.Module) or not isinstance(getattr(objective, "needs_clean", None), bool):
        raise TrainingError(
            f"objective {recipe.objective.name!r} is none: it has to be a torch module that says by needs_clean, True "
            "or False, whether it needs the uncovered faces"
        )
    return objective


def _last(folder: Path) -> Path:
    return folder / "last.safetensors"


def _open_folder(
    folder: Path,
    model: FaceModel,
    loss: nn.Module,
    objective: nn.Module,
    optimiser: torch.optim.Optimizer,
    recipe: Recipe,
    *,
    resume: bool,
) -> int:
    """How many steps are done already; refuses to write over a finished or interrupted run unasked."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise TrainingError(f"cannot make the folder {folder}: {e.strerror}; choose another one") from e
    last, done = _last(folder), 0
    if last.exists() and not resume:
        raise CheckpointError(f"{last} exists already; resume it, or choose another folder")
    if last.exists():
        done = resume_checkpoint(last, model, loss, objective, optimiser, recipe)
    cut_log(folder / "log.jsonl", steps_done=done)
    return done


def _batches(stream: FaceStream, recipe: Recipe, *, first: int, workers: int) -> Iterator[FaceBatch]:
    """Batches of the steps from `first` on; each depends on its position alone, so resuming repeats nothing."""
    loader: DataLoader[FaceBatch] = DataLoader(
        Subset(stream, range(first * recipe.batch_size, len(stream))),
        batch_size=recipe.batch_size,
        num_workers=workers,
        collate_fn=collate,
        # The loader draws a seed when it starts; from the global generator that would change the dropout.
        generator=torch.Generator(),
    )
    return iter(loader)


def _move(batch: FaceBatch, device: torch.device) -> FaceBatch:
    """Images and labels to the device; the truth stays on the CPU, where the labels are made."""
    image = batch.image.to(device, memory_format=torch.channels_last)
    clean = None if batch.clean is None else batch.clean.to(device, memory_format=torch.channels_last)
    return FaceBatch(image, batch.label.to(device), batch.truth, clean)
