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
from occmask.report.methods.data import differences_of, millions
from occmask.report.methods.findings import findings_of, where
from occmask.report.methods.markdown import format_methods_markdown
from occmask.report.methods.marks import marker
from occmask.report.methods.page import write_methods_page
from occmask.report.methods.table import format_methods_table

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
                values = [figure["value"] + 0.004 * (seed - 1) for seed in range(seeds)]
                figure |= {"std": 0.004 + index / 1000, "values": values}
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


def compared(*entries, confidence=0.95, **options):
    """Results of two methods and their controls in which only the given differences are known."""
    results = make_results("baseline", "augmented", "from", "rla", comparisons=False, **options)
    results["settings"]["confidence"] = confidence
    results["comparisons"] = [
        {"method": m, "against": a, "condition": c, "difference": {"value": v, "low": low, "high": high}}
        for m, a, c, (v, low, high) in entries
    ]
    return results


def sentence(results, start):
    return next(line for line in findings_of(results) if line.startswith(start))


def test_a_win_a_loss_and_a_tie_are_told_apart_by_their_intervals():
    results = compared(
        ("from", "augmented", "area_40", (0.031, 0.01, 0.052)),
        ("from", "augmented", "area_50", (0.045, 0.002, 0.09)),
        ("from", "augmented", "scarf", (0.2, -0.001, 0.4)),
        ("rla", "augmented", "clean", (-0.02, -0.03, -0.01)),
        ("rla", "augmented", "hand", (0.01, -0.02, 0.04)),
    )
    assert sentence(results, "Better").endswith("above 0: from (40 and 50 % area; by 3.1 to 4.5 points).")
    assert sentence(results, "Worse").endswith("below 0: rla (clean faces; by 2.0 points).")
    assert not any(line.startswith("Tied") for line in findings_of(results))


def test_methods_whose_intervals_all_include_zero_tie_however_large_the_difference():
    results = compared(
        ("from", "augmented", "area_40", (0.3, -0.001, 0.6)), ("rla", "augmented", "cup", (-0.3, -0.6, 0.001))
    )
    told = findings_of(results)
    assert "No method is better than augmented anywhere by an interval that excludes 0." in told
    assert "No method is worse than augmented anywhere by an interval that excludes 0." in told
    assert "Tied with augmented everywhere (every interval includes 0): from and rla." in told


def test_findings_say_how_many_comparisons_there_were_and_what_chance_gives():
    everything = make_results()
    told = sentence(everything, "99 comparisons")
    against = [d for d in differences_of(everything) if d.against == "augmented" and METHODS[d.method][0] != "control"]
    better, worse = (sum(d.verdict == v for d in against) for v in ("better", "worse"))
    assert len(against) == 99
    assert "would make about 5 of them exclude 0" in told
    assert f"{better + worse} did: {better} better, {worse} worse." in told
    assert "no more than chance" not in told
    few = compared(("from", "augmented", "cup", (0.3, 0.1, 0.6)), ("rla", "augmented", "cup", (0, -0.6, 0.1)))
    assert "2 comparisons were made" in sentence(few, "2 comp")
    assert "less than one of them" in sentence(few, "2 comp")
    assert "That is no more than chance gives." in sentence(few, "2 comp")
    assert "about 2 of them" in sentence(
        make_results("augmented", "from", "rla") | {"settings": {"confidence": 0.9}}, "22"
    )


def test_findings_say_how_many_differences_every_seed_agrees_on():
    results = compared(
        ("from", "augmented", "area_40", (0.03, 0.01, 0.05)), ("rla", "augmented", "area_40", (-0.03, -0.05, -0.01))
    )
    told = "2 of these have the same sign with every seed."
    assert told in sentence(results, "2 comparisons")
    results["methods"]["rla"]["identification"]["area_40"]["rank1"]["values"][0] = 1.0
    assert told.replace("2", "1", 1) in sentence(results, "2 comparisons")
    assert "every seed" not in sentence(
        results | {"methods": make_results("augmented", "from", "rla", seeds=1)["methods"]}, "2 c"
    )
    assert "The intervals do not cover the seeds" in sentence(results, "2 comparisons")


def test_a_method_with_another_control_is_held_against_both():
    results = make_results("baseline", "augmented", "frozen", "retrofit")
    assert "retrofit (30 to 50 % area, all 5 things worn or held" in sentence(results, "Worse")
    own = sentence(results, "Against its own control frozen")
    assert "retrofit is better (20 to 50 % area, all 5 things worn or held; by 2.0 to 5.0 points)" in own
    assert "11 more comparisons" in own


