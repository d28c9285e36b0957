"""Each plug-in alone beside the core: both wheels in a fresh environment, away from the checkout, and used there.

    python plugins/alone.py                 # every plug-in of this folder
    python plugins/alone.py occmask-pdsn    # this one

Builds the wheels, installs torch, the core and the plug-in, and then lists, trains, reloads, exports and examines what
the plug-in brings; uninstalls it, and reads what its checkpoint says then.  Standard library only.  TORCH names the
torch to install (that of this interpreter without it), TORCH_PIP_ARGS more arguments for it.  Exit code 1: something
failed.  What runs inside the environment is in `alone_inside.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CORE = ("occmask", "kernels", "pyproject.toml", "README.md", "LICENSE")
LEFTOVERS = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist", ".*_cache", ".hypothesis")

# A stage that continues one of its own plug-in may have to be told where that lies.
SETTINGS = {"pdsn": {"objective": {"name": "pdsn_tuning", "dictionary": "runs/pdsn_masks/last.safetensors"}}}


class Failed(Exception):
    """A claim does not hold."""


class Stopped(Exception):
    """Nothing that follows can be tried."""


class Report:
    """One line a claim, with the seconds it took, and which did not hold."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    @contextmanager
    def claim(self, what: str, *, needed: bool = False) -> Iterator[list[str]]:
        """Print `what` and the details that the block appends; `needed`: nothing goes on without it."""
        started, details = time.perf_counter(), list[str]()
        try:
            yield details
        except (Failed, subprocess.CalledProcessError) as e:
            self.failures.append(f"{what}: {e}")
            print(f"{time.perf_counter() - started:7.1f} s  FAILED {what}: {e}", flush=True)
            if needed:
                raise Stopped(what) from e
        else:
            print(f"{time.perf_counter() - started:7.1f} s  {': '.join([what, *details])}", flush=True)


def require(holds: bool, sentence: str) -> None:
    if not holds:
        raise Failed(sentence)


