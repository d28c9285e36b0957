"""`check_backbone`."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from ..backbones import BACKBONES, Backbone
from ..shapes import FeatureShape
from .examination import BATCH, Component, Examination, check_gradients, check_module, seeded
from .faces import IMAGE_SIZES, images


def check_backbone(backbone: Component[Backbone], *, image_sizes: tuple[tuple[int, int], ...] = IMAGE_SIZES) -> None:
    """Raise `AssertionError` unless a backbone keeps its protocol (`occmask.backbones.Backbone`) at each image size.

    Checked: the maps are those that `shapes` declares, finest first; a gradient reaches every trainable parameter;
    and what is checked of every module (finite, repeatable and face by face in evaluation, the same type in training,
    inputs untouched, float64, state_dict, torch.export).
    """
    for height, width in image_sizes:
        exam = Examination(BACKBONES, backbone, situation=f"image {height}x{width}")
        with seeded():
            _check(exam, height, width)


def _check(exam: Examination, height: int, width: int) -> None:
    module = exam.build((height, width))
    shapes = getattr(module, "shapes", None)
    exam.require(
        isinstance(shapes, tuple) and len(shapes) > 0 and all(isinstance(shape, FeatureShape) for shape in shapes),
        f"declares `shapes`, a tuple of FeatureShape, not {shapes!r}",
    )
    assert shapes is not None
    exam.require(
        all(a.height >= b.height and a.width >= b.width for a, b in pairwise(shapes)),
        f"declares its maps finest first, not {[tuple(shape) for shape in shapes]}",
    )
    image = images(height, width)
    with exam.clause("takes a batch of images (B, 3, H, W) in training"):
        maps = module.train()(image)
    exam.require(isinstance(maps, tuple), f"returns a tuple of maps, not a {type(maps).__name__}")
    exam.require(len(maps) == len(shapes), f"returns the {len(shapes)} maps that it declares, not {len(maps)}")
    for index, (tensor, shape) in enumerate(zip(maps, shapes, strict=True)):
        exam.require(isinstance(tensor, Tensor), f"returns tensors, but map {index} is a {type(tensor).__name__}")
        exam.require_shape(tensor, (BATCH, *shape), f"map {index}, as declared,")
    check_gradients(exam, module, maps)
    check_module(exam, lambda: exam.build((height, width)), (image,))
