"""Finds the backends that a configuration names, and loads no others."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pluggy

from tidings.errors import (
    BrokenPluginError,
    MissingLibraryError,
    PluginError,
    TidingsError,
    UnknownBackendError,
)
from tidings.plugins import hookspecs
from tidings.plugins.hookspecs import GROUP
from tidings.plugins.specs import (
    API,
    AnySpec,
    EventStoreSpec,
    MessageConsumerSpec,
    MessageProducerSpec,
    ObserverSpec,
    SerializerSpec,
    Settings,
    Spec,
    TrackerSpec,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from importlib.metadata import EntryPoint

S = TypeVar("S", bound=Spec)
T = TypeVar("T")

HOOKS: Mapping[type[Spec], str] = {
    MessageProducerSpec: "tidings_message_producers",
    MessageConsumerSpec: "tidings_message_consumers",
    EventStoreSpec: "tidings_event_stores",
    TrackerSpec: "tidings_trackers",
    SerializerSpec: "tidings_serializers",
    ObserverSpec: "tidings_observers",
}
KINDS: Mapping[type[Spec], str] = {
    MessageProducerSpec: "producer",
    MessageConsumerSpec: "consumer",
    EventStoreSpec: "event store",
    TrackerSpec: "tracker",
    SerializerSpec: "serializer",
    ObserverSpec: "observer",
}


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
    """A plugin that has been loaded: its name, where it comes from, and what it offers."""

    name: str
    origin: str
    specs: Sequence[AnySpec] = field(default_factory=tuple)


class PluginRegistry:
    """Finds, checks and guards plugins. A broken one harms only those who name it.

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
        self._builtin = _Plugin("tidings", "tidings", _collect("tidings", "tidings", builtin))
        self._find = entry_points or _installed_entry_points
        self._loaded: dict[str, _Plugin] = {}

    def spec(self, kind: type[S], name: str) -> S:
        """Return the spec of that kind and name, or raise a :class:`PluginError` that says why."""
        for spec in self._builtin.specs:
            if isinstance(spec, kind) and spec.name == name:
                return spec
        plugin = self._load(kind, name)
        for spec in plugin.specs:
            if isinstance(spec, kind) and spec.name == name:
                return spec
        offered = sorted(f"{KINDS[type(s)]} {s.name!r}" for s in plugin.specs) or ["nothing"]
        raise BrokenPluginError(
            f"Plugin {name!r} ({plugin.origin}) offers no {KINDS[kind]} {name!r}; "
            f"it offers {', '.join(offered)}."
        )

    def build(self, spec: Spec, factory: Callable[[], T]) -> T:
        """Call a spec's factory, guarded: missing libraries and faults become sentences."""
        self.require(spec)
        try:
            return factory()
        except TidingsError:
            raise
        except Exception as error:
            raise BrokenPluginError(
                f"The {KINDS[type(spec)]} {spec.name!r} ({self._origin(spec)}) could not be made: "
                f"{type(error).__name__}: {error}"
            ) from error

    def require(self, spec: Spec) -> None:
        """Raise :class:`MissingLibraryError` where a library that the spec needs is missing."""
        missing = [module for module in spec.requires if importlib.util.find_spec(module) is None]
        if missing:
            raise MissingLibraryError(
                f"The {KINDS[type(spec)]} {spec.name!r} needs the library {', '.join(missing)}, "
                f"which is not installed: pip install '{spec.install or missing[0]}'"
            )

    def names(self, kind: type[Spec]) -> list[str]:
        """Return the names that could stand in a configuration for that kind, without loading."""
        builtin = {spec.name for spec in self._builtin.specs if isinstance(spec, kind)}
        return sorted(builtin | {entry_point.name for entry_point in self._find()})

    def installed(self) -> list[InstalledPlugin]:
        """Load every plugin, and tell what each offers or what is wrong with it."""
        by_name: dict[str, list[AnySpec]] = {}
        for spec in self._builtin.specs:
            by_name.setdefault(spec.name, []).append(spec)
        version = importlib.metadata.version("tidings")
        found = [self._describe(name, "tidings", version, specs) for name, specs in by_name.items()]
        for name in sorted({entry_point.name for entry_point in self._find()}):
            owner = next(e for e in self._find() if e.name == name)
            distribution, version = _owner(owner)
            try:
                specs = [s for s in self._load(MessageProducerSpec, name).specs if s.name == name]
                found.append(self._describe(name, distribution, version, specs))
            except PluginError as error:
                found.append(InstalledPlugin(name, distribution, version, problem=str(error)))
        return found

    def _describe(
        self, name: str, distribution: str, version: str, specs: Sequence[AnySpec]
    ) -> InstalledPlugin:
        problem = None if specs else "It offers nothing of that name."
        for spec in specs:
            try:
                self.require(spec)
            except MissingLibraryError as error:
                problem = str(error)
        kinds = [KINDS[type(spec)] for spec in specs]
        return InstalledPlugin(name, distribution, version, kinds, problem)

    def _load(self, kind: type[Spec], name: str) -> _Plugin:
        if name not in self._loaded:
            entry_point = self._only_entry_point(kind, name)
            self._loaded[name] = _load_entry_point(entry_point)
        return self._loaded[name]

    def _only_entry_point(self, kind: type[Spec], name: str) -> EntryPoint:
        # One distribution may be seen twice (an editable install beside an old wheel's metadata);
        # two distributions with one name would win or lose by chance.
        found = {_owner(e)[0]: e for e in self._find() if e.name == name}
        if not found:
            raise UnknownBackendError(self._unknown(kind, name))
        if len(found) > 1:
            raise BrokenPluginError(
                f"Two distributions offer a plugin named {name!r}: {' and '.join(sorted(found))}. "
                "Uninstall one of them."
            )
        return next(iter(found.values()))

    def _unknown(self, kind: type[Spec], name: str) -> str:
        names = self.names(kind)
        close = get_close_matches(name, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return f"There is no {KINDS[kind]} {name!r}.{hint} Installed are: {', '.join(names)}."

    def _origin(self, spec: Spec) -> str:
        plugins = [self._builtin, *self._loaded.values()]
        return next((p.origin for p in plugins if any(s is spec for s in p.specs)), "unknown")


def _installed_entry_points() -> Iterable[EntryPoint]:
    return importlib.metadata.entry_points(group=GROUP)


def _owner(entry_point: EntryPoint) -> tuple[str, str]:
    dist = entry_point.dist
    return (dist.name, dist.version) if dist else ("unknown", "")


def _load_entry_point(entry_point: EntryPoint) -> _Plugin:
    origin = " ".join(_owner(entry_point)).strip()
    try:
        plugin = entry_point.load()
    except (Exception, SystemExit) as error:
        raise BrokenPluginError(
            f"Plugin {entry_point.name!r} ({origin}) cannot be imported from {entry_point.value}: "
            f"{type(error).__name__}: {error}"
        ) from error
    return _Plugin(entry_point.name, origin, _collect(entry_point.name, origin, plugin))


def _collect(name: str, origin: str, plugin: object) -> list[AnySpec]:
    """Call a plugin's hooks. Each has a manager of its own, so that one cannot break another."""
    what = f"Plugin {name!r} ({origin})"
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    specs: list[AnySpec] = []
    try:
        manager.register(plugin, name)
        manager.check_pending()
        for kind, hook in HOOKS.items():
            for offered in getattr(manager.hook, hook)():
                specs.extend(_checked(what, kind, hook, offered))
    except TidingsError:
        raise
    except Exception as error:
        raise BrokenPluginError(f"{what} is broken: {type(error).__name__}: {error}") from error
    return specs


def _checked(what: str, kind: type[Spec], hook: str, offered: Any) -> list[AnySpec]:
    if isinstance(offered, Spec):
        offered = [offered]
    try:
        specs = list(offered)
    except TypeError:
        specs = [offered]
    for spec in specs:
        if not isinstance(spec, kind):
            raise BrokenPluginError(
                f"{what}: its hook {hook} returned {spec!r}; a list of {kind.__name__} is wanted."
            )
        if spec.api != API:
            raise BrokenPluginError(
                f"{what} was written for plugin interface {spec.api}; this tidings has {API}. "
                f"Install a release of {what.partition('(')[2].rstrip(')')} for interface {API}."
            )
        if not (isinstance(spec.settings, type) and issubclass(spec.settings, Settings)):
            raise BrokenPluginError(
                f"{what}: the settings of {spec.name!r} must be a subclass of "
                "tidings.plugins.Settings."
            )
    return cast("list[AnySpec]", specs)
