"""The documentation works: its code runs, its links lead somewhere, and what it names is there."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "plugins" / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^`\n]*)$")


@dataclass(frozen=True)
class Block:
    """One fenced block: what its fence says, its code, and the line where the code begins (1 is the first)."""

    info: str
    code: str
    line: int


def blocks(text: str) -> list[Block]:
    """Every fenced block of a Markdown page, in order."""
    found, info, start, lines = [], None, 0, text.splitlines()
    for number, line in enumerate(lines, start=1):
        fence = FENCE.match(line)
        if fence and info is None:
            assert not (fence["indent"] and fence["info"].startswith("python")), f"line {number}: indented Python block"
            info, start = fence["info"].strip(), number + 1
        elif fence:
            found.append(Block(info or "", "\n".join(lines[start - 1 : number - 1]), start))
            info = None
    assert info is None, f"the block that begins in line {start} never ends"
    return found


def runnable(text: str) -> list[Block]:
    """The Python blocks to run. `python no-run` leaves one out and owes a reason, as a comment in its first line."""
    chosen = []
    for block in blocks(text):
        if block.info == "python":
            chosen.append(block)
        elif block.info == "python no-run":
            assert block.code.lstrip().startswith("# "), (
                f"line {block.line}: say in a first comment why this is not run"
            )
        else:
            assert not block.info.startswith("py"), f"line {block.line}: write 'python' or 'python no-run'"
    return chosen


def run(page: Path, folder: Path) -> None:
    """Run a page's blocks as one script, in order, in an empty folder; a failure names the page and the line."""
    lines: list[str] = []
    for block in runnable(page.read_text(encoding="utf-8")):
        lines += [""] * (block.line - 1 - len(lines))  # so that the script's line numbers are the page's
        lines += block.code.splitlines()
    script = folder / "page.py"
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    work = folder / "work"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, str(script)], cwd=work, env={**os.environ, "PYTHONUTF8": "1"}, capture_output=True, text=True
    )
    if done.returncode:
        at = re.findall(rf'File "{re.escape(str(script))}", line (\d+)', done.stderr)
        pytest.fail(f"{page}:{at[-1] if at else '?'}: {done.stderr.strip()}", pytrace=False)


PAGES_WITH_CODE = [page for page in PAGES if any(b.info == "python" for b in blocks(page.read_text(encoding="utf-8")))]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_python_block_of_the_page_runs(page: Path, tmp_path: Path) -> None:
    run(page, tmp_path)


def test_names_carry_over_from_block_to_block(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\ntext\n```python\nassert x == 1\n```\n")
    run(page, tmp_path)


@pytest.mark.parametrize("broken", ["raise ValueError('boom')", "1 +"])
def test_a_failing_block_is_reported_with_page_and_line(broken: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n```python\nx = 1\n```\n\n```python\n\n{broken}\n```\n")
    with pytest.raises(pytest.fail.Exception, match=re.escape(f"{page}:9: ")):
        run(page, tmp_path)


def test_a_block_left_out_without_a_reason_is_refused() -> None:
    assert runnable("```python no-run\n# needs a camera\ncapture()\n```\n") == []
    with pytest.raises(AssertionError, match="why this is not run"):
        runnable("```python no-run\ncapture()\n```\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = page if not path else (page.parent / path)
        assert linked.exists(), f"{page}: {target} is not there"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), flags=re.MULTILINE)
            known = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in known, f"{page}: {target}: no such heading"


def _defined(path: Path, qualified: str) -> bool:
    """Whether a module defines `name`, `Class.method` or a module-level constant."""
    body: list[ast.stmt] = ast.parse(path.read_text(encoding="utf-8")).body
    for name in qualified.split("."):
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
                body = node.body
                break
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                body = []
                break
        else:
            return False
    return True


def test_every_place_named_in_the_documentation_exists() -> None:
    named = 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for path, name in re.findall(r"`((?:occmask|kernels|tests|docs|plugins)/[\w./*-]+?)(?::([\w.]+))?`", text):
            places = list(ROOT.glob(path)) if "*" in path else [ROOT / path]
            assert places, f"{page}: nothing is at {path}"
            assert all(place.exists() for place in places), f"{page}: {path} is not there"
            assert not name or _defined(places[0], name), f"{page}: {path} defines no {name}"
            named += 1
    assert named > 20


def test_every_make_target_in_the_documentation_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        commands = [b.code for b in blocks(text) if b.info in ("sh", "bash", "")] + re.findall(r"`(make [^`]+)`", text)
        for command in commands:
            for target in re.findall(r"^make (?:[A-Z_]+=\S+ )*([a-z-]+)", command, flags=re.MULTILINE):
                assert target in targets, f"{page}: there is no 'make {target}'"


def test_every_command_line_in_the_documentation_would_be_understood(capsys: pytest.CaptureFixture[str]) -> None:
    from occmask.cli import COMMANDS, main

    usage: dict[str, str] = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = "\n".join(b.code for b in blocks(text) if b.info in ("sh", "bash")).splitlines()
        for line in [*lines, *re.findall(r"`(occmask [^`]+)`", text)]:
            program, command, *words = [*shlex.split(line, comments=True), "", ""]
            if program != "occmask":
                continue
            assert command in COMMANDS, f"{page}: there is no 'occmask {command}'"
            if command not in usage:
                with pytest.raises(SystemExit, match="0"):
                    main([command, "--help"])
                usage[command] = capsys.readouterr().out
            for option in (word for word in words if word.startswith("-")):
                assert re.search(rf"(?<![\w-]){option}\b", usage[command]), (
                    f"{page}: 'occmask {command}' has no {option}"
                )
    assert usage


def test_every_public_name_is_documented() -> None:
    import occmask

    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    missing = [name for name in occmask.__all__ if not re.search(rf"\b{name}\b", text)]
    assert not missing, f"no page mentions {', '.join(missing)}"
