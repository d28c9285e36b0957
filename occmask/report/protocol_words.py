"""What the pages and tables of protocols say: names of protocols, groups and metrics, and how figures are written."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..evaluation.metrics import Estimate
from ..protocols.result import Result
from .results import condition_name
from .words import ORL_SOURCE

_TITLES = {
    "stress": "What covering a face costs",
    "pairs": "Same person, or not?",
    "identification": "Who is it?",
    "mfr": "Masked against unmasked",
    "pfr": "Part of a face against the whole",
    "megaface": "One face among many others",
}
_QUESTIONS = {
    "stress": "Covered pictures are recognised against a clean gallery: by how much is covered, by where, and by what",
    "pairs": "Pairs of pictures are accepted or rejected as showing one person",
    "identification": "Each probe is searched for among the people of a gallery",
    "mfr": "Pictures with a face mask are compared with pictures without one, all with all",
    "pfr": "Parts of faces are compared with whole ones",
    "megaface": "Another picture of each probe's person is looked for among pictures of people who are none of them",
}
_METRICS = {"auc": "AUC", "eer": "EER", "iou": "box IoU", "cosine": "cosine", "accuracy": "accuracy"}
_PERCENT = re.compile(
    r"rank-?\d+|auc|eer|(published_)?(tar|dir|tpir|fnir|fnmr|far|fpir|frr)(@.*)?|(.*_)?(accuracy|share)"
)

_MEANING = {
    "rank": "share of probes whose own person is found among that many first",
    "published_tar": "genuine pairs accepted by FROM's rule, which may rest on a single impostor score; for comparison "
    "with printed figures only",
    "tar": "genuine pairs accepted at a threshold that so many impostor pairs pass",
    "dir": "probes found first and accepted, at a threshold that so many strangers pass",
    "auc": "chance that a genuine pair scores above an impostor pair",
    "eer": "error where as many genuine pairs are rejected as impostor pairs are accepted",
    "iou": "overlap of the box the model believes covered with the true one; on clean faces, the share answered clean",
    "cosine": "mean similarity with the own person's gallery pictures",
    "accuracy": "share of pairs judged rightly",
}


_SOURCES = {"orl": ORL_SOURCE}  # by the template, which copies of the pictures keep
_PERSONAL = (
    "Faces are personal data: this page shows people, so share it as you would share their photographs, and know the "
    "law that protects them where you are."
)


def title_of(result: Result) -> str:
    """A heading for the page."""
    return _TITLES.get(result.protocol, result.protocol.replace("_", " ").capitalize())


def sentence_of(result: Result) -> str:
    """What was measured, on what, with what, in one sentence."""
    question = _QUESTIONS.get(result.protocol, f"The protocol {result.protocol}")
    counted = counts_of(result)
    on = f" on {result.data.get('name') or 'these faces'}" + (f" ({counted})" if counted else "")
    return f"{question}; measured{on} with {_model(result)}."


def _model(result: Result) -> str:
    name = result.model.get("name")
    return f'the model "{name}"' if name else "a model without a name"


def counts_of(result: Result) -> str:
    """How much data there was: `"40 people, 200 probes"`; the whole numbers among the result's data."""
    counts = [
        f"{value:,} {name.replace('_', ' ')}"
        for name, value in result.data.items()
        if isinstance(value, int) and not isinstance(value, bool)
    ]
    return ", ".join(counts)


def group_name(group: str) -> str:
    """`"area_40"` -> `"40 % area"`, `"visible_25_50"` -> `"25 to 50 % visible"`, `"mouth_mask"` -> `"mouth mask"`."""
    if shares := re.fullmatch(r"visible_([\d.]+)_([\d.]+)", group):
        return f"{shares[1]} to {shares[2]} % visible"
    return condition_name(group)


def metric_name(metric: str) -> str:
    """`"tar@0.001"` -> `"TAR at FAR 1e-3"`, `"rank1"` -> `"rank-1"`, `"iou"` -> `"box IoU"`."""
    name, at, point = metric.partition("@")
    if at:
        *before, name = name.split("_")
        rate = "FPIR" if name in ("dir", "tpir") else "FAR"
        return " ".join([*before, f"{name.upper()} at {rate} {_power(point)}"])
    ranked = re.fullmatch(r"rank[-_]?(\d+)", name)
    return f"rank-{ranked[1]}" if ranked else _METRICS.get(name, name.replace("_", " "))


def meaning_of(metric: str) -> str | None:
    """What a metric is, for readers who meet it for the first time; None when its name must do."""
    return next((said for start, said in _MEANING.items() if metric.startswith(start)), None)


def is_percent(metric: str) -> bool:
    """Whether the metric is a share that people read in percent."""
    return _PERCENT.fullmatch(metric) is not None


def number(value: float, metric: str) -> str:
    """`97.5` for shares, which are in percent, and `0.792` for the rest."""
    return f"{100 * value:.1f}" if is_percent(metric) else f"{value:.3f}"


def figure_text(figure: Estimate, metric: str) -> str:
    """`97.5 [95.0, 99.5]` in ASCII."""
    return f"{number(figure.value, metric)} [{number(figure.low, metric)}, {number(figure.high, metric)}]"


def metrics_of(result: Result) -> list[str]:
    """Every metric, in the order in which groups first mention them."""
    return list(dict.fromkeys(metric for group in result.figures.values() for metric in group))


def headline_of(metrics: Sequence[str]) -> list[str]:
    """The two metrics to lead with: what the protocol is about, and a rate at the strictest point that was measured."""
    rates = [m for m in metrics if m.startswith(("tar@", "dir@"))]
    others = [m for m in metrics if m not in ("auc", "eer") and "@" not in m]
    trusted = [m for m in metrics if not m.startswith("published_")]
    return list(dict.fromkeys([*others[:1], *rates[-1:], *others, *trusted, *metrics]))[:2]


def confidence_text(result: Result) -> str:
    """`"95 %"`."""
    return f"{100 * float(result.settings.get('confidence', 0.95)):g} %"


def held_out_of(result: Result) -> Sequence[str]:
    """The groups whose occluder no recipe of occmask trains on."""
    return tuple(result.settings.get("held_out", ()))


def credits_of(result: Result) -> list[str]:
    """What a page that shows pictures of the result's data owes: the source of known faces, and whose data they are."""
    source = _SOURCES.get(str(result.data.get("template")))
    return [*([source] if source else []), _PERSONAL]


def _power(point: str) -> str:
    """`"0.001"` and `"1e-03"` -> `"1e-3"`."""
    try:
        mantissa, exponent = f"{float(point):.5e}".split("e")
    except ValueError:
        return point
    return f"{float(mantissa):g}e{int(exponent)}"
