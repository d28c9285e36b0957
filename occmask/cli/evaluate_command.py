"""`occmask evaluate`: a protocol on a model and data: a table, one JSON and one page."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from ..errors import OptionError
from ..matching import MATCHERS
from ..measure.protocols import run_protocol
from ..models import load_model
from ..protocols import PROTOCOLS
from ..protocols.result import Result
from ..report.protocol_page import write_protocol_page
from ..report.protocol_table import format_result
from ..report.worst_pairs import PairPictures
from ..spec import Spec
from .evaluation_data import EvaluationData, pictures_of
from .settings import read_changes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("weights", type=Path, help="a file of occmask.save_weights or a training checkpoint")
    parser.add_argument("data", help="faces in any format, a .bin of pairs, a test set of occmask occlude, or 'orl'")
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        help="see occmask list --kind protocol (default: pairs for pairs, identification with a gallery, else stress)",
    )
    parser.add_argument(
        "--set",
        dest="changes",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the protocol; several at once",
    )
    parser.add_argument(
        "--matcher",
        default="cosine",
        metavar="NAME",
        help="how two faces are compared, such as fused: see occmask list --kind matcher; or JSON with its options, "
        'such as {"name": "fused", "share": 0.3} (default: %(default)s)',
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
    protocol = PROTOCOLS.build(Spec(given.protocol, **read_changes(arguments.changes)))
    matcher = _matcher(arguments.matcher)
    model = load_model(arguments.weights)
    data = given.load(model.config.input_spec)
    with _counted(quiet=arguments.quiet) as progress:
        result = run_protocol(
            protocol,
            model,
            data,
            device=arguments.device,
            matcher=matcher,
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
    if result.notes:
        print("\n" + "\n".join(f"note: {note}" for note in result.notes))
    if arguments.out is not None:
        print(f"\n{arguments.out / 'report.html'}  everything on one page")
        print(f"{arguments.out / 'result.json'}  all figures; compare two with occmask compare")


def _matcher(text: str) -> Spec:
    """A name, or a JSON object with a name and options; built once here, so that a mistake is told at once."""
    try:
        spec = Spec.of(json.loads(text)) if text.startswith("{") else Spec(text)
    except json.JSONDecodeError as e:
        raise OptionError(f"--matcher {text} is no JSON ({e}); give a name, or an object with a name") from e
    MATCHERS.build(spec)
    return spec


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
