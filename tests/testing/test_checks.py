"""Each check catches a component that breaks a clause, and says which one."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from occmask import FaceShapes, FeatureShape, Occlusion, OcclusionAnswer, OcclusionTruth, Spec
from occmask.testing import check_backbone, check_head, check_margin, check_mask_decoder, check_pattern_predictor

ROOT = Path(__file__).resolve().parents[2]


class GoodHead(nn.Module):
    """One gate a position, and a box with a logit."""

    def __init__(self, shapes: FaceShapes):
        super().__init__()
        self.gate = nn.Conv2d(shapes.maps[-1].channels, 1, 1)
        self.box = nn.Linear(shapes.maps[-1].channels, 5)

    def forward(self, maps: Any) -> Occlusion:
        return Occlusion(self.gate(maps[-1]), self.box(maps[-1].mean((2, 3))))

    def loss(self, occlusion: Occlusion, truth: OcclusionTruth) -> Tensor:
        covered = (truth.box[:, 2:] > truth.box[:, :2]).all(1).to(occlusion.pattern)
        return F.binary_cross_entropy_with_logits(occlusion.pattern[:, 4], covered) + occlusion.pattern[:, :4].mean()

    def answer(self, pattern: Tensor) -> OcclusionAnswer:
        covered = pattern[:, 4].sigmoid()
        corners = pattern[:, :4].sigmoid().unflatten(1, (2, 2)).sort(1).values.flatten(1)
        return OcclusionAnswer(covered[:, None, None].expand(-1, 3, 3), corners, covered)


class WrongMaskShape(GoodHead):
    def forward(self, maps: Any) -> Occlusion:
        return Occlusion(
            self.gate(maps[-2]) if maps[-2].shape[1] == 1 else maps[-2] * 1.0, super().forward(maps).pattern
        )


class PlainTuple(GoodHead):
    def forward(self, maps: Any) -> Any:
        return tuple(super().forward(maps))


class NoPattern(GoodHead):
    def forward(self, maps: Any) -> Occlusion:
        return super().forward(maps)._replace(pattern=None)


class DetachedMask(GoodHead):
    def forward(self, maps: Any) -> Occlusion:
        found = super().forward(maps)
        return found._replace(mask=found.mask.detach())


class MaskFromNothing(GoodHead):
    def __init__(self, shapes: FaceShapes):
        super().__init__(shapes)
        self.constant = nn.Parameter(torch.zeros(1, *shapes.maps[-1][1:]))

    def forward(self, maps: Any) -> Occlusion:
        return super().forward(maps)._replace(mask=self.constant.expand(len(maps[0]), *self.constant.shape))


class DetachedLoss(GoodHead):
    def loss(self, occlusion: Occlusion, truth: OcclusionTruth) -> Tensor:
        return super().loss(occlusion, truth).detach()


class LossPerFace(GoodHead):
    def loss(self, occlusion: Occlusion, truth: OcclusionTruth) -> Tensor:
        return occlusion.pattern.sum(1)


class LossNeedsCovered(GoodHead):
    def loss(self, occlusion: Occlusion, truth: OcclusionTruth) -> Tensor:
        covered = (truth.box[:, 2:] > truth.box[:, :2]).all(1)
        return occlusion.pattern[covered].mean()


class UnusedLayer(GoodHead):
    def __init__(self, shapes: FaceShapes):
        super().__init__(shapes)
        self.forgotten = nn.Linear(2, 2)


class NaNInEvaluation(GoodHead):
    def forward(self, maps: Any) -> Occlusion:
        found = super().forward(maps)
        return found if self.training else found._replace(mask=found.mask + float("nan"))


class DependsOnTheBatch(GoodHead):
    def forward(self, maps: Any) -> Occlusion:
        found = super().forward(maps)
        return found._replace(mask=found.mask - found.mask.mean())


class Random(GoodHead):
    def forward(self, maps: Any) -> Occlusion:
        found = super().forward(maps)
        return found._replace(pattern=F.dropout(found.pattern, 0.5, training=True))


class PatternOnlyInTraining(GoodHead):
    def forward(self, maps: Any) -> Occlusion:
        found = super().forward(maps)
        return found if self.training else found._replace(pattern=None)


class ChangesItsInput(GoodHead):
    def forward(self, maps: Any) -> Occlusion:
        with torch.no_grad():
            maps[-1].mul_(0.5)
        return super().forward(maps)


class HiddenState(GoodHead):
    def __init__(self, shapes: FaceShapes):
        super().__init__(shapes)
        self.offset = torch.randn(1)

    def forward(self, maps: Any) -> Occlusion:
        found = super().forward(maps)
        return found._replace(mask=found.mask + self.offset)


class CannotBeTraced(GoodHead):
    def forward(self, maps: Any) -> Occlusion:
        found = super().forward(maps)
        return found if float(found.mask.detach().numpy().sum()) < 1e9 else found._replace(pattern=None)


class Float32Only(GoodHead):
    def forward(self, maps: Any) -> Occlusion:
        found = super().forward(maps)
        return found._replace(mask=found.mask.float())


class OtherMaskAlone(GoodHead):
    def mask_logits(self, maps: Any) -> Tensor:
        return self.gate(maps[-1]) + 1


class OtherPatternAlone(GoodHead):
    def mask_logits(self, maps: Any) -> Tensor:
        return super().forward(maps).mask

    def predict_pattern(self, gate: Tensor) -> Tensor:
        return torch.zeros(len(gate), 5)


class BoxesOutOfOrder(GoodHead):
    def answer(self, pattern: Tensor) -> OcclusionAnswer:
        found = super().answer(pattern)
        return found._replace(box=found.box.flip(1))


class LogitsForAnswer(GoodHead):
    def answer(self, pattern: Tensor) -> OcclusionAnswer:
        return super().answer(pattern)._replace(covered=pattern[:, 4] * 100 - 50)


class CellsNotSquare(GoodHead):
    def answer(self, pattern: Tensor) -> OcclusionAnswer:
        found = super().answer(pattern)
        return found._replace(cells=found.cells[:, :2])


class ThresholdOfTwo(GoodHead):
    threshold = 2.0


class FailsToBuild(GoodHead):
    def __init__(self, shapes: FaceShapes):
        raise RuntimeError("out of paper")


def test_a_good_head_passes() -> None:
    check_head(GoodHead)


@pytest.mark.parametrize(
    ("head", "clause"),
    [
        (WrongMaskShape, r"mask of shape \(C, H, W\) = \(12, 7, 6\), .* not \(4, 10, 14, 12\) for 4 faces"),
        (PlainTuple, r"returns an occmask\.Occlusion, not a tuple"),
        (NoPattern, "a pattern with one row a face, not None"),
        (DetachedMask, "its mask is detached"),
        (MaskFromNothing, "passes the mask's gradient on to the maps"),
        (DetachedLoss, "loss that can be differentiated, but it is detached"),
        (LossPerFace, "has a scalar loss"),
        (LossNeedsCovered, "finite in the loss with nothing covered"),
        (UnusedLayer, "none reaches 'forgotten.weight'"),
        (NaNInEvaluation, "finite in evaluation"),
        (DependsOnTheBatch, "other faces changed it"),
        (Random, "same answer twice in evaluation"),
        (PatternOnlyInTraining, "same type and shapes in training and evaluation"),
        (ChangesItsInput, "changed them in place"),
        (HiddenState, "something it uses is not in its state_dict"),
        (CannotBeTraced, r"can be exported by torch\.export, for any number of faces, but that raised"),
        (Float32Only, "float64"),
        (OtherMaskAlone, r"mask_logits\(maps\) the mask that forward gives"),
        (OtherPatternAlone, r"predict_pattern\(gate\) the pattern that forward gives"),
        (BoxesOutOfOrder, "corners are in order"),
        (LogitsForAnswer, r"covered in \[0, 1\]"),
        (CellsNotSquare, "as many down as across"),
        (ThresholdOfTwo, r"`threshold` of None or a float in \(0, 1\)"),
        (FailsToBuild, r"is built as factory\(FaceShapes, \*\*options\), but that raised RuntimeError: out of paper"),
    ],
)
def test_a_broken_head_is_caught_by_the_clause_it_breaks(head: type[nn.Module], clause: str) -> None:
    with pytest.raises(AssertionError, match=clause) as caught:
        check_head(head)
    assert str(caught.value).startswith(f"head {head.__qualname__} (image 112x96)")


class GoodBackbone(nn.Module):
    """Two strided convolutions."""

    def __init__(self, image_size: tuple[int, int]):
        super().__init__()
        height, width = image_size
        self.shapes = (FeatureShape(4, height // 8, width // 8), FeatureShape(6, height // 16, width // 16))
        self.first, self.second = nn.Conv2d(3, 4, 8, 8), nn.Conv2d(4, 6, 2, 2)

    def forward(self, image: Tensor) -> Any:
        fine = self.first(image)
        return fine, self.second(fine)


class DeclaresOtherShapes(GoodBackbone):
    def __init__(self, image_size: tuple[int, int]):
        super().__init__(image_size)
        self.shapes = (self.shapes[0], FeatureShape(6, 7, 6))  # right at 112x96 only


class CoarsestFirst(GoodBackbone):
    def __init__(self, image_size: tuple[int, int]):
        super().__init__(image_size)
        self.shapes = self.shapes[::-1]


class ReturnsAList(GoodBackbone):
    def forward(self, image: Tensor) -> Any:
        return list(super().forward(image))


class ForgetsAMap(GoodBackbone):
    def forward(self, image: Tensor) -> Any:
        return super().forward(image)[:1]


class DetachedBackbone(GoodBackbone):
    def forward(self, image: Tensor) -> Any:
        return tuple(map(torch.Tensor.detach, super().forward(image)))


def test_a_good_backbone_passes() -> None:
    check_backbone(GoodBackbone)


@pytest.mark.parametrize(
    ("backbone", "clause"),
    [
        (DeclaresOtherShapes, r"image 112x112\): map 1, as declared, has shape \(4, 6, 7, 6\), not \(4, 6, 7, 7\)"),
        (CoarsestFirst, "finest first"),
        (ReturnsAList, "a tuple of maps, not a list"),
        (ForgetsAMap, "the 2 maps that it declares, not 1"),
        (DetachedBackbone, "no gradient leads from its outputs"),
    ],
)
def test_a_broken_backbone_is_caught_by_the_clause_it_breaks(backbone: type[nn.Module], clause: str) -> None:
    with pytest.raises(AssertionError, match=clause):
        check_backbone(backbone)


class GoodMargin:
    """A tenth off the cosine."""

    default_scale = 32.0

    def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:
        return cosine - 0.1


class NoScale(GoodMargin):
    default_scale = None  # type: ignore[assignment]


class Column(GoodMargin):
    def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:
        return cosine[:, None] - 0.1


class Float32Margin(GoodMargin):
    def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:
        return cosine.float() - 0.1


class InfiniteSlope(GoodMargin):
    def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:
        return torch.cos(torch.acos(cosine) + 0.5)


class CpuMargin(GoodMargin):
    def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:
        return cosine - torch.full((1,), 0.1, dtype=cosine.dtype)


class Easier(GoodMargin):
    def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:
        return cosine + 0.1


class DetachedMargin(GoodMargin):
    def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:
        return cosine.detach() - 0.1


class WrongGradient(GoodMargin):
    def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:
        phi = cosine - 0.1 - 0.1 * (1 - cosine) ** 2
        return phi.detach() + (cosine - cosine.detach())


class MixesFaces(GoodMargin):
    def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:
        return cosine - torch.linspace(0.1, 0.5, len(cosine), dtype=cosine.dtype)


class AdaptsToTheNorm(GoodMargin):
    """AdaFace's idea: the margin follows the norm's place among the batch's."""

    def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:
        place = ((norm - norm.mean()) / (norm.std() + 1e-3)).clamp(-1, 1).to(cosine.dtype)
        return cosine - 0.2 - 0.1 * place


