"""Evaluation: embeddings and scores -> figures with intervals. Takes arrays and callables, never models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..registry import Registry

PROTOCOLS: Registry[Callable[..., Any]] = Registry(
    "protocol",
    "occmask.protocols",
    {
        "identification": "occmask.evaluation.protocols:Identification",
        "verification": "occmask.evaluation.protocols:Verification",
        "pairs": "occmask.evaluation.pair_verification:PairVerification",
        "pfr": "occmask.evaluation.pfr:PartialFaces",
        "occlusion": "occmask.evaluation.occlusion:OcclusionAccuracy",
        "stress": "occmask.evaluation.stress:Stress",
    },
)

__all__ = ["PROTOCOLS"]
