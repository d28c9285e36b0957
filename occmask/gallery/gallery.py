"""`Gallery`: people enrolled, verified, identified and deleted, in one file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, OptionError
from ..images.reading import shown
from ..matching import MATCHERS, Matcher
from ..matching.storage import check_precision, decode
from ..shapes import Template
from ..spec import Spec
from .about import GalleryInfo, about_new, info_of
from .answers import Candidate, Deleted
from .binding import Binding
from .checking import GalleryCheck, check_store
from .current_index import CurrentIndex
from .entries import EnrolledPicture, Face, Person, PictureSource
from .exchange import add_lines, write_lines
from .store import Store

if TYPE_CHECKING:
    from torch import Tensor

CANDIDATES = 50  # pictures of the first pass that are looked at again


class Gallery:
    """People, their templates and where these come from, in one SQLite file.

    `path`: the file; made, for its owner's eyes only, if `model` is given and there is none.  `model`: the fingerprint
    of the model (`occmask.fingerprint`) that makes the templates; without it an existing gallery can be listed and
    deleted from, not searched.  `precision`: how templates are stored, "float16" (the default of a new gallery),
    "float32" or "int8".  `matcher`: what compares; `index`: what names the `candidates` for it, the highest cosines of
    the visible parts; `candidates=None` compares with everybody.

    Every change is whole or not made, whenever the process dies; any number of processes may read while one writes.
    An object belongs to the thread that made it; other threads open the file for themselves.  Raises `DataError` for a
    file that is no gallery, is damaged, or is of another model.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        model: str | None = None,
        precision: str | None = None,
        matcher: Spec | str = "fused",
        index: Spec | str = "exact",
        candidates: int | None = CANDIDATES,
    ):
        if precision is not None:
            check_precision(precision)
        if candidates is not None and (isinstance(candidates, bool) or candidates < 1):
            raise OptionError(f"candidates is a whole number of at least 1, or None for all, not {candidates!r}")
        self._matcher_spec, index_spec, self._candidates = Spec.of(matcher), Spec.of(index), candidates
        self._has_deleted = False
        if model is not None:  # for listing and deleting it is not asked, nor is torch
            _ = self._matcher
        self._store = Store(path, about=None if model is None else about_new(model, precision))
        self._index = CurrentIndex(self._store, index_spec)
        try:
            self._binding = Binding(self._store, model=model, precision=precision)
        except BaseException:
            self.close()
            raise

    @property
    def model(self) -> str:
        """The fingerprint of the model that made the templates."""
        return self._binding.model

    def close(self) -> None:
        """Close the file; the object is of no use afterwards."""
        self._store.close()

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- changing ------------------------------------------------------------------------------
    def enrol(
        self,
        person: str,
        template: Template,
        *,
        sources: Sequence[PictureSource] = (),
        note: Mapping[str, Any] | None = None,
    ) -> tuple[int, ...]:
        """Add the faces of a template to a person, new or known; the ids of the pictures, one a face.

        `sources`: where each comes from; `note`: any JSON object about the person.  A picture that the person has
        already, by its SHA-256, is a `DataError`, as is a template of another kind.
        """
        faces = self._binding.faces(template, sources)
        with self._store.writing():
            ids = self._store.enrol(person, faces, note=note)
        self._changed(added=(ids, faces))
        return tuple(ids)

    def replace(
        self,
        person: str,
        template: Template,
        *,
        sources: Sequence[PictureSource] = (),
        note: Mapping[str, Any] | None = None,
    ) -> tuple[int, ...]:
        """Put these faces in the place of all that the person has, at once.  Raises as `enrol`, and for nobody."""
        faces = self._binding.faces(template, sources)
        with self._store.writing():
            number = self._store.existing_person(person)
            old = [picture.id for picture in self._store.pictures(number)]
            ids = self._store.enrol(person, faces, note=note, instead=True)
        self._changed(added=(ids, faces), removed=old)
        self._forget()
        return tuple(ids)

    def rename(self, person: str, name: str) -> None:
        """Give a person another name.  Raises `DataError` for nobody, and for a name that is taken."""
        with self._store.writing():
            number = self._store.existing_person(person)
            if name != person and self._store.person_id(name) is not None:
                raise DataError(f"{shown(name)} is in this gallery already; choose another name")
            self._store.rename(number, name)

    def delete(self, person: str) -> Deleted:
        """Delete a person and all that is stored of them.

        The bytes are overwritten in the file, and the log beside it is emptied, unless somebody is reading: then the
        next deletion or the last one to close does it.  Copies and backups keep what they have.
        """
        with self._store.writing():
            number = self._store.existing_person(person)
            ids = [picture.id for picture in self._store.pictures(number)]
            self._store.delete_person(number)
        self._changed(removed=ids)
        return Deleted(len(ids), self._forget())

    def delete_picture(self, picture: int) -> Deleted:
        """Delete one picture by its id, and its person if it was the last."""
        with self._store.writing():
            self._store.faces([picture])
            self._store.delete_pictures([picture])
        self._changed(removed=[picture])
        return Deleted(1, self._forget())

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Changes within are kept together or not at all, and much faster than one by one."""
        with self._store.writing():
            yield
        if self._has_deleted:
            self._forget()

    # -- comparing -----------------------------------------------------------------------------
    def verify(self, person: str, template: Template, *, best: int = 1) -> Tensor:
        """How alike each face of a template is to a person: (B,), the mean of the `best` pictures' scores."""
        self._binding.check_query(template)
        with self._store.reading():
            known = self.template_of(person)
        scores = self._matcher.scores(self._matcher.prepare(template), self._matcher.prepare(known))
        return scores.topk(min(_counted("best", best), scores.shape[1])).values.mean(1)

    def identify(self, template: Template, *, top: int = 5, best: int = 1) -> tuple[tuple[Candidate, ...], ...]:
        """For each face of a template the `top` people who are most like it, best first; all, where there are fewer.

        A person's score is the mean of those of the `best` most alike of their pictures.
        """
        from .identifying import identify

        self._binding.check_query(template)
        _counted("top", top), _counted("best", best)
        with self._store.reading():
            if not self._store.count()[1]:
                return tuple(() for _ in template.embedding)
            index = self._index.get()
            found = identify(
                self._store, index, self._matcher, template, top=top, best=best, candidates=self._candidates
            )
        return tuple(tuple(Candidate(*one) for one in of_face) for of_face in found)

    def template_of(self, person: str) -> Template:
        """The faces of a person as they are stored, in the order of `pictures`."""
        with self._store.reading():
            ids = [picture.id for picture in self._store.pictures(self._store.existing_person(person))]
            return decode([face.record for face in self._store.faces(ids)])

    # -- looking -------------------------------------------------------------------------------
    def people(self) -> tuple[Person, ...]:
        """Everybody, by name."""
        return tuple(self._store.people())

    def pictures(self, person: str) -> tuple[EnrolledPicture, ...]:
        """A person's pictures in the order in which they were enrolled.  Raises `DataError` for nobody."""
        with self._store.reading():
            return tuple(self._store.pictures(self._store.existing_person(person)))

    def __contains__(self, person: object) -> bool:
        return isinstance(person, str) and self._store.person_id(person) is not None

    def __len__(self) -> int:
        """How many people there are."""
        return self._store.count()[0]

    def info(self) -> GalleryInfo:
        """Where it lies, whose templates it holds, how many and how large."""
        return info_of(self._store)

    def check(self) -> GalleryCheck:
        """Look at every byte: SQLite's integrity check, then the checksum and kind of every record."""
        return check_store(self._store)

    # -- moving --------------------------------------------------------------------------------
    def export(self, path: str | os.PathLike[str]) -> int:
        """Write everything as JSON lines, whole or not at all, for its owner's eyes only; how many pictures."""
        with self._store.reading():
            return write_lines(self._store, Path(path), model=self.model)

    def add_from(self, path: str | os.PathLike[str]) -> int:
        """Add all people of a file of `export`, or nobody; how many pictures.

        Raises `DataError` naming the line that is damaged, of another model or kind, or enrolled already.
        """
        self._binding.check_model()
        with self.transaction():
            count = add_lines(self._store, Path(path), model=self.model)
        self._index.drop()
        return count

    # -- how -----------------------------------------------------------------------------------
    def _changed(self, *, added: tuple[Sequence[int], Sequence[Face]] = ((), ()), removed: Iterable[int] = ()) -> None:
        removed = list(removed)
        self._has_deleted |= bool(removed)
        self._index.tell(added=added, removed=removed)

    def _forget(self) -> bool:
        emptied = self._store.empty_log()
        self._has_deleted &= not emptied
        return emptied

    @cached_property
    def _matcher(self) -> Matcher:
        return MATCHERS.build(self._matcher_spec)


def _counted(name: str, count: int) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise OptionError(f"{name} is a whole number of at least 1, not {count!r}")
    return count