class Environment:
    """A fresh virtual environment in a temporary folder, in which nothing of the checkout can be imported."""

    def __init__(self, folder: Path):
        self.folder = folder
        venv.create(folder / "env", with_pip=True)
        self.bin = folder / "env" / "bin"
        hidden = ("PYTHONPATH", "PYTHONHOME", "OCCMASK_PLUGINS", "VIRTUAL_ENV")
        self.variables = {key: value for key, value in os.environ.items() if key not in hidden} | {
            "HF_HUB_OFFLINE": "1"
        }
        shutil.copy(HERE / "alone_inside.py", folder / "inside.py")

    def run(self, *command: str, fails: bool = False, shown: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment; `fails`: it must, with one line; `shown`: its output is seen at once."""
        done = subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.folder,
            env=self.variables,
            stdout=None if shown else subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = done.stderr.strip()
        if fails:
            require(done.returncode != 0, f"'{' '.join(command)}' worked")
            require(len(said.splitlines()) == 1, f"'{' '.join(command)}' says more than one line: {said[-2000:]}")
        else:
            require(done.returncode == 0, f"'{' '.join(command[:4])} ...' failed: {said[-2000:]}")
        return done

    def pip(self, *arguments: str) -> None:
        self.run("python", "-m", "pip", "--disable-pip-version-check", "-q", *arguments)

    def inside(self, *arguments: str, shown: bool = False) -> str:
        """A part of `alone_inside.py`, which sees neither PYTHONPATH nor the folder it lies in."""
        return (self.run("python", "-I", "inside.py", *arguments, shown=shown).stdout or "").strip()


def build_wheel(source: Path, entries: Sequence[str] | None, folder: Path) -> Path:
    """The wheel of a copy of a source folder, so that building leaves nothing behind."""
    tree, out = folder / "source", folder / "wheel"
    if entries is None:
        shutil.copytree(source, tree, ignore=LEFTOVERS)
    else:
        tree.mkdir(parents=True)
        for entry in entries:
            if (source / entry).is_dir():
                shutil.copytree(source / entry, tree / entry, ignore=LEFTOVERS)
            else:
                shutil.copy(source / entry, tree)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "wheel", "--no-deps", "-w", str(out)]
    done = subprocess.run([*command, str(tree)], cwd=folder, capture_output=True, text=True)
    require(done.returncode == 0, f"no wheel of {source.name}: {done.stderr.strip()[-2000:]}")
    (wheel,) = out.iterdir()
    return wheel


def wanted_torch() -> str:
    try:
        return os.environ.get("TORCH") or f"torch=={metadata.version('torch').partition('+')[0]}"
    except metadata.PackageNotFoundError:
        return "torch"


def install(report: Report, core: Path, plugin: Path, name: str, folder: Path) -> Environment:
    with report.claim("a fresh environment", needed=True):
        environment = Environment(folder)
    with report.claim(f"pip install {wanted_torch()}", needed=True):
        environment.pip("install", wanted_torch(), *shlex.split(os.environ.get("TORCH_PIP_ARGS", "")))
        torch = environment.run("python", "-I", "-c", "import torch; print(torch.__version__)").stdout.strip()
        (folder / "constraints.txt").write_text(f"torch=={torch}\n")  # or torchvision would bring another one
    with report.claim("pip install occmask[demo], its wheel", needed=True):
        environment.pip("install", f"occmask[demo] @ {core.as_uri()}")
    with report.claim(f"pip install {name}, its wheel", needed=True) as details:
        environment.pip("install", str(plugin), "-c", "constraints.txt")
        environment.run("python", "-m", "pip", "check")
        details.append(f"torch {torch} stays, pip check has nothing to say")
    return environment


def try_alone(report: Report, name: str, core: Path, folder: Path) -> None:
    with report.claim(f"the wheel of {name}", needed=True) as details:
        plugin = build_wheel(HERE / name, None, folder / "plugin")
        details.append(plugin.name)
    environment = install(report, core, plugin, name, folder)
    with report.claim("occmask is imported from the environment", needed=True):
        brings: dict[str, list[str]] = json.loads(environment.inside("components", name))
    with report.claim("occmask plugins") as details:
        (found,) = json.loads(environment.run("occmask", "plugins", "--json").stdout)
        require((found["distribution"], found["broken"]) == (name, False), f"it says {found}")
        details.append(environment.run("occmask", "plugins").stdout.strip().splitlines()[-1])
    with report.claim("occmask list --kind all") as details:
        listed = json.loads(environment.run("occmask", "list", "--kind", "all", "--json").stdout)
        claimed = {(kind, one): listed[kind].get(one) for kind in brings if kind != "command" for one in brings[kind]}
        require(bool(claimed) and set(claimed.values()) == {name}, f"it says {claimed}")
        others = {owner for names in listed.values() for owner in names.values()} - {None, name}
        require(not others, f"it names {others}")
        details.append(", ".join(f"{kind} {one}" for kind, one in claimed))
    for command in brings.get("command", []):
        with report.claim(f"occmask {command} --help"):
            require(command in environment.run("occmask", command, "--help").stdout, "it does not name the command")
    missing = environment.inside("missing", name)
    if missing:
        print(f"           what it needs does not work here: {missing}")
        without_what_it_needs(report, environment, missing)
        return
    checkpoint = train(report, environment, name)
    conformance(report, environment, name)
    uninstalled(report, environment, name, brings, checkpoint)


def without_what_it_needs(report: Report, environment: Environment, missing: str) -> None:
    """The plug-in's own package does not import here: said in one line, and the rest works."""
    backbone = json.dumps({"name": "timm:resnet18"})
    with report.claim("training says what is missing, in one line") as details:
        command = ("occmask", "train", "orl", "--recipe", "baseline", "--model", "from_tiny", "--out", "runs/missing")
        said = environment.run(*command, "--set", "template=orl", f"backbone={backbone}", fails=True).stderr.strip()
        require("timm" in said, said)
        details.append(said)
    with report.claim("the rest of the library works"):
        environment.inside("core")
    print("           not tried, for that reason: training, reloading, export, conformance, uninstalling")


def train(report: Report, environment: Environment, name: str) -> Path | None:
    """Every recipe of the plug-in for a few steps of ORL; the last checkpoint that has a component of it."""
    checkpoint = None
    plan: list[dict[str, Any]] = json.loads(environment.inside("plan", name))
    for stage in plan:
        recipe, out = stage["recipe"], f"runs/{stage['recipe']}"
        command = ["occmask", "train", "orl", "--recipe", recipe, "--model", stage["model"], "--out", out, "--quiet"]
        command += ["--set", "template=orl", *(f"{key}={json.dumps(value)}" for key, value in stage["set"].items())]
        command += ["--margin-set", "scale=16", "margin=0.2", "--recipe-set", "epochs=1", "batch_size=32"]
        command += [f"{key}={json.dumps(value)}" for key, value in SETTINGS.get(recipe, {}).items()]
        if stage["starts_from"]:
            command += ["--start", f"runs/{stage['starts_from']}/last.safetensors"]
        with report.claim(f"occmask train orl --recipe {recipe} --model {stage['model']}", needed=True) as details:
            said = environment.run(*command).stdout.strip().splitlines()[-1]
            require("loss nan" not in said and "loss inf" not in said, said)
            details.append(said.partition("; ")[0])
        if stage["has_part"]:
            checkpoint = Path(out, "last.safetensors")
    if checkpoint is not None:
        with report.claim(f"load_model({str(checkpoint)!r}), save_weights, load_model: the same embeddings") as details:
            details.append(environment.inside("reload", str(checkpoint), "saved.safetensors"))
        with report.claim("occmask export saved.safetensors -o face.pt2") as details:
            said = environment.run("occmask", "export", "saved.safetensors", "-o", "face.pt2", "--json").stdout
            details.append(f"largest differences {json.loads(said)['difference']}")
    return checkpoint


def conformance(report: Report, environment: Environment, name: str) -> None:
    with report.claim("conformance, all of it"):
        done = environment.inside("conformance", name, json.dumps(SETTINGS), shown=True)
        require(not done, done)


def uninstalled(
    report: Report, environment: Environment, name: str, brings: dict[str, list[str]], checkpoint: Path | None
) -> None:
    with report.claim(f"pip uninstall {name}", needed=True):
        environment.pip("uninstall", "-y", name)
    if checkpoint is not None:
        for path in (str(checkpoint), "saved.safetensors"):
            with report.claim(f"occmask evaluate {path} orl, without it") as details:
                said = environment.run("occmask", "evaluate", path, "orl", fails=True).stderr.strip()
                require(f"pip install {name}" in said, f"it does not say 'pip install {name}': {said}")
                details.append(said)
        with report.claim("occmask.load_model of it, without it") as details:
            said = environment.inside("refused", str(checkpoint))
            require(f"pip install {name}" in said, said)
            details.append(said.partition(":")[0])
    with report.claim("nothing of it is listed, and the rest of the library works") as details:
        listed = json.loads(environment.run("occmask", "list", "--kind", "all", "--json").stdout)
        left = [f"{kind} {one}" for kind in brings if kind != "command" for one in brings[kind] if one in listed[kind]]
        require(not left, f"still listed: {', '.join(left)}")
        environment.inside("core")
        baseline = environment.folder / "runs" / "baseline" / "last.safetensors"
        if baseline != environment.folder / (checkpoint or ""):
            environment.run("occmask", "evaluate", str(baseline), "orl", "--quiet")
            details.append("the baseline that it started from is evaluated on ORL")


def main() -> int:
    every = sorted(path.parent.name for path in HERE.glob("occmask-*/pyproject.toml"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plugins", nargs="*", metavar="PLUGIN", help=f"folders here: {', '.join(every)}")
    wanted = parser.parse_args().plugins or every
    unknown = sorted(set(wanted) - set(every))
    if unknown:
        parser.error(f"no plug-in in {', '.join(unknown)}; there are {', '.join(every)}")
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="alone-") as place:
        report = Report()
        try:
            with report.claim("the wheel of occmask", needed=True):
                core = build_wheel(ROOT, CORE, Path(place, "core"))
        except Stopped:
            return 1
        for name in wanted:
            print(f"\n{name}", flush=True)
            report, started = Report(), time.perf_counter()
            folder = Path(place, name)
            folder.mkdir()
            try:
                try_alone(report, name, core, folder)
            except Stopped as e:
                print(f"           not tried: what follows {str(e)!r}")
            print(
                f"{time.perf_counter() - started:7.1f} s  {name}: {len(report.failures) or 'nothing'} failed",
                flush=True,
            )
            failures += [f"{name}: {failure}" for failure in report.failures]
            shutil.rmtree(folder)
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