class Learning(nn.Module):
    """A margin with everything: a state, a regulariser, negatives re-weighted by the state."""

    default_scale = 32.0

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("level", torch.zeros(1))

    def forward(self, cosine: Tensor, norm: Tensor) -> Tensor:
        if self.training:
            self.level.mul_(0.5).add_(0.5 * cosine.detach().mean())
        return cosine - 0.1 - 0.01 * self.level.clone()

    def regulariser(self, norm: Tensor) -> Tensor:
        return 0.01 * norm.square()

    @property
    def reweight(self) -> Any:
        level = self.level.clone()
        return lambda cosine, phi: torch.where(cosine > phi, cosine * (1 + level) + 0.1, cosine)


class LearnsInEvaluation(Learning):
    def forward(self, cosine: Tensor, norm: Tensor) -> Tensor:
        self.level += 0.1
        return cosine - 0.1


class DrawsInEvaluation(Learning):
    def forward(self, cosine: Tensor, norm: Tensor) -> Tensor:
        return cosine - 0.1 - 0.01 * torch.rand(1, dtype=cosine.dtype)


class NanInTraining(Learning):
    def forward(self, cosine: Tensor, norm: Tensor) -> Tensor:
        return cosine - 0.1 + (torch.nan if self.training else 0)


class ForgetsOnSaving(Learning):
    level_now = 0.0

    def forward(self, cosine: Tensor, norm: Tensor) -> Tensor:
        if self.training:
            self.level_now += 0.1
        return cosine - 0.1 - self.level_now


