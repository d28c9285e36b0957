"""The tests of these plug-ins share the Hypothesis profiles of the library; yours elsewhere need nothing of it."""

import hypothesis_profiles  # noqa: F401 (loads one)
