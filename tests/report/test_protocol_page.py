"""The page and the table of any protocol's result: complete, self-contained, and nothing that was not measured."""

import base64
import io
import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from occmask.evaluation.metrics import Estimate
from occmask.evaluation.outcomes import Comparison, Curve
from occmask.protocols.result import Result
from occmask.report.protocol_page import write_protocol_page
from occmask.report.protocol_table import format_result
from occmask.report.protocol_words import headline_of, is_percent, metric_name
from occmask.report.svg import floor_of, logarithmic

VOID = {"meta", "img", "br"}
CONDITIONS = ("clean", "area_10", "area_30", "area_50", "book", "scarf", "mouth_mask")


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

    def charts(self):
        return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", self.html, re.S)]

    @property
    def text(self):
        return " ".join(" ".join(self.words).replace("\xa0", " ").replace("\u2011", "-").split())


def near(value):
    return Estimate(value, max(0.0, value - 0.05), min(1.0, value + 0.05))


def curves(seed, *, with_cmc=True):
    rng = np.random.default_rng(seed)
    far = np.concatenate([[0.0], np.geomspace(1e-4, 1, 30)])
    centres = np.linspace(-0.99, 0.99, 100)
    found = {
        "roc": Curve(far, np.sort(rng.random(31))),
        "genuine": Curve(centres, np.exp(-((centres - 0.6) ** 2) * 30) / 20),
        "impostor": Curve(centres, np.exp(-(centres**2) * 30) / 20),
    }
    return found | ({"cmc": Curve(np.arange(1.0, 31), np.linspace(0.7, 1, 30))} if with_cmc else {})


COMMON = {
    "model": {"name": "the <model>", "fingerprint": "ab" * 32, "parameters": 12345},
    "notes": ("Mind the <gap>.",),
    "versions": {"occmask": "9.8.7", "torch": "2.0"},
    "worst": (Comparison("ann/1.png", "ann/2.png", 0.123, True), Comparison("ann/1.png", "bob/1.png", 0.876, False)),
}


def make_stress():
    values = dict(zip(CONDITIONS, (0.975, 0.951, 0.842, 0.613, 0.731, 0.524, 0.687), strict=True))
    fall = np.arange(25.0).reshape(5, 5) / 100 - 0.02
    maps = {"fall": fall, "low": fall - 0.05, "high": fall + 0.05}
    return Result(
        protocol="stress",
        settings={
            "occluders": ["book", "scarf", "mouth_mask"],
            "held_out": ["scarf", "mouth_mask"],
            "block": 0.4,
            "people": None,
        },
        data={"name": "my faces", "fingerprint": "cd" * 32, "people": 40, "probes": 200, "size": [112, 96]},
        figures={
            c: {"rank1": near(v), "tar@1e-3": near(v - 0.1), "cosine": near(v - 0.2), "iou": near(v / 3)}
            for c, v in values.items()
        },
        curves={c: curves(i) for i, c in enumerate(CONDITIONS)},
        maps={"rank1": maps, "cosine": maps},
        **COMMON,
    )


def make_pairs():
    figures = {"accuracy": near(0.9), "published_tar@1e-4": near(0.61), "auc": near(0.93), "eer": near(0.07)}
    return Result(
        protocol="pairs",
        settings={"folds": 10, "confidence": 0.9},
        data={"name": "lfw.bin", "fingerprint": "cd" * 32, "pairs": 6000},
        figures={"plain": figures, "flip": figures},
        curves={"plain": curves(0, with_cmc=False), "flip": curves(1, with_cmc=False)},
        **COMMON,
    )


def make_identification():
    return Result(
        protocol="identification",
        settings={},
        data={"name": "probes", "fingerprint": "cd" * 32, "people": 10},
        figures={"closed": {"rank1": near(0.8), "rank5": near(0.9)}, "open": {"dir@1e-2": near(0.7)}},
        curves={
            "closed": {"cmc": Curve(np.arange(1.0, 4), np.array([0.8, 0.85, 0.9]))},
            "open": {"dir": Curve(np.array([1e-8, 1e-3, 1]), np.array([0.5, 0.7, 0.8]))},
        },
    )


