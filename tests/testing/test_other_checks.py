"""Objectives, recipes, methods, what is drawn, data, protocols and named models: each check catches what is broken."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import occmask
from occmask import Losses, Method, Recipe, Spec, Stage
from occmask.data.faces import FaceSet
from occmask.occluders.occlude import Placed
from occmask.occluders.occluder import Worn
from occmask.protocols.face_identification import FaceIdentification
from occmask.protocols.inputs import ProbesAndGallery
from occmask.testing import (
    check_dataset,
    check_method,
    check_model,
    check_objective,
    check_occluder,
    check_placement,
    check_protocol,
    check_recipe,
    check_testset,
)
from occmask.testsets.recipe import Made
from occmask.training.identity import IdentityObjective
from occmask.training.known_methods import augmented as augmented_method
from occmask.training.recipe import augmented

SMALL = occmask.ModelConfig(backbone=Spec("tiny"), head=None, embedding=Spec("flat", dim=16))


class GoodObjective(nn.Module):
    """Identity, and nothing else."""

    needs_clean: Any = False

    def __init__(self, model: Any, loss: Any, recipe: Recipe):
        super().__init__()

    def forward(self, model: Any, loss: Any, batch: Any) -> Any:
        embedding = model(batch.image).embedding
        total = loss(embedding, batch.label)
        return Losses(total, {"identity": total}, embedding)


class KeepsTheModel(GoodObjective):
    def __init__(self, model: Any, loss: Any, recipe: Recipe):
        super().__init__(model, loss, recipe)
        self.model = model


class SaysNothing(GoodObjective):
    needs_clean = None


class ReturnsTheTotal(GoodObjective):
    def forward(self, model: Any, loss: Any, batch: Any) -> Any:
        return super().forward(model, loss, batch).total


class TotalPerFace(GoodObjective):
    def forward(self, model: Any, loss: Any, batch: Any) -> Any:
        found = super().forward(model, loss, batch)
        return found._replace(total=found.embedding.sum(1))


class NanTerm(GoodObjective):
    def forward(self, model: Any, loss: Any, batch: Any) -> Any:
        found = super().forward(model, loss, batch)
        return found._replace(terms={"other": found.total * float("nan")})


class Detached(GoodObjective):
    def forward(self, model: Any, loss: Any, batch: Any) -> Any:
        found = super().forward(model, loss, batch)
        return found._replace(total=found.total.detach())


class SpoilsTheBatch(GoodObjective):
    def forward(self, model: Any, loss: Any, batch: Any) -> Any:
        batch.image.mul_(0.5)
        return super().forward(model, loss, batch)


class Forgotten(GoodObjective):
    def __init__(self, model: Any, loss: Any, recipe: Recipe):
        super().__init__(model, loss, recipe)
        self.critic = nn.Linear(2, 2)


class OwnRandomNumbers(GoodObjective):
    def forward(self, model: Any, loss: Any, batch: Any) -> Any:
        found = super().forward(model, loss, batch)
        return found._replace(total=found.total * (1 + np.random.default_rng().random()))


class TakesTooMany(GoodObjective):
    finishing_batches = 2

    def finish(self, model: Any, batches: Any) -> None:
        for _ in range(3):
            next(batches)


class OneCellEach(GoodObjective):
    """What belongs to a cell learns only where that is covered, and all of it takes part in the end."""

    finishing_batches = 8

    def __init__(self, model: Any, loss: Any, recipe: Recipe):
        super().__init__(model, loss, recipe)
        self.cells = nn.ParameterList(torch.ones(()) for _ in range(25))

    def forward(self, model: Any, loss: Any, batch: Any) -> Any:
        found = super().forward(model, loss, batch)
        return found._replace(total=found.total + sum(self.cells[index] for index in self._covered(batch)))

    def finish(self, model: Any, batches: Any) -> None:
        assert {index for batch in batches for index in self._covered(batch)} == set(range(25))

    def _covered(self, batch: Any) -> list[int]:
        centre = (batch.truth.box[:, :2] + batch.truth.box[:, 2:]) / 2
        return [int(5 * y) * 5 + int(5 * x) for x, y in centre.tolist()]


@pytest.mark.parametrize(
    ("objective", "clause"),
    [
        (KeepsTheModel, r"keeps neither model nor loss, but holds model\."),
        (SaysNothing, "by `needs_clean`, True or False"),
        (ReturnsTheTotal, r"returns an occmask\.Losses, not a Tensor"),
        (TotalPerFace, r"the total has shape \(\), not \(4,\)"),
        (NanTerm, "finite in the losses"),
        (Detached, "total that can be differentiated, but it is detached"),
        (SpoilsTheBatch, "leaves its batch as it was"),
        (Forgotten, "no gradient reaches critic.weight, critic.bias"),
        (OwnRandomNumbers, "costs the same for the same batch"),
        (TakesTooMany, "finishes after the last step, but that raised StopIteration"),
    ],
)
def test_a_broken_objective_is_caught_by_the_clause_it_breaks(objective: type[nn.Module], clause: str) -> None:
    with pytest.raises(AssertionError, match=clause):
        check_objective(objective, model=SMALL)


def test_good_objectives_pass() -> None:
    check_objective(GoodObjective, model=SMALL)
    check_objective(OneCellEach, model=SMALL)
    check_objective(IdentityObjective)


def good_recipe(**changes: Any) -> Recipe:
    """The control, called otherwise."""
    return augmented().override(**{"name": "good", **changes})


def deaf_recipe(**changes: Any) -> Recipe:
    """It does not listen."""
    return augmented()


def greedy_recipe(**changes: Any) -> Recipe:
    """It takes anything."""
    changes.pop("no_such_setting", None)
    return augmented(**changes)


def lost_recipe(**changes: Any) -> Recipe:
    """Its objective is nobody's."""
    return augmented().override(**{"objective": Spec("nobodys"), **changes})


