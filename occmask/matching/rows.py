"""Faces as flat rows of numbers, as protocols keep them, and how two such rows are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ShapeError
from ..shapes import Template
from ..spec import Spec
from . import MATCHERS, Prepared
from .whole import FLOOR

Rows = NDArray[np.float32]
FloatArray = NDArray[np.float64]

_AT_ONCE = 2**24  # numbers of the rows that are float64 at one time: 128 MiB


class TemplateLayout(NamedTuple):
    """Where a template's numbers lie in a row: the embedding, the parts one after the other, what is visible."""

    width: int  # D
    places: int = 0  # P; 0: no parts
    visible: bool = False  # whether it is known what is visible of each
    grid: tuple[int, int] | None = None  # rows and columns of the places

    @classmethod
    def of(cls, template: Template) -> TemplateLayout:
        """The layout of such templates."""
        places = 0 if template.parts is None else template.parts.shape[1]
        return cls(template.embedding.shape[1], places, template.visible is not None, template.grid)

    @property
    def numbers(self) -> int:
        """W: numbers of a row."""
        return self.width * (1 + self.places) + (self.places if self.visible else 0)

    def rows(self, template: Template) -> Tensor:
        """Templates of B faces as rows (B, W).  Raises `ShapeError` for templates of another layout."""
        found = TemplateLayout.of(template)
        if found != self:
            raise ShapeError(f"these are templates of {found}, and rows of {self} were asked for")
        tensors = (template.embedding, template.parts, template.visible)
        return torch.cat([tensor.flatten(1) for tensor in tensors if tensor is not None], dim=1)

    def template(self, rows: Tensor) -> Template:
        """What `rows` made flat, without a copy.  Raises `ShapeError` for rows of another width than W."""
        if rows.ndim != 2 or rows.shape[1] != self.numbers:
            raise ShapeError(f"rows of {self} are (B, {self.numbers}), not {tuple(rows.shape)}")
        end = self.width * (1 + self.places)
        parts = rows[:, self.width : end].unflatten(1, (self.places, self.width)) if self.places else None
        return Template(rows[:, : self.width], parts, rows[:, end:] if self.visible else None, self.grid)


class RowMatcher(Protocol):
    """What a protocol compares faces with: NumPy rows in, NumPy scores out; the higher, the likelier one person's.

    `prepare` takes rows as an embedder gives them, in float64, and the others take rows that it made, which a protocol
    keeps.  A row's first `width` numbers are the embedding (None: all of them).  `setting` is what a result says.
    """

    setting: str | dict[str, Any]
    width: int | None

    def fuse(self, rows: FloatArray, mirrored: FloatArray) -> FloatArray:
        """Rows (N, W) of pictures and of the same pictures mirrored, as one row each: what `prepare` takes."""
        ...

    def prepare(self, rows: FloatArray) -> Rows:
        """(N, W) -> (N, V), each row for itself."""
        ...

    def scores(self, a: Rows, b: Rows) -> FloatArray:
        """(A, V), (B, V) -> (A, B), every row with every other, computed in float64."""
        ...

    def pairs(self, a: Rows, b: Rows) -> FloatArray:
        """(N, V), (N, V) -> (N,), row by row, computed in float64."""
        ...

    def tile(self, a: Tensor, b: Tensor) -> Tensor:
        """`scores` of rows that lie on a device, in their own type: a tensor of its own, there."""
        ...


class CosineRows:
    """The cosine of rows that are embeddings (N, D) and nothing else."""

    setting: str | dict[str, Any] = "cosine"
    width: int | None = None

    def fuse(self, rows: FloatArray, mirrored: FloatArray) -> FloatArray:
        """The sum of both embeddings, as InsightFace and FROM do."""
        return rows + mirrored

    def prepare(self, rows: FloatArray) -> Rows:
        """Rows of length 1."""
        rows = rows / np.abs(rows).max(axis=1, keepdims=True)  # squares of the largest floats would not be finite
        unit: Rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def scores(self, a: Rows, b: Rows) -> FloatArray:
        found: FloatArray = a.astype(np.float64) @ b.astype(np.float64).T
        return found

    def pairs(self, a: Rows, b: Rows) -> FloatArray:
        found: FloatArray = np.einsum("pd,pd->p", a.astype(np.float64), b.astype(np.float64))
        return found

    def tile(self, a: Tensor, b: Tensor) -> Tensor:
        return a @ b.T