def make_bare():
    return Result(protocol="my_own", settings={}, data={}, figures={"one row": {"some_number": Estimate(1.5, 1.25, 2)}})


MAKERS = (make_stress, make_pairs, make_identification, make_bare)


def face(name):
    return np.full((112, 96, 3), 40 if name.startswith("ann") else 200, np.uint8)


@pytest.fixture
def write(tmp_path):
    def written(result, pictures=face):
        path = write_protocol_page(tmp_path / "new" / "report.html", result, pictures)
        return Page(path.read_text(encoding="utf-8"))

    return written


@pytest.mark.parametrize("make", MAKERS)
def test_the_page_needs_nothing_but_itself(make, write):
    page = write(make())
    assert not page.all("script") + page.all("link") + page.all("iframe")
    for attributes in (attributes for _, attributes in page.tags):
        for name in ("src", "srcset", "href", "poster", "action"):
            assert attributes.get(name, "data:").startswith("data:")
    assert not re.search(r"url\(|@import|https?://", page.html)


@pytest.mark.parametrize("make", MAKERS)
def test_every_figure_and_its_interval_is_on_the_page_and_in_the_table(make, write):
    result = make()
    text, table = write(result).text, format_result(result)
    for group in result.figures.values():
        for metric, figure in group.items():
            unit, digits = (100, 1) if is_percent(metric) else (1, 3)
            value, low, high = (f"{unit * number:.{digits}f}" for number in figure)
            assert f"{value} {low}\u2013{high}" in text
            assert f"{value} [{low}, {high}]" in table


@pytest.mark.parametrize("make", MAKERS)
def test_the_table_fits_eighty_columns_of_ascii(make):
    table = format_result(make())
    assert table.isascii()
    assert max(len(line) for line in table.splitlines()) <= 80


@pytest.mark.parametrize("make", MAKERS)
def test_headings_step_down_one_at_a_time_and_every_picture_has_words(make, write):
    page = write(make())
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    assert all(image["alt"] for image in page.all("img"))
    assert all(chart.attrib["aria-label"] for chart in page.charts())


def test_the_page_fits_a_phone_and_follows_the_readers_light_or_dark(write):
    page = write(make_stress())
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert "prefers-color-scheme: dark" in page.html
    inside = "".join(re.findall(r"<svg.*?</svg>", page.html, re.S))
    assert not re.search(r'(fill|stroke)="|#[0-9a-f]{6}', inside)  # no colour of its own
    assert all(set(chart.attrib) == {"viewBox", "role", "aria-label"} for chart in page.charts())


def test_a_stress_page_opens_with_what_was_measured_and_holds_everything(write):
    text = write(make_stress()).text
    assert 'measured on my faces (40 people, 200 probes) with the model "the <model>"' in text
    for heading in ("How much is covered", "What covers it", "Where it is covered", "ROC", "CMC", "Scores, clean"):
        assert heading in text
    for told in ("Mind the <gap>.", "9.8.7", "ab" * 32, "cd" * 32, "a block over 40 % of each side"):
        assert told in text
    assert "null" not in text


def test_occluders_that_training_never_saw_are_marked_in_bars_and_table(write):
    page = write(make_stress())
    assert page.html.count('class="held"') == 2
    bars = next(chart for chart in page.charts() if "Bars of rank-1" in chart.attrib["aria-label"])
    assert "book 73.1, scarf 52.4, mouth mask 68.7" in bars.attrib["aria-label"]
    rects = [r for r in bars.iter() if r.attrib.get("class", "").startswith("bar")]
    assert [r.attrib["class"] for r in rects] == ["bar c0", "bar c1", "bar c1"]
    widths = [float(r.attrib["width"]) for r in rects]
    assert widths == pytest.approx([widths[0] * v / 0.731 for v in (0.731, 0.687, 0.524)], abs=0.1)
    table = format_result(make_stress())
    assert "scarf *" in table
    assert "book *" not in table


