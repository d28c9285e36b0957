import base64
import io
import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from occmask.report import write_report

VOID = {"meta", "img", "source", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """Parses a page and complains about tags that do not close."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).replace("\xa0", " ").split())


@pytest.fixture
def write(tmp_path):
    def written(results, **options):
        path = write_report(tmp_path / "new" / "report.html", results, **options)
        return path.read_text(encoding="utf-8")

    return written


def pictures_in(page):
    uris = [a["src"] for a in page.all("img")] + [a["srcset"] for a in page.all("source")]
    return [Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2]))) for uri in uris]


def test_the_page_needs_nothing_but_itself(make_picture, write, results):
    html = write(results, pictures=[make_picture()] * 2)
    page = Page(html)
    assert not page.all("script") + page.all("link") + page.all("iframe")
    for attributes in (attributes for _, attributes in page.tags):
        for name in ("src", "srcset", "href", "poster", "action"):
            assert attributes.get(name, "data:").startswith("data:")
    assert not re.search(r"url\(|@import|https?://", html)
    assert len(pictures_in(page)) == 4 + 2


def test_every_figure_of_the_results_is_on_the_page(make_results, conditions, rank1_of, write):
    results = make_results(*rank1_of)
    text = Page(write(results)).text
    for method, recipe in results["methods"].items():
        for condition in conditions:
            rank1 = recipe["identification"][condition]["rank1"]
            assert f"{100 * rank1['value']:.1f} {100 * rank1['low']:.1f}\u2013{100 * rank1['high']:.1f}" in text, method
            for metric in ("auc", "tar"):
                assert f"{100 * recipe['verification'][condition][metric]['value']:.1f} " in text
    assert "0.45 0.41\u20130.49" in text  # IoU of FROM at 40 %


def test_the_page_opens_with_the_summary_and_says_what_the_figures_do_not_show(write, results):
    text = Page(write(results)).text
    assert "At 40 % covered area FROM names 89.5 % of the faces, training on clean faces alone 51.5 %" in text
    assert "ties the same occluded data without the mask branch" in text
    for promised in (
        "known people, unseen pictures",
        "AT&T Laboratories Cambridge",
        "what they do not",
        "Faces are people's data",
        "It does not cover another training run",
        "mouth mask",
        "40 % area",
        "one training run",
        "34.25",
    ):
        assert promised in text


def test_a_run_can_name_its_pairs_its_limits_and_its_confidence(write, results):
    results["settings"] |= {"verification": "unknown people", "confidence": 0.9, "data": "my pictures"}
    results["limits"] = ["Only tall people were photographed."]
    text = Page(write(results)).text
    assert "known people, unseen" not in text
    assert "(unknown people)" in text
    assert "Only tall people were photographed." in text
    assert "90 % interval" in text
    assert "AT&T" not in text


def test_headings_step_down_one_at_a_time_and_every_picture_has_words(make_picture, write, results):
    page = Page(write(results, pictures=[make_picture()]))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    alts = [image["alt"] for image in page.all("img")]
    assert "FROM 75.2" in alts[0]
    assert (
        alts[1] == "A face (mouth mask, IoU 0.62), plain and with the answer: the model marks 1 of 16 cells as covered."
    )


def test_the_page_fits_a_phone_and_follows_the_readers_light_or_dark(write, results):
    html = write(results)
    page = Page(html)
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert "prefers-color-scheme: dark" in html.partition("<style>")[2]
    wide, narrow_dark, narrow, dark = pictures_in(page)
    assert wide.size == dark.size != narrow.size == narrow_dark.size
    brightness = [np.asarray(p.convert("L")).mean() for p in (wide, narrow, dark, narrow_dark)]
    assert min(brightness[:2]) > 180
    assert max(brightness[2:]) < 80
    tables = html.count("<table>")
    assert tables == html.count('<div class="scroll"') == 4


def test_names_and_settings_are_escaped(make_picture, figure, conditions, write, results):
    evil = '<script>alert("1")</script>&'
    results["methods"][evil] = results["methods"].pop("augmented")
    results["conditions"] = [evil, *conditions]
    for recipe in results["methods"].values():
        recipe["identification"][evil] = {"rank1": figure(0.5)}
    results["settings"] = {evil: evil, "confidence": 0.95}
    results["limits"] = [evil]
    results["occmask"] = evil
    html = write(results, title=evil, pictures=[make_picture(title=evil, subtitle=evil)])
    assert "<script" not in html
    page = Page(html)
    assert not page.all("script")
    assert page.text.count(evil) >= 8


def test_methods_and_conditions_that_are_missing_are_left_out(make_results, write):
    results = make_results("from")
    del results["methods"]["from"]["verification"], results["methods"]["from"]["occlusion"]
    text = Page(write(results)).text
    assert "TAR" not in text
    assert "Mean IoU" not in text
    assert "clean training" not in text
    assert "89.5" in text
    assert "No method was measured." in Page(write({})).text


def test_a_method_that_missed_a_condition_shows_a_dash(write, results):
    del results["methods"]["from"]["identification"]["mouth_mask"]
    assert "<td>-</td></tr>" in write(results)


def test_the_pictures_on_the_page_are_the_faces_with_the_answer(make_picture, write, results):
    page = Page(write(results, pictures=[make_picture()]))
    assert "a grid of 4 x 4 cells" in page.text
    face = np.asarray(pictures_in(page)[1].convert("RGB")).astype(int)
    assert face.shape == (2 * 224 + 2, 192, 3)
    plain, answer = face[:224], face[226:]
    assert np.abs(plain - 120).max() < 12
    orange = answer[..., 0] - answer[..., 2] > 60
    assert orange[172:220, 148:188].all()
    assert not orange[:150, :120].any()


def test_results_that_went_through_json_give_the_same_page(write, results):
    assert write(json.loads(json.dumps(results))) == write(results)


def test_verification_of_people_nobody_trained_on_has_tables_of_its_own(write, results, figure):
    results["methods"]["from"]["verification_unseen"] = {"clean": {"auc": figure(0.9123), "tar": figure(0.7654)}}
    text = Page(write(results)).text
    assert "AUC, %: people nobody trained on" in text
    assert "91.2 87.2" in text
    assert "76.5 72.5" in text
