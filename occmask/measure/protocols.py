"""A protocol run on a model: pixels to embeddings, checks that data and model fit, and where the figures come from."""

from __future__ import annotations

import hashlib
import inspect
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import UnionType
from typing import Any, get_args, get_origin

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..devices import device_of, usable_device
from ..errors import ProtocolError
from ..images.pixels import Pixels, to_tensor
from ..matching.rows import TemplateLayout, TemplateRows
from ..models.face import FaceModel
from ..protocols.inputs import Embedder, Faces, Pairs, PartialAndWhole, ProbesAndGallery
from ..protocols.megaface import WithDistractors
from ..protocols.result import Result
from ..protocols.versions import computed_with
from ..spec import Spec

# What a protocol may take, and how a person gives it.
_ADVICE: dict[Any, str] = {
    Faces: "one set of faces: give no pairs and no gallery",
    Pairs: "pairs: give a .bin, or a list of pairs among the faces (--pairs)",
    ProbesAndGallery: "probes against a gallery: give both (--gallery)",
    PartialAndWhole: "partial faces against whole ones: give a test set of occmask occlude, and --gallery",
    WithDistractors: "probes among distractors: give both (--distractors)",
}


def run_protocol(
    protocol: Callable[..., Result],
    model: FaceModel,
    data: Any,
    *,
    device: torch.device | str = "cpu",
    matcher: Spec | str | Mapping[str, Any] = "cosine",
    model_name: str = "",
    data_name: str = "",
    progress: Callable[[int], object] | None = None,
) -> Result:
    """What a protocol finds on a model, with the model's fingerprint and the versions that were used.

    `data` is what the protocol takes: faces, pairs of faces, or probes and a gallery.  The model is moved to `device`
    and stays there.  A protocol that takes `locate` gets the head's answers when the model has a head.  `matcher` is
    one of `occmask.MATCHERS`: "fused" compares what both faces show (`FaceModel.template`); of a model whose templates
    have no parts it compares the embeddings alone, and a note says so.  `progress` is told after each batch how many
    pictures were embedded.

    Raises `DataError` when the pictures have another size or alignment than the model's, `ProtocolError` for a model in
    training mode and for a protocol that takes no matcher, `UnknownNameError` for the matcher's name, `OptionError` for
    its options and for the device.
    """
    if model.training:
        raise ProtocolError(
            "the model is in training mode, where a face's embedding depends on its batch; call .eval()"
        )
    _check_takes(protocol, data)
    for faces in face_sets(data):
        model.config.input_spec.check(size=faces.image_size, template=faces.template)
    model.to(usable_device(device))
    embed, options, notes = _compared_by(protocol, model, Spec.of(matcher), progress)
    if model.sees_occlusion and "locate" in inspect.signature(protocol).parameters:
        options["locate"] = locator(model)
    result = protocol(embed, data, **options)
    described = {"size": list(model.config.image_size), "template": model.config.template}
    return replace(
        result,
        data={**result.data, "name": data_name or result.data.get("name", ""), **described},
        model={
            "name": model_name or _described(model),
            "fingerprint": fingerprint(model),
            "parameters": sum(p.numel() for p in model.parameters()),
        },
        notes=(*result.notes, *notes),
        versions={**computed_with(), "python": platform.python_version()},
    )


def _compared_by(
    protocol: Callable[..., Result], model: FaceModel, spec: Spec, progress: Callable[[int], object] | None
) -> tuple[Embedder, dict[str, Any], Sequence[str]]:
    """How faces are embedded for a matcher, what the protocol is told of it, and what a reader is."""
    if spec == Spec("cosine"):
        return embedder_of(model, progress=progress), {}, ()
    layout = template_layout(model)
    options = {"matcher": TemplateRows(spec, layout)}
    if "matcher" not in inspect.signature(protocol).parameters:
        name = getattr(protocol, "__name__", type(protocol).__name__)
        raise ProtocolError(f"{name} compares embeddings in its own way and takes no matcher; leave {spec.name!r} out")
    notes = []
    if not layout.places:
        notes.append(
            f"The model's templates have no parts: {spec.name} compared the embeddings alone, as the cosine does."
        )
    elif not layout.visible:
        notes.append("The model does not say what is covered: every part counts alike.")
    return template_embedder_of(model, progress=progress), options, notes


