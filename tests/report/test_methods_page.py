"""The page and the tables of a comparison of methods: made-up figures in, the same figures and fair words out."""

import base64
import io
import itertools
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from occmask.errors import DataError
from occmask.report import FacePicture
from occmask.report.methods_data import differences_of, millions
from occmask.report.methods_findings import findings_of, where
from occmask.report.methods_markdown import format_methods_markdown
from occmask.report.methods_page import write_methods_page
from occmask.report.methods_table import format_methods_table

VOID = {"meta", "img", "br"}
AREAS = ["clean", "area_10", "area_20", "area_30", "area_40", "area_50"]
WORN = ["sunglasses", "mouth_mask", "scarf", "hand", "cup"]
FALL = dict(zip([*AREAS, *WORN], [0.98, 0.96, 0.94, 0.91, 0.87, 0.72, 0.93, 0.9, 0.92, 0.95, 0.96], strict=True))
METHODS = {  # name: family, control, plug-in, points above the control at full cover
    "baseline": ("control", None, None, -40),
    "augmented": ("control", "baseline", None, 0),
    "frozen": ("control", "baseline", None, -9),
    "from": ("remove features", "augmented", None, 4),
    "from_regression": ("remove features", "augmented", None, 3),
    "from_hard": ("remove features", "augmented", None, 0.4),
    "from_spatial": ("remove features", "augmented", None, -0.4),
    "retrofit": ("remove features", "frozen", None, -4),
    "pdsn": ("remove features", "baseline", "occmask-pdsn", -12),
    "rla": ("recover the face", "augmented", "occmask-rla", -6),
    "lpd": ("see the rest", "augmented", "occmask-lpd", 0.8),
    "msml": ("remove features", "augmented", "occmask-msml", 5),
}
ANSWERING = ("from", "from_regression", "from_hard", "from_spatial", "retrofit", "pdsn", "rla", "msml")


class Page(HTMLParser):
    """Parses a page and complains about tags that do not close."""

    def __init__(self, html):
        super().__init__()
        self.html, self.open, self.tags, self.words = html, [], [], []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    def charts(self, kind):
        figures = re.findall(rf'<figure class="plot {kind}">.*?</figure>', self.html, re.S)
        return [ElementTree.fromstring(svg) for f in figures for svg in re.findall(r"<svg.*?</svg>", f, re.S)]

    def tables(self):
        """Every table as rows of cells of plain words, by what its box is called."""
        boxes = re.findall(r'<div class="scroll methods"[^>]*aria-label="(.*?)"[^>]*>(.*?)</table>', self.html, re.S)
        rows = {name: re.findall(r"<tr.*?</tr>", table, re.S) for name, table in boxes}
        return {
            name: [[Page(cell).text for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.S)] for row in each]
            for name, each in rows.items()
        }

    @property
    def text(self):
        return " ".join(" ".join(self.words).replace("\xa0", " ").replace("\u2013", "-").split())


def near(value, width=0.03):
    return {"value": value, "low": max(0.0, value - width), "high": min(1.0, value + width)}


