"""Names for components. One `Registry` per kind; plug-ins add names through entry points, loaded on first use."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint
from typing import Any, Generic, TypeVar, overload

from .errors import DuplicateNameError, OccmaskError, OptionError, PluginError, UnknownNameError
from .option_check import check_options
from .plugin_metadata import clash_between, declared, distribution_of, is_let_in, malformed
from .spec import Spec

FAMILY = ":*"  # how the name of a family ends
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Registry(Generic[T]):
    """Maps names to factories of `T`.

    `builtin` maps a name to "module:attribute", so importing occmask imports no model code.
    Entry points of `group` add names without importing the plug-in.  Look-up order: registered
    here, built in, entry point; "package.module:Attribute" needs no registration at all.  A plug-in that is broken or
    claims a taken name harms only those who ask for that name.

    A name that ends in ":*" is a family.  What stands under it is not built but asked, by its static method
    `member(name)`, for the factory of "family:name"; it raises `UnknownNameError` for a member that it does not have.
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str]):
        self.kind, self.group = kind, group
        self._builtin = dict(builtin)
        self._loaded: dict[str, Callable[..., T]] = {}
        self._claims: dict[str, tuple[EntryPoint, ...]] | None = None

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
                f"{self.kind} {name!r} comes from plug-in {distribution_of(self.plugins[name])!r}; pick another name"
            )
        self._loaded[name] = factory
        return factory

    # -- looking up ----------------------------------------------------------------------------
    def __getitem__(self, name: str) -> Callable[..., T]:
        if name not in self._loaded:
            taken = self.clash(name)
            if name in self._builtin:
                if taken is not None:  # once, for then it is loaded
                    warnings.warn(taken, stacklevel=2)
                self._loaded[name] = _import(self._builtin[name])
            elif taken is not None:
                raise DuplicateNameError(taken)
            elif name in self.plugins:
                self._loaded[name] = self.load(self.plugins[name])
            elif self.family_of(name) is not None:
                return self._member(name)
            elif ":" in name and not self._siblings(name):
                return self._import_path(name)
            else:
                raise UnknownNameError(self.kind, name, self)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (self._knows(name) or self.family_of(name) is not None)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._loaded, *self._builtin, *self.plugins}))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return f"<Registry of {self.kind}s: {', '.join(self)}>"

    def is_builtin(self, name: str) -> bool:
        """Whether occmask itself ships the component, or the family it belongs to."""
        return (self.family_of(name) or name) in self._builtin

    def family_of(self, name: str) -> str | None:
        """ "timm:*" for "timm:resnet18", if that family is known and the name not one of its own. Imports nothing."""
        family = name.partition(":")[0] + FAMILY
        return family if ":" in name and not self._knows(name) and self._knows(family) else None

    def plugin_of(self, name: str) -> str | None:
        """The distribution that a component, or the family it belongs to, comes from; None: no plug-in."""
        entry = self.plugins.get(self.family_of(name) or name)
        return None if entry is None else distribution_of(entry)

    @property
    def plugins(self) -> Mapping[str, EntryPoint]:
        """Entry points of installed plug-ins, by component name. Reads metadata, imports nothing.

        Without claims of a built-in name; where two plug-ins claim one name, the first (see `clash`).
        """
        return {name: entries[0] for name, entries in self.claims.items() if name not in self._builtin}

    @property
    def claims(self) -> Mapping[str, tuple[EntryPoint, ...]]:
        """Every entry point of the plug-ins that OCCMASK_PLUGINS lets in, by component name."""
        if self._claims is None:
            found: dict[str, tuple[EntryPoint, ...]] = {}
            for entry in declared().of_group(self.group):
                if is_let_in(distribution_of(entry)):
                    found[entry.name] = (*found.get(entry.name, ()), entry)
            self._claims = found
        return self._claims

    def clash(self, name: str) -> str | None:
        """What a plug-in's claim to this name collides with, in a sentence; None: nothing.

        A built-in component keeps its name, and asking for it warns; a name that two plug-ins claim raises
        `DuplicateNameError` when it is asked for.
        """
        entries = self.claims.get(name, ())
        if entries and name in self._builtin:
            return (
                f"plug-in {distribution_of(entries[0])!r} calls a {self.kind} {name!r}, which is built in and stays so"
            )
        return clash_between(self.kind, name, entries)

    # -- building ------------------------------------------------------------------------------
    def build(self, spec: Spec | str | Mapping[str, Any], *wiring: Any) -> T:
        """Call the factory with the wiring (shapes, sizes) positionally and the spec's options by keyword."""
        spec = Spec.of(spec)
        if spec.name.endswith(FAMILY):
            raise OptionError(f"{self.kind} {spec.name!r} is a family; put the name of one of it in place of the star")
        factory = self[spec.name]
        check_options(f"{self.kind} {spec.name!r}", factory, spec.options, len(wiring))
        return factory(*wiring, **spec.options)

    def options(self, name: str) -> dict[str, Any]:
        """Names and defaults of a component's keyword options (`inspect.Parameter.empty`: required)."""
        parameters = inspect.signature(self[name]).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def _knows(self, name: str) -> bool:
        return name in self._loaded or name in self._builtin or name in self.plugins

    def _siblings(self, name: str) -> bool:
        """Whether components of the same prefix are known, so that the name is one of theirs and no module's."""
        return any(known.startswith(name.partition(":")[0] + ":") for known in self)

    def _member(self, name: str) -> Callable[..., T]:
        """`timm:resnet18`: what is registered as "timm:*" says by `member("resnet18")` which factory that is."""
        family = self.family_of(name)
        assert family is not None
        distribution = self.plugin_of(family)
        of = "" if distribution is None else f" of plug-in {distribution!r}"
        find = getattr(self[family], "member", None)
        if find is None:
            raise PluginError(f"{self.kind} {family!r}{of} is no family: it has no static method member(name)")
        try:
            factory = find(name.partition(":")[2])
        except OccmaskError:
            raise
        except Exception as e:
            raise PluginError(f"the family {family!r}{of} failed to look for {self.kind} {name!r}: {e!r}") from e
        if not callable(factory):
            raise PluginError(
                f"the family {family!r}{of} gives a {type(factory).__name__} for {self.kind} {name!r}, and it cannot "
                "be called"
            )
        return factory  # type: ignore[no-any-return]

    def load(self, entry: EntryPoint) -> Callable[..., T]:
        """Import what an entry point of this kind leads to; `PluginError` names its distribution."""
        source = f"{self.kind} {entry.name!r} comes from plug-in {distribution_of(entry)!r} ({entry.value})"
        wrong = malformed(entry)
        if wrong is not None:
            raise PluginError(f"{source}: {wrong}")
        try:
            factory = entry.load()
        except (Exception, SystemExit) as e:
            raise PluginError(f"{source}, which failed to load: {type(e).__name__}: {e}") from e
        if not callable(factory):
            raise PluginError(f"{source}, which is of type {type(factory).__name__} and cannot be called")
        return factory  # type: ignore[no-any-return]

    def _import_path(self, path: str) -> Callable[..., T]:
        try:
            return _import(path)
        except (ImportError, AttributeError, ValueError) as e:
            raise PluginError(f"{self.kind} {path!r} is read as 'module:attribute', and cannot be imported: {e}") from e


def _import(path: str) -> Callable[..., Any]:
    module, _, attribute = path.partition(":")
    target: Any = importlib.import_module(module)
    for name in attribute.split("."):
        target = getattr(target, name)
    return target  # type: ignore[no-any-return]


def _where(factory: Any) -> str:
    return f"{getattr(factory, '__module__', '?')}:{getattr(factory, '__qualname__', factory)}"
