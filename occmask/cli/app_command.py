"""`occmask app`: a page on this computer where covers are dragged over two faces."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from ..app.serving import served
from ..errors import OptionError
from ..models import load_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weights", type=Path, required=True, help="a file of occmask.save_weights or a checkpoint")
    parser.add_argument("--port", type=int, default=7860, help="of 127.0.0.1; 0 takes a free one (%(default)s)")
    parser.add_argument("--matcher", default="fused", help="whose score stands first (%(default)s)")


def run(arguments: argparse.Namespace) -> None:
    if not 0 <= arguments.port <= 65535:
        raise OptionError(f"--port lies in 0..65535, not {arguments.port}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what Gradio wrote is removed then too
    model = load_model(arguments.weights)
    with served(model, port=arguments.port, matcher=arguments.matcher) as url:
        print(f"open {url} in a browser of this computer; Ctrl-C ends it", flush=True)
        threading.Event().wait()
