"""The Hypothesis profiles of all tests of this repository, by HYPOTHESIS_PROFILE; importing this loads one.

None has deadlines: how long an example takes says more about what else the machine is doing.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_SLOW_MACHINE = [HealthCheck.too_slow]

settings.register_profile("default", deadline=None, suppress_health_check=_SLOW_MACHINE)
# The same examples at every run, so that a change is judged by the change and not by luck.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True, suppress_health_check=_SLOW_MACHINE)
# A long look for rare cases, by hand: HYPOTHESIS_PROFILE=thorough make test PYTEST_ARGS=tests/margins
settings.register_profile("thorough", deadline=None, max_examples=2000, suppress_health_check=_SLOW_MACHINE)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
