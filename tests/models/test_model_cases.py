"""The model benchmark: who is compared with whom."""

from __future__ import annotations

import pytest

import occmask
from benchmarks import model_cases
from occmask.models.foreign.checkpoint import unwrap
from occmask.models.foreign.reading import read_foreign


@pytest.mark.parametrize("options", [{"head": None}, {"mask_decoder": "deep"}, {}], ids=str)
def test_what_was_never_published_is_compared_with_itself_only(options):
    assert model_cases.published_like(occmask.build("from_tiny", **options)) is None


def test_the_optimized_form_is_compared_with_every_other():
    rows = model_cases.measure("from_tiny", batch=2, rounds=2)
    assert [row.implementation for row in rows] == ["evaluation", "optimized"]
    assert list(rows[-1].as_fast_as) == ["evaluation"]
    assert rows[-1].seconds.rounds == 2


@pytest.mark.slow
@pytest.mark.parametrize("model", ["from_r18", "from_r50_spatial"])
def test_the_published_contender_has_the_layers_of_the_model(model):
    theirs = model_cases.published_like(occmask.build(model))
    state = {f"module.{name}": value for name, value in theirs.state_dict().items()}
    ours = read_foreign(unwrap(state, "here"), "here").tensors
    assert set(ours) == set(occmask.build(model).state_dict())
