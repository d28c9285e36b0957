"""The tests of these plug-ins share the library's Hypothesis profiles; a plug-in elsewhere needs nothing of the kind."""

import hypothesis_profiles  # noqa: F401 (loads one)
