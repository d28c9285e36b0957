"""Templates of a head, a mask decoder and a pattern predictor."""

from __future__ import annotations

from .template import LEARNS, Template

HEAD = Template(
    what="an occlusion head with one gate a position, and a box",
    suffix="Head",
    entry_points=(("occmask.heads", "$package:$Class"),),
    source='''"""An occlusion head for occmask."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import occmask


class $Class(nn.Module):
    """One gate a position of the top map, and a box around what is covered.

    `width`: channels between the map and the two answers.
    """

    def __init__(self, shapes: occmask.FaceShapes, *, width: int = 32) -> None:
        super().__init__()
        if width < 1:
            raise occmask.OptionError(f"'$component': width is at least 1, not {width!r}")
        top = shapes.maps[-1]  # maps are finest first; the last is the one that becomes the embedding
        self.features = nn.Sequential(nn.Conv2d(top.channels, width, 3, 1, 1), nn.PReLU(width))
        self.gate = nn.Conv2d(width, 1, 1)
        self.box = nn.Linear(width, 5)  # two corners and a logit of "something is covered"

    def mask_logits(self, maps: Sequence[Tensor]) -> Tensor:
        """The mask alone, so that nobody pays for a pattern that nobody asked for."""
        logits: Tensor = self.gate(self.features(maps[-1]))  # (B, 1, H, W)
        return logits

    def forward(self, maps: Sequence[Tensor]) -> occmask.Occlusion:  # finest first
        features = self.features(maps[-1])
        return occmask.Occlusion(mask=self.gate(features), pattern=self.box(features.mean((2, 3))))

    def loss(self, occlusion: occmask.Occlusion, truth: occmask.OcclusionTruth) -> Tensor:  # scalar
        """Squared error of the corners on covered faces, cross entropy of whether anything is covered on all."""
        if occlusion.pattern is None:
            raise occmask.ShapeError("the loss needs the pattern: call the model in training or with occlusion=True")
        box = truth.box.to(occlusion.pattern)
        covered = (box[:, 2:] > box[:, :2]).all(1).to(box.dtype)  # (B,)
        corners = (occlusion.pattern[:, :4].sigmoid() - box).square().mean(1)
        found = F.binary_cross_entropy_with_logits(occlusion.pattern[:, 4], covered)
        return (corners * covered).mean() + found

    def answer(self, pattern: Tensor) -> occmask.OcclusionAnswer:  # (B, 5), probabilities out
        """The box, and of each cell of a 5 x 5 grid the share that it covers times the probability of any cover."""
        covered = pattern[:, 4].sigmoid()
        corners = pattern[:, :4].sigmoid().unflatten(1, (2, 2))  # (B, corner, x y)
        low, high = corners.amin(1), corners.amax(1)
        box = torch.cat([low, high], dim=1) * (covered >= 0.5)[:, None]
        edges = torch.linspace(0, 1, 6, dtype=pattern.dtype, device=pattern.device)
        overlap = torch.minimum(high[..., None], edges[1:]) - torch.maximum(low[..., None], edges[:-1])
        share = overlap.clamp_min(0) * 5  # (B, x y, cell)
        cells = covered[:, None, None] * share[:, 1, :, None] * share[:, 0, None, :]
        return occmask.OcclusionAnswer(cells.clamp(0, 1), box, covered)
''',
    tests='''"""The head keeps the protocol and does its job in a model."""

from __future__ import annotations

import pytest
import torch

import occmask
from occmask.testing import check_head


def test_the_head_keeps_the_protocol() -> None:
    check_head("$component")


def test_an_impossible_width_is_refused() -> None:
    with pytest.raises(occmask.OptionError, match="at least 1"):
        occmask.build("from_tiny", head=occmask.Spec("$component", width=0))
'''
    + LEARNS.replace("$setting", 'head="$component"'),
    use="""```python
import occmask

model = occmask.build("from_tiny", head=occmask.Spec("$component", width=16))
```""",
)

