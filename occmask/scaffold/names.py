"""The names of a new plug-in: one word from a person makes all of them."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from typing import NamedTuple

from ..errors import OptionError

_PREFIX = "occmask-"
_WORDS = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_LONGEST = 30


class Names(NamedTuple):
    """How a plug-in's distribution, package and component are called."""

    distribution: str  # "occmask-my-gate"
    package: str  # "occmask_my_gate"
    component: str  # "my_gate"; of a command "my-gate"
    identifier: str  # "my_gate"

    def class_name(self, suffix: str) -> str:
        """`MyGateHead`; the suffix is not said twice."""
        camel = "".join(word.capitalize() for word in self.identifier.split("_"))
        return camel if camel.endswith(suffix) and camel != suffix else camel + suffix


def names_of(word: str, *, command: bool) -> Names:
    """The names that "my-gate" or "occmask-my-gate" stands for; `OptionError` for what can be none.

    Whether the distribution or the package is there already is checked too, whether the component is is not.
    """
    bare = word.removeprefix(_PREFIX).removeprefix("occmask_")
    if not _WORDS.fullmatch(bare) or len(bare) > _LONGEST:
        near = re.sub(r"[^a-z0-9]+", "-", bare.lower()).strip("-0123456789")[:_LONGEST]
        hint = f", such as {near!r}" if _WORDS.fullmatch(near) else ", such as 'gate' or 'my-gate'"
        raise OptionError(
            f"a plug-in's name is small letters, digits and single hyphens, a letter first, at most {_LONGEST} of "
            f"them{hint}, not {word!r}"
        )
    hyphenated, identifier = bare.replace("_", "-"), bare.replace("-", "_")
    names = Names(f"{_PREFIX}{hyphenated}", f"occmask_{identifier}", hyphenated if command else identifier, identifier)
    try:
        version = distribution(names.distribution).version
    except PackageNotFoundError:
        pass
    else:
        raise OptionError(f"{names.distribution} {version} is installed already; pick another name")
    if find_spec(names.package) is not None:
        raise OptionError(f"a package {names.package!r} is there already; pick another name")
    return names
