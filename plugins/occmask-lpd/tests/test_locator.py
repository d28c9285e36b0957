"""The part locator: where it looks at first, what it learns, and what the model makes of its box."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from occmask_lpd import NOSE_LINE, LatentPart

import occmask
from occmask import testing

IMAGE = occmask.FeatureShape(3, 112, 96)


def faces(count: int = 8, *, seed: int = 0) -> torch.Tensor:
    """Smooth pictures: a face's pixels do not differ one by one."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 7, 6, generator=generator) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=(112, 96), mode="bilinear")


@pytest.mark.skipif(not hasattr(testing, "check_part_locator"), reason="this occmask has no check_part_locator")
@pytest.mark.parametrize("options", [{}, {"follow_cover": False, "width": 8}])
def test_it_keeps_the_protocol(options):
    testing.check_part_locator(occmask.Spec("lpd", **options))


@given(st.floats(0.3, 0.95), st.sampled_from([(112, 96), (112, 112), (64, 80)]))
def test_at_first_it_looks_from_the_top_down_to_the_nose_line(nose_line, size):
    torch.manual_seed(0)
    locator = LatentPart(occmask.FeatureShape(3, *size), nose_line=nose_line).eval()
    box = locator(torch.rand(4, 3, *size) * 2 - 1)
    expected = torch.tensor([0.025, 0.0, 0.975, nose_line]).expand(4, 4)
    assert torch.allclose(box, expected, atol=0.06)


def test_a_mirrored_face_is_at_first_seen_in_nearly_the_same_box():
    torch.manual_seed(0)
    locator = LatentPart(IMAGE).eval()
    image = faces()
    assert torch.allclose(locator(image), locator(image.flip(3)), atol=0.05)


@given(st.integers(0, 1000), st.floats(0.1, 30.0), st.floats(0.05, 0.9))
def test_whatever_it_has_learnt_the_box_is_one(seed, size, least):
    torch.manual_seed(seed)
    locator = LatentPart(occmask.FeatureShape(3, 16, 16), width=4, least=least, nose_line=(1 + least) / 2).eval()
    torch.nn.init.normal_(locator.bn2.weight, std=size)
    torch.nn.init.normal_(locator.bn2.bias, std=size)
    box = locator(torch.rand(5, 3, 16, 16) * 2 - 1)
    side = box[:, 2:] - box[:, :2]
    assert (side >= least - 1e-6).all()
    assert (side <= 1 + 1e-6).all()
    middle = (box[:, 2:] + box[:, :2]) / 2
    assert ((middle >= -1e-6) & (middle <= 1 + 1e-6)).all()  # half of the part at least is picture


def test_it_learns_the_edge_that_differs_from_face_to_face():
    torch.manual_seed(0)
    image = faces(32)
    covered = torch.zeros(32, 112, 96, dtype=torch.bool)
    edges = torch.linspace(60, 84, 32).round().long()
    for one, edge in enumerate(edges):
        covered[one, edge:] = True
        image[one, :, edge:] = 0.9
    truth = occmask.OcclusionTruth(torch.zeros(32, 4), covered)
    locator = LatentPart(IMAGE)
    optimiser = torch.optim.AdamW(locator.parameters(), lr=3e-3)
    for _ in range(120):
        optimiser.zero_grad()
        locator.loss(locator(image), truth).backward()
        optimiser.step()
    box = locator.eval()(image).detach()
    height = box[:, 3] - box[:, 1]
    assert (height - edges / 112).abs().mean() < 0.025
    assert (edges / 112 - NOSE_LINE).abs().mean() > 0.05  # which the line alone would not reach


def test_the_loss_is_the_l1_distance_of_heights_and_looks_at_nothing_else():
    locator = LatentPart(IMAGE, nose_line=0.6)
    box = torch.tensor([[0.0, 0.0, 1.0, 0.5], [0.3, 0.2, 0.6, 1.0]], requires_grad=True)
    loss = locator.loss(box, occmask.OcclusionTruth(torch.zeros(2, 4)))
    assert loss.item() == pytest.approx((0.1 + 0.2) / 2)
    loss.backward()
    assert box.grad is not None
    assert box.grad[:, [0, 2]].abs().max() == 0  # left and right are the recogniser's to find
    moved = box.detach() + torch.tensor([0.0, 0.2, 0.0, 0.2])  # the same height further down
    assert locator.loss(moved, occmask.OcclusionTruth(torch.zeros(2, 4))).item() == pytest.approx(loss.item())


def test_without_follow_cover_the_target_is_the_line_whatever_is_worn():
    locator = LatentPart(IMAGE, follow_cover=False)
    box = torch.tensor([[0.0, 0.0, 1.0, NOSE_LINE]])
    masked = occmask.OcclusionTruth(torch.tensor([[0.1, 0.55, 0.9, 1.0]]))
    assert locator.loss(box, masked).item() == pytest.approx(0, abs=1e-6)
    assert LatentPart(IMAGE).loss(box, masked).item() == pytest.approx(0.09, abs=0.005)


@pytest.mark.parametrize("options", [{"width": 0}, {"least": 0.0}, {"nose_line": 0.2}, {"nose_line": 1.0}])
def test_options_that_cannot_be_are_refused_by_name(options):
    with pytest.raises(occmask.OptionError, match=next(iter(options))):
        LatentPart(IMAGE, **options)


def test_the_embedding_is_that_of_the_whole_face_and_then_that_of_the_part():
    torch.manual_seed(0)
    model = occmask.build("lpd_tiny").eval()
    plain = occmask.build("from_tiny", head=None).eval()
    for part in ("backbone", "embedding"):
        plain.get_submodule(part).load_state_dict(model.get_submodule(part).state_dict())
    image = faces()
    with torch.inference_mode():
        output = model(image)
        assert output.part is not None
        assert output.embedding.shape == (8, model.width) == (8, 256)
        assert torch.allclose(output.embedding[:, :128], plain(image).embedding, atol=1e-4)
        assert not torch.allclose(output.embedding[:, 128:], output.embedding[:, :128], atol=1e-2)


def test_what_lies_below_the_part_does_not_change_its_half():
    torch.manual_seed(0)
    model = occmask.build("lpd_tiny", part_locator=occmask.Spec("fixed", box=(0.0, 0.0, 1.0, NOSE_LINE))).eval()
    image = faces()
    worn = image.clone()
    worn[:, :, 74:] = 0.5  # below 0.64 of 112 rows and the row that is interpolated with
    with torch.inference_mode():
        bare, masked = model(image).embedding, model(worn).embedding
    assert torch.equal(bare[:, 128:], masked[:, 128:])
    assert not torch.allclose(bare[:, :128], masked[:, :128])