def test_the_control_is_introduced_with_what_it_is_worth_itself():
    told = sentence(make_results("baseline", "augmented", "from"), "The control is augmented")
    assert "names 87.0 % of the faces (40 % area)" in told
    assert "it is itself better than baseline (10 to 50 % area" in told


def test_a_difference_that_is_told_the_other_way_round_is_turned():
    results = compared(("augmented", "from", "area_40", (-0.031, -0.052, -0.01)))
    assert "from (40 % area; by 3.1 points)" in sentence(results, "Better")


def test_without_differences_nobody_wins(write):
    results = make_results("augmented", "from", comparisons=False)
    assert findings_of(results)[-1].endswith("no method is called better or worse.")
    page = write(results)
    assert "Differences from the control" not in page.text
    assert not page.charts("small")
    assert not re.search(r'class="sign (better|worse)"[^>]*>[^<]*</b>\d\d', page.html)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["from", "rla"]), st.sampled_from(list(FALL)), st.floats(-0.5, 0.5), st.floats(0, 0.5)
        ),
        min_size=1,
        max_size=12,
        unique_by=lambda entry: entry[:2],
    )
)
def test_a_method_is_named_better_only_where_an_interval_lies_above_zero(entries):
    results = compared(*[(m, "augmented", c, (v, v - half, v + half)) for m, c, v, half in entries])
    lines = findings_of(results)
    for method in {m for m, *_ in entries}:
        won = any(m == method and v - half > 0 for m, _, v, half in entries)
        lost = any(m == method and v + half < 0 for m, _, v, half in entries)
        assert any(re.match(rf"Better.*\b{method} \(", line) for line in lines) == won
        assert any(re.match(rf"Worse.*\b{method} \(", line) for line in lines) == lost
        tied = any(line.startswith("Tied") and re.search(rf"(: | and ){method}\b", line) for line in lines)
        assert tied == (not won and not lost)


def test_places_are_named_in_few_words():
    results = make_results("augmented")
    assert where(results, ["clean"]) == "clean faces"
    assert where(results, ["area_10", "area_20"]) == "10 and 20 % area"
    assert where(results, ["area_10", "area_20", "area_50"]) == "10, 20 and 50 % area"
    assert where(results, AREAS + WORN[:2]) == "clean faces, 10 to 50 % area, sunglasses and mouth mask"


@pytest.mark.parametrize(("names", "seeds"), [((), 3), ((), 1), (("augmented",), 3), (("augmented",), 1)])
def test_every_figure_of_the_results_is_on_the_page(write, names, seeds):
    results = make_results(*names, seeds=seeds)
    tables = write(results).tables()
    rank1 = tables["Rank-1 by covered area, %"], tables["Rank-1 behind what people wear or hold, %"]
    for table, conditions in zip(rank1, (AREAS, WORN), strict=True):
        assert len(table) == 1 + len(results["methods"])
        for row in table[1:]:
            found = results["methods"][row[0].split()[0]]["identification"]
            for cell, condition in zip(row[1:], conditions, strict=True):
                figure = found[condition]["rank1"]
                told = f"{100 * figure['value']:.1f} {100 * figure['low']:.1f}-{100 * figure['high']:.1f}"
                assert told in cell
                assert (f"sd {100 * figure['std']:.1f}" in cell) if seeds > 1 else "sd" not in cell
    for row in tables["What each method costs"][1:]:
        told = results["methods"][row[0].split()[0]]
        assert row[1] == millions(told["parameters"])
        assert row[2].lstrip("+") == millions(told["added_parameters"])
        assert float(row[3].split()[0]) == pytest.approx(told["milliseconds"]["value"], abs=0.06)
        assert row[4:] == [f"{told['train_seconds']:.0f}", "450"]
    assert f"{100 * results['methods']['augmented']['verification']['cup']['tar']['value']:.1f}" in str(tables)


def test_cells_are_marked_where_the_paired_difference_excludes_zero(write):
    results = make_results()
    verdicts = {(d.method, d.condition): d.verdict for d in differences_of(results) if d.against == "augmented"}
    tables = write(results).tables()
    signs = {"\u25b2": "better", "\u25bc": "worse"}
    marked = 0
    for name, conditions in (("Rank-1 by covered area, %", AREAS), ("Rank-1 behind what people wear or hold, %", WORN)):
        for row in tables[name][1:]:
            for cell, condition in zip(row[1:], conditions, strict=True):
                expected = verdicts.get((row[0].split()[0], condition), "tied")
                assert signs.get(cell[0], "tied") == expected
                marked += expected != "tied"
    assert marked > 40