def test_the_heat_map_shows_each_cost_and_is_hottest_where_it_is_highest(write):
    maps = [chart for chart in write(make_stress()).charts() if "cells over a face" in chart.attrib["aria-label"]]
    assert len(maps) == 2
    shares, cosine = ([t.text for t in chart.iter() if t.tag == "text"] for chart in maps)
    assert shares == [f"{n:.1f}" for n in range(-2, 23)]
    assert cosine == [f"{n / 100:.3f}" for n in range(-2, 23)]
    heat = [float(r.attrib["style"].partition(":")[2]) for r in maps[0].iter() if r.attrib.get("class") == "cell"]
    assert heat[:3] == [0, 0, 0]
    assert heat == sorted(heat)
    assert heat[-1] == 1
    assert "The most, 22.0, in row 5, column 5" in maps[0].attrib["aria-label"]
    unsure = [t.text for t in maps[0].iter() if t.attrib.get("class") == "cost unsure"]
    assert unsure == [f"{n:.1f}" for n in range(-2, 6)]  # whose interval of 5 points either way holds zero


def test_worst_pairs_are_thumbnails_with_names_and_scores(write):
    page = write(make_stress())
    pictures = [Image.open(io.BytesIO(base64.b64decode(i["src"].partition(",")[2]))) for i in page.all("img")]
    assert [i["alt"] for i in page.all("img")] == ["ann/1.png", "ann/2.png", "ann/1.png", "bob/1.png"]
    assert [p.format for p in pictures] == ["JPEG"] * 4
    assert [round(np.asarray(p).mean() / 40) for p in pictures] == [1, 1, 1, 5]
    for told in ("0.123", "0.876", "One person, scored lowest", "Two people, scored highest"):
        assert told in page.text


def test_the_right_of_a_pair_may_be_of_another_set(tmp_path):
    path = write_protocol_page(tmp_path / "p.html", make_stress(), face, right=lambda name: face("other"))
    images = Page(path.read_text()).all("img")
    shown = [Image.open(io.BytesIO(base64.b64decode(i["src"].partition(",")[2]))) for i in images]
    assert [round(np.asarray(p).mean() / 40) for p in shown] == [1, 5, 1, 5]


def test_without_pictures_no_face_is_on_the_page(write):
    page = write(make_stress(), None)
    assert not page.all("img")
    assert "data:image" not in page.html
    assert "0.876: ann/1.png and bob/1.png" in page.text


def test_a_page_with_faces_names_their_source_and_says_whose_data_they_are(write):
    orl = make_pairs()
    orl = replace(orl, data={**orl.data, "template": "orl"})
    personal, source = "Faces are personal data", "AT&T Laboratories Cambridge"
    for result, pictures, said in (
        (orl, face, (True, True)),
        (make_pairs(), face, (True, False)),
        (orl, None, (False, False)),
        (replace(orl, worst=()), face, (False, False)),
    ):
        text = write(result, pictures).text
        assert (text.count(personal), text.count(source)) == said


def test_a_page_leads_with_what_the_protocol_is_about(write):
    assert headline_of(["auc", "eer", "tar@1e-4"]) == ["tar@1e-4", "auc"]
    assert headline_of(["accuracy", "published_tar@1e-4", "auc", "eer", "tar@1e-1", "tar@1e-2"]) == [
        "accuracy",
        "tar@1e-2",
    ]
    assert headline_of(["rank1", "tar@1e-3", "cosine", "iou"]) == ["rank1", "tar@1e-3"]
    assert headline_of(["rank1", "rank5"]) == ["rank1", "rank5"]
    assert headline_of(["auc"]) == ["auc"]
    assert headline_of([]) == []
    tiles = write(make_pairs()).text.partition("With 90 %")[0]
    assert "accuracy, plain" in tiles
    assert "published TAR" not in tiles


