"""Which faces a page shows: fixed beforehand, whatever the model answers about them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..evaluation.occlusion import box_iou
from ..measure import answers
from ..models.face import FaceModel
from ..occluders.conditions import CONDITIONS, Probes
from ..report.coverage_picture import CoveragePicture
from ..report.figures import FacePicture
from ..report.results import condition_name
from ..shapes import REGIONS, OcclusionAnswer

# One probe a picture, of twelve people of ORL; the numbers were written down before anything was trained.
_PROBES = (12, 31, 57, 78, 101, 119, 136, 152, 171, 188, 66, 93)
_SHOWN = (*CONDITIONS, "clean")


def beliefs(model: FaceModel, conditions: Mapping[str, Probes], *, faces: bool = True) -> list[FacePicture]:
    """One face a condition (and a second clean one) with the model's answer; without `faces` on flat grey."""
    if not model.sees_occlusion:
        return []
    pictures = []
    for chosen, condition in zip(_PROBES, _SHOWN, strict=True):
        covered = conditions[condition]
        index = chosen % len(covered.images)
        answer = answers(model, covered.images[index : index + 1])
        picture = _picture(covered, index, answer, condition)
        pictures.append(picture if faces else _without_face(picture))
    return pictures


def coverage_pictures(model: FaceModel, conditions: Mapping[str, Probes]) -> list[CoveragePicture]:
    """The same faces with the finest map that the model has of them."""
    pictures = []
    for chosen, condition in zip(_PROBES, _SHOWN, strict=True):
        covered = conditions[condition]
        index = chosen % len(covered.images)
        answer = answers(model, covered.images[index : index + 1])
        assert answer.coverage is not None
        pictures.append(
            CoveragePicture(
                image=covered.images[index],
                coverage=answer.coverage[0].numpy(),
                box=answer.box[0].numpy(),
                covered=float(answer.covered[0]),
                regions={name: float(answer.region(name)[0]) for name in REGIONS},
                title=condition_name(condition),
            )
        )
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


def _without_face(picture: FacePicture) -> FacePicture:
    return FacePicture(
        image=np.full_like(picture.image, 200),
        cells=picture.cells,
        box=picture.box,
        true_box=picture.true_box,
        title=picture.title,
        subtitle=picture.subtitle,
    )
