"""What a result was computed with."""

from __future__ import annotations

import numpy as np
import torch

from ..version import __version__


def computed_with() -> dict[str, str]:
    """Versions of what decides the last digits of scores."""
    return {"occmask": __version__, "numpy": np.__version__, "torch": torch.__version__}
