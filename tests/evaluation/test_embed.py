import numpy as np
import pytest
import torch
from torch import nn

from occmask.errors import OptionError, ProtocolError, ShapeError
from occmask.evaluation.embed import embed


def flat(images):
    return images.flatten(1)


def test_embeddings_are_the_functions_rows_at_length_one_whatever_the_batch():
    images = torch.randn(7, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    expected = nn.functional.normalize(images.flatten(1)).numpy()
    for batch_size in (1, 3, 7, 100):
        rows = embed(flat, images, batch_size=batch_size, device="cpu")
        assert rows.dtype == np.float32
        np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_half_precision_embeddings_keep_their_direction():
    rows = embed(lambda images: torch.full((len(images), 4), 1e-7, dtype=torch.float16), torch.zeros(2, 3, 1, 1))
    np.testing.assert_allclose(rows, 0.5, atol=1e-6)


def test_no_graph_is_kept():
    weight = torch.ones(3, requires_grad=True)
    seen = []

    def function(images):
        seen.append(images[:, :, 0, 0] * weight + 1)
        return seen[-1]

    embed(function, torch.zeros(4, 3, 2, 2), batch_size=2)
    assert [row.requires_grad for row in seen] == [False, False]


def test_nan_is_named_by_its_image_in_and_out():
    images = torch.ones(5, 3, 2, 2)
    images[3, 0, 0, 0] = float("nan")
    with pytest.raises(ProtocolError, match="image 3 holds NaN"):
        embed(flat, images, batch_size=2)
    with pytest.raises(ProtocolError, match="the embedding of image 3 holds NaN"):
        embed(
            lambda batch: 1 / (flat(batch) - 1), torch.arange(5.0).view(5, 1, 1, 1).expand(5, 3, 2, 2) - 2, batch_size=2
        )
    with pytest.raises(ProtocolError, match="the embedding of image 2 is all zeros"):
        embed(flat, torch.arange(5.0).view(5, 1, 1, 1).expand(5, 3, 2, 2) - 2, batch_size=2)


def test_what_is_no_embedding_is_refused():
    images = torch.ones(2, 3, 2, 2)
    with pytest.raises(ShapeError, match="a tuple for 2 images"):
        embed(lambda batch: (flat(batch),), images)
    with pytest.raises(ShapeError, match=r"\(2, 3, 2, 2\) of float32 for 2 images"):
        embed(lambda batch: batch, images)
    with pytest.raises(ShapeError, match="floating-point"):
        embed(flat, images.byte())
    with pytest.raises(ShapeError, match="a ndarray"):
        embed(flat, images.numpy())
    with pytest.raises(ProtocolError, match="no images"):
        embed(flat, images[:0])
    with pytest.raises(OptionError, match="batch_size"):
        embed(flat, images, batch_size=0)


def test_a_model_in_training_mode_is_refused():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12))
    with pytest.raises(ProtocolError, match=r"call \.eval"):
        embed(model, torch.ones(2, 3, 2, 2))
    rows = embed(model.eval(), torch.ones(2, 3, 2, 2))
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
