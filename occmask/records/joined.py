"""Who is who when only pairs are known: pictures that pairs of one person join are of one person."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def joined(num_pictures: int, ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) one number for all pictures that pairs (P, 2) join, directly or over others: 0, 1, ... in their order."""
    parent = list(range(num_pictures))

    def root(picture: int) -> int:
        while parent[picture] != picture:
            parent[picture] = parent[parent[picture]]
            picture = parent[picture]
        return picture

    for one, other in ends.tolist():
        low, high = sorted((root(one), root(other)))
        parent[high] = low  # the first picture stands for all
    return np.unique([root(picture) for picture in range(num_pictures)], return_inverse=True)[1].reshape(-1)
