"""Hypothesis without deadlines: how long an example takes says more about the machine."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("lpd", deadline=None)
settings.register_profile("lpd-ci", deadline=None, derandomize=True)
settings.load_profile("lpd-ci" if os.environ.get("HYPOTHESIS_PROFILE") == "ci" else "lpd")
