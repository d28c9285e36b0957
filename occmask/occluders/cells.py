"""Covering one cell of a grid over the face."""

from __future__ import annotations

from numpy.random import Generator

from ..errors import OptionError
from ..patterns import PatternGrid
from .occlude import Placed
from .occluder import Occluder, RectangularOccluder


class CellPlacement:
    """A rectangle of `block` of each side of the face, centred on one cell of a grid and clipped by the border."""

    def __init__(self, row: int, column: int, *, cells: int, block: float):
        self.row, self.column, self.cells, self.block = row, column, cells, block

    def check(self, occluder: Occluder) -> None:
        """Any occluder that fills a rectangle."""
        if not isinstance(occluder, RectangularOccluder):
            raise OptionError(f"a block needs an occluder that fills a rectangle, not {type(occluder).__name__}")

    def __call__(self, occluder: Occluder, rng: Generator, image_size: tuple[int, int]) -> Placed:
        assert isinstance(occluder, RectangularOccluder)
        height, width = image_size
        tall, wide = max(1, round(self.block * height)), max(1, round(self.block * width))
        top = round((self.row + 0.5) / self.cells * height - tall / 2)
        left = round((self.column + 0.5) / self.cells * width - wide / 2)
        return Placed(occluder.fill(rng, tall, wide), left, top)


class RandomCellPlacement:
    """Exactly one cell of the K x K grid that the patterns are made of, each as likely as any other."""

    def __init__(self, k: int = 5):
        self.k = PatternGrid(k).k

    def check(self, occluder: Occluder) -> None:
        """Any occluder that fills a rectangle."""
        if not isinstance(occluder, RectangularOccluder):
            raise OptionError(f"a cell needs an occluder that fills a rectangle, not {type(occluder).__name__}")

    def __call__(self, occluder: Occluder, rng: Generator, image_size: tuple[int, int]) -> Placed:
        self.check(occluder)
        assert isinstance(occluder, RectangularOccluder)
        grid = PatternGrid(self.k, image_size=image_size)
        row, column = (int(line) for line in rng.integers(self.k, size=2))
        (top, bottom), (left, right) = grid.rows[row : row + 2].tolist(), grid.columns[column : column + 2].tolist()
        return Placed(occluder.fill(rng, bottom - top, right - left), left, top)
