"""`check_head`, and `check_mask_decoder` and `check_pattern_predictor` for the two halves of FROM's head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..heads import HEADS, MASK_DECODERS, PATTERN_PREDICTORS, MaskDecoder, OcclusionHead, PatternPredictor
from ..shapes import FaceShapes, FeatureShape, Occlusion
from .describing import check_description
from .examination import BATCH, Component, Examination, converted, examinations, seeded
from .faces import FACE_SHAPES, by_image, check_answer, check_loss, truths
from .modules import check_gradients, check_module


def check_head(head: Component[OcclusionHead], *, face_shapes: tuple[FaceShapes, ...] = FACE_SHAPES) -> None:
    """Raise `AssertionError` unless an occlusion head keeps its protocol (`occmask.heads.OcclusionHead`).

    Checked at each of `face_shapes`: mask and pattern come as declared, no mask where `gates` is False; the mask is
    differentiable and so is the loss, and together they train every trainable parameter; the loss is a finite scalar
    whatever is covered, nothing included; `answer` speaks in probabilities and ordered boxes; `mask_logits`, if there
    is one, is forward's mask, and `predict_pattern` of its soft mask is forward's pattern; and what is checked of every
    module: finite, repeatable and face by face in evaluation, the same type in training, inputs untouched, state_dict;
    torch.export for any batch, torch.compile in one graph; float64, bfloat16, another device; no tensor kept after a
    call, what is saved for the backward pass grows with the batch at most; and a docstring that says what the component
    and each option is.
    """
    for exam, shapes in examinations(HEADS, head, by_image(face_shapes)):
        with seeded():
            _check_head(exam, shapes)


def check_mask_decoder(decoder: Component[MaskDecoder], *, face_shapes: tuple[FaceShapes, ...] = FACE_SHAPES) -> None:
    """Raise `AssertionError` unless a mask decoder keeps its protocol (`occmask.heads.MaskDecoder`).

    Checked: `needs_pyramid` is known before building, `mask_shape` is one of the three forms and what the decoder
    returns, every trainable parameter learns, and what is checked of every module (see `check_head`).
    """
    for exam, shapes in examinations(MASK_DECODERS, decoder, by_image(face_shapes)):
        with seeded():
            _check_decoder(exam, shapes)


def check_pattern_predictor(
    predictor: Component[PatternPredictor], *, face_shapes: tuple[FaceShapes, ...] = FACE_SHAPES
) -> None:
    """Raise `AssertionError` unless a pattern predictor keeps its protocol (`occmask.heads.PatternPredictor`).

    Checked for each form of mask: the loss and the answer as in `check_head`, an answer of K = `k` cells a side,
    every trainable parameter learns, and what is checked of every module.
    """
    situations = [(f"mask {mask}", (mask, shapes.image)) for shapes in face_shapes for mask in _mask_shapes(shapes)]
    for exam, wiring in examinations(PATTERN_PREDICTORS, predictor, situations):
        with seeded():
            _check_predictor(exam, *wiring)


def _check_head(exam: Examination, shapes: FaceShapes) -> None:
    head = exam.build(shapes)
    threshold = getattr(head, "threshold", None)
    exam.require(
        threshold is None or (isinstance(threshold, float) and 0 < threshold < 1),
        f"has a `threshold` of None or a float in (0, 1), if any, not {threshold!r}",
    )
    maps = tuple(torch.randn(BATCH, *shape, requires_grad=True) for shape in shapes.maps)
    with exam.clause("takes the backbone's maps, finest first, in training"):
        occlusion = head.train()(maps)
    exam.require(isinstance(occlusion, Occlusion), f"returns an occmask.Occlusion, not a {type(occlusion).__name__}")
    _require_pattern(exam, occlusion.pattern)
    gates = getattr(head, "gates", True)
    if gates:
        _require_mask(exam, occlusion.mask, maps, shapes)
    else:
        exam.require(occlusion.mask is None, "says by `gates` that it has no mask, and returns one")
    loss = check_loss(exam, lambda truth: head.loss(occlusion, truth), shapes.image)
    check_gradients(exam, head, occlusion.mask, loss)

    maps = tuple(tensor.detach() for tensor in maps)
    check_module(exam, lambda: exam.build(shapes), (maps,))
    with torch.no_grad():
        occlusion = head.eval()(maps)
        if gates and hasattr(head, "mask_logits"):
            with exam.clause("gives the mask alone by mask_logits(maps)"):
                alone = head.mask_logits(maps)
            exam.require_same(alone, occlusion.mask, "gives by mask_logits(maps) the mask that forward gives")
            if hasattr(head, "predict_pattern"):
                with exam.clause("predicts from the soft mask by predict_pattern(gate)"):
                    pattern = head.predict_pattern(alone.sigmoid())
                exam.require_same(
                    pattern, occlusion.pattern, "gives by predict_pattern(gate) the pattern that forward gives"
                )
        _check_answer(exam, head, occlusion.pattern, None)
        with exam.clause("has a loss and an answer in float64 too, after .double()"):
            head = head.double()
            precise = head(converted(maps, torch.float64))
            loss = head.loss(precise, truths(shapes.image)["some faces covered"])
            exam.require_finite((loss, head.answer(precise.pattern)), "in float64")
    check_description(exam, shapes)


def _require_mask(exam: Examination, mask: object, maps: tuple[Tensor, ...], shapes: FaceShapes) -> None:
    """Of a form that there is, and learning from the identity loss."""
    exam.require(isinstance(mask, Tensor), f"returns a mask, not a {type(mask).__name__}")
    assert isinstance(mask, Tensor)
    found = tuple(mask.shape)
    exam.require(
        found[:1] == (BATCH,) and _is_mask_shape(found[1:], shapes),
        f"returns for each face a mask of shape {_forms(shapes)}, not {found} for {BATCH} faces",
    )
    exam.require(mask.requires_grad, "learns from the identity loss too, but its mask is detached")
    reached = torch.autograd.grad(mask.sum(), maps, retain_graph=True, allow_unused=True)
    exam.require(
        any(gradient is not None for gradient in reached),
        "passes the mask's gradient on to the maps, but none of them gets any",
    )


def _check_decoder(exam: Examination, shapes: FaceShapes) -> None:
    with exam.clause("is found"):
        needs = getattr(exam.factory, "needs_pyramid", None)
    exam.require(
        isinstance(needs, bool), f"says on the factory, before building, whether it `needs_pyramid`, not {needs!r}"
    )
    source = shapes.maps[-3]._replace(channels=9) if needs else shapes.maps[-1]
    module = exam.build(source, shapes)
    shape = getattr(module, "mask_shape", None)
    exam.require(_is_mask_shape(shape, shapes), f"has {_forms(shapes)} for `mask_shape`, not {shape!r}")
    features = torch.randn(BATCH, *source)
    with exam.clause("takes a batch in training"):
        mask = module.train()(features)
    exam.require_shape(mask, (BATCH, *shape), "the mask")  # type: ignore[misc]
    check_gradients(exam, module, mask)
    check_module(exam, lambda: exam.build(source, shapes), (features,))
    check_description(exam, source, shapes)


def _check_predictor(exam: Examination, mask_shape: tuple[int, ...], image: FeatureShape) -> None:
    module = exam.build(mask_shape, image)
    k = getattr(module, "k", None)
    exam.require(isinstance(k, int) and k >= 1, f"has `k`, the cells a side of its answer, not {k!r}")
    mask = torch.rand(BATCH, *mask_shape)
    with exam.clause("takes a batch of soft masks in training"):
        pattern = module.train()(mask)
    _require_pattern(exam, pattern)
    check_gradients(exam, module, None, check_loss(exam, lambda truth: module.loss(pattern, truth), image))
    check_module(exam, lambda: exam.build(mask_shape, image), (mask,))
    _check_answer(exam, module, module.eval()(mask).detach(), k)
    check_description(exam, mask_shape, image)


def _check_answer(exam: Examination, module: Any, pattern: Tensor, k: int | None) -> None:
    with exam.clause("turns a pattern into an answer"):
        answer = module.answer(pattern)
    check_answer(exam, answer, k)


def _require_pattern(exam: Examination, pattern: object) -> None:
    exam.require(
        isinstance(pattern, Tensor) and pattern.ndim >= 1 and len(pattern) == BATCH,
        f"predicts a pattern with one row a face, not {_shown(pattern)}",
    )


def _mask_shapes(shapes: FaceShapes) -> tuple[tuple[int, ...], ...]:
    top = shapes.maps[-1]
    return tuple(top), (1, top.height, top.width), (shapes.embedding,)


def _is_mask_shape(shape: object, shapes: FaceShapes) -> bool:
    return shape in _mask_shapes(shapes)


def _forms(shapes: FaceShapes) -> str:
    full, spatial, vector = _mask_shapes(shapes)
    return f"(C, H, W) = {full}, (1, H, W) = {spatial} or (D,) = {vector}"


def _shown(value: object) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else repr(value)
