"""A page to play with: two faces, covers dragged over them, and what a model makes of that.

`serving` and `page` need the package gradio (extra `app`); the other modules do not.
"""

from __future__ import annotations

from .comparing import Comparison, Face, Places, Side, compare
from .covers import KINDS, Cover, put_covers

__all__ = ["KINDS", "Comparison", "Cover", "Face", "Places", "Side", "compare", "put_covers"]