def test_groups_and_counts_are_written_for_people(write):
    result = Result(
        protocol="pfr",
        settings={},
        data={"groups": {"all": {"probes": 200, "gallery": 100}}},
        figures={"visible_25_50": {"rank1": near(0.5)}, "visible_2.5_100": {"rank1": near(0.5)}},
    )
    text = write(result).text
    for told in ("25 to 50 % visible", "2.5 to 100 % visible", "all: probes: 200; gallery: 100"):
        assert told in text


def test_what_was_not_measured_has_no_section(write):
    text = write(make_bare()).text
    for heading in ("Where it is covered", "Scores and errors", "most wrong", "How to read", "What covers", "CMC"):
        assert heading not in text
    assert "My own" in text
    assert "Open-set identification" in write(make_identification()).text
    pairs = write(make_pairs()).text
    for heading in ("CMC", "Where it is covered", "How much is covered"):
        assert heading not in pairs
    assert "90 % interval" in pairs
    assert "Same person, or not?" in pairs
    assert "No" not in write(Result(protocol="stress", settings={}, data={}, figures={})).words


def test_a_metric_that_a_group_lacks_is_a_dash(write):
    assert "<td>-</td>" in write(make_identification()).html
    assert re.search(r"closed .* -$", format_result(make_identification()), re.M)


def test_names_are_escaped(write):
    evil = '<script>alert("1")</script>&'
    result = Result(
        protocol=evil,
        settings={evil: evil},
        data={"name": evil, "fingerprint": evil},
        model={"name": evil},
        figures={evil: {evil: near(0.5), "rank1": near(0.5)}},
        curves={evil: curves(0)},
        worst=(Comparison(evil, evil, 0.5, True),),
        notes=(evil,),
        versions={"occmask": evil},
    )
    page = write(result)
    assert not page.all("script")
    assert page.text.count(evil) >= 10
    assert page.charts()


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("tar@1e-3", "TAR at FAR 1e-3"),
        ("tar@0.001", "TAR at FAR 1e-3"),
        ("tar@2.5e-02", "TAR at FAR 2.5e-2"),
        ("dir@0.01", "DIR at FPIR 1e-2"),
        ("tar@odd", "TAR at FAR odd"),
        ("published_tar@1e-4", "published TAR at FAR 1e-4"),
        ("rank1", "rank-1"),
        ("rank_20", "rank-20"),
        ("my_own", "my own"),
    ],
)
def test_metrics_have_names_for_people(metric, name):
    assert metric_name(metric) == name


def test_shares_are_told_in_percent_and_other_numbers_are_not():
    for metric in ("rank1", "tar@1e-3", "published_tar@1e-4", "accuracy", "flip_accuracy", "auc", "eer", "dir@0.1"):
        assert is_percent(metric)
    for metric in ("cosine", "iou", "threshold", "target"):
        assert not is_percent(metric)


def test_axes_begin_below_the_lowest_value():
    assert floor_of([0.93]) == 0.8
    assert floor_of([0.31, 0.9]) == pytest.approx(0.3)
    assert floor_of([]) == 0
    scale = logarithmic(1e-4, 1)
    assert [scale(value) for value in (0.0, 1e-4, 1e-2, 1)] == pytest.approx([0, 0, 0.5, 1])


def test_a_curve_without_a_positive_far_still_makes_a_page(write):
    result = Result(
        protocol="pairs",
        settings={},
        data={},
        figures={},
        curves={"a": {"roc": Curve(np.array([0.0, 1.0]), np.array([1.0, 1.0])), "cmc": Curve(np.ones(1), np.ones(1))}},
    )
    assert len(write(result).charts()) == 2


def test_a_file_name_that_is_no_text_does_not_stop_the_page(tmp_path):
    """Such names come out of folders: bytes that are no UTF-8, as Python keeps them."""
    named = Comparison("ann/\udce9.png", "bob/1.png", 0.5, False)
    result = Result(protocol="pairs", settings={}, data={"fingerprint": "f"}, figures={}, worst=(named,))
    assert "bob/1.png" in Page(write_protocol_page(tmp_path / "page.html", result, None).read_text("utf-8")).text
