"""The stream of samples: the same bytes for the same (seed, epoch, index), whoever reads them and when."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from occmask.data.faces import FaceSet
from occmask.data.stream import FaceStream, collate
from occmask.errors import DataError, OptionError
from occmask.occluders.occlude import AreaPlacement, Occlusions, bounding_box
from occmask.shapes import FaceBatch


def faces(count: int = 11) -> FaceSet:
    images = np.random.default_rng(0).integers(0, 256, (count, 28, 24, 3), dtype=np.uint8)
    return FaceSet.from_arrays(images, np.arange(count) % 4)


def stream(**options: object) -> FaceStream:
    settings = {"seed": 5, "length": 40, "occlusion": Occlusions(), "jitter": 0.2, "shift": 2, **options}
    return FaceStream(faces(), **settings)  # type: ignore[arg-type]


def flat(batch: FaceBatch) -> list[torch.Tensor]:
    assert batch.truth is not None
    assert batch.truth.covered is not None
    return [batch.image, batch.label, batch.truth.box, batch.truth.covered]


def same(first: FaceBatch, second: FaceBatch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(flat(first), flat(second), strict=True))


@pytest.mark.parametrize(
    ("workers", "method"), [(0, None), (1, "fork"), (2, "fork"), pytest.param(1, "spawn", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("start", [0, 16])
def test_the_bytes_do_not_depend_on_workers_or_on_where_reading_begins(
    workers: int, method: str | None, start: int
) -> None:
    alone = [collate([stream()[p] for p in range(s, s + 8)]) for s in range(start, 40, 8)]
    loader = DataLoader(
        stream(),
        batch_size=8,
        sampler=range(start, 40),
        num_workers=workers,
        collate_fn=collate,
        multiprocessing_context=method,
    )
    batches = list(loader)
    assert len(batches) == len(alone)
    assert all(same(a, b) for a, b in zip(alone, batches, strict=True))


@settings(max_examples=15)
@given(st.permutations(list(range(40))))
def test_reading_in_any_order_gives_the_same_samples(order: list[int]) -> None:
    one, other = stream(), stream()
    wanted = {p: one[p] for p in range(40)}
    assert all(same(other[p], wanted[p]) for p in order[:10])


def test_a_longer_stream_begins_with_the_shorter() -> None:
    assert all(same(stream(length=400)[p], stream()[p]) for p in range(40))


def plain(**options: object) -> FaceStream:
    return stream(occlusion=None, jitter=0.0, shift=0, flip=False, **options)


def test_every_epoch_holds_every_face_once_in_another_order() -> None:
    pictures = {image.tobytes(): i for i, image in enumerate(faces().images())}

    def index(item: FaceBatch) -> int:
        pixels = (item.image * 127.5 + 127.5).round().to(torch.uint8).numpy().transpose(1, 2, 0)
        return pictures[np.ascontiguousarray(pixels).tobytes()]

    items = [plain()[p] for p in range(33)]
    order = [index(item) for item in items]
    epochs = [order[0:11], order[11:22], order[22:33]]
    assert all(sorted(epoch) == list(range(11)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert [int(item.label) for item in items] == [i % 4 for i in order]


def test_another_seed_is_another_stream_and_another_epoch_another_occlusion() -> None:
    assert not all(same(stream(seed=6)[p], stream()[p]) for p in range(11))
    boxes = torch.stack([item.truth.box for p in range(40) if (item := stream()[p]).truth is not None])
    assert len(torch.unique(boxes, dim=0)) > 15


def test_the_box_bounds_the_map_after_flipping_too() -> None:
    for p in range(40):
        _, _, box, covered = flat(stream()[p])
        assert (box.numpy() == bounding_box(covered.numpy())).all()


def test_flipping_mirrors_half_of_the_samples_and_the_truth_with_them() -> None:
    options = {"occlusion": Occlusions(share=1), "shift": 0, "jitter": 0.0, "length": 200}
    flipped, upright = stream(**options), stream(flip=False, **options)
    turned = 0
    for p in range(200):
        (image, label, box, covered), (image_0, label_0, box_0, covered_0) = flat(flipped[p]), flat(upright[p])
        assert label == label_0
        if not torch.equal(image, image_0):
            turned += 1
            assert torch.equal(image, image_0.flip(-1))
            assert torch.equal(covered, covered_0.flip(-1))
            if covered.any():
                mirrored = torch.stack([1 - box_0[2], box_0[1], 1 - box_0[0], box_0[3]])
                assert torch.allclose(box, mirrored, atol=1e-6)
    assert 70 < turned < 130


def test_grey_faces_get_grey_occluders() -> None:
    grey = FaceSet.from_arrays(faces().images()[..., :1].repeat(3, -1), np.arange(11))
    occlusion = Occlusions(("rectangle",), AreaPlacement(0.5), share=1)
    for p in range(22):
        image = FaceStream(grey, seed=0, length=22, occlusion=occlusion)[p].image
        assert torch.equal(image[0], image[1])
        assert torch.equal(image[0], image[2])


def test_shifting_moves_the_face_and_repeats_its_edge() -> None:
    original = {image.tobytes() for image in faces().images()}
    seen = set()
    for p in range(11):
        pixels = (plain()[p].image * 127.5 + 127.5).round().to(torch.uint8).numpy().transpose(1, 2, 0)
        moved = stream(occlusion=None, jitter=0.0, flip=False)[p].image
        moved = (moved * 127.5 + 127.5).round().to(torch.uint8).numpy().transpose(1, 2, 0)
        padded = np.pad(pixels, ((2, 2), (2, 2), (0, 0)), mode="edge")
        found = [(dy, dx) for dy in range(5) for dx in range(5) if (padded[dy : dy + 28, dx : dx + 24] == moved).all()]
        assert len(found) == 1
        seen.add(found[0])
        assert np.ascontiguousarray(pixels).tobytes() in original
    assert len(seen) > 3


def test_jitter_changes_brightness_and_contrast_within_its_bounds() -> None:
    for p in range(11):
        before = plain()[p].image.double().numpy()
        after = stream(occlusion=None, shift=0, flip=False, jitter=0.3)[p].image.double().numpy()
        inside = np.abs(after) < 0.99
        slope, offset = np.polyfit(before[inside], after[inside], 1)
        assert 0.69 < slope < 1.31
        assert abs(offset) < 0.31
        assert np.abs(after[inside] - (slope * before[inside] + offset)).max() < 0.02


def test_what_cannot_be_streamed_is_refused_with_a_reason() -> None:
    for options in ({"seed": -1}, {"jitter": 1.0}, {"shift": 24}, {"length": -1}):
        with pytest.raises(OptionError):
            stream(**options)
    with pytest.raises(DataError, match="empty"):
        FaceStream(faces().select([]), seed=0, length=1)
    with pytest.raises(IndexError, match=r"0 \.\. 39"):
        stream()[40]
