"""Protocols: a way to embed pictures, and data -> one result, always of the same form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..registry import Registry

PROTOCOLS: Registry[Callable[..., Any]] = Registry(
    "protocol",
    "occmask.protocols",
    {
        "identification": "occmask.protocols.face_identification:FaceIdentification",
        "megaface": "occmask.protocols.megaface:MegaFaceIdentification",
        "mfr": "occmask.protocols.mfr:MaskedFaceVerification",
        "pairs": "occmask.protocols.pair_verification:PairVerification",
        "pfr": "occmask.protocols.pfr:PartialFaces",
        "stress": "occmask.protocols.stress:Stress",
    },
)

__all__ = ["PROTOCOLS"]