COSINE = CosineRows()


class TemplateRows:
    """A registered matcher over rows that are templates of one layout.

    What it prepares is kept flat again, so that a protocol need not know what a matcher reads.  Raises
    `UnknownNameError` for a matcher's name and `OptionError` for its options.
    """

    def __init__(self, matcher: Spec | str | Mapping[str, Any], layout: TemplateLayout):
        spec = Spec.of(matcher)
        self._matcher, self._layout = MATCHERS.build(spec), layout
        self.setting: str | dict[str, Any] = spec.to_dict() if spec.options else spec.name
        self.width: int | None = layout.width
        # Of each field, because a matcher prepares what it reads: None, or the shape of one face's.
        empty = self._matcher.prepare(layout.template(torch.zeros(1, layout.numbers)))
        self._shapes = [None if field is None else field.shape[1:] for field in empty]

    def fuse(self, rows: FloatArray, mirrored: FloatArray) -> FloatArray:
        """The templates of a picture and of its mirror image as one, place by place and not mirrored back.

        A place's summand is made by that place's weights, which differ from those of the place across; so it can be
        added only to the summand of the same place, which sees the other side of the face in the mirror image.  Both
        count as much as they are visible, and so the visible parts of the fused template add up to those of both.
        """
        own, other = (self._layout.template(torch.from_numpy(one)) for one in (rows, mirrored))
        embedding = own.embedding + other.embedding
        if own.parts is None or other.parts is None:
            parts, visible = None, None
        elif own.visible is None or other.visible is None:
            parts, visible = own.parts + other.parts, None
        else:
            visible = (own.visible + other.visible) / 2
            weights = [(one.visible + FLOOR) / (visible + FLOOR) for one in (own, other) if one.visible is not None]
            parts = weights[0][..., None] * own.parts + weights[1][..., None] * other.parts
        fused: FloatArray = self._layout.rows(Template(embedding, parts, visible, own.grid)).numpy()
        return fused

    def prepare(self, rows: FloatArray) -> Rows:
        prepared = self._matcher.prepare(self._layout.template(torch.from_numpy(rows)))
        kept = [field.flatten(1) for field in prepared if field is not None]
        flat: Rows = torch.cat(kept, dim=1).float().numpy()
        return flat

    def scores(self, a: Rows, b: Rows) -> FloatArray:
        found = np.empty((len(a), len(b)))
        step = max(1, _AT_ONCE // max(1, a.shape[1]))
        for top in range(0, len(a), step):
            first = self._prepared(torch.from_numpy(a[top : top + step]).double())
            for start in range(0, len(b), step):
                second = self._prepared(torch.from_numpy(b[start : start + step]).double())
                found[top : top + step, start : start + step] = self._matcher.scores(first, second).numpy()
        return found

    def pairs(self, a: Rows, b: Rows) -> FloatArray:
        found = np.empty(len(a))
        step = max(1, _AT_ONCE // max(1, a.shape[1]))
        for start in range(0, len(a), step):
            first, second = (self._prepared(torch.from_numpy(rows[start : start + step]).double()) for rows in (a, b))
            found[start : start + step] = self._matcher.pairs(first, second).numpy()
        return found

    def tile(self, a: Tensor, b: Tensor) -> Tensor:
        return self._matcher.scores(self._prepared(a), self._prepared(b))

    def _prepared(self, rows: Tensor) -> Prepared:
        """What `prepare` made flat, without a copy."""
        fields: list[Any] = []
        start = 0
        for shape in self._shapes:
            if shape is None:
                fields.append(None)
                continue
            fields.append(rows[:, start : start + shape.numel()].unflatten(1, shape))
            start += shape.numel()
        return Prepared(*fields)
