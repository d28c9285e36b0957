"""Training: recipes, what a step minimises, the loop around it, and checkpoints that survive being killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..registry import Registry

if TYPE_CHECKING:
    from .methods import Method
    from .objectives import Objective
    from .recipe import Recipe

# A recipe's factory takes changes of its settings by keyword.
RECIPES: Registry[Recipe] = Registry(
    "recipe",
    "occmask.recipes",
    {
        "baseline": "occmask.training.recipe:baseline",
        "augmented": "occmask.training.recipe:augmented",
        "from": "occmask.training.recipe:from_",
        "retrofit": "occmask.training.recipe:retrofit",
        "frozen": "occmask.training.recipe:frozen",
        "occupancy": "occmask.training.recipe:occupancy",
    },
)

OBJECTIVES: Registry[Objective] = Registry(
    "objective",
    "occmask.objectives",
    {
        "identity": "occmask.training.identity:IdentityObjective",
        "occlusion": "occmask.training.occlusion:OcclusionObjective",
    },
)

# A method's factory takes nothing and returns plain data.
METHODS: Registry[Method] = Registry(
    "method",
    "occmask.methods",
    {
        name: f"occmask.training.known_methods:{function}"
        for name, function in (
            ("baseline", "baseline"),
            ("augmented", "augmented"),
            ("from", "from_"),
            ("from_regression", "from_regression"),
            ("from_hard", "from_hard"),
            ("from_spatial", "from_spatial"),
            ("from_vector", "from_vector"),
            ("from_deep", "from_deep"),
            ("frozen", "frozen"),
            ("retrofit", "retrofit"),
        )
    },
)

__all__ = ["METHODS", "OBJECTIVES", "RECIPES"]
