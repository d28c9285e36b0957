"""A model's answers about what is covered, made into probabilities that mean what they say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ..coverage import coverage_target
from ..data.faces import FaceSet
from ..data.stream import FaceStream, collate
from ..devices import device_of
from ..errors import OptionError, ProtocolError
from ..evaluation.calibration import (
    Reliability,
    fit_class_temperature,
    fit_temperature,
    reliability,
    reliability_by_mass,
)
from ..evaluation.checks import check_whole
from ..images.face_regions import region_weights
from ..models.config import ModelConfig, components
from ..models.face import FaceModel
from ..models.inference import InferenceModel
from ..occluders.occlude import Occlusions
from ..shapes import REGIONS, FaceBatch, FaceOutput, OcclusionAnswer

CELLS, ANYTHING = "cells", "anything"  # what is judged besides each of the regions


class AnswerReliability(NamedTuple):
    """How far a model's answers can be taken at their word: of its cells, of "anything is covered", of each region."""

    by_width: Mapping[str, Reliability]  # "cells", "anything" and each of REGIONS, in bins of equal width
    by_mass: Mapping[str, Reliability]  # the same in bins of equal mass

    def ece(self, name: str) -> float:
        """The expected calibration error, in bins of equal width."""
        return self.by_width[name].ece

    def to_dict(self) -> dict[str, dict[str, float]]:
        """For JSON: both errors of everything that was judged."""
        return {n: {"ece": self.ece(n), "ece_equal_mass": self.by_mass[n].ece} for n in self.by_width}


class CalibrationReport(NamedTuple):
    """What `calibrate` did to a model."""

    temperature: float  # what the logits are divided by now
    before: AnswerReliability  # with the temperature that the model had
    after: AnswerReliability
    faces: int  # that were covered and looked at

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        errors = {"before": self.before.to_dict(), "after": self.after.to_dict()}
        return {"temperature": self.temperature, "faces": self.faces, **errors}


class _Looked(NamedTuple):
    """One batch: what the model said, and what was so."""

    pattern: Tensor
    cells: NDArray[np.float32]  # (B, h, w) covered share, on the answer's finest grid
    anything: NDArray[np.bool_]  # (B,)
    regions: NDArray[np.float32]  # (B, R) covered share
    logits: NDArray[np.float32]  # what the temperature is fitted to
    outcome: NDArray[Any]


def calibrate(
    model: FaceModel,
    faces: FaceSet,
    *,
    occlusions: Occlusions | None = None,
    samples: int = 1000,
    seed: int = 0,
    batch_size: int = 64,
    progress: bool = False,
) -> CalibrationReport:
    """Fit the temperature of a model's answers to faces it was not trained on, and set it, in model and config.

    `faces` are covered as in training: `occlusions` (None: the training occluders anywhere, on 2 faces of 3) covers
    `samples` draws of them, seeded by `seed`.  The temperature minimises the cross entropy of the cells of an
    `occupancy` head and of the predictor "mask", of the patterns of "classification", of the cover logit of
    "regression".  It moves no cell across one half, and nothing else of the model.  The errors in the report are of the
    same draws: one number cannot be fitted to them closely, and measured on other occluders they are larger.

    Raises `OptionError` for a model whose answers have no temperature, `DataError` for faces of another size or
    alignment, `ProtocolError` for a model in training mode.  Source: Guo et al., ICML 2017, section 4.2.
    """
    path = temperature_path(model)
    model.config.input_spec.check(size=faces.image_size, template=faces.template)
    if model.training:
        raise ProtocolError("the model is in training mode, where an answer depends on its batch; call .eval()")
    check_whole("samples", samples, least=1, usual=1000)
    check_whole("batch_size", batch_size, least=1, usual=64)
    stream = FaceStream(
        faces,
        seed=seed,
        length=samples,
        occlusion=Occlusions() if occlusions is None else occlusions,
        flip=False,
        spec=model.config.input_spec,
    )
    owner: Any = model.get_submodule(".".join(path))
    looked = [_look(model, owner, batch) for batch in _batches(stream, batch_size, progress=progress)]
    before = _judge(model, looked)
    logits, outcome = (np.concatenate([getattr(one, name) for one in looked]) for name in ("logits", "outcome"))
    fit = fit_class_temperature if logits.ndim == 2 else fit_temperature
    temperature = float(f"{fit(logits, outcome):.4g}")
    owner.temperature = temperature
    model.config = model.config.override(**{".".join([*path, "temperature"]): temperature})
    return CalibrationReport(temperature, before, _judge(model, looked), samples)


