"""Options of the wrong kind are refused in one line when a protocol is built, as `--set` may give any of them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from occmask.errors import OccmaskError
from occmask.protocols import PROTOCOLS

WRONG: dict[str, tuple[Any, ...]] = {
    "areas": (0.3, "x", ("x",)),
    "batch_size": (0, 2.5, "9"),
    "bins": (1, "x", ("x",)),
    "block": (0, "9"),
    "cells": (0, 2.5, "9"),
    "confidence": ("x", 95),
    "device": ("abacus",),
    "far": ("x", 2),
    "fars": (0.1, "0.1", ("x",), (2,)),
    "folds": (1, 2.5, "9", True),
    "gallery": (0, 1.5, "9"),
    "max_tail": (0, 2.5),
    "people": (1, 2.5, "9"),
    "ranks": (1, "1", (1.5,), (0,)),
    "resamples": (0, 2.5, "9"),
    "seed": (-1, 2.5, "9", True),
}
CASES = [
    (name, option, value)
    for name in PROTOCOLS
    for option in inspect.signature(PROTOCOLS[name]).parameters
    for value in WRONG.get(option, ())
]


@pytest.mark.parametrize(("name", "option", "value"), CASES)
def test_a_value_of_the_wrong_kind_is_refused_when_the_protocol_is_built(name: str, option: str, value: Any) -> None:
    with pytest.raises(OccmaskError) as refused:
        PROTOCOLS.build({"name": name, option: value})
    assert "\n" not in str(refused.value)
