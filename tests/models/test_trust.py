"""A component that returns what it did not promise is caught where it happens, by an error that names it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import occmask
from occmask import FeatureShape, Occlusion, OcclusionAnswer, Restoration, Sight
from occmask.models.trust import Trust, first_nonfinite

LIES: dict[str, type[nn.Module]] = {}


def lie(name: str) -> Any:
    """A component that breaks one promise, kept by what it does."""

    def keep(cls: type[nn.Module]) -> type[nn.Module]:
        LIES[name] = cls
        return cls

    return keep


class Restorer(nn.Module):
    finds_cover: Any = True

    def __init__(self, image: FeatureShape):
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 1)

    def forward(self, images: Tensor) -> Any:
        return Restoration(images * 1, self.layer(images))

    def loss(self, coverage: Tensor, truth: Any) -> Tensor:
        return coverage.mean()


@lie("a list for a restoration")
class NoRestoration(Restorer):
    def forward(self, images: Tensor) -> Any:
        return [images]


@lie("half a restoration")
class SmallerRestoration(Restorer):
    def forward(self, images: Tensor) -> Any:
        return Restoration(images[..., ::2], self.layer(images))


@lie("no coverage")
class PromisesCoverage(Restorer):
    def forward(self, images: Tensor) -> Any:
        return Restoration(images)


@lie("a word for finds_cover")
class SaysYes(Restorer):
    finds_cover = "yes"


@lie("a loss of each face")
class LossOfEach(Restorer):
    def loss(self, coverage: Tensor, truth: Any) -> Tensor:
        return coverage.mean((1, 2, 3))


class Locator(nn.Module):
    def __init__(self, image: FeatureShape):
        super().__init__()

    def forward(self, images: Tensor) -> Any:
        return images.new_tensor([0, 0, 1, 1]).expand(images.shape[0], 4)


@lie("three numbers for a box")
class ThreeNumbers(Locator):
    def forward(self, images: Tensor) -> Any:
        return super().forward(images)[:, :3]


@lie("one box for all")
class OneBox(Locator):
    def forward(self, images: Tensor) -> Any:
        return super().forward(images)[:1]


class Trunk(nn.Module):
    refinable = True

    def __init__(self, image_size: tuple[int, int]):
        super().__init__()
        self.shapes: Any = (FeatureShape(4, image_size[0] // 16, image_size[1] // 16),)
        self.layer = nn.Conv2d(3, 4, 16, 16)

    def forward(self, image: Tensor, refine: Any = None) -> Any:
        x = self.layer(image)
        return (x if refine is None else refine(0, x),)


@lie("another map")
class OtherMap(Trunk):
    def __init__(self, image_size: tuple[int, int]):
        super().__init__(image_size)
        self.shapes = (FeatureShape(4, 7, 7),)


@lie("two maps")
class TwoMaps(Trunk):
    def forward(self, image: Tensor, refine: Any = None) -> Any:
        return super().forward(image) * 2


@lie("shapes of nothing")
class NoShapes(Trunk):
    def __init__(self, image_size: tuple[int, int]):
        super().__init__(image_size)
        self.shapes = [(4, 7, 6)]


class Refiner(nn.Module):
    def __init__(self, image: FeatureShape, maps: Any):
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 16, 16)

    def forward(self, images: Tensor) -> Any:
        return Sight(self.layer(images))

    def refine(self, level: int, features: Tensor, sight: Sight) -> Any:
        return features * 1

    def loss(self, coverage: Tensor, truth: Any) -> Any:
        return coverage.mean()


@lie("flat coverage")
class FlatCoverage(Refiner):
    def forward(self, images: Tensor) -> Any:
        return Sight(self.layer(images)[:, 0])


@lie("another map back")
class OtherMapBack(Refiner):
    def refine(self, level: int, features: Tensor, sight: Sight) -> Any:
        return features[:, :2]


@lie("a number for a loss")
class NumberForALoss(Refiner):
    def loss(self, coverage: Tensor, truth: Any) -> Any:
        return 0.5


class Head(nn.Module):
    def __init__(self, shapes: occmask.FaceShapes):
        super().__init__()
        self.layer = nn.Conv2d(shapes.maps[-1].channels, 1, 1)

    def forward(self, maps: Any) -> Any:
        mask = self.layer(maps[-1])
        return Occlusion(mask, mask.mean((2, 3)))

    def loss(self, occlusion: Occlusion, truth: Any) -> Any:
        assert occlusion.pattern is not None
        return occlusion.pattern.mean()

    def answer(self, pattern: Tensor) -> Any:
        covered = pattern[:, 0].sigmoid()
        return OcclusionAnswer(covered[:, None, None].expand(-1, 2, 2), covered[:, None].expand(-1, 4), covered)


@lie("a plain tuple")
class PlainTuple(Head):
    def forward(self, maps: Any) -> Any:
        return tuple(super().forward(maps))


@lie("a mask of two channels")
class TwoChannels(Head):
    def forward(self, maps: Any) -> Any:
        found = super().forward(maps)
        return found._replace(mask=found.mask.expand(-1, 2, -1, -1))


@lie("a mask of one face")
class MaskOfOne(Head):
    def mask_logits(self, maps: Any) -> Any:
        return self.layer(maps[-1])[:1]


@lie("no pattern")
class NoPattern(Head):
    def forward(self, maps: Any) -> Any:
        return super().forward(maps)._replace(pattern=None)


@lie("a pattern of one face")
class PatternOfOne(Head):
    def mask_logits(self, maps: Any) -> Any:
        return self.layer(maps[-1])

    def predict_pattern(self, gate: Tensor) -> Any:
        return gate[:1].mean((2, 3))


@lie("percent")
class Percent(Head):
    def answer(self, pattern: Tensor) -> Any:
        found = super().answer(pattern)
        return found._replace(covered=found.covered * 100)


@lie("no square of cells")
class NoSquare(Head):
    def answer(self, pattern: Tensor) -> Any:
        found = super().answer(pattern)
        return found._replace(cells=found.cells[:, :1])


class Embedding(nn.Module):
    width: Any = 6

    def __init__(self, top: FeatureShape):
        super().__init__()
        self.layer = nn.Conv2d(top.channels, 6, 1)

    def forward(self, top: Tensor) -> Any:
        return self.layer(top).mean((2, 3))


@lie("another width")
class OtherWidth(Embedding):
    width = 7


@lie("a map for an embedding")
class MapForAnEmbedding(Embedding):
    def forward(self, top: Tensor) -> Any:
        return self.layer(top)


@lie("no width")
class NoWidth(Embedding):
    width = None


HONEST: dict[str, type[nn.Module]] = {
    "restorer": Restorer, "part_locator": Locator, "backbone": Trunk, "refiner": Refiner, "head": Head,
    "embedding": Embedding,
}  # fmt: skip


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Builds a model of the components above, one part of it replaced."""
    from occmask.models.config import COMPONENTS

    def build(**parts: type[nn.Module]) -> occmask.FaceModel:
        torch.manual_seed(0)
        chosen = {"backbone": Trunk, "embedding": Embedding, **parts}
        for part, factory in chosen.items():
            monkeypatch.setitem(COMPONENTS[part]._loaded, factory.__name__, factory)
        specs = {part: occmask.Spec(chosen[part].__name__) if part in chosen else None for part in HONEST}
        return occmask.FaceModel(occmask.ModelConfig(**specs)).eval()  # type: ignore[arg-type]

    return build


