import numpy as np
import pytest

from occmask.report import FacePicture

CONDITIONS = ["clean", "area_10", "area_20", "area_30", "area_40", "area_50", "sunglasses", "mouth_mask"]
RANK1 = {
    "baseline": [0.972, 0.925, 0.837, 0.660, 0.515, 0.327, 0.617, 0.578],
    "augmented": [0.980, 0.958, 0.953, 0.920, 0.885, 0.735, 0.953, 0.907],
    "from": [0.977, 0.968, 0.962, 0.922, 0.895, 0.752, 0.960, 0.893],
    "retrofit": [0.973, 0.963, 0.962, 0.913, 0.867, 0.707, 0.960, 0.878],
    "frozen": [0.973, 0.943, 0.945, 0.873, 0.800, 0.617, 0.903, 0.795],
}


def _figure(value, width=0.04):
    return {"value": value, "low": max(0.0, value - width), "high": min(1.0, value + width)}


def _results(*methods):
    results = {
        "occmask": "0.1.0",
        "settings": {"seed": 0, "steps": {"baseline": 150}, "note": "one training run"},
        "environment": {"torch": "2.13.0"},
        "seconds": {"baseline": 34.25},
        "conditions": list(CONDITIONS),
        "methods": {},
    }
    for method in methods:
        rank1 = dict(zip(CONDITIONS, RANK1[method], strict=True))
        results["methods"][method] = {
            "identification": {c: {"rank1": _figure(v)} for c, v in rank1.items()},
            "verification": {c: {"auc": _figure((1 + v) / 2, 0.01), "tar": _figure(v * 0.7)} for c, v in rank1.items()},
        }
        if method in ("from", "retrofit"):
            results["methods"][method]["occlusion"] = {c: {"iou": _figure(v / 2)} for c, v in rank1.items()}
    return results


def _picture(**changes):
    """A grey picture of which the model believes that its right lower cell, one of 4 x 4, is covered."""
    cells = np.zeros((4, 4))
    cells[3, 3] = 1.0
    settings = {
        "image": np.full((112, 96, 3), 120, np.uint8),
        "cells": cells,
        "box": np.array([0.75, 0.75, 1, 1]),
        "true_box": np.array([0.25, 0.25, 0.5, 0.5]),
        "title": "mouth mask",
        "subtitle": "IoU 0.62",
    }
    return FacePicture(**{**settings, **changes})


@pytest.fixture
def results():
    return _results("baseline", "augmented", "from")


# Functions and constants as fixtures: test modules do not import one another.


@pytest.fixture(scope="session")
def make_results():
    return _results


@pytest.fixture(scope="session")
def make_picture():
    return _picture


@pytest.fixture(scope="session")
def figure():
    return _figure


@pytest.fixture(scope="session")
def conditions():
    return CONDITIONS


@pytest.fixture(scope="session")
def rank1_of():
    return RANK1
