"""`check_recipe` and `check_method`: plain data that says how something is trained."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np

from ..data.faces import FaceSet
from ..errors import OptionError
from ..models.config import MODELS, ModelConfig
from ..occluders import PLACEMENTS
from ..occluders.occlude import Occlusions
from ..spec import Spec
from ..training import METHODS, OBJECTIVES, RECIPES
from ..training.budgets import BUDGETS, Budget
from ..training.methods import Method, Stage, stage_recipe, train_method
from ..training.recipe import Recipe
from .describing import check_description
from .examination import Component, Examination, seeded

_FACES, _BATCH = 8, 4


def check_recipe(recipe: Component[Recipe]) -> None:
    """Raise `AssertionError` unless a recipe can be used by name: `factory(**changes) -> occmask.Recipe`.

    Checked: it follows its changes, the optimiser's own among them, and refuses unknown ones; JSON gives it back; its
    objective, occluders and placement exist and go together; and it has a docstring.
    """
    exam = Examination(RECIPES, recipe)
    found = exam.build()
    exam.require(isinstance(found, Recipe), f"returns an occmask.Recipe, not a {type(found).__name__}")
    exam.require(exam.build() == found, "is the same recipe every time")
    with exam.clause("takes changes by keyword"):
        changed = exam.factory(**{**exam.options, "epochs": 3.5, "seed": 7, "name": "examined"})
    exam.require(
        (changed.epochs, changed.seed, changed.name) == (3.5, 7, "examined"), "follows the changes that it takes"
    )
    try:
        exam.factory(**exam.options, no_such_setting=1)
    except (OptionError, TypeError):
        pass
    else:
        exam.require(False, "refuses a setting that no recipe has, but took 'no_such_setting'")
    with exam.clause("is plain data"):
        again = Recipe(**json.loads(json.dumps(found.to_dict())))
    exam.require(again == found, "is what JSON gives back")
    exam.require(found.objective.name in OBJECTIVES, f"names an objective that exists, not {found.objective.name!r}")
    with exam.clause("has occluders and a placement that go together"):
        Occlusions(found.occluders, PLACEMENTS.build(found.placement), share=1 - found.clean_share)
    check_description(exam, changes=True)


def check_method(method: Component[Method], *, base: str | ModelConfig = "from_tiny", train: bool = True) -> None:
    """Raise `AssertionError` unless a method can be compared with others: `factory() -> occmask.Method`.

    Checked: it says in a line what it is; its stages are recipes that exist, with settings that every budget takes, for
    just the parts that its model has; it keeps trunk, embedding and pictures of the `base` model; what it starts from
    and is compared with exist, and the chain of starts ends; and, with `train`, a step a stage on a few made-up faces.
    """
    exam = Examination(METHODS, method)
    found = exam.build()
    exam.require(isinstance(found, Method), f"returns an occmask.Method, not a {type(found).__name__}")
    for name in ("summary", "family"):
        value = getattr(found, name)
        one_line = isinstance(value, str) and bool(value.strip()) and "\n" not in value
        exam.require(one_line, f"says in one line of text its `{name}`, not {value!r}")
    stages = found.stages
    exam.require(
        isinstance(stages, tuple) and bool(stages) and all(isinstance(stage, Stage) for stage in stages),
        f"has a tuple of occmask.Stage for its stages, at least one, not {stages!r}",
    )
    _check_origin(exam, found)
    config = MODELS[base]() if isinstance(base, str) else base
    with exam.clause("makes its model's config of FROM's"):
        made = found.model(config)
    exam.require(isinstance(made, ModelConfig), f"makes an occmask.ModelConfig, not a {type(made).__name__}")
    exam.require(found.model(config) == made, "makes the same model every time")
    for shared in ("backbone", "embedding", "input_spec"):
        ours, theirs = getattr(made, shared), getattr(config, shared)
        exam.require(ours == theirs, f"keeps the {shared} that every method of a comparison shares, not {ours!r}")
    for index, stage in enumerate(stages):
        exam.require(stage.recipe in RECIPES, f"trains by recipes that exist, not {stage.recipe!r}")
        for name, budget in BUDGETS.items():
            with exam.clause(f"has settings for stage {index + 1} under budget {name!r}"):
                recipe = stage_recipe(found, index, budget, num_faces=200, seed=0)
            exam.require(
                set(recipe.parts) == set(made.occlusion_parts),
                f"trains in stage {index + 1} the parts that its model has, {made.occlusion_parts}, not {recipe.parts}",
            )
    check_description(exam)
    if train:
        with exam.clause("trains for a step a stage"), seeded():
            _train(exam, found, config)


def _check_origin(exam: Examination, method: Method) -> None:
    for what in ("starts_from", "control"):
        name = getattr(method, what)
        exam.require(name is None or name in METHODS, f"{what} a method that exists, or None, not {name!r}")
    chain: list[str] = []
    name = method.starts_from
    while name is not None:
        exam.require(name not in chain, f"starts in the end from nothing, not in a circle: {' <- '.join(chain)}")
        chain.append(name)
        name = METHODS[name]().starts_from


def _train(exam: Examination, method: Method, config: ModelConfig) -> None:
    """On noise: that it runs, not that it learns."""
    height, width = config.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (_FACES, height, width, 3), np.uint8)
    faces = FaceSet.from_arrays(pixels, np.arange(_FACES) % 2, template=config.template)
    shares = sum(stage.share for stage in method.stages)
    common: dict[str, Any] = {**BUDGETS["small"].common, "batch_size": _BATCH}
    budget = Budget(
        first_steps=1,
        more_steps=max(1, round(len(method.stages) / shares)),
        common=common,
        more={"optimiser": Spec("adamw", learning_rate=1e-4), "parts_learning_rate": 1e-4},
        small=True,
    )
    name = f"examined_{id(exam)}"
    METHODS.register(name, lambda: dataclasses.replace(method))
    try:
        start = None
        if method.starts_from is not None:
            start = _start(method.starts_from, faces, config, budget)
        trained = train_method(
            name, faces, base=config, margin=Spec("cosface", scale=16.0), budget=budget, start=start, progress=False
        )
    finally:
        del METHODS._loaded[name]
    exam.require(not trained.model.training, "leaves its model in evaluation mode")
    exam.require_finite([p.detach() for p in trained.model.parameters()], "in the trained weights")


def _start(name: str, faces: FaceSet, config: ModelConfig, budget: Budget) -> Any:
    before = METHODS[name]().starts_from
    start = None if before is None else _start(before, faces, config, budget)
    margin = Spec("cosface", scale=16.0)
    return train_method(name, faces, base=config, margin=margin, budget=budget, start=start, progress=False)
