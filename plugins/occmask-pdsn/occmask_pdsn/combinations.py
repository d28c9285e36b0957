"""Combinations: the items of the covered blocks -> one feature discarding mask.

The paper combines the items of all covered blocks and does not print the rule; each here is one reading of it.  A rule
is a function of the items (N, E), how strongly to discard each of E features in [0, 1]; the covered blocks (B, N) as
zeros and ones; and the threshold in (0, 1).  It returns which features are discarded, (B, E) booleans.  Where no block
is covered it discards nothing, a higher threshold never discards more, and items of zeros never discard.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from occmask import Registry

COMBINATIONS: Registry[Any] = Registry(
    "combination",
    "occmask_pdsn.combinations",
    {name: f"occmask_pdsn.combinations:{name}" for name in ("union", "mean", "sum_of_items")},
)


def union(items: Tensor, covered: Tensor, threshold: float) -> Tensor:
    """A feature is discarded as soon as one covered block's own binary item discards it."""
    return covered @ (items >= threshold).to(covered) > 0.5


def mean(items: Tensor, covered: Tensor, threshold: float) -> Tensor:
    """A feature is discarded when the covered blocks' items reach the threshold on average."""
    return covered @ items.to(covered) >= threshold * covered.sum(1, keepdim=True).clamp_min(1)


def sum_of_items(items: Tensor, covered: Tensor, threshold: float) -> Tensor:
    """A feature is discarded when the covered blocks' items reach the threshold in sum: weak evidence adds up."""
    return covered @ items.to(covered) >= threshold
