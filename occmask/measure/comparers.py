"""Ways of comparing pictures with a model: what is kept of each, and how alike any two are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

from ..devices import device_of
from ..evaluation.embed import embed
from ..evaluation.metrics import FloatArray
from ..images.pixels import Pixels, to_tensor
from ..matching import MATCHERS, Prepared
from ..models.face import FaceModel
from ..spec import Spec
from .templates import templates_of


class Comparer(Protocol):
    """What `look` keeps of pictures is what `scores` takes."""

    def look(self, model: FaceModel, images: Pixels) -> Any: ...  # uint8 (N, H, W, 3)
    def scores(self, a: Any, b: Any) -> FloatArray: ...  # (A, B), higher = more alike


def embedder(model: FaceModel) -> Callable[[Tensor], Tensor]:
    """Images on any device -> embeddings as the model gives them in use: masked, without the predictor."""
    return lambda images: model(images.to(device_of(model))).embedding


class CosineComparer:
    """The cosine of the embeddings."""

    def look(self, model: FaceModel, images: Pixels) -> FloatArray:
        return embed(embedder(model), to_tensor(images, model.config.input_spec)).astype(float)

    def scores(self, a: FloatArray, b: FloatArray) -> FloatArray:
        score: FloatArray = a @ b.T
        return score


class TemplateComparer:
    """A registered matcher over templates; `sees=False` lets every part count the same, whatever is visible."""

    def __init__(self, matcher: Spec | str, *, sees: bool = True):
        self.matcher, self.sees = MATCHERS.build(matcher), sees

    def look(self, model: FaceModel, images: Pixels) -> Prepared:
        template = templates_of(model, images)
        return self.matcher.prepare(template if self.sees else template._replace(visible=None))

    def scores(self, a: Prepared, b: Prepared) -> FloatArray:
        score: FloatArray = self.matcher.scores(a, b).double().numpy()
        return score
