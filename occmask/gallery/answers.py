"""What a gallery answers about faces and deletions."""

from __future__ import annotations

from typing import NamedTuple


class Candidate(NamedTuple):
    """A person whom a face may be."""

    person: str
    score: float  # the matcher's
    picture: int  # the id of the picture that is most like the face


class Deleted(NamedTuple):
    """What became of a person's data."""

    pictures: int
    log_emptied: bool  # False: others were reading, and the log beside the file still holds old pages
