"""The clauses that all modules share, and those of restorers, part locators, refiners and embeddings, each broken."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import occmask
from occmask import FeatureShape, Restoration, Sight
from occmask.testing import check_embedding, check_part_locator, check_refiner, check_restorer

ONE_SIZE = ((48, 40),)
CACHE: list[Any] = []


class GoodRestorer(nn.Module):
    """One convolution that finds the cover and brightens it by `amount`."""

    finds_cover: Any = True

    def __init__(self, image: FeatureShape, *, amount: float = 0.1):
        super().__init__()
        self.amount = amount
        self.layer = nn.Conv2d(3, 1, 3, padding=1)
        self.register_buffer("grey", torch.full((3, 1, 1), 0.5))

    def forward(self, images: Tensor) -> Any:
        coverage = self.layer(images)
        return Restoration(images + self.amount * coverage.sigmoid() * self.grey, coverage)

    def loss(self, coverage: Tensor, truth: Any) -> Tensor:
        return occmask.coverage_loss(coverage, truth)


class PlainTuple(GoodRestorer):
    def forward(self, images: Tensor) -> Any:
        return tuple(super().forward(images))


class Smaller(GoodRestorer):
    def forward(self, images: Tensor) -> Any:
        return super().forward(images)._replace(image=images[..., ::2])


class Bytes(GoodRestorer):
    def forward(self, images: Tensor) -> Any:
        found = super().forward(images)
        return found._replace(image=found.image * 127.5 + 127.5)


class DoesNotSay(GoodRestorer):
    finds_cover = None


class FindsNoCover(GoodRestorer):
    finds_cover = False


class FlatCoverage(GoodRestorer):
    def forward(self, images: Tensor) -> Any:
        found = super().forward(images)
        return found._replace(coverage=found.coverage[:, 0])


class RefusesBoxesBadly(GoodRestorer):
    def loss(self, coverage: Tensor, truth: Any) -> Tensor:
        return coverage.mean() * truth.covered.float().mean()


class DetachedLoss(GoodRestorer):
    def loss(self, coverage: Tensor, truth: Any) -> Tensor:
        return super().loss(coverage, truth).detach()


class CpuConstant(GoodRestorer):
    def forward(self, images: Tensor) -> Any:
        found = super().forward(images)
        return found._replace(image=found.image * torch.full((3, 1, 1), 0.9, dtype=images.dtype))


class NoBfloat16(GoodRestorer):
    def forward(self, images: Tensor) -> Any:
        found = super().forward(images)
        return found._replace(image=found.image.double().to(torch.promote_types(images.dtype, torch.float32)))


class OneBatchOnly(GoodRestorer):
    def forward(self, images: Tensor) -> Any:
        if torch.compiler.is_compiling() and images.shape[0] != 4:
            return Restoration(images * 2, self.layer(images))
        return super().forward(images)


class BreaksTheGraph(GoodRestorer):
    def forward(self, images: Tensor) -> Any:
        if torch.compiler.is_dynamo_compiling():
            torch._dynamo.graph_break()
        return super().forward(images)


class KeepsItsBatch(GoodRestorer):
    def forward(self, images: Tensor) -> Any:
        found = super().forward(images)
        if not torch.compiler.is_compiling():
            object.__setattr__(self, "last", found.image.detach() * 2)
        return found


class KeepsItElsewhere(GoodRestorer):
    def forward(self, images: Tensor) -> Any:
        if not torch.compiler.is_compiling():
            CACHE.append(images + 1)
        return super().forward(images)


class SavesWithoutGradients(GoodRestorer):
    def forward(self, images: Tensor) -> Any:
        with torch.enable_grad():
            found = super().forward(images)
        return found


class SavesTheSquare(GoodRestorer):
    def forward(self, images: Tensor) -> Any:
        found = super().forward(images)
        flat = found.coverage.flatten(1)
        pairs = (flat[:, None] - flat[None]).tanh().tanh()  # (B, B, N)
        return found._replace(coverage=found.coverage + 0 * pairs.mean((0, 1, 2)) * 1.0)


class HidesOptions(GoodRestorer):
    def __init__(self, image: FeatureShape, **options: Any):
        super().__init__(image, **options)


class SaysNothingOfWidth(GoodRestorer):
    def __init__(self, image: FeatureShape, *, width: int = 3):
        super().__init__(image)


class OptionsByPlace(GoodRestorer):
    def __init__(self, image: FeatureShape, amount: float = 0.1):
        super().__init__(image, amount=amount)


class NoPlainData(GoodRestorer):
    def __init__(self, image: FeatureShape, *, amount: Any = torch.zeros(1)):  # noqa: B008
        super().__init__(image)


class OtherDefault(GoodRestorer):
    """Declares a `shade` of 2 and is built with 1."""

    __signature__ = inspect.Signature(
        [
            inspect.Parameter("image", inspect.Parameter.POSITIONAL_OR_KEYWORD),
            inspect.Parameter("shade", inspect.Parameter.KEYWORD_ONLY, default=2),
        ]
    )

    def __init__(self, image: FeatureShape, *, shade: int = 1):
        super().__init__(image)
        self.register_buffer("shade", torch.full((), float(shade)))


class Undocumented(nn.Module):
    finds_cover = False

    def __init__(self, image: FeatureShape):
        super().__init__()

    def forward(self, images: Tensor) -> Restoration:
        return Restoration(images * 1)


def test_a_good_restorer_passes() -> None:
    check_restorer(GoodRestorer, image_sizes=ONE_SIZE)


@pytest.mark.parametrize(
    ("restorer", "clause"),
    [
        (PlainTuple, r"returns an occmask\.Restoration, not a tuple"),
        (Smaller, r"the restored image has shape \(4, 3, 48, 40\), not \(4, 3, 48, 20\)"),
        (Bytes, "in the range of those given, about -1 to 1"),
        (DoesNotSay, "by `finds_cover`, True or False, whether it does, not None"),
        (FindsNoCover, "returns coverage if `finds_cover`, and only then, but that is False and coverage is there"),
        (FlatCoverage, r"coverage logits \(4, 1, h, w\) for 4 faces, not \(4, 48, 40\)"),
        (RefusesBoxesBadly, "boxes without covered maps, or refuses them by a DataError, but that raised Attribute"),
        (DetachedLoss, "loss that can be differentiated, but it is detached"),
        (CpuConstant, r"works wholly on another device \(meta\).*not on the expected device"),
        (NoBfloat16, r"returns bfloat16 for bfloat16 inputs after \.to\(torch\.bfloat16\)"),
        (OneBatchOnly, r"torch\.export"),
        (BreaksTheGraph, r"is compiled by torch\.compile in one graph, forward and backward, but that raised"),
        (KeepsItsBatch, r"keeps no tensor of a batch after the call, but somebody still holds \(4, 3, 48, 40\)"),
        (KeepsItElsewhere, "keeps no tensor of a batch after the call"),
        (SavesWithoutGradients, r"saves nothing for a backward pass under torch\.no_grad\(\), not [\d,]+ bytes"),
        (HidesOptions, r"lists its options one by one, but \*\*options"),
        (SaysNothingOfWidth, "what each option is, but says nothing of width"),
        (OptionsByPlace, r"by keyword only \(after a \*\), but not amount"),
        (NoPlainData, "has plain data for the defaults of its options, but that raised OptionError"),
        (OtherDefault, "giving them makes it another one"),
        (Undocumented, "has a docstring, whose first line says what it is"),
    ],
)
def test_a_broken_restorer_is_caught_by_the_clause_it_breaks(restorer: type[nn.Module], clause: str) -> None:
    CACHE.clear()
    with pytest.raises(AssertionError, match=clause) as caught:
        check_restorer(restorer, image_sizes=ONE_SIZE)
    assert str(caught.value).startswith(f"restorer {restorer.__qualname__} (image 48x40)")


def test_memory_that_grows_with_the_square_of_the_batch_is_caught() -> None:
    from occmask.testing.examination import Examination
    from occmask.testing.memory import check_memory, saved_bytes

    image = FeatureShape(3, 48, 40)
    batch = torch.rand(4, 3, 48, 40)
    exam = Examination(occmask.RESTORERS, SavesTheSquare)
    with pytest.raises(AssertionError, match=r"twice as many faces, but [\d,]+ bytes for 2, [\d,]+ bytes for 4, "):
        check_memory(exam, SavesTheSquare(image), (batch,))
    check_memory(exam, GoodRestorer(image), (batch,))
    assert saved_bytes(GoodRestorer(image), (batch,)) >= 4 * 48 * 40 * 4  # the sigmoid's output, at least


class GoodLocator(nn.Module):
    """Half of the face, somewhere."""

    def __init__(self, image: FeatureShape):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, images: Tensor) -> Any:
        low = self.layer(images.mean((2, 3))).sigmoid() / 2
        return torch.cat([low, low + 0.5], dim=1)


class Pixels(GoodLocator):
    def forward(self, images: Tensor) -> Any:
        return super().forward(images) * 100 + 10


class OutOfOrder(GoodLocator):
    def forward(self, images: Tensor) -> Any:
        return super().forward(images).flip(1)


class CentreAndSize(GoodLocator):
    def forward(self, images: Tensor) -> Any:
        return super().forward(images)[:, :3]


class DetachedBox(GoodLocator):
    def forward(self, images: Tensor) -> Any:
        return super().forward(images).detach()


class StaysOnCpu(nn.Module):
    """The whole face, always on the CPU."""

    def __init__(self, image: FeatureShape):
        super().__init__()

    def forward(self, images: Tensor) -> Any:
        return torch.tensor([[0, 0, 1, 1]], dtype=images.dtype).expand(images.shape[0], 4)


@pytest.mark.parametrize(
    ("locator", "clause"),
    [
        (StaysOnCpu, r"on the device of its inputs, meta, not on \{'cpu'\}"),
        (Pixels, r"fractions of the image that hold some of it, .*pixels\?"),
        (OutOfOrder, "x0 < x1 and y0 < y1"),
        (CentreAndSize, r"the box of each face has shape \(4, 4\), not \(4, 3\)"),
        (DetachedBox, "no gradient leads from its outputs"),
    ],
)
def test_a_broken_part_locator_is_caught_by_the_clause_it_breaks(locator: type[nn.Module], clause: str) -> None:
    with pytest.raises(AssertionError, match=clause):
        check_part_locator(locator, image_sizes=ONE_SIZE)


def test_a_good_part_locator_passes() -> None:
    check_part_locator(GoodLocator, image_sizes=ONE_SIZE)


class GoodRefiner(nn.Module):
    """One look for all levels."""

    def __init__(self, image: FeatureShape, maps: tuple[FeatureShape, ...]):
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 8, 8)

    def forward(self, images: Tensor) -> Any:
        return Sight(self.layer(images))

    def refine(self, level: int, features: Tensor, sight: Sight) -> Any:
        return features * F.interpolate(-sight.coverage, list(features.shape[2:])).sigmoid()

    def loss(self, coverage: Tensor, truth: Any) -> Any:
        return occmask.coverage_loss(coverage, truth)


class BareCoverage(GoodRefiner):
    def forward(self, images: Tensor) -> Any:
        return self.layer(images)


class OtherShape(GoodRefiner):
    def refine(self, level: int, features: Tensor, sight: Sight) -> Any:
        return features if level < 2 else features[:, :1]


class CutsTheGradient(GoodRefiner):
    def refine(self, level: int, features: Tensor, sight: Sight) -> Any:
        return super().refine(level, features.detach(), sight)


class ListOfFeatures(GoodRefiner):
    def forward(self, images: Tensor) -> Any:
        return Sight(self.layer(images), [images])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("refiner", "clause"),
    [
        (BareCoverage, r"returns an occmask\.Sight, not a Tensor"),
        (OtherShape, r"the refined map of level 2 has shape \(4, 10, 14, 12\), not \(4, 1, 14, 12\)"),
        (CutsTheGradient, "passes the gradient on to the map of level 0, but none gets there"),
        (ListOfFeatures, "keeps in `features` a tuple of tensors, not list"),
    ],
)
def test_a_broken_refiner_is_caught_by_the_clause_it_breaks(refiner: type[nn.Module], clause: str) -> None:
    with pytest.raises(AssertionError, match=clause):
        check_refiner(refiner)


@pytest.mark.slow
def test_a_good_refiner_passes() -> None:
    check_refiner(GoodRefiner)


class GoodEmbedding(nn.Module):
    """The mean of every channel."""

    width: Any = 12

    def __init__(self, top: FeatureShape):
        super().__init__()

    def forward(self, top: Tensor) -> Any:
        return top.mean((2, 3)) * 1.5


class SaysNine(GoodEmbedding):
    width = 9


class SaysNothing(GoodEmbedding):
    width = None


class DetachedEmbedding(GoodEmbedding):
    def forward(self, top: Tensor) -> Any:
        return super().forward(top).detach()


@pytest.mark.parametrize(
    ("embedding", "clause"),
    [
        (SaysNine, r"the embedding, as wide as declared, has shape \(4, 9\), not \(4, 12\)"),
        (SaysNothing, "says by `width` how wide its embeddings are, not None"),
        (DetachedEmbedding, "passes the gradient on to the map, but its embedding is detached"),
    ],
)
def test_a_broken_embedding_is_caught_by_the_clause_it_breaks(embedding: type[nn.Module], clause: str) -> None:
    with pytest.raises(AssertionError, match=clause):
        check_embedding(embedding)
