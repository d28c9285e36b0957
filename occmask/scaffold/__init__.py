"""New plug-ins: a working, tested distribution with one small component, to start from."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from string import Template as Text
from typing import Any

from ..errors import DataError, OptionError, did_you_mean
from ..plugin_metadata import COMMANDS_GROUP, declared, distribution_of
from ..registry import Registry
from ..version import __version__
from . import cleaners, commands, covers, heads, matchers, project, recognisers, training
from .names import Names, names_of
from .template import Template

TEMPLATES: dict[str, Template] = {
    "head": heads.HEAD,
    "mask_decoder": heads.MASK_DECODER,
    "pattern_predictor": heads.PATTERN_PREDICTOR,
    "restorer": cleaners.RESTORER,
    "part_locator": cleaners.PART_LOCATOR,
    "refiner": cleaners.REFINER,
    "backbone": recognisers.BACKBONE,
    "embedding": recognisers.EMBEDDING,
    "margin": recognisers.MARGIN,
    "matcher": matchers.MATCHER,
    "model": recognisers.MODEL,
    "objective": training.OBJECTIVE,
    "method": training.METHOD,
    "occluder": covers.OCCLUDER,
    "placement": covers.PLACEMENT,
    "command": commands.COMMAND,
}

# Kinds without a template, and what to do instead.
ELSEWHERE: dict[str, str] = {
    "recipe": "a recipe comes with its objective: use --kind objective",
    "dataset": "a data set is a function(source, **options) that returns an occmask.FaceSet, in the entry points "
    "'occmask.datasets'; write a --kind model and change these two lines",
    "protocol": "a protocol is described, with a whole example, in docs/protocols.md under 'Write your own'; its entry "
    "points are 'occmask.protocols'",
    "gallery_index": "an index of a gallery is described, with a whole example, in docs/gallery.md under 'Another "
    "index'; its entry points are 'occmask.gallery_indexes'",
    "testset": "a recipe for test sets is an object(face, rng) with a `condition` and its `occluders`, described in "
    "docs/plugins.md; its entry points are 'occmask.testsets'",
}


def write_plugin(
    word: str, kind: str, folder: Path, *, registries: Iterable[Registry[Any]], commands: Collection[str]
) -> Path:
    """Write the distribution that `word` stands for into a new folder in `folder`, and return that folder.

    `kind` is one of `TEMPLATES`; names in `registries` and in `commands`, those of occmask itself, are taken.
    Raises `OptionError` for another kind or a name that cannot be or is taken, `DataError` when the folder is there
    already or cannot be made.
    """
    kind = kind.replace("-", "_").replace(" ", "_")
    template = _template(kind)
    names = names_of(word, command=kind == "command")
    _require_free(names.component, template, registries, commands)
    place = folder / names.distribution
    files = _files(names, template)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        place.mkdir()  # refuses what is there already
        for name, text in files.items():
            path = place / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except FileExistsError as e:
        raise DataError(f"{place} is there already, and nothing in it was touched; choose another --out") from e
    except OSError as e:
        raise DataError(f"cannot write to {place}: {e.strerror}; choose another --out") from e
    return place


def _template(kind: str) -> Template:
    if kind in ELSEWHERE:
        raise OptionError(f"there is no template of kind {kind!r}: {ELSEWHERE[kind]}")
    if kind not in TEMPLATES:
        raise OptionError(
            f"no kind of plug-in is called {kind!r}.{did_you_mean(kind, [*TEMPLATES, *ELSEWHERE])} "
            f"Kinds: {', '.join(TEMPLATES)}"
        )
    return TEMPLATES[kind]


def _require_free(
    component: str, template: Template, registries: Iterable[Registry[Any]], commands: Collection[str]
) -> None:
    groups = {group for group, _ in template.entry_points}
    if COMMANDS_GROUP in groups:
        owners = [distribution_of(entry) for entry in declared().of_group(COMMANDS_GROUP) if entry.name == component]
        if component in commands or owners:
            whose = f"of plug-in {owners[0]!r}" if owners else "of occmask itself"
            raise OptionError(f"there is a command {component!r} {whose} already; pick another name")
    for registry in registries:
        if registry.group in groups and component in registry:
            owner = registry.plugin_of(component)
            whose = "built in" if owner is None else f"of plug-in {owner!r}"
            raise OptionError(f"{registry.kind} {component!r} is there already, {whose}; pick another name")


def _files(names: Names, template: Template) -> dict[str, str]:
    """Path inside the distribution -> its text."""
    known = {
        "distribution": names.distribution,
        "package": names.package,
        "component": names.component,
        "identifier": names.identifier,
        "Class": names.class_name(template.suffix),
        "What": template.what[0].upper() + template.what[1:],
        "version": __version__,
    }

    def filled(text: str, **more: str) -> str:
        return Text(text).substitute(known, **more)

    groups = [filled(project.GROUP, group=group, leads_to=filled(target)) for group, target in template.entry_points]
    package = names.package
    files = {
        "pyproject.toml": filled(project.PYPROJECT, groups="\n".join(groups)),
        "README.md": filled(project.README, use=filled(template.use)),
        ".gitignore": project.GITIGNORE,
        f"{package}/__init__.py": filled(project.PACKAGE),
        f"{package}/py.typed": "",
        f"tests/test_{names.identifier}.py": filled(template.tests),
    }
    return {**files, f"{package}/{template.module}.py": filled(template.source)}
