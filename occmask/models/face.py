"""The model: backbone -> occlusion head -> mask -> embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from occmask_kernels.masking import mask_apply, mask_apply_and_gate

from ..backbones import BACKBONES
from ..embeddings import EMBEDDINGS
from ..errors import OptionError, ShapeError
from ..heads import HEADS
from ..shapes import FaceOutput, FaceShapes, FeatureShape, Occlusion, OcclusionAnswer, OcclusionTruth
from .config import ModelConfig

_LARGEST_PIXEL = 16.0  # far above [-1, 1], far below a picture that nobody scaled


class FaceModel(nn.Module):
    """A face recogniser that cleans its features of what covers the face (Qiu et al., TPAMI 2022, Fig. 2).

    Built by `occmask.build`; `.config` is the full truth about it.  `.origin` says where the weights it was filled with
    come from, as their file says: "licence", "source" and what else `occmask import` notes; files written keep it.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.origin: dict[str, str] = {}
        height, width = config.image_size
        self.backbone = BACKBONES.build(config.backbone, config.image_size)
        maps = tuple(self.backbone.shapes)
        self.embedding = EMBEDDINGS.build(config.embedding, maps[-1])
        self.head = None
        if config.head is not None:
            shapes = FaceShapes(FeatureShape(3, height, width), maps, self.embedding.width)
            self.head = HEADS.build(config.head, shapes)
        self.threshold: float | None = getattr(self.head, "threshold", None)

    def forward(self, images: Tensor, *, occlusion: bool = False, clean: bool = False) -> FaceOutput:
        """Embed a batch of aligned faces.

        images: (B, 3, H, W) float in [-1, 1], RGB.  `occlusion=True` also predicts what is covered
        (`.pattern`; always in training), `clean=True` also embeds without the mask (`.clean`).
        What is not asked for is not computed.  Raises `ShapeError` for images that do not fit.
        """
        self._check(images)
        maps = self.backbone(images)
        top = maps[-1]
        if self.head is None:
            embedding = self.embedding(top)
            return FaceOutput(embedding, clean=embedding if clean else None)
        pattern = occlusion or self.training
        found = self._find_mask(maps, pattern=pattern)
        if found.mask.ndim == 2:  # (B, D) gates the finished embedding
            plain = self.embedding(top)
            embedding, found = self._gate(plain, found, pattern=pattern)
            return FaceOutput(embedding, plain if clean else None, found.mask, found.pattern)
        # (B, C, H, W) or (B, 1, H, W) gates the top map
        gated, found = self._gate(top, found, pattern=pattern)
        embedding = self.embedding(gated)
        return FaceOutput(embedding, self.embedding(top) if clean else None, found.mask, found.pattern)

    def occlusion_loss(self, output: FaceOutput, truth: OcclusionTruth) -> Tensor:
        """The head's loss of what it predicted in `output`: a scalar, the paper's L_pred."""
        if self.head is None or output.mask is None:
            raise OptionError("a model without a head has no occlusion loss; build it with one, such as head='from'")
        return self.head.loss(Occlusion(output.mask, output.pattern), truth)

    def occlusion_answer(self, output: FaceOutput) -> OcclusionAnswer:
        """What the model believes is covered; needs `model(images, occlusion=True)`."""
        if self.head is None:
            raise OptionError("a model without a head sees no occlusion; build it with one, such as head='from'")
        if output.pattern is None:
            raise OptionError("this output holds no pattern; call the model with occlusion=True")
        return self.head.answer(output.pattern)

    def _find_mask(self, maps: tuple[Tensor, ...], *, pattern: bool) -> Occlusion:
        """The mask, and the pattern only where asking the whole head is the way to it."""
        assert self.head is not None
        mask_logits = getattr(self.head, "mask_logits", None)
        predict_pattern = getattr(self.head, "predict_pattern", None)
        if mask_logits is not None and (not pattern or predict_pattern is not None):
            return Occlusion(mask_logits(maps))
        found = self.head(maps)
        return found if pattern else Occlusion(found.mask)

    def _gate(self, x: Tensor, found: Occlusion, *, pattern: bool) -> tuple[Tensor, Occlusion]:
        """`x` gated by the mask, and the pattern from the same gate if it is wanted and still missing."""
        predict_pattern = getattr(self.head, "predict_pattern", None)
        if not pattern or found.pattern is not None or predict_pattern is None:
            return mask_apply(x, found.mask, threshold=self.threshold), found
        gated, gate = mask_apply_and_gate(x, found.mask, threshold=self.threshold)
        return gated, found._replace(pattern=predict_pattern(gate))

    def _check(self, images: Tensor) -> None:
        height, width = self.config.image_size
        if images.ndim != 4 or images.shape[1:] != (3, height, width):
            raise ShapeError(
                f"this model takes images of shape (B, 3, {height}, {width}), not {tuple(images.shape)}; "
                "resize them, or build it with another image_size=(height, width)"
            )
        if not images.is_floating_point():
            raise ShapeError(f"images are floats in [-1, 1], not {images.dtype}; use (images.float() - 127.5) / 127.5")
        if self.training and images.shape[0] < 2:
            raise ShapeError("a training step needs at least 2 faces (BatchNorm); for one face call model.eval() first")
        # Reading a value back would stall a GPU and cannot be traced, so pixels are checked on the CPU only.
        if images.device.type == "cpu" and not torch.compiler.is_compiling() and images.numel():
            peak = images.detach().abs().amax().item()
            if not peak <= _LARGEST_PIXEL:
                raise ShapeError(
                    f"images lie in [-1, 1] and are finite; the largest value here is {peak:g}. "
                    "Scale 8-bit pictures by (x - 127.5) / 127.5 and leave out pictures with NaN"
                )
