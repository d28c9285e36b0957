"""Which names and notes a gallery keeps, and the checksums that tell whether they are still what they were."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..errors import OptionError

MAX_NAME, MAX_DETAILS = 255, 1 << 16  # characters of a name, of JSON


def checksum(*parts: str | bytes | int) -> bytes:
    """16 bytes over texts, bytes and numbers in their order: against damage, not against forgery."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        content = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.digest()


def check_name(name: str) -> str:
    """A person's name: some printable characters, or `OptionError`."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise OptionError(f"a person has a name of printable characters, not {name!r}")
    return check_text(name)


def check_text(text: str) -> str:
    """Text that fits a name's place, or `OptionError`."""
    try:
        fits = isinstance(text, str) and len(text) <= MAX_NAME and "\x00" not in text and bool(text.encode() or True)
    except UnicodeEncodeError:  # a file name need not be text
        fits = False
    if not fits:
        raise OptionError(f"names are Unicode texts of at most {MAX_NAME} characters, not {text!r:.80}")
    return text


def as_json(plain: Mapping[str, Any], what: str) -> str:
    """A JSON object as text, or `OptionError`."""
    try:
        text = json.dumps(dict(plain), allow_nan=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as e:
        raise OptionError(f"{what} of a face is a JSON object: {e}") from e
    if len(text) > MAX_DETAILS:
        raise OptionError(f"{what} of a face has {len(text):,} characters of JSON; up to {MAX_DETAILS:,} are kept")
    return text