class ScalarRegulariser(GoodMargin):
    def regulariser(self, norm: Tensor) -> Tensor:
        return norm.mean()


class InfiniteRegulariser(GoodMargin):
    def regulariser(self, norm: Tensor) -> Tensor:
        return 1 / norm


class DetachedRegulariser(GoodMargin):
    def regulariser(self, norm: Tensor) -> Tensor:
        return norm.detach()


class WrongRegulariserGradient(GoodMargin):
    def regulariser(self, norm: Tensor) -> Tensor:
        return norm * norm.detach()


class TakesTheHardest(GoodMargin):
    def reweight(self, cosine: Tensor, phi: Tensor) -> Tensor:
        return cosine.max(dim=1, keepdim=True).values


class TouchesEasyOnes(GoodMargin):
    def reweight(self, cosine: Tensor, phi: Tensor) -> Tensor:
        return torch.where(cosine > phi, 1.2 * cosine, cosine + 1e-6)


class InfiniteHardOnes(GoodMargin):
    def reweight(self, cosine: Tensor, phi: Tensor) -> Tensor:
        return torch.where(cosine > phi, 1 / (1 - cosine), cosine)


class InPlace(GoodMargin):
    def reweight(self, cosine: Tensor, phi: Tensor) -> Tensor:
        if not cosine.requires_grad:
            cosine[0, -1] += 1
        return cosine.clone()