def impossible_recipe(**changes: Any) -> Recipe:
    """Glasses of an exact area."""
    return augmented().override(**{"occluders": ("eyeglasses",), "placement": Spec("area", low=0.3), **changes})


@pytest.mark.parametrize(
    ("recipe", "clause"),
    [
        (deaf_recipe, "follows the changes that it takes"),
        (greedy_recipe, "refuses a setting that no recipe has"),
        (lost_recipe, "names an objective that exists, not 'nobodys'"),
        (impossible_recipe, "occluders and a placement that go together, but that raised OptionError"),
    ],
)
def test_a_broken_recipe_is_caught_by_the_clause_it_breaks(recipe: Any, clause: str) -> None:
    check_recipe(good_recipe)
    with pytest.raises(AssertionError, match=clause):
        check_recipe(recipe)


def method_with(**changes: Any) -> Any:
    def method() -> Method:
        """The control, changed."""
        return dataclasses.replace(augmented_method(), **changes)

    return method


@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        ({"summary": "two\nlines"}, "in one line of text its `summary`"),
        ({"stages": ()}, "a tuple of occmask.Stage for its stages"),
        ({"stages": (Stage(recipe="nobodys"),)}, "trains by recipes that exist, not 'nobodys'"),
        ({"stages": (Stage(recipe="from"),)}, r"the parts that its model has, \(\), not \('head',\)"),
        ({"stages": (Stage(recipe="augmented", settings={"epoch": 3}),)}, "has settings for stage 1 .*did you mean"),
        ({"starts_from": "nobodys"}, "starts_from a method that exists, or None, not 'nobodys'"),
        ({"model": lambda config: config.override(head=None, backbone="lresnet")}, "keeps the backbone"),
        ({"model": lambda config: config.override(head=None, image_size=(112, 112))}, "keeps the input_spec"),
        ({"model": lambda config: None}, r"makes an occmask\.ModelConfig, not a NoneType"),
    ],
)
def test_a_broken_method_is_caught_by_the_clause_it_breaks(changes: Any, clause: str) -> None:
    with pytest.raises(AssertionError, match=rf"(?i){clause}"):
        check_method(method_with(**changes), train=False)


def test_a_good_method_passes() -> None:
    check_method(method_with())


class Sticker:
    """A grey square."""

    worn: Any = Worn(0.5, 0.5, 0.3)

    def draw(self, rng: Any, width: int) -> Any:
        return np.full((width, width, 4), [*rng.integers(0, 255, 3), 255], np.uint8)

    def fill(self, rng: Any, height: int, width: int) -> Any:
        return np.full((height, width, 4), 255, np.uint8)


class WornNowhere(Sticker):
    worn = None


class Rgb(Sticker):
    def draw(self, rng: Any, width: int) -> Any:
        return super().draw(rng, width)[..., :3]