MASK_DECODER = Template(
    what="a mask decoder that reads the top map through a narrow layer",
    suffix="Mask",
    entry_points=(("occmask.mask_decoders", "$package:$Class"),),
    source='''"""A mask decoder for occmask's FROM head."""

from __future__ import annotations

from torch import Tensor, nn

import occmask


class $Class(nn.Module):
    """A full mask from the top map alone, through a narrow layer: X1 (B, C, H, W) -> logits (B, C, H, W).

    `width`: channels of the narrow layer.  Fresh weights keep nearly everything.
    """

    needs_pyramid = False  # True: `source` is the pyramid's finest level instead of the top map

    def __init__(self, source: occmask.FeatureShape, shapes: occmask.FaceShapes, *, width: int = 16) -> None:
        super().__init__()
        if width < 1:
            raise occmask.OptionError(f"'$component': width is at least 1, not {width!r}")
        self.mask_shape: tuple[int, ...] = tuple(source)
        self.narrow = nn.Sequential(nn.Conv2d(source.channels, width, 3, 1, 1), nn.PReLU(width))
        self.widen = nn.Conv2d(width, source.channels, 1)
        nn.init.constant_(self.widen.bias, 2.0)  # type: ignore[arg-type]  # sigmoid(2) = 0.88

    def forward(self, source: Tensor) -> Tensor:
        logits: Tensor = self.widen(self.narrow(source))
        return logits
''',
    tests='''"""The mask decoder keeps the protocol and does its job in FROM's head."""

from __future__ import annotations

import torch

import occmask
from occmask.testing import check_head, check_mask_decoder


def test_the_mask_decoder_keeps_the_protocol() -> None:
    check_mask_decoder("$component")


def test_froms_head_keeps_the_protocol_with_it() -> None:
    check_head(occmask.Spec("from", width=8, mask_decoder="$component"))


def test_fresh_weights_keep_most_of_the_face() -> None:
    model = occmask.build("from_tiny", mask_decoder="$component").eval()
    with torch.inference_mode():
        mask = model(torch.zeros(2, 3, 112, 96)).mask
    assert mask.sigmoid().mean() > 0.6
'''
    + LEARNS.replace("$setting", 'mask_decoder="$component"'),
    use="""```python
import occmask

model = occmask.build("from_tiny", mask_decoder=occmask.Spec("$component", width=8))
```""",
)

PATTERN_PREDICTOR = Template(
    what="a pattern predictor with a probability of its own for every cell of a grid",
    suffix="Predictor",
    entry_points=(("occmask.pattern_predictors", "$package:$Class"),),
    source='''"""A pattern predictor for occmask's FROM head."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import occmask


class $Class(nn.Module):
    """A logit of "covered" for each cell of a K x K grid, each on its own: (B, K * K), row by row.

    `k`: cells a side.
    """

    def __init__(self, mask_shape: tuple[int, ...], image: occmask.FeatureShape, *, k: int = 5) -> None:
        super().__init__()
        if not 1 <= k <= min(image.height, image.width):
            raise occmask.OptionError(f"'$component': k is from 1 to the image's side, not {k!r}")
        self.k = k
        self.cells = nn.Linear(math.prod(mask_shape), k * k)

    def forward(self, mask: Tensor) -> Tensor:  # soft mask in [0, 1], (B, ...) -> (B, K * K)
        logits: Tensor = self.cells(mask.flatten(1))
        return logits

    def loss(self, pattern: Tensor, truth: occmask.OcclusionTruth) -> Tensor:  # scalar
        """Mean cross entropy with the share of each cell that the true box covers."""
        box = truth.box.to(pattern)  # (B, 4) x0 y0 x1 y1 in fractions of the image
        edges = torch.linspace(0, 1, self.k + 1, dtype=pattern.dtype, device=pattern.device)
        low, high = box[:, :2, None], box[:, 2:, None]
        share = (torch.minimum(high, edges[1:]) - torch.maximum(low, edges[:-1])).clamp_min(0) * self.k
        target = share[:, 1, :, None] * share[:, 0, None, :]  # (B, row, column)
        return F.binary_cross_entropy_with_logits(pattern, target.flatten(1).clamp(0, 1))

    def answer(self, pattern: Tensor) -> occmask.OcclusionAnswer:
        return occmask.answer_from_coverage(pattern.unflatten(1, (1, self.k, self.k)), k=self.k)
''',
    tests='''"""The pattern predictor keeps the protocol and does its job in FROM's head."""

from __future__ import annotations

import pytest
import torch

import occmask
from occmask.testing import check_head, check_pattern_predictor


@pytest.mark.parametrize("k", [1, 5, 7])
def test_the_pattern_predictor_keeps_the_protocol(k: int) -> None:
    check_pattern_predictor(occmask.Spec("$component", k=k))


def test_froms_head_keeps_the_protocol_with_it() -> None:
    check_head(occmask.Spec("from", width=8, pattern_predictor="$component"))


def test_the_answer_is_a_box_around_the_likely_cells() -> None:
    image = occmask.FeatureShape(3, 112, 96)
    predictor = occmask.PATTERN_PREDICTORS["$component"]((1, 7, 6), image, k=2)
    answer = predictor.answer(torch.tensor([[-9.0, 9.0, -9.0, 9.0]]))  # the right half
    assert answer.box.tolist() == [[0.5, 0.0, 1.0, 1.0]]
'''
    + LEARNS.replace("$setting", 'pattern_predictor="$component"'),
    use="""```python
import occmask

model = occmask.build("from_tiny", pattern_predictor=occmask.Spec("$component", k=4))
```""",
)