def _check_takes(protocol: Callable[..., Any], data: Any) -> None:
    """A protocol says by the annotation of its second argument what it measures; nothing is known of others."""
    try:
        parameters = list(inspect.signature(protocol, eval_str=True).parameters.values())
    except NameError:  # an annotation imported for type checkers only
        return
    if not parameters or parameters[0].name != "embed":
        raise ProtocolError(
            f"{type(protocol).__name__} takes arrays, not a model and data; call it from Python, or choose a protocol "
            "such as 'stress'"
        )
    wanted = parameters[1].annotation if len(parameters) > 1 else Any
    kinds = [get_origin(kind) or kind for kind in (get_args(wanted) if isinstance(wanted, UnionType) else (wanted,))]
    if all(kind in _ADVICE or kind is Mapping for kind in kinds) and not isinstance(data, tuple(kinds)):
        raise ProtocolError(f"this protocol measures {_ADVICE[kinds[0]]}")


def embedder_of(model: FaceModel, *, progress: Callable[[int], object] | None = None) -> Embedder:
    """uint8 RGB pictures (N, H, W, 3) -> embeddings (N, D) float32 as the model gives them in use."""

    def embed(images: Pixels) -> NDArray[np.float32]:
        with torch.inference_mode():
            batch = to_tensor(images, model.config.input_spec).to(device_of(model))
            rows: NDArray[np.float32] = model(batch).embedding.float().cpu().numpy()
        if progress is not None:
            progress(len(images))
        return rows

    return embed


def template_embedder_of(model: FaceModel, *, progress: Callable[[int], object] | None = None) -> Embedder:
    """uint8 RGB pictures (N, H, W, 3) -> templates as rows (N, W) float32: see `TemplateLayout` and `TemplateRows`."""

    def embed(images: Pixels) -> NDArray[np.float32]:
        with torch.inference_mode():
            batch = to_tensor(images, model.config.input_spec).to(device_of(model))
            template = model.template(batch)
            rows: NDArray[np.float32] = TemplateLayout.of(template).rows(template).float().cpu().numpy()
        if progress is not None:
            progress(len(images))
        return rows

    return embed


def template_layout(model: FaceModel) -> TemplateLayout:
    """How the model's templates lie in a row, found by asking it for one."""
    height, width = model.config.image_size
    with torch.inference_mode():
        return TemplateLayout.of(model.template(torch.zeros(1, 3, height, width, device=device_of(model))))


def locator(model: FaceModel) -> Callable[[Pixels], NDArray[np.float32]]:
    """uint8 RGB pictures (N, H, W, 3) -> the boxes (N, 4) that the model's head believes are covered."""

    def locate(images: Pixels) -> NDArray[np.float32]:
        with torch.inference_mode():
            batch = to_tensor(images, model.config.input_spec).to(device_of(model))
            boxes: NDArray[np.float32] = model.occlusion_answer(model(batch, occlusion=True)).box.float().cpu().numpy()
        return boxes

    return locate


def fingerprint(model: nn.Module) -> str:
    """SHA-256 over name, type, shape and bytes of every tensor: two models agree only if their weights do."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def face_sets(data: Any) -> Iterator[Any]:
    """The sets of faces in what a protocol takes: itself, those of its pairs or groups, or its probes and gallery."""
    names = ("faces", "probes", "gallery", "distractors")
    parts = list(data.values()) if isinstance(data, Mapping) else [getattr(data, n) for n in names if hasattr(data, n)]
    for part in parts:
        yield from face_sets(part)
    if not parts:
        yield data


def _described(model: FaceModel) -> str:
    head = model.config.head
    return model.config.backbone.name + (f" with head {head.name}" if head is not None else "")