class Floats(Sticker):
    def draw(self, rng: Any, width: int) -> Any:
        return super().draw(rng, width) / 255


class Glass(Sticker):
    def draw(self, rng: Any, width: int) -> Any:
        return super().draw(rng, width) * np.array([1, 1, 1, 0], np.uint8)


class GlobalNumbers(Sticker):
    def draw(self, rng: Any, width: int) -> Any:
        np.random.rand()  # noqa: NPY002
        return super().draw(rng, width)


class Counts(Sticker):
    count = 0

    def draw(self, rng: Any, width: int) -> Any:
        type(self).count += 1
        return np.full((width, width, 4), self.count % 256, np.uint8)


class Sideways(Sticker):
    def fill(self, rng: Any, height: int, width: int) -> Any:
        return super().fill(rng, width, height)


class StaysAtHome(Sticker):
    def __init__(self) -> None:
        self.colour = lambda: 3


@pytest.mark.parametrize(
    ("occluder", "clause"),
    [
        (WornNowhere, "by `worn`, a Worn, where it sits"),
        (Rgb, r"uint8 \('any', 1, 4\), not uint8 \(1, 1, 3\)"),
        (Floats, "not float64"),
        (Glass, "hides something at its largest, but is transparent"),
        (GlobalNumbers, "NumPy's global one has moved"),
        (Counts, "the same from the same generator"),
        (Sideways, r"not uint8 \(30, 9, 4\)"),
        (StaysAtHome, "sent to worker processes"),
    ],
)
def test_a_broken_occluder_is_caught_by_the_clause_it_breaks(occluder: Any, clause: str) -> None:
    check_occluder(Sticker)
    with pytest.raises(AssertionError, match=clause):
        check_occluder(occluder)


class InTheMiddle:
    """In the middle."""

    def check(self, occluder: Any) -> None: ...

    def __call__(self, occluder: Any, rng: Any, image_size: tuple[int, int]) -> Any:
        return Placed(occluder.draw(rng, 20), image_size[1] // 2, image_size[0] // 2)


class BesideTheFace(InTheMiddle):
    def __call__(self, occluder: Any, rng: Any, image_size: tuple[int, int]) -> Any:
        return Placed(occluder.draw(rng, 20), 500, 0)


class HalfPixels(InTheMiddle):
    def __call__(self, occluder: Any, rng: Any, image_size: tuple[int, int]) -> Any:
        return super().__call__(occluder, rng, image_size)._replace(left=1.5)


class RefusesAll(InTheMiddle):
    def check(self, occluder: Any) -> None:
        raise occmask.OptionError("none")


class RefusesRudely(InTheMiddle):
    def check(self, occluder: Any) -> None:
        assert hasattr(occluder, "fill_all")


@pytest.mark.parametrize(
    ("placement", "clause"),
    [
        (BesideTheFace, "covers something of most faces, but of 0 out of 8"),
        (HalfPixels, "whole pixels"),
        (RefusesAll, "refuses both"),
        (RefusesRudely, "refuses an occluder by an OptionError"),
    ],
)
def test_a_broken_placement_is_caught_by_the_clause_it_breaks(placement: Any, clause: str) -> None:
    check_placement(InTheMiddle)
    with pytest.raises(AssertionError, match=clause):
        check_placement(placement)


class TopHalf:
    """The top half of the picture in black."""

    condition: Any = "top_half"
    occluders: Any = ()

    def __call__(self, face: Any, rng: Any) -> Any:
        covered = np.zeros(face.image.shape[:2], bool)
        covered[: len(covered) // 2] = True
        return Made(np.where(covered[..., None], 0, face.image).astype(np.uint8), covered, "black")


class Nameless(TopHalf):
    condition = ""


class OccludersByName(TopHalf):
    occluders = ("cup",)


class CoversMoreThanItSays(TopHalf):
    def __call__(self, face: Any, rng: Any) -> Any:
        made = super().__call__(face, rng)
        return made._replace(covered=made.covered & False)


class PaintsTheFace(TopHalf):
    def __call__(self, face: Any, rng: Any) -> Any:
        made = super().__call__(face, rng)
        face.image[:] = made.image
        return made


@pytest.mark.parametrize(
    ("recipe", "clause"),
    [
        (Nameless, "names its `condition`, not ''"),
        (OccludersByName, "lists its `occluders` as Specs"),
        (CoversMoreThanItSays, "changes only what it calls covered"),
        (PaintsTheFace, "leaves the face that it is given as it was"),
    ],
)
def test_a_broken_test_set_recipe_is_caught_by_the_clause_it_breaks(recipe: Any, clause: str) -> None:
    check_testset(TopHalf)
    with pytest.raises(AssertionError, match=clause):
        check_testset(recipe)


def pictures(people: int = 4, each: int = 3) -> FaceSet:
    """Noise around one picture a person."""
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 200, (people, 1, 28, 24, 3)) + rng.integers(0, 55, (people, each, 28, 24, 3))
    return FaceSet.from_arrays(faces.reshape(-1, 28, 24, 3).astype(np.uint8), np.arange(people).repeat(each))


def set_with(**changes: Any) -> Any:
    def load() -> FaceSet:
        """Some noise."""
        return dataclasses.replace(pictures(), **changes)

    return load


class Flickering:
    """Other pictures every time."""

    def __len__(self) -> int:
        return 12

    def name(self, index: int) -> str:
        return f"picture {index}"

    def read(self, index: int) -> Any:
        return np.random.default_rng().integers(0, 256, (28, 24, 3), np.uint8)


class OneName(Flickering):
    def name(self, index: int) -> str:
        return "picture"


@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        ({"image_size": (24, 28)}, r"is uint8 \(24, 28, 3\), not uint8 \(28, 24, 3\)"),
        ({"grey": True}, "is `grey` only if no picture has colour"),
        ({"pictures": Flickering()}, "the same in any order"),
        ({"pictures": OneName()}, "a name of its own"),
        ({"people": ("a", "a", "b", "c")}, "names every person once"),
    ],
)
def test_a_broken_data_set_is_caught_by_the_clause_it_breaks(changes: Any, clause: str) -> None:
    check_dataset(set_with())
    with pytest.raises(AssertionError, match=clause):
        check_dataset(set_with(**changes))


