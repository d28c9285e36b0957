"""The restorer: composition, colours, options, learning, files and programs."""

import copy

import numpy as np
import pytest
import torch
from occmask_rla.restorer import Decoded, RobustAutoencoder

import occmask

IMAGE = occmask.FeatureShape(3, 24, 16)
SMALL = {"grid": (2, 2), "units": 8, "steps": 2}


def small(**options) -> RobustAutoencoder:
    torch.manual_seed(0)
    return RobustAutoencoder(IMAGE, **{**SMALL, **options})


def faces(count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, 24, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


def grey(count: int = 3) -> torch.Tensor:
    return faces(count)[:, :1].expand(-1, 3, -1, -1).contiguous()


def test_it_keeps_the_protocol_of_restorers():
    from occmask.testing import check_restorer

    check_restorer(occmask.Spec("rla", **SMALL))


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_not_covered_is_kept_exactly(channels):
    restorer, x = small(channels=channels), faces()
    decoded = restorer.decode(x)
    nothing = decoded._replace(coverage=torch.full_like(decoded.coverage, -200.0))
    assert torch.equal(restorer.compose(x, nothing), x)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_covered_wholly_is_what_was_painted(channels):
    restorer, x = small(channels=channels), faces()
    decoded = restorer.decode(x)
    everything = decoded._replace(coverage=torch.full_like(decoded.coverage, 200.0))
    assert torch.equal(restorer.compose(x, everything), restorer.paint(x, decoded).contiguous())


def test_in_between_both_are_mixed_by_the_detectors_probability():
    restorer, x = small(shrink=1), faces()
    decoded = restorer.decode(x)
    o = decoded.coverage.sigmoid()
    expected = o * restorer.paint(x, decoded) + (1 - o) * x
    found = restorer(x)
    assert torch.allclose(found.image, expected, atol=1e-6)
    assert torch.equal(found.coverage, decoded.coverage)


def test_grey_faces_are_painted_grey_and_colour_in_colour():
    restorer = small()
    both = torch.cat([grey(1), faces(1)])
    painted = restorer.paint(both, restorer.decode(both))
    assert torch.equal(painted[0, 0], painted[0, 1])
    assert torch.equal(painted[0, 0], painted[0, 2])
    assert not torch.allclose(painted[1, 0], painted[1, 1], atol=1e-4)


def test_one_channel_paints_grey():
    restorer = small(channels=1)
    painted = restorer.paint(faces(), restorer.decode(faces()))
    assert torch.equal(painted[:, 0], painted[:, 2])


def test_paint_lies_in_the_range_of_the_images():
    restorer = small(shrink=1)
    decoded = Decoded(2 * torch.randn(2, 3, 24, 16).mul(50).sigmoid() - 1, torch.zeros(2, 1, 24, 16))
    assert restorer.compose(faces(2), decoded).abs().max() <= 1


def test_a_fresh_canvas_is_about_the_mean_of_the_faces_met():
    restorer, met = small(), grey(4)
    restorer.meet(met[:1])
    restorer.meet(met[1:])
    assert restorer.faces_met.item() == 4
    small_mean = torch.nn.functional.adaptive_avg_pool2d(met, restorer.size).mean(0)
    assert torch.allclose(2 * restorer.mean - 1, small_mean, atol=1e-5)
    with torch.no_grad():
        for channel in (restorer.reconstruction, restorer.detector):
            channel.brush.weight.zero_()
        painted = restorer.decode(faces()).face
    assert torch.allclose(painted, small_mean.clamp(-0.96, 0.96).expand_as(painted), atol=1e-5)


def test_without_mean_face_the_canvas_starts_at_mid_grey():
    restorer = small(mean_face=False)
    restorer.meet(grey())
    with torch.no_grad():
        restorer.reconstruction.brush.weight.zero_()
        assert restorer.decode(faces()).face.abs().max() == 0


@pytest.mark.parametrize(
    "options", [{}, {"layers": 2}, {"every_position": False}, {"peepholes": False}, {"channels": 1, "window": (2, 2)}]
)
def test_every_parameter_learns_from_image_and_coverage(options):
    restorer = small(**options)
    for parameter in restorer.parameters():  # fresh peepholes and biases of 0 could hide a broken path
        torch.nn.init.normal_(parameter, std=0.3)
    found = restorer(faces())
    truth = occmask.OcclusionTruth(torch.zeros(3, 4), torch.rand(3, 24, 16) < 0.3)
    (found.image.square().sum() + restorer.loss(found.coverage, truth)).backward()
    unreached = [name for name, p in restorer.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # the last position has no right or lower neighbour, but every weight is shared over the grid
    assert unreached == []


def test_the_detector_reads_the_first_channels_hidden_states():
    restorer, x = small(), faces()
    before = restorer.decode(x).coverage
    with torch.no_grad():
        restorer.reconstruction.cells[0].recurrent.bias += 1
    assert not torch.allclose(restorer.decode(x).coverage, before)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"units": 0}, "units is at least 1"),
        ({"channels": 2}, "channels is 3"),
        ({"grid": (2, 0)}, "grid is two whole numbers"),
        ({"window": (3,)}, "window is two whole numbers"),
    ],
)
def test_options_that_cannot_be_are_refused(options, said):
    with pytest.raises(occmask.OptionError, match=said):
        small(**options)


