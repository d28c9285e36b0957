import numpy as np
import pytest
from PIL import Image

from occmask.errors import DataError
from occmask.measure.ar import ar_groups
from occmask.protocols.face_identification import FaceIdentification


def write(folder, count, rng):
    for person in range(3):
        (folder / f"m-{person:03d}").mkdir(parents=True)
        for picture in range(count):
            tone = np.full((112, 96, 3), 60 * person + 40, np.uint8)
            tone[::2, :, 0] += rng.integers(0, 20, (56, 96), np.uint8)
            Image.fromarray(tone).save(folder / f"m-{person:03d}" / f"{picture:02d}.png")


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    for folder, count in (("gallery", 6), ("prob_glass_all", 2), ("prob_scarf_all", 3)):
        write(tmp_path / folder, count, rng)
    return tmp_path


def test_protocol_2_enrols_every_sixth_picture_when_everybody_has_six(root):
    groups = ar_groups(root)
    assert list(groups) == ["protocol1/sunglasses", "protocol1/scarf", "protocol2/sunglasses", "protocol2/scarf"]
    full, single = groups["protocol1/scarf"].gallery, groups["protocol2/scarf"].gallery
    assert full is groups["protocol1/sunglasses"].gallery
    assert single.names == full.names[::6]
    assert len(groups["protocol2/scarf"].probes) == 9


def test_the_groups_are_what_identification_takes(root):
    result = FaceIdentification(ranks=(1,), flip=True, resamples=5)(
        lambda images: images.mean(axis=(1, 2)) - 100, ar_groups(root)
    )
    assert {group: figures["rank1"].value for group, figures in result.figures.items()} == dict.fromkeys(
        result.figures, 1.0
    )


def test_a_missing_folder_is_named(root):
    (root / "prob_scarf_all").rename(root / "scarf")
    with pytest.raises(DataError, match="has no folder prob_scarf_all; it must hold gallery, prob_glass_all"):
        ar_groups(root)