def test_answers_are_held_against_the_box_that_never_looks(write):
    results = make_results()
    table = write(results).tables()["IoU of what each believes is covered"]
    assert [row[0].split()[0] for row in table[1:-1]] == [m for m in METHODS if m in ANSWERING and m != "rla"] + ["rla"]
    assert table[-1][0].startswith("the best fixed box")
    assert set(table[-1][1:]) == {"0.40 0.39-0.41"}
    own = [results["methods"]["from"]["occlusion"][c]["iou"] for c in FALL]
    expected = ["\u25b2" if f["low"] > 0.41 else "\u25bc" if f["high"] < 0.39 else "" for f in own]
    assert [re.match(r"[\u25b2\u25bc]?", cell)[0] for cell in table[1][1:]] == expected
    assert len(set(expected)) == 3


def test_lines_name_every_method_and_the_control_is_thick(write):
    page = write(make_results())
    desk, phone = page.charts("lines")[:2]
    for chart in (desk, phone):
        names = [t.text.rpartition(" ")[0] for t in chart.iter("text") if t.attrib["class"].startswith("name")]
        assert set(names) == set(METHODS)
        assert [t.text for t in chart.iter("text") if t.attrib["class"] == "name strong"] == ["augmented 72"]
        assert [p.attrib["class"] for p in chart.iter("path") if "strong" in p.attrib["class"]] == ["line strong fc"]
        heights = sorted(float(t.attrib["y"]) for t in chart.iter("text") if t.attrib["class"].startswith("name"))
        assert all(b - a >= 14.9 for a, b in itertools.pairwise(heights))
    assert "msml from 98.0 to 77.0 %" in desk.attrib["aria-label"]
    for family in ("remove features", "recover the face", "see the rest", "control"):
        assert family in page.text


def test_ten_methods_of_a_family_have_ten_different_markers():
    assert len({marker(0, 0, shape, "f0") for shape in range(10)}) == 10


def test_each_panel_has_a_triangle_for_every_interval_that_excludes_zero(write):
    results = make_results()
    panels = {c.attrib["aria-label"].partition(" ")[0]: c for c in write(results).charts("small")}
    assert set(panels) == {m for m, told in METHODS.items() if told[0] != "control"}
    for method, panel in panels.items():
        found = [d.verdict for d in differences_of(results) if (d.method, d.against) == (method, "augmented")]
        for verdict in ("better", "worse"):
            shapes = [p for p in panel.iter("path") if p.attrib["class"] == f"verdict {verdict}"]
            assert len(shapes) == found.count(verdict)
        assert sum("hollow" in c.attrib["class"] for c in panel.iter("circle")) == found.count("tied")


def test_controls_far_away_do_not_press_the_differences_together(write):
    page = write(make_results())
    chart = next(c for c in page.charts("forest") if "40 % area" in c.attrib["aria-label"])
    ticks = [float(t.text) for t in chart.iter("text") if t.attrib["class"] == "tick"]
    assert min(ticks) >= -15
    assert max(ticks) <= 10
    assert sum("beyond" in p.attrib["class"] for p in chart.iter("path")) == 2  # baseline, and pdsn against it
    for told in ("baseline against augmented -32.0 (worse)", "retrofit against frozen +4.0 (better)"):
        assert told in chart.attrib["aria-label"]
    assert len(page.charts("forest")) == len(FALL)


def test_a_condition_that_only_the_comparisons_know_is_drawn_too(write):
    results = make_results()
    found = {"value": 0.02, "low": 0.01, "high": 0.03}
    results["comparisons"].append(
        {"method": "from", "against": "augmented", "condition": "areas_30_to_50", "difference": found}
    )
    assert any("areas 30 to 50: from" in c.attrib["aria-label"] for c in write(results).charts("forest"))