def part_of(lying: type[nn.Module]) -> str:
    return next(part for part, honest in HONEST.items() if issubclass(lying, honest))


def use(model: occmask.FaceModel) -> None:
    """All that a model is asked in its life."""
    images, truth = torch.zeros(3, 3, 112, 96), occmask.OcclusionTruth(torch.zeros(3, 4))
    model.train()
    output = model(images, occlusion=True, clean=True)
    if model.has_occlusion_loss:
        model.occlusion_loss(output, truth)
    model.eval()
    model(images)
    if model.sees_occlusion:
        model.occlusion_answer(model(images, occlusion=True))


def test_honest_components_are_trusted(model: Any) -> None:
    use(model(**HONEST))


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_an_error_that_names_who_told_it(name: str, model: Any) -> None:
    lying = LIES[name]
    part = part_of(lying)
    with pytest.raises(
        occmask.ShapeError, match=rf"^{part.replace('_', ' ')} '{lying.__name__}' .*; promised is "
    ) as e:
        use(model(**{part: lying}))
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "half a restoration",
            r"an image a tensor \(3, 3, 112, 48\); promised is \(B, 3, 112, 96\) for 3 pictures",
        ),
        ("one box for all", r"for a box a tensor \(1, 4\); promised is \(B, 4\) for 3 pictures"),
        ("another map", r"for map 0 a tensor \(3, 4, 7, 6\); promised is \(B, 4, 7, 7\)"),
        ("two maps", "returned a tuple of 2; promised is the 1 maps that it declares"),
        ("a mask of two channels", r"\(3, 2, 7, 6\); promised is \(B, 4, 7, 6\) or \(B, 1, 7, 6\) or \(B, 6\)"),
        ("percent", r"answered with covered from \S+ to \S+; promised is in \[0, 1\]"),
        ("another width", r"\(3, 6\); promised is \(B, 7\)"),
        ("no width", "declares width = None; promised is of type int"),
        ("a number for a loss", "returned for a loss a float; promised is a scalar tensor"),
    ],
)
def test_the_error_says_what_came_and_what_was_promised(name: str, words: str, model: Any) -> None:
    with pytest.raises(occmask.ShapeError, match=words):
        use(model(**{part_of(LIES[name]): LIES[name]}))


