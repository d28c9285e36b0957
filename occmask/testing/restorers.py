"""`check_restorer`."""

from __future__ import annotations

import torch
from torch import Tensor

from ..coverage import answer_from_coverage
from ..restorers import RESTORERS, Restorer
from ..shapes import FeatureShape, Restoration
from .describing import check_description
from .examination import BATCH, Component, Examination, examinations, seeded
from .faces import IMAGE_SIZES, by_size, check_answer, check_loss, images, require_coverage
from .modules import check_gradients, check_module, learns

_FAR_OUT = 8.0  # no weights, not even fresh ones, should send pixels of [-1, 1] beyond


def check_restorer(restorer: Component[Restorer], *, image_sizes: tuple[tuple[int, int], ...] = IMAGE_SIZES) -> None:
    """Raise `AssertionError` unless a restorer keeps its protocol (`occmask.restorers.Restorer`) at each image size.

    Checked: `finds_cover` is a bool and tells whether coverage is returned, as logits that make an answer; the image
    has the shape, the type and about the range of the one given; what is trainable learns, through image, coverage or
    loss; the loss, if there is one, is a finite scalar whatever is covered; and what is checked of every module (see
    `check_head`).
    """
    for exam, image in examinations(RESTORERS, restorer, by_size(image_sizes)):
        with seeded():
            _check(exam, image)


def _check(exam: Examination, image: FeatureShape) -> None:
    module = exam.build(image)
    finds = getattr(module, "finds_cover", None)
    exam.require(isinstance(finds, bool), f"says by `finds_cover`, True or False, whether it does, not {finds!r}")
    given = images(*image[1:])
    with exam.clause("takes a batch of images (B, 3, H, W) in training"):
        restoration = module.train()(given)
    exam.require(
        isinstance(restoration, Restoration), f"returns an occmask.Restoration, not a {type(restoration).__name__}"
    )
    exam.require_shape(restoration.image, (BATCH, *image), "the restored image")
    exam.require_finite(restoration, "in training")
    peak = restoration.image.detach().abs().max().item()
    exam.require(peak <= _FAR_OUT, f"returns images in the range of those given, about -1 to 1, but one has {peak:.3g}")
    exam.require(
        (restoration.coverage is not None) == finds,
        f"returns coverage if `finds_cover`, and only then, but that is {finds} and coverage is "
        f"{'None' if restoration.coverage is None else 'there'}",
    )
    losses: list[Tensor] = []
    if finds:
        require_coverage(exam, restoration.coverage)
        with torch.no_grad():
            check_answer(exam, answer_from_coverage(restoration.coverage), None)
        if hasattr(module, "loss"):
            losses = [check_loss(exam, lambda truth: module.loss(restoration.coverage, truth), image)]
    if learns(module):
        check_gradients(exam, module, restoration, *losses)
    check_module(exam, lambda: exam.build(image), (given,))
    check_description(exam, image)
