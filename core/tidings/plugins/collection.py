"""Imports one plugin, calls its hooks, and checks what they return."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, cast

import pluggy

from tidings.errors import BrokenPluginError, TidingsError
from tidings.plugins import hookspecs
from tidings.plugins.entry_points import origin_of
from tidings.plugins.hookspecs import GROUP
from tidings.plugins.specs import (
    API,
    AnySpec,
    BackendSpec,
    EventStoreSpec,
    ObserverSpec,
    SerializerSpec,
    Settings,
    Spec,
    TrackerSpec,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.metadata import EntryPoint

    from tidings.plugins.entry_points import Origin

HOOKS: Mapping[type[Spec], str] = {
    BackendSpec: "tidings_backends",
    EventStoreSpec: "tidings_event_stores",
    TrackerSpec: "tidings_trackers",
    SerializerSpec: "tidings_serializers",
    ObserverSpec: "tidings_observers",
}

CALLED = ("producer", "consumer", "factory", "tracker", "drains")
"""The fields of specs that hold a function, or say where it is."""
_PLACE = re.compile(r"\w+(\.\w+)*:\w+")


def load(entry_point: EntryPoint) -> Sequence[AnySpec]:
    """Import a plugin and return what it offers; ``BrokenPluginError`` if it does not work."""
    origin = origin_of(entry_point)
    try:
        plugin = entry_point.load()
    except (Exception, SystemExit) as error:
        raise BrokenPluginError(
            f"Plugin {entry_point.name!r} ({origin}) cannot be imported from {entry_point.value}: "
            f"{type(error).__name__}: {error}"
        ) from error
    return collect(entry_point.name, origin, plugin)


def collect(name: str, origin: Origin, plugin: object) -> Sequence[AnySpec]:
    """Call a plugin's hooks. Each has a manager of its own, so that one cannot break another."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    what = f"Plugin {name!r} ({origin})"
    specs: list[AnySpec] = []
    try:
        manager.register(plugin, name)
        _refuse_unknown_hooks(manager, plugin, what)
        for kind, hook in HOOKS.items():
            for offered in getattr(manager.hook, hook)():
                specs += _checked(what, origin, kind, offered)
    except TidingsError:
        raise
    except (Exception, SystemExit) as error:
        raise BrokenPluginError(f"{what} is broken: {type(error).__name__}: {error}") from error
    _refuse_equal_names(what, specs)
    return specs


def _refuse_unknown_hooks(manager: pluggy.PluginManager, plugin: object, what: str) -> None:
    for caller in manager.get_hookcallers(plugin) or []:
        if not caller.has_spec():
            close = get_close_matches(caller.name, HOOKS.values(), n=1)
            hint = (
                f"Did you mean {close[0]}?" if close else f"There are: {', '.join(HOOKS.values())}."
            )
            raise BrokenPluginError(f"{what} has an unknown hook {caller.name}. {hint}")


def _refuse_equal_names(what: str, specs: Sequence[AnySpec]) -> None:
    seen = set()
    for spec in specs:
        key = (type(spec), spec.name)
        if key in seen:
            raise BrokenPluginError(f"{what} offers two {type(spec).__name__} {spec.name!r}.")
        seen.add(key)


def _checked(what: str, origin: Origin, kind: type[Spec], offered: Any) -> list[AnySpec]:
    if isinstance(offered, str) or not isinstance(offered, Iterable):
        offered = [offered]
    specs = list(offered)
    for spec in specs:
        if not isinstance(spec, kind):
            raise BrokenPluginError(
                f"{what}: its hook {HOOKS[kind]} returned {_short(spec)}; a list of "
                f"{kind.__name__} is wanted."
            )
        if spec.api != API:
            raise BrokenPluginError(
                f"{what} was written for plugin interface {spec.api}; this tidings has {API}. "
                f"Install a release of {origin.distribution} for interface {API}, or another "
                "tidings."
            )
        if not (isinstance(spec.settings, type) and issubclass(spec.settings, Settings)):
            raise BrokenPluginError(
                f"{what}: the settings of {spec.name!r} must be a subclass of "
                "tidings.plugins.Settings."
            )
        for field in CALLED:
            function = getattr(spec, field, None)
            if isinstance(function, str) and not _PLACE.fullmatch(function):
                raise BrokenPluginError(
                    f"{what}: the {field} of {spec.name!r} is the text {_short(function)}; "
                    '"module:name" is wanted, or a function.'
                )
    return cast("list[AnySpec]", specs)


def _short(value: object) -> str:
    return type(value).__name__ if isinstance(value, Spec) else reprlib.repr(value)
