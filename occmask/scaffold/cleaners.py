"""Templates of a restorer, a part locator and a refiner."""

from __future__ import annotations

from .template import LEARNS, Template

RESTORER = Template(
    what="a restorer that finds what is covered and paints over it",
    suffix="Restorer",
    entry_points=(("occmask.restorers", "$package:$Class"),),
    source='''"""A restorer for occmask."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

import occmask


class $Class(nn.Module):
    """Finds what is covered and paints over it: (1 - cover) * image + cover * painting.

    `width`: channels of the first of two layers; the second has twice as many.
    """

    finds_cover = True  # `Restoration.coverage` is there, and the model answers from it

    def __init__(self, image: occmask.FeatureShape, *, width: int = 16) -> None:
        super().__init__()
        if width < 1:
            raise occmask.OptionError(f"'$component': width is at least 1, not {width!r}")
        self.look = nn.Sequential(
            nn.Conv2d(image.channels, width, 3, 2, 1),
            nn.PReLU(width),
            nn.Conv2d(width, 2 * width, 3, 2, 1),
            nn.PReLU(2 * width),
        )
        self.cover = nn.Conv2d(2 * width, 1, 1)
        self.paint = nn.Conv2d(2 * width, image.channels, 1)
        self.size = (image.height, image.width)

    def forward(self, images: Tensor) -> occmask.Restoration:  # (B, 3, H, W) in [-1, 1]
        features = self.look(images)
        coverage = self.cover(features)  # (B, 1, H / 4, W / 4) logits
        share = F.interpolate(coverage, self.size, mode="bilinear", align_corners=False).sigmoid()
        painting = F.interpolate(self.paint(features), self.size, mode="bilinear", align_corners=False).tanh()
        return occmask.Restoration((1 - share) * images + share * painting, coverage)

    def loss(self, coverage: Tensor, truth: occmask.OcclusionTruth) -> Tensor:  # scalar
        return occmask.coverage_loss(coverage, truth)
''',
    tests='''"""The restorer keeps the protocol and does its job in a model."""

from __future__ import annotations

import torch

import occmask
from occmask.testing import check_restorer


def test_the_restorer_keeps_the_protocol() -> None:
    check_restorer("$component")


def test_what_is_not_covered_stays_as_it_is() -> None:
    restorer = occmask.RESTORERS["$component"](occmask.FeatureShape(3, 112, 96)).eval()
    torch.nn.init.constant_(restorer.cover.bias, -30.0)
    images = torch.rand(2, 3, 112, 96) * 2 - 1
    with torch.inference_mode():
        assert torch.allclose(restorer(images).image, images, atol=1e-4)
'''
    + LEARNS.replace("$setting", 'head=None, restorer="$component"'),
    use="""```python
import occmask

model = occmask.build("from_tiny", head=None, restorer=occmask.Spec("$component", width=8))
```""",
)

PART_LOCATOR = Template(
    what="a part locator that moves a box over the upper half of the face",
    suffix="Locator",
    entry_points=(("occmask.part_locators", "$package:$Class"),),
    source='''"""A part locator for occmask."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import occmask


class $Class(nn.Module):
    """Moves and sizes a box that starts on the upper half of the face; it learns to avoid what is covered.

    `width`: channels of the first of two layers; `reach`: how far the box may move, in fractions of the image.
    """

    def __init__(self, image: occmask.FeatureShape, *, width: int = 8, reach: float = 0.2) -> None:
        super().__init__()
        if width < 1:
            raise occmask.OptionError(f"'$component': width is at least 1, not {width!r}")
        if not 0 <= reach <= 0.5:
            raise occmask.OptionError(f"'$component': reach lies in [0, 0.5], not {reach!r}")
        self.reach = reach
        self.look = nn.Sequential(
            nn.Conv2d(image.channels, width, 3, 2, 1),
            nn.PReLU(width),
            nn.Conv2d(width, 2 * width, 3, 2, 1),
            nn.PReLU(2 * width),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(2 * width * 16, 3),
        )

    def forward(self, images: Tensor) -> Tensor:  # (B, 3, H, W) -> (B, 4) x0 y0 x1 y1 over W H W H
        right, down, larger = self.look(images).tanh().unbind(1)
        x, y, size = 0.5 + self.reach * right, 0.3 + self.reach * down, 1 + 0.25 * larger
        return torch.stack([x - 0.45 * size, y - 0.3 * size, x + 0.45 * size, y + 0.3 * size], dim=1)

    def loss(self, box: Tensor, truth: occmask.OcclusionTruth) -> Tensor:  # scalar
        """The share of the part that the true box covers, on average."""
        covered = truth.box.to(box)
        overlap = torch.minimum(box[:, 2:], covered[:, 2:]) - torch.maximum(box[:, :2], covered[:, :2])
        return (overlap.clamp_min(0).prod(1) / (box[:, 2:] - box[:, :2]).prod(1)).mean()
''',
    tests='''"""The part locator keeps the protocol and does its job in a model."""

from __future__ import annotations

import torch

import occmask
from occmask.testing import check_part_locator


def test_the_part_locator_keeps_the_protocol() -> None:
    check_part_locator("$component")


def test_an_embedding_is_that_of_the_face_and_that_of_the_part() -> None:
    model = occmask.build("from_tiny", head=None, part_locator="$component").eval()
    with torch.inference_mode():
        output = model(torch.zeros(2, 3, 112, 96))
    assert output.part.shape == (2, 4)
    assert output.embedding.shape == (2, 2 * model.embedding.width)
'''
    + LEARNS.replace("$setting", 'head=None, part_locator="$component"'),
    use="""```python
import occmask

model = occmask.build("from_tiny", head=None, part_locator=occmask.Spec("$component", reach=0.1))
```""",
)

