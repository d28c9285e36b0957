"""What the page says: the numbers of the comparison, readable and well formed."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

import occmask
from occmask.app import drawing
from occmask.app.comparing import Comparison, Face, Places, compare
from occmask.app.covers import KINDS, Cover
from occmask.app.stage import stage_html, stage_props
from occmask.app.stage_script import SCRIPT
from occmask.app.style import STYLE
from occmask.images.pixels import Pixels


@pytest.fixture(scope="module")
def found(seeing: occmask.FaceModel, faces: list[Pixels]) -> Comparison:
    return compare(seeing, Face(faces[0], [Cover("box", 0.2, 0.5, 0.5, 0.5)]), Face(faces[1]))


def well_formed(html: str) -> ElementTree.Element:
    html = re.sub(r"<(img|input)\b([^>]*?)>", r"<\1\2/>", html.replace("&nbsp;", " "))
    html = re.sub(r" (hidden|disabled)(?=[ />])", r' \1=""', html)
    return ElementTree.fromstring(f"<div>{html}</div>")


def test_everything_is_well_formed_and_fetches_nothing(found: Comparison) -> None:
    for html in (
        drawing.headline(found, "fused"),
        drawing.places(found),
        drawing.details(found, "fused"),
        stage_html("Face 1", (112, 96)),
    ):
        well_formed(html)
        assert all(source.startswith("data:image/png") for source in re.findall(r'src="([^"]*)"', html))
    assert not re.search(r"https?:|@import|url\(", STYLE + SCRIPT + stage_html("Face 1", (112, 96)))


def test_every_matcher_has_its_bar_and_the_mark_of_its_score_without_covers(found: Comparison) -> None:
    html = drawing.scores(found, "fused")
    for name, score in found.scores.items():
        assert f'aria-label="{name} {score:.2f}, without covers {found.uncovered[name]:.2f}"' in html
    assert html.count("om-chosen") == 1
    assert html.count('<i class="om-tick"') == len(found.scores)


def test_bars_stay_inside_their_track() -> None:
    assert drawing._share(-0.4) == "0.0%"
    assert drawing._share(1.7) == "100.0%"


def test_the_headline_tells_what_both_show(found: Comparison) -> None:
    assert found.places is not None
    html = drawing.headline(found, "joint")
    assert f"<b>{100 * found.places.shared.mean():.0f} %</b> shows on both" in html
    assert f"<strong>{found.scores['joint']:.2f}</strong>" in html


def test_a_place_is_as_large_as_both_show_it_and_gone_when_neither_does() -> None:
    places = Places(np.array([[1.0, 0.2, -0.5]]), np.array([[1.0, 0.25, 0.0]]))
    drawn = well_formed(drawing.place_squares(places))
    sides = [float(square.get("width", 0)) for square in drawn.iter("rect")]
    assert sides == pytest.approx([0.92, 0.46])
    assert len(list(drawn.iter("circle"))) == 1
    assert "both show 25 %, cosine 0.20" in drawing.place_squares(places)


def test_agreement_runs_from_orange_over_grey_to_blue() -> None:
    assert drawing.agreement_colour(1) == "#1d4ed8"
    assert drawing.agreement_colour(0) == "#cbd0d8"
    assert drawing.agreement_colour(-0.5) == drawing.agreement_colour(-1) == "#d97706"


def test_the_overlay_is_clear_where_nothing_is_covered() -> None:
    overlay = drawing.coverage_overlay(np.array([[0.0, 0.5, 1.0]]))
    assert overlay[0, :, 3].tolist() == [0, 95, 190]


def test_a_model_without_sight_says_so(blind: occmask.FaceModel, faces: list[Pixels]) -> None:
    found = compare(blind, Face(faces[0]), Face(faces[1]))
    assert "occmask.attach" in drawing.headline(found, "fused")
    assert "om-regions" not in drawing.details(found, "fused")
    well_formed(drawing.details(found, "fused"))


def test_an_embedding_without_parts_says_so(found: Comparison) -> None:
    assert "plain cosine" in drawing.places(found._replace(places=None))
    assert "plain cosine" in drawing.headline(found._replace(places=None), "fused")


def test_a_plug_in_matcher_is_shown_under_its_own_name(found: Comparison) -> None:
    html = drawing.scores(found._replace(scores={"<mine>": 0.3}, uncovered={"<mine>": 0.4}), "<mine>")
    assert "&lt;mine&gt;" in html
    assert "-0.10" in html
    well_formed(html)


def test_the_browser_knows_every_cover_and_its_seat() -> None:
    kinds = stage_props((112, 96))["kinds"]
    assert set(kinds) == set(KINDS)
    html = stage_html("Face 1", (112, 96))
    assert all(f'data-kind="{kind}"' in html for kind in kinds)
    assert all(set(kind["seat"]) == {"x", "y", "width", "height"} for kind in kinds.values())


@pytest.mark.parametrize("text", [stage_html("Face 1", (112, 96)), stage_html("Face 1", (112, 112))])
def test_the_stage_holds_nothing_that_gradio_would_take_for_a_template(text: str) -> None:
    assert not re.search(r"\$\{|\{\{|`|<script", text)