def test_plug_ins_missing_methods_and_limits_are_on_the_page(write):
    text = write(make_results()).text
    for told in (
        "from occmask-pdsn",
        "compared with frozen too",
        "timm_thing : No module named 'timm' <here>",
        "1 more could not be measured",
        "Only made-up people were measured.",
        "occmask compare-methods --seeds 3",
        "not seeds; how far the seeds lie apart",
        "cosface",
        "1234.5",
        "2026-11-24",
    ):
        assert told in text
    assert "trained once" in write(make_results(seeds=1)).text
    assert "Not measured" not in write(make_results() | {"missing": []}).text


def test_pictures_are_a_row_a_method_of_the_same_faces(write):
    page = write(make_results(), make_pictures())
    images = [Image.open(io.BytesIO(base64.b64decode(i["src"].partition(",")[2]))) for i in page.all("img")]
    assert len(images) == 7 * (1 + len(ANSWERING))
    assert {i.size for i in images} == {(192, 224)}
    table = page.tables()["What each believes is covered"]
    assert table[1][0] == "as given"
    assert table[2][0] == "from"
    assert table[2][1:3] == ["clean, yes", "IoU 0.71"]
    given, answer = (np.asarray(images[i].convert("RGB")).astype(int) for i in (1, 8))
    assert (answer[..., 0] - answer[..., 2] > 60).sum() > 3000 > (given[..., 0] - given[..., 2] > 60).sum()
    assert "This page shows people" in page.text
    assert "sunglasses, IoU 0.71: msml marks" in str([i["alt"] for i in page.all("img")])


def test_a_page_without_faces_shows_the_answers_alone(write):
    page = write(make_results(), make_pictures(faces=False))
    assert len(page.all("img")) == 7 * len(ANSWERING)
    assert "as given" not in page.text
    assert "grey stands for the faces" in page.text
    assert "This page shows people" not in page.text
    assert not write(make_results()).all("img")


def test_methods_with_pictures_of_different_faces_are_refused(write):
    pictures = make_pictures("from", "msml")
    pictures["msml"] = pictures["msml"][:3]
    with pytest.raises(DataError, match="from 7, msml 3"):
        write(make_results(), pictures)


def test_the_page_needs_nothing_but_itself_and_fits_a_phone(write):
    page = write(make_results(), make_pictures())
    assert not page.all("script") + page.all("link") + page.all("iframe")
    for _, attributes in page.tags:
        for name in ("src", "srcset", "href", "poster", "action"):
            assert attributes.get(name, "data:").startswith("data:")
    assert not re.search(r"url\(|@import|https?://", page.html)
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert page.html.count("<table>") == page.html.count('<div class="scroll methods"') == 7
    assert page.html.count("prefers-color-scheme: dark") >= 3
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1


def test_all_words_are_escaped(write):
    evil = '<script>alert("1")</script>&'
    results = make_results()
    results["methods"][evil] = results["methods"].pop("from") | {"summary": evil, "family": evil, "plugin": evil}
    for entry in results["comparisons"]:
        entry["method"] = evil if entry["method"] == "from" else entry["method"]
    results["methods"]["retrofit"]["control"] = evil
    for method in results["methods"].values():
        method["identification"][evil] = {"rank1": near(0.5)}
    results["conditions"] = [*results["conditions"], evil]
    results |= {"occmask": evil, "date": evil, "command": evil, "limits": [evil]}
    results["settings"] |= {"data": evil, "model": evil, evil: evil}
    results["environment"] |= {"processor": evil}
    results["missing"] = [{"method": evil, "reason": evil}]
    pictures = make_pictures("msml")
    pictures[evil] = [FacePicture(image=p.image, cells=p.cells, title=evil, subtitle=evil) for p in pictures["msml"]]
    page = write(results, pictures)
    assert not page.all("script")
    assert page.text.count(evil) > 30
    assert page.charts("lines")
    assert "<script>" not in format_methods_markdown(results | {"command": ""}).replace("\\<", "")
    markdown = format_methods_markdown(results | {"missing": [{"method": "a|b", "reason": "one\ntwo"}]})
    assert "a\\|b: one two" in markdown


def test_a_control_with_an_evil_name_is_escaped_in_the_signs(write):
    results = compared(("from", '"><i>', "area_40", (0.03, 0.01, 0.05)))
    results["methods"]['"><i>'] = results["methods"].pop("augmented")
    results["methods"].pop("baseline")
    page = write(results)
    assert 'better than "><i>' in [attributes.get("title") for attributes in page.all("b")]


def test_results_that_went_through_json_give_the_same_page(write):
    results = make_results()
    assert write(json.loads(json.dumps(results))).html == write(results).html


