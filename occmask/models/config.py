"""`ModelConfig`: everything needed to build a model, as frozen plain data. Imports no torch."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ..backbones import BACKBONES
from ..embeddings import EMBEDDINGS
from ..errors import OptionError, did_you_mean
from ..heads import HEADS, MASK_DECODERS, PATTERN_PREDICTORS
from ..images.input_spec import InputSpec
from ..parts import PART_LOCATORS
from ..refiners import REFINERS
from ..registry import Registry
from ..restorers import RESTORERS
from ..spec import Spec

# Settings and options of these names hold components, wherever they stand.
COMPONENTS: dict[str, Registry[Any]] = {
    "restorer": RESTORERS,
    "part_locator": PART_LOCATORS,
    "backbone": BACKBONES,
    "refiner": REFINERS,
    "head": HEADS,
    "gate": HEADS,
    "embedding": EMBEDDINGS,
    "mask_decoder": MASK_DECODERS,
    "pattern_predictor": PATTERN_PREDICTORS,
}

PARTS = ("restorer", "part_locator", "backbone", "refiner", "head", "embedding")  # of a model, in the order of a batch
OCCLUSION_PARTS = ("restorer", "part_locator", "refiner", "head")  # a recogniser needs none of them


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The full truth about a model; `ModelConfig.from_dict(config.to_dict()) == config`.

    `image_size` is (height, width) in pixels; without `restorer`, `part_locator`, `refiner` and `head` it is a plain
    recogniser that deals with no occlusion.  `template`, `colour`, `mean` and `scale` say what else the pictures are
    like: see `InputSpec`.
    """

    image_size: tuple[int, int] = (112, 96)
    template: str = "arcface"
    colour: str = "RGB"
    mean: float = 127.5
    scale: float = 127.5
    restorer: Spec | None = None
    part_locator: Spec | None = None
    backbone: Spec = Spec("lresnet")
    refiner: Spec | None = None
    head: Spec | None = Spec("from")
    embedding: Spec = Spec("flat")

    def __post_init__(self) -> None:
        size = self.image_size
        if not (isinstance(size, (tuple, list)) and len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size)):
            raise OptionError(f"image_size is (height, width) in pixels, such as (112, 96), not {size!r}")
        object.__setattr__(self, "image_size", tuple(size))
        _ = self.input_spec  # refuses what cannot be
        for name in PARTS:
            value = getattr(self, name)
            if value is None and name not in OCCLUSION_PARTS:
                raise OptionError(f"a model needs a {name}; only {', '.join(OCCLUSION_PARTS)} may be None")
            if value is not None:
                object.__setattr__(self, name, Spec.of(value))

    @property
    def occlusion_parts(self) -> tuple[str, ...]:
        """Which of `OCCLUSION_PARTS` the model has."""
        return tuple(name for name in OCCLUSION_PARTS if getattr(self, name) is not None)

    @property
    def input_spec(self) -> InputSpec:
        """The pictures that the model takes."""
        return InputSpec(
            size=self.image_size, template=self.template, colour=self.colour, mean=self.mean, scale=self.scale
        )

    def override(self, **changes: Any) -> ModelConfig:
        """A changed copy.

        `head="mine"` swaps a component (and resets its options), `head__pattern_predictor__k=4` or
        `**{"head.pattern_predictor.k": 4}` changes one option, and a short name that belongs to exactly one
        component (`mask_decoder="spatial"`, `depth=18`) finds its owner.
        """
        config = self
        for path, value in changes.items():
            config = _override(config, path.replace("__", ".").split("."), value)
        return config

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = self.input_spec.to_dict()
        plain = {"image_size": plain.pop("size"), **plain}
        for name in PARTS:
            spec = getattr(self, name)
            plain[name] = None if spec is None else spec.to_dict()
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> ModelConfig:
        """The config that `to_dict` described; unknown settings are an `OptionError`."""
        for key in plain:
            if key not in _SETTINGS:
                raise _unknown(key, _SETTINGS)
        return cls(**plain)


_SETTINGS = tuple(field.name for field in fields(ModelConfig))


def _unknown(key: str, known: tuple[str, ...]) -> OptionError:
    return OptionError(f"a model has no setting {key!r}.{did_you_mean(key, known)} Settings: {', '.join(known)}")


def _override(config: ModelConfig, path: list[str], value: Any) -> ModelConfig:
    if path[0] not in _SETTINGS:
        path = [*_owner(config, path[0]), *path]
    setting, *rest = path
    if rest:
        value = _set(getattr(config, setting), COMPONENTS.get(setting), rest, value, setting)
    return replace(config, **{setting: value})


def _set(spec: Any, registry: Registry[Any] | None, path: list[str], value: Any, at: str) -> Spec:
    """`spec` with the option at `path` changed; components on the way come from their owners' defaults."""
    if registry is None or spec is None:
        what = "is None" if registry is not None else "is not a component"
        raise OptionError(f"{at} {what}, so it has no option {path[0]!r}")
    option, *rest = path
    spec = Spec.of(spec)
    if rest:
        inner = spec.options.get(option, _defaults(registry, spec.name).get(option))
        value = _set(inner, COMPONENTS.get(option), rest, value, f"{at}.{option}")
    changed: Spec = spec.replace(**{option: value})
    return changed


def _owner(config: ModelConfig, option: str) -> list[str]:
    """The path of the one component that has this option."""
    settings = list(_SETTINGS)
    owners = []
    for path, registry, spec in components(config):
        options = _defaults(registry, spec.name)
        settings += options
        if option in options:
            owners.append(path)
    if not owners:
        raise _unknown(option, tuple(dict.fromkeys(settings)))
    if len(owners) > 1:
        paths = " and ".join(repr("__".join([*path, option])) for path in owners)
        raise OptionError(f"{option!r} is an option of {len(owners)} components; say which: {paths}")
    return owners[0]


def components(config: ModelConfig) -> Iterator[tuple[list[str], Registry[Any], Spec]]:
    """Every component of the config with its path, nested ones after their owners."""
    waiting = [([name], getattr(config, name)) for name in PARTS]
    while waiting:
        path, value = waiting.pop(0)
        if value is None:
            continue
        registry, spec = COMPONENTS[path[-1]], Spec.of(value)
        yield path, registry, spec
        for option, default in _defaults(registry, spec.name).items():
            if option in COMPONENTS:
                waiting.append(([*path, option], spec.options.get(option, default)))


def _defaults(registry: Registry[Any], name: str) -> dict[str, Any]:
    defaults = registry.options(name)
    return {option: None if default is inspect.Parameter.empty else default for option, default in defaults.items()}


MODELS: Registry[ModelConfig] = Registry(
    "model",
    "occmask.models",
    {
        name: f"occmask.models.presets:{name}"
        for name in (
            "baseline_r50",
            "from_r18",
            "from_r34",
            "from_r50",
            "from_r50_deep",
            "from_r50_regression",
            "from_r50_spatial",
            "from_r50_vector",
            "from_r100",
            "from_tiny",
            "iresnet18",
            "iresnet34",
            "iresnet50",
            "iresnet100",
            "iresnet200",
        )
    },
)
