"""One recogniser a fold and a seed, trained on covered faces, and the head that is attached to it."""

from __future__ import annotations

from pathlib import Path

from ..data.faces import FaceSet
from ..models.attaching import attach
from ..models.config import ModelConfig
from ..models.face import FaceModel
from ..models.weights import load_model, save_weights
from ..spec import Spec
from ..training.attached import train_head
from ..training.methods import Trained, train_method
from .settings import MatcherSettings

CONTROL_METHODS = ("baseline", "augmented")


def trained_recogniser(settings: MatcherSettings, faces: FaceSet, folder: Path, *, seed: int) -> FaceModel:
    """The control: trained on clean faces, then on covered ones, without a mask branch; read back if it is there."""
    path = folder / "control.safetensors"
    if path.exists():
        return load_model(path)
    start: Trained | None = None
    for name in CONTROL_METHODS:
        start = train_method(
            name,
            faces,
            base=_with_head(settings.config),
            margin=settings.budget.margin,
            budget=settings.budget,
            seed=seed,
            start=start,
            device=settings.device,
            progress=False,
        )
    assert start is not None
    save_weights(start.model, path)
    return start.model


def with_head(settings: MatcherSettings, model: FaceModel, faces: FaceSet, folder: Path, *, seed: int) -> FaceModel:
    """The recogniser with a trained head; its weights stay as they are.  Read back if it is there."""
    path = folder / f"{settings.head.name}.safetensors"
    if path.exists():
        return load_model(path)
    seeing = attach(model, settings.head)
    steps = settings.head_steps if settings.steps is None else settings.steps
    train_head(seeing, faces, steps=steps, seed=seed, device=settings.device, progress=False)
    save_weights(seeing, path)
    return seeing


def _with_head(config: ModelConfig) -> ModelConfig:
    """Methods change a model that has FROM's head; the control takes it away."""
    return config if config.head is not None else config.override(head=Spec("from"))
