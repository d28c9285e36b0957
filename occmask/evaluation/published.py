"""TAR at a FAR as FROM publishes it, to be held against printed figures; trust `WeightedPairs.tar_at_far`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import ProtocolError
from .metrics import FloatArray

PUBLISHED_FAR = 1e-4


class PublishedTar:
    """Share of genuine pairs that score at least the impostor at place int(impostors x FAR), the highest at place 0.

    With fewer than 1 / FAR impostors that is the single highest impostor score, as with LFW's 3,000 at FAR 1e-4
    (FROM, lib/core/lfw_eval.py).  score (P,), same (P,).  Called with the pairs' weights (P,), it counts a pair as
    often as its weight says.
    """

    def __init__(self, score: FloatArray, same: NDArray[np.bool_], far: float = PUBLISHED_FAR):
        if same.all():
            raise ProtocolError("there is no impostor pair to take a threshold from; at least one is needed")
        self.far = far
        self._score, self._same = score, same
        impostor = np.flatnonzero(~same)
        self._impostor = impostor[np.argsort(-score[impostor], kind="stable")]

    @property
    def place(self) -> int:
        """How many impostors score above the one that decides."""
        return int(len(self._impostor) * self.far)

    def __call__(self, weight: FloatArray) -> float:
        impostor = np.cumsum(weight[self._impostor])
        decides = np.searchsorted(impostor, int(impostor[-1] * self.far), side="right")
        threshold = self._score[self._impostor[decides]]
        genuine = weight * self._same
        return float(genuine @ (self._score >= threshold) / genuine.sum())
