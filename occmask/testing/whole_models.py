"""`check_model`: a named configuration of a whole model."""

from __future__ import annotations

import json

import torch
from torch import Tensor, nn

from ..models.builder import build
from ..models.config import MODELS, ModelConfig, components
from ..shapes import FaceOutput, FeatureShape
from .describing import check_description
from .examination import BATCH, Component, Examination, seeded
from .faces import check_answer, images, truths
from .modules import check_module


def check_model(model: Component[ModelConfig]) -> None:
    """Raise `AssertionError` unless a named model is what it says: `factory() -> occmask.ModelConfig`.

    Checked: the config is the same every time and survives JSON, its components exist; the model embeds faces of its
    size in its width, learns, answers what is covered if it sees that; and what is checked of every module (see
    `check_head`).  Costs a few passes of the model on a CPU.
    """
    exam = Examination(MODELS, model)
    config = exam.build()
    exam.require(isinstance(config, ModelConfig), f"returns an occmask.ModelConfig, not a {type(config).__name__}")
    exam.require(exam.build() == config, "is the same config every time")
    with exam.clause("is plain data"):
        again = ModelConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    exam.require(again == config, "is what JSON gives back")
    for path, registry, spec in components(config):
        exam.require(
            spec.name in registry or ":" in spec.name, f"has a {'.'.join(path)} that exists, not {spec.name!r}"
        )
    with seeded():
        _check(exam, config)
    check_description(exam)


def _check(exam: Examination, config: ModelConfig) -> None:
    with exam.clause("can be built"):
        built = build(config)
    height, width = config.image_size
    given = images(height, width)
    with exam.clause("takes a batch in training"):
        output = built.train()(given, clean=True)
    exam.require(isinstance(output, FaceOutput), f"returns a FaceOutput, not a {type(output).__name__}")
    exam.require_shape(output.embedding, (BATCH, built.width), "the embedding, as wide as `width`,")
    total = output.embedding.square().mean()
    if built.has_occlusion_loss:
        with exam.clause("has an occlusion loss"):
            loss = built.occlusion_loss(output, truths(FeatureShape(3, height, width))["some faces covered"])
        exam.require_finite(loss, "in the occlusion loss")
        total = total + loss
    total.backward()
    silent = [name for name, p in built.named_parameters() if p.requires_grad and p.grad is None]
    exam.require(not silent, f"trains all its parameters, but no gradient reaches {', '.join(silent[:3])}")
    if built.sees_occlusion:
        with torch.no_grad(), exam.clause("answers what is covered"):
            answer = built.eval()(given, occlusion=True)
            check_answer(exam, built.occlusion_answer(answer), None)
    check_module(exam, lambda: _Asked(config), (given,))


class _Asked(nn.Module):
    """A model that is asked for all it can say, in training as in evaluation."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.model = build(config)

    def forward(self, images: Tensor) -> FaceOutput:
        return self.model(images, occlusion=True, clean=True)  # type: ignore[no-any-return]
