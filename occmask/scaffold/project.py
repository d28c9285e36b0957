"""What every new plug-in has around its component: pyproject.toml, README.md, .gitignore."""

from __future__ import annotations

PYPROJECT = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "$distribution"
version = "0.1.0"
description = "$What for occmask"
readme = "README.md"
# license = "Apache-2.0"      # choose one before you publish, and put its text into a file LICENSE
requires-python = ">=3.11"
keywords = ["occmask", "face recognition", "occlusion"]
classifiers = [
    "Development Status :: 3 - Alpha",
    "Intended Audience :: Science/Research",
    "Programming Language :: Python :: 3",
    "Topic :: Scientific/Engineering :: Image Recognition",
    "Typing :: Typed",
]
dependencies = ["occmask>=$version"]

[project.optional-dependencies]
test = ["pytest>=8"]

$groups
[tool.setuptools]
packages = ["$package"]

[tool.setuptools.package-data]
$package = ["py.typed"]

[tool.pytest.ini_options]
testpaths = ["tests"]

[tool.ruff]
line-length = 120

[tool.ruff.lint.isort]
known-first-party = ["occmask", "$package"]
"""

GROUP = """[project.entry-points."$group"]
$component = "$leads_to"
"""

README = """# $distribution

$What for [occmask](https://pypi.org/project/occmask/).

```sh
python -m pip install -e '.[test]'
python -m pytest
occmask plugins
```

$use

What is where: `$package/` holds the component, `pyproject.toml` its name in the registry (the entry point), `tests/`
the call of the conformance check and tests of its own. Before you publish: choose a licence, write here what was
measured on which data, and `python -m build && python -m twine upload dist/*`.
"""

PACKAGE = '"""$What for occmask."""\n'  # of a component that stands in a module of its own

GITIGNORE = """__pycache__/
*.egg-info/
build/
dist/
.pytest_cache/
.ruff_cache/
"""
