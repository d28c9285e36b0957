"""`check_embedding`."""

from __future__ import annotations

import torch
from torch import Tensor

from ..embeddings import EMBEDDINGS, Embedding
from ..shapes import FaceShapes, FeatureShape
from .describing import check_description
from .examination import BATCH, Component, Examination, examinations, seeded
from .faces import FACE_SHAPES, by_image
from .modules import check_gradients, check_module, learns


def check_embedding(embedding: Component[Embedding], *, face_shapes: tuple[FaceShapes, ...] = FACE_SHAPES) -> None:
    """Raise `AssertionError` unless an embedding keeps its protocol (`occmask.embeddings.Embedding`).

    Checked at the top map of each of `face_shapes`: `width` is D and what it returns is (B, D); the gradient goes on
    to the map; what is trainable learns; and what is checked of every module (see `check_head`).
    """
    for exam, shapes in examinations(EMBEDDINGS, embedding, by_image(face_shapes)):
        with seeded():
            _check(exam, shapes.maps[-1])


def _check(exam: Examination, top: FeatureShape) -> None:
    module = exam.build(top)
    width = getattr(module, "width", None)
    exam.require(isinstance(width, int) and width >= 1, f"says by `width` how wide its embeddings are, not {width!r}")
    given = torch.randn(BATCH, *top, requires_grad=True)
    with exam.clause("takes a batch of top maps (B, C, H, W) in training"):
        found = module.train()(given)
    exam.require(isinstance(found, Tensor), f"returns a tensor, not a {type(found).__name__}")
    exam.require_shape(found, (BATCH, width), "the embedding, as wide as declared,")  # type: ignore[arg-type]
    exam.require(found.requires_grad, "passes the gradient on to the map, but its embedding is detached")
    (reached,) = torch.autograd.grad(found.square().sum(), given, retain_graph=True, allow_unused=True)
    exam.require(reached is not None, "passes the gradient on to the map, but none gets there")
    if learns(module):
        check_gradients(exam, module, found)
    check_module(exam, lambda: exam.build(top), (given.detach(),))
    check_description(exam, top)
