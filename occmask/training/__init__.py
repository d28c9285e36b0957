"""Training: recipes, one step, the loop around it, and checkpoints that survive being killed."""

from __future__ import annotations

from .loop import TrainingSummary, train
from .recipe import RECIPES, Recipe, recipe_named

__all__ = ["RECIPES", "Recipe", "TrainingSummary", "recipe_named", "train"]