class MixesClasses(GoodMargin):
    def reweight(self, cosine: Tensor, phi: Tensor) -> Tensor:
        return torch.where(cosine > phi, cosine + cosine.mean(dim=1, keepdim=True), cosine)


class DetachedReweight(GoodMargin):
    def reweight(self, cosine: Tensor, phi: Tensor) -> Tensor:
        return torch.where(cosine > phi, 2 * cosine, cosine).detach()


class WrongReweightGradient(GoodMargin):
    def reweight(self, cosine: Tensor, phi: Tensor) -> Tensor:
        return torch.where(cosine > phi, cosine * (1 + cosine.detach()), cosine)


class ReadsTheStateLater(Learning):
    def reweight(self, cosine: Tensor, phi: Tensor) -> Tensor:  # type: ignore[override]
        return torch.where(cosine > phi, cosine * (1 + self.level), cosine)


def test_good_margins_pass() -> None:
    check_margin(Learning)
    check_margin(GoodMargin)
    check_margin(AdaptsToTheNorm)
    check_margin(WrongGradient, exact_gradient=False)


@pytest.mark.parametrize(
    ("margin", "clause"),
    [
        (NoScale, "`default_scale` above 0"),
        (Column, r"phi, one value a face, has shape \(65,\), not \(65, 1\)"),
        (Float32Margin, r"returns float64 for a float64 cosine, not torch\.float32"),
        (InfiniteSlope, "finite in phi's gradient for cosines from -1 to 1"),
        (CpuMargin, r"works wholly on another device \(meta\)"),
        (Easier, r"makes the task harder .* exceeds it by 0\.1"),
        (DetachedMargin, "phi is detached"),
        (WrongGradient, "has an exact gradient"),
        (MixesFaces, "their order matters"),
        (LearnsInEvaluation, "level moved in evaluation mode"),
        (DrawsInEvaluation, "their order matters"),
        (NanInTraining, "finite in training mode"),
        (ForgetsOnSaving, "its state_dict lacks something"),
        (ScalarRegulariser, r"the regulariser, one value a face, has shape \(41,\), not \(\)"),
        (InfiniteRegulariser, "finite in the regulariser for norms from 0 to 200"),
        (DetachedRegulariser, "regulariser's gradient on to the norm, but it is detached"),
        (WrongRegulariserGradient, "regulariser with an exact gradient"),
        (TakesTheHardest, r"re-weighted cosines, one value for each, has shape \(5, 41\), not \(5, 1\)"),
        (TouchesEasyOnes, "leaves cosines up to phi exactly as they are"),
        (InfiniteHardOnes, "finite in the re-weighted cosines"),
        (InPlace, "changed its input"),
        (MixesClasses, "the others of a chunk changed it"),
        (DetachedReweight, "passes a gradient through the re-weighted cosine"),
        (WrongReweightGradient, "re-weights with an exact gradient"),
        (ReadsTheStateLater, "bind the state when `reweight` is asked for"),
    ],
)
def test_a_broken_margin_is_caught_by_the_clause_it_breaks(margin: type[GoodMargin], clause: str) -> None:
    with pytest.raises(AssertionError, match=clause):
        check_margin(margin)


