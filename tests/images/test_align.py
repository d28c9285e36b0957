"""Alignment: the similarity is the best one, points land on the template, and both crops are one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from occmask.errors import DataError
from occmask.images.align import align, check_points, fit_similarity
from occmask.images.pixels import crop
from occmask.images.template import ARCFACE_112, template_points

angles = st.floats(-np.pi, np.pi)
scales = st.floats(0.2, 5)
shifts = st.tuples(st.floats(-200, 200), st.floats(-200, 200))


def turned(points: np.ndarray, angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return points @ np.array([[c, -s], [s, c]]).T + np.array(shift)


@given(angles, scales, shifts)
def test_a_similarity_is_found_again(angle: float, scale: float, shift: tuple[float, float]) -> None:
    points = np.array(ARCFACE_112)
    found = fit_similarity(points, turned(points, angle, scale, shift))
    np.testing.assert_allclose(found(points), turned(points, angle, scale, shift), atol=1e-8)
    assert found.scale == pytest.approx(scale)
    np.testing.assert_allclose(found.inverse()(found(points)), points, atol=1e-8)


@given(st.integers(0, 2**32 - 1), angles, st.floats(-0.2, 0.2), shifts)
def test_no_other_similarity_comes_closer(seed: int, angle: float, stretch: float, shift: tuple[float, float]) -> None:
    rng = np.random.default_rng(seed)
    source, target = rng.normal(0, 30, (5, 2)), np.array(ARCFACE_112)
    try:
        best = fit_similarity(source, target)
    except DataError:
        return
    other = best._replace(
        matrix=best.matrix * (1 + stretch) @ turned(np.eye(2), angle / 20, 1, (0, 0)),
        shift=best.shift + np.array(shift) / 20,
    )
    assert np.square(best(source) - target).sum() <= np.square(other(source) - target).sum() + 1e-9


def photograph(points: np.ndarray, size: tuple[int, int] = (300, 400)) -> Image.Image:
    """A picture with a white disc at each point."""
    large = Image.new("RGB", (size[1] * 4, size[0] * 4))
    drawing = ImageDraw.Draw(large)
    for x, y in (points + 0.5) * 4:
        drawing.ellipse((x - 12, y - 12, x + 12, y + 12), fill="white")
    return large.reduce(4)


@pytest.mark.parametrize("image_size", [(112, 112), (112, 96), (224, 224)])
@pytest.mark.parametrize(("angle", "scale"), [(0.0, 1.0), (0.4, 1.3), (-0.3, 2.4)])
def test_the_points_of_a_photograph_land_on_the_template(
    image_size: tuple[int, int], angle: float, scale: float
) -> None:
    template = template_points(image_size)
    points = turned(np.array(ARCFACE_112), angle, scale, (0, 0))
    points += np.array([200, 150]) - points.mean(axis=0)
    face = align(photograph(points), points, image_size=image_size)
    assert face.shape == (*image_size, 3)
    height, width = image_size
    rows, columns = np.mgrid[:height, :width]
    for x, y in template:
        near = (np.abs(columns - x) < 7) & (np.abs(rows - y) < 7)
        weight = face[..., 0] * near
        assert weight.sum() > 0
        centre = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
        assert np.abs(centre - (x, y)).max() < 0.3


@given(st.integers(0, 2**32 - 1))
def test_the_112x96_crop_is_the_middle_of_the_112x112_crop_bit_for_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = Image.fromarray(rng.integers(0, 256, (160, 180, 3), dtype=np.uint8))
    points = turned(np.array(ARCFACE_112), rng.uniform(-0.5, 0.5), rng.uniform(0.3, 3), (20.5, 30.25))
    points += rng.normal(0, 1, (5, 2)) * rng.uniform(0.3, 1)
    square = align(picture, points, image_size=(112, 112))
    narrow = align(picture, points, image_size=(112, 96))
    assert (square[:, 8:104] == narrow).all()
    assert (crop(Image.fromarray(square), (112, 96), "face") == narrow).all()


def test_template_coordinates_leave_an_aligned_face_as_it_is() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8))
    assert np.abs(align(picture, ARCFACE_112).astype(int) - np.asarray(picture)).max() <= 1


def test_a_large_photograph_is_averaged_and_not_sampled() -> None:
    checkered = (np.indices((1120, 1120)).sum(0) % 2 * 255).astype(np.uint8)
    face = align(Image.fromarray(checkered), np.array(ARCFACE_112) * 10 + 4.5)
    assert np.abs(face[5:-5, 5:-5].astype(int) - 127).max() <= 2


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (np.zeros((5, 2)), "order"),
        (np.array(ARCFACE_112)[[1, 0, 2, 4, 3]], "as seen in the picture"),
        (np.array(ARCFACE_112)[:4], "five points"),
        (np.full((5, 2), np.nan), "NaN"),
        ("nonsense", "five points"),
    ],
)
def test_points_that_are_no_faces_are_refused(points: object, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        check_points(points)  # type: ignore[arg-type]


def test_points_that_coincide_have_no_similarity() -> None:
    with pytest.raises(DataError, match="on one another"):
        fit_similarity(np.ones((5, 2)), ARCFACE_112)


def test_crop_refuses_what_resizing_would_spoil() -> None:
    for size in ((160, 160), (112, 96), (113, 112), (80, 112)):
        with pytest.raises(DataError, match=r"occmask align.*resize=True"):
            crop(Image.new("RGB", size), (112, 96), "face")
