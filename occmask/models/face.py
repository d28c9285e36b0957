"""The model: restorer -> part -> backbone, refined between its stages -> occlusion head -> mask -> embedding."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from occmask_kernels.masking import mask_apply, mask_apply_and_gate

from ..backbones import BACKBONES, Backbone, RefinableBackbone
from ..coverage import answer_from_coverage
from ..embeddings import EMBEDDINGS
from ..errors import OptionError, ShapeError
from ..heads import HEADS
from ..parts import PART_LOCATORS
from ..parts.crop import crop_part
from ..refiners import REFINERS
from ..restorers import RESTORERS
from ..shapes import FaceOutput, FaceShapes, FeatureShape, Occlusion, OcclusionAnswer, OcclusionTruth
from .config import ModelConfig
from .trust import Trust, finite_output, first_nonfinite

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
        image = FeatureShape(3, height, width)
        trust = self.trust = Trust(config)
        self.restorer = self.part_locator = self.refiner = self.head = None
        if config.restorer is not None:
            self.restorer = trust.built("restorer", RESTORERS.build(config.restorer, image), finds_cover=bool)
        if config.part_locator is not None:
            self.part_locator = trust.built("part_locator", PART_LOCATORS.build(config.part_locator, image))
        self.backbone = trust.built("backbone", BACKBONES.build(config.backbone, config.image_size))
        maps = trust.shapes(getattr(self.backbone, "shapes", None))
        if config.refiner is not None:
            _require_refinable(self.backbone, config)
            self.refiner = trust.built("refiner", REFINERS.build(config.refiner, image, maps))
        self.embedding = trust.built("embedding", EMBEDDINGS.build(config.embedding, maps[-1]), width=int)
        if config.head is not None:
            self.head = trust.built("head", HEADS.build(config.head, FaceShapes(image, maps, self.embedding.width)))
        self.threshold: float | None = getattr(self.head, "threshold", None)

    @property
    def width(self) -> int:
        """D: numbers of an embedding.  With a part locator those of the whole face and then those of the part."""
        return self.embedding.width * (1 if self.part_locator is None else 2)

    @property
    def sees_occlusion(self) -> bool:
        """Whether the model says what is covered."""
        finds = self.restorer is not None and self.restorer.finds_cover
        return self.head is not None or self.refiner is not None or finds

    @property
    def has_occlusion_loss(self) -> bool:
        """Whether any part learns what is covered."""
        parts = (self.head, self.refiner, self.restorer, self.part_locator)
        return any(hasattr(part, "loss") for part in parts if part is not None)

    def forward(self, images: Tensor, *, occlusion: bool = False, clean: bool = False) -> FaceOutput:
        """Embed a batch of aligned faces.

        images: (B, 3, H, W) float in [-1, 1], RGB.  `occlusion=True` also predicts what is covered
        (`.pattern`; always in training), `clean=True` also embeds without the mask (`.clean`).
        What is not asked for is not computed.  Raises `ShapeError` for images that do not fit, for a component that
        returns another shape or type than it promised, and in evaluation on a CPU for one that makes NaN of a face.
        """
        self._check(images)
        restoration, seen, box = None, images, None
        if self.restorer is not None:
            finds = self.restorer.finds_cover
            restoration = self.trust.restoration(self.restorer(images), images, finds_cover=finds)
            seen = restoration.image
        if self.part_locator is None:
            output = self._embed(seen, occlusion=occlusion, clean=clean)
        else:
            box = self.trust.box(self.part_locator(seen), seen)
            both = self._embed(torch.cat([seen, crop_part(seen, box)]), occlusion=occlusion, clean=clean)
            output = _side_by_side(both, images.shape[0])
        output = output._replace(restoration=restoration, part=box)
        self._check_finite(output, images)
        return output

    def _embed(self, images: Tensor, *, occlusion: bool, clean: bool) -> FaceOutput:
        """Trunk, mask and embedding of what is to be looked at."""
        maps, coverage = self._maps(images)
        top = maps[-1]
        if self.head is None:
            embedding = self._embedded(top)
            return FaceOutput(embedding, clean=embedding if clean else None, coverage=coverage)
        pattern = occlusion or self.training
        found = self._find_mask(maps, pattern=pattern)
        if found.mask.ndim == 2:  # (B, D) gates the finished embedding
            plain = self._embedded(top)
            embedding, found = self._gate(plain, found, pattern=pattern)
            return FaceOutput(embedding, plain if clean else None, found.mask, found.pattern, coverage)
        # (B, C, H, W) or (B, 1, H, W) gates the top map
        gated, found = self._gate(top, found, pattern=pattern)
        embedding = self._embedded(gated)
        return FaceOutput(embedding, self._embedded(top) if clean else None, found.mask, found.pattern, coverage)

    def _maps(self, images: Tensor) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """The trunk's maps, cleaned between its stages if there is a refiner, and the coverage that one saw."""
        refiner, trust, shapes = self.refiner, self.trust, self.backbone.shapes
        if refiner is None:
            return trust.maps(self.backbone(images), shapes, images), None
        sight = trust.sight(refiner(images), images)
        trunk = cast(RefinableBackbone, self.backbone)
        maps = trunk(images, lambda level, x: trust.refined(refiner.refine(level, x, sight), level, x))
        return trust.maps(maps, shapes, images), sight.coverage

    def _embedded(self, top: Tensor) -> Tensor:
        return self.trust.embedding(self.embedding(top), self.embedding.width, top)

    def occlusion_loss(self, output: FaceOutput, truth: OcclusionTruth) -> Tensor:
        """What the parts that deal with occlusion lose in `output`, summed: a scalar; for FROM the paper's L_pred."""
        losses = []
        if self.head is not None and output.mask is not None:
            losses.append(self.trust.loss("head", self.head.loss(Occlusion(output.mask, output.pattern), truth)))
        if self.refiner is not None and output.coverage is not None:
            losses.append(self.trust.loss("refiner", self.refiner.loss(output.coverage, truth)))
        restored = None if output.restoration is None else output.restoration.coverage
        for name, said in (("restorer", restored), ("part_locator", output.part)):
            loss = getattr(getattr(self, name), "loss", None)
            if said is not None and loss is not None:
                losses.append(self.trust.loss(name, loss(said, truth)))
        if not losses:
            raise OptionError(
                "no part of this model has an occlusion loss; build it with one that has, such as head='from'"
            )
        return torch.stack(losses).sum()

    def occlusion_answer(self, output: FaceOutput) -> OcclusionAnswer:
        """What the model believes is covered; needs `model(images, occlusion=True)`.

        The head says so; without one the refiner's coverage, without that the restorer's.
        """
        if not self.sees_occlusion:
            raise OptionError("a model without a head sees no occlusion; build it with one, such as head='from'")
        if self.head is not None:
            if output.pattern is None:
                raise OptionError("this output holds no pattern; call the model with occlusion=True")
            return self.trust.answer(self.head.answer(output.pattern), output.pattern)
        coverage = output.coverage
        if coverage is None and output.restoration is not None:
            coverage = output.restoration.coverage
        if coverage is None:
            raise OptionError("this output holds no coverage; it is not the output of this model")
        return answer_from_coverage(coverage)

    def _find_mask(self, maps: tuple[Tensor, ...], *, pattern: bool) -> Occlusion:
        """The mask, and the pattern only where asking the whole head is the way to it."""
        assert self.head is not None
        top, width = maps[-1], self.embedding.width
        mask_logits = getattr(self.head, "mask_logits", None)
        predict_pattern = getattr(self.head, "predict_pattern", None)
        if mask_logits is not None and (not pattern or predict_pattern is not None):
            return Occlusion(self.trust.mask(mask_logits(maps), top, width))
        found = self.trust.occlusion(self.head(maps), pattern=pattern)
        mask = self.trust.mask(found.mask, top, width)
        return Occlusion(mask, self.trust.pattern(found.pattern, top) if pattern else None)

    def _gate(self, x: Tensor, found: Occlusion, *, pattern: bool) -> tuple[Tensor, Occlusion]:
        """`x` gated by the mask, and the pattern from the same gate if it is wanted and still missing."""
        predict_pattern = getattr(self.head, "predict_pattern", None)
        if not pattern or found.pattern is not None or predict_pattern is None:
            return mask_apply(x, found.mask, threshold=self.threshold), found
        gated, gate = mask_apply_and_gate(x, found.mask, threshold=self.threshold)
        return gated, found._replace(pattern=self.trust.pattern(predict_pattern(gate), x))

    def _check_finite(self, output: FaceOutput, images: Tensor) -> None:
        """As with pixels, on the CPU only; a training step looks at its loss instead."""
        if self.training or images.device.type != "cpu" or self.trust.watching or torch.compiler.is_compiling():
            return
        if not finite_output(output):
            culprit = first_nonfinite(self, images) or "some part of the model"
            raise ShapeError(f"the model's answer holds NaN or infinity, which began in {culprit}")

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


def _require_refinable(backbone: Backbone, config: ModelConfig) -> None:
    if not getattr(backbone, "refinable", False):
        assert config.refiner is not None
        raise OptionError(
            f"refiner {config.refiner.name!r} works between the stages of the trunk, and backbone "
            f"{config.backbone.name!r} does not let it (refinable = True); use 'tiny', 'lresnet' or 'iresnet'"
        )


def _side_by_side(both: FaceOutput, faces: int) -> FaceOutput:
    """The output for 2B pictures, B = `faces` whole ones and then their parts, as one for B faces.

    Embeddings are joined; mask, pattern and coverage are those of the whole face.
    """

    def whole(x: Tensor | None) -> Tensor | None:
        return None if x is None else x[:faces]

    def joined(x: Tensor) -> Tensor:
        return torch.cat([x[:faces], x[faces:]], dim=1)

    clean = None if both.clean is None else joined(both.clean)
    return FaceOutput(joined(both.embedding), clean, whole(both.mask), whole(both.pattern), whole(both.coverage))
