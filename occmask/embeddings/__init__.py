"""Embeddings: the top feature map X1 -> one vector a face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


class Embedding(Protocol):
    """A module built as `factory(top: FeatureShape, **options)`; `width` is D.

    Optional: `parts(top)` gives, in evaluation, what each place of the map adds to the embedding, (B, H * W, D) row by
    row; they sum to it.  With it faces can be compared on what both show.
    """

    width: int

    def __call__(self, top: Tensor) -> Tensor: ...  # (B, C, H, W) -> (B, D)


EMBEDDINGS: Registry[Embedding] = Registry(
    "embedding", "occmask.embeddings", {"flat": "occmask.embeddings.flat:FlatEmbedding"}
)