REFINER = Template(
    what="a refiner that fades every map of the trunk where the face is covered",
    suffix="Refiner",
    entry_points=(("occmask.refiners", "$package:$Class"),),
    source='''"""A refiner for occmask."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

import occmask


class $Class(nn.Module):
    """Sees where the image is covered, and fades every channel of every map there, each by a gate of its own.

    `width`: channels of the first of two layers that look at the image; the second has twice as many.
    """

    def __init__(self, image: occmask.FeatureShape, maps: tuple[occmask.FeatureShape, ...], *, width: int = 16) -> None:
        super().__init__()
        if width < 1:
            raise occmask.OptionError(f"'$component': width is at least 1, not {width!r}")
        self.look = nn.Sequential(
            nn.Conv2d(image.channels, width, 3, 2, 1),
            nn.PReLU(width),
            nn.Conv2d(width, 2 * width, 3, 2, 1),
            nn.PReLU(2 * width),
            nn.Conv2d(2 * width, 1, 1),
        )
        self.gates = nn.ModuleList(nn.Conv2d(1, shape.channels, 1) for shape in maps)
        for gate in self.gates:
            nn.init.constant_(gate.weight, -1.0)  # type: ignore[arg-type]  # the more cover, the less is kept
            nn.init.constant_(gate.bias, 2.0)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> occmask.Sight:
        return occmask.Sight(self.look(images))  # (B, 1, H / 4, W / 4) logits of "covered"

    def refine(self, level: int, features: Tensor, sight: occmask.Sight) -> Tensor:  # (B, C, H, W) -> the same shape
        size = (features.shape[2], features.shape[3])
        cover = F.interpolate(sight.coverage, size, mode="bilinear", align_corners=False)
        gated: Tensor = features * self.gates[level](cover).sigmoid()
        return gated

    def loss(self, coverage: Tensor, truth: occmask.OcclusionTruth) -> Tensor:  # scalar
        return occmask.coverage_loss(coverage, truth)
''',
    tests='''"""The refiner keeps the protocol and does its job in a model."""

from __future__ import annotations

import torch

import occmask
from occmask.testing import check_refiner


def test_the_refiner_keeps_the_protocol() -> None:
    check_refiner("$component")


def test_fresh_weights_keep_more_where_less_is_covered() -> None:
    image, maps = occmask.FeatureShape(3, 8, 8), (occmask.FeatureShape(2, 4, 4),)
    refiner = occmask.REFINERS["$component"](image, maps)
    cover = torch.tensor([[[[9.0, -9.0]] * 2]])  # the left half
    refined = refiner.refine(0, torch.ones(1, 2, 4, 4), occmask.Sight(cover))
    assert (refined[..., 0] < 0.1).all()
    assert (refined[..., 3] > 0.9).all()
'''
    + LEARNS.replace("$setting", 'head=None, refiner="$component"'),
    use="""```python
import occmask

model = occmask.build("from_tiny", head=None, refiner=occmask.Spec("$component", width=8))
```""",
)
