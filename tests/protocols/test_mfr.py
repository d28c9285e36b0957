import numpy as np
import pytest

from occmask.errors import ProtocolError
from occmask.evaluation import streaming
from occmask.evaluation.metrics import tar_at_far
from occmask.evaluation.recognition import Verification
from occmask.protocols.inputs import ProbesAndGallery
from occmask.protocols.mfr import MaskedFaceVerification
from occmask.protocols.result import Result


class RowFaces:
    """Faces whose one pixel row is the embedding, up to its offset."""

    grey = False

    def __init__(self, rows, labels, people):
        self.rows, self.labels, self.people, self.read = np.asarray(rows), np.asarray(labels), people, 0

    def __len__(self):
        return len(self.rows)

    def name(self, index):
        first = int(np.flatnonzero(self.labels == self.labels[index])[0])
        return f"{self.people[self.labels[index]]}/{index - first}"

    def images(self, indices=None):
        chosen = list(range(len(self)) if indices is None else indices)
        self.read += len(chosen)
        return np.repeat(np.clip(self.rows[chosen] * 25 + 128, 0, 255).astype(np.uint8)[:, None, :, None], 3, axis=3)


def embed(images):
    return images[:, 0, :, 0].astype(np.float32) - 128


def masked_and_unmasked(num_people=40, *, noise=1.2, seed=0):
    """One masked and two unmasked pictures of each, the people numbered the other way round in the second set."""
    rng = np.random.default_rng(seed)
    centre, names = rng.normal(size=(num_people, 24)), [f"id{i:03d}" for i in range(num_people)]
    masked = RowFaces(centre + noise * rng.normal(size=centre.shape), np.arange(num_people), names)
    plain = np.repeat(centre, 2, axis=0) + 0.5 * rng.normal(size=(2 * num_people, 24))
    unmasked = RowFaces(plain[::-1], np.repeat(np.arange(num_people), 2), names[::-1])
    return ProbesAndGallery(masked, unmasked)


def unit(faces):
    rows = embed(faces.images()).astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1)[:, None]


def test_mfr_is_the_tar_over_all_pairs_of_a_masked_and_an_unmasked_face():
    data = masked_and_unmasked()
    result = MaskedFaceVerification(fars=(0.01, 0.1), resamples=25, seed=3)(embed, data)
    label = [np.array([f.people[i] for i in f.labels]) for f in data]
    number = [np.unique(np.concatenate(label), return_inverse=True)[1][s] for s in (slice(40), slice(40, None))]
    whole = Verification(fars=(0.01, 0.1), resamples=25, seed=3)(
        unit(data.probes), number[0], unit(data.gallery), number[1]
    )
    score, same = unit(data.probes) @ unit(data.gallery).T, label[0][:, None] == label[1]
    figures = result.figures["mask-to-nonmask"]
    assert (result.data["genuine"], result.data["impostor"]) == (80, 40 * 80 - 80)
    assert 0 < whole.tar[0.01].value < 1
    assert figures["tar@1e-2"].value == pytest.approx(tar_at_far(score[same], score[~same], 0.01))
    for far, key in ((0.01, "tar@1e-2"), (0.1, "tar@1e-1")):
        assert figures[key] == pytest.approx(whole.tar[far])
        low, high = np.quantile(result.draws["mask-to-nonmask"][key], [0.025, 0.975])
        assert figures[key][1:] == pytest.approx((low, high))
    assert figures["auc"] == pytest.approx(whole.auc, abs=1e-5)
    assert figures["eer"] == pytest.approx(whole.eer, abs=1e-3)
    assert all(c.left[:5] == c.right[:5] for c in result.worst if c.same)
    assert next(c for c in result.worst if not c.same).score == pytest.approx(score[~same].max(), abs=1e-6)
    assert Result.from_dict(result.to_dict()).figures == result.figures


def test_a_large_set_gets_auc_and_eer_from_the_histogram_and_says_so(monkeypatch):
    monkeypatch.setattr(streaming, "_ALL_PAIRS", 0)
    monkeypatch.setattr(streaming, "_SPARE", 0)
    result = MaskedFaceVerification(fars=(0.01,), resamples=10)(embed, masked_and_unmasked())
    assert list(result.figures["mask-to-nonmask"]) == ["tar@1e-2"]
    for start in ("AUC 0.9", "EER 0.", "the threshold of FAR 0.01 is"):
        assert any(note.startswith(start) for note in result.notes), start


def test_a_mask_drawn_on_a_photograph_can_be_kept_from_meeting_that_photograph():
    rng = np.random.default_rng(0)
    rows, names = rng.normal(size=(60, 24)), [f"id{i:02d}" for i in range(20)]
    faces = RowFaces(rows, np.repeat(np.arange(20), 3), names)  # every picture is a stranger but to itself
    drawn = RowFaces(rows + 0.1 * rng.normal(size=rows.shape), faces.labels, names)
    data = ProbesAndGallery(drawn, faces)
    flattered = MaskedFaceVerification(fars=(0.01,), resamples=5)(embed, data)
    honest = MaskedFaceVerification(fars=(0.01,), resamples=5, exclude_same_name=True)(embed, data)
    assert flattered.figures["mask-to-nonmask"]["tar@1e-2"].value > 0.3
    assert honest.figures["mask-to-nonmask"]["tar@1e-2"].value < 0.1
    assert honest.data["genuine"] == flattered.data["genuine"] - 60
    assert any("60 pairs of one person" in note for note in honest.notes)
    assert any(
        note.startswith("60 of 60 probes bear the name of a gallery picture of the same person")
        and note.endswith("exclude_same_name leaves these pairs out")
        for note in flattered.notes
    )


def test_a_covered_copy_meets_its_photograph_whatever_its_file_is_called():
    rng = np.random.default_rng(0)
    rows, names = rng.normal(size=(60, 24)), [f"id{i:02d}" for i in range(20)]
    faces = RowFaces(rows, np.repeat(np.arange(20), 3), names)
    copies = RowFaces(rows + 0.1 * rng.normal(size=rows.shape), faces.labels, names)
    copies.name = lambda index: f"{RowFaces.name(copies, index)}_covered.png"
    faces.name = lambda index: f"{RowFaces.name(faces, index)}.JPG"
    told = MaskedFaceVerification(fars=(0.01,), resamples=5, exclude_same_name=True)(
        embed, ProbesAndGallery(copies, faces)
    )
    assert told.data["genuine"] == 60 * 3 - 60


def test_a_far_that_cannot_be_resolved_is_refused_before_anything_is_embedded():
    data = masked_and_unmasked()
    with pytest.raises(ProtocolError, match="3120 impostor pairs cannot resolve"):
        MaskedFaceVerification()(embed, data)
    assert data.probes.read == data.gallery.read == 0
    with pytest.raises(ProtocolError, match="between 0 and 1"):
        MaskedFaceVerification(fars=(0.0,))
