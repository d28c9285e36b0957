"""Any network of timm as a backbone of occmask; `timm` itself is imported when a network is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

import occmask

if TYPE_CHECKING:
    from .backbone import TimmBackbone

__all__ = ["TimmNetworks"]


class TimmNetworks:
    """Any network of timm that gives feature maps, by its name there: 'timm:resnet18', 'timm:convnext_tiny'."""

    @staticmethod
    def member(name: str) -> Callable[..., TimmBackbone]:
        """The factory of one network; `name` is what `timm.create_model` takes, a weights' tag after a dot included.

        Raises `occmask.UnknownNameError` with the nearest names, `occmask.PluginError` where timm does not import.
        """
        timm = _import_timm()
        architecture = name.split(".")[0]
        if not timm.is_model(architecture):
            near = get_close_matches(architecture, timm.list_models(), n=8, cutoff=0.5)
            raise _unknown(name, near)
        try:
            timm.get_pretrained_cfg(name)
        except RuntimeError:  # such a network, and no such weights
            raise _unknown(name, [architecture, *timm.list_pretrained(f"{architecture}.*")]) from None
        return _factory(name)


def _unknown(name: str, would_work: Iterable[str]) -> occmask.UnknownNameError:
    return occmask.UnknownNameError("backbone", f"timm:{name}", [f"timm:{network}" for network in would_work])


@cache
def _factory(name: str) -> Callable[..., TimmBackbone]:
    from .backbone import network_factory

    return network_factory(name)


def _import_timm() -> ModuleType:
    try:
        import timm
    except Exception as e:  # a torchvision that was built for another torch raises more than ImportError
        raise occmask.PluginError(
            f"plug-in 'occmask-timm' needs timm, and it does not import here ({type(e).__name__}: {e}); install "
            "timm, and torchvision from the same index as your torch (for the CPU build: pip install torchvision "
            "--index-url https://download.pytorch.org/whl/cpu)"
        ) from e
    return timm  # type: ignore[no-any-return]
