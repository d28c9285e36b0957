"""The model: restorer -> part -> backbone, refined between its stages -> occlusion head -> mask -> embedding."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from occmask_kernels.masking import mask_apply, mask_apply_and_gate

from ..backbones import BACKBONES, RefinableBackbone
from ..coverage import answer_from_coverage
from ..embeddings import EMBEDDINGS
from ..errors import OptionError, ShapeError
from ..heads import HEADS
from ..parts import PART_LOCATORS
from ..parts.crop import crop_part
from ..refiners import REFINERS
from ..restorers import RESTORERS
from ..shapes import FaceOutput, FaceShapes, FeatureShape, Occlusion, OcclusionAnswer, OcclusionTruth, Template
from .config import ModelConfig
from .pictures import check_pictures, require_refinable, side_by_side
from .reading import summands_of, visible_share, with_regions
from .trust import Trust, finite_output, first_nonfinite


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
            require_refinable(self.backbone, config)
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
    def gates(self) -> bool:
        """Whether the head cleans the face; one that does not says what is covered and changes nothing."""
        return self.head is not None and getattr(self.head, "gates", True)

    @property
    def has_occlusion_loss(self) -> bool:
        """Whether any part learns what is covered."""
        parts = (self.head, self.refiner, self.restorer, self.part_locator)
        return any(hasattr(part, "loss") for part in parts if part is not None)

    def forward(
        self, images: Tensor, *, occlusion: bool = False, clean: bool = False, parts: bool = False
    ) -> FaceOutput:
        """Embed a batch of aligned faces.

        images: (B, 3, H, W) float in [-1, 1], RGB.  `occlusion=True` also predicts what is covered (`.pattern`; always
        in training), `clean=True` also embeds without the mask (`.clean`), `parts=True` also gives what each place of
        the top map adds to the embedding (`.parts`).  What is not asked for is not computed.  Raises `ShapeError` for
        images that do not fit, for a component that returns another shape or type than it promised, and in evaluation
        on a CPU for one that makes NaN of a face.
        """
        check_pictures(images, self.config.image_size, training=self.training)
        restoration, seen, box = None, images, None
        if self.restorer is not None:
            finds = self.restorer.finds_cover
            restoration = self.trust.restoration(self.restorer(images), images, finds_cover=finds)
            seen = restoration.image
        if self.part_locator is None:
            output = self._embed(seen, occlusion=occlusion, clean=clean, parts=parts)
        else:
            box = self.trust.box(self.part_locator(seen), seen)
            both = self._embed(torch.cat([seen, crop_part(seen, box)]), occlusion=occlusion, clean=clean, parts=False)
            output = side_by_side(both, images.shape[0])
        output = output._replace(restoration=restoration, part=box)
        self._check_finite(output, images)
        return output

    def _embed(self, images: Tensor, *, occlusion: bool, clean: bool, parts: bool) -> FaceOutput:
        """Trunk, mask and embedding of what is to be looked at."""
        maps, coverage = self._maps(images)
        top, pattern = maps[-1], occlusion or self.training
        found = self._find_mask(maps, pattern=pattern)
        gated, gate = top, None
        if found.mask is not None and found.mask.ndim > 2:  # (B, C, H, W) or (B, 1, H, W) gates the top map
            gated, found = self._gate(top, found, pattern=pattern)
        embedding = plain = self._embedded(gated)
        if found.mask is not None and found.mask.ndim == 2:  # (B, D) gates the finished embedding
            embedding, found = self._gate(plain, found, pattern=pattern)
            gate = found.mask
        uncleaned = None
        if clean:
            uncleaned = plain if gated is top else self._embedded(top)
        summands = summands_of(self.embedding, gated, gate, self.threshold) if parts else None
        return FaceOutput(embedding, uncleaned, found.mask, found.pattern, coverage, parts=summands)

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
        if self.head is not None and (output.mask is not None or output.pattern is not None):
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

        The head says so; without one the refiner's coverage, without that the restorer's.  With the covered share of
        each region of the face, for pictures aligned as the config says.
        """
        if not self.sees_occlusion:
            raise OptionError("a model without a head sees no occlusion; build it with one, such as head='from'")
        if self.head is not None:
            if output.pattern is None:
                raise OptionError("this output holds no pattern; call the model with occlusion=True")
            answer = self.trust.answer(self.head.answer(output.pattern), output.pattern)
        else:
            coverage = output.coverage
            if coverage is None and output.restoration is not None:
                coverage = output.restoration.coverage
            if coverage is None:
                raise OptionError("this output holds no coverage; it is not the output of this model")
            answer = answer_from_coverage(coverage)
        return with_regions(answer, self.config.input_spec)

    def occlusion(self, images: Tensor) -> OcclusionAnswer:
        """What is covered on aligned faces (B, 3, H, W), whatever part of the model says so.

        Each cell's and each region's covered share, the likeliest rectangle, and the probability that anything is
        covered: see `OcclusionAnswer`.  Raises as `forward` does, and `OptionError` for a model that sees no occlusion.
        """
        if not self.sees_occlusion:
            raise OptionError(
                "this model sees no occlusion; occmask.attach(model, 'occupancy') gives it a head to train"
            )
        return self.occlusion_answer(self(images, occlusion=True))

    def template(self, images: Tensor) -> Template:
        """What is kept of aligned faces (B, 3, H, W) to compare them with others: see `Template` and `match`.

        Without an embedding that has parts (`Embedding.parts`), or with a part locator, it is the embedding alone;
        without a part that sees occlusion nothing is known of what is visible.  Raises as `forward` does.
        """
        has_parts = hasattr(self.embedding, "parts") and self.part_locator is None
        output = self(images, occlusion=has_parts and self.sees_occlusion, parts=has_parts)
        if output.parts is None:
            return Template(output.embedding)
        grid = (self.backbone.shapes[-1].height, self.backbone.shapes[-1].width)
        visible = None
        if self.sees_occlusion:
            visible = visible_share(self.occlusion_answer(output), grid)
        return Template(output.embedding, output.parts, visible, grid)

    def _find_mask(self, maps: tuple[Tensor, ...], *, pattern: bool) -> Occlusion:
        """The mask, and the pattern only where asking the whole head is the way to it."""
        if self.head is None or not (self.gates or pattern):
            return Occlusion(None)
        top, width = maps[-1], self.embedding.width
        mask_logits = getattr(self.head, "mask_logits", None)
        predict_pattern = getattr(self.head, "predict_pattern", None)
        if self.gates and mask_logits is not None and (not pattern or predict_pattern is not None):
            return Occlusion(self.trust.mask(mask_logits(maps), top, width))
        found = self.trust.occlusion(self.head(maps), pattern=pattern)
        mask = self.trust.mask(found.mask, top, width) if self.gates else None
        return Occlusion(mask, self.trust.pattern(found.pattern, top) if pattern else None)

    def _gate(self, x: Tensor, found: Occlusion, *, pattern: bool) -> tuple[Tensor, Occlusion]:
        """`x` gated by the mask, and the pattern from the same gate if it is wanted and still missing."""
        assert found.mask is not None
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