class NamesNoData(FaceIdentification):
    def __call__(self, embed: Any, data: Any) -> Any:
        return dataclasses.replace(super().__call__(embed, data), data={})


class Wandering(FaceIdentification):
    def __call__(self, embed: Any, data: Any) -> Any:
        return dataclasses.replace(super().__call__(embed, data), notes=(str(np.random.default_rng().random()),))


class Swallows(FaceIdentification):
    def __call__(self, embed: Any, data: Any) -> Any:
        return super().__call__(lambda images: np.nan_to_num(embed(images), nan=1.0), data)


class Outside(FaceIdentification):
    def __call__(self, embed: Any, data: Any) -> Any:
        found = super().__call__(embed, data)
        figures = {g: {n: f._replace(low=f.value + 0.1) for n, f in fs.items()} for g, fs in found.figures.items()}
        return dataclasses.replace(found, figures=figures)


@pytest.mark.parametrize(
    ("protocol", "clause"),
    [
        (NamesNoData, "the fingerprint of what it was measured on"),
        (Wandering, "finds the same twice"),
        (Swallows, "refuses embeddings of NaN by a ProtocolError"),
        (Outside, "inside its interval"),
    ],
)
def test_a_broken_protocol_is_caught_by_the_clause_it_breaks(protocol: Any, clause: str) -> None:
    faces = pictures()
    data = ProbesAndGallery(faces.select(np.arange(12) % 3 > 0), faces.select(np.arange(12) % 3 == 0))
    check_protocol(FaceIdentification, data)
    with pytest.raises(AssertionError, match=clause):
        check_protocol(protocol, data)


def test_a_model_of_components_that_do_not_exist_is_caught() -> None:
    def model() -> occmask.ModelConfig:
        """A trunk that nobody has."""
        return occmask.ModelConfig(backbone=Spec("nobodys"), head=None)

    def changing() -> Any:
        """Another width every time."""
        return SMALL.override(embedding__dim=int(torch.randint(1, 10**6, ())))

    with pytest.raises(AssertionError, match="nobodys"):
        check_model(model)
    with pytest.raises(AssertionError, match="the same config every time"):
        check_model(changing)
    with pytest.raises(AssertionError, match=r"an occmask\.ModelConfig, not a dict"):
        check_model(dict)  # type: ignore[arg-type, return-value]


@pytest.mark.slow
def test_a_good_model_passes() -> None:
    def model() -> occmask.ModelConfig:
        """A small one."""
        return SMALL

    check_model(model)
