"""`occmask import`: another project's weights as an occmask file, after comparing what both compute."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..images.input_spec import COLOURS
from ..models.foreign.importing import import_checkpoint, write_imported
from ..models.foreign.layouts import LAYOUTS
from ..models.weights import NOT_STATED
from .settings import check_output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "checkpoint", type=Path, help="a .pth, .pt, .pth.tar, .ckpt or .safetensors file; no code is run"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="the file to write, such as out.safetensors")
    parser.add_argument(
        "--layout",
        default="auto",
        choices=["auto", *LAYOUTS],
        help="whose names the file uses (default: told from the names; AdaFace's and TFace's are the same)",
    )
    parser.add_argument(
        "--colour",
        choices=COLOURS,
        help="order of the channels that the network was trained on (default: BGR for AdaFace, RGB for the others); "
        "the imported model takes RGB in any case",
    )
    parser.add_argument("--licence", help="what you know about the licence of these weights; kept in the file")
    parser.add_argument("--json", action="store_true", help="print JSON, with the names of all tensors")


def run(arguments: argparse.Namespace) -> None:
    out = check_output(arguments.out)
    layout = None if arguments.layout == "auto" else arguments.layout
    imported = import_checkpoint(arguments.checkpoint, layout=layout, colour=arguments.colour)
    write_imported(imported, out, licence=arguments.licence)
    foreign, report, parity = imported.foreign, imported.report, imported.parity
    if arguments.json:
        shown = {
            "layout": foreign.layout,
            "colour": foreign.colour,
            "config": foreign.config.to_dict(),
            "read": len(foreign.theirs) - len(report.unused),
            "unused": report.unused,
            "converted": report.converted,
            "missing": report.missing,
            "parity": parity._asdict(),
            "licence": arguments.licence or NOT_STATED,
            "source_sha256": imported.sha256,
            "out": str(out),
        }
        print(json.dumps(shown))
        return
    height, width = foreign.config.image_size
    print(f"{arguments.checkpoint}: {foreign.title}, trained on {height}x{width} {foreign.colour}")
    if foreign.colour == "BGR":
        assumed = "" if arguments.colour else f" (usual for {LAYOUTS[foreign.layout].title}; otherwise --colour RGB)"
        print(f"colours    BGR there{assumed}; turned round in the first convolution, so this model takes RGB")
    print(f"tensors    {len(foreign.theirs) - len(report.unused)} read, {len(report.unused)} not used")
    converted = tuple(dict.fromkeys(name.rpartition(".")[0] for name in report.converted))  # modules
    for what, names in (("not used", report.unused), ("converted", converted), ("not in it", report.missing)):
        if names:
            print(f"{what:<10} {_some(names)}")
    pattern = "" if parity.pattern is None else f", of a pattern's probability {parity.pattern:.1e}"
    print(
        f"parity     largest difference of a unit embedding {parity.embedding:.1e}{pattern}, "
        f"over {parity.faces} random pictures"
    )
    print(f"licence    {arguments.licence or NOT_STATED}")
    if arguments.licence is None:
        print("state the licence of the weights with --licence; it is kept in the file", file=sys.stderr)
    print(f"{out}  load it with occmask.load_model({str(out)!r})")


def _some(names: tuple[str, ...], most: int = 8) -> str:
    more = f" and {len(names) - most} more (--json lists them)" if len(names) > most else ""
    return ", ".join(names[:most]) + more
