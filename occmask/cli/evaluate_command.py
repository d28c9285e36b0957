"""`occmask evaluate`: a protocol on a model and data: a table, one JSON and one page."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from ..errors import OptionError
from ..measure.protocols import run_protocol
from ..models import load_model
from ..protocols import PROTOCOLS
from ..protocols.result import Result
from ..report.protocol_page import write_protocol_page
from ..report.protocol_table import format_result
from ..report.worst_pairs import PairPictures
from ..spec import Spec
from .evaluation_data import EvaluationData, pictures_of
from .settings import check_values, read_changes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("weights", type=Path, help="a file of occmask.save_weights or a training checkpoint")
    parser.add_argument("data", help="faces in any format, a .bin of pairs, a test set of occmask occlude, or 'orl'")
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        help="see occmask list --kind protocol (default: pairs for pairs, identification with a gallery, else stress)",
    )
    parser.add_argument(
        "--set", dest="changes", action="append", default=[], metavar="NAME=VALUE", help="an option of the protocol"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for result.json and report.html")
    parser.add_argument("--pairs", metavar="FILE", help="a list of pairs (LFW's pairs.txt, CSV) among DATA's pictures")
    parser.add_argument("--gallery", metavar="FACES", help="the people to search among, where DATA holds the probes")
    parser.add_argument("--distractors", metavar="FACES", help="people who are none of the probes (MegaFace)")
    parser.add_argument("--template", metavar="NAME", help="how the pictures are aligned, where DATA does not say")
    parser.add_argument("--resize", action="store_true", help="allow pictures of any size (costs accuracy)")
    parser.add_argument("--unreadable", default="refuse", choices=["refuse", "skip"], help="(default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="such as cuda (default: %(default)s)")
    parser.add_argument("--no-pictures", action="store_true", help="leave faces, which are personal data, off the page")
    parser.add_argument("--json", action="store_true", help="print the result as JSON instead of the table")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> None:
    if arguments.out is not None:
        _check_folder(arguments.out)
    given = EvaluationData(arguments)
    changes = read_changes(arguments.changes)
    check_values(PROTOCOLS[given.protocol], changes)
    protocol = PROTOCOLS.build(Spec(given.protocol, **changes))
    model = load_model(arguments.weights)
    data = given.load(model.config.input_spec)
    with _counted(quiet=arguments.quiet) as progress:
        result = run_protocol(
            protocol,
            model,
            data,
            device=arguments.device,
            model_name=_model_name(arguments.weights),
            data_name=_data_name(arguments),
            progress=progress,
        )
    if arguments.out is not None:
        _write(arguments.out, result, None if arguments.no_pictures else pictures_of(data))
    if arguments.json:
        print(json.dumps(result.to_dict()))
        return
    print(format_result(result))
    if arguments.out is not None:
        print(f"\n{arguments.out / 'report.html'}  everything on one page")
        print(f"{arguments.out / 'result.json'}  all figures; compare two with occmask compare")


@contextmanager
def _counted(*, quiet: bool) -> Iterator[Callable[[int], object]]:
    """A bar of embedded faces; how many there will be is the protocol's affair."""
    with tqdm(unit=" faces", unit_scale=True, disable=quiet, leave=False) as bar:
        yield bar.update


def _model_name(weights: Path) -> str:
    """The file's name, or its folder's where training named the file."""
    return weights.stem if weights.stem != "last" else weights.absolute().parent.name


def _data_name(arguments: argparse.Namespace) -> str:
    """The data as the user called them, without the folders they lie in."""
    parts = [arguments.pairs or arguments.data, arguments.gallery, arguments.distractors]
    return " in ".join(Path(part).name or str(part) for part in parts if part is not None)


def _check_folder(out: Path) -> None:
    """Before minutes of work: a folder that can be made."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise OptionError(f"cannot make the folder {out}: {e.strerror}; choose another") from e


def _write(out: Path, result: Result, pictures: PairPictures | None) -> None:
    try:
        result.save(out / "result.json")
        left, right = (None, None) if pictures is None else pictures
        write_protocol_page(out / "report.html", result, left, right=right)
    except OSError as e:
        raise OptionError(f"cannot write to {out}: {e.strerror}; choose another folder") from e