def make_results(*names, seeds=3, comparisons=True):
    """Made-up results of the named methods, all of `METHODS` unless some are named."""
    methods, against = {}, []
    rng = np.random.default_rng(7)
    for name in names or METHODS:
        family, control, plugin, points = METHODS[name]
        rank1 = {}
        for index, (condition, value) in enumerate(FALL.items()):
            cover = AREAS.index(condition) / 5 if condition in AREAS else 0.6
            shift = points / 100 * cover
            figure = near(min(1.0, value + shift))
            if seeds > 1:
                figure |= {"std": 0.004 + index / 1000, "values": [figure["value"]] * seeds}
            rank1[condition] = {"rank1": figure}
            for other in dict.fromkeys((control, "augmented", "baseline")):
                if comparisons and other and other != name and (not names or other in names):
                    own = (points - METHODS[other][3]) / 100 * cover
                    margin = 0.018 + 0.002 * rng.random()
                    found = {"value": own, "low": own - margin, "high": own + margin}
                    told = {"method": name, "against": other, "condition": condition, "metric": "rank1"}
                    against.append(told | {"difference": found})
        answers = {c: {"iou": near(0.3 + index / 40, 0.02)} for index, c in enumerate(FALL)}
        methods[name] = {
            "summary": f"made-up {name}",
            "family": family,
            "control": control,
            "plugin": plugin,
            "parameters": 834_000 + 41_000 * len(methods),
            "added_parameters": 41_000 * len(methods),
            "milliseconds": {"value": 3.21 + len(methods), "low": 3.0 + len(methods), "high": 3.5 + len(methods)},
            "steps": 450,
            "train_seconds": 61.4 + len(methods),
            "identification": rank1,
            "verification": {c: {"auc": near(0.9 + FALL[c] / 20), "tar": near(FALL[c] * 0.7)} for c in FALL},
            "occlusion": answers if name in ANSWERING else {},
        }
    return {
        "occmask": "9.8.7",
        "date": "2026-11-24",
        "environment": {"python": "3.11", "torch": "2.0", "platform": "Linux", "threads": 2, "processor": "made up"},
        "command": "occmask compare-methods --seeds 3",
        "settings": {
            "data": "made-up faces",
            "model": "from_tiny",
            "budget": {"name": "small", "learning_rate": 0.001},
            "margin loss": {"name": "cosface", "scale": 16.0},
            "seeds": seeds,
            "far": 0.01,
            "confidence": 0.95,
            "first_steps": 150,
            "more_steps": 300,
            "batch_size": 32,
        },
        "conditions": list(FALL),
        "methods": methods,
        "comparisons": against,
        "fixed_box": {c: {"iou": near(0.4, 0.01)} for c in FALL},
        "missing": [{"method": "timm_thing", "reason": "No module named 'timm' <here>"}],
        "limits": ["Only made-up people were measured."],
        "seconds": {"everything": 1234.5},
    }


def make_pictures(*methods, faces=True):
    rng = np.random.default_rng(3)
    titles = ["clean", "40 % area", "sunglasses", "mouth mask", "scarf", "hand", "cup"]
    boxes = [[0, 0, 0, 0], [0.2, 0.3, 0.8, 1], [0.1, 0.3, 0.9, 0.55], [0.15, 0.6, 0.85, 1], [0, 0.7, 1, 1]]
    boxes += [[0.5, 0.5, 0.9, 0.95], [0.3, 0.65, 0.7, 1]]
    shown = {}
    for method in methods or ANSWERING:
        shown[method] = []
        for title, box in zip(titles, boxes, strict=True):
            y, x = np.mgrid[:112, :96] / np.array([112, 96])[:, None, None]
            oval = ((x - 0.5) / 0.4) ** 2 + ((y - 0.5) / 0.47) ** 2 < 1
            grey = np.where(oval, 170 - 60 * np.abs(x - 0.45), 60) - 50 * (np.hypot(x - 0.32, y - 0.45) < 0.06)
            grey = grey - 50 * (np.hypot(x - 0.68, y - 0.45) < 0.06)
            hidden = (x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3])
            grey = np.where(hidden, 90 + 40 * (np.floor(12 * y) % 2), grey)
            image = np.repeat(grey[..., None], 3, 2).astype(np.uint8) if faces else np.full((112, 96, 3), 128, np.uint8)
            said = np.clip(np.array(box) + rng.normal(0, 0.05, 4) * (box[2] > 0), 0, 1)
            cells = np.clip(rng.random((5, 5)) * 0.3 + 0.6, 0, 1)
            subtitle = "IoU 0.71" if box[2] else "clean, yes"
            shown[method].append(
                FacePicture(image=image, cells=cells, box=said, true_box=np.array(box), title=title, subtitle=subtitle)
            )
    return shown


@pytest.fixture
def write(tmp_path):
    def written(results, pictures=None):
        path = tmp_path / "new" / "methods.html"
        write_methods_page(path, results, pictures=pictures or {})
        return Page(path.read_text(encoding="utf-8"))

    return written
