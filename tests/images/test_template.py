"""The five points of the template at the sizes that people use."""

from __future__ import annotations

import numpy as np
import pytest

from occmask.errors import OptionError
from occmask.images.template import ARCFACE_112, template_points


def test_a_112x96_face_has_the_points_of_a_112x112_face_8_pixels_further_left() -> None:
    assert np.array_equal(template_points((112, 112)), np.array(ARCFACE_112))
    assert np.allclose(template_points((112, 96)), np.array(ARCFACE_112) - (8, 0), atol=1e-12)


def test_points_are_scaled_with_the_height_and_centred() -> None:
    assert np.allclose(template_points((224, 224)), 2 * np.array(ARCFACE_112))
    assert np.allclose(template_points((128, 128)), np.array(ARCFACE_112) * 128 / 112)
    assert np.allclose(template_points((224, 200))[:, 0], 2 * np.array(ARCFACE_112)[:, 0] - 12)


def test_a_size_that_is_none_is_an_error() -> None:
    with pytest.raises(OptionError, match="positive"):
        template_points((0, 96))
