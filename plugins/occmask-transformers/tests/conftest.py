"""Nothing here may reach for the hub: weights that are asked for lie in a folder."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
