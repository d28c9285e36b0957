"""`check_refiner`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..coverage import answer_from_coverage
from ..refiners import REFINERS, Refiner
from ..shapes import FaceShapes, Sight
from .describing import check_description
from .examination import BATCH, Component, Examination, examinations, seeded
from .faces import FACE_SHAPES, by_image, check_answer, check_loss, images, require_coverage
from .modules import check_gradients, check_module, learns


def check_refiner(refiner: Component[Refiner], *, face_shapes: tuple[FaceShapes, ...] = FACE_SHAPES) -> None:
    """Raise `AssertionError` unless a refiner keeps its protocol (`occmask.refiners.Refiner`).

    Checked at each of `face_shapes`: it sees coverage logits that make an answer; `refine` gives at every level a map
    of the shape it was given and passes a gradient on to it; the loss is a finite scalar whatever is covered; what is
    trainable learns; and what is checked of every module, for looking and refining together (see `check_head`).
    """
    for exam, shapes in examinations(REFINERS, refiner, by_image(face_shapes)):
        with seeded():
            _check(exam, shapes)


class _EveryLevel(nn.Module):
    """A refiner as a trunk of no layers would use it: one function from images and maps to all it makes of them."""

    def __init__(self, refiner: nn.Module):
        super().__init__()
        self.refiner = refiner

    def forward(self, images: Tensor, maps: tuple[Tensor, ...]) -> tuple[Sight, tuple[Tensor, ...]]:
        sight = self.refiner(images)
        refined = [self.refiner.refine(level, x, sight) for level, x in enumerate(maps)]  # type: ignore[operator]
        return sight, tuple(refined)


def _check(exam: Examination, shapes: FaceShapes) -> None:
    image, module = shapes.image, exam.build(shapes.image, shapes.maps)
    exam.require(isinstance(module, nn.Module), f"is a torch.nn.Module, not a {type(module).__name__}")
    given = images(*image[1:])
    with exam.clause("takes a batch of images (B, 3, H, W) in training"):
        sight = module.train()(given)
    exam.require(isinstance(sight, Sight), f"returns an occmask.Sight, not a {type(sight).__name__}")
    require_coverage(exam, sight.coverage)
    exam.require(
        isinstance(sight.features, tuple) and all(isinstance(x, Tensor) for x in sight.features),
        f"keeps in `features` a tuple of tensors, not {type(sight.features).__name__}",
    )
    with torch.no_grad():
        check_answer(exam, answer_from_coverage(sight.coverage), None)
    maps = tuple(torch.randn(BATCH, *shape, requires_grad=True) for shape in shapes.maps)
    refined = []
    for level, (x, shape) in enumerate(zip(maps, shapes.maps, strict=True)):
        with exam.clause(f"refines the map of level {level}"):
            refined.append(module.refine(level, x, sight))
        exam.require_shape(refined[-1], (BATCH, *shape), f"the refined map of level {level}")
        (reached,) = torch.autograd.grad(refined[-1].sum(), x, retain_graph=True, allow_unused=True)
        exam.require(reached is not None, f"passes the gradient on to the map of level {level}, but none gets there")
    loss = check_loss(exam, lambda truth: module.loss(sight.coverage, truth), image)
    if learns(module):
        check_gradients(exam, module, tuple(refined), loss)
    maps = tuple(x.detach() for x in maps)
    check_module(exam, lambda: _EveryLevel(exam.build(image, shapes.maps)), (given, maps))
    check_description(exam, image, shapes.maps)
