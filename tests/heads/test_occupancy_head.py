"""The occupancy head: it leaves the trunk alone, keeps the mask of a head it holds, fits any trunk, and learns."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import occmask
from occmask import FeatureShape, Occlusion, OcclusionTruth, Spec
from occmask.errors import OptionError
from occmask.heads import HEADS
from occmask.heads.occupancy import OccupancyHead, dice_loss
from occmask.shapes import FaceShapes
from occmask.testing import check_head


def shapes_of(size: tuple[int, int], strides: tuple[int, ...], channels: int = 6) -> FaceShapes:
    maps = tuple(FeatureShape(channels + i, -(-size[0] // s), -(-size[1] // s)) for i, s in enumerate(strides))
    return FaceShapes(FeatureShape(3, *size), maps, 16)


def maps_of(shapes: FaceShapes, batch: int = 2, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, *shape, generator=generator) for shape in shapes.maps]


def truth_of(covered: Tensor) -> OcclusionTruth:
    return OcclusionTruth(torch.zeros(len(covered), 4), covered)


def half_covered(size: tuple[int, int], batch: int = 2) -> OcclusionTruth:
    covered = torch.zeros(batch, *size, dtype=torch.bool)
    covered[:, : size[0] // 2] = True
    return truth_of(covered)


# -- the grid --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("size", "strides"),
    [
        ((112, 96), (2, 4, 8, 16)),  # FROM's trunks
        ((112, 112), (2, 4, 8, 16)),  # iresnet
        ((112, 112), (4, 8, 16, 32)),  # trunks made for ImageNet
        ((224, 224), (4, 8, 16, 32)),
        ((112, 96), (8, 16, 32)),
        ((112, 96), (1, 2, 4, 8, 16)),
        ((113, 95), (2, 4, 8, 16)),  # nothing divides
        ((30, 26), (2, 3, 7)),
        ((112, 96), (16,)),
    ],
)
def test_the_grid_has_four_pixels_a_cell_whatever_maps_the_trunk_has(
    size: tuple[int, int], strides: tuple[int, ...]
) -> None:
    shapes = shapes_of(size, strides)
    head = OccupancyHead(shapes, width=4, context=4).eval()
    found = head(maps_of(shapes))
    assert found.mask is None
    assert found.pattern is not None
    assert found.pattern.shape == (2, 1, size[0] // 4, size[1] // 4)
    answer = head.answer(found.pattern)
    assert answer.coverage is not None
    assert answer.coverage.shape == (2, size[0] // 4, size[1] // 4)


def test_the_head_keeps_its_protocol_with_other_options() -> None:
    check_head(Spec("occupancy", width=8, context=8, dice=0.0, detached=False))


def test_it_looks_at_every_map() -> None:
    shapes = shapes_of((32, 24), (2, 4, 8, 16))
    head = OccupancyHead(shapes, width=4, context=4).eval()
    maps = maps_of(shapes)
    usual = head(maps).pattern
    for level, x in enumerate(maps):
        other = head([x + torch.randn_like(x) if i == level else y for i, y in enumerate(maps)]).pattern
        assert not torch.allclose(usual, other)


# -- what the trunk learns ---------------------------------------------------------------------------
@pytest.mark.parametrize("detached", [True, False])
def test_the_trunk_learns_from_the_head_only_when_it_is_joined(detached: bool) -> None:
    torch.manual_seed(0)
    head = Spec("occupancy", width=4, context=4, detached=detached)
    model = occmask.build("from_tiny", image_size=(32, 24), head=head).train()
    output = model(torch.rand(4, 3, 32, 24) * 2 - 1)
    model.occlusion_loss(output, half_covered((32, 24), 4)).backward()
    assert all(parameter.grad is not None for parameter in model.head.parameters())
    reached = [parameter.grad is not None for parameter in model.backbone.parameters()]
    assert not any(reached) if detached else all(reached)


def test_an_attached_head_keeps_the_mask_and_the_embedding_of_the_head_it_holds() -> None:
    torch.manual_seed(0)
    model = occmask.build("from_tiny", image_size=(32, 24)).eval()
    seeing = occmask.attach(model, "occupancy", width=4, context=4)
    images = torch.rand(3, 3, 32, 24) * 2 - 1
    with torch.inference_mode():
        before, after = model(images), seeing(images, occlusion=True)
    assert torch.equal(before.mask, after.mask)
    assert torch.equal(before.embedding, after.embedding)
    assert after.pattern.shape == (3, 1, 8, 6)


# -- the loss ----------------------------------------------------------------------------------------
def test_it_learns_which_places_are_covered_where_a_map_says_so() -> None:
    torch.manual_seed(0)
    shapes = shapes_of((32, 24), (2, 4, 8, 16))
    head = OccupancyHead(shapes, width=8, context=8).train()
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-2)
    losses = []
    for step in range(60):
        maps = maps_of(shapes, batch=8, seed=step)
        covered = torch.zeros(8, 32, 24, dtype=torch.bool)
        for i in range(8):
            top, left = int(torch.randint(0, 20, ())), int(torch.randint(0, 14, ()))
            covered[i, top : top + 12, left : left + 10] = True
        maps[1][:, 0] += 3 * torch.nn.functional.avg_pool2d(covered[:, None].float(), 4)[:, 0]
        loss = head.loss(head(maps), truth_of(covered))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_the_dice_loss_is_least_for_the_truth_and_counts_a_small_cover_as_much_as_a_large_one() -> None:
    covered = torch.zeros(3, 32, 32, dtype=torch.bool)
    covered[0, :4, :4], covered[1] = True, True  # a cell, everything, nothing
    target = torch.nn.functional.avg_pool2d(covered[:, None].float(), 4)
    perfect, wrong = (target * 2 - 1) * 30, (1 - target * 2) * 30

    def each(logits: Tensor) -> list[float]:
        return [float(dice_loss(logits[i : i + 1], truth_of(covered[i : i + 1]))) for i in range(3)]

    assert max(each(perfect)) < 1e-6
    assert min(each(wrong)) > 0.9
    missed = torch.full_like(target, -30.0)
    small, whole, nothing = each(missed)
    assert small == pytest.approx(0.5)  # of a cell that counts beside the one of the formula
    assert whole == pytest.approx(1 - 1 / 65)
    assert nothing == pytest.approx(0)


def test_dice_is_added_by_its_weight() -> None:
    shapes = shapes_of((32, 24), (2, 4, 8))
    logits, truth = torch.randn(2, 1, 8, 6), half_covered((32, 24))
    plain, more = (
        OccupancyHead(shapes, width=4, context=4, dice=w).loss(Occlusion(None, logits), truth) for w in (0, 2)
    )
    assert float(more - plain) == pytest.approx(2 * float(dice_loss(logits, truth)), rel=1e-5)


def test_the_temperature_divides_what_is_answered_and_not_what_is_trained() -> None:
    shapes = shapes_of((32, 24), (2, 4, 8))
    logits, truth = torch.randn(2, 1, 8, 6), half_covered((32, 24))
    one, four = (OccupancyHead(shapes, width=4, context=4, temperature=t) for t in (1.0, 4.0))
    assert torch.equal(four.answer(logits).coverage, (logits / 4)[:, 0].sigmoid())
    assert torch.equal(one.loss(Occlusion(None, logits), truth), four.loss(Occlusion(None, logits), truth))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width is a positive whole number"),
        ({"context": 0}, "context is a positive whole number"),
        ({"dropout": 1.0}, "dropout lies in"),
        ({"dice": -1.0}, "dice is the weight"),
        ({"temperature": 0.0}, "temperature is positive"),
    ],
)
def test_wrong_options_say_what_would_have_worked(options: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        HEADS.build(Spec("occupancy", **options), shapes_of((32, 24), (2, 4, 8)))
