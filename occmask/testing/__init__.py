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
from .data import check_dataset, check_protocol
from .embeddings import check_embedding
from .heads import check_head, check_mask_decoder, check_pattern_predictor
from .indexes import check_gallery_index
from .margins import check_margin
from .matchers import check_matcher
from .objectives import check_objective
from .occluders import check_occluder, check_placement, check_testset
from .parts import check_part_locator
from .recipes import check_method, check_recipe
from .refiners import check_refiner
from .restorers import check_restorer
from .whole_models import check_model

__all__ = [
    "check_backbone",
    "check_dataset",
    "check_embedding",
    "check_gallery_index",
    "check_head",
    "check_margin",
    "check_mask_decoder",
    "check_matcher",
    "check_method",
    "check_model",
    "check_objective",
    "check_occluder",
    "check_part_locator",
    "check_pattern_predictor",
    "check_placement",
    "check_protocol",
    "check_recipe",
    "check_refiner",
    "check_restorer",
    "check_testset",
]
