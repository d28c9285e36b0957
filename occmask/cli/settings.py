"""Reading `--set name=value` and files of the command line."""

from __future__ import annotations

import collections.abc
import inspect
import json
import types
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from ..errors import OptionError
from ..spec import Spec


def read_changes(pairs: Sequence[str]) -> dict[str, Any]:
    """`["mask_decoder=spatial", "k=4"]` -> the changes for `build` or a recipe; values are JSON or plain words."""
    changes = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise OptionError(f"--set takes name=value, such as mask_decoder=spatial, not {pair!r}")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        changes[name] = Spec.of(value) if isinstance(value, dict) else value
    return changes


def check_values(factory: Callable[..., Any], changes: Mapping[str, Any]) -> None:
    """What was typed fits the annotations of the factory's options, or `OptionError`: a word is no number, and "no" is
    not false.  Annotations other than of numbers, truth values, words and lists of them let everything pass."""
    hints = get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    for name, value in changes.items():
        if name in hints and not _fits(value, hints[name]):
            raise OptionError(f"{name} is {_told(hints[name])}, not {value!r}")


def _fits(value: Any, hint: Any) -> bool:
    if hint is bool:
        return isinstance(value, bool)
    if hint in (int, float):
        return isinstance(value, Integral if hint is int else Real) and not isinstance(value, bool)
    if hint in (str, type(None)):
        return isinstance(value, hint)
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, one) for one in get_args(hint))
    if get_origin(hint) is collections.abc.Sequence:
        return isinstance(value, list | tuple) and all(_fits(one, get_args(hint)[0]) for one in value)
    return True


def _told(hint: Any) -> str:
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a word", type(None): "null"}
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_told(one) for one in get_args(hint))
    if get_origin(hint) is collections.abc.Sequence:
        inside = get_args(hint)[0]
        example = {int: "[1,5]", float: "[0.1,0.01]"}.get(inside, '["cup","scarf"]')
        return f"a list, such as {example}"
    return words.get(hint, "something else")


def check_output(path: Path) -> Path:
    """A file that can be written: its folder exists or can be made."""
    if path.is_dir():
        raise OptionError(f"{path} is a folder; name the file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise OptionError(f"cannot make the folder {path.parent}: {e.strerror}; choose another") from e
    return path
