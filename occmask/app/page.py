"""The page itself, in Gradio: two faces to cover, and what comes of it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..errors import OccmaskError
from ..models import FaceModel
from . import drawing
from .comparing import build_matchers, compare
from .examples import CREDIT, Example, examples
from .stage import EMPTY, opened, read_stage, stage_html, stage_props, stage_value
from .stage_script import SCRIPT

TITLE = "occmask: what both faces show"
_INTRO = (
    '<header class="om-intro"><h1>Compare only what both faces show</h1><p>Open two aligned faces and drag covers over '
    "them. The model says what it believes is covered; the two faces are compared place by place, where both can be "
    "seen.</p></header>"
)
_EMPTY = '<div class="om-card om-empty">Open a picture for each face, and the comparison appears here.</div>'
_NO_PLACES = (
    '<section class="om-card"><h3>What both faces show</h3><p class="om-key">Place by place: how much of it both faces '
    "show, and whether they agree there.</p></section>"
)
_PRIVACY = (
    "Pictures are sent to the program on this computer only, are kept in the browser's memory, and are written "
    "nowhere. A score alone is no verdict: which score means one person is measured on faces like yours."
)


def build_page(model: FaceModel, *, matcher: str = "fused") -> gr.Blocks:
    """The page around a model in evaluation mode; `matcher` is the one whose score stands first.

    Raises `UnknownNameError` for the matcher.
    """
    size = model.config.image_size
    matchers = build_matchers()
    beginnings = examples(size)

    def open_on_page(sent: Any) -> dict[str, Any]:
        return opened(sent, size)

    def show(first: Any, second: Any) -> tuple[str, str, str]:
        try:
            faces = [read_stage(value, size, name=name) for value, name in ((first, "face 1"), (second, "face 2"))]
            if faces[0] is None or faces[1] is None:
                return _EMPTY, _NO_PLACES, ""
            found = compare(model, faces[0], faces[1], matchers=matchers)
        except OccmaskError as e:
            raise gr.Error(" ".join(str(e).split())) from e
        return drawing.headline(found, matcher), drawing.places(found), drawing.details(found, matcher)

    def stage(title: str, elem_id: str) -> gr.HTML:
        return gr.HTML(
            value=dict(EMPTY),
            html_template=stage_html(title, size),
            js_on_load=SCRIPT,
            apply_default_css=False,
            elem_id=elem_id,
            server_functions=[open_on_page],
            **stage_props(size),
        )

    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(60, 60)) as page:
        gr.HTML(_INTRO, apply_default_css=False)
        buttons = []
        if beginnings:
            with gr.Row(elem_id="om-examples"):
                buttons = [gr.Button(example.label, size="sm", scale=0, min_width=210) for example in beginnings]
        headline = gr.HTML(_EMPTY, apply_default_css=False, elem_id="om-headline")
        with gr.Row():
            with gr.Column(min_width=300):
                first = stage("Face 1", "om-first")
            with gr.Column(min_width=300):
                second = stage("Face 2", "om-second")
            with gr.Column(min_width=300):
                places = gr.HTML(_NO_PLACES, apply_default_css=False, elem_id="om-places")
        details = gr.HTML("", apply_default_css=False, elem_id="om-details")
        gr.HTML(f'<p class="om-foot">{_PRIVACY}{" " + CREDIT if beginnings else ""}</p>', apply_default_css=False)
        results = [headline, places, details]
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        # One event for both faces, so that answers come in the order of the questions; while one comparison runs, only
        # the last change after it waits. An example reaches it too: the stage tells that it has a new value.
        gr.on(
            [first.change, second.change],
            show,
            [first, second],
            results,
            trigger_mode="always_last",
            concurrency_limit=1,
            **quiet,
        )
        for button, example in zip(buttons, beginnings, strict=True):
            button.click(_values_of(example), None, [first, second], **quiet)
    return page


def _values_of(example: Example) -> Any:
    return lambda: (stage_value(example.first), stage_value(example.second))
