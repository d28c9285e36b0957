"""The training log: one JSON object a line, readable at any moment, cut back on resume."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def cut_log(path: Path, *, steps_done: int) -> None:
    """Drop lines of steps that will be run again, and a line that a kill left unfinished."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("step", 0) <= steps_done:
            kept.append(line)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text("".join(f"{line}\n" for line in kept))
    os.replace(temporary, path)


def append_log(path: Path, entry: dict[str, Any]) -> None:
    """Add one line."""
    with path.open("a") as file:
        file.write(json.dumps(entry) + "\n")
