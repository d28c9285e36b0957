"""BN-Dropout-FC-BN on every element of the top map: the embedding of ArcFace's option "E" and of FROM."""

from __future__ import annotations

import torch
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

    def parts(self, top: Tensor) -> Tensor:  # (B, C, H, W) -> (B, H * W, D)
        """What each place of the top map adds to the embedding; over the places they sum to it.  In evaluation only.

        The layers after the dropout are affine, so the embedding is a sum over places.  What none of them owns, the
        value of a map that is wholly at its means, is shared out equally: a place that is at its means adds that share
        and nothing else.
        """
        if self.training:
            raise OptionError("an embedding falls into parts in evaluation only; call model.eval() first")
        mean, variance, bias = self.bn2.running_mean, self.bn2.running_var, self.fc.bias
        assert mean is not None
        assert variance is not None
        assert bias is not None
        gain = self.bn2.weight * torch.rsqrt(variance + self.bn2.eps)  # (D,)
        weight = self.fc.weight * gain[:, None, None, None]  # (D, C, H, W)
        own_mean = torch.einsum("chw,dchw->hwd", self.bn1.bias[0], weight)
        rest = (bias - mean) * gain + self.bn2.bias + own_mean.sum((0, 1))  # (D,)
        own = torch.einsum("bchw,dchw->bhwd", self.bn1(top), weight) - own_mean
        return (own + rest / (top.shape[2] * top.shape[3])).flatten(1, 2)
