"""Options are checked against the factory's own signature: the signature is the schema."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from .errors import OptionError, did_you_mean

# What an option annotated so may be, and what that is called.  Truth is no number, though Python says so.
_PLAIN: Mapping[Any, tuple[type, str]] = {
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    bool: (bool, "True or False"),
    str: (str, "a text"),
    NoneType: (NoneType, "None"),
}


def check_options(what: str, factory: Callable[..., Any], options: Mapping[str, Any], wiring: int) -> None:
    """Options are checked against the factory's own signature: the signature is the schema."""
    parameters = list(inspect.signature(factory).parameters.values())
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    positional = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    keyword = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    names = [p.name for p in (*positional[wiring:], *keyword) if p.kind is not p.VAR_POSITIONAL]
    for key in options:
        if key not in names:
            listed = ", ".join(names) or "none"
            raise OptionError(f"{what} has no option {key!r}.{did_you_mean(key, names)} Options: {listed}")
    for p in (*positional[wiring:], *keyword):
        if p.name not in options and p.default is p.empty and p.kind is not p.VAR_POSITIONAL:
            raise OptionError(f"{what} needs the option {p.name!r}. Options: {', '.join(names)}")
    types = _option_types(factory)
    for key, value in options.items():
        if not _is_of(value, types.get(key)):
            default = next(p.default for p in parameters if p.name == key)
            such = "" if default in (inspect.Parameter.empty, None, ()) else f", such as {default!r}"
            raise OptionError(f"{what}: {key!r} is {_in_words(types[key])}{such}, not {value!r}")


def _option_types(factory: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a factory's parameters; none when they cannot be evaluated here."""
    try:
        return {name: p.annotation for name, p in inspect.signature(factory, eval_str=True).parameters.items()}
    except Exception:  # names imported for type checkers only, in a plug-in perhaps
        return {}


def _is_of(value: Any, annotation: Any) -> bool:
    """Whether a value is a number, text, or a sequence of those, as annotated; other annotations are not judged."""
    if isinstance(annotation, type) and annotation in _PLAIN:
        return isinstance(value, _PLAIN[annotation][0]) and (annotation is bool or not isinstance(value, bool))
    kinds = get_args(annotation)
    if get_origin(annotation) in (Union, UnionType):
        return any(_is_of(value, kind) for kind in kinds)
    if get_origin(annotation) is Sequence and len(kinds) == 1:
        return isinstance(value, Collection) and all(_is_of(one, kinds[0]) for one in value)
    return True


def _in_words(annotation: Any) -> str:
    if isinstance(annotation, type) and annotation in _PLAIN:
        return _PLAIN[annotation][1]
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(_in_words(kind) for kind in get_args(annotation))
    if get_origin(annotation) is Sequence:
        return f"a list, each of it {_in_words(get_args(annotation)[0])}"
    return getattr(annotation, "__name__", str(annotation))
