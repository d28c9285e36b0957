import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.errors import OptionError, ProtocolError, ShapeError
from occmask.protocols.embedding import embed_faces, embed_with_flip
from occmask.protocols.fingerprint import joint_fingerprint


class Faces:
    """Pictures in memory that count how often each is read."""

    def __init__(self, images, labels=None, *, people=("ann", "bob", "cyd"), names=None):
        self.pixels = np.asarray(images, np.uint8)
        self.labels = np.arange(len(self.pixels)) % len(people) if labels is None else np.asarray(labels)
        self.people, self.grey = people, False
        self.names = names or [f"picture {i}" for i in range(len(self.pixels))]
        self.read = np.zeros(len(self.pixels), int)

    def __len__(self):
        return len(self.pixels)

    def name(self, index):
        return self.names[index]

    def images(self, indices=None):
        chosen = list(range(len(self)) if indices is None else indices)
        np.add.at(self.read, chosen, 1)
        return self.pixels[chosen]


def pictures(count=7, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 4, 3), np.uint8)


def flat(images):
    """Sees where things are: a mirrored picture embeds differently."""
    return images.reshape(len(images), -1).astype(np.float32) - 100


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 128])
def test_embeddings_are_the_models_rows_at_length_one_whatever_the_batch(batch_size):
    images = pictures()
    found = embed_faces(flat, Faces(images), batch_size=batch_size)
    assert found.embedding.dtype == np.float32
    np.testing.assert_allclose(found.embedding, unit(flat(images)), atol=1e-6)
    assert found.fingerprint == embed_faces(flat, Faces(images)).fingerprint


@pytest.mark.parametrize("batch_size", [2, 128])
def test_flip_fusion_adds_the_mirror_images_embedding_before_normalising(batch_size):
    images = pictures()
    expected = unit(flat(images) + flat(images[:, :, ::-1]))
    twice = embed_with_flip(flat, Faces(images), batch_size=batch_size)
    np.testing.assert_allclose(twice.fused, expected, atol=1e-6)
    np.testing.assert_allclose(twice.plain, unit(flat(images)), atol=1e-6)
    np.testing.assert_array_equal(embed_faces(flat, Faces(images), flip=True).embedding, twice.fused)


def test_every_picture_is_read_once_and_embedded_once_and_once_more_mirrored_in_batches():
    faces, sizes = Faces(pictures()), []

    def counted(images):
        sizes.append(len(images))
        return flat(images)

    embed_faces(counted, faces, batch_size=3)
    assert sizes == [3, 3, 1]
    assert set(faces.read) == {1}
    sizes.clear()
    embed_with_flip(counted, faces, batch_size=3)
    assert sizes == [3, 3, 3, 3, 1, 1]
    assert set(faces.read) == {2}


def test_half_precision_keeps_its_direction_and_great_lengths_do_too():
    for value, dtype in ((1e-7, np.float16), (1e-300, np.float64), (1e300, np.float64)):
        found = embed_faces(lambda images, v=value, d=dtype: np.full((len(images), 4), v, d), Faces(pictures()))
        np.testing.assert_allclose(found.embedding, 0.5, atol=1e-6)


def prints(**changes):
    options = {"images": pictures(4), "labels": [0, 0, 1, 2], "people": ("ann", "bob", "cyd"), "names": list("abcd")}
    return embed_faces(flat, Faces(**{**options, **changes})).fingerprint


def test_the_fingerprint_is_of_names_people_and_pixels_and_of_nothing_else():
    changed = pictures(4)
    changed[3, 2, 3, 2] ^= 1
    assert len(prints()) == 64
    assert len({prints(), prints(images=changed), prints(names=list("abce")), prints(labels=[0, 1, 1, 2])}) == 4
    assert prints() == prints(labels=[2, 2, 1, 0], people=("cyd", "bob", "ann"))  # the same people, numbered otherwise
    assert prints() != prints(images=pictures(4)[::-1])
    assert prints(names=["ab", "c", "d", "e"]) != prints(names=["a", "bc", "d", "e"])
    assert prints(names=["a\udcff", "b", "c", "d"]) != prints()  # a file name that is no text


@given(st.lists(st.one_of(st.text("ab", max_size=3), st.lists(st.integers(0, 2), max_size=3)), max_size=3), st.data())
def test_joint_fingerprints_differ_when_any_part_does(parts, data):
    other = data.draw(st.lists(st.one_of(st.text("ab", max_size=3), st.lists(st.integers(0, 2), max_size=3))))

    def joint(values):
        return joint_fingerprint(*(v if isinstance(v, str) else np.array(v, np.int64) for v in values))

    assert (joint(parts) == joint(other)) == (parts == other)


def test_byte_order_and_strides_do_not_change_a_fingerprint_but_types_do():
    numbers = np.arange(6, dtype=np.int64)
    assert joint_fingerprint(numbers) == joint_fingerprint(numbers.astype(">i8"))
    assert joint_fingerprint(numbers[::2]) == joint_fingerprint(numbers[::2].copy())
    assert joint_fingerprint(numbers) != joint_fingerprint(numbers.astype(np.int32))


def broken(value, *, at=5):
    def embed(images):
        rows = flat(images)
        rows[(images == pictures()[at]).all(axis=(1, 2, 3))] = value
        return rows

    return embed


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "picture 5 holds NaN"), (-np.inf, "picture 5 holds NaN or inf"), (0, "picture 5 is all zeros")],
)
def test_an_embedding_without_a_direction_is_named_by_its_picture(value, message):
    for measure in (embed_faces, embed_with_flip):
        with pytest.raises(ProtocolError, match=message):
            measure(broken(value), Faces(pictures()), batch_size=2)


def test_an_embedding_that_its_mirror_image_cancels_is_named():
    with pytest.raises(ProtocolError, match="picture 0 is all zeros"):
        embed_faces(
            lambda images: images[:, 0, :1, 0] - images[:, 0, -1:, 0].astype(float), Faces(pictures()), flip=True
        )


def test_what_is_no_embedding_is_refused():
    widths = iter([4, 5])
    for embed, message in (
        (lambda images: flat(images)[0], r"\(36,\) of float32 for 7 pictures"),
        (lambda images: flat(images)[1:], r"must return numbers \(7, D\)"),
        (lambda images: flat(images).astype(str), "numbers"),
        (lambda images: flat(images)[:, :0], r"\(7, 0\)"),
    ):
        with pytest.raises(ShapeError, match=message):
            embed_faces(embed, Faces(pictures()))
    with pytest.raises(ShapeError, match="4 numbers a picture and then 5"):
        embed_faces(lambda images: np.ones((len(images), next(widths))), Faces(pictures()), batch_size=4)
    with pytest.raises(ProtocolError, match="no faces"):
        embed_faces(flat, Faces(pictures(0)))
    with pytest.raises(OptionError, match="batch_size"):
        embed_faces(flat, Faces(pictures()), batch_size=0)
