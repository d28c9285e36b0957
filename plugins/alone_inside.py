"""What `alone.py` runs inside the environment that holds the core and one plug-in: one part of it at a time."""

from __future__ import annotations

import importlib
import json
import sys
import time
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import torch

import occmask
from occmask import testing
from occmask.catalogue import KINDS

COMMANDS = "occmask.commands"
TOO_LARGE = 60_000_000  # parameters; `check_model` of LResNet50E-IR (42 million) takes about a minute

# What stands for a component whose own defaults are too large to be examined in seconds.
SMALL: dict[tuple[str, str], dict[str, Any]] = {
    ("backbone", "transformers:resnet"): {
        "embedding_size": 8,
        "hidden_sizes": [8, 16, 24, 32],
        "depths": [1, 1, 1, 1],
        "layer_type": "basic",
    },
    ("backbone", "transformers:convnext"): {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]},
    ("backbone", "transformers:swin"): {"embed_dim": 8, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 2, 4]},
    ("backbone", "transformers:dinov2"): {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
    ("backbone", "timm:*"): {"name": "timm:resnet18"},
    ("restorer", "rla"): {"grid": [2, 2], "units": 8, "steps": 2},
}
FAST = {"backbone": {"image_sizes": ((112, 96),)}}  # arguments of a check
NEEDED = {"occmask-timm": "timm", "occmask-transformers": "transformers"}  # packages that may not import here
MADE_OF_DATA = ("dataset", "protocol")  # examined on data that only its author has


def brought(plugin: str) -> dict[str, list[str]]:
    """Names by kind, and commands, as the metadata of the installed distribution declares them."""
    kind_of = {registry.group: kind for kind, registry in KINDS.items()} | {COMMANDS: "command"}
    found: dict[str, list[str]] = {}
    for entry in distribution(plugin).entry_points:
        if entry.group in kind_of:
            found.setdefault(kind_of[entry.group], []).append(entry.name)
    return found


def small(kind: str, name: str) -> dict[str, Any]:
    return {"name": name, **SMALL.get((kind, name), {})}


def tiny_model(plugin: str) -> str:
    named = [name for name in brought(plugin).get("model", []) if name.endswith("_tiny")]
    return named[0] if named else "from_tiny"


def components(plugin: str) -> None:
    environment = Path(sys.prefix).resolve()
    for module in (occmask, importlib.import_module("occmask_kernels")):
        assert Path(str(module.__file__)).resolve().is_relative_to(environment), f"{module.__file__} is elsewhere"
    print(json.dumps(brought(plugin)))


def missing(plugin: str) -> None:
    """Why the package that the plug-in adapts does not import; nothing, if it does."""
    try:
        importlib.import_module(NEEDED.get(plugin, "occmask"))
    except Exception as e:
        print(f"import {NEEDED[plugin]}: {type(e).__name__}: {e}".replace("\n", " "))


def plan(plugin: str) -> None:
    """Which recipes to train in which order, each after what it starts from."""
    model, order = tiny_model(plugin), list[str]()

    def add(name: str) -> None:
        before = occmask.RECIPES[name]().starts_from
        if before is not None:
            add(before)
        if name not in order:
            order.append(name)

    for name in brought(plugin).get("recipe", []):
        add(name)
    backbones = brought(plugin).get("backbone", [])
    changes = {"backbone": small("backbone", backbones[-1])} if backbones else {}
    stages = []
    for name in order or ["baseline"]:
        recipe = occmask.RECIPES[name]()
        has_part = bool(recipe.parts or changes)
        stages.append(
            {"recipe": name, "starts_from": recipe.starts_from, "model": model, "set": changes, "has_part": has_part}
        )
    print(json.dumps(stages))


def reload(checkpoint: str, saved: str) -> None:
    images = torch.rand(4, 3, 112, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        first = occmask.load_model(checkpoint).eval()
        expected = first(images).embedding
        occmask.save_weights(first, saved)
        found = occmask.load_model(saved).eval()(images).embedding
    assert torch.isfinite(expected).all()
    assert torch.equal(expected, found), f"they differ by up to {(expected - found).abs().max():.2e}"
    print(f"4 of {found.shape[1]} numbers")


def refused(checkpoint: str) -> None:
    try:
        occmask.load_model(checkpoint)
    except occmask.CheckpointError as e:
        print(f"{type(e).__name__}: {e}")


def core() -> None:
    """The core builds, embeds, saves and loads."""
    model = occmask.build("from_tiny").eval()
    images = torch.zeros(2, 3, *model.config.image_size)
    occmask.save_weights(model, "core.safetensors")
    with torch.inference_mode():
        again = occmask.load_model("core.safetensors").eval()
        assert torch.equal(model(images).embedding, again(images).embedding)


def conformance(plugin: str, settings: str) -> None:
    failed = 0
    for kind, names in brought(plugin).items():
        for name in names if kind != "command" else []:
            started = time.perf_counter()
            try:
                said = examine(plugin, kind, name, json.loads(settings))
            except AssertionError as e:
                failed, said = failed + 1, f"FAILED: {e}"
            print(f"{time.perf_counter() - started:9.1f} s  check_{kind} {name}: {said}", flush=True)
    if failed:
        sys.exit(f"{failed} of its components")


def examine(plugin: str, kind: str, name: str, settings: dict[str, Any]) -> str:
    check = getattr(testing, f"check_{kind}")
    if kind in MADE_OF_DATA:
        return "skipped, it needs data of its own"
    if kind == "model":
        with torch.device("meta"):  # counts without memory
            count = sum(p.numel() for p in occmask.build(name).parameters())
        if count > TOO_LARGE:
            return f"built without memory, {count / 1e6:.1f} million parameters; its check is skipped, it takes minutes"
    if kind == "objective":
        return examine_objective(plugin, name, settings)
    check(occmask.Spec.of(small(kind, name)), **FAST.get(kind, {}))
    return "passed" + (" (a small one)" if (kind, name) in SMALL else "")


def examine_objective(plugin: str, name: str, settings: dict[str, Any]) -> str:
    """In the recipe of the plug-in that minimises it, with the settings that it was trained with."""
    for named in brought(plugin).get("recipe", []):
        recipe = occmask.RECIPES[named](**settings.get(named, {}))
        if recipe.objective.name == name:
            testing.check_objective(recipe.objective, model=tiny_model(plugin), recipe=recipe)
            return f"passed, in recipe {named}"
    testing.check_objective(name)
    return "passed"


if __name__ == "__main__":
    parts = (components, missing, plan, reload, refused, core, conformance)
    {part.__name__: part for part in parts}[sys.argv[1]](*sys.argv[2:])
