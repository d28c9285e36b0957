"""Templates of a backbone, an embedding, a margin and a model."""

from __future__ import annotations

from .template import RECOGNISES, Template

BACKBONE = Template(
    what="a plain convolutional backbone of four stages",
    suffix="Backbone",
    entry_points=(("occmask.backbones", "$package:$Class"),),
    source='''"""A backbone for occmask."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

import occmask


class $Class(nn.Module):
    """Four stages of one 3x3 convolution of stride 2, BatchNorm and PReLU each.

    `width`: channels of the first stage; every later one has twice as many as the one before.
    """

    refinable = True  # it hands each map to `refine` before the next stage reads it

    def __init__(self, image_size: tuple[int, int], *, width: int = 16) -> None:
        super().__init__()
        if width < 1:
            raise occmask.OptionError(f"'$component': width is at least 1, not {width!r}")
        height, across = image_size
        channels, shapes, stages = 3, [], []
        for level in range(4):
            wider = width * 2**level
            height, across = -(-height // 2), -(-across // 2)
            convolution = nn.Conv2d(channels, wider, 3, 2, 1, bias=False)
            stages.append(nn.Sequential(convolution, nn.BatchNorm2d(wider), nn.PReLU(wider)))
            shapes.append(occmask.FeatureShape(wider, height, across))
            channels = wider
        self.stages = nn.ModuleList(stages)
        self.shapes = tuple(shapes)  # of the maps that it returns, finest first

    def forward(self, image: Tensor, refine: Callable[[int, Tensor], Tensor] | None = None) -> tuple[Tensor, ...]:
        maps, features = [], image
        for level, stage in enumerate(self.stages):
            features = stage(features)
            if refine is not None:
                features = refine(level, features)
            maps.append(features)
        return tuple(maps)
''',
    tests='''"""The backbone keeps the protocol and does its job in a model."""

from __future__ import annotations

import torch

import occmask
from occmask.testing import check_backbone


def test_the_backbone_keeps_the_protocol() -> None:
    check_backbone("$component")


def test_what_is_refined_is_what_the_next_stage_reads() -> None:
    backbone = occmask.BACKBONES["$component"]((112, 96)).eval()
    with torch.inference_mode():
        maps = backbone(torch.rand(1, 3, 112, 96), lambda level, features: features * (level > 0))
        nothing = backbone.stages[1](torch.zeros_like(maps[0]))
    assert torch.equal(maps[1], nothing)
'''
    + RECOGNISES.replace("$setting", 'backbone="$component"').replace("$margin", '"cosface"'),
    use="""```python
import occmask

model = occmask.build("from_tiny", backbone=occmask.Spec("$component", width=32))
```""",
)

EMBEDDING = Template(
    what="an embedding of the top map's mean",
    suffix="Embedding",
    entry_points=(("occmask.embeddings", "$package:$Class"),),
    source='''"""An embedding for occmask."""

from __future__ import annotations

from torch import Tensor, nn

import occmask


class $Class(nn.Module):
    """The mean over the top map's positions, one linear layer and BatchNorm: (B, C, H, W) -> (B, D).

    `dim`: D, the numbers of an embedding.
    """

    def __init__(self, top: occmask.FeatureShape, *, dim: int = 512) -> None:
        super().__init__()
        if dim < 1:
            raise occmask.OptionError(f"'$component': dim is at least 1, not {dim!r}")
        self.width = dim
        self.project = nn.Linear(top.channels, dim)
        self.norm = nn.BatchNorm1d(dim)

    def forward(self, top: Tensor) -> Tensor:
        embedding: Tensor = self.norm(self.project(top.mean((2, 3))))
        return embedding
''',
    tests='''"""The embedding keeps the protocol and does its job in a model."""

from __future__ import annotations

import torch

import occmask
from occmask.testing import check_embedding


def test_the_embedding_keeps_the_protocol() -> None:
    check_embedding("$component")


def test_where_something_is_in_the_map_does_not_matter() -> None:
    embedding = occmask.EMBEDDINGS["$component"](occmask.FeatureShape(4, 7, 6), dim=8).eval()
    top = torch.rand(2, 4, 7, 6)
    assert torch.allclose(embedding(top), embedding(top.flip(3)), atol=1e-6)
'''
    + RECOGNISES.replace("$setting", 'embedding="$component"').replace("$margin", '"cosface"'),
    use="""```python
import occmask

model = occmask.build("from_tiny", embedding=occmask.Spec("$component", dim=128))
```""",
)

MARGIN = Template(
    what="a margin that fades with the angle",
    suffix="Margin",
    entry_points=(("occmask.margins", "$package:$Class"),),
    source='''"""A margin for occmask."""

from __future__ import annotations

from torch import Tensor

import occmask


class $Class:
    """phi = cos - margin * (1 + cos) / 2: the whole margin for a face on its class, none for one opposite to it.

    `margin`: in [0, 2), so that phi rises with the cosine.
    """

    default_scale = 30.0  # of the loss, for those who give none

    def __init__(self, *, margin: float = 0.35) -> None:
        if not 0 <= margin < 2:
            raise occmask.OptionError(f"'$component': margin lies in [0, 2), not {margin!r}")
        self.margin = margin

    def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:  # (B,), (B,) -> phi (B,)
        return cosine - self.margin * (1 + cosine) / 2
''',
    tests='''"""The margin keeps the protocol and does its job in a loss."""

from __future__ import annotations

import torch

import occmask
from occmask.testing import check_margin


def test_the_margin_keeps_the_protocol() -> None:
    check_margin("$component")


def test_it_is_whole_on_the_class_and_none_opposite() -> None:
    margin = occmask.MARGINS["$component"](margin=0.5)
    phi = margin(torch.tensor([1.0, 0.0, -1.0]), torch.ones(3))
    assert phi.tolist() == [0.5, -0.25, -1.0]
'''
    + RECOGNISES.replace("$setting", "head=None").replace("$margin", '"$component"'),
    use="""```python
import occmask

loss = occmask.build_loss("$component", embedding_dim=512, num_classes=1000, margin=0.4)
```""",
)

MODEL = Template(
    what="a named model",
    suffix="Model",
    entry_points=(("occmask.models", "$package:${identifier}_model"),),
    source='''"""A named model for occmask."""

from __future__ import annotations

import occmask


def ${identifier}_model() -> occmask.ModelConfig:
    """FROM on the demo's trunk with a spatial mask and a narrow embedding."""
    return occmask.ModelConfig(
        backbone=occmask.Spec("tiny"),
        head=occmask.Spec("from", width=64, mask_decoder="spatial"),
        embedding=occmask.Spec("flat", dim=64),
    )
''',
    tests='''"""The model is built by its name and keeps its promise."""

from __future__ import annotations

import torch

import occmask
from occmask.testing import check_model


def test_the_model_keeps_the_protocol() -> None:
    check_model("$component")


def test_its_embeddings_are_narrow() -> None:
    model = occmask.build("$component").eval()
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 112, 96)).embedding.shape == (1, 64)
'''
    + RECOGNISES.replace('"from_tiny", $setting', '"$component"').replace("$margin", '"cosface"'),
    use="""```python
import occmask

model = occmask.build("$component")
```""",
)
