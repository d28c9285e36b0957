"""`Spec`: a component's name and its options, as plain, hashable, JSON-ready data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .errors import OptionError

SpecLike = "Spec | str | Mapping[str, Any]"
_PLAIN = (str, int, float, bool, type(None))


def _freeze(key: str, value: Any) -> Any:
    if isinstance(value, Mapping) and "name" in value:
        return Spec.of(value)
    if isinstance(value, (list, tuple)):
        return tuple(_freeze(key, item) for item in value)
    if isinstance(value, (Spec, *_PLAIN)):
        return value
    raise OptionError(
        f"option {key!r} is a {type(value).__name__}; a Spec holds numbers, strings, booleans, None, "
        "lists of those and other Specs, so that it can be written to JSON"
    )


def _thaw(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.to_dict()
    return [_thaw(item) for item in value] if isinstance(value, tuple) else value


class Spec:
    """The name of a component plus its options: `Spec("classification", k=4)`.

    Frozen, hashable, comparable and a round trip through JSON: `Spec.of(spec.to_dict()) == spec`.
    Options are plain data (numbers, strings, booleans, None, sequences of them, other Specs);
    sequences become tuples.  Anything else raises `OptionError`.
    """

    __slots__ = ("name", "options")
    name: str
    options: Mapping[str, Any]

    def __init__(self, name: str, /, **options: Any):
        if not isinstance(name, str) or not name:
            raise OptionError(f"a Spec begins with a component's name, not {name!r}")
        if "name" in options:
            raise OptionError(f"no component has an option 'name': it is the component itself, here {name!r}")
        object.__setattr__(self, "name", name)
        frozen = {key: _freeze(key, value) for key, value in sorted(options.items())}
        object.__setattr__(self, "options", MappingProxyType(frozen))

    @classmethod
    def of(cls, value: Spec | str | Mapping[str, Any]) -> Spec:
        """A Spec from a Spec, a bare name, or a mapping with a `name`."""
        if isinstance(value, Spec):
            return value
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, Mapping) and isinstance(value.get("name"), str):
            return cls(value["name"], **{key: option for key, option in value.items() if key != "name"})
        raise OptionError(f"a component is a name, a Spec or a mapping with a 'name', not {value!r}")

    def replace(self, **options: Any) -> Spec:
        """The same component with some options changed."""
        return Spec(self.name, **{**self.options, **options})

    def to_dict(self) -> dict[str, Any]:
        """`{"name": ..., option: value, ...}` with lists for tuples: what JSON gives back."""
        return {"name": self.name, **{key: _thaw(value) for key, value in self.options.items()}}

    def __setattr__(self, key: str, value: Any) -> None:
        raise AttributeError("a Spec is frozen; use spec.replace(...)")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Spec):
            return NotImplemented
        return self.name == other.name and dict(self.options) == dict(other.options)

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.options.items())))

    def __repr__(self) -> str:
        return f"Spec({', '.join([repr(self.name), *(f'{k}={v!r}' for k, v in self.options.items())])})"

    def __reduce__(self) -> tuple[Any, ...]:  # a MappingProxyType neither pickles nor copies
        return _rebuild, (self.name, dict(self.options))


def _rebuild(name: str, options: dict[str, Any]) -> Spec:
    return Spec(name, **options)
