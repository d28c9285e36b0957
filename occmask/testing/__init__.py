"""For authors of components: does mine keep the protocol that the library relies on?

    from occmask.testing import check_head

    def test_my_head_keeps_the_protocol():
        check_head("mine")                   # a registered name, a Spec, "module:attribute", or the factory itself

Each check builds the component, tries every clause of its protocol and raises `AssertionError` with a sentence that
says which one failed.  `occmask.testing.strategies` holds the Hypothesis strategies of our own tests; only it needs
Hypothesis.
"""

from __future__ import annotations

from .backbones import check_backbone
from .heads import check_head, check_mask_decoder, check_pattern_predictor
from .margins import check_margin
from .parts import check_part_locator
from .refiners import check_refiner
from .restorers import check_restorer

__all__ = [
    "check_backbone",
    "check_head",
    "check_margin",
    "check_mask_decoder",
    "check_part_locator",
    "check_pattern_predictor",
    "check_refiner",
    "check_restorer",
]
