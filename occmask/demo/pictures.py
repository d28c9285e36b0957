"""Which faces the demo shows: fixed beforehand, whatever the model answers about them."""

from __future__ import annotations

from collections.abc import Mapping

from ..data.faces import FaceSet
from ..evaluation.occlusion import box_iou
from ..measure import answers
from ..occluders.conditions import CONDITIONS, Probes
from ..report.figures import FacePicture
from ..report.results import condition_name
from ..shapes import OcclusionAnswer
from ..training.methods import Trained

# One probe a picture, of twelve people; the numbers were written down before anything was trained.
_PROBES = (12, 31, 57, 78, 101, 119, 136, 152, 171, 188, 66, 93)
_SHOWN = (*CONDITIONS, "clean")


def choose_pictures(
    methods: Mapping[str, Trained], probes: FaceSet, conditions: Mapping[str, Probes]
) -> list[FacePicture]:
    """One face a condition (and a second clean one) with the answer of FROM, or of `retrofit` for want of it."""
    method = methods.get("from") or methods.get("retrofit")
    if method is None:
        return []
    pictures = []
    for index, condition in zip(_PROBES, _SHOWN, strict=True):
        covered = conditions[condition]
        answer = answers(method.model, covered.images[index : index + 1])
        pictures.append(_picture(covered, index, answer, condition))
    return pictures


def _picture(covered: Probes, index: int, answer: OcclusionAnswer, condition: str) -> FacePicture:
    box, truth = answer.box[0].numpy(), covered.box[index]
    says_clean = not box.any()
    subtitle = "says: clean" if says_clean else f"IoU {box_iou(box[None], truth[None])[0]:.2f}"
    if condition == "clean" and not says_clean:
        subtitle = "false alarm"
    return FacePicture(
        image=covered.images[index],
        cells=answer.cells[0].numpy(),
        box=box,
        true_box=truth,
        title=condition_name(condition),
        subtitle=subtitle,
    )
