"""The objective, the recipe and the method."""

import copy

import numpy as np
import pytest
import torch
from occmask_rla.discriminator import Discriminator, reverse_gradient
from occmask_rla.measuring import measure_quality
from occmask_rla.objective import squared_error

import occmask

SIZE = (32, 24)
SMALL = occmask.Spec("rla", grid=(2, 2), units=32, steps=2, shrink=1)


def synthetic_faces(people: int = 4, pictures: int = 6) -> occmask.FaceSet:
    """Smooth grey pictures that people differ in a lot and pictures of one person a little."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] / 8
    images, labels = [], []
    for person in range(people):
        turn, phase = rng.uniform(0, np.pi), rng.uniform(0, 6)
        for _ in range(pictures):
            face = 128 + 90 * np.sin(np.cos(turn) * x + np.sin(turn) * y + phase + rng.normal(0, 0.1))
            images.append(np.repeat(face.astype(np.uint8)[..., None], 3, axis=2))
            labels.append(person)
    return occmask.FaceSet.from_arrays(np.stack(images), labels)


def made() -> tuple[occmask.FaceModel, occmask.MarginLoss]:
    torch.manual_seed(0)
    model = occmask.build("rla_tiny", image_size=SIZE, restorer=SMALL)
    return model, occmask.build_loss("cosface", embedding_dim=model.width, num_classes=4)


def recipe(**changes) -> occmask.Recipe:
    settings = {"batch_size": 8, "parts_learning_rate": 3e-3, "epochs": 1.0, "log_every": 1}
    return occmask.RECIPES["rla"](**{**settings, **changes})


def batch(count: int = 4) -> occmask.FaceBatch:
    clean = torch.rand(count, 3, *SIZE) * 2 - 1
    covered = torch.zeros(count, *SIZE, dtype=torch.bool)
    covered[:, 8:20, 4:16] = True
    box = torch.tensor([4 / 24, 8 / 32, 16 / 24, 20 / 32]).expand(count, 4)
    image = torch.where(covered[:, None], torch.tensor(0.9), clean)
    return occmask.FaceBatch(image, torch.arange(count) % 4, occmask.OcclusionTruth(box, covered), clean)


def test_the_error_is_half_the_sum_over_pixels_in_0_to_1():
    x = torch.full((2, 3, 4, 5), -1.0)
    y = x.clone()
    y[0, :, 0, 0] = 1.0  # one pixel of one of two faces is off by 1 in [0, 1]
    assert squared_error(x, y).item() == pytest.approx(0.25)


def test_every_term_is_there_and_weighted():
    model, loss = made()
    weights = {"reconstruction": 2.0, "painting": 3.0, "identity": 5.0, "distance": 7.0, "adversarial": 11.0}
    objective = occmask.OBJECTIVES.build(occmask.Spec("rla", **weights), model, loss, recipe(occlusion_weight=13.0))
    losses = objective(model.eval(), loss, batch())
    assert set(losses.terms) == {*weights, "detector"}
    expected = sum({**weights, "detector": 13.0}[name] * term.item() for name, term in losses.terms.items())
    assert losses.total.item() == pytest.approx(expected, rel=1e-5)


def test_a_term_of_weight_0_is_not_computed():
    model, loss = made()
    spec = occmask.Spec("rla", identity=0.0, distance=0.0, painting=0.0)
    losses = occmask.OBJECTIVES.build(spec, model, loss, recipe(occlusion_weight=0.0))(model.eval(), loss, batch())
    assert set(losses.terms) == {"reconstruction"}
    assert losses.embedding is None


def test_the_distance_to_an_uncovered_face_left_alone_is_0():
    model, loss = made()
    faces = batch()
    faces = faces._replace(image=faces.clean)
    with torch.no_grad():
        model.restorer.detector.start.fill_(-50.0)  # finds nothing
    spec = occmask.Spec("rla", distance=1.0)
    terms = occmask.OBJECTIVES.build(spec, model, loss, recipe())(model.eval(), loss, faces).terms
    assert terms["distance"].item() == pytest.approx(0, abs=1e-5)
    assert terms["reconstruction"].item() == pytest.approx(0, abs=1e-5)


def test_negative_weights_and_other_restorers_are_refused():
    model, loss = made()
    with pytest.raises(occmask.OptionError, match="0 or more"):
        occmask.OBJECTIVES.build(occmask.Spec("rla", painting=-1.0), model, loss, recipe())
    with pytest.raises(occmask.OptionError, match="restorer='rla'"):
        occmask.OBJECTIVES.build("rla", occmask.build("rla_tiny", restorer=None), loss, recipe())


def test_the_discriminators_gradient_is_reversed_before_it_and_not_in_it():
    x = torch.randn(3, requires_grad=True)
    reverse_gradient(x).sum().backward()
    assert x.grad.tolist() == [-1.0] * 3

    torch.manual_seed(0)
    judge = Discriminator(4)
    real, fake = torch.rand(4, 3, 32, 24), torch.rand(4, 3, 32, 24).requires_grad_()
    before = judge.loss(real, fake)
    before.backward()
    with torch.no_grad():
        worse = judge.loss(real, fake - 20 * fake.grad)  # what the restorer would do: down its gradient
        for parameter in judge.parameters():
            parameter -= 0.05 * parameter.grad
        better = judge.loss(real, fake)
    assert worse > before
    assert better < before


def test_training_moves_the_restorer_and_nothing_else():
    model, loss = made()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    classes = copy.deepcopy(loss.state_dict())
    occmask.train(model, loss, synthetic_faces(), recipe(), progress=False)
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert {name.partition(".")[0] for name in moved} == {"restorer"}
    assert "restorer.mean" in moved
    assert all(torch.equal(value, classes[name]) for name, value in loss.state_dict().items())


def test_a_run_goes_on_as_if_it_had_not_been_interrupted(tmp_path):
    faces, settings = synthetic_faces(), {"epochs": 2.0, "checkpoint_every": 2}
    spec = occmask.Spec("rla", adversarial=0.1)
    whole, loss = made()
    occmask.train(whole, loss, faces, recipe(**settings, objective=spec), progress=False)

    class Stopped(Exception):
        pass

    parts, loss = made()
    calls = []

    def stop(module: torch.nn.Module, _: object) -> None:
        calls.append(1)
        if len(calls) == 4:
            raise Stopped

    hook = parts.backbone.register_forward_pre_hook(stop)
    with pytest.raises(Stopped):
        occmask.train(parts, loss, faces, recipe(**settings, objective=spec), out=tmp_path, progress=False)
    hook.remove()
    again, loss = made()
    occmask.train(again, loss, faces, recipe(**settings, objective=spec), out=tmp_path, resume=True, progress=False)
    for (name, one), other in zip(whole.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


@pytest.mark.slow
def test_training_restores_better_than_the_mean_face():
    faces = synthetic_faces()
    training, probes = occmask.split_gallery_probes(faces, gallery=4)
    model, loss = made()
    alone = occmask.Spec("rla", identity=0.0)  # a recogniser with fresh weights knows nobody
    settings = {"epochs": 300 * 16 / len(training), "batch_size": 16, "jitter": 0.05, "objective": alone}
    occmask.train(model, loss, training, recipe(**settings), progress=False)
    found = measure_quality(model, training, probes, names=["area_40"])["area_40"]
    for measure in (found.psnr, found.ssim):
        assert measure["restored"].value > measure["mean_face"].value
        assert measure["restored"].value > measure["covered"].value


def test_the_method_puts_the_restorer_before_a_frozen_baseline():
    method = occmask.METHODS["rla"]()
    config = method.model(occmask.MODELS["from_tiny"]())
    assert config.occlusion_parts == ("restorer",)
    assert (method.starts_from, method.control) == ("baseline", "baseline")
    for stage in method.stages:
        assert occmask.RECIPES[stage.recipe]().freezes == ("backbone", "embedding", "classifier")


def test_objective_recipe_and_method_keep_their_protocols():
    from occmask.testing import check_method, check_objective, check_recipe

    check_recipe("rla")
    check_recipe("rla_pretrain")
    check_method("rla")
    check_objective("rla", model="rla_tiny", recipe=occmask.RECIPES["rla"]())
