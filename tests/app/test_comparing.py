"""Two covered faces and what comes of them, against the library's own answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import occmask
from occmask.app.comparing import Comparison, Face, build_matchers, compare
from occmask.app.covers import Cover, put_covers
from occmask.images.pixels import Pixels, to_tensor

BOX = Cover("box", 0.2, 0.55, 0.6, 0.4)


@pytest.fixture(scope="module")
def found(seeing: occmask.FaceModel, faces: list[Pixels]) -> Comparison:
    return compare(seeing, Face(faces[0], [BOX]), Face(faces[1]))


def template(model: occmask.FaceModel, image: Pixels) -> occmask.Template:
    with torch.inference_mode():
        return model.template(to_tensor(image[None], model.config.input_spec))


def test_scores_are_those_of_match(seeing: occmask.FaceModel, faces: list[Pixels], found: Comparison) -> None:
    covered = put_covers(faces[0], [BOX]).image
    assert set(found.scores) == set(found.uncovered) == set(occmask.MATCHERS)
    for name, score in found.scores.items():
        other = template(seeing, faces[1])
        expected = occmask.match(template(seeing, covered), other, matcher=name).item()
        assert score == pytest.approx(expected, abs=1e-4)
        before = occmask.match(template(seeing, faces[0]), other, matcher=name).item()
        assert found.uncovered[name] == pytest.approx(before, abs=1e-4)


def test_a_cover_moves_the_scores(found: Comparison) -> None:
    assert all(abs(found.scores[name] - found.uncovered[name]) > 1e-4 for name in found.scores)


def test_coverage_and_regions_are_the_model_s_answer(
    seeing: occmask.FaceModel, faces: list[Pixels], found: Comparison
) -> None:
    covered = put_covers(faces[0], [BOX]).image
    with torch.inference_mode():
        answer = seeing.occlusion(to_tensor(covered[None], seeing.config.input_spec))
    assert answer.coverage is not None
    assert found.first.coverage is not None
    assert found.first.regions is not None
    np.testing.assert_allclose(found.first.coverage, answer.coverage[0], atol=1e-4)
    assert list(found.first.regions) == list(occmask.REGIONS)
    for name, share in found.first.regions.items():
        assert share == pytest.approx(answer.region(name).item(), abs=1e-4)


def test_what_the_covers_really_hide_is_told_beside_it(found: Comparison) -> None:
    assert found.first.put == pytest.approx(0.6 * 0.4, abs=0.01)
    assert found.second.put == 0


def test_the_grid_s_mean_is_the_score_of_parts(found: Comparison) -> None:
    """parts = sum of v v' cos / sum of v v', up to the matcher's small floor of a weight."""
    assert found.places is not None
    mean = found.places.agreement.sum() / found.places.shared.sum()
    assert mean == pytest.approx(found.scores["parts"], abs=0.01)
    assert found.places.cosine.shape == (7, 6)
    assert (found.places.shared <= 1).all()
    assert (found.places.shared >= 0).all()


def test_a_face_compared_with_itself_agrees_everywhere(seeing: occmask.FaceModel, faces: list[Pixels]) -> None:
    same = compare(seeing, Face(faces[2]), Face(faces[2]))
    assert same.places is not None
    np.testing.assert_allclose(same.places.cosine, 1, atol=1e-4)
    assert same.scores == same.uncovered
    assert all(score == pytest.approx(1, abs=1e-4) for score in same.scores.values())


def test_exchanging_the_faces_exchanges_the_sides_alone(
    seeing: occmask.FaceModel, faces: list[Pixels], found: Comparison
) -> None:
    other = compare(seeing, Face(faces[1]), Face(faces[0], [BOX]))
    assert other.scores == pytest.approx(found.scores, abs=1e-4)
    assert other.first.put == found.second.put
    assert other.places is not None
    assert found.places is not None
    np.testing.assert_allclose(other.places.cosine, found.places.cosine, atol=1e-4)


def test_a_model_without_sight_compares_every_place_as_seen(blind: occmask.FaceModel, faces: list[Pixels]) -> None:
    found = compare(blind, Face(faces[0], [BOX]), Face(faces[1]))
    assert not found.sees
    assert found.first.coverage is None
    assert found.places is not None
    assert (found.places.shared == 1).all()


def test_matchers_stand_from_the_plainest_to_the_default() -> None:
    assert list(build_matchers())[:5] == ["cosine", "visible_cosine", "joint", "parts", "fused"]
