"""build, change and draw PDSN's dictionary of feature discarding masks"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is asked of it on the command line."""
    parser.add_argument("weights", type=Path, help="a model with head 'pdsn'")
    parser.add_argument(
        "--faces", help="rebuild the dictionary from pairs of these faces: a folder, container, or 'orl'"
    )
    parser.add_argument(
        "--generators", type=Path, help="the checkpoint of recipe 'pdsn_masks' that holds them (default: WEIGHTS)"
    )
    parser.add_argument("--pairs", type=int, default=24, help="pairs a block (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the pairs (default: %(default)s)")
    parser.add_argument("--threshold", type=float, help="from which strength on a feature is discarded, in (0, 1)")
    parser.add_argument("--combination", help="how the items of several covered blocks become one mask")
    parser.add_argument("--covered-from", type=float, help="from which probability on a block is covered, in (0, 1)")
    parser.add_argument("-o", "--out", type=Path, help="write the model with the new dictionary or options here")
    parser.add_argument("--figure", type=Path, help="draw the dictionary here, such as dictionary.png")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> None:
    """Rebuild, change, save, draw and measure, whatever was asked for."""
    from occmask import OptionError, load_faces, load_model, save_weights

    from .building import generators_of, rebuild_dictionary
    from .explicit import changed
    from .figure import draw_dictionary
    from .locality import measure_locality
    from .recognition import pdsn_head

    model = load_model(arguments.weights)
    pdsn_head(model)  # refuses any other before the work begins
    if arguments.generators is not None and arguments.faces is None:
        raise OptionError("--generators rebuild the dictionary from pairs of faces; give --faces, too")
    if arguments.faces is not None:
        generators = generators_of(arguments.generators or arguments.weights, model)
        spec = model.config.input_spec
        faces = load_faces(arguments.faces, image_size=spec.size)
        spec.check(size=faces.image_size, template=faces.template)
        rebuild_dictionary(
            model, generators, faces, pairs=arguments.pairs, seed=arguments.seed, progress=not arguments.quiet
        )
    options = {
        name: getattr(arguments, name)
        for name in ("threshold", "combination", "covered_from")
        if getattr(arguments, name) is not None
    }
    model = changed(model, **options) if options else model
    head = pdsn_head(model)
    if not head.is_built:
        raise OptionError(
            f"the dictionary in {arguments.weights} is empty; train by recipe 'pdsn_masks', or give --faces"
        )
    found = measure_locality(head)
    if arguments.out is not None:
        _make_folder(arguments.out)
        save_weights(model, arguments.out)
    if arguments.figure is not None:
        _save(draw_dictionary(head), arguments.figure)
    if arguments.json:
        inside, outside = (share.tolist() for share in found.by_block)
        print(json.dumps({"inside": found.inside, "outside": found.outside, "by_block": [inside, outside]}))
        return
    print(f"discarded when one block is covered: {found.inside:.1%} inside the block, {found.outside:.1%} outside")


def _make_folder(path: Path) -> None:
    from occmask import OptionError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise OptionError(f"cannot make the folder {path.parent}: {e.strerror}; choose another") from e


def _save(picture: Image.Image, path: Path) -> None:
    from occmask import OptionError

    _make_folder(path)
    try:
        picture.save(path)
    except (ValueError, OSError) as e:
        raise OptionError(f"cannot write a picture to {path} ({e}); use a name that ends in .png") from e