def test_what_is_no_module_is_caught_when_the_model_is_built(model: Any) -> None:
    class Function:
        def __init__(self, shapes: occmask.FaceShapes): ...

    with pytest.raises(occmask.ShapeError, match=r"head 'Function' is a Function; promised is a torch\.nn\.Module"):
        model(head=Function)


def test_a_lie_names_the_plug_in_it_comes_from(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        type(occmask.HEADS), "plugin_of", lambda self, name: "occmask-liar" if name == "Percent" else None
    )
    with pytest.raises(occmask.ShapeError, match=r"^head 'Percent' of plug-in 'occmask-liar' answered"):
        use(model(head=LIES["percent"]))


def test_a_lie_inside_a_head_names_the_component_inside() -> None:
    @occmask.MASK_DECODERS.register("liar")
    class Liar(nn.Module):
        needs_pyramid = False

        def __init__(self, source: FeatureShape, shapes: occmask.FaceShapes):
            super().__init__()
            self.mask_shape = tuple(source)

        def forward(self, x: Tensor) -> Tensor:
            return x[:, :3]

    try:
        model = occmask.build("from_tiny", mask_decoder="liar").eval()
        with pytest.raises(occmask.ShapeError, match=r"^head 'from' \(with mask decoder 'liar'\) returned for a mask"):
            model(torch.zeros(2, 3, 112, 96))
    finally:
        del occmask.MASK_DECODERS._loaded["liar"]


@pytest.mark.parametrize("part", HONEST)
def test_the_first_to_make_nan_is_named(part: str, model: Any) -> None:
    """In evaluation on a CPU, where the embedding would otherwise mean nothing without a word."""
    spoilt: Any = type("Spoilt", (HONEST[part],), {"forward": lambda self, *a: _spoilt(HONEST[part].forward(self, *a))})
    built = model(**{**HONEST, part: spoilt})
    words = rf"the model's answer holds NaN or infinity, which began in .* of {part.replace('_', ' ')} 'Spoilt'"
    with pytest.raises(occmask.ShapeError, match=words):
        built(torch.zeros(2, 3, 112, 96))
    assert not built.trust.watching


def _spoilt(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value * float("nan")
    items = [_spoilt(item) for item in value if item is not None]
    return type(value)(*items) if hasattr(value, "_fields") else tuple(items)


def test_looking_for_nan_changes_neither_model_nor_random_numbers() -> None:
    model = occmask.build("from_tiny").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    assert first_nonfinite(model, torch.zeros(4, 3, 112, 96)) is None
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert first_nonfinite(model, torch.full((4, 3, 112, 96), torch.nan)) == "the pictures themselves"


@pytest.mark.slow
def test_trust_stays_out_of_compiled_and_exported_models(model: Any) -> None:
    """One graph, any number of faces, and the same answers."""
    built = model(**HONEST)
    torch._dynamo.reset()
    compiled = torch.compile(built, backend="eager", fullgraph=True, dynamic=True)
    program = torch.export.export(
        built, (torch.zeros(2, 3, 112, 96),), dynamic_shapes={"images": {0: torch.export.Dim("faces", min=1)}}
    ).module()
    with torch.no_grad():
        for count in (2, 5):
            images = torch.rand(count, 3, 112, 96)
            expected = built(images).embedding
            torch.testing.assert_close(compiled(images).embedding, expected)
            torch.testing.assert_close(program(images).embedding, expected)
    torch._dynamo.reset()


def test_a_lie_is_caught_in_a_compiled_model_too(model: Any) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(model(embedding=LIES["another width"]), backend="eager")
    with pytest.raises(occmask.ShapeError, match="embedding 'OtherWidth'"):
        compiled(torch.zeros(2, 3, 112, 96))
    torch._dynamo.reset()


def test_trust_in_nobody_else() -> None:
    """It belongs to one model: a copy is watched on its own."""
    import copy

    model = occmask.build("from_tiny", head=None)
    other = copy.deepcopy(model)
    assert isinstance(other.trust, Trust)
    assert other.trust is not model.trust