def test_a_component_is_told_as_spec_mapping_path_or_factory() -> None:
    for cosface in (
        Spec("cosface", margin=0.2),
        {"name": "cosface", "margin": 0.2},
        "occmask.margins.functions:CosFace",
    ):
        check_margin(cosface)
    with pytest.raises(AssertionError, match=r"margin loss 'cosfase' is built .* Did you mean 'cosface'"):
        check_margin("cosfase")
    with pytest.raises(AssertionError, match=r"margin loss 'cosface' is built .* no option 'margn'"):
        check_margin(Spec("cosface", margn=0.2))


def test_how_far_a_margin_must_be_harder_can_be_told() -> None:
    """cos(4 theta) falls below cos(theta) up to 72 degrees only."""
    from occmask.margins.functions import SphereFace

    def steep() -> SphereFace:
        """Four times the angle."""
        return SphereFace(margin=4)

    check_margin(steep, harder_up_to=math.radians(72))
    with pytest.raises(AssertionError, match="harder"):
        check_margin(steep)


class GoodDecoder(nn.Module):
    """One gate a position."""

    needs_pyramid = False

    def __init__(self, source: FeatureShape, shapes: FaceShapes):
        super().__init__()
        self.mask_shape = (1, *source[1:])
        self.gate = nn.Conv2d(source.channels, 1, 1)

    def forward(self, source: Tensor) -> Tensor:
        return self.gate(source)


class NeedsUnknown(GoodDecoder):
    needs_pyramid = None  # type: ignore[assignment]


class SaysTheFullMask(GoodDecoder):
    def __init__(self, source: FeatureShape, shapes: FaceShapes):
        super().__init__(source, shapes)
        self.mask_shape = tuple(source)


class FlatMaskShape(GoodDecoder):
    def __init__(self, source: FeatureShape, shapes: FaceShapes):
        super().__init__(source, shapes)
        self.mask_shape = (42,)


@pytest.mark.parametrize(
    ("decoder", "clause"),
    [
        (NeedsUnknown, "whether it `needs_pyramid`, not None"),
        (SaysTheFullMask, r"the mask has shape \(4, 12, 7, 6\), not \(4, 1, 7, 6\)"),
        (FlatMaskShape, r"for `mask_shape`, not \(42,\)"),
    ],
)
def test_a_broken_mask_decoder_is_caught_by_the_clause_it_breaks(decoder: type[nn.Module], clause: str) -> None:
    check_mask_decoder(GoodDecoder)
    with pytest.raises(AssertionError, match=clause):
        check_mask_decoder(decoder)


class GoodPredictor(nn.Sequential):
    """A box and a logit from all of the mask."""

    k = 3

    def __init__(self, mask_shape: tuple[int, ...], image: FeatureShape):
        super().__init__(nn.Flatten(), nn.Linear(math.prod(mask_shape), 5))

    def loss(self, pattern: Tensor, truth: OcclusionTruth) -> Tensor:
        return GoodHead.loss(self, Occlusion(pattern, pattern), truth)  # type: ignore[arg-type]

    def answer(self, pattern: Tensor) -> OcclusionAnswer:
        return GoodHead.answer(self, pattern)  # type: ignore[arg-type]


class OtherK(GoodPredictor):
    k = 5


class IgnoresTheTruthsZeros(GoodPredictor):
    def loss(self, pattern: Tensor, truth: OcclusionTruth) -> Tensor:
        return (pattern[:, :4] / truth.box.sum(1, keepdim=True)).square().mean() + pattern[:, 4].mean()


@pytest.mark.parametrize(
    ("predictor", "clause"),
    [
        (OtherK, r"cells, as many down as across, has shape \(4, 5, 5\), not \(4, 3, 3\)"),
        (IgnoresTheTruthsZeros, "finite in the loss with some faces covered"),
    ],
)
def test_a_broken_pattern_predictor_is_caught_by_the_clause_it_breaks(predictor: type[nn.Module], clause: str) -> None:
    check_pattern_predictor(GoodPredictor)
    with pytest.raises(AssertionError, match=clause):
        check_pattern_predictor(predictor)


def test_checking_leaves_the_callers_random_numbers_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    check_head(GoodHead)
    check_margin(GoodMargin)
    assert torch.equal(torch.rand(4), expected)


def test_the_checks_work_without_hypothesis_and_the_strategies_say_what_to_install() -> None:
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "from occmask.testing import check_margin; check_margin('cosface'); print('checked')\n"
        "import occmask.testing.strategies"
    )
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}", "PATH": ""}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300)
    assert ran.stdout.strip() == "checked", ran.stderr
    assert re.search(
        r"PluginError: occmask\.testing\.strategies needs Hypothesis: pip install 'occmask\[test\]'", ran.stderr
    )
