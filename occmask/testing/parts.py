"""`check_part_locator`."""

from __future__ import annotations

from torch import Tensor

from ..parts import PART_LOCATORS, PartLocator
from ..parts.crop import crop_part
from ..shapes import FeatureShape
from .describing import check_description
from .examination import BATCH, Component, Examination, examinations, seeded
from .faces import IMAGE_SIZES, by_size, check_loss, images
from .modules import check_gradients, check_module, learns


def check_part_locator(
    locator: Component[PartLocator], *, image_sizes: tuple[tuple[int, int], ...] = IMAGE_SIZES
) -> None:
    """Raise `AssertionError` unless a part locator keeps its protocol (`occmask.parts.PartLocator`) at each image size.

    Checked: one box a face, corners in order and not empty, near enough to the image that the part shows some of it;
    what is trainable learns from what the model cuts out, or from the loss; the loss, if there is one, is a finite
    scalar whatever is covered; and what is checked of every module (see `check_head`).
    """
    for exam, image in examinations(PART_LOCATORS, locator, by_size(image_sizes)):
        with seeded():
            _check(exam, image)


def _check(exam: Examination, image: FeatureShape) -> None:
    module = exam.build(image)
    given = images(*image[1:])
    with exam.clause("takes a batch of images (B, 3, H, W) in training"):
        box = module.train()(given)
    exam.require(isinstance(box, Tensor), f"returns a tensor of boxes, not a {type(box).__name__}")
    exam.require_shape(box, (BATCH, 4), "the box of each face")
    exam.require_finite(box, "in training")
    low, high = box.detach()[:, :2], box.detach()[:, 2:]
    exam.require(bool((low < high).all()), f"returns boxes x0 y0 x1 y1 with x0 < x1 and y0 < y1, not {box[0].tolist()}")
    exam.require(
        bool(((low < 1) & (high > 0)).all()),
        f"returns boxes in fractions of the image that hold some of it, not {box[0].tolist()} (pixels?)",
    )
    losses: list[Tensor] = []
    if hasattr(module, "loss") and learns(module):
        losses = [check_loss(exam, lambda truth: module.loss(box, truth), image)]
    if learns(module):
        check_gradients(exam, module, crop_part(given, box), *losses)
    check_module(exam, lambda: exam.build(image), (given,))
    check_description(exam, image)
