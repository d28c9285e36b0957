"""Templates of an objective with its recipe, and of a method."""

from __future__ import annotations

from .template import Template

OBJECTIVE = Template(
    what="an objective that draws a covered face to itself uncovered, and the recipe that trains with it",
    suffix="Objective",
    entry_points=(
        ("occmask.objectives", "$package:$Class"),
        ("occmask.recipes", "$package:${identifier}_recipe"),
    ),
    source='''"""An objective for occmask, and the recipe that trains with it."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import occmask


class $Class(nn.Module):
    """The identity loss, and how far a face's embedding lies from that of the same face uncovered.

    `weight`: of the second, 1 - cosine, beside the first.  Parts that see occlusion add what they lose, weighted as the
    recipe says.
    """

    needs_clean = True  # `batch.clean` holds the same faces without what covers them

    def __init__(
        self, model: occmask.FaceModel, loss: occmask.MarginLoss, recipe: occmask.Recipe, *, weight: float = 1.0
    ) -> None:
        super().__init__()
        if not weight >= 0:
            raise occmask.OptionError(f"'$component': weight is zero or more, not {weight!r}")
        self.weight, self.occlusion_weight = weight, recipe.occlusion_weight

    def forward(self, model: occmask.FaceModel, loss: occmask.MarginLoss, batch: occmask.FaceBatch) -> occmask.Losses:
        if batch.clean is None:
            raise occmask.DataError("'$component' needs batch.clean, the uncovered faces")
        output = model(batch.image)
        with torch.no_grad():  # the uncovered face is the aim, and does not move towards the covered one
            aim = model(batch.clean).embedding
        terms: dict[str, Tensor] = {
            "identity": loss(output.embedding, batch.label),
            "distance": (1 - F.cosine_similarity(output.embedding, aim)).mean(),
        }
        total = terms["identity"] + self.weight * terms["distance"]
        if model.has_occlusion_loss and batch.truth is not None:
            terms["occlusion"] = model.occlusion_loss(output, batch.truth)
            total = total + self.occlusion_weight * terms["occlusion"]
        return occmask.Losses(total, terms, output.embedding)


def ${identifier}_recipe(**changes: Any) -> occmask.Recipe:
    """The baseline goes on with covered faces, each drawn to itself uncovered."""
    own = {"name": "$component", "objective": "$component"}
    return occmask.RECIPES["augmented"](**{**own, **changes})
''',
    tests='''"""The objective keeps the protocol, and the recipe trains with it."""

from __future__ import annotations

import numpy as np
import torch

import occmask
from occmask.testing import check_objective, check_recipe


def test_the_objective_keeps_the_protocol() -> None:
    check_objective("$component")


def test_the_recipe_keeps_the_protocol() -> None:
    check_recipe("$component")


def test_the_recipe_trains_with_the_objective() -> None:
    torch.manual_seed(0)
    pictures = np.random.default_rng(0).integers(0, 256, (8, 112, 96, 3)).astype(np.uint8)
    faces = occmask.FaceSet.from_arrays(pictures, [0, 0, 1, 1, 2, 2, 3, 3])
    model = occmask.build("from_tiny", head=None)
    loss = occmask.build_loss("cosface", embedding_dim=model.width, num_classes=4)
    recipe = occmask.RECIPES["$component"](batch_size=4, epochs=2)
    assert recipe.objective.name == "$component"
    before = model.embedding.fc.weight.clone()
    summary = occmask.train(model, loss, faces, recipe, progress=False)
    assert summary.steps == 4
    assert np.isfinite(summary.loss)
    assert not torch.equal(before, model.embedding.fc.weight)
''',
    use="""```sh
occmask train orl --out runs/$component --model from_tiny --set head=null --recipe $component --start BASELINE
```""",
)

METHOD = Template(
    what="a method: FROM with a spatial mask, its head trained first",
    suffix="Method",
    entry_points=(("occmask.methods", "$package:${identifier}_method"),),
    source='''"""A method for occmask: a whole answer to occlusion, as plain data."""

from __future__ import annotations

import occmask


def _model(config: occmask.ModelConfig) -> occmask.ModelConfig:
    """The method's model, made of FROM's, such as that of "from_tiny"."""
    return config.override(mask_decoder="spatial")


def ${identifier}_method() -> occmask.Method:
    """FROM with a spatial mask: first its head on a frozen trunk, then everything."""
    return occmask.Method(
        summary="spatial mask, head first",
        family="remove features",
        model=_model,
        stages=(occmask.Stage(recipe="retrofit", share=0.5), occmask.Stage(recipe="from", share=0.5)),
    )
''',
    tests='''"""The method keeps the protocol."""

from __future__ import annotations

import occmask
from occmask.testing import check_method


def test_the_method_keeps_the_protocol() -> None:
    check_method("$component")


def test_its_model_has_a_spatial_mask() -> None:
    config = occmask.METHODS["$component"]().model(occmask.MODELS["from_tiny"]())
    assert config.head is not None
    assert config.head.options["mask_decoder"] == "spatial"


def test_its_stages_share_the_steps() -> None:
    assert sum(stage.share for stage in occmask.METHODS["$component"]().stages) == 1
''',
    use="""```python
import occmask

print(occmask.METHODS["$component"]().summary)
```""",
)
