"""A head for a recogniser that people already have."""

from __future__ import annotations

import copy
from typing import Any

from ..errors import OptionError
from ..heads import HEADS
from ..spec import Spec
from .face import FaceModel
from .inference import InferenceModel


def attach(model: FaceModel, head: Spec | str = "occupancy", **options: Any) -> FaceModel:
    """A copy of a trained recogniser with a head that is yet to be trained, in evaluation mode.

    >>> seeing = occmask.attach(occmask.load_model("mine.safetensors"), "occupancy")
    >>> occmask.train(seeing, None, faces, occmask.RECIPES["occupancy"]())

    The embeddings stay what they are.  A head that the model has, such as FROM's, goes on cleaning the face from inside
    the new one, as its option `gate`.  Raises `OptionError` for a head that has no such option and would replace
    the other, and what `build` raises.
    """
    if isinstance(model, InferenceModel):
        raise OptionError("an optimized model cannot be changed; attach a head to the original and optimize that")
    if not isinstance(model, FaceModel):
        raise OptionError(f"attach takes a model such as occmask.build makes, not a {type(model).__name__}")
    spec = Spec.of(head).replace(**options)
    old = model.config.head
    if old is not None:
        if "gate" not in HEADS.options(spec.name):
            raise OptionError(
                f"this model has the head {old.name!r}, and head {spec.name!r} has no option gate to keep it in; "
                "attach 'occupancy', or build the model with head=None"
            )
        spec = spec.replace(gate=old)
    attached = FaceModel(model.config.override(head=spec))
    for name, part in model.named_children():
        if name != "head":
            setattr(attached, name, copy.deepcopy(part))
    if model.head is not None:
        attached.head.gate = copy.deepcopy(model.head)  # type: ignore[union-attr]
    like = next(model.parameters())
    attached.to(device=like.device, dtype=like.dtype)
    attached.origin = dict(model.origin)
    return attached.eval()
