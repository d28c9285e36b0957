"""The faces that every check tries: their shapes, and how they are covered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import torch
from torch import Tensor

from ..errors import DataError
from ..shapes import FaceShapes, FeatureShape, OcclusionAnswer, OcclusionTruth
from .examination import BATCH, Examination

FACE_SHAPES = tuple(  # small, of FROM's proportions, at the two customary image sizes
    FaceShapes(
        image=FeatureShape(3, 112, width),
        maps=tuple(FeatureShape(c, 112 // step, width // step) for c, step in ((6, 2), (8, 4), (10, 8), (12, 16))),
        embedding=20,
    )
    for width in (96, 112)
)
IMAGE_SIZES = ((112, 96), (112, 112))  # (height, width): FROM's and InsightFace's
TRUTHS = {
    "some faces covered": [[0.25, 0.5, 0.75, 1.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [0.5, 0.25, 0.625, 0.5]],
    "nothing covered": [[0.0, 0.0, 0.0, 0.0]] * BATCH,
    "every face covered whole": [[0.0, 0.0, 1.0, 1.0]] * BATCH,
}


def by_image(face_shapes: Iterable[FaceShapes]) -> Iterator[tuple[str, FaceShapes]]:
    """What the situations are called: image 112x96."""
    return ((f"image {shapes.image.height}x{shapes.image.width}", shapes) for shapes in face_shapes)


def by_size(image_sizes: Iterable[tuple[int, int]]) -> Iterator[tuple[str, FeatureShape]]:
    """The same for components that are built with the image alone."""
    return ((f"image {height}x{width}", FeatureShape(3, height, width)) for height, width in image_sizes)


def images(height: int, width: int) -> Tensor:
    """A batch (B, 3, H, W) in [-1, 1]."""
    return torch.rand(BATCH, 3, height, width) * 2 - 1


def truths(image: FeatureShape) -> dict[str, OcclusionTruth]:
    """Where a batch is covered, with its covered maps, in every situation that a loss has to bear."""
    return {situation: with_map(torch.tensor(box), image) for situation, box in TRUTHS.items()}


def check_loss(exam: Examination, loss_of: Callable[[OcclusionTruth], Tensor], image: FeatureShape) -> Tensor:
    """Tries every kind of truth; returns the loss where some faces are covered.

    A truth of boxes without covered maps may be refused, by a `DataError` only.
    """
    losses = {}
    for situation, truth in truths(image).items():
        with exam.clause(f"has a loss with {situation}"):
            loss = loss_of(truth)
        exam.require(isinstance(loss, Tensor) and loss.ndim == 0, f"has a scalar loss with {situation}, not {loss!r}")
        exam.require_finite(loss, f"in the loss with {situation}")
        losses[situation] = loss
    usual: Tensor = losses["some faces covered"]
    exam.require(usual.requires_grad, "has a loss that can be differentiated, but it is detached")
    with exam.clause("has a loss for boxes without covered maps, or refuses them by a DataError"):
        boxes = truths(image)["some faces covered"]._replace(covered=None)
        with suppress(DataError):
            exam.require_finite(loss_of(boxes), "in the loss for boxes alone")
    return usual


def check_answer(exam: Examination, answer: object, k: int | None) -> None:
    """An answer for a batch: probabilities, boxes in order, K x K cells (`k` of them a side, if that is known)."""
    exam.require(isinstance(answer, OcclusionAnswer), f"answers with an OcclusionAnswer, not a {type(answer).__name__}")
    assert isinstance(answer, OcclusionAnswer)
    cells, box, covered = answer[:3]
    side = k if k is not None else int(cells.shape[-1])
    exam.require_shape(cells, (BATCH, side, side), "the answer's cells, as many down as across,")
    exam.require_shape(box, (BATCH, 4), "the answer's box")
    exam.require_shape(covered, (BATCH,), "the answer's covered")
    exam.require_finite(answer, "in the answer")
    if answer.coverage is not None:
        exam.require_shape(answer.coverage, (BATCH, *answer.coverage.shape[-2:]), "the answer's coverage")
    for name, tensor in ((name, value) for name, value in answer._asdict().items() if value is not None):
        inside = bool(((tensor >= 0) & (tensor <= 1)).all())
        exam.require(inside, f"answers with {name} in [0, 1], not [{tensor.min():.3g}, {tensor.max():.3g}]")
    exam.require(bool((box[:, :2] <= box[:, 2:]).all()), "answers with boxes x0 y0 x1 y1 whose corners are in order")


def require_coverage(exam: Examination, coverage: object) -> None:
    """Coverage logits (B, 1, h, w)."""
    found = tuple(coverage.shape) if isinstance(coverage, Tensor) else type(coverage).__name__
    exam.require(
        isinstance(coverage, Tensor) and coverage.ndim == 4 and coverage.shape[:2] == (BATCH, 1),
        f"returns coverage logits ({BATCH}, 1, h, w) for {BATCH} faces, not {found}",
    )


def with_map(box: Tensor, image: FeatureShape) -> OcclusionTruth:
    """Boxes (B, 4) in fractions of the picture, and their covered maps."""
    covered = torch.zeros(len(box), image.height, image.width, dtype=torch.bool)
    scale = torch.tensor([image.width, image.height, image.width, image.height])
    for row, (x0, y0, x1, y1) in enumerate((box * scale).round().int().tolist()):
        covered[row, y0:y1, x0:x1] = True
    return OcclusionTruth(box, covered)