def test_what_was_not_measured_is_left_out(write):
    assert "No method was measured." in write({}).text
    results = make_results("augmented", "from")
    del results["methods"]["from"]["identification"]["cup"], results["methods"]["from"]["milliseconds"]
    results["methods"]["from"]["occlusion"] = {}
    results["methods"]["from"]["verification"] = results["methods"]["augmented"]["verification"] = {}
    del results["fixed_box"], results["missing"], results["limits"], results["seconds"], results["environment"]
    page = write(results)
    for heading in ("believes", "Verification", "Not measured"):
        assert heading not in page.text
    assert page.tables()["Rank-1 behind what people wear or hold, %"][2][-1] == "-"
    assert page.tables()["What each method costs"][2][3] == "-"
    table = format_methods_table(results)
    assert re.search(r"^from .* -\s+\d+\.\d k\s+-$", table, re.M)


@pytest.mark.parametrize(("names", "seeds"), [((), 3), ((), 1), (("augmented",), 3), (("augmented",), 1)])
def test_the_table_is_a_row_a_method_of_at_most_100_columns(names, seeds):
    results = make_results(*names, seeds=seeds)
    table = format_methods_table(results)
    assert table.isascii()
    lines = table.splitlines()
    assert max(len(line) for line in lines) <= 100
    rows = lines[2 : 2 + len(results["methods"])]
    assert sorted(row.split()[0] for row in rows) == sorted(results["methods"])
    assert rows[len(rows) > 1].split() == [  # the control
        *("augmented", "98.0", "94.0", "87.0", "[", "84.0,", "90.0]", "72.0", "93.2"),
        *(millions(results["methods"]["augmented"]["parameters"]).split()),
        f"{results['methods']['augmented']['milliseconds']['value']:.2f}",
    ]
    assert "not measured: timm_thing: No module named 'timm' <here>" in table
    if not names:
        assert re.search(r"^msml +98.0 +96.0\+ +91.0\+ \[", table, re.M)
        assert re.search(r"^pdsn +98.0 +89.2- +77.4- \[", table, re.M)
        assert re.search(r"^lpd +98.0 +94.3 +87.6  \[", table, re.M)


@given(st.text(min_size=1, max_size=60), st.floats(0, 1), st.integers(0, 10**10), st.floats(0, 1e5))
def test_no_name_or_figure_breaks_the_table(name, value, parameters, time):
    results = make_results("augmented", seeds=1)
    told = results["methods"].pop("augmented")
    told |= {"parameters": parameters, "milliseconds": {"value": time, "low": time, "high": time}}
    told["identification"]["area_40"]["rank1"] = {"value": value}
    results["methods"] = {name: told}
    table = format_methods_table(results | {"missing": []})
    assert table.isascii()
    assert all(len(line) <= 100 for line in table.split("\n"))


def test_markdown_tables_have_as_many_cells_in_every_row():
    markdown = format_methods_markdown(make_results())
    blocks = [b.splitlines() for b in markdown.split("\n\n") if b.startswith("| ")]
    assert len(blocks) == 8
    for rows in blocks:
        assert len({row.count(" | ") for row in rows}) == 1
        assert set(rows[1]) <= set("| -")
    assert "| msml | 98.0 [95.0, 100.0] | 97.0 [94.0, 100.0] | 96.0 [93.0, 99.0] (+) |" in markdown
    assert "| retrofit | frozen | 0.0 [-1.9, +1.9] | +4.0" in markdown
    assert "| best fixed box | 0.40 [0.39, 0.41] |" in markdown
    assert "timm_thing: No module named 'timm' \\<here\\>" in markdown
    assert "data:image" not in markdown
    assert " ".join(findings_of(make_results())).replace("_", "") in markdown.replace("_", "").replace("\\", "")


def test_markdown_of_one_method_and_of_none_says_so():
    one = format_methods_markdown(make_results("augmented", seeds=1))
    assert one.startswith("1 method was trained on made-up faces under one budget, once each.")
    assert "Paired differences" not in one
    assert format_methods_markdown({}).startswith("No method was measured.")


def test_parameters_are_written_short():
    told = [millions(n) for n in (0, 999, 1000, 83_400, 834_000, 999_499, 999_500, 12_345_678, None)]
    assert told == ["0", "999", "1.0 k", "83.4 k", "834.0 k", "999.5 k", "1.00 M", "12.35 M", "-"]
