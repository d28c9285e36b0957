"""`occmask demo`: the whole story on real faces."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..demo import DemoSettings, run_demo
from ..demo.settings import ALL_RECIPES, DEFAULT_RECIPES
from ..errors import OptionError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder to write to (default: %(default)s)")
    parser.add_argument(
        "--recipes",
        default=",".join(DEFAULT_RECIPES),
        help=f"comma-separated: {', '.join(ALL_RECIPES)}; or 'all' (default: %(default)s)",
    )
    parser.add_argument("--seeds", type=int, default=1, help="training runs of each recipe (default: %(default)s)")
    parser.add_argument("--folds", action="store_true", help="also verify people whom nobody trained on (4 folds)")
    parser.add_argument("--steps", type=int, help="cut every recipe short: a quick look whose figures mean nothing")
    parser.add_argument("--json", action="store_true", help="print the results instead of the table")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def run(arguments: argparse.Namespace) -> None:
    names = [name.strip() for name in arguments.recipes.split(",") if name.strip()]
    if not names:
        raise OptionError(f"--recipes names at least one of {', '.join(ALL_RECIPES)}, or 'all'")
    settings = DemoSettings(
        out=arguments.out,
        recipes=ALL_RECIPES if names == ["all"] else names,
        seeds=arguments.seeds,
        folds=arguments.folds,
        steps=arguments.steps,
        progress=not arguments.quiet,
    )
    table = run_demo(settings)
    if arguments.json:
        print((settings.out / "results.json").read_text(), end="")
        return
    print(f"\n{table}\n")
    for name, what in {
        "report.html": "everything on one page",
        "coverage.png": "how much of each place is covered, by the head beside the control",
        "occlusions.png": "what the model believes is covered",
        "curves.png": "rank-1 against covered area",
        "results.json": "all figures",
        "weights": "the trained models; try: occmask explain FACE --weights .../from.safetensors -o out.png",
    }.items():
        if (settings.out / name).exists():
            print(f"{settings.out / name}  {what}")
