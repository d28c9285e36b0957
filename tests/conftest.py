"""What all tests share: Hypothesis profiles, and registries that forget what a test registered.

`HYPOTHESIS_PROFILE=ci make test`; without the variable the profile is "default".  None has deadlines: how long an
example takes says more about what else the machine is doing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis_profiles  # noqa: F401 (loads one)
import pytest
import torch

import occmask
from occmask.registry import Registry

CAN_RUN = {
    "gpu": (torch.cuda.is_available(), "needs a CUDA device"),
    "interpreter": (os.environ.get("TRITON_INTERPRET") == "1", "needs TRITON_INTERPRET=1, as `make test` sets it"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker, (possible, reason) in CAN_RUN.items():
            if item.get_closest_marker(marker) and not possible:
                item.add_marker(pytest.mark.skip(reason=reason))


REGISTRIES = [
    value for name in filter(str.isupper, occmask.__all__) if isinstance(value := getattr(occmask, name), Registry)
]


@pytest.fixture(autouse=True)
def _forget_what_the_test_registered() -> Iterator[None]:
    """Tests over everything registered must not meet the half-made components of other tests."""
    before = [(registry, dict(registry._loaded)) for registry in REGISTRIES]
    yield
    for registry, loaded in before:
        registry._loaded = loaded
