"""Which pictures a test set holds: every picture covered, or the pictures of pairs with only the second one covered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ..data.faces import FaceSet
from ..errors import DataError
from ..images.reading import shown
from ..protocols.inputs import Pairs

COVERED = "_covered"  # what the name of a covered copy ends in when the clean picture may lie beside it


class Job(NamedTuple):
    """One picture to write: `person/picture.png` made from one of the faces."""

    picture: int  # of the faces
    name: str
    covered: bool


class NamedPair(NamedTuple):
    """Two written pictures, and whether they show one person."""

    left: str
    right: str
    same: bool


def every_picture(faces: FaceSet) -> list[Job]:
    """Every picture once, covered."""
    return [Job(index, f"{name}.png", True) for index, name in enumerate(written_names(faces))]


def second_of_pairs(faces: FaceSet, pairs: Pairs) -> tuple[list[Job], list[NamedPair]]:
    """The first picture of every pair clean, the second one covered, and the pairs of what is written.

    As in the published Occ-LFW a picture has one covered copy, however many pairs it is second in; a picture that is
    first in one pair and second in another is there twice, clean and covered.
    """
    names = written_names(faces)
    left, right = pairs.left.tolist(), pairs.right.tolist()
    first, second = dict.fromkeys(left), dict.fromkeys(right)
    jobs = [Job(index, f"{names[index]}.png", False) for index in sorted(first)]
    jobs += [Job(index, f"{names[index]}{COVERED}.png", True) for index in sorted(second)]
    listed = [
        NamedPair(f"{names[a]}.png", f"{names[b]}{COVERED}.png", same)
        for a, b, same in zip(left, right, pairs.same.tolist(), strict=True)
    ]
    twice = [name for name, count in Counter(job.name for job in jobs).items() if count > 1]
    if twice:
        raise DataError(f"a clean and a covered picture would both be written to {shown(twice[0])}; rename the source")
    return sorted(jobs), listed


def written_names(faces: FaceSet) -> list[str]:
    """`person/picture` for every picture, without the extension where the rest of the name is enough.

    Raises `DataError` for names that cannot be those of a file, or that two pictures share.
    """
    whole = [
        f"{_file_name(faces.people[int(label)])}/{_file_name(name.rpartition('/')[2])}"
        for name, label in zip(faces.names, faces.labels, strict=True)
    ]
    short = [_without_extension(name) for name in whole]
    counts = Counter(short)
    names = [brief if counts[brief] == 1 else name for brief, name in zip(short, whole, strict=True)]
    _check_different(names)
    return names


def _check_different(names: Sequence[str]) -> None:
    # On some systems two names that differ in case alone are one file.
    twice = [name for name, count in Counter(name.casefold() for name in names).items() if count > 1]
    if twice:
        raise DataError(
            f"two pictures of the source would both be written to {shown(twice[0])}.png; rename one of them"
        )


def _without_extension(name: str) -> str:
    folder, _, file = name.partition("/")
    stem, dot, extension = file.rpartition(".")
    return f"{folder}/{stem}" if dot and stem and extension.isalnum() else name


def _file_name(part: str) -> str:
    part = part.replace("/", "_").replace("\\", "_")
    if part.startswith(".") or not part or "\0" in part:
        raise DataError(f"{part!r} cannot be the name of a file or folder; rename it in the source")
    return part
