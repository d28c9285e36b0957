"""BN-Dropout-FC-BN on every element of the top map: the embedding of ArcFace's option "E" and of FROM."""

from __future__ import annotations

from torch import Tensor, nn

from ..errors import OptionError
from ..initialise import xavier_initialise
from ..map_layers import MapLinear, MapNorm
from ..shapes import FeatureShape


class FlatEmbedding(nn.Module):
    """Every element of the top map is normalised on its own, so a masked element meets its own statistics.

    `dim`: D, the embedding's width; `dropout`: probability in [0, 1) that an element is dropped in training.
    """

    def __init__(self, top: FeatureShape, *, dim: int = 512, dropout: float = 0.5):
        super().__init__()
        if not isinstance(dim, int) or dim < 1:
            raise OptionError(f"embedding 'flat': dim is a positive whole number, not {dim!r}")
        if not 0 <= dropout < 1:
            raise OptionError(f"embedding 'flat': dropout lies in [0, 1), not {dropout!r}")
        self.width = dim
        self.bn1 = MapNorm(top)
        self.dropout = nn.Dropout(dropout)
        self.fc = MapLinear(top, dim)
        self.bn2 = nn.BatchNorm1d(dim)
        xavier_initialise(self)

    def forward(self, top: Tensor) -> Tensor:  # (B, C, H, W) -> (B, D)
        return self.bn2(self.fc(self.dropout(self.bn1(top))))  # type: ignore[no-any-return]