def test_the_published_configuration_can_be_built():
    published = {"shrink": 1, "grid": (2, 2), "window": (32, 32), "layers": 2, "steps": 8, "channels": 1}
    restorer = RobustAutoencoder(
        occmask.FeatureShape(3, 128, 128),
        **published,
        units=16,  # of 2048, which would only take longer
        forget_bias=5.0,
        every_position=False,
        mean_face=False,
    )
    assert restorer.detector.brush.weight.shape == (16_384, 16)
    assert restorer(torch.zeros(2, 3, 128, 128)).image.shape == (2, 3, 128, 128)


def test_image_sizes_that_the_grid_does_not_divide_are_read_at_the_nearest_that_it_does():
    restorer = RobustAutoencoder(occmask.FeatureShape(3, 37, 29), grid=(3, 4), units=4, steps=1)
    assert restorer.size == (18, 16)
    assert restorer(torch.zeros(1, 3, 37, 29)).image.shape == (1, 3, 37, 29)


def model() -> occmask.FaceModel:
    torch.manual_seed(0)
    return occmask.build("rla_tiny", image_size=(32, 32), restorer=occmask.Spec("rla", **SMALL)).eval()


def test_a_saved_model_restores_as_before(tmp_path):
    first, x = model(), torch.rand(2, 3, 32, 32) * 2 - 1
    assert first.restorer is not None
    first.restorer.meet(x)  # type: ignore[attr-defined]
    occmask.save_weights(first, tmp_path / "rla.safetensors")
    again = occmask.load_model(tmp_path / "rla.safetensors")
    with torch.no_grad():
        one, other = first(x).restoration, again(x).restoration
    assert torch.equal(one.image, other.image)
    assert torch.equal(one.coverage, other.coverage)


def test_it_is_exported_as_a_program(tmp_path):
    report = occmask.export(model(), tmp_path / "rla.pt2")
    assert max(report.difference.values()) < 1e-4
    assert {"embedding", "cells", "covered"} <= set(report.difference)


def test_the_restorer_alone_is_exported():
    restorer, x = small().eval(), torch.cat([grey(2), faces(2)])
    program = torch.export.export(restorer, (x,)).module()
    for one, other in zip(program(x), restorer(x), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_model_says_what_it_believes_is_covered():
    found = model()
    answer = found.occlusion_answer(found(torch.zeros(2, 3, 32, 32)))
    assert found.sees_occlusion
    assert answer.cells.shape == (2, 5, 5)


def test_a_model_recognises_the_restored_face():
    first, x = model(), torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        restored = first(x)
        plain = copy.deepcopy(first)
        plain.restorer = None
        assert torch.allclose(plain(restored.restoration.image).embedding, restored.embedding, atol=1e-6)


def test_presets_are_plain_recognisers_with_a_restorer():
    for name in ("rla_tiny", "rla_r50"):
        config = occmask.MODELS[name]()
        assert config.occlusion_parts == ("restorer",)
        assert occmask.ModelConfig.from_dict(config.to_dict()) == config


def test_evaluation_judges_each_face_on_its_own():
    restorer, both = small().eval(), torch.cat([grey(2), faces(2)])
    with torch.no_grad():
        together, alone = restorer(both).image, torch.cat([restorer(x[None]).image for x in both])
    assert np.allclose(together.numpy(), alone.numpy(), atol=1e-6)
