"""Measuring: models, data and protocols brought together."""

from __future__ import annotations

from .calibration import AnswerReliability, CalibrationReport, calibrate
from .comparers import embedder
from .conditions import (
    Scores,
    answers,
    plain,
    probes_by_condition,
    score_fixed_box,
    score_known_people,
    score_unseen_people,
)

__all__ = [
    "AnswerReliability",
    "CalibrationReport",
    "Scores",
    "answers",
    "calibrate",
    "embedder",
    "plain",
    "probes_by_condition",
    "score_fixed_box",
    "score_known_people",
    "score_unseen_people",
]
