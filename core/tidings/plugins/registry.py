"""Finds the backends that a configuration names, and loads no others."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from tidings import blame
from tidings.errors import (
    BrokenPluginError,
    MissingLibraryError,
    PluginError,
    UnknownBackendError,
)
from tidings.plugins import guard
from tidings.plugins.collection import collect, load
from tidings.plugins.entry_points import (
    Origin,
    installed_entry_points,
    origin_of,
    same_distribution,
)
from tidings.plugins.installing import install_command
from tidings.plugins.kinds import PRODUCER, offers, told
from tidings.plugins.secrets import without_secrets
from tidings.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from importlib.metadata import EntryPoint

    from tidings.plugins.kinds import Kind, S
    from tidings.plugins.specs import AnySpec, Settings, Spec


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """One backend as ``tidings plugins`` shows it."""

    name: str
    distribution: str
    version: str
    kinds: Sequence[str] = ()
    problem: str | None = None
    """Why it cannot be used, or ``None``."""


@dataclass(frozen=True, slots=True)
class _Plugin:
    """A plugin that has been loaded: where it comes from, and what it offers."""

    origin: Origin
    specs: Sequence[AnySpec]


class PluginRegistry:
    """Finds, checks and guards plugins. A broken one harms only those who name it.

    What tidings brings along comes first: a plugin whose entry point has the name of a builtin
    backend is never loaded.

    ``builtin`` is a module with hooks of tidings' own; ``entry_points`` gives the installed entry
    points of the group (a parameter for tests).
    """

    def __init__(
        self,
        builtin: object | None = None,
        entry_points: Callable[[], Iterable[EntryPoint]] | None = None,
    ) -> None:
        if builtin is None:
            from tidings.builtin import plugin as builtin  # noqa: PLC0415 - it imports this package
        origin = Origin("tidings", __version__)
        self._builtin = _Plugin(origin, collect("tidings", origin, builtin))
        self._find = entry_points or installed_entry_points
        self._loaded: dict[str, _Plugin] = {}
        self._given: list[Settings] = []

    def spec(self, kind: Kind[S], name: str, tables: Iterable[str] = ()) -> S:
        """Return the spec that offers it, or raise a :class:`PluginError` that says why none does.

        ``tables`` are names that could have stood there too: a misspelt one gets a hint.
        """
        if spec := kind.offered(self._builtin.specs, name):
            return spec
        plugin = self._load(kind, name, tables)
        if spec := kind.offered(plugin.specs, name):
            return spec
        raise BrokenPluginError(
            f"Plugin {name!r} ({plugin.origin}) offers no {kind.word} {name!r}; "
            f"{told(plugin.specs)}"
        )

    def settings(self, kind: Kind[Any], spec: Spec, values: Mapping[str, Any]) -> Settings:
        """Return the spec's settings, or raise pydantic's ``ValidationError``."""
        return guard.settings(self._what(kind, spec), spec, values)

    def build(self, kind: Kind[Any], spec: Spec, settings: Settings, *arguments: object) -> Any:
        """Call a spec's factory, guarded: missing libraries and faults become sentences."""
        self.require(kind, spec)
        made = guard.make(self._what(kind, spec), kind, spec, settings, *arguments)
        self._remember(spec, settings, made)
        return made

    def _remember(self, spec: Spec, settings: Settings, made: object) -> None:
        """Know, when a method of ``made`` fails later, whose it is, and what must not be shown."""
        if settings not in self._given:
            self._given.append(settings)
        what = f"Plugin {spec.name!r}{self._origin(spec)}"
        blame.know(type(made).__module__, what, self._without_secrets)

    def _without_secrets(self, text: str) -> str:
        for settings in self._given:
            text = without_secrets(text, settings)
        return text

    def call(
        self, kind: Kind[Any], spec: Spec, field: str, settings: Settings, *arguments: object
    ) -> Any:
        """Call what a spec has in that field beside its factory, guarded."""
        return guard.call(self._what(kind, spec), spec, field, settings, *arguments)

    def require(self, kind: Kind[Any], spec: Spec) -> None:
        """Raise :class:`MissingLibraryError` if a library that the spec needs is missing."""
        missing = [module for module in spec.requires if not _is_there(module)]
        if missing:
            raise MissingLibraryError(
                f"The {kind.word} {spec.name!r} needs the library {', '.join(missing)}, "
                f"which is not installed: {install_command(spec.install or missing[0])}"
            )

    def names(self, kind: Kind[Any]) -> list[str]:
        """Return the names that could stand in a configuration for that kind, without loading."""
        builtin = {spec.name for spec in self._builtin.specs if kind in offers(spec)}
        return sorted(builtin | {entry_point.name for entry_point in self._find()})

    def installed(self) -> list[InstalledPlugin]:
        """Load every plugin, and tell what each offers or what is wrong with it."""
        builtin: dict[str, list[AnySpec]] = {}
        for spec in self._builtin.specs:
            builtin.setdefault(spec.name, []).append(spec)
        found = [self._describe(name, self._builtin, specs) for name, specs in builtin.items()]
        first = {entry_point.name: entry_point for entry_point in reversed(list(self._find()))}
        return found + [self._try(name, origin_of(first[name])) for name in sorted(first)]

    def _try(self, name: str, origin: Origin) -> InstalledPlugin:
        try:
            plugin = self._load(PRODUCER, name)
        except PluginError as error:
            return InstalledPlugin(name, *origin, problem=str(error))
        return self._describe(name, plugin, [s for s in plugin.specs if s.name == name])

    def _describe(self, name: str, plugin: _Plugin, specs: Sequence[AnySpec]) -> InstalledPlugin:
        problem = None
        if not specs:
            problem = f"Nothing in it is named {name!r}; {told(plugin.specs)}"
        offered = [(kind, spec) for spec in specs for kind in offers(spec)]
        for kind, spec in reversed(offered):  # the first one's is told: they mostly need the same
            try:
                self.require(kind, spec)
            except MissingLibraryError as error:
                problem = str(error)
        kinds = [kind.word for kind, _ in offered]
        return InstalledPlugin(name, *plugin.origin, kinds, problem)

    def _load(self, kind: Kind[Any], name: str, tables: Iterable[str] = ()) -> _Plugin:
        if name not in self._loaded:
            entry_point = self._only_entry_point(kind, name, tables)
            self._loaded[name] = _Plugin(origin_of(entry_point), load(entry_point))
        return self._loaded[name]

    def _only_entry_point(self, kind: Kind[Any], name: str, tables: Iterable[str]) -> EntryPoint:
        # One distribution may be seen twice: an editable install beside an old wheel's metadata. Of
        # two distributions with one name, either could win.
        named = [each for each in self._find() if each.name == name]
        found = {same_distribution(origin_of(each).distribution): each for each in named}
        owners = " and ".join(sorted(str(origin_of(each)) for each in found.values()))
        if not found:
            raise UnknownBackendError(self._unknown(kind, name, tables))
        if any(spec.name == name for spec in self._builtin.specs):
            raise BrokenPluginError(
                f"The name of plugin {name!r} ({owners}) is taken by tidings itself, so it is "
                "never used. Its entry point needs another name."
            )
        if len(found) > 1:
            raise BrokenPluginError(
                f"Two distributions offer a plugin named {name!r}: {owners}. Uninstall one of them."
            )
        return next(iter(found.values()))

    def _unknown(self, kind: Kind[Any], name: str, tables: Iterable[str]) -> str:
        # A table of that very name names no backend either.
        offering = (each for each in self.names(kind) if self._may_offer(kind, each))
        names = sorted({*offering, *tables} - {name})
        close = get_close_matches(name, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return f"There is no {kind.word} {name!r}.{hint} Known are: {', '.join(names)}."

    def _may_offer(self, kind: Kind[Any], name: str) -> bool:
        if kind.offered(self._builtin.specs, name):
            return True
        try:
            plugin = self._load(kind, name)
        except PluginError:
            return True  # it is broken: nobody knows what it would offer
        return kind.offered(plugin.specs, name) is not None

    def _what(self, kind: Kind[Any], spec: Spec) -> str:
        return f"The {kind.word} {spec.name!r}{self._origin(spec)}"

    def _origin(self, spec: Spec) -> str:
        plugins = [self._builtin, *self._loaded.values()]
        origins = [p.origin for p in plugins if any(each is spec for each in p.specs)]
        return f" ({origins[0]})" if origins else ""


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a parent is missing, or the module is half there
        return False
