"""Reading `--set name=value` and files of the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import OptionError
from ..spec import Spec

_PYTHON = {"None": None, "True": True, "False": False}  # which JSON spells otherwise


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
            value = _PYTHON.get(text, text)
        changes[name] = Spec.of(value) if isinstance(value, dict) else value
    return changes


def check_output(path: Path) -> Path:
    """A file that can be written: its folder exists or can be made."""
    if path.is_dir():
        raise OptionError(f"{path} is a folder; name the file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise OptionError(f"cannot make the folder {path.parent}: {e.strerror}; choose another") from e
    return path
