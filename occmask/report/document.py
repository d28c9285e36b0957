"""What every page is: one self-contained HTML document, for a phone and for a desk, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .listings import text


def write_document(path: str | Path, *, title: str, styles: Sequence[str], body: str) -> Path:
    """Write a page without script that needs no network, making its folder, and return the path.

    `title` is plain text, `styles` are sheets of CSS, `body` is HTML.
    """
    sheets = "\n".join(styles)
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{text(title)}</title>
<style>
{sheets}
</style>
</head>
<body>
{body}
</body>
</html>
"""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8", errors="replace")  # file names need not be text
    return target
