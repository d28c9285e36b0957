"""What a component says about itself, which is all that `occmask list` and `occmask.describe` can tell of it."""

from __future__ import annotations

import inspect
import json
import pickle
import re
import sys
from typing import Any

import torch
from torch import nn

from ..spec import Spec
from .examination import Examination, seeded

_FOREIGN = {"torch", "builtins", "abc", "typing", "functools"}


def check_description(exam: Examination, *wiring: Any, changes: bool = False, data_only: bool = False) -> None:
    """A first line of docstring, and options by keyword that the docstring names, JSON holds and building follows.

    `wiring`: what this component is built with before its options.  `changes`: it takes any keyword, too.
    `data_only`: it reads something, so it is not built again to compare.
    """
    if not exam.thorough:
        return
    with exam.clause("is found"):
        parameters = list(inspect.signature(exam.factory).parameters.values())
    text = _documentation(exam.factory)
    exam.require(bool(text.strip()), "has a docstring, whose first line says what it is in a list of components")
    hidden = [str(p) for p in parameters if p.kind is p.VAR_KEYWORD]
    exam.require(changes or not hidden, f"lists its options one by one, but {', '.join(hidden)} hides them")
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD][len(wiring) :]
    exam.require(not positional, f"takes its options by keyword only (after a *), but not {', '.join(positional)}")
    options = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    silent = [name for name in options if not re.search(rf"\b{re.escape(name)}\b", text)]
    exam.require(not silent, f"says in its docstring what each option is, but says nothing of {', '.join(silent)}")
    values = {name: v for name, v in {**options, **exam.options}.items() if v is not inspect.Parameter.empty}
    with exam.clause("has plain data for the defaults of its options"):
        spec = Spec("examined", **values)
    exam.require(
        Spec.of(json.loads(json.dumps(spec.to_dict()))) == spec, "has options that JSON gives back as they were"
    )
    if data_only:
        return
    with seeded():
        usual = exam.build(*wiring)
    with seeded(), exam.clause("takes all its defaults as options"):
        explicit = exam.factory(*wiring, **spec.options)
    exam.require(
        _same(usual, explicit), "is built with the defaults that it declares, but giving them makes it another one"
    )


def _same(one: Any, other: Any) -> bool:
    """Whether two components of one factory hold the same: weights and buffers of a module, else everything."""
    if not isinstance(one, nn.Module):
        if _holds_tensors(one) and type(one) is type(other):  # equal tensors need not pickle alike
            ours, theirs = vars(one), vars(other)
            return ours.keys() == theirs.keys() and all(_equal(value, theirs[name]) for name, value in ours.items())
        try:
            return pickle.dumps(one) == pickle.dumps(other)
        except (pickle.PicklingError, AttributeError, TypeError):  # functions inside cannot be compared
            return True
    here, there = (dict([*module.named_parameters(), *module.named_buffers()]) for module in (one, other))
    return here.keys() == there.keys() and all(torch.equal(tensor, there[name]) for name, tensor in here.items())


def _holds_tensors(one: Any) -> bool:
    return any(isinstance(value, torch.Tensor) for value in getattr(one, "__dict__", {}).values())


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    return _same(one, other)


def _documentation(factory: Any) -> str:
    """Its own docstring, those it inherits, and its `__init__`'s; nothing of torch's or Python's.

    "The other options are those of `f`" points to a function of the same module that says it.
    """
    texts = [] if inspect.isclass(factory) else [vars(factory).get("__doc__") or factory.__doc__]
    for one in (factory if inspect.isclass(factory) else type(factory)).__mro__:
        if one.__module__.partition(".")[0] not in _FOREIGN:
            texts += [one.__doc__, getattr(vars(one).get("__init__"), "__doc__", None)]
    text = "\n".join(text for text in texts if text)
    home = vars(sys.modules.get(getattr(factory, "__module__", ""), sys))
    pointed = re.findall(r"options(?: are|,) those of `(\w+)`", text)
    return "\n".join([text, *(inspect.getdoc(home[other]) or "" for other in pointed if other in home)])
