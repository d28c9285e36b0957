"""What a model looks at: the pictures it takes, and a whole face side by side with a part of it."""

from __future__ import annotations

import torch
from torch import Tensor

from ..backbones import Backbone
from ..errors import OptionError, ShapeError
from ..shapes import FaceOutput
from .config import ModelConfig

_LARGEST_PIXEL = 16.0  # far above [-1, 1], far below a picture that nobody scaled


def check_pictures(images: Tensor, image_size: tuple[int, int], *, training: bool) -> None:
    """Raise `ShapeError` for what is no batch (B, 3, H, W) of pictures of this size, or none that can be used."""
    height, width = image_size
    if images.ndim != 4 or images.shape[1:] != (3, height, width):
        raise ShapeError(
            f"this model takes images of shape (B, 3, {height}, {width}), not {tuple(images.shape)}; "
            "resize them, or build it with another image_size=(height, width)"
        )
    if not images.is_floating_point():
        raise ShapeError(f"images are floats in [-1, 1], not {images.dtype}; use (images.float() - 127.5) / 127.5")
    if training and images.shape[0] < 2:
        raise ShapeError("a training step needs at least 2 faces (BatchNorm); for one face call model.eval() first")
    # Reading a value back would stall a GPU and cannot be traced, so pixels are checked on the CPU only.
    if images.device.type == "cpu" and not torch.compiler.is_compiling() and images.numel():
        peak = images.detach().abs().amax().item()
        if not peak <= _LARGEST_PIXEL:
            raise ShapeError(
                f"images lie in [-1, 1] and are finite; the largest value here is {peak:g}. "
                "Scale 8-bit pictures by (x - 127.5) / 127.5 and leave out pictures with NaN"
            )


def require_refinable(backbone: Backbone, config: ModelConfig) -> None:
    """Raise `OptionError` for a trunk that lets nobody work between its stages."""
    if not getattr(backbone, "refinable", False):
        assert config.refiner is not None
        raise OptionError(
            f"refiner {config.refiner.name!r} works between the stages of the trunk, and backbone "
            f"{config.backbone.name!r} does not let it (refinable = True); use 'tiny', 'lresnet' or 'iresnet'"
        )


def side_by_side(both: FaceOutput, faces: int) -> FaceOutput:
    """The output for 2B pictures, B = `faces` whole ones and then their parts, as one for B faces.

    Embeddings are joined; mask, pattern and coverage are those of the whole face.
    """

    def whole(x: Tensor | None) -> Tensor | None:
        return None if x is None else x[:faces]

    def joined(x: Tensor) -> Tensor:
        return torch.cat([x[:faces], x[faces:]], dim=1)

    clean = None if both.clean is None else joined(both.clean)
    return FaceOutput(joined(both.embedding), clean, whole(both.mask), whole(both.pattern), whole(both.coverage))
