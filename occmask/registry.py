"""Names for components. One `Registry` per kind; plug-ins add names through entry points, loaded on first use."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, overload

from .errors import DuplicateNameError, OptionError, PluginError, UnknownNameError, did_you_mean
from .spec import Spec

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Registry(Generic[T]):
    """Maps names to factories of `T`.

    `builtin` maps a name to "module:attribute", so importing occmask imports no model code.
    Entry points of `group` add names without importing the plug-in.  Look-up order: registered
    here, built in, entry point; "package.module:Attribute" needs no registration at all.
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str]):
        self.kind, self.group = kind, group
        self._builtin = dict(builtin)
        self._loaded: dict[str, Callable[..., T]] = {}
        self._plugins: dict[str, EntryPoint] | None = None

    # -- registering ---------------------------------------------------------------------------
    @overload
    def register(self, name: str) -> Callable[[F], F]: ...
    @overload
    def register(self, name: str, factory: F) -> F: ...
    def register(self, name: str, factory: Callable[..., T] | None = None) -> Any:
        """Give a factory a name, as a decorator or a call.

        The same factory again is no change; another one under a taken name raises `DuplicateNameError`.
        """
        if factory is None:
            return lambda f: self.register(name, f)
        old = self._loaded.get(name)
        if old is not None and old is not factory:
            raise DuplicateNameError(
                f"{self.kind} {name!r} is already {_where(old)}; {_where(factory)} cannot take the name"
            )
        if old is None and name in self._builtin and self._builtin[name] != _where(factory):
            raise DuplicateNameError(f"{self.kind} {name!r} is built in ({self._builtin[name]}); pick another name")
        if old is None and name in self.plugins and self.plugins[name].value != _where(factory):
            raise DuplicateNameError(
                f"{self.kind} {name!r} comes from plug-in {_distribution(self.plugins[name])!r}; pick another name"
            )
        self._loaded[name] = factory
        return factory

    # -- looking up ----------------------------------------------------------------------------
    def __getitem__(self, name: str) -> Callable[..., T]:
        if name not in self._loaded:
            if ":" in name:
                return self._import_path(name)
            if name in self._builtin:
                self._loaded[name] = _import(self._builtin[name])
            elif name in self.plugins:
                self._loaded[name] = self._load(self.plugins[name])
            else:
                raise UnknownNameError(self.kind, name, self)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._loaded or name in self._builtin or name in self.plugins

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._loaded, *self._builtin, *self.plugins}))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return f"<Registry of {self.kind}s: {', '.join(self)}>"

    def is_builtin(self, name: str) -> bool:
        """Whether occmask itself ships the component."""
        return name in self._builtin

    @property
    def plugins(self) -> Mapping[str, EntryPoint]:
        """Entry points of installed plug-ins, by component name. Reads metadata, imports nothing."""
        if self._plugins is None:
            self._plugins = _discover(self.group, self.kind, self._builtin)
        return self._plugins

    # -- building ------------------------------------------------------------------------------
    def build(self, spec: Spec | str | Mapping[str, Any], *wiring: Any) -> T:
        """Call the factory with the wiring (shapes, sizes) positionally and the spec's options by keyword."""
        spec = Spec.of(spec)
        factory = self[spec.name]
        check_options(f"{self.kind} {spec.name!r}", factory, spec.options, len(wiring))
        return factory(*wiring, **spec.options)

    def options(self, name: str) -> dict[str, Any]:
        """Names and defaults of a component's keyword options (`inspect.Parameter.empty`: required)."""
        parameters = inspect.signature(self[name]).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def _load(self, entry: EntryPoint) -> Callable[..., T]:
        source = f"{self.kind} {entry.name!r} comes from plug-in {_distribution(entry)!r} ({entry.value})"
        try:
            factory = entry.load()
        except Exception as e:
            raise PluginError(f"{source}, which failed to load: {e!r}") from e
        if not callable(factory):
            raise PluginError(f"{source}, which is a {type(factory).__name__} and cannot be called")
        return factory  # type: ignore[no-any-return]

    def _import_path(self, path: str) -> Callable[..., T]:
        try:
            return _import(path)
        except (ImportError, AttributeError, ValueError) as e:
            raise PluginError(f"{self.kind} {path!r} is read as 'module:attribute', and cannot be imported: {e}") from e


def _discover(group: str, kind: str, builtin: Mapping[str, str]) -> dict[str, EntryPoint]:
    allowed = os.environ.get("OCCMASK_PLUGINS", "all").strip()
    if allowed in ("0", "none"):
        return {}
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=group):
        distribution = _distribution(entry)
        if allowed != "all" and distribution not in [name.strip() for name in allowed.split(",")]:
            continue
        if entry.name in builtin:
            raise DuplicateNameError(f"plug-in {distribution!r} calls a {kind} {entry.name!r}, which is built in")
        other = found.get(entry.name)
        if other is not None and other.value != entry.value:
            raise DuplicateNameError(
                f"plug-ins {_distribution(other)!r} and {distribution!r} both call a {kind} {entry.name!r}"
            )
        found[entry.name] = entry
    return found


def check_options(what: str, factory: Callable[..., Any], options: Mapping[str, Any], wiring: int) -> None:
    """Options are checked against the factory's own signature: the signature is the schema."""
    parameters = list(inspect.signature(factory).parameters.values())
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    positional = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    keyword = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    names = [p.name for p in (*positional[wiring:], *keyword) if p.kind is not p.VAR_POSITIONAL]
    for key in options:
        if key not in names:
            listed = ", ".join(names) or "none"
            raise OptionError(f"{what} has no option {key!r}.{did_you_mean(key, names)} Options: {listed}")


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "?"


def _import(path: str) -> Callable[..., Any]:
    module, _, attribute = path.partition(":")
    target: Any = importlib.import_module(module)
    for name in attribute.split("."):
        target = getattr(target, name)
    return target  # type: ignore[no-any-return]


def _where(factory: Any) -> str:
    return f"{getattr(factory, '__module__', '?')}:{getattr(factory, '__qualname__', factory)}"
