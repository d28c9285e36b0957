"""Which templates a gallery takes: those of one model, of one kind, in one precision."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import DataError, OptionError
from ..images.reading import shown
from ..matching.storage import check_precision, encode, kind_of
from ..shapes import Template
from .entries import Face, PictureSource
from .store import Store
from .units import units_of


class Binding:
    """Of an open gallery; `model` None: it is only listed and deleted from.

    Raises `DataError` for another model than the file's, `OptionError` for another precision.
    """

    def __init__(self, store: Store, *, model: str | None, precision: str | None):
        self._store = store
        about = store.about()
        self.model = about.get("model", "")
        self._can_compare = model is not None
        if model is not None and model != self.model:
            raise DataError(
                f"{shown(store.path)} holds templates of the model {self.model[:12]}..., and this is {model[:12]}...; "
                "templates of two models cannot be compared: use that model, or enrol everybody into a new file"
            )
        kept = store.kind()
        self._precision = check_precision(about.get("precision", "float16") if kept is None else kept.precision)
        if precision not in (None, self._precision):
            raise OptionError(f"{shown(store.path)} stores templates as {self._precision}, not {precision}")

    def check_model(self) -> None:
        """`OptionError` for a gallery that was opened without saying which model makes the templates."""
        if not self._can_compare:
            raise OptionError(
                "this gallery was opened without saying which model makes the templates; open it as "
                "Gallery(path, model=occmask.fingerprint(model))"
            )

    def check_query(self, template: Template) -> None:
        """`DataError` for a template that cannot be compared with those in the file."""
        self.check_model()
        held = self._store.kind()
        asked = kind_of(template, self._precision)
        if held is not None and asked._replace(visible=held.visible) != held:  # nobody need have looked
            raise DataError(
                f"{shown(self._store.path)} holds {held}; a template of {asked} cannot be compared with them"
            )

    def faces(self, template: Template, sources: Sequence[PictureSource]) -> list[Face]:
        """The faces of a template as they are kept; `sources`: one a face, or none."""
        self.check_model()
        records = encode(template, self._precision)
        if sources and len(sources) != len(records):
            raise OptionError(f"there are {len(records)} faces and {len(sources)} sources; give one a face, or none")
        given = list(sources) or [PictureSource()] * len(records)
        return [Face(*both) for both in zip(units_of(template), records, given, strict=True)]