def temperature_path(model: FaceModel) -> list[str]:
    """Where the temperature of a model's answers stands, in the model and in its config: ["head"], for example.

    Raises `OptionError` for a model that sees no occlusion, or whose answers have no temperature.
    """
    if isinstance(model, InferenceModel):
        raise OptionError("an optimized model cannot be changed; calibrate the original and optimize that")
    if not model.sees_occlusion:
        raise OptionError(
            "this model sees no occlusion; occmask.attach(model, 'occupancy') gives it a head to train and calibrate"
        )
    found = _path(model.config)
    if found is None:
        raise OptionError(
            "the answers of this model have no temperature (an option `temperature` of its head or pattern predictor); "
            "occmask.attach(model, 'occupancy') gives it a head that has one"
        )
    return found


def _path(config: ModelConfig) -> list[str] | None:
    """The head itself, or what is inside it; a gate inside a head answers nothing."""
    for path, registry, spec in components(config):
        if path[0] == "head" and "gate" not in path and "temperature" in registry.options(spec.name):
            return path
    return None


def _batches(stream: FaceStream, batch_size: int, *, progress: bool) -> Iterator[FaceBatch]:
    with tqdm(total=len(stream), desc="calibrating", unit="face", disable=not progress, dynamic_ncols=True) as bar:
        for start in range(0, len(stream), batch_size):
            numbers = range(start, min(start + batch_size, len(stream)))
            yield collate([stream[number] for number in numbers])
            bar.update(len(numbers))


def _look(model: FaceModel, owner: Any, batch: FaceBatch) -> _Looked:
    truth = batch.truth
    assert truth is not None
    assert truth.covered is not None
    with torch.inference_mode():
        pattern = model(batch.image.to(device_of(model)), occlusion=True).pattern.float().cpu()
        answer = _answer(model, pattern)
        assert answer.coverage is not None
        size = (answer.coverage.shape[1], answer.coverage.shape[2])
        if hasattr(owner, "evidence"):
            logits, outcome = owner.evidence(pattern, truth)
        else:  # coverage logits
            logits, outcome = pattern.flatten(), coverage_target(truth, (pattern.shape[2], pattern.shape[3])).flatten()
        cells = coverage_target(truth, size)[:, 0]
    image_size = model.config.image_size
    covered: NDArray[np.bool_] = truth.covered.flatten(1).numpy()
    anything: NDArray[np.bool_] = np.asarray(covered.any(1))
    regions = covered.astype(np.float32) @ region_weights(image_size, image_size).T
    evidence = (logits.float().numpy(), outcome.cpu().numpy())
    return _Looked(pattern, cells.numpy(), anything, np.clip(regions, 0, 1), *evidence)


def _answer(model: FaceModel, pattern: Tensor) -> OcclusionAnswer:
    """What the model makes of a pattern that it has predicted."""
    return model.occlusion_answer(FaceOutput(torch.empty(len(pattern), 0), pattern=pattern))


def _judge(model: FaceModel, looked: list[_Looked]) -> AnswerReliability:
    said: dict[str, list[NDArray[Any]]] = {name: [] for name in (CELLS, ANYTHING, *REGIONS)}
    came: dict[str, list[NDArray[Any]]] = {name: [] for name in said}
    with torch.inference_mode():
        for one in looked:
            answer = _answer(model, one.pattern)
            assert answer.coverage is not None
            assert answer.regions is not None
            said[CELLS].append(answer.coverage.flatten().numpy())
            came[CELLS].append(one.cells.ravel())
            said[ANYTHING].append(answer.covered.numpy())
            came[ANYTHING].append(one.anything)
            for name, predicted, true in zip(REGIONS, answer.regions.numpy().T, one.regions.T, strict=True):
                said[name].append(predicted)
                came[name].append(true)
    pairs = {name: (np.concatenate(said[name]), np.concatenate(came[name])) for name in said}
    return AnswerReliability(
        {name: reliability(*pair) for name, pair in pairs.items()},
        {name: reliability_by_mass(*pair) for name, pair in pairs.items()},
    )
